"""to_char, to_date and to_timestamp with PostgreSQL's template patterns (YYYY-MM-DD HH24:MI:SS, Mon, Day, ...)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.functions.number_format import ordinal
from tausql.sql.types.builtin import DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ
from tausql.sql.types.calendar import (
    DAY_NAMES,
    DAY_US,
    HOUR_US,
    MINUTE_US,
    MONTH_NAMES,
    SECOND_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
    civil_from_days,
    day_of_week,
    days_from_civil,
    days_from_iso_week,
    days_in_month,
    iso_week,
)
from tausql.sql.types.datetimes import from_local
from tausql.sql.types.intervals import Interval, is_infinite
from tausql.sql.types.type import Type
from tausql.sql.types.zones import offset_text

_KEYWORDS: Final = (
    "HH24 HH12 SSSSS SSSS Y,YYY IYYY MONTH YYYY IDDD A.D. B.C. A.M. P.M. a.d. b.c. a.m. p.m. Month month YYY IYY "
    "DAY Day day DDD MON Mon mon TZH TZM FF1 FF2 FF3 FF4 FF5 FF6 HH MI SS MS US YY IY AM PM am pm AD BC ad bc MM "
    "DD DY Dy dy TM ID IW WW CC RM rm TZ tz OF FM FX TH th SP Y I D W Q J"
).split()
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\\"|' + "|".join(sorted(map(re.escape, _KEYWORDS), key=len, reverse=True)) + r"|.",
    re.S | re.I,
)
_ROMAN: Final = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


_OF_DATES: Final = frozenset(
    ("month", "mon", "day", "dy", "d", "id", "ad", "bc", "a.d.", "b.c.", "tz", "tzh", "tzm", "of")
)


class _Moment:
    """What a template can show: civil fields and the time of day, of a timestamp or an interval."""

    __slots__ = ("day", "day_of_month", "is_interval", "month", "offset", "us", "year", "zone")

    def __init__(self, local_us: int, offset: int | None, zone: str) -> None:
        self.day, self.us = divmod(local_us, DAY_US)
        self.year, self.month, self.day_of_month = civil_from_days(self.day)
        self.offset = offset
        self.zone = zone
        self.is_interval = False


def _of_interval(span: Interval) -> _Moment:
    moment = _Moment(0, None, "")
    months, days, us = span
    moment.year = int(months / 12)
    moment.month = months - moment.year * 12
    moment.day_of_month, moment.us, moment.is_interval = days, us, True
    return moment


def _tokens(template: str) -> list[str]:
    return _TOKEN.findall(template)


def format_moment(moment: _Moment, template: str) -> str:
    out: list[str] = []
    fill = True
    last_number = "0"
    for token in _tokens(template):
        if token.startswith('"') and len(token) > 1:
            out.append(token[1:-1])
            continue
        if token == '\\"':
            out.append('"')
            continue
        lower = token.lower()
        if lower in ("fm", "tm"):
            fill = False
            continue
        if moment.is_interval and lower in _OF_DATES:
            raise SqlError(
                Code.invalid_datetime_format,
                "invalid format specification for an interval value",
                hint="Intervals are not tied to specific calendar dates.",
            )
        if lower == "fx":
            continue
        if lower == "th" and out:
            out.append(ordinal(last_number, token == "TH"))
            fill = True
            continue
        text = _numeric_field(lower, moment, fill)
        if text is not None:
            last_number = text
        else:
            text = _word_field(token, lower, moment, fill)
        if text is None:
            out.append(token)
            continue
        fill = True
        out.append(text)
    return "".join(out)


def _numeric_field(lower: str, m: _Moment, fill: bool) -> str | None:
    sign, us = (-1 if m.us < 0 else 1), abs(m.us)
    hour, minute = sign * (us // HOUR_US), sign * (us // MINUTE_US % 60)
    second, fraction = sign * (us // SECOND_US % 60), sign * (us % SECOND_US)
    half_day = sign * (abs(hour) % 12) or 12
    shown_year = m.year if m.year > 0 or m.is_interval else 1 - m.year
    iso_year = iso_week(m.day)[0] if lower.startswith("i") else 1
    iso_day = m.day - days_from_iso_week(iso_year, 1) + 1 if lower == "iddd" else 0
    iso_year = iso_year if iso_year > 0 else 1 - iso_year
    century = m.year // 100 if m.is_interval else (m.year - 1) // 100 + 1 if m.year > 0 else int(m.year / 100) - 1
    fields: dict[str, tuple[int, int]] = {
        "hh24": (hour, 2), "hh": (half_day, 2), "hh12": (half_day, 2), "mi": (minute, 2),
        "ss": (second, 2), "ms": (fraction // 1000, 3), "us": (fraction, 6), "sssss": (m.us // SECOND_US, 0),
        "ssss": (m.us // SECOND_US, 0), "yyyy": (shown_year, 4), "yyy": (shown_year % 1000, 3),
        "yy": (shown_year % 100, 2), "y": (shown_year % 10, 1), "mm": (m.month, 2), "dd": (m.day_of_month, 2),
        "d": (day_of_week(m.day) + 1, 0), "id": (day_of_week(m.day) or 7, 0), "q": ((m.month - 1) // 3 + 1, 0),
        "ddd": (m.day - days_from_civil(m.year, 1, 1) + 1 if not m.is_interval else m.day_of_month, 3),
        "ww": ((m.day - days_from_civil(m.year, 1, 1)) // 7 + 1 if not m.is_interval else 0, 2),
        "w": ((m.day_of_month - 1) // 7 + 1, 0), "iw": (iso_week(m.day)[1], 2), "iyyy": (iso_year, 4),
        "iyy": (iso_year % 1000, 3), "iy": (iso_year % 100, 2), "i": (iso_year % 10, 1),
        "cc": (century, 2), "iddd": (iso_day, 3), "j": (m.day + 2451545, 0),
    } if not lower.startswith("ff") else {}  # fmt: skip
    if lower in fields:
        value, width = fields[lower]
        if not fill:
            return str(value)
        if lower in ("dd", "ddd", "mm"):
            return f"{value:0{width}d}"
        return ("-" if value < 0 else "") + str(abs(value)).rjust(width, "0")
    if len(lower) == 3 and lower.startswith("ff") and lower[2].isdigit():
        return f"{abs(fraction):06d}"[: int(lower[2])]
    if lower == "y,yyy":
        return f"{shown_year // 1000},{shown_year % 1000:03d}"
    return None


def _cased(token: str, name: str) -> str:
    if token[:1].islower():
        return name.lower()
    return name.upper() if token[1:2].isupper() else name


def _word_field(token: str, lower: str, m: _Moment, fill: bool) -> str | None:
    if lower in ("month", "mon", "day", "dy"):
        name = MONTH_NAMES[m.month - 1] if lower.startswith("mo") else DAY_NAMES[day_of_week(m.day)]
        shown = _cased(token, name if lower in ("month", "day") else name[:3])
        return shown.ljust(9) if fill and lower in ("month", "day") else shown
    if lower in ("am", "pm", "a.m.", "p.m."):
        letter = "pm" if m.us >= 0 and m.us // HOUR_US % 24 >= 12 else "am"
        text = f"{letter[0]}.{letter[1]}." if "." in lower else letter
        return text if token[0].islower() else text.upper()
    if lower in ("ad", "bc", "a.d.", "b.c."):
        letter = "ad" if m.year > 0 else "bc"
        text = f"{letter[0]}.{letter[1]}." if "." in lower else letter
        return text if token[0].islower() else text.upper()
    if lower == "rm" and not m.month:
        return ""
    if lower == "rm":
        roman = _ROMAN[m.month - 1].ljust(4) if fill else _ROMAN[m.month - 1]
        return roman.lower() if token[0].islower() else roman
    if lower in ("tz", "of", "tzh", "tzm"):
        return _zone_field(token, lower, m)
    return None


def _zone_field(token: str, lower: str, m: _Moment) -> str:
    if m.offset is None:
        return "" if lower == "tz" else "+00" if lower in ("of", "tzh") else "00"
    if lower == "tz":
        return m.zone.lower() if token[0].islower() else m.zone
    text = offset_text(m.offset)
    if lower == "of":
        return text
    return text[:3] if lower == "tzh" else text[4:6] or "00"


def _timestamp_to_char(us: int, template: str) -> str | None:
    if not template or us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return None
    return format_moment(_Moment(us, None, ""), template)


def _timestamptz_to_char(context: Any, us: int, template: str) -> str | None:
    if not template or us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
        return None
    zone = context.format.zone
    offset = zone.offset_at(us)
    return format_moment(_Moment(us + offset * SECOND_US, offset, zone.abbreviation_at(us)), template)


def _interval_to_char(span: Interval, template: str) -> str | None:
    return format_moment(_of_interval(span), template) if template and not is_infinite(span) else None


# --- reading ---

_WIDTHS: Final = {
    "hh24": 2, "hh": 2, "hh12": 2, "mi": 2, "ss": 2, "ms": 3, "us": 6, "sssss": 5, "ssss": 5, "yyyy": 4, "yyy": 3,
    "yy": 2, "y": 1, "mm": 2, "dd": 2, "ddd": 3, "d": 1, "id": 1, "q": 1, "j": 7, "cc": 2, "tzm": 2, "ww": 2, "w": 1,
    "ff1": 1, "ff2": 2, "ff3": 3, "ff4": 4, "ff5": 5, "ff6": 6, "iw": 2, "iyyy": 4,
}  # fmt: skip


# 'VIII' is to be tried before 'VII' and that before 'VI': December first does it.
_ROMAN_LONGEST_FIRST: Final = tuple(reversed(_ROMAN))


class _Read:
    __slots__ = ("at", "fields", "fx", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.fields: dict[str, int] = {}
        self.fx = False

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def number(self, token: str, width: int, greedy: bool) -> None:
        self.blanks()
        limit = "{1," + ("20" if greedy else str(width)) + "}"
        found = re.compile(r"[+-]?\d" + limit).match(self.text, self.at)
        if found is None:
            shown = self.text[self.at : self.at + width]
            if self.at >= len(self.text):
                return
            raise SqlError(
                Code.invalid_datetime_format,
                f'invalid value "{shown}" for "{token}"',
                detail="Value must be an integer.",
            )
        self.at = found.end()
        self.fields[token.lower()] = int(found[0])
        if token.lower() in ("ms", "us") or token.lower().startswith("ff"):
            scale = 3 if token.lower() == "ms" else 6
            self.fields["fraction"] = int(found[0].ljust(scale, "0")[:scale].ljust(6, "0"))

    def word(self, token: str, names: tuple[str, ...], short: bool) -> int:
        self.blanks()
        rest = self.text[self.at :].lower()
        for at, name in enumerate(names, 1):
            wanted = name[:3].lower() if short else name.lower()
            if rest.startswith(wanted):
                self.at += len(wanted)
                return at
        shown = self.text[self.at :].split(" ")[0]
        raise SqlError(
            Code.invalid_datetime_format,
            f'invalid value "{shown}" for "{token}"',
            detail="The given value did not match any of the allowed values for this field.",
        )


def _read(text: str, template: str) -> _Read:
    reader = _Read(text)
    tokens = [t for t in _tokens(template) if t.lower() not in ("fm", "tm")]
    for at, token in enumerate(tokens):
        lower = token.lower()
        if lower == "fx":
            reader.fx = True
        elif lower in _WIDTHS:
            following = tokens[at + 1].lower() if at + 1 < len(tokens) else ""
            reader.number(token, _WIDTHS[lower], greedy=following not in _WIDTHS)
        elif lower in ("month", "mon"):
            reader.fields["mm"] = reader.word(token, MONTH_NAMES, lower == "mon")
        elif lower in ("day", "dy"):
            reader.word(token, DAY_NAMES, lower == "dy")
        elif lower in ("am", "pm", "a.m.", "p.m."):
            names = ("a.m.", "p.m.") if "." in lower else ("am", "pm")
            reader.fields["meridiem"] = reader.word(token, names, False)
        elif lower in ("ad", "bc", "a.d.", "b.c."):
            names = ("a.d.", "b.c.") if "." in lower else ("ad", "bc")
            reader.fields["era"] = reader.word(token, names, False)
        elif lower in ("tzh", "of"):
            found = re.compile(r"([+-]?\d{1,2})(?::?(\d{2}))?").match(text, reader.at)
            if found is not None:
                reader.fields["tzh"] = int(found[1])
                reader.at = found.end(1) if lower == "tzh" else found.end()
        elif lower == "th":
            reader.at += 2
        elif lower == "rm":
            reader.fields["mm"] = 12 - reader.word(token, _ROMAN_LONGEST_FIRST, False) + 1
        elif lower == "y,yyy":
            found = re.compile(r"\s*(\d+),(\d{3})").match(text, reader.at)
            if found is None:
                raise SqlError(Code.invalid_datetime_format, 'invalid input string for "Y,YYY"')
            reader.fields["yyyy"] = int(found[1]) * 1000 + int(found[2])
            reader.at = found.end()
        elif lower == "tz":
            raise not_supported('formatting field "TZ" is only supported in to_char')
        else:
            _skip(reader, token)
    return reader


def _skip(reader: _Read, token: str) -> None:
    """A separator of the template takes any separator of the text; other characters take one."""
    size = len(token) - 2 if token.startswith('"') and len(token) > 1 else 1
    if token.isspace() or (len(token) == 1 and not token.isalnum()):
        here = reader.text[reader.at : reader.at + 1]
        if here and not here.isalnum():
            signs_a_number = here in "+-" and reader.text[reader.at + 1 : reader.at + 2].isdigit() and token.isspace()
            reader.at += 0 if signs_a_number else 1
        return
    reader.at += size


def _out_of_range(text: str) -> SqlError:
    return SqlError(Code.datetime_field_overflow, f'date/time field value out of range: "{text}"')


def _day_and_time(text: str, template: str) -> tuple[int, int, int | None]:
    fields = _read(text, template).fields
    if "iyyy" in fields or "iw" in fields:
        day = days_from_iso_week(fields.get("iyyy", 0), fields.get("iw", 1)) + fields.get("id", 1) - 1
        return day, *_time_of_day(fields, text)
    year = 0
    if "yyyy" in fields:
        year = fields["yyyy"]
    elif "yy" in fields or "yyy" in fields or "y" in fields:
        short = fields.get("yy", fields.get("yyy", fields.get("y", 0)))
        year = short + (
            2000 if short < 70 else 1900 if short < 100 else 0 if short > 999 else 1000 if short >= 520 else 2000
        )
    if fields.get("era") == 2 and year:
        year = 1 - year
    month, day = fields.get("mm", 1), fields.get("dd", 1)
    if "cc" in fields and not any(name in fields for name in ("yyyy", "yy", "yyy", "y")):
        year = (fields["cc"] - 1) * 100 + 1
    if not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        raise _out_of_range(text)
    days = days_from_civil(year, month, day)
    if "ddd" in fields:
        days = days_from_civil(year, 1, 1) + fields["ddd"] - 1
    if "ww" in fields and "ddd" not in fields:
        days = days_from_civil(year, 1, 1) + (fields["ww"] - 1) * 7
    if "w" in fields and "dd" not in fields:
        days = days_from_civil(year, month, 1) + (fields["w"] - 1) * 7
    if "j" in fields:
        days = fields["j"] - 2451545
    return days, *_time_of_day(fields, text)


def _time_of_day(fields: dict[str, int], text: str) -> tuple[int, int | None]:
    """(microseconds of the day, seconds east of UTC or None)"""
    hour = fields.get("hh24", fields.get("hh12", fields.get("hh", 0)))
    if "meridiem" in fields or "hh12" in fields or "hh" in fields:
        if not 1 <= hour <= 12:
            raise SqlError(
                Code.invalid_datetime_format,
                f'hour "{hour}" is invalid for the 12-hour clock',
                hint="Use the 24-hour clock, or give an hour between 1 and 12.",
            )
        hour = hour % 12 + (12 if fields.get("meridiem") == 2 else 0)
    minute, second = fields.get("mi", 0), fields.get("ss", 0)
    if hour > 23 or minute > 59 or second > 59:
        raise _out_of_range(text)
    seconds = fields.get("sssss", fields.get("ssss", (hour * 60 + minute) * 60 + second))
    zone = fields.get("tzh")
    if zone is not None:
        zone = zone * 3600 + (fields.get("tzm", 0) * 60 if zone >= 0 else -fields.get("tzm", 0) * 60)
    return seconds * SECOND_US + fields.get("fraction", 0), zone


def moment_of_template(text: str, template: str) -> tuple[Type, Any]:
    """What a text is by a template: a date, a time or both, with or without a zone, as the template has them."""
    lower = template.lower()
    day, us, zone = _day_and_time(text, template)
    has_date = any(part in lower for part in ("y", "mm", "mon", "dd", "ddd", "j"))
    has_time = any(part in lower for part in ("hh", "mi", "ss", "us", "ms", "ff"))
    if has_date and has_time:
        local = day * DAY_US + us
        return (TIMESTAMP, local) if zone is None else (TIMESTAMPTZ, local - zone * SECOND_US)
    if has_date:
        return DATE, day
    return (TIME, us) if zone is None else (TIMETZ, (us, -zone))


def _to_date(text: str, template: str) -> int:
    return _day_and_time(text, template)[0]


def _to_timestamp(context: Any, text: str, template: str) -> int:
    day, us, zone = _day_and_time(text, template)
    local = day * DAY_US + us
    return from_local(local, context.format) if zone is None else local - zone * SECOND_US


def functions() -> Iterator[Function]:
    yield declare("to_char(timestamp, text) text", _timestamp_to_char, volatility=STABLE)
    yield declare("to_char(timestamptz, text) text", _timestamptz_to_char, volatility=STABLE, context=True)
    yield declare("to_char(interval, text) text", _interval_to_char, volatility=STABLE)
    yield declare("to_date(text, text) date", _to_date, volatility=STABLE)
    yield declare("to_timestamp(text, text) timestamptz", _to_timestamp, volatility=STABLE, context=True)
