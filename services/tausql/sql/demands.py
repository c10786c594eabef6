"""Calls that have things go wrong on demand: `SELECT tausql.fail_next_commit('OC000')`, `CALL tausql.hold_jobs()`.

They are statements of their own and no functions of the catalogue: what they do must happen once, now, and whatever
becomes of the transaction they stand in. So they take literals only, and nothing else may stand in the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.lexer import NUMBER, STRING, Token, name_value, string_value

# Name -> how many arguments it takes, at least and at most.
CALLS: Final = MappingProxyType(
    {"fail_next_commit": (1, 2), "hold_jobs": (0, 0), "release_jobs": (0, 0), "jobs_held": (0, 0)}
)


def read_call(tokens: Sequence[Token], words: Sequence[str]) -> tuple[str, str, dict[str, Any]] | None:
    """(kind, command tag, options) of `SELECT | CALL tausql.name(literals) [AS label]`; None: no such statement."""
    if words[0] not in ("SELECT", "CALL") or words[1:3] != ["TAUSQL", "."] or words[4:5] != ["("]:
        return None
    name = name_value(tokens[3]) or ""
    if name not in CALLS:
        raise SqlError(Code.undefined_function, f"function tausql.{name} does not exist")
    arguments: list[str | int] = []
    at = 5
    while at < len(tokens) and tokens[at].text != ")":
        token = tokens[at]
        if token.kind == STRING:
            arguments.append(string_value(token) or "")
        elif token.kind == NUMBER and token.text.isdigit():
            arguments.append(int(token.text))
        else:
            raise _literals_only(name)
        at += 1
        if at < len(tokens) and tokens[at].text == ",":
            at += 1
    label = name
    rest = tokens[at + 1 :]
    if len(rest) == 2 and rest[0].word == "AS":
        label = name_value(rest[1]) or name
    elif rest or at >= len(tokens):
        raise _literals_only(name)
    least, most = CALLS[name]
    if not least <= len(arguments) <= most:
        raise SqlError(Code.undefined_function, f"function tausql.{name} does not take {len(arguments)} arguments")
    tag = "CALL" if words[0] == "CALL" else "SELECT 1"
    return "testing", tag, {"name": name, "arguments": arguments, "label": label}


def _literals_only(name: str) -> SqlError:
    return SqlError(
        Code.syntax_error,
        f"tausql.{name} is called with literals, in a statement of its own",
        hint=f"SELECT tausql.{name}(...) or CALL tausql.{name}(...).",
    )
