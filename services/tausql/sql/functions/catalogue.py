"""All functions, operators and aggregates by name: one table, built from the modules that implement them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from tausql.sql.functions import (
    advisory_locks,
    aggregates,
    arithmetic,
    array_functions,
    bits,
    catalogue_definitions,
    catalogue_names,
    catalogue_privileges,
    catalogue_sizes,
    catalogue_vectors,
    clocks,
    comparison,
    date_arithmetic,
    date_making,
    date_parts,
    degrees,
    hashing,
    json_access,
    json_aggregates,
    json_editing,
    json_functions,
    json_records,
    jsonpath_functions,
    mathematics,
    network,
    number_format,
    ordered_sets,
    patterns,
    random_numbers,
    ranges,
    regexps,
    sequence_functions,
    session_functions,
    sets,
    strings,
    sys_functions,
    text_ranks,
    text_search,
    time_format,
    uuids,
    window_functions,
)
from tausql.sql.functions.function import Aggregate, Function


def _grouped(rows: Iterable[Function]) -> Mapping[str, tuple[Function, ...]]:
    table: dict[str, list[Function]] = {}
    for row in rows:
        table.setdefault(row.name, []).append(row)
    return MappingProxyType({name: tuple(group) for name, group in table.items()})


def _all() -> list[Function]:
    modules = (
        arithmetic,
        mathematics,
        comparison,
        strings,
        patterns,
        date_arithmetic,
        date_making,
        date_parts,
        clocks,
        time_format,
        number_format,
        json_functions,
        json_access,
        json_editing,
        json_records,
        jsonpath_functions,
        array_functions,
        sequence_functions,
        session_functions,
        sys_functions,
        advisory_locks,
        catalogue_names,
        catalogue_definitions,
        catalogue_privileges,
        catalogue_sizes,
        catalogue_vectors,
        sets,
        uuids,
        degrees,
        hashing,
        random_numbers,
        regexps,
        text_search,
        text_ranks,
        ranges,
        bits,
        network,
        aggregates,
        json_aggregates,
        ordered_sets,
        window_functions,
    )
    return [row for module in modules for row in module.functions()]


_ALL: Final = tuple(_all())
_FUNCTIONS: Final = _grouped(f for f in _ALL if f.kind != "o")
_OPERATORS: Final = _grouped(f for f in _ALL if f.kind == "o")
# They mean nothing without OVER (or WITHIN GROUP).
WINDOW_ONLY: Final = frozenset(
    ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value",
     "last_value", "nth_value")
)  # fmt: skip


def named_functions(name: str) -> tuple[Function, ...]:
    return _FUNCTIONS.get(name, ())


def named_operators(name: str) -> tuple[Function, ...]:
    return _OPERATORS.get(name, ())


def all_functions() -> tuple[Function, ...]:
    """For pg_proc."""
    return tuple(f for f in _ALL if f.kind != "o")


def operators() -> tuple[Function, ...]:
    """For pg_operator."""
    return tuple(f for f in _ALL if f.kind == "o")


def function_names() -> Iterable[str]:
    return _FUNCTIONS.keys()


def is_function(name: str) -> bool:
    return name in _FUNCTIONS


def is_aggregate(name: str) -> bool:
    return any(isinstance(f, Aggregate) for f in named_functions(name))


def is_set_returning(name: str) -> bool:
    return any(f.returns_set for f in named_functions(name))
