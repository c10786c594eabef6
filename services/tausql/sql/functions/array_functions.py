"""Operators and functions on arrays (Python lists, nested for more dimensions)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.comparison import array_key
from tausql.sql.functions.function import STABLE, Function, declare, operator
from tausql.sql.types.arrays import BoundedArray, bounded, bounds_text, dimensions, lows_of


def flatten(value: list[Any]) -> Iterator[Any]:
    """The elements, row by row."""
    for item in value:
        if isinstance(item, list):
            yield from flatten(item)
        else:
            yield item


def _keys(value: list[Any]) -> set[Any]:
    return {array_key((item,)) for item in flatten(value) if item is not None}


def _contains(a: list[Any], b: list[Any]) -> bool:
    if any(item is None for item in flatten(b)):
        return False
    return _keys(b) <= _keys(a)


def _overlaps(a: list[Any], b: list[Any]) -> bool:
    return not _keys(a).isdisjoint(_keys(b))


def _concat(a: list[Any] | None, b: list[Any] | None) -> list[Any] | None:
    if not a or not b:
        return a if not b and a is not None else b
    depth_a, depth_b = len(dimensions(a)), len(dimensions(b))
    kept = a
    inside = min(depth_a, depth_b, max(depth_a, depth_b) - 1)  # dimensions that both must have alike
    if inside and lows_of(a)[depth_a - inside :] != lows_of(b)[depth_b - inside :]:
        raise _incompatible()
    if depth_a == depth_b:
        result = a + b
    elif depth_a == depth_b + 1:
        result = [*a, list(b)]
    elif depth_b == depth_a + 1:
        result, kept = [list(a), *b], b
    else:
        raise _incompatible()
    shapes = {tuple(dimensions(item)) if isinstance(item, list) else () for item in result}
    if len(shapes) > 1:
        raise _incompatible()
    return _bounded_as(kept, result)


def _bounded_as(array: list[Any] | None, result: list[Any]) -> list[Any]:
    """`result` counts from where `array` does."""
    return BoundedArray(result, array.lows) if isinstance(array, BoundedArray) else result


def _incompatible() -> SqlError:
    return SqlError(Code.array_subscript_error, "cannot concatenate incompatible arrays")


def _one_dimension(array: list[Any] | None) -> None:
    if array and isinstance(array[0], list):
        raise SqlError(Code.data_exception, "argument must be empty or one-dimensional array")


def _flat(array: list[Any], what: str) -> None:
    if array and isinstance(array[0], list):
        raise SqlError(Code.feature_not_supported, f"{what} multidimensional arrays is not supported")


def append(array: list[Any] | None, item: Any) -> list[Any]:
    _one_dimension(array)
    return _bounded_as(array, [*(array or ()), item])


def _prepend(item: Any, array: list[Any] | None) -> list[Any]:
    _one_dimension(array)
    return _bounded_as(array, [item, *(array or ())])


def _length(value: list[Any], dimension: int) -> int | None:
    sizes = dimensions(value)
    return sizes[dimension - 1] if 1 <= dimension <= len(sizes) else None


def _lower(value: list[Any], dimension: int) -> int | None:
    lows = lows_of(value)
    return lows[dimension - 1] if 1 <= dimension <= len(lows) else None


def _upper(value: list[Any], dimension: int) -> int | None:
    low = _lower(value, dimension)
    return None if low is None else low + dimensions(value)[dimension - 1] - 1


def _position(array: list[Any] | None, item: Any, start: int | None = 1) -> int | None:
    if array is None:
        return None
    if not array:
        return None
    if start is None:
        raise SqlError(Code.null_value_not_allowed, "initial position must not be null")
    _flat(array, "searching for elements in")
    wanted = array_key((item,))
    for at, candidate in enumerate(array, lows_of(array)[0]):
        if at >= start and array_key((candidate,)) == wanted:
            return at
    return None


def _positions(array: list[Any] | None, item: Any) -> list[int] | None:
    if array is None:
        return None
    _flat(array, "searching for elements in")
    wanted = array_key((item,))
    first = lows_of(array)[0] if array else 1
    return [at for at, candidate in enumerate(array, first) if array_key((candidate,)) == wanted]


def _remove(array: list[Any] | None, item: Any) -> list[Any] | None:
    if array is None:
        return None
    _flat(array, "removing elements from")
    wanted = array_key((item,))
    left = [candidate for candidate in array if array_key((candidate,)) != wanted]
    return _bounded_as(array, left) if left else left


def _replace(array: list[Any] | None, old: Any, new: Any) -> list[Any] | None:
    if array is None:
        return None
    wanted = array_key((old,))

    def replaced(items: list[Any]) -> list[Any]:
        return [
            replaced(item) if isinstance(item, list) else new if array_key((item,)) == wanted else item
            for item in items
        ]

    return _bounded_as(array, replaced(array))


def _fill(item: Any, sizes: list[int] | None, lows: list[int] | None = None) -> list[Any]:
    if sizes is None:
        raise SqlError(Code.null_value_not_allowed, "dimension array or low bound array cannot be null")
    if sizes and isinstance(sizes[0], list):
        raise SqlError(Code.array_subscript_error, "wrong number of array subscripts")
    if None in sizes:
        raise SqlError(Code.null_value_not_allowed, "dimension values cannot be null")
    if lows is not None and (len(lows) != len(sizes) or (lows and isinstance(lows[0], list))):
        raise SqlError(Code.array_subscript_error, "wrong number of array subscripts")
    if lows is not None and None in lows:
        raise SqlError(Code.null_value_not_allowed, "dimension values cannot be null")
    total = 1
    for size in sizes:
        total *= max(size, 0)
    if total > 1_000_000 or len(sizes) > 6:
        raise SqlError(Code.program_limit_exceeded, "array size exceeds the maximum allowed")
    value = item
    for size in reversed(sizes):
        value = [value for _ in range(size)]
    return bounded(value, lows or ()) if total and isinstance(value, list) else []


def _fill_from(item: Any, sizes: list[int] | None, lows: list[int] | None) -> list[Any]:
    if lows is None:
        raise SqlError(Code.null_value_not_allowed, "dimension array or low bound array cannot be null")
    return _fill(item, sizes, lows)


def _dims(value: list[Any]) -> str | None:
    return bounds_text(value) or None


def _to_array(text: str | None, separator: str | None, null_text: str | None = None) -> list[str | None] | None:
    if text is None:
        return None
    if text == "":
        return []
    parts = list(text) if separator is None else [text] if separator == "" else text.split(separator)
    return [None if part == null_text else part for part in parts]


def _to_text(context: Any, value: list[Any] | None, separator: str | None, null_text: str | None = None) -> str | None:
    """The binder has made text of the elements."""
    if value is None or separator is None:
        return None
    parts = [null_text if item is None else item for item in flatten(value)]
    return separator.join(part for part in parts if part is not None)


def _trim(value: list[Any], count: int) -> list[Any]:
    if not 0 <= count <= len(value):
        raise SqlError(Code.array_subscript_error, f"number of elements to trim must be between 0 and {len(value)}")
    return value[: len(value) - count]


def functions() -> Iterator[Function]:
    yield operator("@>", "anyarray", "anyarray", "bool", _contains)
    yield operator("<@", "anyarray", "anyarray", "bool", lambda a, b: _contains(b, a))
    yield operator("&&", "anyarray", "anyarray", "bool", _overlaps)
    both, element = "anycompatiblearray", "anycompatible"
    yield operator("||", both, both, both, _concat, strict=False)
    yield operator("||", both, element, both, append, strict=False)
    yield operator("||", element, both, both, _prepend, strict=False)
    yield declare(f"array_cat({both}, {both}) {both}", _concat, strict=False)
    yield declare(f"array_append({both}, {element}) {both}", append, strict=False)
    yield declare(f"array_prepend({element}, {both}) {both}", _prepend, strict=False)
    yield declare(f"array_position({both}, {element}) int4", _position, strict=False)
    yield declare(f"array_position({both}, {element}, int4) int4", _position, strict=False)
    yield declare(f"array_positions({both}, {element}) _int4", _positions, strict=False)
    yield declare(f"array_remove({both}, {element}) {both}", _remove, strict=False)
    yield declare(f"array_replace({both}, {element}, {element}) {both}", _replace, strict=False)
    yield declare("array_length(anyarray, int4) int4", _length)
    yield declare("array_upper(anyarray, int4) int4", _upper)
    yield declare("array_lower(anyarray, int4) int4", _lower)
    yield declare("array_ndims(anyarray) int4", lambda value: len(dimensions(value)) or None)
    yield declare("array_dims(anyarray) text", _dims)
    yield declare("cardinality(anyarray) int4", lambda value: sum(1 for _ in flatten(value)))
    yield declare("num_nulls(variadic any) int4", lambda *values: sum(1 for v in values if v is None), strict=False)
    yield declare(
        "num_nonnulls(variadic any) int4", lambda *values: sum(1 for v in values if v is not None), strict=False
    )
    yield declare("array_fill(anyelement, _int4) anyarray", _fill, strict=False)
    yield declare("array_fill(anyelement, _int4, _int4) anyarray", _fill_from, strict=False)
    yield declare("trim_array(anyarray, int4) anyarray", _trim)
    for kinds in ("text, text", "text, text, text"):
        yield declare(
            f"string_to_table({kinds}) text", lambda *args: iter(_to_array(*args) or ()), strict=False, returns_set=True
        )
        yield declare(f"string_to_array({kinds}) _text", _to_array, strict=False)
    for extra in ("", ", text"):
        yield declare(
            f"array_to_string(anyarray, text{extra}) text", _to_text, volatility=STABLE, strict=False, context=True
        )
