"""LIKE, ILIKE, SIMILAR TO and POSIX regular expressions.

Patterns compile to Python's `re` and are kept (a bounded cache): a pattern is nearly always the same text for all rows.
PostgreSQL's advanced regular expressions differ from Python's in details; what cannot be said in `re` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.functions.function import Function, declare, operator

Match = Callable[[str], object]
LONGEST_TRIES_MAX: Final = 10_000  # characters by which a match is tried to be longer


@lru_cache(maxsize=1024)
def like_matcher(pattern: str, escape: str = "\\", ignore_case: bool = False) -> Match:
    """A function that is truthy where the text matches."""
    parts: list[str] = []
    literal: list[str] = []
    plain = True
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if escape and char == escape:
            at += 1
            if at >= len(pattern):
                raise SqlError(Code.invalid_escape_sequence, "LIKE pattern must not end with escape character")
            parts.append(re.escape(pattern[at]))
            literal.append(pattern[at])
        elif char == "%":
            parts.append(".*")
            plain = False
        elif char == "_":
            parts.append(".")
            plain = False
        else:
            parts.append(re.escape(char))
            literal.append(char)
        at += 1
    if plain and not ignore_case:
        return "".join(literal).__eq__
    if not ignore_case and not escape_used(pattern, escape):
        fast = _simple(pattern)
        if fast is not None:
            return fast
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0) | re.ASCII
    return re.compile("".join(parts), flags).fullmatch


def escape_used(pattern: str, escape: str) -> bool:
    return bool(escape) and escape in pattern


def _simple(pattern: str) -> Match | None:
    """'abc%', '%abc', '%abc%' without a regular expression."""
    if "_" in pattern:
        return None
    body = pattern.strip("%")
    if "%" in body:
        return None
    if pattern.startswith("%") and pattern.endswith("%"):
        return lambda text: body in text
    if pattern.endswith("%"):
        return lambda text: text.startswith(body)
    return lambda text: text.endswith(body)


def like(text: str, pattern: str) -> bool:
    return bool(like_matcher(pattern)(text))


def ilike(text: str, pattern: str) -> bool:
    return bool(like_matcher(pattern, "\\", True)(text))


def _bytea_like(data: bytes, pattern: bytes) -> bool:
    return bool(like_matcher(pattern.decode("latin-1"))(data.decode("latin-1")))


def checked_escape(escape: str) -> str:
    """22025 unless empty or one character."""
    if len(escape) > 1:
        raise SqlError(
            Code.invalid_escape_sequence,
            "invalid escape string",
            hint="Escape string must be empty or one character.",
        )
    return escape


def like_escape(pattern: str, escape: str) -> str:
    """LIKE ... ESCAPE: the pattern rewritten to the backslash as escape character."""
    if checked_escape(escape) == "\\":
        return pattern
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if escape and char == escape:
            at += 1
            out.append("\\" + pattern[at : at + 1])
        else:
            out.append("\\\\" if char == "\\" else char)
        at += 1
    return "".join(out)


@lru_cache(maxsize=256)
def similar_to_regex(pattern: str, escape: str = "\\") -> str:
    """similar_to_escape(): a SIMILAR TO pattern as an anchored regular expression."""
    out = ["^(?:"]
    at, in_class = 0, False
    checked_escape(escape)
    while at < len(pattern):
        char = pattern[at]
        if escape and char == escape and at + 1 < len(pattern):
            at += 1
            out.append("\\" + pattern[at])
        elif in_class:
            in_class = char != "]"
            out.append("\\\\" if char == "\\" else char)
        elif char == "[":
            in_class = True
            out.append(char)
        else:
            out.append(
                {"%": ".*", "_": ".", "(": "(?:", "\\": "\\\\", ".": "\\.", "^": "\\^", "$": "\\$"}.get(char, char)
            )
        at += 1
    out.append(")$")
    return "".join(out)


_CLASSES: Final = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
    "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9a-fA-F", "word": r"\w", "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e", "graph": r"\x21-\x7e",
}  # fmt: skip
_ESCAPES: Final = {"m": r"(?<!\w)(?=\w)", "M": r"(?<=\w)(?!\w)", "y": r"\b", "Y": r"\B", "A": r"\A", "Z": r"\Z"}
_OPTION_FLAGS: Final = {"i": re.IGNORECASE, "x": re.VERBOSE, "n": re.MULTILINE, "m": re.MULTILINE, "w": re.MULTILINE}


@lru_cache(maxsize=512)
def compiled_regex(pattern: str, options: str = "") -> re.Pattern[str]:
    """An ARE with option letters (i, c, n, s, x, ...; not g); 2201B for a bad one, 0A000 for what `re` cannot do."""
    flags, newline_sensitive = 0, False
    for letter in options:
        if letter in "ceqtbspw" or letter in _OPTION_FLAGS:
            if letter == "c":
                flags &= ~re.IGNORECASE
            elif letter == "q":
                return re.compile(re.escape(pattern), flags)
            elif letter in "bw":
                raise not_supported(f'regular expression option "{letter}" is not supported')
            elif letter == "p":
                newline_sensitive = True
            else:
                flags |= _OPTION_FLAGS.get(letter, 0)
                newline_sensitive = newline_sensitive or letter in "nm"
        else:
            raise SqlError(Code.invalid_parameter_value, f'invalid regular expression option: "{letter}"')
    if pattern.startswith("***"):
        if pattern.startswith("***="):
            return re.compile(re.escape(pattern[4:]), flags)
        pattern = pattern[4:]
    if not newline_sensitive:
        flags |= re.DOTALL
    try:
        compiled = re.compile(_translated(pattern, newline_sensitive), flags | re.ASCII)
        return _Longest(compiled) if _is_plain_alternation(pattern) else compiled  # type: ignore[return-value]
    except (re.error, OverflowError) as error:
        raise SqlError(
            Code.invalid_regular_expression, f"invalid regular expression: {_error_text(str(error))}"
        ) from error


def _is_plain_alternation(pattern: str) -> bool:
    """Whether the longest of several alternatives can be told by trying ends: nothing in it looks at what follows."""
    return "|" in pattern and not any(mark in pattern for mark in ("$", "(?", "\\", "*?", "+?", "??", "}?"))


class _Longest:
    """A pattern of which PostgreSQL takes the longest match, where Python takes the first alternative that does."""

    __slots__ = ("groups", "regex")

    def __init__(self, regex: re.Pattern[str]) -> None:
        self.regex = regex
        self.groups = regex.groups

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        found = self.regex.search(text, start)
        if found is None:
            return None
        for end in range(min(len(text), found.end() + LONGEST_TRIES_MAX), found.end(), -1):
            longer = self.regex.fullmatch(text, found.start(), end)
            if longer is not None:
                return longer
        return found

    def finditer(self, text: str, start: int = 0) -> Iterator[re.Match[str]]:
        while start <= len(text):
            found = self.search(text, start)
            if found is None:
                return
            yield found
            start = found.end() + (found.end() == found.start())

    def sub(self, build: Callable[[re.Match[str]], str], text: str, count: int = 0) -> str:
        out: list[str] = []
        at = 0
        for number, found in enumerate(self.finditer(text), 1):
            out += [text[at : found.start()], build(found)]
            at = found.end()
            if number == count:
                break
        return "".join(out) + text[at:]


def _error_text(message: str) -> str:
    """Henry Spencer's words for the usual mistakes."""
    if "unterminated character set" in message:
        return "brackets [] not balanced"
    if "parenthesis" in message or "unterminated subpattern" in message:
        return "parentheses () not balanced"
    if "nothing to repeat" in message or "multiple repeat" in message:
        return "quantifier operand invalid"
    if "bad character range" in message:
        return "invalid character range"
    if "escape" in message:
        return "invalid escape \\ sequence"
    if "group reference" in message:
        return "invalid backreference number"
    return message


def _translated(pattern: str, newline_sensitive: bool) -> str:
    out: list[str] = []
    at = 0
    embedded = re.match(r"\(\?([bceimnpqstwx]+)\)", pattern)
    if embedded:
        letters = "".join(sorted({"i": "i", "x": "x", "n": "m"}[c] for c in embedded[1] if c in "ixn"))
        at = embedded.end()
        if letters:
            out.append(f"(?{letters})")
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            follower = pattern[at + 1 : at + 2]
            if not follower:
                raise SqlError(
                    Code.invalid_regular_expression, "invalid regular expression: invalid escape \\ sequence"
                )
            out.append(_ESCAPES.get(follower, "\\" + follower))
            at += 2
        elif char == "[":
            if pattern.startswith("[[:<:]]", at) or pattern.startswith("[[:>:]]", at):
                out.append(_ESCAPES["m" if pattern[at + 3] == "<" else "M"])
                at += 7
                continue
            at = _bracket(pattern, at, out)
        elif char == "$":
            out.append("$" if newline_sensitive else r"$(?!\n)")
            at += 1
        else:
            out.append(char)
            at += 1
    return "".join(out)


def _bracket(pattern: str, at: int, out: list[str]) -> int:
    """Copies a bracket expression; returns the position behind it."""
    body = ["["]
    at += 1
    if pattern[at : at + 1] == "^":
        body.append("^")
        at += 1
    first = True
    while True:
        char = pattern[at : at + 1]
        if not char:
            raise SqlError(Code.invalid_regular_expression, "invalid regular expression: brackets [] not balanced")
        if char == "]" and not first:
            out.append("".join(body) + "]")
            return at + 1
        first = False
        if char == "[" and pattern[at + 1 : at + 2] in (":", ".", "="):
            kind = pattern[at + 1]
            end = pattern.find(kind + "]", at + 2)
            name = pattern[at + 2 : end] if end > 0 else ""
            if kind != ":":
                raise not_supported("collating elements in regular expressions are not supported")
            if name not in _CLASSES:
                raise SqlError(Code.invalid_regular_expression, "invalid regular expression: invalid character class")
            body.append(_CLASSES[name])
            at = end + 2
        elif char == "\\":
            body.append("\\" + pattern[at + 1 : at + 2])
            at += 2
        else:
            body.append("\\" + char if char in "[]&~|" else char)
            at += 1


def matches(text: str, pattern: str) -> bool:
    return compiled_regex(pattern).search(text) is not None


def matches_ignoring_case(text: str, pattern: str) -> bool:
    return compiled_regex(pattern, "i").search(text) is not None


def _replacement(template: str) -> Callable[[re.Match[str]], str]:
    r"""\1..\9, \& and \\ in the replacement."""
    pieces = re.split(r"(\\[1-9&\\])", template)

    def build(found: re.Match[str]) -> str:
        out = []
        for piece in pieces:
            if len(piece) == 2 and piece[0] == "\\":
                if piece[1] == "\\":
                    out.append("\\")
                elif piece[1] == "&":
                    out.append(found[0])
                else:
                    number = int(piece[1])
                    out.append((found[number] or "") if number <= (found.re.groups or 0) else "")
            else:
                out.append(piece)
        return "".join(out)

    return build


def regexp_replace(text: str, pattern: str, replacement: str, options: str = "") -> str:
    count = 0 if "g" in options else 1
    return compiled_regex(pattern, options.replace("g", "")).sub(_replacement(replacement), text, count=count)


def _regexp_replace_from(text: str, pattern: str, replacement: str, start: int, nth: int = 1, options: str = "") -> str:
    if start <= 0:
        raise SqlError(Code.invalid_parameter_value, f'invalid value for parameter "start": {start}')
    if nth < 0:
        raise SqlError(Code.invalid_parameter_value, f'invalid value for parameter "n": {nth}')
    regex, build = compiled_regex(pattern, options.replace("g", "")), _replacement(replacement)
    head, tail = text[: start - 1], text[start - 1 :]
    if nth == 0:
        return head + regex.sub(build, tail)
    seen = 0

    def one(found: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return build(found) if seen == nth else found[0]

    return head + regex.sub(one, tail)


def _groups(found: re.Match[str]) -> list[str | None]:
    return list(found.groups()) if found.re.groups else [found[0]]


def _regexp_match(text: str, pattern: str, options: str = "") -> list[str | None] | None:
    if "g" in options:
        raise SqlError(
            Code.invalid_parameter_value,
            'regexp_match() does not support the "global" option',
            hint="Use the regexp_matches function instead.",
        )
    found = compiled_regex(pattern, options).search(text)
    return _groups(found) if found else None


def _regexp_matches(text: str, pattern: str, options: str = "") -> Iterator[list[str | None]]:
    regex = compiled_regex(pattern, options.replace("g", ""))
    for found in regex.finditer(text):
        yield _groups(found)
        if "g" not in options:
            return


def _regexp_split(text: str, pattern: str, options: str = "") -> list[str]:
    if "g" in options:
        raise SqlError(Code.invalid_parameter_value, 'regexp_split_to_array() does not support the "global" option')
    regex = compiled_regex(pattern, options)
    parts, start = [], 0
    for found in regex.finditer(text):
        if found.end() == found.start() and (found.start() in (start, len(text)) and found.start() in (0, len(text))):
            continue
        if found.end() == found.start() == start:
            continue
        parts.append(text[start : found.start()])
        start = found.end()
    parts.append(text[start:])
    return parts


def substring_regex(text: str, pattern: str) -> str | None:
    """substring(text from pattern): the first group, or all that matched."""
    found = compiled_regex(pattern).search(text)
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]


def _substring_similar(text: str, pattern: str, escape: str) -> str | None:
    parts = pattern.split(escape + '"')
    if len(parts) == 1:
        return text if re.fullmatch(similar_to_regex(pattern, escape), text) else None
    if len(parts) != 3:
        raise SqlError(
            Code.invalid_escape_sequence,
            "SQL regular expression may not contain more than two escape-double-quote separators",
        )
    pieces = [similar_to_regex(part, escape)[4:-2] for part in parts]
    found = re.fullmatch(f"(?:{pieces[0]})({pieces[1]})(?:{pieces[2]})", text, re.DOTALL)
    return found[1] if found else None


def _not(test: Callable[..., bool]) -> Callable[..., bool]:
    return lambda a, b: not test(a, b)


def functions() -> Iterator[Function]:
    for name, impl in (("~~", like), ("~~*", ilike), ("~", matches), ("~*", matches_ignoring_case)):
        yield operator(name, "text", "text", "bool", impl)
        yield operator("!" + name, "text", "text", "bool", _not(impl))
        for kind in ("bpchar", "name"):
            yield operator(name, kind, "text", "bool", impl)
            yield operator("!" + name, kind, "text", "bool", _not(impl))
    yield operator("~~", "bytea", "bytea", "bool", _bytea_like)
    yield operator("!~~", "bytea", "bytea", "bool", _not(_bytea_like))
    yield declare("like(text, text) bool", like)
    yield declare("notlike(text, text) bool", _not(like))
    yield declare("like_escape(text, text) text", like_escape)
    yield declare("similar_to_escape(text) text", similar_to_regex)
    yield declare("similar_to_escape(text, text) text", similar_to_regex)
    yield declare("regexp_replace(text, text, text) text", regexp_replace)
    yield declare("regexp_replace(text, text, text, text) text", regexp_replace)
    for extra in ("int4", "int4, int4", "int4, int4, text"):
        yield declare(f"regexp_replace(text, text, text, {extra}) text", _regexp_replace_from)
    for arguments in ("text, text", "text, text, text"):
        yield declare(f"regexp_match({arguments}) _text", _regexp_match)
        yield declare(f"regexp_matches({arguments}) _text", _regexp_matches, returns_set=True)
        yield declare(f"regexp_split_to_array({arguments}) _text", _regexp_split)
        yield declare(
            f"regexp_split_to_table({arguments}) text", lambda *args: iter(_regexp_split(*args)), returns_set=True
        )
    yield declare("regexp_like(text, text) bool", matches)
    yield declare("regexp_like(text, text, text) bool", _regexp_like)
    yield declare("substring(text, text) text", substring_regex)
    yield declare("substring(text, text, text) text", _substring_similar)


def _regexp_like(text: str, pattern: str, options: str) -> bool:
    if "g" in options:
        raise SqlError(Code.invalid_parameter_value, 'regexp_like() does not support the "global" option')
    return compiled_regex(pattern, options).search(text) is not None
