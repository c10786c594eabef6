"""Reading a relation of the catalogue by a value: what keeps `SELECT ... WHERE d.adrelid = a.attrelid` from reading all
of pg_attrdef for every column of every table.

The relation looks the value up in a dictionary it keeps with the snapshot. All conditions are tested afterwards as if
nothing had been looked up, so a lookup only has to find at least the rows that match.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tausql.sql.binding.slots import remapped
from tausql.sql.execution.scans import SystemRead
from tausql.sql.expressions.nodes import Cast, Expr, FunctionCall, Slot, walk
from tausql.sql.planning.compiling import IDENTITY, Layout, Planner
from tausql.sql.planning.conditions import Condition

# Whose datums are equal as Python values where SQL's `=` says so, whichever two of one line are compared.
_COMPARABLE: Final = (
    frozenset(("oid", "int2", "int4", "int8", "regclass", "regtype", "regproc", "regnamespace", "regrole")),
    frozenset(("name", "text", "varchar", "char")),
)


def looked_up(planner: Planner, node: SystemRead, conditions: Sequence[Condition], layout: Layout) -> SystemRead:
    """The same read with a lookup, where one of the conditions allows it."""
    if node.arguments or node.key is not None:
        return node
    best: tuple[Slot, Expr] | None = None
    for one in conditions:
        found = _equality(one) if one.pure else None
        if found is not None and (best is None or best[0].type.name in ("name", "char")):
            best = found
    if best is None:
        return node
    place = remapped(best[0], layout)
    assert isinstance(place, Slot)
    return SystemRead(node.relation, node.arguments, (place.slot, planner.value(best[1], IDENTITY)))


def _equality(condition: Condition) -> tuple[Slot, Expr] | None:
    """(column, value) of `column = value`, the value the same for every row."""
    expr = condition.expr
    if not isinstance(expr, FunctionCall) or expr.function.kind != "o" or expr.function.name != "=":
        return None
    for column, value in (expr.args, expr.args[::-1]):
        if isinstance(column, Cast) and column.conversion.function is None:
            column = column.arg
        if not isinstance(column, Slot) or any(isinstance(part, Slot) for part in walk(value)):
            continue
        if any(column.type.name in kind and value.type.name in kind for kind in _COMPARABLE):
            return column, value
    return None
