"""How many rows a condition lets pass: by what ANALYZE found, else by rules of thumb.

Values that are not known when the plan is made (parameters, columns of other tables) count as an average value, so that
one plan serves them all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Final

from tausql.protocol.errors import SqlError
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.statistics import ColumnStatistics, TableStatistics
from tausql.sql.expressions.compiler import evaluate_constant, is_constant, volatility
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Expr
from tausql.sql.planning.conditions import EXPRESSIONS, ColumnTest
from tausql.sql.types import type_by_oid
from tausql.sql.types.ordering import hash_key, is_orderable, sort_key

TABLE_ROWS: Final = 10_000.0  # of a table that was never analysed
DISTINCT: Final = 200.0  # values of a column of which nothing is known
EQUALITY: Final = 1 / DISTINCT
RANGE: Final = 1 / 3
BETWEEN: Final = RANGE / 9  # a range with two ends
NULLS: Final = 0.005
OTHER: Final = 1 / 3  # any other condition
WIDTHS: Final = 32  # bytes of a value of a type without a fixed length

_ABOVE: Final = (">", ">=")
_BELOW: Final = ("<", "<=")
UNKNOWN: Final = object()


class TableFigures:
    """One table to the planner."""

    __slots__ = ("_statistics", "rows", "table")

    def __init__(self, snapshot: Snapshot, table: Table) -> None:
        self.table = table
        found: TableStatistics | None = snapshot.statistics.get(table.oid)
        self._statistics = found
        # A table that was empty when it was looked at is not believed to have stayed so.
        self.rows = TABLE_ROWS if found is None else max(found.rows, 10.0)

    @property
    def known(self) -> bool:
        """Whether the table has been analysed."""
        return self._statistics is not None

    def column(self, position: int) -> ColumnStatistics | None:
        return None if self._statistics is None else self._statistics.columns.get(position + 1)

    def width(self, positions: Sequence[int] | None) -> int:
        """Bytes of a row of these columns, None = all."""
        columns = self.table.live_columns if positions is None else [self.table.columns[at] for at in positions]
        total = 0
        for column in columns:
            found = self.column(column.position)
            length = type_by_oid(column.type_oid).length
            total += found.width if found is not None and found.width else length if length > 0 else WIDTHS
        return total

    def distinct(self, position: int) -> float:
        """How many different values a column has."""
        if self.table.primary_key == (position,):
            return self.rows
        if any(index.unique and index.columns == (position,) and not index.predicate for index in self.table.indexes):
            return self.rows
        found = self.column(position)
        if found is None or not found.distinct:
            # Of a table with statistics a column without any is one that has no order, or was added later.
            return min(DISTINCT, self.rows) if self._statistics is None else max(1.0, min(DISTINCT, self.rows / 10))
        return max(1.0, -found.distinct * self.rows if found.distinct < 0 else found.distinct)

    def passing(self, test: ColumnTest) -> float:
        """The share of rows that pass a test."""
        found, position = self.column(test.position), test.position
        if position >= EXPRESSIONS and test.operator not in ("=", "in", "null", "not null"):
            return 1 - EQUALITY if test.operator == "<>" else RANGE
        nulls = found.null_fraction if found is not None else NULLS
        if test.operator == "null":
            return nulls
        if test.operator == "not null":
            return 1 - nulls
        if test.operator in ("=", "in"):
            if not test.many or test.array or not test.values:
                value = constant_value(test.values[0]) if test.values and not test.many else UNKNOWN
                return min(1.0, self._equal(position, value) * test.count)
            return min(1.0, sum(self._equal(position, constant_value(value)) for value in test.values))
        value = constant_value(test.values[0])
        if test.operator == "<>":
            return max(0.0, 1 - nulls - self._equal(position, value))
        return self._range(position, test.operator, value)

    def passing_all(self, tests: Sequence[ColumnTest]) -> float:
        """The share that passes all of them. Two ends of a range depend on each other; all else is taken not to."""
        part = 1.0
        left = list(tests)
        while left:
            test = left.pop()
            ends = _BELOW if test.operator in _ABOVE else _ABOVE if test.operator in _BELOW else ()
            other = next((one for one in left if one.position == test.position and one.operator in ends), None)
            if other is None or test.position >= EXPRESSIONS:
                part *= self.passing(test)
                continue
            left.remove(other)
            part *= self.between(*((test, other) if test.operator in _ABOVE else (other, test)))
        return part

    def between(self, low: ColumnTest, high: ColumnTest) -> float:
        """The share of rows within a range with two ends."""
        found = self.column(low.position)
        values = constant_value(low.values[0]), constant_value(high.values[0])
        if found is None or UNKNOWN in values or not (found.histogram or found.common):
            return BETWEEN
        return max(self.passing(low) + self.passing(high) - (1 - found.null_fraction), 1 / max(self.rows, 100.0))

    def _equal(self, position: int, value: Any) -> float:
        found = self.column(position)
        if found is None or value is UNKNOWN or not found.distinct:
            nulls = found.null_fraction if found is not None else 0.0
            return (1 - nulls) / self.distinct(position)
        if value is None:
            return 0.0
        if found.common:
            mark_of = hash_key(type_by_oid(self.table.columns[position].type_oid))
            mark = mark_of(value)
            for common, fraction in zip(found.common, found.fractions, strict=True):
                if mark_of(common) == mark:
                    return fraction
        rest = self.distinct(position) - len(found.common)
        left = max(0.0, 1 - found.null_fraction - sum(found.fractions))
        return left / rest if rest >= 1 else min(left, 1 / self.rows)

    def _range(self, position: int, operator: str, value: Any) -> float:
        found = self.column(position)
        type = type_by_oid(self.table.columns[position].type_oid)
        if found is None or value is UNKNOWN or value is None or not is_orderable(type):
            return RANGE
        key = sort_key(type)
        mark = key(value)
        below = operator in ("<", "<=")
        passing = sum(
            fraction
            for common, fraction in zip(found.common, found.fractions, strict=True)
            if _compares(key(common), operator, mark)
        )
        left = max(0.0, 1 - found.null_fraction - sum(found.fractions))
        if len(found.histogram) > 1:
            part = _part_below([key(bound) for bound in found.histogram], mark)
            passing += left * (part if below else 1 - part)
        elif not found.common:
            return RANGE
        return min(max(passing, 1 / max(self.rows, 100.0)), 1.0)


def _compares(left: Any, operator: str, right: Any) -> bool:
    if operator == "<":
        return bool(left < right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left > right) if operator == ">" else bool(left >= right)


def _part_below(bounds: list[Any], mark: Any) -> float:
    """The share of a histogram's values below `mark`; within a bucket of numbers by how far `mark` is into it."""
    low, high = bisect_left(bounds, mark), bisect_right(bounds, mark)
    if low != high:
        return ((low + high - 1) / 2) / (len(bounds) - 1)
    if low == 0:
        return 0.0
    if low == len(bounds):
        return 1.0
    within = 0.5
    first, last = bounds[low - 1], bounds[low]
    if isinstance(mark, (int, float)) and last != first:
        within = (mark - first) / (last - first)
    return (low - 1 + within) / (len(bounds) - 1)


def constant_value(expr: Expr) -> Any:
    """A constant's value, UNKNOWN for what is none (now() is none) or cannot be computed: the statement will tell."""
    if not is_constant(expr) or volatility(expr) != "i":
        return UNKNOWN
    try:
        return evaluate_constant(expr, Context())
    except SqlError:
        return UNKNOWN
