"""CREATE TABLE name AS query and SELECT .. INTO name, read by their words: two spellings of one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tausql.sql.lexer import Token, name_value, syntax_error_at, syntax_error_at_end

_TEMPORARY = ("TEMP", "TEMPORARY")


class TableFromQuery(NamedTuple):
    """name: as it was written; place: (schema or None, name); columns: those named, perhaps fewer than there are."""

    name: str
    place: tuple[str | None, str]
    columns: list[str]
    if_not_exists: bool
    no_data: bool
    query: str
    temporary: bool = False
    on_commit: str = ""  # the clause, as it is written


def read(text: str, tokens: Sequence[Token], words: Sequence[str]) -> TableFromQuery | None:
    """None: neither of the two. Raises 42601."""
    if words[:2] == ["CREATE", "TABLE"]:
        return _create(text, tokens, words, 2)
    if words[0] == "CREATE" and "TABLE" in words[2:4]:
        at = 2 if words[1] in ("LOCAL", "GLOBAL") else 1
        if words[at] in _TEMPORARY and words[at + 1] == "TABLE":
            made = _create(text, tokens, words, at + 2)
            return None if made is None else made._replace(temporary=True)
    if words[0] in ("SELECT", "WITH") and "INTO" in words:
        return _select(text, tokens, words)
    return None


def _create(text: str, tokens: Sequence[Token], words: Sequence[str], at: int) -> TableFromQuery | None:
    if_not_exists = list(words[at : at + 3]) == ["IF", "NOT", "EXISTS"]
    if if_not_exists:
        at += 3
    start = at
    found = _name(tokens, at)
    if found is None:
        return None  # CREATE TABLE says what is wrong with it
    place, at = found
    name = _between(text, tokens, start, at)
    columns: list[str] = []
    if at < len(tokens) and tokens[at].text == "(":
        at += 1
        while at + 1 < len(tokens):
            column = name_value(tokens[at])
            if column is None or tokens[at + 1].text not in (",", ")"):
                return None
            columns.append(column)
            at += 2
            if tokens[at - 1].text == ")":
                break
    on_commit = ""
    if list(words[at : at + 2]) == ["ON", "COMMIT"] and "AS" in words[at + 3 : at + 5]:
        end = words.index("AS", at)
        on_commit = _between(text, tokens, at, end)
        at = end
    if at >= len(tokens) or words[at] != "AS":
        return None
    at += 1
    end = len(tokens)
    no_data = list(words[-3:]) == ["WITH", "NO", "DATA"]
    if no_data:
        end -= 3
    elif list(words[-2:]) == ["WITH", "DATA"]:
        end -= 2
    if at >= end:
        raise syntax_error_at_end(text)
    if words[at] not in ("SELECT", "WITH", "VALUES", "TABLE", "("):
        raise syntax_error_at(tokens[at].text, tokens[at].start)
    query = _between(text, tokens, at, end)
    return TableFromQuery(name, place, columns, if_not_exists, no_data, query, on_commit=on_commit)


def _select(text: str, tokens: Sequence[Token], words: Sequence[str]) -> TableFromQuery | None:
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth or words[at] != "INTO" or words[at - 1] in (".", "AS", "INSERT"):
            continue
        start = at + 1
        temporary = words[start : start + 1] in (["TEMP"], ["TEMPORARY"])
        if temporary:
            start += 1
        if words[start : start + 1] == ["TABLE"]:
            start += 1
        found = _name(tokens, start)
        if found is None:
            return None
        place, end = found
        last = tokens[end - 1]
        query = text[: token.start] + text[last.start + len(last.text) :]
        return TableFromQuery(_between(text, tokens, start, end), place, [], False, False, query, temporary)
    return None


def _name(tokens: Sequence[Token], at: int) -> tuple[tuple[str | None, str], int] | None:
    """([schema .] name, what comes after it)."""
    name = name_value(tokens[at]) if at < len(tokens) else None
    if name is None:
        return None
    if at + 2 < len(tokens) and tokens[at + 1].text == ".":
        second = name_value(tokens[at + 2])
        return None if second is None else ((name, second), at + 3)
    return (None, name), at + 1


def _between(text: str, tokens: Sequence[Token], first: int, end: int) -> str:
    last = tokens[end - 1]
    return text[tokens[first].start : last.start + len(last.text)]
