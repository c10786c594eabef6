"""RANGE frames with an offset: which rows lie within `value PRECEDING` or `value FOLLOWING` of the current one.

The test is not `value >= current - offset` in the column's own type: near the end of the type that would overflow where
PostgreSQL says yes or no, and infinities, NaN and the hours of a `time` have rules of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.context import Context
from tausql.sql.functions.date_arithmetic import interval_plus, negate, timestamp_plus, timestamptz_plus
from tausql.sql.types import builtin as b
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
)
from tausql.sql.types.casts import IMPLICIT, find_cast
from tausql.sql.types.intervals import Interval, is_infinite, span_us
from tausql.sql.types.numbers import EXACT
from tausql.sql.types.ordering import timetz_key
from tausql.sql.types.type import Type

# (context, value, base, offset, subtract, less): value <= base +- offset with `less`, else value >= base +- offset.
InRange = Callable[[Context, Any, Any, Any, bool, bool], bool]

_INTEGERS: Final = ("int2", "int4", "int8")


def range_offset_type(column: Type, offset: Type) -> Type:
    """The type an offset must have. Raises 0A000 where PostgreSQL has no such RANGE."""
    what = f"RANGE with offset PRECEDING/FOLLOWING is not supported for column type {column.display()}"
    if column.name in _INTEGERS:
        wanted = b.INT8
    elif column.name in ("float4", "float8"):
        wanted = b.FLOAT8
    elif column is b.NUMERIC:
        wanted = b.NUMERIC
    elif column.name in _SPANNED:
        wanted = b.INTERVAL
    else:
        raise not_supported(what)
    if offset is b.UNKNOWN or offset is wanted or find_cast(offset, wanted, IMPLICIT) is not None:
        return wanted
    raise not_supported(
        f"{what} and offset type {offset.display()}", hint="Cast the offset value to an appropriate type."
    )


def in_range_of(column: Type) -> InRange:
    if column.name in _INTEGERS:
        return _integer
    if column.name in ("float4", "float8"):
        return _float
    if column is b.NUMERIC:
        return _numeric
    return _SPANNED[column.name]


def _invalid_size() -> SqlError:
    return SqlError(Code.invalid_preceding_or_following_size, "invalid preceding or following size in window function")


def _compared(value: Any, bound: Any, less: bool) -> bool:
    return bool(value <= bound) if less else bool(value >= bound)


def _integer(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    if offset < 0:
        raise _invalid_size()
    return _compared(value, base - offset if subtract else base + offset, less)


def _float(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    if math.isnan(offset) or offset < 0:
        raise _invalid_size()
    if math.isnan(value):
        return math.isnan(base) or not less
    if math.isnan(base):
        return less
    if math.isinf(offset) and math.isinf(base) and (base > 0 if subtract else base < 0):
        return True
    return _compared(value, base - offset if subtract else base + offset, less)


def _numeric(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    number: Decimal = offset
    if number.is_nan() or number < 0:
        raise _invalid_size()
    if value.is_nan():
        return base.is_nan() or not less
    if base.is_nan():
        return less
    if number.is_infinite() and base.is_infinite() and (base > 0 if subtract else base < 0):
        return True
    return _compared(value, EXACT.subtract(base, number) if subtract else EXACT.add(base, number), less)


def _check_span(offset: Interval) -> None:
    if span_us(offset) < 0:
        raise _invalid_size()


def _endless(base: int, offset: Interval, subtract: bool) -> bool:
    """Infinity less infinity: whatever the value, it is within."""
    return is_infinite(offset) and base == (TIMESTAMP_INFINITY if subtract else TIMESTAMP_MINUS_INFINITY)


def _timestamp(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    _check_span(offset)
    if _endless(base, offset, subtract):
        return True
    return _compared(value, timestamp_plus(base, negate(offset) if subtract else offset), less)


def _timestamptz(context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    _check_span(offset)
    if _endless(base, offset, subtract):
        return True
    return _compared(value, timestamptz_plus(context, base, negate(offset) if subtract else offset), less)


def _instant(day: int) -> int:
    if day == DATE_INFINITY:
        return TIMESTAMP_INFINITY
    return TIMESTAMP_MINUS_INFINITY if day == DATE_MINUS_INFINITY else day * DAY_US


def _date(context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    return _timestamp(context, _instant(value), _instant(base), offset, subtract, less)


def _time(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    """Months and days of the offset do not count, and a day does not begin anew."""
    if offset[2] < 0:
        raise _invalid_size()
    return _compared(value, base - offset[2] if subtract else base + offset[2], less)


def _timetz(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    if offset[2] < 0:
        raise _invalid_size()
    bound = (base[0] - offset[2] if subtract else base[0] + offset[2], base[1])
    return _compared(timetz_key(value), timetz_key(bound), less)


def _interval(_context: Context, value: Any, base: Any, offset: Any, subtract: bool, less: bool) -> bool:
    _check_span(offset)
    bound = interval_plus(base, negate(offset) if subtract else offset)
    return _compared(span_us(value), span_us(bound), less)


_SPANNED: Final[dict[str, InRange]] = {
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "time": _time,
    "timetz": _timetz,
    "interval": _interval,
}
