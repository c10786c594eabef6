"""Days and civil dates for all of PostgreSQL's range (4714 BC to 294276 AD).

Python's `datetime.date` stops at the years 1 and 9999, hence arithmetic of our own. Days count from 2000-01-01; year 0
is 1 BC, as in PostgreSQL's internals.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000

DATE_INFINITY: Final = 2**31 - 1
DATE_MINUS_INFINITY: Final = -(2**31)
TIMESTAMP_INFINITY: Final = 2**63 - 1
TIMESTAMP_MINUS_INFINITY: Final = -(2**63)

EPOCH_DAYS: Final = -10957  # 1970-01-01
EPOCH_US: Final = EPOCH_DAYS * DAY_US
DATE_MIN: Final = -2451545  # Julian day 0, 4714-11-24 BC
DATE_MAX_EXCLUSIVE: Final = 2145031949  # 5874898-01-01
TIMESTAMP_MIN: Final = -211813488000000000
TIMESTAMP_MAX_EXCLUSIVE: Final = 9223371331200000000  # 294277-01-01

MONTH_NAMES: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
DAY_NAMES: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 2000-01-01 of a proleptic Gregorian date (year 0 = 1 BC). The day may overflow its month."""
    if month <= 2:
        year -= 1
        month += 12
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month - 3) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 730425


@lru_cache(maxsize=4096)
def civil_from_days(days: int) -> tuple[int, int, int]:
    """(year, month, day) of days since 2000-01-01."""
    era, day_of_era = divmod(days + 730425, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day


@lru_cache(maxsize=4096)
def date_text(days: int) -> tuple[str, str]:
    """('2020-01-31', '') or ('0044-03-15', ' BC'): the text of a day and what goes behind the time of day."""
    year, month, day = civil_from_days(days)
    if year > 0:
        return f"{year:04d}-{month:02d}-{day:02d}", ""
    return f"{1 - year:04d}-{month:02d}-{day:02d}", " BC"


def day_of_week(days: int) -> int:
    """0 = Sunday; 2000-01-01 was a Saturday."""
    return (days + 6) % 7


def iso_week(days: int) -> tuple[int, int]:
    """(ISO year, ISO week 1..53) of a day."""
    thursday = days - (days + 5) % 7 + 3
    year = civil_from_days(thursday)[0]
    return year, (thursday - days_from_civil(year, 1, 1)) // 7 + 1


def days_from_iso_week(year: int, week: int) -> int:
    """The Monday of an ISO week."""
    fourth = days_from_civil(year, 1, 4)
    return fourth - (fourth + 5) % 7 + (week - 1) * 7
