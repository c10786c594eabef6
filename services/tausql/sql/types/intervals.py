"""Intervals: (months, days, microseconds), read in every PostgreSQL spelling and printed in its `postgres` style."""

from __future__ import annotations

import re
import struct
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.calendar import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tausql.sql.types.date_fields import bad_syntax
from tausql.sql.types.date_styles import iso_interval, standard_interval, verbose_interval
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import (
    DAY_BIT,
    HOUR_BIT,
    INTERVAL_FULL_PRECISION,
    INTERVAL_FULL_RANGE,
    MINUTE_BIT,
    MONTH_BIT,
    SECOND_BIT,
    YEAR_BIT,
)

Interval = tuple[int, int, int]

# unit -> (months, days, microseconds) of one
_MONTHS: Final = {"month": 1, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
_DAYS: Final = {"day": 1, "week": 7}
_MICROS: Final = {"microsecond": 1, "millisecond": 1000, "second": SECOND_US, "minute": MINUTE_US, "hour": HOUR_US}
_SPELLINGS: Final = {
    spelling: unit
    for unit, spellings in {
        "microsecond": "us usec usecs usecond useconds microsecon microsecond microseconds",
        "millisecond": "ms msec msecs msecond mseconds millisecon millisecond milliseconds",
        "second": "s sec secs second seconds",
        "minute": "m min mins minute minutes",
        "hour": "h hr hrs hour hours",
        "day": "d day days",
        "week": "w week weeks",
        "month": "mon mons month months",
        "year": "y yr yrs year years",
        "decade": "dec decs decade decades",
        "century": "c cent century centuries",
        "millennium": "mil mils millennia millennium",
    }.items()
    for spelling in spellings.split()
}
_TOKEN = re.compile(
    r"\s*(?:(?P<clock>[+-]?\d+:\d+(?::\d+)?(?:\.\d*)?)(?![\d:.+-])"
    r"|(?P<ym>[+-]?\d+-\d+(?![\d-]))"
    r"|(?P<number>[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+))"
    r"|(?P<word>[a-z]+)|(?P<at>@))"
)
_DATE = re.compile(r"\d+-(\d+)-\d")
_ISO = re.compile(
    r"p(?:(?P<y>-?[\d.]+)y)?(?:(?P<mo>-?[\d.]+)m)?(?:(?P<w>-?[\d.]+)w)?(?:(?P<d>-?[\d.]+)d)?"
    r"(?:t(?:(?P<h>-?[\d.]+)h)?(?:(?P<mi>-?[\d.]+)m)?(?:(?P<s>-?[\d.]+)s)?)?"
)
_LAST_UNIT: Final = (
    (SECOND_BIT, "second"),
    (MINUTE_BIT, "minute"),
    (HOUR_BIT, "hour"),
    (DAY_BIT, "day"),
    (MONTH_BIT, "month"),
    (YEAR_BIT, "year"),
)


class _Sum:
    """Months, days and microseconds, fractions carried down as PostgreSQL does (30 days a month, 24 hours a day)."""

    __slots__ = ("days", "months", "us")

    def __init__(self) -> None:
        self.months = 0
        self.days = 0
        self.us = 0

    def add(self, amount: Decimal, unit: str) -> None:
        if unit in _MICROS:
            self.us += int((amount * _MICROS[unit]).to_integral_value(ROUND_HALF_EVEN))
        elif unit in _DAYS:
            self._add_days(amount * _DAYS[unit])
        else:
            whole = int(amount)
            self.months += whole * _MONTHS[unit]
            fraction = (amount - whole) * _MONTHS[unit]
            if unit == "month":
                self._add_days(fraction * 30)
            else:
                self.months += int(fraction.to_integral_value(ROUND_HALF_EVEN))

    def _add_days(self, amount: Decimal) -> None:
        whole = int(amount)
        self.days += whole
        self.us += int(((amount - whole) * DAY_US).to_integral_value(ROUND_HALF_EVEN))


def interval_in(text: str, _format: SessionFormat, typmod: int = -1) -> Interval:
    lower = text.strip().lower()
    fields = (typmod >> 16) & 0x7FFF if typmod >= 0 else INTERVAL_FULL_RANGE
    total = _Sum()
    if lower.startswith("p") and len(lower) > 1:
        _read_iso(lower, text, total)
    elif lower in ("infinity", "-infinity"):
        return (2**31 - 1, 2**31 - 1, 2**63 - 1) if lower == "infinity" else (-(2**31), -(2**31), -(2**63))
    else:
        _read_words(lower, text, total, fields)
    return fit_interval(checked_interval(total.months, total.days, total.us, text), typmod)


def checked_interval(months: int, days: int, us: int, text: str | None = None) -> Interval:
    fits = -(2**31) <= months < 2**31 and -(2**31) <= days < 2**31 and -(2**63) <= us < 2**63
    if not fits:
        if text is not None:
            raise SqlError(Code.interval_field_overflow, f'interval field value out of range: "{text}"')
        raise SqlError(Code.datetime_field_overflow, "interval out of range")
    return months, days, us


def _read_iso(lower: str, text: str, total: _Sum) -> None:
    found = _ISO.fullmatch(lower)
    if found is None or lower.endswith("t"):
        raise bad_syntax("interval", text)
    units = {"y": "year", "mo": "month", "w": "week", "d": "day", "h": "hour", "mi": "minute", "s": "second"}
    for name, unit in units.items():
        if found[name] is not None:
            total.add(Decimal(found[name]), unit)


def _read_words(lower: str, text: str, total: _Sum, fields: int) -> None:
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(lower):
        found = _TOKEN.match(lower, at)
        date = _DATE.match(lower, at)
        if date is not None and int(date[1]) >= 12:  # '1999-12-31' is years and months to begin with
            raise SqlError(Code.interval_field_overflow, f'interval field value out of range: "{text}"')
        if found is None or len(tokens) > 50:
            raise bad_syntax("interval", text)
        tokens.append((found.lastgroup or "", found[found.lastgroup or ""]))
        at = found.end()
        while at < len(lower) and lower[at] in " \t\n,":
            at += 1
    tokens = [token for token in tokens if token[0] != "at"]
    ago = bool(tokens) and tokens[-1] == ("word", "ago")
    if ago:
        tokens.pop()
    if not tokens:
        raise bad_syntax("interval", text)
    position = 0
    while position < len(tokens):
        kind, token = tokens[position]
        position += 1
        if kind == "clock":
            total.us += _clock(token, fields)
        elif kind == "ym":
            years, months = token.lstrip("+-").split("-")
            amount = int(years) * 12 + int(months)
            total.months += -amount if token.startswith("-") else amount
        elif kind == "number":
            unit, position = _unit_of_number(tokens, position, text, fields)
            total.add(Decimal(token), unit)
        else:
            raise bad_syntax("interval", text)
    if ago:
        total.months, total.days, total.us = -total.months, -total.days, -total.us


def _unit_of_number(tokens: list[tuple[str, str]], position: int, text: str, fields: int) -> tuple[str, int]:
    """The unit behind a number: a word, days before a clock, else the last field of the range or seconds."""
    if position < len(tokens):
        kind, word = tokens[position]
        if kind == "word":
            unit = _SPELLINGS.get(word)
            if unit is None:
                raise bad_syntax("interval", text)
            return unit, position + 1
        if kind == "clock":
            return "day", position
        raise bad_syntax("interval", text)
    if fields != INTERVAL_FULL_RANGE:
        return next(unit for bit, unit in _LAST_UNIT if fields & bit), position
    return "second", position


def _clock(token: str, fields: int) -> int:
    """'h:mm', 'h:mm:ss.f' or, where the range has seconds but no hours, 'mm:ss'."""
    body, _, fraction = token.lstrip("+-").partition(".")
    parts = [int(part) for part in body.split(":")]
    if len(parts) == 2 and (fraction or fields == MINUTE_BIT | SECOND_BIT):
        parts.insert(0, 0)
    hours, minutes, seconds = (*parts, 0)[:3]
    us = hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US
    if fraction:
        us += int((Decimal("0." + fraction) * SECOND_US).to_integral_value(ROUND_HALF_EVEN))
    return -us if token.startswith("-") else us


def fit_interval(value: Interval, typmod: int) -> Interval:
    """Drops fields finer than the range, rounds seconds to the precision."""
    if typmod < 0 or is_infinite(value):
        return value
    months, days, us = value
    fields, precision = (typmod >> 16) & 0x7FFF, typmod & 0xFFFF
    if fields != INTERVAL_FULL_RANGE:
        if fields == YEAR_BIT:
            months, days, us = int(months / 12) * 12, 0, 0
        elif fields in (MONTH_BIT, YEAR_BIT | MONTH_BIT):
            days, us = 0, 0
        elif fields == DAY_BIT:
            us = 0
        elif not fields & SECOND_BIT:
            unit = MINUTE_US if fields & MINUTE_BIT else HOUR_US
            us = us // unit * unit if us >= 0 else -(-us // unit * unit)
    if precision < 6 and precision != INTERVAL_FULL_PRECISION:
        unit = 10 ** (6 - precision)
        us = (us + unit // 2) // unit * unit if us >= 0 else -((-us + unit // 2) // unit * unit)
    return months, days, us


def is_infinite(value: Interval) -> bool:
    return (value[2] == 2**63 - 1 and value[0] == 2**31 - 1) or (value[2] == -(2**63) and value[0] == -(2**31))


def interval_text(value: Interval) -> str:
    """'1 year 2 mons 3 days 04:05:06.5'; signs as PostgreSQL's."""
    if is_infinite(value):
        return "infinity" if value[0] > 0 else "-infinity"
    months, days, us = value
    years, mons = (months // 12, months % 12) if months >= 0 else (-(-months // 12), -(-months % 12))
    parts: list[str] = []
    before_negative = False
    for amount, unit in ((years, "year"), (mons, "mon"), (days, "day")):
        if amount:
            sign = "+" if before_negative and amount > 0 else ""
            parts.append(f"{sign}{amount} {unit}{'' if amount == 1 else 's'}")
            before_negative = amount < 0
    if us or not parts:
        magnitude = abs(us)
        seconds, fraction = divmod(magnitude, SECOND_US)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        sign = "-" if us < 0 else "+" if before_negative else ""
        clock = f"{sign}{hour:02d}:{minute:02d}:{second:02d}"
        parts.append(f"{clock}.{fraction:06d}".rstrip("0") if fraction else clock)
    return " ".join(parts)


def span_us(value: Interval) -> int:
    """The length by which intervals compare: 30 days a month, 24 hours a day."""
    return (value[0] * 30 + value[1]) * DAY_US + value[2]


_LAYOUT = struct.Struct("!qii")


def _binary_in(data: bytes) -> Interval:
    if len(data) != 16:
        raise binary_length_error()
    us, days, months = _LAYOUT.unpack(data)
    return months, days, us


def interval_out(value: Interval, format: SessionFormat) -> str:
    style = format.interval_style
    if style == "postgres" or is_infinite(value):
        return interval_text(value)
    if style == "iso_8601":
        return iso_interval(value)
    return verbose_interval(value) if style == "postgres_verbose" else standard_interval(value)


INTERVAL: Final[Codec] = (
    interval_in,
    interval_out,
    _binary_in,
    lambda value: _LAYOUT.pack(value[2], value[1], value[0]),
)
