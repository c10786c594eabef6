"""+ - * / between dates, times, timestamps and intervals, and the functions that make and adjust them."""

from __future__ import annotations

import math
import operator as py
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.arithmetic import division_by_zero
from tausql.sql.functions.function import STABLE, Function, operator
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MAX_EXCLUSIVE,
    DATE_MIN,
    DATE_MINUS_INFINITY,
    DAY_US,
    SECOND_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
    civil_from_days,
    days_from_civil,
    days_in_month,
)
from tausql.sql.types.conversions import date_to_timestamp
from tausql.sql.types.datetimes import TimeTz, checked_timestamp
from tausql.sql.types.intervals import Interval, checked_interval, is_infinite
from tausql.sql.types.zones import Zone

INFINITE_TIMESTAMPS: Final = (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY)
INFINITE_DATES: Final = (DATE_INFINITY, DATE_MINUS_INFINITY)
INTERVAL_INFINITY: Final = (2**31 - 1, 2**31 - 1, 2**63 - 1)
INTERVAL_MINUS_INFINITY: Final = (-(2**31), -(2**31), -(2**63))


def _infinite_interval(positive: bool) -> Interval:
    return INTERVAL_INFINITY if positive else INTERVAL_MINUS_INFINITY


def add_months(day: int, months: int) -> int:
    """The same day of the month, or its last."""
    year, month, day_of_month = civil_from_days(day)
    total = year * 12 + month - 1 + months
    year, month = total // 12, total % 12 + 1
    return days_from_civil(year, month, min(day_of_month, days_in_month(year, month)))


def timestamp_plus(us: int, span: Interval) -> int:
    """timestamp + interval: months, then days, then time."""
    if is_infinite(span):
        return _infinite_sum(us, span)
    if us in INFINITE_TIMESTAMPS:
        return us
    months, days, micros = span
    if months:
        day, rest = divmod(us, DAY_US)
        us = add_months(day, months) * DAY_US + rest
    return checked_timestamp(us + days * DAY_US + micros)


def _infinite_sum(us: int, span: Interval) -> int:
    positive = span[0] > 0
    if us == (TIMESTAMP_MINUS_INFINITY if positive else TIMESTAMP_INFINITY):
        raise SqlError(Code.datetime_field_overflow, "timestamp out of range")
    return TIMESTAMP_INFINITY if positive else TIMESTAMP_MINUS_INFINITY


def negate(span: Interval) -> Interval:
    if is_infinite(span):
        return _infinite_interval(span[0] < 0)
    return checked_interval(-span[0], -span[1], -span[2])


def timestamptz_plus(context: Any, us: int, span: Interval) -> int:
    """timestamptz + interval: months and days in the session's zone, time as time."""
    return zoned_plus(us, span, context.format.zone)


def zoned_plus(us: int, span: Interval, zone: Zone) -> int:
    if is_infinite(span):
        return _infinite_sum(us, span)
    if us in INFINITE_TIMESTAMPS:
        return us
    months, days, micros = span
    if months or days:
        local = us + zone.offset_at(us) * SECOND_US
        local = timestamp_plus(local, (months, days, 0))
        us = local - zone.offset_at_local(local) * SECOND_US
    return checked_timestamp(us + micros)


def timestamp_minus(a: int, b: int) -> Interval:
    """timestamp - timestamp: days and time."""
    if a in INFINITE_TIMESTAMPS or b in INFINITE_TIMESTAMPS:
        positive = a == TIMESTAMP_INFINITY or b == TIMESTAMP_MINUS_INFINITY
        negative = a == TIMESTAMP_MINUS_INFINITY or b == TIMESTAMP_INFINITY
        if (positive and negative) or a == b:
            raise SqlError(Code.datetime_field_overflow, "interval out of range")
        return _infinite_interval(positive)
    total = a - b
    days = abs(total) // DAY_US
    if total < 0:
        days = -days
    return 0, days, total - days * DAY_US


def date_plus(day: int, days: int) -> int:
    if day in INFINITE_DATES:
        return day
    total = day + days
    if not DATE_MIN <= total < DATE_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, "date out of range")
    return total


def _date_minus_date(a: int, b: int) -> int:
    if a in INFINITE_DATES or b in INFINITE_DATES:
        raise SqlError(Code.datetime_field_overflow, "cannot subtract infinite dates")
    return a - b


def interval_plus(a: Interval, b: Interval) -> Interval:
    if is_infinite(a) or is_infinite(b):
        if is_infinite(a) and is_infinite(b) and (a[0] > 0) != (b[0] > 0):
            raise SqlError(Code.datetime_field_overflow, "interval out of range")
        return a if is_infinite(a) else b
    return checked_interval(a[0] + b[0], a[1] + b[1], a[2] + b[2])


def interval_times(span: Interval, factor: float) -> Interval:
    """Fractions of months go down to days, of days to time (interval_mul)."""
    if factor != factor:
        raise SqlError(Code.datetime_field_overflow, "interval out of range")
    if is_infinite(span) or math.isinf(factor):
        sign = (span[0] > 0) - (span[0] < 0) if is_infinite(span) else _sign_of(span)
        if factor == 0 or sign == 0:
            raise SqlError(Code.datetime_field_overflow, "interval out of range")
        return _infinite_interval((sign > 0) == (factor > 0))
    months, days, us = span
    return _scaled(months, days, us, lambda value: value * factor)


def _sign_of(span: Interval) -> int:
    total = (span[0] * 30 + span[1]) * DAY_US + span[2]
    return (total > 0) - (total < 0)


def _scaled(months: int, days: int, us: int, scale: Callable[[float], float]) -> Interval:
    exact_months, exact_days = scale(months), scale(days)
    whole_months, whole_days = math.trunc(exact_months), math.trunc(exact_days)
    month_days = _round_us((exact_months - whole_months) * 30)
    extra_days = math.trunc(month_days)
    seconds = _round_us((exact_days - whole_days + (month_days - extra_days)) * 86400)
    if abs(seconds) >= 86400:
        carried = int(seconds / 86400)
        extra_days += carried
        seconds -= carried * 86400
    total_us = round(scale(us) + seconds * SECOND_US)
    return checked_interval(whole_months, whole_days + extra_days, total_us)


def _round_us(value: float) -> float:
    return round(value * 1_000_000) / 1_000_000


def interval_divided(span: Interval, divisor: float) -> Interval:
    if divisor == 0:
        raise division_by_zero()
    if is_infinite(span):
        if not math.isfinite(divisor):
            raise SqlError(Code.datetime_field_overflow, "interval out of range")
        return span if divisor > 0 else negate(span)
    months, days, us = span
    try:
        return _scaled(months, days, us, lambda value: value / divisor)
    except (OverflowError, ValueError) as error:  # of infinity and of NaN
        raise SqlError(Code.datetime_field_overflow, "interval out of range") from error


def _time_plus(us: int, span: Interval) -> int:
    if is_infinite(span):
        raise SqlError(Code.datetime_field_overflow, "cannot add infinite interval to time")
    return (us + span[2]) % DAY_US


def _time_minus(us: int, span: Interval) -> int:
    if is_infinite(span):
        raise SqlError(Code.datetime_field_overflow, "cannot subtract infinite interval from time")
    return (us - span[2]) % DAY_US


def _timetz_plus(value: TimeTz, span: Interval) -> TimeTz:
    return _time_plus(value[0], span), value[1]


def _date_and_time(day: int, us: int) -> int:
    moment = date_to_timestamp(day)
    return moment if day in INFINITE_DATES else checked_timestamp(moment + us)


def _date_at(day: int, time: TimeTz) -> int:
    """date + timetz"""
    if day in INFINITE_DATES:
        return TIMESTAMP_INFINITY if day > 0 else TIMESTAMP_MINUS_INFINITY
    return checked_timestamp(date_to_timestamp(day) + time[0] + time[1] * SECOND_US)


def _sums() -> Iterator[Function]:
    yield operator("+", "date", "int4", "date", date_plus)
    yield operator("+", "int4", "date", "date", lambda days, day: date_plus(day, days))
    yield operator("-", "date", "int4", "date", lambda day, days: date_plus(day, -days))
    yield operator("-", "date", "date", "int4", _date_minus_date)
    yield operator("+", "date", "interval", "timestamp", lambda d, span: timestamp_plus(date_to_timestamp(d), span))
    yield operator("+", "interval", "date", "timestamp", lambda span, d: timestamp_plus(date_to_timestamp(d), span))
    yield operator(
        "-", "date", "interval", "timestamp", lambda d, span: timestamp_plus(date_to_timestamp(d), negate(span))
    )
    yield operator("+", "date", "time", "timestamp", _date_and_time)
    yield operator("+", "time", "date", "timestamp", lambda us, d: _date_and_time(d, us))
    yield operator("+", "date", "timetz", "timestamptz", _date_at)
    yield operator("+", "timetz", "date", "timestamptz", lambda t, d: _date_at(d, t))
    yield operator("+", "interval", "timetz", "timetz", lambda span, value: _timetz_plus(value, span))
    yield operator("+", "timestamp", "interval", "timestamp", timestamp_plus)
    yield operator("+", "interval", "timestamp", "timestamp", lambda span, us: timestamp_plus(us, span))
    yield operator("-", "timestamp", "interval", "timestamp", lambda us, span: timestamp_plus(us, negate(span)))
    yield operator("+", "timestamptz", "interval", "timestamptz", timestamptz_plus, volatility=STABLE, context=True)
    yield operator(
        "+",
        "interval",
        "timestamptz",
        "timestamptz",
        lambda context, span, us: timestamptz_plus(context, us, span),
        volatility=STABLE,
        context=True,
    )
    yield operator(
        "-",
        "timestamptz",
        "interval",
        "timestamptz",
        lambda context, us, span: timestamptz_plus(context, us, negate(span)),
        volatility=STABLE,
        context=True,
    )
    yield operator("-", "timestamp", "timestamp", "interval", timestamp_minus)
    yield operator("-", "timestamptz", "timestamptz", "interval", timestamp_minus)
    yield operator("+", "time", "interval", "time", _time_plus)
    yield operator("+", "interval", "time", "time", lambda span, us: _time_plus(us, span))
    yield operator("-", "time", "interval", "time", _time_minus)
    yield operator("-", "time", "time", "interval", lambda a, b: (0, 0, a - b))
    yield operator("+", "timetz", "interval", "timetz", _timetz_plus)
    yield operator("-", "timetz", "interval", "timetz", lambda value, span: (_time_minus(value[0], span), value[1]))
    yield operator("+", "interval", "interval", "interval", interval_plus)
    yield operator("-", "interval", "interval", "interval", lambda a, b: interval_plus(a, negate(b)))
    yield operator("-", None, "interval", "interval", negate)
    yield operator("+", None, "interval", "interval", py.itemgetter(slice(None)))
    yield operator("*", "interval", "float8", "interval", interval_times)
    yield operator("*", "float8", "interval", "interval", lambda factor, span: interval_times(span, factor))
    yield operator("/", "interval", "float8", "interval", interval_divided)


def functions() -> Iterator[Function]:
    yield from _sums()
