"""Reading dates and times as people and programs write them.

`datetime.fromisoformat` covers what programs send and nothing else PostgreSQL takes ('Jan 8, 1999', '20260101T1200',
'04:05 PM', '2026-01-01 12:00 Europe/Berlin', 'yesterday'). One expression answers the ISO forms, a small scanner the
rest; both fill the same Fields.
"""

from __future__ import annotations

import re
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.calendar import SECOND_US, days_from_civil, days_in_month
from tausql.sql.types.zones import Zone, abbreviation_offset, find_zone

_ISO = re.compile(
    r"\s*(\d{4,7})-(\d{1,2})-(\d{1,2})"
    r"(?:[ Tt]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{0,9}))?)?\s*"
    r"(?:([zZ])|([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?)?)?\s*"
)
_TOKEN = re.compile(
    r"(?P<time>\d{1,2}:\d{2}(?::\d{2})?(?:\.\d*)?)"
    r"|(?P<ymd>\d{1,7}[-/.](?:\d{1,2}|[a-z]{3,9})[-/.]\d{1,6})"
    r"|(?P<mdy>[a-z]{3,9}[-/.]\d{1,2}[-/.]\d{1,6})"
    r"|(?P<ydoy>\d{4}\.\d{3})(?!\d)"
    r"|(?P<julian>j\d+)"
    r"|(?P<run>\d{6,8}(?:t\d{2,6}(?:\.\d*)?)?)(?![\d])"
    r"|(?P<zone>[+-]\d{1,2}(?::?\d{2})?(?::?\d{2})?)"
    r"|(?P<number>\d+(?:st|nd|rd|th)?)"
    r"|(?P<word>[a-z][a-z_]*(?:[/+-][a-z0-9_/+-]+)?)"
    r"|(?P<blank>[\s,]+)",
)
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"), ("may",), ("jun", "june"),
            ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"), ("oct", "october"),
            ("nov", "november"), ("dec", "december"),
        ),
        1,
    )
    for name in names
}  # fmt: skip
_DAYS: Final = frozenset(
    "sun sunday mon monday tue tues tuesday wed weds wednesday thu thur thurs thursday fri friday sat saturday".split()
)
SPECIALS: Final = frozenset(("now", "today", "tomorrow", "yesterday", "epoch", "infinity", "-infinity", "+infinity"))


class Fields:
    """What was found: a special word, a day (since 2000), a time of day (us), a zone. Absent parts are None."""

    __slots__ = ("day", "offset", "special", "time_us", "zone")

    def __init__(self) -> None:
        self.special: str | None = None
        self.day: int | None = None
        self.time_us: int | None = None
        self.offset: int | None = None  # seconds east of UTC
        self.zone: Zone | None = None  # a zone whose offset depends on the day


def bad_syntax(type_name: str, text: str) -> SqlError:
    return SqlError(Code.invalid_datetime_format, f'invalid input syntax for type {type_name}: "{text}"')


def out_of_range(text: str, hint: bool = False) -> SqlError:
    """22008; the hint is given when month or day cannot be one, perhaps swapped."""
    return SqlError(
        Code.datetime_field_overflow,
        f'date/time field value out of range: "{text}"',
        hint='Perhaps you need a different "DateStyle" setting.' if hint else None,
    )


def checked_day(year: int, month: int, day: int, text: str) -> int:
    """Days since 2000-01-01, or 22008."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise out_of_range(text, hint=True)
    if day > days_in_month(year, month):
        raise out_of_range(text)
    return days_from_civil(year, month, day)


def checked_time(hour: int, minute: int, second: int, fraction_us: int, text: str) -> int:
    """Microseconds of day; 24:00:00 and second 60 are accepted."""
    total = ((hour * 60 + minute) * 60 + second) * SECOND_US + fraction_us
    if minute > 59 or second > 60 or hour > 24 or total > 86_400 * SECOND_US:
        raise out_of_range(text)
    return total


def fraction_us(digits: str | None) -> int:
    """'5' -> 500000; more than six digits are rounded."""
    if not digits:
        return 0
    if len(digits) <= 6:
        return int(digits.ljust(6, "0"))
    return round(float("0." + digits) * 1_000_000)


def checked_offset(sign: str, hours: str, minutes: str | None, seconds: str | None, text: str) -> int:
    if minutes is None and len(hours) > 2:
        hours, minutes = hours[:-2], hours[-2:]
    total = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    if int(minutes or 0) > 59 or total >= 16 * 3600:
        raise SqlError(Code.invalid_time_zone_displacement_value, f'time zone displacement out of range: "{text}"')
    return -total if sign == "-" else total


def read_fields(text: str, type_name: str, order: str = "MDY") -> Fields:
    """The parts of a date/time text; 22007, 22008 or 22023 in PostgreSQL's words. order: of DateStyle, for '1/2/03'."""
    fields = Fields()
    found = _ISO.fullmatch(text)
    if found is None:
        return _Scanner(text, type_name, fields, order).scan()
    year, month, day, hour, minute, second, fraction, zulu, sign, zone_h, zone_m, zone_s = found.groups()
    if int(year) == 0:
        raise out_of_range(text)
    fields.day = checked_day(int(year), int(month), int(day), text)
    if hour is not None:
        fields.time_us = checked_time(int(hour), int(minute), int(second or 0), fraction_us(fraction), text)
        if zulu:
            fields.offset = 0
        elif sign:
            fields.offset = checked_offset(sign, zone_h, zone_m, zone_s, text)
    return fields


class _Scanner:
    """The general form: tokens in any sensible order."""

    __slots__ = ("bc", "day", "fields", "meridiem", "month", "order", "text", "type_name", "year", "year_digits")

    def __init__(self, text: str, type_name: str, fields: Fields, order: str) -> None:
        self.text = text
        self.order = order
        self.type_name = type_name
        self.fields = fields
        self.year: int | None = None
        self.year_digits = 0
        self.month: int | None = None
        self.day: int | None = None
        self.meridiem: str | None = None
        self.bc = False

    def bad(self) -> SqlError:
        return bad_syntax(self.type_name, self.text)

    def scan(self) -> Fields:
        lower = self.text.strip().lower()
        if lower in SPECIALS:
            self.fields.special = lower.lstrip("+")
            return self.fields
        at, end = 0, len(lower)
        if not end or end > 150:
            raise self.bad()
        while at < end:
            found = _TOKEN.match(lower, at)
            if found is None:
                raise self.bad()
            kind = found.lastgroup or ""
            if kind != "blank":
                if kind == "word" and found[0] == "t":
                    pass
                elif kind == "word" and found[0].startswith("t") and found[0][1:].isdigit():
                    raise self.bad()
                else:
                    self._take(kind, found[0])
            at = found.end()
            # '2020-01-01T04:05': the T between date and time is no word of its own
            if kind in ("ymd", "mdy", "run") and lower[at : at + 1] == "t" and lower[at + 1 : at + 2].isdigit():
                at += 1
        return self._finish()

    def _take(self, kind: str, token: str) -> None:
        if kind == "time":
            if self.fields.time_us is not None:
                raise self.bad()
            self.fields.time_us = self._time(token)
        elif kind in ("ymd", "mdy"):
            self._date(re.split(r"[-/.]", token), token)
        elif kind == "run":
            self._run(token)
        elif kind == "zone":
            self._zone(token)
        elif kind == "number":
            self._number(re.sub(r"\D", "", token))
        elif kind == "julian":
            self.fields.day = int(token[1:]) - 2451545
        elif kind == "ydoy":
            self.fields.day = days_from_civil(int(token[:4]), 1, 1) + int(token[5:]) - 1
        else:
            self._word(token)

    def _time(self, token: str) -> int:
        clock, _, fraction = token.partition(".")
        parts = [int(part) for part in clock.split(":")]
        if fraction and len(parts) == 2:
            raise self.bad()
        return checked_time(parts[0], parts[1], parts[2] if len(parts) > 2 else 0, fraction_us(fraction), self.text)

    def _date(self, parts: list[str], token: str) -> None:
        if self.day is not None or self.fields.day is not None:
            raise self.bad()
        first, second, third = parts
        if first.isalpha():
            self._month(first)
            self.day, self.year, self.year_digits = int(second), int(third), len(third)
        elif second.isalpha():
            self._month(second)
            if len(first) > 2:
                self.year, self.year_digits, self.day = int(first), len(first), int(third)
            else:
                self.day, self.year, self.year_digits = int(first), int(third), len(third)
        elif len(first) > 2 or self.order == "YMD":
            self.year, self.year_digits, self.month, self.day = int(first), len(first), int(second), int(third)
        else:
            if self.order == "DMY":
                first, second = second, first
            self.month, self.day, self.year, self.year_digits = int(first), int(second), int(third), len(third)

    def _month(self, word: str) -> None:
        if word not in _MONTHS or self.month is not None:
            raise self.bad()
        self.month = _MONTHS[word]

    def _run(self, token: str) -> None:
        date, _, clock = token.partition("t")
        if self.fields.time_us is None and (self.day is not None or self.fields.day is not None) and len(date) == 6:
            self.fields.time_us = checked_time(int(date[:2]), int(date[2:4]), int(date[4:]), 0, self.text)
            return
        if self.day is not None or len(date) == 7:
            raise self.bad()
        self.year, self.year_digits = int(date[:-4]), len(date) - 4
        self.month, self.day = int(date[-4:-2]), int(date[-2:])
        if clock:
            whole, _, fraction = clock.partition(".")
            padded = whole.ljust(6, "0")
            self.fields.time_us = checked_time(
                int(padded[:2]), int(padded[2:4]), int(padded[4:6]), fraction_us(fraction), self.text
            )

    def _zone(self, token: str) -> None:
        found = re.fullmatch(r"([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?", token)
        if found is None or self.fields.offset is not None:
            raise self.bad()
        self.fields.offset = checked_offset(found[1], found[2], found[3], found[4], self.text)

    def _number(self, digits: str) -> None:
        if len(digits) > 2 and self.year is None:
            self.year, self.year_digits = int(digits), len(digits)
        elif self.month is None and self.year is not None and self.day is None:
            self.month = int(digits)
        elif (self.day is None and self.month is not None) or (self.day is None and self.month is None):
            self.day = int(digits)
        elif self.year is None:
            self.year, self.year_digits = int(digits), len(digits)
        else:
            raise self.bad()

    def _word(self, word: str) -> None:
        if word in _MONTHS:
            self._month(word)
        elif word in ("am", "pm"):
            self.meridiem = word
        elif word in ("bc", "ad"):
            self.bc = word == "bc"
        elif word in SPECIALS and self.fields.special is None and word in ("today", "tomorrow", "yesterday", "now"):
            self.fields.special = word
        elif word == "allballs":
            self.fields.time_us, self.fields.offset = 0, 0
        elif word in _DAYS or word in ("at", "on"):
            pass
        else:
            offset = abbreviation_offset(word)
            if offset is not None:
                if self.fields.offset is not None:
                    raise self.bad()
                self.fields.offset = offset
                return
            zone = find_zone(word) if "/" in word or len(word) > 2 else None
            if zone is None:
                if "/" in word:
                    raise SqlError(Code.invalid_parameter_value, f'time zone "{word}" not recognized')
                raise self.bad()
            self.fields.zone = zone

    def _finish(self) -> Fields:
        fields = self.fields
        if self.meridiem is not None:
            if fields.time_us is None or fields.time_us >= 13 * 3600 * SECOND_US:
                raise out_of_range(self.text) if fields.time_us is not None else self.bad()
            noon = 12 * 3600 * SECOND_US
            if self.meridiem == "am":
                fields.time_us -= noon if fields.time_us >= noon else 0
            else:
                fields.time_us += noon if fields.time_us < noon else 0
        parts = (self.year, self.month, self.day)
        if any(part is not None for part in parts):
            if any(part is None for part in parts):
                raise self.bad()
            self._resolve_day()
        if fields.day is None and fields.special is None and fields.time_us is None:
            raise self.bad()
        return fields

    def _resolve_day(self) -> None:
        assert self.year is not None
        assert self.month is not None
        assert self.day is not None
        year = self.year
        if self.bc:
            if year <= 0:
                raise out_of_range(self.text)
            year = 1 - year
        elif self.year_digits <= 2:
            year += 2000 if year < 70 else 1900
        elif year <= 0:
            raise out_of_range(self.text)
        self.fields.day = checked_day(year, self.month, self.day, self.text)
