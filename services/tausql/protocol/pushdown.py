"""Tests and projections that travel with a scan, applied to rows as stored.

Storage applies them to what it holds and the processor to its own buffered writes: the same code at both ends, or a
transaction would see its own rows by other rules than everybody else's.

A test compares a stored value with a value of the same kind, in PostgreSQL's order for: boolean, integers, dates and
times, text (C collation), uuid and bytea, floats (NaN = NaN, greatest), and, with `numeric`, numerics. Not to be
pushed down, because stored order is not PostgreSQL's: order tests of bpchar (equality works on padded values), and any
test but is_null and is_not_null of interval, timetz and jsonb.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tausql.protocol.rows import StoredRow, encode_stored
from tausql.protocol.storage import Comparison, Test

RowTest = Callable[[StoredRow], bool]
Projection = Callable[[StoredRow], bytes]

_OPERATORS: dict[int, Callable[[Any, Any], bool]] = {
    Comparison.equal: operator.eq,
    Comparison.not_equal: operator.ne,
    Comparison.less: operator.lt,
    Comparison.less_equal: operator.le,
    Comparison.greater: operator.gt,
    Comparison.greater_equal: operator.ge,
}


def compile_tests(tests: Sequence[Test]) -> RowTest:
    """One function for the conjunction: True for rows that pass all. Raises ValueError for an unknown comparison."""
    compiled = [_compile_test(test) for test in tests]
    if not compiled:
        return lambda row: True
    if len(compiled) == 1:
        return compiled[0]
    if len(compiled) == 2:
        first, second = compiled
        return lambda row: first(row) and second(row)

    return lambda row: all(test(row) for test in compiled)


def compile_projection(columns: Sequence[int]) -> Projection:
    """One function from a row as decoded to the MessagePack array of these positions, NULL where it is shorter."""
    wanted = tuple(columns)
    if not wanted:
        return lambda row: b"\x90"
    widest = max(wanted)

    def project(row: StoredRow) -> bytes:
        if len(row) > widest:
            return encode_stored([row[column] for column in wanted])
        width = len(row)
        return encode_stored([row[column] if column < width else None for column in wanted])

    return project


def _compile_test(test: Test) -> RowTest:
    column = test.column
    comparison = test.comparison
    if comparison == Comparison.is_null:
        return lambda row: column >= len(row) or row[column] is None
    if comparison == Comparison.is_not_null:
        return lambda row: column < len(row) and row[column] is not None
    rank = _rank_of(test)
    if comparison == Comparison.is_in:
        return _compile_is_in(column, test.value, rank)
    compare = _OPERATORS.get(comparison)
    if compare is None:
        raise ValueError(f"unknown comparison {comparison}")
    if test.value is None:
        return lambda row: False
    if rank is None:
        return _compile_plain(column, comparison, compare, test.value)
    value = rank(test.value)

    def passes(row: StoredRow) -> bool:
        if column >= len(row):
            return False
        stored = row[column]
        return stored is not None and compare(rank(stored), value)

    return passes


def _compile_plain(column: int, comparison: int, compare: Callable[[Any, Any], bool], value: Any) -> RowTest:
    if comparison == Comparison.equal:
        # None never equals a value that is not None: no test for NULL is needed.
        return lambda row: column < len(row) and bool(row[column] == value)

    def passes(row: StoredRow) -> bool:
        if column >= len(row):
            return False
        stored = row[column]
        return stored is not None and compare(stored, value)

    return passes


def _compile_is_in(column: int, values: Sequence[Any], rank: Callable[[Any], Any] | None) -> RowTest:
    members = frozenset(value if rank is None else rank(value) for value in values if value is not None)

    def passes(row: StoredRow) -> bool:
        if column >= len(row):
            return False
        stored = row[column]
        if stored is None:
            return False
        return (stored if rank is None else rank(stored)) in members

    return passes


def _rank_of(test: Test) -> Callable[[Any], Any] | None:
    """What makes stored values comparable: None where they are as they stand."""
    if test.numeric:
        return _numeric_rank
    sample = test.value
    if test.comparison == Comparison.is_in:
        sample = next((value for value in test.value if isinstance(value, float)), None)
    return _float_rank if isinstance(sample, float) else None


def _float_rank(value: float) -> tuple[int, float]:
    return (1, 0.0) if value != value else (0, value)


def _numeric_rank(value: Any) -> tuple[int, Decimal]:
    number = Decimal(value)
    return (1, Decimal(0)) if number.is_nan() else (0, number)
