"""= <> < <= > >= for every comparable type, and between the numbers and between the dates.

Most types compare as Python compares their datums; the others go through their sort key.
"""

from __future__ import annotations

import operator as py
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, operator
from tausql.sql.types.arrays import dimensions, lows_key
from tausql.sql.types.builtin import SCALARS
from tausql.sql.types.calendar import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    SECOND_US,
    TIMESTAMP_INFINITY,
    TIMESTAMP_MINUS_INFINITY,
)
from tausql.sql.types.conversions import from_local
from tausql.sql.types.ordering import hash_key, is_identity_key, is_orderable, record_key, sort_key
from tausql.sql.types.records import Record
from tausql.sql.types.registry import type_by_name
from tausql.sql.types.run_time import BIT, INET, VARBIT
from tausql.sql.types.type import Type

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
    for type in (*SCALARS, BIT, VARBIT, INET):
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
        yield operator(name, "date", "timestamp", "bool", keyed(compare, _midnight, _identity))
        yield operator(name, "timestamp", "date", "bool", keyed(compare, _identity, _midnight))
        for left, right in (("date", "timestamptz"), ("timestamp", "timestamptz"), ("timestamptz", "date"),
                            ("timestamptz", "timestamp")):  # fmt: skip
            yield operator(name, left, right, "bool", _zoned(compare, left, right), volatility=STABLE, context=True)


def _identity(value: Any) -> Any:
    return value


def _midnight(value: int) -> int:
    """A date among timestamps; one beyond their range lies above them all."""
    if value in (DATE_INFINITY, DATE_MINUS_INFINITY):
        return TIMESTAMP_INFINITY if value > 0 else TIMESTAMP_MINUS_INFINITY
    return min(value * DAY_US, TIMESTAMP_INFINITY - 1)


def _zoned_midnight(value: int, format: Any) -> int:
    local = _midnight(value)
    if abs(local) >= TIMESTAMP_INFINITY - 1:
        return local
    return local - int(format.zone.offset_at_local(local)) * SECOND_US


def _instant(type_name: str) -> Callable[[Any, Any], int]:
    if type_name == "date":
        return _zoned_midnight
    if type_name == "timestamp":
        return lambda value, format: from_local(value, format)
    return lambda value, _format: value


def _zoned(compare: Compare, left: str, right: str) -> Callable[[Any, Any, Any], bool]:
    left_of, right_of = _instant(left), _instant(right)
    return lambda context, a, b: compare(left_of(a, context.format), right_of(b, context.format))


def _polymorphic() -> Iterator[Function]:
    """Arrays and records: keys depend on the elements, which the datums show well enough."""
    for name, compare in COMPARISONS:
        yield operator(name, "anyarray", "anyarray", "bool", keyed(compare, _whole_array_key, _whole_array_key))
        yield operator(name, "record", "record", "bool", _row_comparison(compare))


def _row_comparison(compare: Compare) -> Compare:
    def run(a: Any, b: Any) -> bool:
        if isinstance(a, Record) and isinstance(b, Record):
            _check_same_fields(a.shape.types, b.shape.types)
        return compare(record_key(a), record_key(b))

    return run


def _check_same_fields(left: tuple[Type, ...], right: tuple[Type, ...]) -> None:
    for at, (a, b) in enumerate(zip(left, right, strict=False), 1):
        if a is not b:
            raise SqlError(
                Code.datatype_mismatch,
                f"cannot compare dissimilar column types {a.display()} and {b.display()} at record column {at}",
            )
    if len(left) != len(right):
        raise SqlError(Code.datatype_mismatch, "cannot compare record types with different numbers of columns")


def _whole_array_key(value: list[Any]) -> tuple[Any, ...]:
    """The elements in order, then the shape: arrays of other dimensions compare too."""
    flat: list[Any] = []
    pending = [iter(value)]
    while pending:
        for item in pending[-1]:
            if isinstance(item, list):
                pending.append(iter(item))
                break
            flat.append(_element_key(item))
        else:
            pending.pop()
    sizes = dimensions(value)
    return tuple(flat), len(sizes), tuple(sizes), lows_key(value)


def array_key(value: Any) -> tuple[Any, ...]:
    """A key of an array or record by its Python values: NULL last, NaN last."""
    return tuple(_element_key(item) for item in value)


def _element_key(item: Any) -> Any:
    if item is None:
        return (1, 0)
    if isinstance(item, Record):
        return (0, record_key(item))
    if isinstance(item, list | tuple):
        return (0, array_key(item))
    if isinstance(item, float | Decimal):
        return (0, (item != item, item if item == item else 0))
    return (0, item)


def _transaction_ids() -> Iterator[Function]:
    """They are equal or not, and have no order."""
    for name, compare in COMPARISONS[:2]:
        yield operator(name, "xid", "xid", "bool", compare)
        yield operator(name, "xid", "int4", "bool", compare)


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
    yield from _transaction_ids()
