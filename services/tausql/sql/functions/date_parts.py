"""extract, date_part and date_trunc."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.arithmetic import numeric_add, numeric_divide
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    EPOCH_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
    civil_from_days,
    day_of_week,
    days_from_civil,
    days_from_iso_week,
    iso_week,
)
from tausql.sql.types.conversions import date_to_timestamp
from tausql.sql.types.datetimes import TimeTz
from tausql.sql.types.intervals import Interval, is_infinite
from tausql.sql.types.zones import Zone, find_zone

_ALIASES: Final = {
    "years": "year", "yr": "year", "yrs": "year", "y": "year", "months": "month", "mon": "month", "mons": "month",
    "days": "day", "d": "day", "hours": "hour", "hr": "hour", "hrs": "hour", "h": "hour", "minutes": "minute",
    "min": "minute", "mins": "minute", "m": "minute", "seconds": "second", "sec": "second", "secs": "second",
    "s": "second", "ms": "milliseconds", "msec": "milliseconds", "millisecond": "milliseconds",
    "us": "microseconds", "usec": "microseconds", "microsecond": "microseconds", "weeks": "week", "w": "week",
    "qtr": "quarter", "decades": "decade", "dec": "decade", "centuries": "century", "c": "century", "cent": "century",
    "millennia": "millennium", "mil": "millennium",
}  # fmt: skip
_INFINITE: Final = (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY)
_MONOTONE: Final = frozenset(("year", "decade", "century", "millennium", "epoch", "isoyear", "julian"))


def field_name(field: str) -> str:
    lower = field.lower()
    return _ALIASES.get(lower, lower)


def _unsupported(field: str, sql_name: str) -> SqlError:
    return SqlError(Code.feature_not_supported, f'unit "{field}" not supported for type {sql_name}')


def _unrecognized(field: str, sql_name: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f'unit "{field}" not recognized for type {sql_name}')


def _scaled(us: int, digits: int) -> Decimal:
    return Decimal(us).scaleb(-digits)


_KNOWN: Final = frozenset(
    "year month day hour minute second milliseconds microseconds week quarter decade century millennium epoch isoyear "
    "julian dow isodow doy timezone timezone_hour timezone_minute".split()
)


def _no_field(field: str, sql_name: str) -> SqlError:
    return _unsupported(field, sql_name) if field in _KNOWN else _unrecognized(field, sql_name)


def _time_part(field: str, us: int) -> Decimal | None:
    """A part of the time of day (us of day, may be negative in intervals)."""
    sign, magnitude = (1, us) if us >= 0 else (-1, -us)
    if field == "hour":
        return Decimal(sign * (magnitude // HOUR_US))
    if field == "minute":
        return Decimal(sign * (magnitude // MINUTE_US % 60))
    if field == "second":
        return _scaled(sign * (magnitude % MINUTE_US), 6)
    if field == "milliseconds":
        return _scaled(sign * (magnitude % MINUTE_US), 3)
    if field == "microseconds":
        return Decimal(sign * (magnitude % MINUTE_US))
    return None


def _century(year: int) -> int:
    return (year + 99) // 100 if year > 0 else -((99 - (year - 1)) // 100)


def _millennium(year: int) -> int:
    return (year + 999) // 1000 if year > 0 else -((999 - (year - 1)) // 1000)


def _day_part(field: str, day: int) -> Decimal | None:
    year, month, day_of_month = civil_from_days(day)
    calculated: dict[str, Callable[[], int]] = {
        "year": lambda: year if year > 0 else year - 1,
        "month": lambda: month,
        "day": lambda: day_of_month,
        "quarter": lambda: (month - 1) // 3 + 1,
        "week": lambda: iso_week(day)[1],
        "isoyear": lambda: iso_week(day)[0] if iso_week(day)[0] > 0 else iso_week(day)[0] - 1,
        "decade": lambda: year // 10 if year >= 0 else -((8 - (year - 1)) // 10),
        "century": lambda: _century(year),
        "millennium": lambda: _millennium(year),
        "dow": lambda: day_of_week(day),
        "isodow": lambda: day_of_week(day) or 7,
        "doy": lambda: day - days_from_civil(year, 1, 1) + 1,
    }
    get = calculated.get(field)
    return Decimal(get()) if get is not None else None


def _infinite_part(field: str, positive: bool, sql_name: str) -> Decimal | None:
    if field in _MONOTONE:
        return Decimal("Infinity" if positive else "-Infinity")
    if field in _KNOWN:
        return None
    raise _no_field(field, sql_name)


def extract_timestamp(field: str, us: int, sql_name: str = "timestamp without time zone") -> Decimal | None:
    name = field_name(field)
    if us in _INFINITE:
        return _infinite_part(name, us > 0, sql_name)
    day, rest = divmod(us, DAY_US)
    answer = _time_part(name, rest)
    if answer is None:
        answer = _day_part(name, day)
    if answer is None and name == "epoch":
        answer = _scaled(us - EPOCH_US, 6)
    if answer is None and name == "julian":
        answer = numeric_add(Decimal(day + 2451545), numeric_divide(Decimal(rest), Decimal(DAY_US)))
    if answer is None:
        raise _no_field(name, sql_name)
    return answer


def _extract_timestamptz(context: Any, field: str, us: int) -> Decimal | None:
    name = field_name(field)
    sql_name = "timestamp with time zone"
    if us in _INFINITE:
        return _infinite_part(name, us > 0, sql_name)
    if name == "epoch":
        return _scaled(us - EPOCH_US, 6)
    offset = context.format.zone.offset_at(us)
    if name.startswith("timezone"):
        return _zone_part(name, offset)
    return extract_timestamp(name, us + offset * SECOND_US, sql_name)


def _zone_part(name: str, offset: int) -> Decimal:
    sign = -1 if offset < 0 else 1
    if name == "timezone_hour":
        return Decimal(sign * (abs(offset) // 3600))
    if name == "timezone_minute":
        return Decimal(sign * (abs(offset) // 60 % 60))
    return Decimal(offset)


def _extract_date(field: str, day: int) -> Decimal | None:
    name = field_name(field)
    if day in (DATE_INFINITY, DATE_MINUS_INFINITY):
        return _infinite_part(name, day > 0, "date")
    answer = _day_part(name, day)
    if answer is None and name == "epoch":
        answer = Decimal((day * DAY_US - EPOCH_US) // SECOND_US)
    if answer is None and name == "julian":
        answer = Decimal(day + 2451545)
    if answer is None:
        raise _no_field(name, "date")
    return answer


def _extract_time(field: str, us: int) -> Decimal:
    name = field_name(field)
    answer = _scaled(us, 6) if name == "epoch" else _time_part(name, us)
    if answer is None:
        raise _no_field(name, "time without time zone")
    return answer


def _extract_timetz(field: str, value: TimeTz) -> Decimal:
    name = field_name(field)
    if name.startswith("timezone"):
        return _zone_part(name, -value[1])
    answer = _scaled(value[0] + value[1] * SECOND_US, 6) if name == "epoch" else _time_part(name, value[0])
    if answer is None:
        raise _no_field(name, "time with time zone")
    return answer


def _quotient(value: int, by: int) -> int:
    return value // by if value >= 0 else -(-value // by)


def _extract_interval(field: str, span: Interval) -> Decimal | None:
    name = field_name(field)
    if is_infinite(span):
        if name in ("year", "decade", "century", "millennium", "epoch", "day", "hour", "week"):
            return Decimal("Infinity" if span[0] > 0 else "-Infinity")
        if name not in _KNOWN:
            raise _no_field(name, "interval")
        return None
    months, days, us = span
    years = _quotient(months, 12)
    if name == "hour":
        return Decimal(_quotient(us, HOUR_US))
    answer = _time_part(name, us)
    if answer is not None:
        return answer
    if name == "epoch":
        # A year counts 365.25 days, a month 30.
        seconds = years * 31_557_600 + (months - years * 12) * 2_592_000 + days * 86_400
        return _scaled(seconds * SECOND_US + us, 6)
    rest = months - years * 12
    parts = {
        "year": years,
        "month": rest,
        "day": days,
        "week": _quotient(days, 7),
        "quarter": _quotient(rest, 3) + 1 if months >= 0 else -(-rest // 3 + 1),
        "decade": _quotient(years, 10),
        "century": _quotient(years, 100),
        "millennium": _quotient(years, 1000),
    }
    if name not in parts:
        raise _no_field(name, "interval")
    return Decimal(parts[name])


def truncate_day(name: str, day: int) -> int | None:
    """The first day of the year, month, week, ...; None when the field is finer or unknown."""
    year, month, _ = civil_from_days(day)
    if name == "month":
        return days_from_civil(year, month, 1)
    if name == "quarter":
        return days_from_civil(year, (month - 1) // 3 * 3 + 1, 1)
    if name == "year":
        return days_from_civil(year, 1, 1)
    if name == "week":
        return days_from_iso_week(*iso_week(day))
    if name == "decade":
        return days_from_civil(year // 10 * 10, 1, 1)
    if name == "century":
        return days_from_civil((year - 1) // 100 * 100 + 1, 1, 1)
    if name == "millennium":
        return days_from_civil((year - 1) // 1000 * 1000 + 1, 1, 1)
    return day if name == "day" else None


_UNITS: Final = {
    "microseconds": 1,
    "milliseconds": 1000,
    "second": SECOND_US,
    "minute": MINUTE_US,
    "hour": HOUR_US,
}


def truncate_timestamp(field: str, us: int, sql_name: str = "timestamp without time zone") -> int:
    name = field_name(field)
    if us in _INFINITE:
        return us
    unit = _UNITS.get(name)
    if unit is not None:
        return us // unit * unit
    day = truncate_day(name, us // DAY_US)
    if day is None:
        raise _no_field(name, sql_name)
    return day * DAY_US


def _truncate_in(zone: Zone, field: str, us: int) -> int:
    if us in _INFINITE:
        return us
    offset = zone.offset_at(us)
    local = truncate_timestamp(field, us + offset * SECOND_US, "timestamp with time zone")
    if field_name(field) in _UNITS:
        return local - offset * SECOND_US
    return local - zone.offset_at_local(local) * SECOND_US


def _truncate_timestamptz(context: Any, field: str, us: int) -> int:
    return _truncate_in(context.format.zone, field, us)


def _truncate_named(field: str, us: int, zone_name: str) -> int:
    if us in _INFINITE:
        return us
    zone = find_zone(zone_name)
    if zone is None:
        raise SqlError(Code.invalid_parameter_value, f'time zone "{zone_name}" not recognized')
    return _truncate_in(zone, field, us)


def _truncate_interval(field: str, span: Interval) -> Interval:
    name = field_name(field)
    if is_infinite(span):
        return span
    months, days, us = span
    if name in _UNITS:
        unit = _UNITS[name]
        return months, days, _quotient(us, unit) * unit
    if name == "day":
        return months, days, 0
    sizes = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
    if name not in sizes:
        if name == "week":
            raise SqlError(
                Code.feature_not_supported,
                'unit "week" not supported for type interval',
                detail="Months usually have fractional weeks.",
            )
        raise _no_field(name, "interval")
    return _quotient(months, sizes[name]) * sizes[name], 0, 0


def _as_float(impl: Callable[..., Decimal | None]) -> Callable[..., float | None]:
    def run(*args: Any) -> float | None:
        value = impl(*args)
        return None if value is None else float(value)

    return run


def _date_bin(stride: Interval, us: int, origin: int) -> int:
    if us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return us
    if origin in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        raise SqlError(Code.datetime_field_overflow, "origin out of range")
    if is_infinite(stride):
        raise SqlError(Code.datetime_field_overflow, "timestamps cannot be binned into infinite intervals")
    if stride[0]:
        raise SqlError(
            Code.feature_not_supported, "timestamps cannot be binned into intervals containing months or years"
        )
    step = stride[1] * DAY_US + stride[2]
    if step <= 0:
        raise SqlError(Code.datetime_field_overflow, "stride must be greater than zero")
    return origin + (us - origin) // step * step


def functions() -> Iterator[Function]:
    parts: tuple[tuple[str, Callable[..., Decimal | None], bool], ...] = (
        ("timestamp", extract_timestamp, False),
        ("timestamptz", _extract_timestamptz, True),
        ("date", _extract_date, False),
        ("time", _extract_time, False),
        ("timetz", _extract_timetz, False),
        ("interval", _extract_interval, False),
    )
    for kind, impl, zoned in parts:
        volatility = STABLE if zoned else "i"
        yield declare(f"extract(text, {kind}) numeric", impl, volatility=volatility, context=zoned)
        if kind != "date":
            yield declare(f"date_part(text, {kind}) float8", _as_float(impl), volatility=volatility, context=zoned)
    yield declare("date_part(text, date) float8", lambda field, day: _date_part_of_date(field, day))
    yield declare("date_trunc(text, timestamp) timestamp", truncate_timestamp)
    yield declare("date_trunc(text, timestamptz) timestamptz", _truncate_timestamptz, volatility=STABLE, context=True)
    yield declare("date_trunc(text, timestamptz, text) timestamptz", _truncate_named)
    yield declare("date_trunc(text, interval) interval", _truncate_interval)
    yield declare("date_bin(interval, timestamp, timestamp) timestamp", _date_bin)
    yield declare("date_bin(interval, timestamptz, timestamptz) timestamptz", _date_bin)


def _date_part_of_date(field: str, day: int) -> float | None:
    value = extract_timestamp(field, date_to_timestamp(day))
    return None if value is None else float(value)
