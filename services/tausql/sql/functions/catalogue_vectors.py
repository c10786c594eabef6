"""int2vector and oidvector where they are not like other arrays: they count from 0.

As arrays they go everywhere arrays go (`= ANY (indkey)`, unnest, array_to_string); what tells or takes a position needs
an overload of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tausql.sql.functions.function import Function, declare
from tausql.sql.functions.record_sets import record_set


def _length(vector: list[Any], dimension: int) -> int | None:
    return len(vector) if dimension == 1 and vector else None


def _upper(vector: list[Any], dimension: int) -> int | None:
    return len(vector) - 1 if dimension == 1 and vector else None


def _lower(vector: list[Any], dimension: int) -> int | None:
    return 0 if dimension == 1 and vector else None


def _subscripts(vector: list[Any], dimension: int, backwards: bool = False) -> Iterator[int]:
    if dimension != 1:
        return iter(())
    return iter(range(len(vector) - 1, -1, -1) if backwards else range(len(vector)))


def _position(vector: list[Any], item: Any, start: int = 0) -> int | None:
    return next((at for at, one in enumerate(vector) if at >= start and one == item), None)


def _expanded(array: list[Any]) -> Iterator[tuple[Any, int]]:
    """information_schema._pg_expandarray: elements and their positions from 1."""
    return ((item, at) for at, item in enumerate(array, 1))


def functions() -> Iterator[Function]:
    for vector, element in (("int2vector", "int2"), ("oidvector", "oid")):
        yield declare(f"array_length({vector}, int4) int4", _length)
        yield declare(f"array_upper({vector}, int4) int4", _upper)
        yield declare(f"array_lower({vector}, int4) int4", _lower)
        yield declare(f"array_ndims({vector}) int4", lambda vector: 1 if vector else None)
        yield declare(f"array_dims({vector}) text", lambda vector: f"[0:{len(vector) - 1}]" if vector else None)
        yield declare(f"cardinality({vector}) int4", len)
        yield declare(f"generate_subscripts({vector}, int4) int4", _subscripts, returns_set=True)
        yield declare(f"generate_subscripts({vector}, int4, bool) int4", _subscripts, returns_set=True)
        yield declare(f"array_position({vector}, {element}) int4", _position)
        yield declare(f"array_position({vector}, {element}, int4) int4", _position)
        yield _expand(vector, element)
    yield declare("name_letter(name, int4) char", lambda name, at: name[at] if 0 <= at < len(name) else None)
    yield _expand("_int2", "int2")
    yield _expand("_oid", "oid")


def _expand(array: str, element: str) -> Function:
    made = record_set(f"_pg_expandarray({array}) record", _expanded, f"x {element},n int4")
    made.name = "information_schema._pg_expandarray"
    return made
