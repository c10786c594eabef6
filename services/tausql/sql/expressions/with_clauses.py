"""SEARCH and CYCLE behind WITH queries that others follow: sqlglot reads them behind the last one only.

It does read `USING KEY (names)` before AS, which PostgreSQL has not. So such a clause is written there, as a name,
and taken apart again where the query is bound.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from tausql.sql.lexer import QUOTED, WORD, Token, syntax_error_at, tokens, words_of

_CLAUSE: Final = re.compile(r"\)\s*(?:SEARCH|CYCLE)\b", re.IGNORECASE)
_BEGINNINGS: Final = ("SEARCH ", "CYCLE ")


def with_clauses_moved(sql: str) -> str:
    """`sql` as sqlglot can read it."""
    if _CLAUSE.search(sql) is None:
        return sql
    found = tokens(sql)
    words = words_of(found)
    edits: list[tuple[int, int, str]] = []
    for at, word in enumerate(words):
        if word not in ("SEARCH", "CYCLE") or at == 0 or words[at - 1] != ")":
            continue
        end = _end(found, words, at)
        start = _as_before(words, at - 1)
        if end == 0 or start is None or words[end : end + 1] != [","]:
            continue
        clause = sql[found[at].start : found[end].start].rstrip()
        doubled = clause.replace('"', '""')
        edits.append((found[start].start, found[start].start, f'USING KEY ("{doubled}") '))
        edits.append((found[at].start, found[end].start, ""))
    for first, last, text in sorted(edits, reverse=True):
        sql = sql[:first] + text + sql[last:]
    return sql


def _end(found: Sequence[Token], words: Sequence[str], at: int) -> int:
    """Where the clauses that begin at `at` end; 0 where these are none."""
    end = 0
    if words[at] == "SEARCH":
        if list(words[at + 2 : at + 4]) != ["FIRST", "BY"]:
            return 0
        end = at = _behind_set(found, words, at + 4)
    if at and words[at : at + 1] == ["CYCLE"]:
        at = _behind_set(found, words, at + 1)
        while 0 < at < len(words) and words[at] not in ("USING", ",", ")"):
            at += 1
        end = at + 2 if at and words[at : at + 1] == ["USING"] else 0
    return end


def _behind_set(found: Sequence[Token], words: Sequence[str], at: int) -> int:
    """Behind `names SET name`; 0 where there is something else."""
    while at < len(found) and words[at] != "SET":
        if found[at].kind not in (WORD, QUOTED) and words[at] != ",":
            return 0
        at += 1
    return at + 2 if at < len(found) else 0


def _as_before(words: Sequence[str], close: int) -> int | None:
    """Where the AS stands of the WITH query whose parenthesis closes there."""
    depth = 0
    for at in range(close, 0, -1):
        depth += (words[at] == ")") - (words[at] == "(")
        if depth == 0:
            at -= 1
            while at > 0 and words[at] in ("MATERIALIZED", "NOT"):
                at -= 1
            return at if words[at] == "AS" else None
    return None


def clause_of(item: exp.Expr) -> str:
    """The clauses that were moved, of one WITH query; "" = none. Raises 42601 for USING KEY as somebody wrote it."""
    keys = item.args.get("key_expressions")
    if not keys:
        return ""
    text = str(keys[0].this)
    if len(keys) > 1 or not text.upper().startswith(_BEGINNINGS):
        raise syntax_error_at("USING", 0)
    return text
