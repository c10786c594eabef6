"""PREPARE and EXECUTE as statements, read by their words. Aurora DSQL has them in the protocol only; pg_dump and
scripts write them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tausql.sql.lexer import Token, name_value, syntax_error_at, syntax_error_at_end

Classified = tuple[str, str, dict[str, Any]]


def read(text: str, tokens: Sequence[Token], words: Sequence[str]) -> Classified | None:
    """(kind, command tag, options); None: neither of the two. Raises 42601."""
    if words[0] == "PREPARE" and words[1:2] != ["TRANSACTION"]:
        name, at = _name(text, tokens)
        types, at = _list(text, tokens, at)
        if at + 1 >= len(tokens) or words[at] != "AS":
            raise _wrong(text, tokens, at)
        return "prepare", "PREPARE", {"name": name, "types": types, "text": text[tokens[at + 1].start :]}
    if words[0] == "EXECUTE":
        name, at = _name(text, tokens)
        arguments, at = _list(text, tokens, at)
        if at < len(tokens):
            raise _wrong(text, tokens, at)
        return "execute", "EXECUTE", {"name": name, "arguments": arguments}
    return None


def _name(text: str, tokens: Sequence[Token]) -> tuple[str, int]:
    name = name_value(tokens[1]) if len(tokens) > 1 else None
    if name is None:
        raise _wrong(text, tokens, 1)
    return name, 2


def _list(text: str, tokens: Sequence[Token], at: int) -> tuple[list[str], int]:
    """The texts between the parentheses that open at `at`, if they do, and what comes after."""
    if at >= len(tokens) or tokens[at].text != "(":
        return [], at
    found: list[str] = []
    depth, first = 0, at + 1
    for place in range(at, len(tokens)):
        token = tokens[place]
        depth += (token.text in "([") - (token.text in ")]")
        if depth == 0 or (depth == 1 and token.text == ","):
            if place == first:
                raise _wrong(text, tokens, place)
            found.append(text[tokens[first].start : token.start].rstrip())
            first = place + 1
        if depth == 0:
            return found, place + 1
    raise syntax_error_at_end(text)


def _wrong(text: str, tokens: Sequence[Token], at: int) -> Exception:
    if at >= len(tokens):
        return syntax_error_at_end(text)
    return syntax_error_at(tokens[at].text, tokens[at].start)
