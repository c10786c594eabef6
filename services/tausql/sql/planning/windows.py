"""Plans of window functions: one node for all calls over the same partitioning and order."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.sql.binding.bound import WINDOW_SLOT
from tausql.sql.execution.run import Node
from tausql.sql.execution.subplans import Value
from tausql.sql.execution.window_frames import FramePlan, RangeOrder
from tausql.sql.execution.windows import WindowCallPlan, WindowNode, WindowPlan
from tausql.sql.expressions.frames import in_range_of
from tausql.sql.expressions.nodes import Expr, SortSpec
from tausql.sql.expressions.window_nodes import Window, WindowCall
from tausql.sql.planning.compiling import IDENTITY, Layout, Planner
from tausql.sql.planning.describing import describe
from tausql.sql.types.ordering import hash_key, sort_rows_key

_Key = tuple[tuple[Expr, ...], tuple[SortSpec, ...]]


def plan_windows(
    planner: Planner, calls: Sequence[WindowCall], node: Node, layout: Layout, width: int
) -> tuple[Node, Layout, int]:
    """(node, layout, width) with every call's value at its slot."""
    groups: dict[_Key, list[WindowCall]] = {}
    for call in calls:
        groups.setdefault((call.window.partition, call.window.order), []).append(call)
    layout = dict(layout)
    # The finest order last: rows leave in it, and a query's own ORDER BY is often the same.
    for key in sorted(groups, key=lambda key: len(key[0]) + len(key[1])):
        node = _node(planner, key, groups[key], node, layout)
        for call in groups[key]:
            layout[WINDOW_SLOT + calls.index(call)] = width
            width += 1
    return node, layout, width


def _node(planner: Planner, key: _Key, calls: Sequence[WindowCall], child: Node, layout: Layout) -> Node:
    partition, order = key
    exprs: list[Expr] = [*partition, *(spec.expr for spec in order)]
    cells: list[Value] = [planner.value(expr, layout) for expr in exprs]
    plans: list[WindowCallPlan] = []
    for call in calls:
        first = len(cells)
        own = [*call.args, *(() if call.filter is None else (call.filter,))]
        cells.extend(planner.value(expr, layout) for expr in own)
        exprs.extend(own)
        passes = None if call.filter is None else first + len(call.args)
        plans.append(WindowCallPlan(call.function, first, len(call.args), passes, _frame(planner, call.window)))
    specs = [(at, expr.type, False, False) for at, expr in enumerate(partition)]
    specs += [(len(partition) + at, spec.expr.type, spec.descending, spec.nulls_first) for at, spec in enumerate(order)]
    plan = WindowPlan(
        tuple(cells),
        tuple(hash_key(expr.type) for expr in partition),
        tuple(hash_key(spec.expr.type) for spec in order),
        sort_rows_key(specs) if specs else None,
        tuple(plans),
    )
    offsets = [offset for call in calls for offset in call.window.frame.offsets]
    return WindowNode(child, plan, planner.subplans([*exprs, *offsets], layout), _text(key))


def _frame(planner: Planner, window: Window) -> FramePlan:
    frame = window.frame
    order = None
    if frame.mode == "range" and frame.offsets:
        (spec,) = window.order
        order = RangeOrder(in_range_of(spec.expr.type), spec.descending, spec.nulls_first)
    start, end = (
        None if offset is None else planner.value(offset, IDENTITY) for offset in (frame.start_offset, frame.end_offset)
    )
    return FramePlan(frame.mode, frame.start, start, frame.end, end, frame.exclude, order)


def _text(key: _Key) -> str:
    partition, order = key
    parts = []
    if partition:
        parts.append("PARTITION BY " + ", ".join(map(describe, partition)))
    if order:
        parts.append(
            "ORDER BY " + ", ".join(describe(spec.expr) + (" DESC" if spec.descending else "") for spec in order)
        )
    return " ".join(parts)
