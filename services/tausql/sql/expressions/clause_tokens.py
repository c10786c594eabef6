"""Clauses that sqlglot does not read, or takes for something else: what of the tokens they are."""

from __future__ import annotations

from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from tausql.sql.expressions.token_edits import MARK

_AFTER_ORDER: Final = frozenset(
    ("NULLS", "LIMIT", "OFFSET", "FETCH", "FOR", "ROWS", "RANGE", "GROUPS", "UNION", "INTERSECT", "EXCEPT", "WINDOW")
)
_AFTER_WINDOW_NAME: Final = frozenset(("PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"))
COPIED_WINDOW: Final = MARK + "window "


def as_written(token: Token) -> str:
    """A name, folded unless it is quoted."""
    return token.text if token.token_type is TokenType.IDENTIFIER else token.text.lower()


def ends_item(tokens: list[Token], at: int) -> bool:
    """Whether a list item may end before this token."""
    if at >= len(tokens) or tokens[at].token_type in (TokenType.COMMA, TokenType.R_PAREN, TokenType.SEMICOLON):
        return True
    return tokens[at].text.upper() in _AFTER_ORDER


def using_alias(tokens: list[Token], at: int) -> tuple[int, Token] | None:
    """(where the list ends, the name) of `USING (a, b) AS name`; None for other uses of USING."""
    end = at + 1
    if end >= len(tokens) or tokens[end].token_type is not TokenType.L_PAREN:
        return None
    while end < len(tokens) and tokens[end].token_type is not TokenType.R_PAREN:
        end += 1
        if end < len(tokens) and tokens[end].token_type in (TokenType.L_PAREN, TokenType.SELECT, TokenType.DOT):
            return None
    if end + 2 >= len(tokens) or tokens[end + 1].token_type is not TokenType.ALIAS:
        return None
    return end, tokens[end + 2]


def searched_columns(tokens: list[Token], at: int) -> tuple[int, str] | None:
    """(where SET stands, the names with marks between) of the columns of SEARCH or CYCLE, if there are several."""
    word = tokens[at].text.upper()
    if word not in ("BY", "CYCLE"):
        return None
    if word == "BY":
        words = [token.text.upper() for token in tokens[max(at - 3, 0) : at]]
        if words not in (["SEARCH", "DEPTH", "FIRST"], ["SEARCH", "BREADTH", "FIRST"]):
            return None
    names: list[str] = []
    at += 1
    while at + 1 < len(tokens) and tokens[at].token_type is not TokenType.L_PAREN:
        token = tokens[at]
        names.append(as_written(token))
        if tokens[at + 1].token_type is not TokenType.COMMA:
            return (at + 1, MARK.join(names)) if len(names) > 1 and tokens[at + 1].text.upper() == "SET" else None
        at += 2
    return None


def copied_window(tokens: list[Token], at: int) -> Token | None:
    """The name in `OVER (name)`, which is a window made from that one, where `OVER name` is that one."""
    if at == 0 or at + 2 >= len(tokens) or tokens[at - 1].text.upper() != "OVER":
        return None
    name = tokens[at + 1]
    named = name.token_type in (TokenType.VAR, TokenType.IDENTIFIER)
    return name if named and tokens[at + 2].token_type is TokenType.R_PAREN else None


def is_bare_groups(tokens: list[Token], at: int) -> bool:
    """`OVER (GROUPS 1 PRECEDING)`, where sqlglot takes GROUPS for the name of a window."""
    if at == 0 or at + 2 >= len(tokens) or tokens[at - 1].text.upper() != "OVER":
        return False
    word, after = tokens[at + 1], tokens[at + 2]
    if word.text.upper() != "GROUPS" or word.token_type is TokenType.IDENTIFIER:
        return False
    return after.token_type is not TokenType.R_PAREN and after.text.upper() not in _AFTER_WINDOW_NAME
