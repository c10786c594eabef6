"""AS OF SYSTEM TIME (an extension): the clause, cut out of a statement, and the instant it means.

    SELECT ... AS OF SYSTEM TIME '-10s'
    BEGIN READ ONLY AS OF SYSTEM TIME '2026-09-01 10:00:00+00'

The literal is an interval before now (with its minus sign) or a timestamp. Which instants can be read is storage's
matter: it keeps versions for some minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.lexer import Token, string_value, syntax_error_at, syntax_error_at_end
from tausql.sql.types.builtin import INTERVAL, TIMESTAMPTZ
from tausql.sql.types.session_format import SessionFormat

_CLAUSE: Final = ["AS", "OF", "SYSTEM", "TIME"]


class Cut(NamedTuple):
    """The statement without the clause, blanks in its place so that positions stay; and the clause's literal."""

    text: str
    tokens: list[Token]
    as_of: str


def cut(text: str, tokens: Sequence[Token], words: Sequence[str]) -> Cut | None:
    """None: there is no such clause. Raises 42601 where no literal follows it."""
    for at in range(len(words) - 3):
        if words[at] != "AS" or list(words[at : at + 4]) != _CLAUSE:
            continue
        if at + 4 >= len(tokens):
            raise syntax_error_at_end(text)
        literal = tokens[at + 4]
        value = string_value(literal)
        if value is None:
            raise syntax_error_at(literal.text, literal.start)
        start, end = tokens[at].start, literal.start + len(literal.text)
        return Cut(text[:start] + " " * (end - start) + text[end:], [*tokens[:at], *tokens[at + 5 :]], value)
    return None


def instant(text: str, now_us: int, format: SessionFormat) -> int:
    """Microseconds since 2000. Raises 22007 for what is neither, 22023 for what is not in the past."""
    if text.lstrip().startswith("-"):
        months, days, micros = INTERVAL.text_in(text, format, -1)
        if months:
            raise SqlError(Code.invalid_parameter_value, "AS OF SYSTEM TIME does not go back by months")
        at = now_us + days * 86_400_000_000 + micros
    else:
        at = TIMESTAMPTZ.text_in(text, format, -1)
    if at > now_us:
        raise SqlError(Code.invalid_parameter_value, f'AS OF SYSTEM TIME "{text}" is not in the past')
    return int(at)
