"""Order and equality of values: keys for sorting, keys for grouping, and the three-way comparison behind `<`.

Python's own comparison is right for integers, strings (code points order as UTF-8 bytes do: C collation) and bytes;
it is wrong for NaN (greatest in PostgreSQL), char(n) (trailing blanks do not count), intervals, arrays with NULLs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types import network
from tausql.sql.types.arrays import BoundedArray, dimensions, lows_key
from tausql.sql.types.intervals import span_us
from tausql.sql.types.jsons import order_key
from tausql.sql.types.records import Record
from tausql.sql.types.registry import element_of
from tausql.sql.types.text_search import TsVector, query_key
from tausql.sql.types.type import Type

Key = Callable[[Any], Any]

_UNORDERED: Final = frozenset(("json", "jsonpath", "void", "xid", "unknown"))
_SPECIAL: Final = frozenset(
    (
        "float4", "float8", "numeric", "bpchar", "interval", "timetz", "jsonb", "record", "int2vector",
        "oidvector", "inet", "cidr", "tsvector", "tsquery",
    )
)  # fmt: skip


def is_identity_key(type: Type) -> bool:
    """True where datums compare as they are."""
    return type.name not in _SPECIAL and not type.is_array and type.category != "C"


def is_orderable(type: Type) -> bool:
    if type.is_array:
        element = element_of(type)
        return element is not None and is_orderable(element)
    return type.name not in _UNORDERED


def sort_key(type: Type) -> Key:
    """datum (never NULL) -> a key ordered as PostgreSQL orders the type; 42883 for types without an order."""
    if not is_orderable(type):
        raise SqlError(
            Code.undefined_function,
            f"could not identify an ordering operator for type {type.sql_name}",
            hint="Use an explicit ordering operator or modify the query.",
        )
    name = type.name
    if name in ("float4", "float8", "numeric"):
        return nan_last_key
    if name == "bpchar":
        return _without_blanks
    if name == "interval":
        return span_us
    if name == "timetz":
        return timetz_key
    if name == "jsonb":
        return lambda value: order_key(value.value)
    if name in ("inet", "cidr"):
        return network.order_key
    if name == "tsvector":
        return TsVector.key
    if name == "tsquery":
        return query_key
    if name == "record" or type.category == "C":
        return record_key
    if name in ("int2vector", "oidvector"):
        return tuple
    element = element_of(type) if type.is_array else None
    if element is not None:
        return _array_key(sort_key(element))
    return identity


def identity(value: Any) -> Any:
    return value


def nan_last_key(value: Any) -> tuple[bool, Any]:
    return (False, value) if value == value else (True, 0)


def _without_blanks(value: str) -> str:
    return value.rstrip(" ")


def timetz_key(value: tuple[int, int]) -> tuple[int, int]:
    """By instant, then by zone."""
    return value[0] + value[1] * 1_000_000, value[1]


def record_key(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Field by field, each as its type orders it, NULL last."""
    if isinstance(value, Record):
        return tuple(
            (True, 0) if item is None else (False, sort_key(type)(item))
            for item, type in zip(value, value.shape.types, strict=True)
        )
    return tuple((item is None, _field_key(item)) for item in value)


def _field_key(item: Any) -> Any:
    if item is None:
        return 0
    if isinstance(item, tuple):
        return record_key(item)
    return nan_last_key(item) if isinstance(item, float | Decimal) else item


def _array_key(element_key: Key) -> Key:
    def flat(value: list[Any], out: list[Any]) -> list[Any]:
        for item in value:
            if isinstance(item, list):
                flat(item, out)
            else:
                out.append((1, 0) if item is None else (0, element_key(item)))
        return out

    def key(value: list[Any]) -> tuple[Any, Any, Any]:
        return flat(value, []), dimensions(value), lows_key(value)

    return key


def hash_key(type: Type) -> Callable[[Any], Hashable]:
    """datum (never NULL) -> hashable, equal exactly when PostgreSQL's `=` says so."""
    name = type.name
    if name in ("float4", "float8", "numeric"):
        return _number_key
    if name == "record" or type.category == "C":
        return record_key
    if type.is_array:
        element = element_of(type)
        assert element is not None
        return _array_hash(hash_key(element))
    if not is_orderable(type):
        raise SqlError(Code.undefined_function, f"could not identify an equality operator for type {type.sql_name}")
    if name == "jsonb":
        return identity
    return sort_key(type)


def _number_key(value: Any) -> Hashable:
    number: Hashable = value if value == value else "NaN"
    return number


def _array_hash(element_key: Callable[[Any], Hashable]) -> Callable[[Any], Hashable]:
    def key(value: list[Any]) -> Hashable:
        items = tuple(
            None if item is None else key(item) if isinstance(item, list) else element_key(item) for item in value
        )
        return (BoundedArray, value.lows, items) if isinstance(value, BoundedArray) else items

    return key


class _Reversed:
    """Turns `<` around for DESC."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(self.key == other.key)

    __hash__ = None  # type: ignore[assignment]


_INTEGERS: Final = frozenset(
    ("int2", "int4", "int8", "oid", "date", "time", "timestamp", "timestamptz", "regclass", "interval")
)


def sort_rows_key(specs: Sequence[tuple[int, Type, bool, bool]]) -> Key:
    """A key over rows. specs: (slot, type, descending, nulls_first)."""
    parts = [_row_part(*spec) for spec in specs]
    if len(parts) == 1:
        return parts[0]

    def key(row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple([part(row) for part in parts])

    return key


def _row_part(slot: int, type: Type, descending: bool, nulls_first: bool) -> Key:
    value_key = sort_key(type)
    null_rank, value_rank = (0, 1) if nulls_first else (1, 0)
    null = (null_rank, 0)
    if not descending:
        return lambda row: null if (v := row[slot]) is None else (value_rank, value_key(v))
    if type.name in _INTEGERS:
        return lambda row: null if (v := row[slot]) is None else (value_rank, -value_key(v))
    return lambda row: null if (v := row[slot]) is None else (value_rank, _Reversed(value_key(v)))
