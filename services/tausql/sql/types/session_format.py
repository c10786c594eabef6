"""What a session's settings mean for reading and writing values: TimeZone, DateStyle, IntervalStyle.

The obvious answer, passing the settings mapping around, would look a zone up by name for every value printed; this
object resolves it once, on SET. One instance a session; `now_us` is set by its owner at each transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
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
        "enum_label",
        "enum_order",
        "extra_float_digits",
        "generator",
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
        self.generator: Any = None  # of random numbers, after setseed()
        self.extra_float_digits = extra_float_digits
        self.resolve_reg = resolve_reg
        self.name_reg = name_reg
        self.enum_order: Callable[[int, str], float | None] | None = None  # of a type's oid and a label
        self.enum_label: Callable[[int, float], str | None] | None = None
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


_STYLES: Final = {"ISO": "ISO", "SQL": "SQL", "POSTGRES": "Postgres", "GERMAN": "German"}
_ORDERS: Final = {
    "MDY": "MDY", "US": "MDY", "NONEURO": "MDY", "NONEUROPEAN": "MDY", "DMY": "DMY", "EURO": "DMY", "EUROPEAN": "DMY",
    "YMD": "YMD",
}  # fmt: skip


def checked_date_style(value: str, current: str = "ISO, MDY") -> str:
    """'SQL, DMY' of any spelling; what is not said stays as in `current`. Nonsense and contradictions are 22023."""
    style, order = "", ""
    for word in value.replace(",", " ").split():
        upper = word.upper()
        new_style = next((full for key, full in _STYLES.items() if upper == key or upper == key.lower()), "")
        new_order = _ORDERS.get(upper, "")
        if upper == "DEFAULT":
            new_style, new_order = style or "ISO", order or "MDY"
        if not (new_style or new_order) or (new_style and style and style != new_style):
            raise SqlError(Code.invalid_parameter_value, f'invalid value for parameter "DateStyle": "{value}"')
        style, order = new_style or style, new_order or order
    before_style, _, before_order = current.partition(", ")
    if style == "German" and not order:
        order = "DMY"
    return f"{style or before_style}, {order or before_order}"


_INTERVAL_STYLES: Final = ("postgres", "postgres_verbose", "sql_standard", "iso_8601")


def checked_interval_style(value: str) -> str:
    """One of the four; nonsense is 22023."""
    lower = value.lower()
    if lower in _INTERVAL_STYLES:
        return lower
    raise SqlError(
        Code.invalid_parameter_value,
        f'invalid value for parameter "IntervalStyle": "{value}"',
        hint=f"Available values: {', '.join(_INTERVAL_STYLES)}.",
    )
