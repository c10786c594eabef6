"""Which aggregates storage can compute: those of columns as they are stored, over rows that storage alone selects.

Left to the processor are: anything tested or computed after the read, DISTINCT, FILTER and ORDER BY within a call, sums
of floats (their last digit depends on the order of adding, and slices add in another), and groups by values that have
several stored forms (numeric 1.0 and 1.00, floats, padded text).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tausql.protocol.totals import Aggregation, Total, TotalKind
from tausql.sql.binding.bound import BoundSelect, Grouping, Relation, TableSource
from tausql.sql.execution.scans import RangeRead
from tausql.sql.execution.totals import StorageAggregate, TotalCall, decimal_of
from tausql.sql.expressions.nodes import AggregateCall, Cast, Expr, IsNull, Slot
from tausql.sql.planning.compiling import Layout, Planner
from tausql.sql.planning.conditions import FAMILIES
from tausql.sql.planning.joining import Joined
from tausql.sql.planning.paths import OrderWish

_GROUPED: Final = frozenset(("integer", "oid", "text", "boolean", "date", "time", "timestamp", "timestamptz", "uuid"))
_EXTREMES: Final = frozenset(("integer", "oid", "text", "float", "date", "time", "timestamp", "timestamptz", "numeric"))
_BOOLEANS: Final = {"bool_and": TotalKind.bool_and, "every": TotalKind.bool_and, "bool_or": TotalKind.bool_or}


def storage_totals(planner: Planner, joined: Joined, grouping: Grouping, rows: float) -> StorageAggregate | None:
    """The aggregation as one that storage computes, None where it cannot."""
    read = joined.node
    if grouping.sets is not None or grouping.masks:
        return None
    if type(read) is not RangeRead or read.index is not None or read.with_key or read.limit is not None:
        return None
    groups: list[int] = []
    for key in grouping.keys:
        position = _position(key, joined.layout, read)
        if position is None or _family(read, position) not in _GROUPED:
            return None
        groups.append(position)
    totals: list[Total] = []
    calls: list[TotalCall] = []
    for call in grouping.aggregates:
        if call.distinct or call.order_by or call.filter is not None or len(call.args) > 1:
            return None
        made = _call(call, joined.layout, read, totals)
        if made is None:
            return None
        calls.append(made)
    return StorageAggregate(
        rows,
        read,
        Aggregation(tuple(totals), tuple(groups)),
        calls,
        planner.describe_all(grouping.keys, ", "),
        planner.describe_all(grouping.aggregates, ", "),
    )


class Extreme(NamedTuple):
    """What reads the row that one min() or max() is after: its order, and that it has a value."""

    wish: OrderWish
    where: list[Expr]


def extreme_of(query: BoundSelect) -> Extreme | None:
    """For a query of one table whose only aggregate is the min() or max() of a column; None for any other."""
    grouping, tree = query.grouping, query.tree
    if grouping is None or grouping.keys or grouping.sets is not None or len(grouping.aggregates) != 1:
        return None
    (call,) = grouping.aggregates
    if call.aggregate.name not in ("min", "max") or call.distinct or call.filter is not None or call.order_by:
        return None
    expr = call.args[0]
    while isinstance(expr, Cast) and expr.conversion.function is None:
        expr = expr.arg
    if not isinstance(expr, Slot) or not isinstance(tree, Relation) or not isinstance(tree.source, TableSource):
        return None
    position = expr.slot - tree.base
    table = tree.source.table
    if not 0 <= position < len(table.columns) or FAMILIES.get(table.columns[position].type_oid, "") not in _EXTREMES:
        return None
    column = table.columns[position]
    known = column.not_null or position in table.primary_key
    last = call.aggregate.name == "max"
    return Extreme(OrderWish(((expr.slot, last, last),), True), [] if known else [IsNull(arg=expr, negated=True)])


def _call(call: AggregateCall, layout: Layout, read: RangeRead, totals: list[Total]) -> TotalCall | None:
    """The call, its totals added to `totals`."""
    name, place = call.aggregate.name, len(totals)
    if not call.args:
        if name != "count":
            return None
        totals.append(Total(TotalKind.count_rows))
        return TotalCall(call.aggregate, place, False, None)
    position = _position(call.args[0], layout, read)
    if position is None:
        return None
    family = _family(read, position)
    numeric = family == "numeric"
    if name == "count":
        totals.append(Total(TotalKind.count, position))
        return TotalCall(call.aggregate, place, False, None)
    if name in ("sum", "avg") and family in ("integer", "numeric"):
        totals.append(Total(TotalKind.sum, position, numeric))
        if name == "avg":
            totals.append(Total(TotalKind.count, position))
        return TotalCall(call.aggregate, place, name == "avg", None)
    if name in ("min", "max") and family in _EXTREMES:
        totals.append(Total(TotalKind.min if name == "min" else TotalKind.max, position, numeric))
        return TotalCall(call.aggregate, place, False, decimal_of if numeric else None)
    if name in _BOOLEANS and family == "boolean":
        totals.append(Total(_BOOLEANS[name], position))
        return TotalCall(call.aggregate, place, False, None)
    return None


def _position(expr: Expr, layout: Layout, read: RangeRead) -> int | None:
    """The stored position of a column, seen through casts that change nothing."""
    while isinstance(expr, Cast) and expr.conversion.function is None:
        expr = expr.arg
    if not isinstance(expr, Slot):
        return None
    place = layout[expr.slot]
    positions: Sequence[int] | None = read.projection
    return place if positions is None else positions[place]


def _family(read: RangeRead, position: int) -> str:
    return FAMILIES.get(read.access.table.columns[position].type_oid, "")
