"""What a session's settings mean for reading and writing values: TimeZone, DateStyle, IntervalStyle.

The obvious answer, passing the settings mapping around, would look a zone up by name for every value printed; this
object resolves it once, on SET. One instance a session; `now_us` is set by its owner at each transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.types.zones import Zone, find_zone

RegResolver = Callable[[str, str], int]
RegNamer = Callable[[str, int], "str | None"]


class SessionFormat:
    """Resolved settings. `now_us`: transaction start, microseconds since 2000-01-01 UTC ('now', 'today').

    `resolve_reg(kind, text)` gives the oid of a regclass/regtype/... name and raises what PostgreSQL would;
    `name_reg(kind, oid)` the text of an oid, or None for one that names nothing.
    """

    __slots__ = (
        "date_style",
        "extra_float_digits",
        "interval_style",
        "name_reg",
        "now_us",
        "resolve_reg",
        "timezone",
        "zone",
    )

    def __init__(
        self,
        timezone: str = "UTC",
        date_style: str = "ISO, MDY",
        interval_style: str = "postgres",
        extra_float_digits: int = 1,
        now_us: int = 0,
        resolve_reg: RegResolver | None = None,
        name_reg: RegNamer | None = None,
    ) -> None:
        self.now_us = now_us
        self.extra_float_digits = extra_float_digits
        self.resolve_reg = resolve_reg
        self.name_reg = name_reg
        self.timezone = timezone
        self.zone: Zone = session_zone(timezone)
        self.date_style = checked_date_style(date_style)
        self.interval_style = checked_interval_style(interval_style)

    def set_timezone(self, name: str) -> None:
        """SET TimeZone: 22023 when no such zone."""
        self.zone = session_zone(name)
        self.timezone = name


def session_zone(name: str) -> Zone:
    """The zone of a TimeZone setting; 22023 in PostgreSQL's words when there is none."""
    zone = find_zone(name)
    if zone is None:
        raise SqlError(Code.invalid_parameter_value, f'invalid value for parameter "TimeZone": "{name}"')
    return zone


def checked_date_style(value: str) -> str:
    """'ISO, MDY' or a spelling of it; other styles are 0A000, nonsense is 22023."""
    style, order = "ISO", "MDY"
    for word in value.replace(",", " ").split():
        upper = word.upper()
        if upper in ("ISO", "SQL", "POSTGRES", "GERMAN"):
            style = upper
        elif upper in ("MDY", "US", "NONEURO", "NONEUROPEAN", "DMY", "EURO", "EUROPEAN", "YMD", "DEFAULT"):
            order = {"MDY": "MDY", "DMY": "DMY", "YMD": "YMD"}.get(upper, "DMY" if upper.startswith("EURO") else "MDY")
        else:
            raise SqlError(Code.invalid_parameter_value, f'invalid value for parameter "DateStyle": "{value}"')
    if style != "ISO" or order != "MDY":
        raise not_supported(f'DateStyle "{value}" is not supported', 'Only "ISO, MDY" is.')
    return "ISO, MDY"


def checked_interval_style(value: str) -> str:
    """'postgres'; the other three styles are 0A000, nonsense is 22023."""
    lower = value.lower()
    if lower == "postgres":
        return lower
    if lower in ("postgres_verbose", "sql_standard", "iso_8601"):
        raise not_supported(f'IntervalStyle "{value}" is not supported', 'Only "postgres" is.')
    raise SqlError(Code.invalid_parameter_value, f'invalid value for parameter "IntervalStyle": "{value}"')
