"""Set-returning functions outside FROM: their values come behind the row, and stand for the calls.

Calls within calls are expanded from the inside out, all calls of one depth side by side, as PostgreSQL does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from tausql.sql.binding.slots import remapped
from tausql.sql.execution.rows import ProjectSet
from tausql.sql.execution.run import Node
from tausql.sql.expressions.compiler import compile_set
from tausql.sql.expressions.nodes import Expr, SetReturningCall, Slot, walk
from tausql.sql.planning.compiling import Layout, Planner

_SET_SLOT: Final = 1 << 30  # virtual slots of what the calls give


def expand_sets(
    planner: Planner, exprs: Sequence[Expr], others: Sequence[Expr], node: Node, layout: Layout, width: int
) -> tuple[list[Expr], list[Expr], Node, Layout, int]:
    """(exprs, others, node, layout, width) without the calls of `exprs`, also where `others` have the same ones."""
    made, rest = list(exprs), list(others)
    while True:
        calls = _innermost(made)
        if not calls:
            return made, rest, node, layout, width
        functions = [compile_set(remapped(call, layout)) for call in calls]
        node = ProjectSet(node, functions, planner.subplans(calls, layout))
        places = {call: width + at for at, call in enumerate(calls)}
        layout = {**layout, **{_SET_SLOT | place: place for place in places.values()}}
        width += len(calls)
        placed = partial(_placed, places)
        made = [expr.replace(placed) for expr in made]
        rest = [expr.replace(placed) for expr in rest]


def _innermost(exprs: Sequence[Expr]) -> list[SetReturningCall]:
    found: list[SetReturningCall] = []
    for expr in exprs:
        for part in walk(expr):
            if isinstance(part, SetReturningCall) and part not in found:
                inner = (child for argument in part.args for child in walk(argument))
                if not any(isinstance(child, SetReturningCall) for child in inner):
                    found.append(part)
    return found


def _placed(places: dict[SetReturningCall, int], part: Expr) -> Expr:
    if isinstance(part, SetReturningCall) and part in places:
        return Slot(slot=_SET_SLOT | places[part], type=part.type, typmod=part.typmod)
    return part
