"""Statements that Aurora DSQL refuses and this cluster takes: with `extensions`, because they are whole here; where it
is `lenient`, because tools send them and there is nothing for them to do.

Asked only where one of the two is on, before the refusals are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tausql.sql import prepared_by_name
from tausql.sql.dialect import Dialect
from tausql.sql.lexer import Token, name_value, syntax_error_at, syntax_error_at_end

Classified = tuple[str, str, dict[str, Any]]


def classify(text: str, tokens: Sequence[Token], words: Sequence[str], dialect: Dialect) -> Classified | None:
    """(kind, command tag, options); None: DSQL's rules hold."""
    found = _extension(text, tokens, words) if dialect.extensions else None
    if found is None and (dialect.extensions or dialect.lenient):
        found = prepared_by_name.read(text, tokens, words)
    if found is None and dialect.lenient:
        found = _harmless(words)
    return found


def _extension(text: str, tokens: Sequence[Token], words: Sequence[str]) -> Classified | None:
    first = words[0]
    if first == "SAVEPOINT":
        return "savepoint", "SAVEPOINT", {"name": _only_name(text, tokens, 1)}
    if first == "RELEASE":
        at = 2 if words[1:2] == ["SAVEPOINT"] and len(words) > 2 else 1
        return "release", "RELEASE", {"name": _only_name(text, tokens, at)}
    if first in ("ROLLBACK", "ABORT"):
        at = 2 if words[1:2] in (["WORK"], ["TRANSACTION"]) else 1
        if words[at : at + 1] == ["TO"]:
            at += 2 if words[at + 1 : at + 2] == ["SAVEPOINT"] and len(words) > at + 2 else 1
            return "rollback_to", "ROLLBACK", {"name": _only_name(text, tokens, at)}
    if first == "CREATE" and _makes_temporary(words):
        return "create_table", "CREATE TABLE", {"tokens": tokens, "temporary": True}
    if words[1:2] == ["TYPE"]:
        kind = _type_change(words)
        if kind:
            return kind, f"{first} TYPE", {"tokens": tokens}
    if first == "TRUNCATE":
        return "truncate", "TRUNCATE TABLE", {"tokens": tokens}
    return None


def _type_change(words: Sequence[str]) -> str:
    """Of enum types; "" for others, which are refused as on Aurora DSQL."""
    if words[0] == "CREATE" and "ENUM" in words[3:7] and words[words.index("ENUM") - 1] == "AS":
        return "create_type"
    return {"ALTER": "alter_type", "DROP": "drop_type"}.get(words[0], "")


def _makes_temporary(words: Sequence[str]) -> bool:
    """CREATE TEMPORARY TABLE, or CREATE TABLE pg_temp.name."""
    at = 2 if words[1:2] in (["LOCAL"], ["GLOBAL"]) else 1
    if words[at : at + 1] in (["TEMP"], ["TEMPORARY"]):
        return words[at + 1 : at + 2] == ["TABLE"]
    at = 5 if list(words[2:5]) == ["IF", "NOT", "EXISTS"] else 2
    return words[1:2] == ["TABLE"] and list(words[at : at + 2]) == ["PG_TEMP", "."]


def _harmless(words: Sequence[str]) -> Classified | None:
    first, rest = words[0], list(words[1:])
    if first == "DISCARD" and rest in (["ALL"], ["PLANS"], ["SEQUENCES"], ["TEMP"], ["TEMPORARY"]):
        return "discard", f"DISCARD {'TEMP' if rest == ['TEMPORARY'] else rest[0]}", {
            "all": rest == ["ALL"],
            "temporary": rest[0] in ("ALL", "TEMP", "TEMPORARY"),
        }
    if first == "CLOSE" and rest == ["ALL"]:
        return "nothing", "CLOSE CURSOR ALL", {}
    if first == "UNLISTEN" and len(rest) == 1:
        return "nothing", "UNLISTEN", {}
    if first == "LOCK" and rest:
        return "lock_table", "LOCK TABLE", {}
    if first == "VACUUM":
        return "nothing", "VACUUM", {}
    return None


def _only_name(text: str, tokens: Sequence[Token], at: int) -> str:
    """The identifier at `at`, which ends the statement."""
    if at >= len(tokens):
        raise syntax_error_at_end(text)
    name = name_value(tokens[at])
    if name is None or at + 1 < len(tokens):
        wrong = tokens[at if name is None else at + 1]
        raise syntax_error_at(wrong.text, wrong.start)
    return name
