"""Items of jsonpath: their kinds, order, and item methods such as .double() and .datetime()."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.time_format import moment_of_template
from tausql.sql.types import builtin as b
from tausql.sql.types import conversions as c
from tausql.sql.types.calendar import SECOND_US
from tausql.sql.types.numbers import EXACT, float8_in, numeric_in, numeric_text, plain
from tausql.sql.types.ordering import timetz_key
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type
from tausql.sql.types.zones import offset_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tausql.sql.functions.jsonpath_run import Run


class Moment(NamedTuple):
    """A date or time: what .datetime() gives."""

    type: Type
    value: Any
    offset: int = 0  # of a timestamptz: seconds east of UTC, as it was written

    def text(self) -> str:
        """ISO 8601, as jsonb shows it."""
        if self.type is b.TIMESTAMPTZ:
            local: str = b.TIMESTAMP.text_out(self.value + self.offset * SECOND_US, SessionFormat())
            shown = local + offset_text(self.offset)
        else:
            shown = self.type.text_out(self.value, SessionFormat())
        if self.type in (b.TIMESTAMP, b.TIMESTAMPTZ):
            shown = shown.replace(" ", "T", 1)
        if self.type in (b.TIMESTAMPTZ, b.TIMETZ) and len(shown) > 3 and shown[-3] in "+-":
            shown += ":00"
        return shown


def kind_of(item: Any) -> str:
    """.type()"""
    if isinstance(item, Moment):
        return item.type.sql_name
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "boolean"
    if isinstance(item, Decimal):
        return "number"
    if isinstance(item, str):
        return "string"
    return "array" if isinstance(item, list) else "object"


def compared(a: Any, other: Any, run: Run) -> int | None:
    """-1, 0, 1, or None where the items cannot be compared."""
    if isinstance(a, Moment) and isinstance(other, Moment):
        return _moments(a, other, run)
    kind = kind_of(a)
    if kind != kind_of(other) or kind in ("object", "array"):
        return None
    if a is None:
        return 0
    left, right = (a.encode(), other.encode()) if isinstance(a, str) else (a, other)
    return int(left > right) - int(left < right)


_DATES: Final = (b.DATE, b.TIMESTAMP, b.TIMESTAMPTZ)


def _moments(a: Moment, other: Moment, run: Run) -> int | None:
    if (a.type in _DATES) != (other.type in _DATES):
        return None
    wide = a.type if _rank(a.type) >= _rank(other.type) else other.type
    left, right = (_widened(item, wide, run) for item in (a, other))
    return int(left > right) - int(left < right)


def _rank(type: Type) -> int:
    return {b.DATE: 0, b.TIMESTAMP: 1, b.TIMESTAMPTZ: 2, b.TIME: 0, b.TIMETZ: 1}[type]


def _widened(item: Moment, wide: Type, run: Run) -> Any:
    if item.type is wide:
        return timetz_key(item.value) if wide is b.TIMETZ else item.value
    if wide is b.TIMESTAMP:
        return c.date_to_timestamp(item.value)
    if not run.zoned:
        raise SqlError(
            Code.feature_not_supported,
            f"cannot convert value from {item.type.name} to {wide.name} without time zone usage",
            hint="Use *_tz() function for time zone support.",
        )
    if wide is b.TIMETZ:
        return timetz_key(c.time_to_timetz(item.value, run.context.format))
    if item.type is b.DATE:
        return c.date_to_timestamptz(item.value, run.context.format)
    return c.from_local(item.value, run.context.format)


def method_value(name: str, item: Any, arguments: list[Any], run: Run) -> Iterator[Any]:
    """The items a method gives for one item."""
    if name in ("abs", "floor", "ceiling"):
        yield _rounded(name, item)
    elif name == "double":
        yield _double(item)
    elif name == "keyvalue":
        yield from _key_values(item)
    elif name in ("datetime", "date", "time", "time_tz", "timestamp", "timestamp_tz"):
        yield _moment(name, item, arguments, run)
    elif name in ("integer", "bigint"):
        yield _whole(name, item)
    elif name in ("number", "decimal"):
        yield _number(name, item, arguments)
    elif name == "boolean":
        yield _boolean(item)
    else:
        yield _text(item)


def _only(name: str, what: str) -> str:
    return f"jsonpath item method .{name}() can only be applied to {what}"


def _rounded(name: str, item: Any) -> Decimal:
    if not isinstance(item, Decimal):
        raise SqlError(Code.non_numeric_sql_json_item, _only(name, "a numeric value"))
    if name == "abs":
        return item.copy_abs()
    way = ROUND_FLOOR if name == "floor" else ROUND_CEILING
    return plain(item.to_integral_value(way, context=EXACT))


def _bad_argument(name: str, text: str, sql_name: str) -> SqlError:
    return SqlError(
        Code.non_numeric_sql_json_item,
        f'argument "{text}" of jsonpath item method .{name}() is invalid for type {sql_name}',
    )


def _double(item: Any) -> Decimal:
    if not isinstance(item, str | Decimal):
        raise SqlError(Code.non_numeric_sql_json_item, _only("double", "a string or numeric value"))
    text = item if isinstance(item, str) else numeric_text(item)
    try:
        value = float8_in(text, SessionFormat())
    except SqlError as error:
        raise _bad_argument("double", text, "double precision") from error
    if value != value or value in (float("inf"), float("-inf")):
        raise SqlError(
            Code.non_numeric_sql_json_item, "NaN or Infinity is not allowed for jsonpath item method .double()"
        )
    return c.float8_to_numeric(value)


def _whole(name: str, item: Any) -> Decimal:
    type = b.INT4 if name == "integer" else b.INT8
    if not isinstance(item, str | Decimal):
        raise SqlError(Code.non_numeric_sql_json_item, _only(name, "a string or numeric value"))
    try:
        if isinstance(item, str):
            return Decimal(type.text_in(item, SessionFormat(), -1))
        return Decimal(c.numeric_to_integer(type)(item))
    except SqlError as error:
        text = item if isinstance(item, str) else numeric_text(item)
        raise _bad_argument(name, text, type.sql_name) from error


def _number(name: str, item: Any, arguments: list[Any]) -> Decimal:
    if not isinstance(item, str | Decimal):
        raise SqlError(Code.non_numeric_sql_json_item, _only(name, "a string or numeric value"))
    text = item if isinstance(item, str) else numeric_text(item)
    typmod = -1
    if arguments:
        scale = int(arguments[1]) if len(arguments) > 1 else 0
        typmod = ((int(arguments[0]) << 16) | (scale & 0x7FF)) + 4
    try:
        value = numeric_in(text, SessionFormat(), typmod)
    except SqlError as error:
        raise _bad_argument(name, text, "numeric") from error
    if not value.is_finite():
        raise SqlError(
            Code.non_numeric_sql_json_item, f"NaN or Infinity is not allowed for jsonpath item method .{name}()"
        )
    return value


def _boolean(item: Any) -> bool:
    if isinstance(item, bool):
        return item
    try:
        if isinstance(item, Decimal):
            return bool(c.numeric_to_integer(b.INT4)(item))
        if isinstance(item, str):
            value: bool = b.BOOL.text_in(item, SessionFormat(), -1)
            return value
    except SqlError as error:
        text = item if isinstance(item, str) else numeric_text(item)
        raise _bad_argument("boolean", text, "boolean") from error
    raise SqlError(Code.non_numeric_sql_json_item, _only("boolean", "a boolean, string, or numeric value"))


def _text(item: Any) -> str:
    if isinstance(item, Moment):
        return item.text()
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, Decimal):
        return numeric_text(item)
    if isinstance(item, str):
        return item
    raise SqlError(Code.non_numeric_sql_json_item, _only("string", "a boolean, string, numeric, or datetime value"))


def _key_values(item: Any) -> Iterator[Any]:
    if not isinstance(item, dict):
        raise SqlError(Code.sql_json_object_not_found, _only("keyvalue", "an object"))
    for key in sorted(item, key=lambda key: (len(key.encode()), key.encode())):
        yield {"id": Decimal(0), "key": key, "value": item[key]}


def _moment(name: str, item: Any, arguments: list[Any], run: Run) -> Moment:
    if not isinstance(item, str):
        raise SqlError(Code.invalid_argument_for_sql_json_datetime_function, _only(name, "a string"))
    if name == "datetime" and arguments:
        type, value = moment_of_template(item, str(arguments[0]))
        return Moment(type, value)
    found = _recognised(item)
    wanted = {"date": b.DATE, "time": b.TIME, "time_tz": b.TIMETZ, "timestamp": b.TIMESTAMP,
              "timestamp_tz": b.TIMESTAMPTZ}.get(name)  # fmt: skip
    if found is not None and (wanted is None or wanted is found.type):
        return found
    alike = found is not None and wanted is not None and (found.type in _DATES) == (wanted in _DATES)
    if alike and found is not None and wanted is not None and _rank(found.type) < _rank(wanted):
        return Moment(wanted, _widened(found, wanted, run))
    hint = "Use a datetime template argument to specify the input data format." if name == "datetime" else None
    what = "datetime" if name == "datetime" else name
    raise SqlError(
        Code.invalid_argument_for_sql_json_datetime_function, f'{what} format is not recognized: "{item}"', hint=hint
    )


def _recognised(text: str) -> Moment | None:
    """ISO forms: yyyy-mm-dd, HH:MI[:SS[.US]] with or without a zone, and both with a blank or T between."""
    found = re.fullmatch(r"(\d{4}-\d\d?-\d\d?)?([ T])?(\d\d?:\d\d:\d\d(?:\.\d+)?)?( ?[+-]\d\d(?::?\d\d)?)?", text)
    if found is None or (not found[1] and not found[3]) or bool(found[2]) != bool(found[1] and found[3]):
        return None
    if found[4] and not found[3]:
        return None
    type = (
        (b.TIMESTAMPTZ if found[4] else b.TIMESTAMP)
        if found[1] and found[3]
        else (b.DATE if found[1] else b.TIMETZ if found[4] else b.TIME)
    )
    return Moment(type, type.text_in(text.replace("T", " "), SessionFormat(), -1), _offset(found[4] or ""))


def _offset(zone: str) -> int:
    """'+02:30' in seconds."""
    digits = zone.strip().replace(":", "")
    if not digits:
        return 0
    seconds = int(digits[1:3]) * 3600 + int(digits[3:5] or 0) * 60
    return -seconds if digits[0] == "-" else seconds
