"""PostgreSQL's casts between types: which exist, in which context, and what they do to a value.

A cast is a Conversion; fitting the result into varchar(20) or numeric(10,2) is a step of its own (length_coercion), as
in PostgreSQL, because an explicit cast truncates where an assignment fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.types import builtin as b
from tausql.sql.types import conversions as c
from tausql.sql.types import run_time as r
from tausql.sql.types.bits import bits_of_integer, fit_bit, fit_varbit, integer_of_bits
from tausql.sql.types.datetimes import round_us
from tausql.sql.types.intervals import fit_interval
from tausql.sql.types.network import Inet
from tausql.sql.types.numbers import fit_numeric
from tausql.sql.types.ranges import normalized
from tausql.sql.types.registry import element_of
from tausql.sql.types.scalars import fit_bpchar, fit_varchar
from tausql.sql.types.type import Type

IMPLICIT: Final = "implicit"
ASSIGNMENT: Final = "assignment"
EXPLICIT: Final = "explicit"
_RANK: Final = MappingProxyType({IMPLICIT: 0, ASSIGNMENT: 1, EXPLICIT: 2})


class Conversion:
    """How a datum of `source` becomes one of `target`.

    function: None (same representation), else function(value) or, with needs_format, function(value, SessionFormat).
    immutable: False where the session's zone, 'now' or the catalogue matter.
    is_coercion_by_text: went through text_out/text_in (PostgreSQL's I/O conversion).
    """

    __slots__ = ("context", "function", "immutable", "is_coercion_by_text", "needs_format", "source", "target")

    def __init__(
        self,
        source: Type,
        target: Type,
        context: str,
        function: Callable[..., Any] | None,
        *,
        needs_format: bool = False,
        immutable: bool = True,
        is_coercion_by_text: bool = False,
    ) -> None:
        self.source = source
        self.target = target
        self.context = context
        self.function = function
        self.needs_format = needs_format
        self.immutable = immutable
        self.is_coercion_by_text = is_coercion_by_text


def _table() -> Mapping[tuple[int, int], Conversion]:
    rows: dict[tuple[int, int], Conversion] = {}

    def add(
        source: Type, target: Type, context: str, function: Callable[..., Any] | None = None, zoned: bool = False
    ) -> None:
        rows[source.oid, target.oid] = Conversion(
            source, target, context, function, needs_format=zoned, immutable=not zoned
        )

    _add_numbers(add)
    _add_strings(add)
    _add_times(add)
    _add_oids(add)
    _add_jsons(add)
    _add_run_time(add)
    return MappingProxyType(rows)


Add = Callable[..., None]


def _add_numbers(add: Add) -> None:
    integers = (b.INT2, b.INT4, b.INT8)
    for at, source in enumerate(integers):
        for target in integers[at + 1 :]:
            add(source, target, IMPLICIT)
            add(target, source, ASSIGNMENT, c.integer_narrowing(source))
        add(source, b.FLOAT4, IMPLICIT, c.int_to_float4)
        add(source, b.FLOAT8, IMPLICIT, float)
        add(source, b.NUMERIC, IMPLICIT, c.int_to_numeric)
        add(b.FLOAT4, source, ASSIGNMENT, c.float_to_integer(source))
        add(b.FLOAT8, source, ASSIGNMENT, c.float_to_integer(source))
        add(b.NUMERIC, source, ASSIGNMENT, c.numeric_to_integer(source))
        add(b.JSONB, source, EXPLICIT, c.jsonb_to_number(source, c.numeric_to_integer(source)))
    add(b.NUMERIC, b.FLOAT4, IMPLICIT, c.numeric_to_float4)
    add(b.NUMERIC, b.FLOAT8, IMPLICIT, c.numeric_to_float8)
    add(b.FLOAT4, b.NUMERIC, ASSIGNMENT, c.float4_to_numeric)
    add(b.FLOAT8, b.NUMERIC, ASSIGNMENT, c.float8_to_numeric)
    add(b.FLOAT4, b.FLOAT8, IMPLICIT)
    add(b.FLOAT8, b.FLOAT4, ASSIGNMENT, c.float8_to_float4)
    add(b.INT4, b.BOOL, EXPLICIT, bool)
    add(b.BOOL, b.INT4, EXPLICIT, int)
    add(b.INT4, b.CHAR, EXPLICIT, c.int_to_char)
    add(b.CHAR, b.INT4, EXPLICIT, c.char_to_int)


def _add_strings(add: Add) -> None:
    add(b.TEXT, b.VARCHAR, IMPLICIT)
    add(b.VARCHAR, b.TEXT, IMPLICIT)
    add(b.TEXT, b.BPCHAR, IMPLICIT)
    add(b.VARCHAR, b.BPCHAR, IMPLICIT)
    add(b.BPCHAR, b.TEXT, IMPLICIT, c.without_blanks)
    add(b.BPCHAR, b.VARCHAR, IMPLICIT, c.without_blanks)
    add(b.CHAR, b.TEXT, IMPLICIT)
    add(b.CHAR, b.VARCHAR, ASSIGNMENT)
    add(b.CHAR, b.BPCHAR, ASSIGNMENT)
    for source in (b.TEXT, b.VARCHAR, b.BPCHAR):
        add(source, b.CHAR, ASSIGNMENT, c.first_char)
        add(source, b.NAME, IMPLICIT, c.to_name)
    add(b.NAME, b.TEXT, IMPLICIT)
    add(b.NAME, b.VARCHAR, ASSIGNMENT)
    add(b.NAME, b.BPCHAR, ASSIGNMENT)
    for target in (b.TEXT, b.VARCHAR, b.BPCHAR):
        add(b.BOOL, target, ASSIGNMENT, c.bool_to_text)


def _add_times(add: Add) -> None:
    add(b.DATE, b.TIMESTAMP, IMPLICIT, c.date_to_timestamp)
    add(b.DATE, b.TIMESTAMPTZ, IMPLICIT, c.date_to_timestamptz, True)
    add(b.TIMESTAMP, b.TIMESTAMPTZ, IMPLICIT, c.from_local, True)
    add(b.TIMESTAMPTZ, b.TIMESTAMP, ASSIGNMENT, c.to_local, True)
    add(b.TIMESTAMP, b.DATE, ASSIGNMENT, c.timestamp_to_date)
    add(b.TIMESTAMPTZ, b.DATE, ASSIGNMENT, c.timestamptz_to_date, True)
    add(b.TIMESTAMP, b.TIME, ASSIGNMENT, c.timestamp_to_time)
    add(b.TIMESTAMPTZ, b.TIME, ASSIGNMENT, c.timestamptz_to_time, True)
    add(b.TIMESTAMPTZ, b.TIMETZ, ASSIGNMENT, c.timestamptz_to_timetz, True)
    add(b.TIME, b.TIMETZ, IMPLICIT, c.time_to_timetz, True)
    add(b.TIMETZ, b.TIME, ASSIGNMENT, c.timetz_to_time)
    add(b.TIME, b.INTERVAL, IMPLICIT, c.time_to_interval)
    add(b.INTERVAL, b.TIME, ASSIGNMENT, c.interval_to_time)


def _add_oids(add: Add) -> None:
    regs = (b.REGCLASS, b.REGTYPE, b.REGNAMESPACE, b.REGPROC, b.REGROLE, b.REGPROCEDURE, b.REGOPER, b.REGOPERATOR,
            b.REGCONFIG, b.REGDICTIONARY, b.REGCOLLATION)  # fmt: skip
    for integer in (b.INT2, b.INT4, b.INT8):
        for oid in (b.OID, *regs):
            add(integer, oid, IMPLICIT, c.integer_to_oid)
            if integer is not b.INT2:
                add(oid, integer, ASSIGNMENT, None if integer is b.INT8 else c.oid_to_int4)
    for reg in regs:
        add(b.OID, reg, IMPLICIT)
        add(reg, b.OID, IMPLICIT)
    for text in (b.TEXT, b.VARCHAR):
        add(text, b.REGCLASS, IMPLICIT, c.text_to_regclass, True)


def _add_jsons(add: Add) -> None:
    add(b.JSON, b.JSONB, ASSIGNMENT, c.json_to_jsonb)
    add(b.JSONB, b.JSON, ASSIGNMENT, c.jsonb_to_json)
    add(b.JSONB, b.BOOL, EXPLICIT, c.jsonb_to_bool)
    add(b.JSONB, b.NUMERIC, EXPLICIT, c.jsonb_to_number(b.NUMERIC, c.same))
    add(b.JSONB, b.FLOAT4, EXPLICIT, c.jsonb_to_number(b.FLOAT4, c.numeric_to_float4))
    add(b.JSONB, b.FLOAT8, EXPLICIT, c.jsonb_to_number(b.FLOAT8, c.numeric_to_float8))


def _add_run_time(add: Add) -> None:
    """Bit strings, addresses, ranges. integer -> bit(n) takes the length into account: see bits_cast."""
    add(r.BIT, r.VARBIT, IMPLICIT)
    add(r.VARBIT, r.BIT, IMPLICIT)
    add(r.BIT, b.INT4, EXPLICIT, lambda value: integer_of_bits(value, 32, "integer"))
    add(r.BIT, b.INT8, EXPLICIT, lambda value: integer_of_bits(value, 64, "bigint"))
    for integer in (b.INT4, b.INT8):
        add(integer, r.BIT, EXPLICIT, lambda value: bits_of_integer(value, 1))
    add(r.CIDR, r.INET, IMPLICIT)
    add(r.INET, r.CIDR, ASSIGNMENT, Inet.network)
    for target in (b.TEXT, b.VARCHAR, b.BPCHAR):
        add(r.INET, target, ASSIGNMENT, lambda value: f"{value.host()}/{value.bits}")
        add(r.CIDR, target, ASSIGNMENT, lambda value: f"{value.host()}/{value.bits}")
    for multirange in r.MULTIRANGES:
        add(multirange.range, multirange, EXPLICIT, lambda value: normalized((value,)))


def bits_cast(source: Type, target: Type, typmod: int) -> Conversion | None:
    """integer::bit(n): the lowest n bits."""
    if target is not r.BIT or source not in (b.INT4, b.INT8):
        return None
    return Conversion(source, target, EXPLICIT, lambda value: bits_of_integer(value, max(typmod, 1)))


_CASTS: Final = _table()
_STRINGS: Final = frozenset((b.TEXT.oid, b.VARCHAR.oid, b.BPCHAR.oid, b.NAME.oid))


def find_cast(source: Type, target: Type, context: str) -> Conversion | None:
    """The cast allowed in this context ('implicit' | 'assignment' | 'explicit'), or None."""
    if source is target:
        return Conversion(source, target, IMPLICIT, None)
    found = _CASTS.get((source.oid, target.oid))
    if found is not None:
        return found if _RANK[found.context] <= _RANK[context] else None
    if source is b.UNKNOWN:
        return _by_text_in(source, target, IMPLICIT) if target.category != "P" else None
    if source.is_array and target.is_array and target not in (b.INT2VECTOR, b.OIDVECTOR):
        return _array_cast(source, target, context)
    if source.category == "P" or target.category == "P":
        if source in (b.RECORD, b.VOID) and target.oid in _STRINGS and context != IMPLICIT:
            return _by_text_out(source, target)
        return None
    if target.oid in _STRINGS and context != IMPLICIT:
        return _by_text_out(source, target)
    if source.oid in _STRINGS and context == EXPLICIT:
        return _by_text_in(source, target, EXPLICIT)
    return None


def _by_text_in(source: Type, target: Type, context: str) -> Conversion:
    text_in = target.text_in
    trim = source is b.BPCHAR

    def read(value: str, format: Any) -> Any:
        return text_in(value.rstrip(" ") if trim else value, format, -1)

    return Conversion(
        source,
        target,
        context,
        read,
        needs_format=True,
        immutable=not target.input_volatile,
        is_coercion_by_text=True,
    )


def _by_text_out(source: Type, target: Type) -> Conversion:
    """Anything prints; what prints through the zone or the catalogue is not immutable."""
    zoned = source.name == "timestamptz" or source.name.startswith("reg") or source.category == "E"
    element = element_of(source)
    zoned = zoned or (element is not None and element.category == "E")
    zoned = zoned or (element is not None and (element.name == "timestamptz" or element.name.startswith("reg")))
    return Conversion(
        source,
        target,
        ASSIGNMENT,
        source.text_out,
        needs_format=True,
        immutable=not zoned,
        is_coercion_by_text=True,
    )


def _array_cast(source: Type, target: Type, context: str) -> Conversion | None:
    from_element, to_element = element_of(source), element_of(target)
    assert from_element is not None
    assert to_element is not None
    element = find_cast(from_element, to_element, context)
    if element is None:
        return None
    if element.function is None:
        return Conversion(source, target, element.context, None)
    convert = element.function
    if element.needs_format:

        def with_format(value: list[Any], format: Any) -> list[Any]:
            return c.map_elements(value, lambda item: convert(item, format))

        return Conversion(source, target, element.context, with_format, needs_format=True, immutable=element.immutable)
    return Conversion(source, target, element.context, lambda value: c.map_elements(value, convert))


def length_coercion(type: Type, typmod: int, explicit: bool) -> Callable[[Any], Any] | None:
    """datum -> datum that fits the type modifier; None where there is nothing to do."""
    if typmod < 0:
        return None
    name = type.name
    if name == "varchar":
        return lambda value: fit_varchar(value, typmod, explicit)
    if name == "bpchar":
        return lambda value: fit_bpchar(value, typmod, explicit)
    if name == "numeric":
        return lambda value: fit_numeric(value, typmod)
    if name == "bit":
        return lambda value: fit_bit(value, typmod, explicit)
    if name == "varbit":
        return lambda value: fit_varbit(value, typmod, explicit)
    if name in ("timestamp", "timestamptz", "time"):
        return lambda value: round_us(value, typmod)
    if name == "timetz":
        return lambda value: (round_us(value[0], typmod), value[1])
    if name == "interval":
        return lambda value: fit_interval(value, typmod)
    element = element_of(type) if type.is_array else None
    if element is not None:
        fit = length_coercion(element, typmod, explicit)
        if fit is not None:
            return lambda value: c.map_elements(value, fit)
    return None
