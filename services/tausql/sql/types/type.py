"""A PostgreSQL type: what it is called, and how its values are read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tausql.sql.types.session_format import SessionFormat

TextIn = Callable[[str, SessionFormat, int], Any]
TextOut = Callable[[Any, SessionFormat], str]
BinaryIn = Callable[[bytes], Any]
BinaryOut = Callable[[Any], bytes]

VARLENA: Final = -1


class Type:
    """One row of pg_type. Compared by identity: there is one object per oid (see registry).

    text_in(text, format, typmod) -> datum    raises 22P02, 22007, ... in PostgreSQL's words
    text_out(datum, format) -> str; binary_in(bytes) -> datum; binary_out(datum) -> bytes
    input_volatile: text_in depends on the session (time zone, 'now', names of relations).
    """

    __slots__ = (
        "array_oid",
        "binary_in",
        "binary_out",
        "category",
        "element_oid",
        "input_volatile",
        "length",
        "name",
        "oid",
        "preferred",
        "sql_name",
        "text_in",
        "text_out",
    )

    def __init__(
        self,
        oid: int,
        name: str,
        sql_name: str,
        category: str,
        length: int,
        array_oid: int,
        codec: tuple[TextIn, TextOut, BinaryIn, BinaryOut],
        *,
        preferred: bool = False,
        element_oid: int = 0,
        input_volatile: bool = False,
    ) -> None:
        self.oid = oid
        self.name = name
        self.sql_name = sql_name
        self.category = category
        self.preferred = preferred
        self.length = length
        self.array_oid = array_oid
        self.element_oid = element_oid
        self.input_volatile = input_volatile
        self.text_in, self.text_out, self.binary_in, self.binary_out = codec

    @property
    def is_array(self) -> bool:
        return self.element_oid != 0 and self.category == "A"

    def display(self, typmod: int = -1) -> str:
        """format_type(): 'character varying(20)', 'numeric(10,2)', 'timestamp(3) with time zone', 'integer[]'."""
        if typmod < 0:
            return self.sql_name
        if self.is_array:
            return display_with_typmod(self.name[1:], self.sql_name[:-2], typmod) + "[]"
        return display_with_typmod(self.name, self.sql_name, typmod)

    def __repr__(self) -> str:
        return f"<{self.sql_name}>"


def display_with_typmod(name: str, sql_name: str, typmod: int) -> str:
    """The SQL name of a type with its modifier."""
    if name in ("varchar", "bpchar"):
        return f"{sql_name}({typmod - 4})"
    if name in ("bit", "varbit"):
        return f"{sql_name}({typmod})"
    if name == "numeric":
        precision, scale = numeric_typmod_parts(typmod)
        return f"numeric({precision},{scale})"
    if name in ("timestamp", "timestamptz", "time", "timetz"):
        head, _, tail = sql_name.partition(" ")
        return f"{head}({typmod}) {tail}"
    if name == "interval":
        return "interval" + _interval_typmod_text(typmod)
    return sql_name


def numeric_typmod(precision: int, scale: int) -> int:
    return ((precision << 16) | (scale & 0x7FF)) + 4


def numeric_typmod_parts(typmod: int) -> tuple[int, int]:
    """(precision, scale); the scale is an 11-bit signed number."""
    packed = typmod - 4
    scale = packed & 0x7FF
    return (packed >> 16) & 0xFFFF, (scale ^ 1024) - 1024


INTERVAL_FULL_RANGE: Final = 0x7FFF
INTERVAL_FULL_PRECISION: Final = 0xFFFF
MONTH_BIT, YEAR_BIT, DAY_BIT, HOUR_BIT, MINUTE_BIT, SECOND_BIT = (1 << n for n in (1, 2, 3, 10, 11, 12))
INTERVAL_FIELDS: Final = {
    "year": YEAR_BIT,
    "month": MONTH_BIT,
    "day": DAY_BIT,
    "hour": HOUR_BIT,
    "minute": MINUTE_BIT,
    "second": SECOND_BIT,
    "year to month": YEAR_BIT | MONTH_BIT,
    "day to hour": DAY_BIT | HOUR_BIT,
    "day to minute": DAY_BIT | HOUR_BIT | MINUTE_BIT,
    "day to second": DAY_BIT | HOUR_BIT | MINUTE_BIT | SECOND_BIT,
    "hour to minute": HOUR_BIT | MINUTE_BIT,
    "hour to second": HOUR_BIT | MINUTE_BIT | SECOND_BIT,
    "minute to second": MINUTE_BIT | SECOND_BIT,
}


def interval_typmod(fields: int = INTERVAL_FULL_RANGE, precision: int = INTERVAL_FULL_PRECISION) -> int:
    return (fields << 16) | precision


def _interval_typmod_text(typmod: int) -> str:
    fields, precision = (typmod >> 16) & 0x7FFF, typmod & 0xFFFF
    words = next((f" {name}" for name, bits in INTERVAL_FIELDS.items() if bits == fields), "")
    return words + (f"({precision})" if precision != INTERVAL_FULL_PRECISION else "")
