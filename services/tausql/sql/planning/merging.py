"""When two sides are joined by merging them: both come in order already and are too much to hash, or hashing is off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tausql.sql.execution.run import Node
from tausql.sql.execution.scans import RangeRead
from tausql.sql.execution.sorting import Sort
from tausql.sql.expressions.nodes import Expr, Slot
from tausql.sql.planning.compiling import Layout, Planner
from tausql.sql.planning.conditions import FAMILIES
from tausql.sql.types.ordering import sort_rows_key

HASHED_BYTES_MAX: Final = 48 << 20  # what a hash join is let hold; a statement may hold 128 MiB
_ROW_BYTES: Final = 88
_VALUE_BYTES: Final = 48
_MERGED: Final = frozenset(("integer", "text", "date", "timestamp", "timestamptz", "uuid"))

Keys = Sequence[tuple[Expr, Expr]]


def merge_sides(
    planner: Planner, left: Node, left_layout: Layout, right: Node, right_layout: Layout, keys: Keys, least: float,
    widths: int,
) -> tuple[Keys, Node, Node] | None:  # fmt: skip
    """The keys in the order to compare them in, and both sides in that order; None where a merge is not the way.
    `least`: rows of the smaller side; `widths`: how many values it has."""
    if "mergejoin" in planner.disabled or not all(_fits(a) and _fits(b) for a, b in keys):
        return None
    ordered = _in_order(left, left_layout, right, right_layout, keys)
    if ordered is not None and least * (_ROW_BYTES + _VALUE_BYTES * widths) > HASHED_BYTES_MAX:
        return ordered, left, right
    if "hashjoin" not in planner.disabled:
        return None
    if ordered is not None:
        return ordered, left, right
    return (
        keys,
        _sorted(planner, left, left_layout, [a for a, _ in keys]),
        _sorted(planner, right, right_layout, [b for _, b in keys]),
    )


def _fits(expr: Expr) -> bool:
    """A column whose values sort as they are."""
    return isinstance(expr, Slot) and FAMILIES.get(expr.type.oid) in _MERGED


def _sorted(planner: Planner, node: Node, layout: Layout, exprs: Sequence[Expr]) -> Sort:
    specs = [(layout[expr.slot], expr.type, False, False) for expr in exprs if isinstance(expr, Slot)]
    return Sort(node, sort_rows_key(specs), planner.describe_all(exprs, ", "))


def _in_order(left: Node, left_layout: Layout, right: Node, right_layout: Layout, keys: Keys) -> Keys | None:
    """The keys in the order both sides come in by their primary keys."""
    first, second = _key_order(left), _key_order(right)
    if first is None or second is None or len(first) < len(keys) or len(second) < len(keys):
        return None
    found: list[tuple[Expr, Expr]] = []
    for one, other in zip(first[: len(keys)], second[: len(keys)], strict=True):
        match = next(
            (pair for pair in keys if _place(pair[0], left_layout) == one and _place(pair[1], right_layout) == other),
            None,
        )
        if match is None:
            return None
        found.append(match)
    return found


def _key_order(node: Node) -> list[int] | None:
    """Places of the columns that a read of a table in primary key order is sorted by."""
    if type(node) is not RangeRead or node.index is not None or node.reverse or node.bounds.any_many:
        return None
    columns = node.access.key_columns[len(node.bounds.equal) :]
    if node.projection is None:
        return list(columns)
    places = [node.projection.index(at) for at in columns if at in node.projection]
    return places if len(places) == len(columns) else None


def _place(expr: Expr, layout: Layout) -> int | None:
    return layout.get(expr.slot) if isinstance(expr, Slot) else None
