"""Time zones: offsets from UTC at an instant or at a local time, cached per day.

`datetime` with a ZoneInfo would do, at several microseconds a value and only for the years 1 to 9999. A day without a
transition has one offset, so one dictionary look-up answers nearly every question.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed
from functools import lru_cache
from typing import Final

from tausql.sql.types.calendar import DAY_US, civil_from_days

_CACHE_MAX: Final = 4096
_OFFSET = re.compile(r"^(?:<([A-Za-z0-9+-]+)>)?([+-]?)(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?$")

# Abbreviations of PostgreSQL's Default set that are in common use: hours east of UTC.
_ABBREVIATIONS: Final = {
    "utc": 0, "gmt": 0, "z": 0, "zulu": 0, "ut": 0, "uct": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2,
    "met": 1, "mest": 2, "eet": 2, "eest": 3, "msk": 3, "msd": 4, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7,
    "mdt": -6, "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10, "ast": -4, "adt": -3, "jst": 9, "kst": 9,
    "hkt": 8, "sgt": 8, "pkt": 5, "awst": 8, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13, "brt": -3, "art": -3,
    "sast": 2, "eat": 3, "ist": 2,
}  # fmt: skip


class Zone:
    """A zone by name. Offsets are seconds east of UTC; instants and local times are microseconds since 2000-01-01."""

    __slots__ = ("_by_utc_day", "_fixed", "_info", "name")

    def __init__(self, name: str, info: zoneinfo.ZoneInfo | fixed) -> None:
        self.name = name
        self._info = info
        self._by_utc_day: dict[int, int | None] = {}
        self._fixed = int(info.utcoffset(None).total_seconds()) if isinstance(info, fixed) else None

    def offset_at(self, instant_us: int) -> int:
        """Seconds east of UTC at an instant."""
        if self._fixed is not None:
            return self._fixed
        day = instant_us // DAY_US
        cached = self._by_utc_day.get(day, -1_000_000)
        if cached == -1_000_000:
            cached = self._learn(day)
        if cached is not None:
            return cached
        return self._exact(instant_us)

    def offset_at_local(self, local_us: int) -> int:
        """Seconds east of UTC at a local time; in a gap the offset before it, in an overlap the one after it."""
        if self._fixed is not None:
            return self._fixed
        day = local_us // DAY_US
        before, after = self.offset_at((day - 1) * DAY_US), self.offset_at((day + 2) * DAY_US)
        if before == after and self.offset_at(day * DAY_US) == before and self.offset_at((day + 1) * DAY_US) == before:
            return before
        moment = _moment(local_us)
        return min(
            int(_delta(self._info.utcoffset(moment.replace(tzinfo=self._info, fold=fold))).total_seconds())
            for fold in (0, 1)
        )

    def abbreviation_at(self, instant_us: int) -> str:
        """'CEST', or '+05' where the zone has no letters."""
        if self._fixed is not None:
            letters = re.match(r"[A-Za-z]{3,}", self.name)
            return letters[0] if letters is not None else offset_text(self._fixed)
        return _moment(instant_us).replace(tzinfo=UTC).astimezone(self._info).tzname() or ""

    def _learn(self, day: int) -> int | None:
        if len(self._by_utc_day) >= _CACHE_MAX:
            self._by_utc_day.clear()
        start = self._exact(day * DAY_US)
        same = start == self._exact(day * DAY_US + DAY_US // 2) == self._exact((day + 1) * DAY_US - 1)
        answer = start if same else None
        self._by_utc_day[day] = answer
        return answer

    def _exact(self, instant_us: int) -> int:
        moment = _moment(instant_us).replace(tzinfo=UTC)
        return int(_delta(moment.astimezone(self._info).utcoffset()).total_seconds())


def _delta(value: timedelta | None) -> timedelta:
    return value if value is not None else timedelta(0)


def _moment(us: int) -> datetime:
    """A naive datetime; years outside Python's range move by whole 400-year cycles into it."""
    year = civil_from_days(us // DAY_US)[0]
    if year > 9990:
        us -= ((year - 9600) // 400 + 1) * 146097 * DAY_US
    elif year < 10:
        us += ((10 - year) // 400 + 1) * 146097 * DAY_US
    return datetime(2000, 1, 1) + timedelta(microseconds=us)


def fixed_zone(seconds_east: int, name: str | None = None) -> Zone:
    """A zone with one offset; its name is POSIX style as PostgreSQL prints it."""
    if name is None:
        name = "UTC" if seconds_east == 0 else f"<{offset_text(seconds_east)}>{offset_text(-seconds_east)}"
    return Zone(name, fixed(timedelta(seconds=seconds_east)))


@lru_cache(maxsize=256)
def find_zone(name: str) -> Zone | None:
    """A zone by full name, abbreviation or fixed offset ('Europe/Berlin', 'CEST', '+02', '-3.5' is not one)."""
    text = name.strip()
    found = _OFFSET.match(text)
    if found:
        # A bare number is ISO (east positive), as SET TIME ZONE takes it; '<+02>-02' is POSIX (west positive).
        sign = -1 if found[2] == "-" else 1
        if found[1]:
            sign = -sign
        seconds = sign * (int(found[3]) * 3600 + int(found[4] or 0) * 60 + int(found[5] or 0))
        return fixed_zone(seconds) if abs(seconds) < 16 * 3600 else None
    return _named(text) or _posix(text)


_POSIX = re.compile(r"([A-Za-z]{3,})([+-]?)(\d{1,3})(?::(\d\d))?(?::(\d\d))?")


def _posix(text: str) -> Zone | None:
    """'UTC-05:00': letters and an offset, west positive, so that this one lies 5 hours east."""
    found = _POSIX.fullmatch(text)
    if found is None:
        return None
    seconds = int(found[3]) * 3600 + int(found[4] or 0) * 60 + int(found[5] or 0)
    return fixed_zone(seconds if found[2] == "-" else -seconds, text) if seconds <= 167 * 3600 else None


def _named(text: str) -> Zone | None:
    lower = text.lower()
    if lower in ("utc", "gmt", "zulu", "z", "uct", "etc/utc"):
        return Zone({"utc": "UTC", "gmt": "GMT", "etc/utc": "Etc/UTC"}.get(lower, "UTC"), UTC)
    if not re.match(r"^[A-Za-z][A-Za-z0-9_+/-]*$", text):
        return None
    for candidate in (text, lower.title(), lower.upper()):
        try:
            return Zone(candidate, zoneinfo.ZoneInfo(candidate))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            continue
    for candidate in zoneinfo.available_timezones():
        if candidate.lower() == lower:
            return Zone(candidate, zoneinfo.ZoneInfo(candidate))
    seconds = abbreviation_offset(lower)
    return fixed_zone(seconds, text.upper()) if seconds is not None else None


def abbreviation_offset(lower: str) -> int | None:
    """Seconds east of UTC of 'cest', 'pst', ...; None when it is not an abbreviation."""
    hours = _ABBREVIATIONS.get(lower)
    return hours * 3600 if hours is not None else None


def abbreviations() -> tuple[str, ...]:
    """All that are known, lower case."""
    return tuple(_ABBREVIATIONS)


@lru_cache(maxsize=512)
def offset_text(seconds_east: int) -> str:
    """'+00', '-03:30', '+01:23:45'."""
    sign = "-" if seconds_east < 0 else "+"
    minutes, seconds = divmod(abs(seconds_east), 60)
    hours, minutes = divmod(minutes, 60)
    if seconds:
        return f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{sign}{hours:02d}:{minutes:02d}" if minutes else f"{sign}{hours:02d}"
