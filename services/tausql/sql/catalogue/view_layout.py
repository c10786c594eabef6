"""A view's query in PostgreSQL's layout: an output column a line, a clause a line, names as the search path has them.

The query is kept with every name written out. That is what makes it mean the same for everybody; it is not what people
read in `\\d+`, or compare with the view they wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tausql.sql.lexer import QUOTED, WORD, Token, name_value, tokens

_CLAUSES: Final = {
    "FROM": "\n   ", "WHERE": "\n  ", "GROUP": "\n  ", "HAVING": "\n ", "ORDER": "\n  ", "LIMIT": "\n ",
    "OFFSET": "\n ", "WINDOW": "\n  ", "UNION": "\n", "EXCEPT": "\n", "INTERSECT": "\n", "SELECT": "\n ",
}  # fmt: skip
_SET_WORDS: Final = frozenset(("UNION", "EXCEPT", "INTERSECT", "ALL", "DISTINCT"))
_JOIN_WORDS: Final = frozenset(("JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL"))
_JOIN_ENDS: Final = frozenset(("LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "OUTER"))


def view_shown(query: str, path: Sequence[str]) -> str:
    """With a leading blank and a semicolon, as pg_get_viewdef has it."""
    found = _plain_relations(tokens(query), path)
    out: list[str] = []
    depth, in_list, end = 0, False, 0
    previous = ""
    for token in found:
        word = token.word
        depth -= token.text in (")", "]")
        gap = query[end : token.start] if end else ""
        if depth == 0:
            if word in _CLAUSES and not (word == "FROM" and previous == "DISTINCT"):
                in_list = word == "SELECT"
                gap = _CLAUSES[word] if out else ""
            elif word in _JOIN_WORDS and previous not in _JOIN_ENDS:
                gap = "\n     "
        if previous == "," and in_list and depth == 0:
            gap = "\n    "
        blank = " " if gap and token.text not in (")", ",") else ""
        out.append(gap if gap.startswith("\n") else blank)
        out.append(token.text)
        depth += token.text in ("(", "[")
        previous = word
        end = token.start + len(token.text)
    return f" {''.join(out)};"


def _plain_relations(found: list[Token], path: Sequence[str]) -> list[Token]:
    """Without schemas the path has anyway, and without aliases that repeat the name."""
    kept: list[Token] = []
    at = 0
    while at < len(found):
        token = found[at]
        if _is_name(token) and at + 2 < len(found) and found[at + 1].text == "." and _is_name(found[at + 2]):
            schema, name = name_value(token), name_value(found[at + 2])
            if kept and kept[-1].word in ("FROM", "JOIN", ",", "("):
                whole = found[at : at + 3]
                kept += [whole[2]._replace(start=token.start)] if schema in path else whole
                at += 3
                if at + 1 < len(found) and found[at].word == "AS" and name_value(found[at + 1]) == name:
                    at += 2
                continue
        kept.append(token)
        at += 1
    return kept


def _is_name(token: Token) -> bool:
    return token.kind in (WORD, QUOTED)
