"""Literals lifted out of a statement: `... WHERE id = 42` and `... WHERE id = 43` are one template, hence one plan.

Only where a literal can be nothing but a value. LIMIT, ordinals, type modifiers, typed literals (date '...'), names of
columns: left alone, and so is everything this cannot be sure of. A literal becomes a parameter of the type PostgreSQL
gives it: integer, bigint or numeric; strings stay untyped, as they are in the statement itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import SqlError
from tausql.sql.lexer import NUMBER, OPERATOR, PARAM, PUNCTUATION, STRING, WORD, Token, tokens
from tausql.sql.types.builtin import INT4, INT8, NUMERIC
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

LITERALS_MAX: Final = 2000
TEXT_MAX: Final = 200_000

# A clause in which literals are values, and those in which they need not be.
_LIFTING: Final = frozenset(("WHERE", "VALUES", "SET", "ON", "HAVING"))
_KEEPING: Final = frozenset(
    ("SELECT", "FROM", "GROUP", "ORDER", "LIMIT", "OFFSET", "FETCH", "RETURNING", "WITH", "WINDOW", "UNION",
     "INTERSECT",
     "EXCEPT", "DO", "CONFLICT", "USING", "FOR", "INTO", "OVER", "AS")
)  # fmt: skip
_FIRST_WORDS: Final = frozenset(("SELECT", "INSERT", "UPDATE", "DELETE"))
# After these a string is a string; after other words it may be a typed literal or part of a special syntax.
_VALUE_BEFORE: Final = frozenset(
    ("AND", "OR", "NOT", "BETWEEN", "LIKE", "ILIKE", "WHEN", "THEN", "ELSE", "WHERE", "ON", "HAVING", "FROM", "ANY",
     "ALL",
     "DISTINCT")
)  # fmt: skip
_TYPE_WORDS: Final = frozenset(
    ("NUMERIC", "DECIMAL", "DEC", "VARCHAR", "CHAR", "CHARACTER", "VARYING", "BPCHAR", "BIT", "FLOAT", "TIMESTAMP",
     "TIMESTAMPTZ", "TIME", "TIMETZ", "INTERVAL", "OVERLAY", "SUBSTRING", "POSITION", "EXTRACT", "TRIM")
)  # fmt: skip


@dataclass(slots=True)
class Lifted:
    """`template`: the statement with $1, $2, ... for literals. `values` and `types`: of the literals; type None: a
    string that gets its type from where it stands."""

    template: str
    values: list[Any]
    types: tuple[Type | None, ...]
    found: list[Token]  # of the text that had the literals
    places: list[int]  # which of those are the literals

    def tokens(self) -> list[Token] | None:
        """The template's tokens, without reading it again; None where it has to be read (`and'x'` becomes `and$1`)."""
        made: list[Token] = []
        moved = before = 0  # `before`: tokens that are in `made` already
        for number, at in enumerate(self.places, 1):
            same = self.found[before:at]
            made += [Token(kind, text, start + moved) for kind, text, start in same] if moved else same
            start = self.found[at].start
            if at and self.found[at - 1].kind in (WORD, PARAM) and _ends_at(self.found[at - 1], start):
                return None
            made.append(Token(PARAM, f"${number}", start + moved))
            moved += len(made[-1].text) - len(self.found[at].text)
            before = at + 1
        made += [Token(kind, text, start + moved) for kind, text, start in self.found[before:]]
        return made


def _ends_at(token: Token, end: int) -> bool:
    return token.start + len(token.text) == end


def lift(text: str) -> Lifted | None:
    """None: nothing to lift, or not a statement for it (several statements, parameters of its own, other kinds)."""
    if len(text) > TEXT_MAX:
        return None
    try:
        found = tokens(text)
    except SqlError:
        return None  # the parser will say what is wrong
    if found and found[-1].text == ";":
        found.pop()
    if not found or found[0].word not in _FIRST_WORDS:
        return None
    lifter = _Lifter(text)
    if not lifter.run(found) or not lifter.values:
        return None
    end = found[-1].start + len(found[-1].text)
    lifter.parts.append(text[lifter.at : end])
    return Lifted("".join(lifter.parts), lifter.values, tuple(lifter.types), found, lifter.places)


class _Lifter:
    __slots__ = ("at", "parts", "places", "text", "types", "values")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.parts: list[str] = []
        self.values: list[Any] = []
        self.types: list[Type | None] = []
        self.places: list[int] = []

    def run(self, found: Sequence[Token]) -> bool:
        """False: leave the whole statement alone."""
        lifting = inferring = False
        stack: list[bool] = []
        previous = Token(WORD, "", 0)
        for at, token in enumerate(found):
            kind = token.kind
            if kind == WORD:
                word = token.text.upper()
                if word in _LIFTING:
                    lifting = not inferring and (word != "ON" or previous.text.upper() != "DISTINCT")
                elif word in _KEEPING:
                    lifting = False
                    if word in ("CONFLICT", "DO"):  # between them is what an index says, not what a row is
                        inferring = word == "CONFLICT"
            elif kind == PUNCTUATION:
                character = token.text
                if character == "(":
                    stack.append(lifting)
                    if previous.kind == WORD and previous.text.upper() in _TYPE_WORDS:
                        lifting = False
                elif character == "[":
                    stack.append(lifting)
                    lifting = False
                elif character in ")]":
                    if not stack:
                        return False
                    lifting = stack.pop()
                elif character == ";":
                    return False
            elif kind == PARAM:
                return False
            elif lifting and kind == NUMBER:
                if not self._number(token, previous, at):
                    return False
            elif lifting and kind == STRING and not self._string(token, previous, found, at):
                return False
            previous = token
        return True

    def _number(self, token: Token, previous: Token, at: int) -> bool:
        if previous.kind == WORD and previous.text.upper() not in _VALUE_BEFORE:
            return True
        if previous.kind == NUMBER or token.text[:2].lower() in ("0x", "0o", "0b") or "_" in token.text:
            return True
        try:
            value: Any = int(token.text)
        except ValueError:
            value = Decimal(token.text)
            if "e" in token.text.lower() or token.text.endswith("."):
                return True
        if isinstance(value, int):
            type = INT4 if value < 1 << 31 else INT8 if value < 1 << 63 else NUMERIC
            if type is NUMERIC:
                value = Decimal(value)
        else:
            type = NUMERIC
        self._put(token, at, value, type)
        return True

    def _string(self, token: Token, previous: Token, found: Sequence[Token], at: int) -> bool:
        following = found[at + 1] if at + 1 < len(found) else None
        if following is not None and following.kind == STRING:
            return False  # 'a' 'b' on two lines is one string
        plain = previous.kind == OPERATOR or previous.text in ("(", ",")
        if not plain and not (previous.kind == WORD and previous.text.upper() in _VALUE_BEFORE):
            return True
        if (
            following is not None
            and following.kind == WORD
            and following.text.upper() in ("ESCAPE", "COLLATE", "UESCAPE")
        ):
            return True
        self._put(token, at, token.text[1:-1].replace("''", "'"), None)
        return True

    def _put(self, token: Token, at: int, value: Any, type: Type | None) -> None:
        if len(self.values) >= LITERALS_MAX:
            return
        self.places.append(at)
        self.values.append(value)
        self.types.append(type)
        self.parts.append(self.text[self.at : token.start])
        self.parts.append(f"${len(self.values)}")
        self.at = token.start + len(token.text)


def literal_params(lifted: Lifted, parameter_types: Sequence[Type], format: SessionFormat) -> list[Any]:
    """The literals as datums of the template's parameters. Strings are read by their types: 22P02 and so on."""
    return [
        value if type is not None else parameter_type.text_in(value, format, -1)
        for value, type, parameter_type in zip(lifted.values, lifted.types, parameter_types, strict=True)
    ]
