"""The functions behind the casts: one value in, one value out, PostgreSQL's errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.arrays import BoundedArray
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MAX_EXCLUSIVE,
    TIMESTAMP_MIN,
    TIMESTAMP_MINUS_INFINITY,
)
from tausql.sql.types.datetimes import TimeTz, from_local, local_now, to_local
from tausql.sql.types.intervals import Interval, is_infinite
from tausql.sql.types.jsons import Jsonb, jsonb_text, parse_json
from tausql.sql.types.numbers import float_to_numeric, numeric_text, round_to, to_float4
from tausql.sql.types.scalars import clip_name
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

_LIMITS: Final = {"int2": 2**15, "int4": 2**31, "int8": 2**63}

__all__ = ["from_local", "to_local"]


def same(value: Any) -> Any:
    return value


def without_blanks(value: str) -> str:
    """char(n) -> text."""
    return value.rstrip(" ")


def out_of_range(sql_name: str) -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, f"{sql_name} out of range")


def integer_narrowing(target: Type) -> Callable[[int], int]:
    limit, sql_name = _LIMITS[target.name], target.sql_name

    def narrow(value: int) -> int:
        if not -limit <= value < limit:
            raise out_of_range(sql_name)
        return value

    return narrow


def int_to_float4(value: int) -> float:
    return to_float4(float(value))


def int_to_numeric(value: int) -> Decimal:
    return Decimal(value)


def float_to_integer(target: Type) -> Callable[[float], int]:
    """Rounds half to even, as rint()."""
    limit, sql_name = _LIMITS[target.name], target.sql_name

    def convert(value: float) -> int:
        if not math.isfinite(value):
            raise out_of_range(sql_name)
        number = round(value)
        if not -limit <= number < limit:
            raise out_of_range(sql_name)
        return number

    return convert


def numeric_to_integer(target: Type) -> Callable[[Decimal], int]:
    """Rounds half away from zero."""
    limit, sql_name = _LIMITS[target.name], target.sql_name

    def convert(value: Decimal) -> int:
        if not value.is_finite():
            what = "NaN" if value.is_nan() else "infinity"
            raise SqlError(Code.feature_not_supported, f"cannot convert {what} to {sql_name}")
        if value.adjusted() > 20:
            raise out_of_range(sql_name)
        number = int(round_to(value, 0))
        if not -limit <= number < limit:
            raise out_of_range(sql_name)
        return number

    return convert


def _float_of(value: Decimal, sql_name: str) -> float:
    number = float(value)
    if math.isinf(number) and value.is_finite():
        raise SqlError(Code.numeric_value_out_of_range, f'"{numeric_text(value)}" is out of range for type {sql_name}')
    return number


def numeric_to_float8(value: Decimal) -> float:
    return _float_of(value, "double precision")


def numeric_to_float4(value: Decimal) -> float:
    try:
        return to_float4(_float_of(value, "real"))
    except SqlError as error:
        raise SqlError(
            Code.numeric_value_out_of_range, f'"{numeric_text(value)}" is out of range for type real'
        ) from error


def float4_to_numeric(value: float) -> Decimal:
    return float_to_numeric(value, 6)


def float8_to_numeric(value: float) -> Decimal:
    return float_to_numeric(value, 15)


def float8_to_float4(value: float) -> float:
    return to_float4(value) if math.isfinite(value) else value


def int_to_char(value: int) -> str:
    if not -128 <= value <= 127:
        raise SqlError(Code.numeric_value_out_of_range, '"char" out of range')
    return chr(value & 0xFF) if value else ""


def char_to_int(value: str) -> int:
    code = ord(value) if value else 0
    return code - 256 if code > 127 else code


def first_char(value: str) -> str:
    return value[:1]


def to_name(value: str) -> str:
    return clip_name(value.rstrip(" ") if value.endswith(" ") else value)


def bool_to_text(value: bool) -> str:
    return "true" if value else "false"


def date_to_timestamp(value: int) -> int:
    if value == DATE_INFINITY:
        return TIMESTAMP_INFINITY
    if value == DATE_MINUS_INFINITY:
        return TIMESTAMP_MINUS_INFINITY
    us = value * DAY_US
    if not TIMESTAMP_MIN <= us < TIMESTAMP_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, "date out of range for timestamp")
    return us


def date_to_timestamptz(value: int, format: SessionFormat) -> int:
    return from_local(date_to_timestamp(value), format)


def timestamp_to_date(value: int) -> int:
    if value == TIMESTAMP_INFINITY:
        return DATE_INFINITY
    return DATE_MINUS_INFINITY if value == TIMESTAMP_MINUS_INFINITY else value // DAY_US


def timestamptz_to_date(value: int, format: SessionFormat) -> int:
    return timestamp_to_date(to_local(value, format))


def timestamp_to_time(value: int) -> int | None:
    if value in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return None
    return value % DAY_US


def timestamptz_to_time(value: int, format: SessionFormat) -> int | None:
    return timestamp_to_time(to_local(value, format))


def timestamptz_to_timetz(value: int, format: SessionFormat) -> TimeTz | None:
    time = timestamptz_to_time(value, format)
    return None if time is None else (time, -format.zone.offset_at(value))


def time_to_timetz(value: int, format: SessionFormat) -> TimeTz:
    today = local_now(format) // DAY_US * DAY_US
    return value, -format.zone.offset_at_local(today + value)


def timetz_to_time(value: TimeTz) -> int:
    return value[0]


def time_to_interval(value: int) -> Interval:
    return 0, 0, value


def interval_to_time(value: Interval) -> int:
    if is_infinite(value):
        raise SqlError(Code.datetime_field_overflow, "cannot convert infinite interval to time")
    return value[2] % DAY_US


def integer_to_oid(value: int) -> int:
    if -(2**31) <= value < 0:
        return value + 2**32
    if not 0 <= value < 2**32:
        raise SqlError(Code.numeric_value_out_of_range, "OID out of range")
    return value


def oid_to_int4(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


def text_to_regclass(value: str, format: SessionFormat) -> int:
    if format.resolve_reg is None:
        raise SqlError(Code.undefined_table, f'relation "{value}" does not exist')
    return format.resolve_reg("class", value)


def json_to_jsonb(value: str) -> Jsonb:
    return Jsonb(parse_json(value))


def jsonb_to_json(value: Jsonb) -> str:
    return jsonb_text(value.value)


def _jsonb_kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Decimal):
        return "numeric"
    return "array" if isinstance(value, list) else "object"


def _cannot_cast(value: Any, sql_name: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f"cannot cast jsonb {_jsonb_kind(value)} to type {sql_name}")


def jsonb_to_bool(value: Jsonb) -> bool:
    if isinstance(value.value, bool):
        return value.value
    raise _cannot_cast(value.value, "boolean")


def jsonb_to_number(target: Type, convert: Callable[[Decimal], Any]) -> Callable[[Jsonb], Any]:
    sql_name = target.sql_name

    def cast(value: Jsonb) -> Any:
        if not isinstance(value.value, Decimal):
            raise _cannot_cast(value.value, sql_name)
        return convert(value.value)

    return cast


def map_elements(value: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """Converts the elements of a (nested) array; NULLs and bounds stay."""
    items = [
        None if item is None else map_elements(item, convert) if isinstance(item, list) else convert(item)
        for item in value
    ]
    return BoundedArray(items, value.lows) if isinstance(value, BoundedArray) else items
