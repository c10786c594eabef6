"""Wildcards and variables in policies.

`*` and `?` are wildcards where a policy's author wrote them, and letters in what a variable stands for, or who may
name himself `*` would be everybody. So authors' wildcards are turned into two letters of their own (`wild`) before
variables are replaced.

A regular expression of many `.*` takes a time that grows with a power of their number. Here the text is searched for
the pieces between the stars from left to right, which never has to go back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

STAR = "\ue000"  # of Unicode's private use area
ANY = "\ue001"

Context = Mapping[str, tuple[str, ...]]  # condition keys in lower case

_VARIABLE = re.compile(r"\$\{([^{}]{1,512})\}")
_LETTERS = {"*": "*", "?": "?", "$": "$"}
_RESERVED = re.compile(f"[{STAR}{ANY}]")


def wild(text: str) -> str:
    """A policy's text, its wildcards marked. `${*}`, `${?}` and `${$}` stay for `resolved`."""
    if "${" not in text:
        return _RESERVED.sub("", text).replace("*", STAR).replace("?", ANY)
    pieces: list[str] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        pieces += (_marked(text[position : found.start()]), found.group())
        position = found.end()
    return "".join(pieces) + _marked(text[position:])


def _marked(text: str) -> str:
    return _RESERVED.sub("", text).replace("*", STAR).replace("?", ANY)


def resolved(pattern: str, context: Context) -> str | None:
    """With its variables replaced. None where one has no single value: nothing matches then."""
    if "${" not in pattern:
        return pattern
    values: list[str | None] = []

    def value(found: re.Match[str]) -> str:
        name, _, default = found.group(1).partition(",")
        name = name.strip()
        if name in _LETTERS:
            return _LETTERS[name]
        known = context.get(name.lower(), ())
        default = default.strip()
        if len(known) == 1 and not _RESERVED.search(known[0]):
            return known[0]
        if not known and len(default) >= 2 and default[0] == default[-1] == "'":
            return default[1:-1]
        values.append(None)
        return ""

    text = _VARIABLE.sub(value, pattern)
    return None if values else text


def plain(pattern: str) -> str:
    """What the author wrote."""
    return pattern.replace(STAR, "*").replace(ANY, "?")


def matches(pattern: str, text: str) -> bool:
    """pattern: marked by `wild` and `resolved`."""
    if STAR not in pattern:
        return _same(pattern, text)
    first, *middle, last = pattern.split(STAR)
    if len(text) < len(first) + len(last):
        return False
    end = len(text) - len(last)
    if not _same(first, text[: len(first)]) or not _same(last, text[end:]):
        return False
    position = len(first)
    for piece in middle:
        found = _find(piece, text, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def _same(piece: str, text: str) -> bool:
    if ANY not in piece:
        return piece == text
    return len(piece) == len(text) and all(a in (b, ANY) for a, b in zip(piece, text, strict=True))


def _find(piece: str, text: str, start: int, end: int) -> int:
    if ANY not in piece:
        return text.find(piece, start, end)
    for position in range(start, end - len(piece) + 1):
        if _same(piece, text[position : position + len(piece)]):
            return position
    return -1
