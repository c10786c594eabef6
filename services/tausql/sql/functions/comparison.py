"""= <> < <= > >= for every comparable type, and between the numbers and between the dates.

Most types compare as Python compares their datums; the others go through their sort key.
"""

from __future__ import annotations

import operator as py
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.sql.functions.function import STABLE, Function, operator
from tausql.sql.types.builtin import SCALARS
from tausql.sql.types.conversions import date_to_timestamp, date_to_timestamptz, from_local
from tausql.sql.types.ordering import hash_key, is_identity_key, is_orderable, sort_key
from tausql.sql.types.registry import type_by_name

COMPARISONS: Final = (
    ("=", py.eq),
    ("<>", py.ne),
    ("<", py.lt),
    ("<=", py.le),
    (">", py.gt),
    (">=", py.ge),
)
Compare = Callable[[Any, Any], bool]


def keyed(compare: Compare, left: Callable[[Any], Any], right: Callable[[Any], Any]) -> Compare:
    return lambda a, b: compare(left(a), right(b))


def numeric_comparison(compare: Compare) -> Compare:
    """NaN equals itself and is above everything; otherwise as Python."""

    def run(a: Any, b: Any) -> bool:
        if a == a and b == b:
            return compare(a, b)
        return compare(a != a, b != b)

    return run


def _same_type() -> Iterator[Function]:
    for type in SCALARS:
        if type.category == "P" or not is_orderable(type) or type.name in ("varchar", "int2vector", "regproc"):
            continue
        if type.name in ("regclass", "regtype", "regnamespace", "regrole"):
            continue
        for name, compare in COMPARISONS:
            if type.name in ("float4", "float8", "numeric"):
                impl = numeric_comparison(compare)
            elif is_identity_key(type):
                impl = compare
            else:
                key = sort_key(type)
                impl = keyed(compare, key, key)
            yield operator(name, type.name, type.name, "bool", impl)


def _cross_type() -> Iterator[Function]:
    groups = (("int2", "int4", "int8"), ("float4", "float8"))
    for name, compare in COMPARISONS:
        for group in groups:
            for left in group:
                for right in group:
                    if left != right:
                        yield operator(
                            name, left, right, "bool", compare if "int2" in group else numeric_comparison(compare)
                        )
        yield operator(name, "name", "text", "bool", compare)
        yield operator(name, "text", "name", "bool", compare)
        yield operator(name, "date", "timestamp", "bool", keyed(compare, date_to_timestamp, _identity))
        yield operator(name, "timestamp", "date", "bool", keyed(compare, _identity, date_to_timestamp))
        for left, right in (("date", "timestamptz"), ("timestamp", "timestamptz"), ("timestamptz", "date"),
                            ("timestamptz", "timestamp")):  # fmt: skip
            yield operator(name, left, right, "bool", _zoned(compare, left, right), volatility=STABLE, context=True)


def _identity(value: Any) -> Any:
    return value


def _instant(type_name: str) -> Callable[[Any, Any], int]:
    if type_name == "date":
        return lambda value, format: date_to_timestamptz(value, format)
    if type_name == "timestamp":
        return lambda value, format: from_local(value, format)
    return lambda value, _format: value


def _zoned(compare: Compare, left: str, right: str) -> Callable[[Any, Any, Any], bool]:
    left_of, right_of = _instant(left), _instant(right)
    return lambda context, a, b: compare(left_of(a, context.format), right_of(b, context.format))


def _polymorphic() -> Iterator[Function]:
    """Arrays and records: keys depend on the elements, which the datums show well enough."""
    for name, compare in COMPARISONS:
        yield operator(name, "anyarray", "anyarray", "bool", keyed(compare, array_key, array_key))
        yield operator(name, "record", "record", "bool", keyed(compare, array_key, array_key))


def array_key(value: Any) -> tuple[Any, ...]:
    """A key of an array or record by its Python values: NULL last, NaN last."""
    return tuple(_element_key(item) for item in value)


def _element_key(item: Any) -> Any:
    if item is None:
        return (1, 0)
    if isinstance(item, list | tuple):
        return (0, array_key(item))
    if isinstance(item, float | Decimal):
        return (0, (item != item, item if item == item else 0))
    return (0, item)


def _text_pattern() -> Iterator[Function]:
    for name, compare in (("~<~", py.lt), ("~<=~", py.le), ("~>~", py.gt), ("~>=~", py.ge)):
        yield operator(name, "text", "text", "bool", compare)


def equality_of(type_name: str) -> Compare:
    """`=` of one type as a function of two datums."""
    type = type_by_name(type_name)
    key = hash_key(type)
    return py.eq if is_identity_key(type) else keyed(py.eq, key, key)


def functions() -> Iterator[Function]:
    yield from _same_type()
    yield from _cross_type()
    yield from _polymorphic()
    yield from _text_pattern()
