"""Text and binary forms of date, time, timetz, timestamp and timestamptz."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MAX_EXCLUSIVE,
    DATE_MIN,
    DATE_MINUS_INFINITY,
    DAY_US,
    EPOCH_US,
    SECOND_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MAX_EXCLUSIVE,
    TIMESTAMP_MIN,
    TIMESTAMP_MINUS_INFINITY,
    date_text,
)
from tausql.sql.types.date_fields import Fields, bad_syntax, out_of_range, read_fields
from tausql.sql.types.date_styles import styled_date, styled_timestamp
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.zones import offset_text

TimeTz = tuple[int, int]  # (microseconds of day, seconds west of UTC)


def local_now(format: SessionFormat) -> int:
    """Transaction start as a timestamp in the session's zone."""
    return format.now_us + format.zone.offset_at(format.now_us) * SECOND_US


def to_local(instant_us: int, format: SessionFormat) -> int:
    """timestamptz -> timestamp."""
    if instant_us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return instant_us
    return checked_timestamp(instant_us + format.zone.offset_at(instant_us) * SECOND_US)


def from_local(local_us: int, format: SessionFormat) -> int:
    """timestamp -> timestamptz."""
    if local_us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return local_us
    return checked_timestamp(local_us - format.zone.offset_at_local(local_us) * SECOND_US)


def checked_timestamp(us: int) -> int:
    if not TIMESTAMP_MIN <= us < TIMESTAMP_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, "timestamp out of range")
    return us


def round_us(us: int, precision: int) -> int:
    """Rounds microseconds to `precision` digits of a second, half away from zero."""
    if precision < 0 or precision >= 6 or us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return us
    unit: int = 10 ** (6 - precision)
    return (us + unit // 2) // unit * unit if us >= 0 else -((-us + unit // 2) // unit * unit)


def date_order(format: SessionFormat) -> str:
    """'MDY', 'DMY' or 'YMD'."""
    return format.date_style[-3:]


_SPECIAL_DAYS: Final = {"today": 0, "tomorrow": 1, "yesterday": -1}


def _special_local(fields: Fields, format: SessionFormat) -> int:
    """A special word (perhaps with a time) as a local timestamp."""
    special = fields.special
    if special == "now":
        return local_now(format)
    if special == "epoch":
        return EPOCH_US
    if special == "infinity":
        return TIMESTAMP_INFINITY
    if special == "-infinity":
        return TIMESTAMP_MINUS_INFINITY
    return (local_now(format) // DAY_US + _SPECIAL_DAYS[special or ""]) * DAY_US + (fields.time_us or 0)


def date_in(text: str, format: SessionFormat, _typmod: int = -1) -> int:
    fields = read_fields(text, "date", date_order(format))
    if fields.special is not None:
        us = _special_local(fields, format)
        if us == TIMESTAMP_INFINITY:
            return DATE_INFINITY
        return DATE_MINUS_INFINITY if us == TIMESTAMP_MINUS_INFINITY else us // DAY_US
    if fields.day is None:
        raise bad_syntax("date", text)
    if not DATE_MIN <= fields.day < DATE_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, f'date out of range: "{text}"')
    return fields.day


def date_out(value: int, format: SessionFormat) -> str:
    if value in (DATE_INFINITY, DATE_MINUS_INFINITY):
        return "infinity" if value > 0 else "-infinity"
    if not format.date_style.startswith("ISO"):
        return styled_date(value, format.date_style)
    text, era = date_text(value)
    return text + era


@lru_cache(maxsize=2048)
def _minute_text(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}:"


def time_text(us: int) -> str:
    """'04:05:06', '04:05:06.789'."""
    seconds, fraction = divmod(us, SECOND_US)
    minute, second = divmod(seconds, 60)
    if fraction:
        return f"{_minute_text(minute)}{second:02d}.{fraction:06d}".rstrip("0")
    return f"{_minute_text(minute)}{second:02d}"


def timestamp_text(us: int) -> str:
    if us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return "infinity" if us > 0 else "-infinity"
    day, rest = divmod(us, DAY_US)
    text, era = date_text(day)
    return f"{text} {time_text(rest)}{era}"


def timestamp_out(us: int, format: SessionFormat) -> str:
    if format.date_style.startswith("ISO") or us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return timestamp_text(us)
    return styled_timestamp(us, time_text(us % DAY_US), format.date_style)


def timestamptz_out(us: int, format: SessionFormat) -> str:
    """Styles other than ISO show the zone's abbreviation."""
    if format.date_style.startswith("ISO") or us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return timestamptz_text(us, format)
    local = us + format.zone.offset_at(us) * SECOND_US
    return styled_timestamp(local, time_text(local % DAY_US), format.date_style, format.zone.abbreviation_at(us))


def timestamptz_text(us: int, format: SessionFormat) -> str:
    if us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return "infinity" if us > 0 else "-infinity"
    offset = format.zone.offset_at(us)
    day, rest = divmod(us + offset * SECOND_US, DAY_US)
    text, era = date_text(day)
    return f"{text} {time_text(rest)}{offset_text(offset)}{era}"


def timestamp_in(text: str, format: SessionFormat, typmod: int = -1) -> int:
    fields = read_fields(text, "timestamp", date_order(format))
    if fields.special is not None:
        return round_us(_special_local(fields, format), typmod)
    if fields.day is None:
        raise bad_syntax("timestamp", text)
    us = fields.day * DAY_US + (fields.time_us or 0)
    if not TIMESTAMP_MIN <= us < TIMESTAMP_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, f'timestamp out of range: "{text}"')
    return round_us(us, typmod)


def timestamptz_in(text: str, format: SessionFormat, typmod: int = -1) -> int:
    fields = read_fields(text, "timestamp with time zone", date_order(format))
    if fields.special is not None:
        if fields.special in ("now", "epoch", "infinity", "-infinity"):
            local = _special_local(fields, format)
            return round_us(format.now_us if fields.special == "now" else local, typmod)
        local = _special_local(fields, format)
    elif fields.day is None:
        raise bad_syntax("timestamp with time zone", text)
    else:
        local = fields.day * DAY_US + (fields.time_us or 0)
    if fields.offset is not None:
        us = local - fields.offset * SECOND_US
    else:
        us = local - (fields.zone or format.zone).offset_at_local(local) * SECOND_US
    if not TIMESTAMP_MIN <= us < TIMESTAMP_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, f'timestamp out of range: "{text}"')
    return round_us(us, typmod)


def _time_fields(text: str, type_name: str, format: SessionFormat) -> tuple[Fields, int]:
    """Fields and microseconds of day of a time; a bare 'HHMMSS' is allowed."""
    stripped = text.strip()
    if stripped.isdigit() and len(stripped) in (4, 6):
        stripped = ":".join(stripped[at : at + 2] for at in range(0, len(stripped), 2))
    try:
        fields = read_fields(stripped, type_name)
    except SqlError as error:
        if error.code is Code.datetime_field_overflow:
            raise out_of_range(text) from error
        if error.code is Code.invalid_datetime_format:
            raise bad_syntax(type_name, text) from error
        raise
    if fields.special == "now":
        return fields, local_now(format) % DAY_US
    if fields.time_us is None or fields.special is not None:
        raise bad_syntax(type_name, text)
    return fields, fields.time_us


def time_in(text: str, format: SessionFormat, typmod: int = -1) -> int:
    return round_us(_time_fields(text, "time", format)[1], typmod)


def timetz_in(text: str, format: SessionFormat, typmod: int = -1) -> TimeTz:
    fields, us = _time_fields(text, "time with time zone", format)
    offset = fields.offset
    if offset is None:
        zone = fields.zone or format.zone
        local = local_now(format) if fields.day is None else fields.day * DAY_US + us
        offset = zone.offset_at_local(local)
    return round_us(us, typmod), -offset


def timetz_out(value: TimeTz, _format: SessionFormat) -> str:
    return time_text(value[0]) + offset_text(-value[1])


_i4 = struct.Struct("!i")
_i8 = struct.Struct("!q")
_timetz = struct.Struct("!qi")


def _sized(packer: struct.Struct, data: bytes) -> int:
    if len(data) != packer.size:
        raise binary_length_error()
    value: int = packer.unpack(data)[0]
    return value


def _timetz_binary_in(data: bytes) -> TimeTz:
    if len(data) != 12:
        raise binary_length_error()
    us, west = _timetz.unpack(data)
    if not 0 <= us <= DAY_US:
        raise SqlError(Code.datetime_field_overflow, "time out of range")
    if abs(west) >= 57_600:  # 16 hours
        raise SqlError(Code.invalid_time_zone_displacement_value, "time zone displacement out of range")
    return us, west


def _date_binary_in(data: bytes) -> int:
    value = _sized(_i4, data)
    if value not in (DATE_INFINITY, DATE_MINUS_INFINITY) and not DATE_MIN <= value < DATE_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, "date out of range")
    return value


def _timestamp_binary_in(data: bytes) -> int:
    value = _sized(_i8, data)
    if value in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return value
    return checked_timestamp(value)


def _time_binary_in(data: bytes) -> int:
    value = _sized(_i8, data)
    if not 0 <= value <= DAY_US:
        raise SqlError(Code.datetime_field_overflow, "time out of range")
    return value


DATE: Final[Codec] = (date_in, date_out, _date_binary_in, _i4.pack)
TIME: Final[Codec] = (time_in, lambda value, _format: time_text(value), _time_binary_in, _i8.pack)
TIMETZ: Final[Codec] = (timetz_in, timetz_out, _timetz_binary_in, lambda value: _timetz.pack(*value))
TIMESTAMP: Final[Codec] = (timestamp_in, timestamp_out, _timestamp_binary_in, _i8.pack)
TIMESTAMPTZ: Final[Codec] = (timestamptz_in, timestamptz_out, _timestamp_binary_in, _i8.pack)
