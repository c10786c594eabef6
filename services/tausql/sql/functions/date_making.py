"""Functions that make, adjust and place moments: make_date and kin, age, justify_*, AT TIME ZONE, OVERLAPS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.date_arithmetic import (
    INFINITE_DATES,
    INFINITE_TIMESTAMPS,
    negate,
    timestamp_minus,
    timestamptz_plus,
    zoned_plus,
)
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.calendar import (
    DATE_MAX_EXCLUSIVE,
    DATE_MIN,
    DAY_US,
    SECOND_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
    civil_from_days,
    days_from_civil,
    days_in_month,
)
from tausql.sql.types.conversions import same
from tausql.sql.types.datetimes import TimeTz, checked_timestamp, from_local, to_local
from tausql.sql.types.intervals import Interval, checked_interval, is_infinite
from tausql.sql.types.ordering import timetz_key
from tausql.sql.types.zones import Zone, find_zone, fixed_zone


def justify_hours(span: Interval) -> Interval:
    if is_infinite(span):
        return span
    months, days, us = span
    extra = int(us / DAY_US) if abs(us) < 2**52 else (abs(us) // DAY_US) * (1 if us > 0 else -1)
    days, us = days + extra, us - extra * DAY_US
    if days > 0 and us < 0:
        days, us = days - 1, us + DAY_US
    elif days < 0 and us > 0:
        days, us = days + 1, us - DAY_US
    return checked_interval(months, days, us)


def _justify_days(span: Interval) -> Interval:
    if is_infinite(span):
        return span
    months, days, us = span
    extra = math.trunc(days / 30)
    months, days = months + extra, days - extra * 30
    if months > 0 and days < 0:
        months, days = months - 1, days + 30
    elif months < 0 and days > 0:
        months, days = months + 1, days - 30
    return checked_interval(months, days, us)


def _justify_interval(span: Interval) -> Interval:
    if is_infinite(span):
        return span
    months, days, us = _justify_days(justify_hours(span))
    if months > 0 and (days < 0 or (days == 0 and us < 0)):
        months, days = months - 1, days + 30
    elif months < 0 and (days > 0 or (days == 0 and us > 0)):
        months, days = months + 1, days - 30
    if days > 0 and us < 0:
        days, us = days - 1, us + DAY_US
    elif days < 0 and us > 0:
        days, us = days + 1, us - DAY_US
    return checked_interval(months, days, us)


def age(later: int, earlier: int) -> Interval:
    """Years, months and days between two local timestamps, as people count."""
    if later in INFINITE_TIMESTAMPS or earlier in INFINITE_TIMESTAMPS:
        return timestamp_minus(later, earlier)
    sign = 1 if later >= earlier else -1
    high, low = (later, earlier) if sign > 0 else (earlier, later)
    (y1, m1, d1), (y0, m0, d0) = civil_from_days(high // DAY_US), civil_from_days(low // DAY_US)
    us, days, months = high % DAY_US - low % DAY_US, d1 - d0, (y1 - y0) * 12 + m1 - m0
    if us < 0:
        us, days = us + DAY_US, days - 1
    while days < 0:
        days += days_in_month(y0, m0)
        months -= 1
    return sign * months, sign * days, sign * us


def zone_named(name: str) -> Zone:
    """22023 `time zone "x" not recognized`."""
    zone = find_zone(name)
    if zone is None:
        raise SqlError(Code.invalid_parameter_value, f'time zone "{name}" not recognized')
    return _posix_sign(name, zone)


def _posix_sign(name: str, zone: Zone) -> Zone:
    """AT TIME ZONE takes a bare '+02' in POSIX's sense, west positive."""
    stripped = name.strip()
    if stripped[:1] in "+-" or stripped[:1].isdigit():
        inverse = ("-" + stripped.lstrip("+")) if not stripped.startswith("-") else "+" + stripped[1:]
        return find_zone(inverse) or zone
    return zone


def _zone_of_interval(span: Interval) -> Zone:
    if span[0] or span[1]:
        raise SqlError(Code.invalid_parameter_value, "interval time zone must not include months or days")
    return fixed_zone(span[2] // SECOND_US)


def _local_in(zone: Zone, us: int) -> int:
    return us if us in INFINITE_TIMESTAMPS else checked_timestamp(us + zone.offset_at(us) * SECOND_US)


def _instant_in(zone: Zone, us: int) -> int:
    return us if us in INFINITE_TIMESTAMPS else checked_timestamp(us - zone.offset_at_local(us) * SECOND_US)


def _timetz_in(zone: Zone, value: TimeTz, context: Any) -> TimeTz:
    west = -zone.offset_at(context.now_us)
    return (value[0] + (value[1] - west) * SECOND_US) % DAY_US, west


def _make_date(year: int, month: int, day: int, shown: int | None = None) -> int:
    """shown: the year as messages tell it; make_date counts 1 BC as 0 there."""
    proleptic = year + 1 if year < 0 else year
    if shown is None:
        shown = proleptic if year > -(2**31) else year
    if year in (0, -(2**31)) or not 1 <= month <= 12 or not 1 <= day <= days_in_month(proleptic, month):
        raise SqlError(Code.datetime_field_overflow, f"date field value out of range: {shown}-{month:02d}-{day:02d}")
    days = days_from_civil(proleptic, month, day)
    if not DATE_MIN <= days < DATE_MAX_EXCLUSIVE:
        raise SqlError(Code.datetime_field_overflow, f"date out of range: {shown}-{month:02d}-{day:02d}")
    return days


def _make_time(hour: int, minute: int, second: float) -> int:
    if not math.isfinite(second):
        word = "NaN" if second != second else "Infinity" if second > 0 else "-Infinity"
        raise SqlError(Code.datetime_field_overflow, f"time field value out of range: {hour}:{minute:02d}:{word}")
    us = (hour * 60 + minute) * 60 * SECOND_US + round(second * SECOND_US)
    if not 0 <= hour <= 24 or not 0 <= minute <= 59 or not 0 <= second <= 60 or us > DAY_US:
        raise SqlError(Code.datetime_field_overflow, f"time field value out of range: {hour}:{minute:02d}:{second:02g}")
    return us


def _make_timestamp(year: int, month: int, day: int, hour: int, minute: int, second: float) -> int:
    return checked_timestamp(_make_date(year, month, day, year) * DAY_US + _make_time(hour, minute, second))


def _make_timestamptz(context: Any, year: int, month: int, day: int, hour: int, minute: int, second: float) -> int:
    return from_local(_make_timestamp(year, month, day, hour, minute, second), context.format)


def _make_timestamptz_in(
    context: Any, year: int, month: int, day: int, hour: int, minute: int, second: float, zone: str
) -> int:
    local = _make_timestamp(year, month, day, hour, minute, second)
    found = find_zone(zone)
    if found is None:
        raise SqlError(Code.invalid_parameter_value, f'time zone "{zone}" not recognized')
    return _instant_in(found, local)


def make_interval(
    years: int = 0, months: int = 0, weeks: int = 0, days: int = 0, hours: int = 0, mins: int = 0, secs: float = 0.0
) -> Interval:
    if not math.isfinite(secs):
        raise SqlError(Code.datetime_field_overflow, "interval out of range")
    us = (hours * 60 + mins) * 60 * SECOND_US + round(secs * SECOND_US)
    return checked_interval(years * 12 + months, weeks * 7 + days, us)


def to_timestamp(seconds: float) -> int:
    """to_timestamp(double precision): seconds of the Unix epoch."""
    if seconds != seconds:
        raise SqlError(Code.datetime_field_overflow, "timestamp cannot be NaN")
    if math.isinf(seconds):
        return TIMESTAMP_INFINITY if seconds > 0 else TIMESTAMP_MINUS_INFINITY
    if abs(seconds) > 1e16:
        raise SqlError(Code.datetime_field_overflow, f'timestamp out of range: "{seconds:g}"')
    return checked_timestamp(round((seconds - 946_684_800) * SECOND_US))


def _making() -> Iterator[Function]:
    yield declare("make_date(int4, int4, int4) date", _make_date)
    yield declare("make_time(int4, int4, float8) time", _make_time)
    yield declare("make_timestamp(int4, int4, int4, int4, int4, float8) timestamp", _make_timestamp)
    yield declare(
        "make_timestamptz(int4, int4, int4, int4, int4, float8) timestamptz",
        _make_timestamptz,
        volatility=STABLE,
        context=True,
    )
    yield declare(
        "make_timestamptz(int4, int4, int4, int4, int4, float8, text) timestamptz",
        _make_timestamptz_in,
        volatility=STABLE,
        context=True,
    )
    kinds = ["int4"] * 6 + ["float8"]
    for count in range(8):
        yield declare(f"make_interval({', '.join(kinds[:count])}) interval", make_interval)
    yield declare("to_timestamp(float8) timestamptz", to_timestamp)
    yield declare("justify_hours(interval) interval", justify_hours)
    yield declare("justify_days(interval) interval", _justify_days)
    yield declare("justify_interval(interval) interval", _justify_interval)
    yield declare("date_add(timestamptz, interval) timestamptz", timestamptz_plus, volatility=STABLE, context=True)
    yield declare(
        "date_subtract(timestamptz, interval) timestamptz",
        lambda context, us, span: timestamptz_plus(context, us, negate(span)),
        volatility=STABLE,
        context=True,
    )


def _ages_and_zones() -> Iterator[Function]:
    yield declare("age(timestamp, timestamp) interval", age)
    yield declare(
        "age(timestamptz, timestamptz) interval",
        lambda context, a, b: age(to_local(a, context.format), to_local(b, context.format)),
        volatility=STABLE,
        context=True,
    )
    for kind in ("timestamp", "timestamptz"):
        local = kind == "timestamptz"
        yield declare(f"age({kind}) interval", _age_from_today(local), volatility=STABLE, context=True)
    yield declare("timezone(text, timestamptz) timestamp", lambda name, us: _local_in(zone_named(name), us))
    yield declare("timezone(text, timestamp) timestamptz", lambda name, us: _instant_in(zone_named(name), us))
    yield declare(
        "timezone(text, timetz) timetz",
        lambda context, name, value: _timetz_in(zone_named(name), value, context),
        volatility=STABLE,
        context=True,
    )
    yield declare("timezone(interval, timestamptz) timestamp", lambda s, us: _local_in(_zone_of_interval(s), us))
    yield declare("timezone(interval, timestamp) timestamptz", lambda s, us: _instant_in(_zone_of_interval(s), us))
    yield declare("isfinite(date) bool", lambda day: day not in INFINITE_DATES)
    for kind in ("timestamp", "timestamptz"):
        yield declare(f"isfinite({kind}) bool", lambda us: us not in INFINITE_TIMESTAMPS)
    yield declare("isfinite(interval) bool", lambda span: not is_infinite(span))
    for name in ("timestamp", "timestamptz", "time", "date"):
        yield declare(f"overlaps({name}, {name}, {name}, {name}) bool", _overlaps(same), strict=False)
    yield declare("overlaps(timetz, timetz, timetz, timetz) bool", _overlaps(timetz_key), strict=False)
    for name, sign in (("date_add", False), ("date_subtract", True)):
        yield declare(f"{name}(timestamptz, interval, text) timestamptz", _moved_in_zone(sign))


def _age_from_today(is_instant: bool) -> Callable[[Any, int], Interval]:
    def run(context: Any, us: int) -> Interval:
        today = to_local(context.now_us, context.format) // DAY_US * DAY_US
        return age(today, to_local(us, context.format) if is_instant else us)

    return run


def _moved_in_zone(subtract: bool) -> Callable[[int, Interval, str], int]:
    return lambda us, span, zone: zoned_plus(us, negate(span) if subtract else span, zone_named(zone))


def _overlaps(key: Callable[[Any], Any]) -> Callable[[Any, Any, Any, Any], bool | None]:
    """The SQL standard's OVERLAPS: a NULL end makes an interval of one moment of which nothing else is known."""

    def ordered(start: Any, end: Any) -> tuple[Any, Any]:
        if start is None:
            return end, None
        return (end, start) if end is not None and key(start) > key(end) else (start, end)

    def run(a0: Any, a1: Any, b0: Any, b1: Any) -> bool | None:
        (a0, a1), (b0, b1) = ordered(a0, a1), ordered(b0, b1)
        if a0 is None or b0 is None:
            return None
        if key(a0) == key(b0):
            return None if a1 is None or b1 is None else True
        later, first_end, other_end = (a0, b1, a1) if key(a0) > key(b0) else (b0, a1, b1)
        if first_end is None:
            return None
        if key(later) < key(first_end):
            return True
        return None if other_end is None else False

    return run


def functions() -> Iterator[Function]:
    yield from _making()
    yield from _ages_and_zones()
