"""Dates and intervals in the styles other than ISO and `postgres`: SQL, Postgres, German; sql_standard and its kin."""

from __future__ import annotations

from tausql.sql.types.calendar import (
    DAY_NAMES,
    DAY_US,
    MONTH_NAMES,
    SECOND_US,
    civil_from_days,
    day_of_week,
)


def styled_date(days: int, date_style: str) -> str:
    """A finite date. date_style: 'SQL, DMY' and the like."""
    year, month, day = civil_from_days(days)
    style, _, order = date_style.partition(", ")
    shown, era = (year, "") if year > 0 else (1 - year, " BC")
    if style == "German":
        return f"{day:02d}.{month:02d}.{shown:04d}{era}"
    separator = "/" if style == "SQL" else "-"
    first, second = (day, month) if order == "DMY" else (month, day)
    return f"{first:02d}{separator}{second:02d}{separator}{shown:04d}{era}"


def styled_timestamp(us: int, time: str, date_style: str, zone: str = "") -> str:
    """A finite timestamp. time: its time of day as text; zone: how its zone is shown, '' without one."""
    days = us // DAY_US
    style, _, order = date_style.partition(", ")
    behind = f" {zone}" if zone else ""
    if style != "Postgres":
        date = styled_date(days, date_style)
        era = " BC" if date.endswith(" BC") else ""
        return f"{date.removesuffix(' BC')} {time}{behind}{era}"
    year, month, day = civil_from_days(days)
    shown, era = (year, "") if year > 0 else (1 - year, " BC")
    name = MONTH_NAMES[month - 1][:3]
    middle = f"{day:02d} {name}" if order == "DMY" else f"{name} {day:02d}"
    return f"{DAY_NAMES[day_of_week(days)][:3]} {middle} {time} {shown:04d}{behind}{era}"


def _fraction(us: int) -> str:
    return f".{us:06d}".rstrip("0") if us else ""


def _parts(value: tuple[int, int, int]) -> tuple[int, int, int, int, int, int, int]:
    """Years, months, days, hours, minutes, seconds, microseconds: each with the sign of what it is part of."""
    months, days, us = value
    year, month = divmod(abs(months), 12)
    seconds, fraction = divmod(abs(us), SECOND_US)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    a, b = (-1 if months < 0 else 1), (-1 if us < 0 else 1)
    return a * year, a * month, days, b * hour, b * minute, b * second, b * fraction


def iso_interval(value: tuple[int, int, int]) -> str:
    """'P1Y2M3DT4H5M6.5S'."""
    if value == (0, 0, 0):
        return "PT0S"
    year, month, day, hour, minute, second, fraction = _parts(value)
    date = "".join(f"{amount}{unit}" for amount, unit in ((year, "Y"), (month, "M"), (day, "D")) if amount)
    time = "".join(f"{amount}{unit}" for amount, unit in ((hour, "H"), (minute, "M")) if amount)
    if second or fraction:
        sign = "-" if second < 0 or fraction < 0 else ""
        time += f"{sign}{abs(second)}{_fraction(abs(fraction))}S"
    return "P" + date + (f"T{time}" if time else "")


def verbose_interval(value: tuple[int, int, int]) -> str:
    """'@ 1 year 2 mons 3 days 4 hours 5 mins 6.5 secs ago'."""
    year, month, day, hour, minute, second, fraction = _parts(value)
    out = ["@"]
    before: bool | None = None
    for amount, unit in ((year, "year"), (month, "mon"), (day, "day"), (hour, "hour"), (minute, "min")):
        if not amount:
            continue
        if before is None:
            before = amount < 0
        shown = -amount if before else amount
        out.append(f"{shown} {unit}{'' if shown == 1 else 's'}")
    if second or fraction:
        negative = second < 0 or fraction < 0
        if before is None:
            before = negative
        sign = "-" if negative is not before else ""
        unit = "sec" if abs(second) == 1 and not fraction else "secs"
        out.append(f"{sign}{abs(second)}{_fraction(abs(fraction))} {unit}")
    if len(out) == 1:
        return "@ 0"
    return " ".join(out) + (" ago" if before else "")


def standard_interval(value: tuple[int, int, int]) -> str:
    """SQL's '1-2' and '3 4:05:06'; with signs on all three parts where the standard has no way to say it."""
    year, month, day, hour, minute, second, fraction = _parts(value)
    fields = (year, month, day, hour, minute, second, fraction)
    negative, positive = any(f < 0 for f in fields), any(f > 0 for f in fields)
    has_months, has_time, has_days = bool(year or month), any(fields[2:]), bool(day)
    standard = not (negative and positive) and not (has_months and has_time)
    sign = ""
    if negative and standard:
        sign = "-"
        year, month, day, hour, minute, second, fraction = (-f for f in fields)
    if not negative and not positive:
        return "0"
    clock = f"{abs(hour)}:{abs(minute):02d}:{abs(second):02d}{_fraction(abs(fraction))}"
    if not standard:
        months_sign = "-" if year < 0 or month < 0 else "+"
        day_sign = "-" if day < 0 else "+"
        time_sign = "-" if hour < 0 or minute < 0 or second < 0 or fraction < 0 else "+"
        return f"{months_sign}{abs(year)}-{abs(month)} {day_sign}{abs(day)} {time_sign}{clock}"
    if has_months:
        return f"{sign}{year}-{month}"
    return f"{sign}{day} {clock}" if has_days else sign + clock
