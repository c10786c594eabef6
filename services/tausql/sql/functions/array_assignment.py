"""SET column[1] = value: the array a column holds after one of its items was set (extensions: columns of arrays)."""

from __future__ import annotations

from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function
from tausql.sql.types import builtin as b
from tausql.sql.types.arrays import bounded, dimensions, lows_of
from tausql.sql.types.type import Type

_ITEMS_MAX: Final = 1 << 20  # a row can hold no more


def item_assignment(array: Type, element: Type, count: int) -> Function:
    """(array, value, subscripts...) to the array with that item."""
    return Function("array_assign", (array, element, *(b.INT4,) * count), array, assigned_item, strict=False)


def assigned_item(array: list[Any] | None, value: Any, *at: int | None) -> list[Any]:
    """Of one dimension it grows as far as it has to. Raises 22004, 2202E, 54000."""
    places = [place for place in at if place is not None]
    if len(places) < len(at):
        raise SqlError(Code.null_value_not_allowed, "array subscript in assignment must not be null")
    if not array:
        made: Any = value
        for _ in places:
            made = [made]
        return bounded(made, places)
    lows, sizes = lows_of(array), dimensions(array)
    if len(places) != len(sizes):
        raise SqlError(Code.array_subscript_error, "wrong number of array subscripts")
    if len(places) == 1:
        return _grown(array, lows[0], places[0], value)
    if any(not low <= place < low + size for place, low, size in zip(places, lows, sizes, strict=True)):
        raise SqlError(Code.array_subscript_error, "array subscript out of range")
    return bounded(_replaced(array, [place - low for place, low in zip(places, lows, strict=True)], value), lows)


def _grown(array: list[Any], low: int, at: int, value: Any) -> list[Any]:
    first = min(low, at)
    size = max(low + len(array), at + 1) - first
    if size > _ITEMS_MAX:
        raise SqlError(Code.program_limit_exceeded, f"array size exceeds the maximum allowed ({_ITEMS_MAX})")
    made = [None] * size
    made[low - first : low - first + len(array)] = array
    made[at - first] = value
    return bounded(made, (first,))


def _replaced(items: list[Any], at: list[int], value: Any) -> list[Any]:
    made = list(items)
    made[at[0]] = value if len(at) == 1 else _replaced(made[at[0]], at[1:], value)
    return made
