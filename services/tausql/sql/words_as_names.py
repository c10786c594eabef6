"""Columns called `by`, `set`, `insert`, `conflict`: names in PostgreSQL, wherever they cannot be the keyword.

sqlglot takes some of PostgreSQL's unreserved keywords for keywords wherever they stand, and so do the checks that are
made before it. Where what stands around such a word makes it a name it is quoted before anything reads the statement.
"""

from __future__ import annotations

from typing import Final

from tausql.sql.lexer import WORD, Token

_CANDIDATES: Final = frozenset(
    "ALTER BETWEEN BY CONFLICT CUBE DELETE DROP IF INSERT LOCK REVOKE ROLLBACK ROLLUP SET".split()
)
_NO_KEYWORDS: Final = frozenset("ALTER DROP LOCK REVOKE ROLLBACK".split())  # never in the middle of a query
# What an operand, or a name, follows.
_WANTS_NAME: Final = frozenset(
    "SELECT , ( . WHERE AND OR BY RETURNING AS = <> != < > <= >= + - / % || SET ON WHEN THEN ELSE HAVING DISTINCT CASE"
    " FROM JOIN INTO UPDATE WITH".split()
)
_STARTS: Final = frozenset(("(", ")", "EXPLAIN", "ANALYZE", "VERBOSE"))
_BEFORE_BY: Final = frozenset(("GROUP", "ORDER", "PARTITION", "FIRST"))


def with_names_quoted(text: str, tokens: list[Token], words: list[str]) -> str | None:
    """The statement with such names in quotes, None where it has none."""
    if _CANDIDATES.isdisjoint(words):
        return None
    found = [at for at in range(1, len(words)) if words[at] in _CANDIDATES and _is_name(tokens, words, at)]
    if not found:
        return None
    parts, end = [], 0
    for at in found:
        token = tokens[at]
        parts += [text[end : token.start], f'"{token.text.lower()}"']
        end = token.start + len(token.text)
    return "".join([*parts, text[end:]])


def _is_name(tokens: list[Token], words: list[str], at: int) -> bool:
    word, before = words[at], words[at - 1]
    following = words[at + 1] if at + 1 < len(words) else ""
    if tokens[at].kind != WORD or before == "::":
        return False
    if before == "." or following == "." or word in _NO_KEYWORDS:
        return True
    if word == "BY":
        return before not in _BEFORE_BY
    if word == "CONFLICT":
        return before != "ON" or "INSERT" not in words
    if word == "INSERT":
        return following != "INTO" and not _begins(tokens, words, at)
    if word == "DELETE":
        return (following != "FROM" or before not in _STARTS) and not _begins(tokens, words, at)
    if word in ("CUBE", "ROLLUP"):
        return following != "("
    if word == "IF":
        return following not in ("(", "EXISTS", "NOT")
    if word == "SET" and before == "UPDATE" and at > 1 and words[at - 2] == "DO":
        return False
    return before in _WANTS_NAME  # SET, BETWEEN


def _begins(tokens: list[Token], words: list[str], at: int) -> bool:
    """Whether a statement without its INTO or FROM begins here: `AS (DELETE t`, `) INSERT t`, an error of syntax."""
    if at + 1 >= len(words) or tokens[at + 1].kind != WORD or words[at + 1] == "FROM":
        return False
    if words[at - 1] == "(":
        return at > 1 and words[at - 2] in ("AS", "MATERIALIZED")
    return words[at - 1] == ")" and words[0] == "WITH" and words[at] == "INSERT"
