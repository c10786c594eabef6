"""What a condition says about one column: the form that keys, ranges and storage tests can use."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tausql.protocol.storage import Comparison
from tausql.sql.binding.bound import Relation, SubqueryBinding
from tausql.sql.binding.slots import slots_of
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.execution.subplans import Value
from tausql.sql.expressions.compiler import compile_expr, volatility
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.folding import node_volatility
from tausql.sql.expressions.nodes import (
    AnyArray,
    BooleanTest,
    Cast,
    Const,
    Expr,
    FunctionCall,
    InList,
    IsNull,
    Not,
    Param,
    Slot,
    Subquery,
    walk,
)
from tausql.sql.types.enums import is_enum_oid

if TYPE_CHECKING:
    from tausql.sql.planning.compiling import Layout, Planner

# Types whose values compare with each other as their keys do.
FAMILIES: Final = {
    **dict.fromkeys((20, 21, 23), "integer"),
    26: "oid",
    **dict.fromkeys((25, 1043, 19), "text"),
    **dict.fromkeys((700, 701), "float"),
    16: "boolean",
    1042: "bpchar",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    1700: "numeric",
    2950: "uuid",
}
EXPRESSIONS: Final = 1 << 20  # above every column's position


def family_of(oid: int) -> str | None:
    """Of a type's oid; each enum type is one of its own."""
    found = FAMILIES.get(oid)
    return f"enum {oid}" if found is None and is_enum_oid(oid) else found


_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<=", "<>": "<>"}
_COMPARISONS: Final = {
    "=": Comparison.equal,
    "<>": Comparison.not_equal,
    "<": Comparison.less,
    "<=": Comparison.less_equal,
    ">": Comparison.greater,
    ">=": Comparison.greater_equal,
    "in": Comparison.is_in,
    "null": Comparison.is_null,
    "not null": Comparison.is_not_null,
}


@dataclass(slots=True, eq=False)
class Condition:
    """One conjunct of WHERE or ON. `pure`: no subqueries and nothing volatile, so it may be evaluated anywhere."""

    expr: Expr
    slots: frozenset[int]
    pure: bool

    def within(self, available: frozenset[int]) -> bool:
        return self.slots <= available


def condition(expr: Expr, subqueries: Sequence[SubqueryBinding]) -> Condition:
    pure = True
    for node in walk(expr):
        if isinstance(node, Subquery) or node_volatility(node) == "v":
            pure = False
            break
    return Condition(expr, slots_of(expr, subqueries), pure)


@dataclass(slots=True, eq=False)
class ColumnTest:
    """`column operator value`; `operator`: = <> < <= > >= in, null, not null. `values` are one expression, or the items
    of an IN list, or with `array` one whose value is a list. Their slots are those of other relations."""

    condition: Condition
    position: int
    operator: str
    values: tuple[Expr, ...]
    slots: frozenset[int]
    family: str
    array: bool = False

    @property
    def many(self) -> bool:
        return self.operator == "in"

    @property
    def count(self) -> int:
        """How many values, as far as one can know."""
        if isinstance(self.values[0] if self.values else None, Subquery):
            return 30
        return len(self.values) if self.many and not self.array else 10 if self.array else 1

    def compiled(self, planner: Planner, layout: Layout) -> Value | None:
        """A function to the value, or to the list of values; None for null and not null."""
        if not self.values:
            return None
        if not self.many:
            return planner.value(self.values[0], layout)
        if isinstance(self.values[0], Subquery):
            return _subquery_values(self.values[0])
        if self.array:
            return planner.value(self.values[0], layout)
        functions = [planner.value(value, layout) for value in self.values]

        def listed(row: Sequence[Any], context: Context) -> list[Any]:
            return [function(row, context) for function in functions]

        return listed

    @property
    def comparison(self) -> Comparison:
        return _COMPARISONS[self.operator]


def column_test(
    condition: Condition,
    relation: Relation,
    table: Table,
    subqueries: Sequence[SubqueryBinding],
    expressions: Sequence[Expr] = (),
) -> ColumnTest | None:
    """The condition as a test of a column of this table, or of one of `expressions` (over slots by position), whose
    positions then begin at EXPRESSIONS; None where it has another form."""
    expr = condition.expr

    def place(side: Expr) -> int | None:
        position = _column_of(side, relation)
        if position is None:
            for at, indexed in enumerate(expressions):
                if same(side, indexed, relation.base):
                    return EXPRESSIONS + at
        return position

    found: tuple[str, Expr, tuple[Expr, ...], bool] | None = None
    if isinstance(expr, FunctionCall) and len(expr.args) == 2 and expr.function.name in _MIRRORED:
        left, right = expr.args
        name = expr.function.name
        if place(left) is not None:
            found = (name, left, (right,), False)
        elif place(right) is not None:
            found = (_MIRRORED[name], right, (left,), False)
    elif isinstance(expr, InList) and not expr.negated:
        found = ("in", expr.arg, expr.items, False)
    elif isinstance(expr, AnyArray) and not expr.all and expr.operator.name == "=":
        found = ("in", expr.left, (expr.array,), True)
    elif isinstance(expr, Subquery):
        if _is_list_of_keys(expr, subqueries):
            found = ("in", expr.left[0], (expr,), True)
    elif isinstance(expr, IsNull):
        found = ("not null" if expr.negated else "null", expr.arg, (), False)
    elif isinstance(expr, Slot) and expr.type.oid == 16:
        found = ("=", expr, (Const(value=True, type=expr.type),), False)
    elif isinstance(expr, Not) and isinstance(expr.arg, Slot):
        found = ("=", expr.arg, (Const(value=False, type=expr.arg.type),), False)
    elif isinstance(expr, BooleanTest) and not expr.negated and isinstance(expr.arg, Slot):
        found = ("=", expr.arg, (Const(value=expr.value, type=expr.arg.type),), False)
    if found is None:
        return None
    operator, column, values, array = found
    position = place(column)
    if position is None or len(table.columns) <= position < EXPRESSIONS:
        return None
    type_oid = column.type.oid if position >= EXPRESSIONS else table.columns[position].type_oid
    family = family_of(type_oid) or ""
    if values and not _same_family(expr, column, values, family, array):
        return None
    slots: frozenset[int] = frozenset()
    if not isinstance(expr, Subquery):
        slots = slots.union(*(slots_of(value, subqueries) for value in values))
    if any(relation.base <= slot < relation.base + relation.width for slot in slots):
        return None
    if not isinstance(expr, Subquery) and any(_unfit(value) for value in values):
        return None
    return ColumnTest(condition, position, operator, values, slots, family, array)


def same(one: Expr, other: Expr, base: int) -> bool:
    """Whether an expression of a query says what one over a table's own columns says; `base`: the table's slots."""
    if isinstance(one, Slot) and isinstance(other, Slot):
        return one.slot == other.slot + base
    if type(one) is not type(other) or one.type is not other.type:
        return False
    for field in dataclasses.fields(one):
        if not _same_part(getattr(one, field.name), getattr(other, field.name), base):
            return False
    return True


def _same_part(one: Any, other: Any, base: int) -> bool:
    if isinstance(one, Expr) and isinstance(other, Expr):
        return same(one, other, base)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_same_part(a, b, base) for a, b in zip(one, other, strict=True))
    return bool(one is other or one == other)


def _is_list_of_keys(expr: Subquery, subqueries: Sequence[SubqueryBinding]) -> bool:
    """`column IN (SELECT ...)` where the subquery takes nothing from the row: its values can be looked up."""
    if expr.kind != "any" or len(expr.left) != 1 or expr.operators[0].name != "=":
        return False
    return not any(slots_of(outer, subqueries) for outer in subqueries[expr.index].correlations)


def _subquery_values(expr: Subquery) -> Value:
    index, column = expr.index, compile_expr(expr.columns[0])

    def values(row: Sequence[Any], context: Context) -> list[Any]:
        return [column(found, context) for found in context.subplans[index](row, context)]

    return values


def _unfit(value: Expr) -> bool:
    """Volatile values would differ from row to row. Subqueries are for filters."""
    if isinstance(value, (Param, Const)):
        return False
    return volatility(value) == "v" or any(isinstance(node, Subquery) for node in walk(value))


def _column_of(expr: Expr, relation: Relation) -> int | None:
    """The position of a column of the relation, seen through casts that change nothing (varchar to text)."""
    while isinstance(expr, Cast) and expr.conversion.function is None:
        expr = expr.arg
    if isinstance(expr, Slot) and relation.base <= expr.slot < relation.base + relation.width:
        return expr.slot - relation.base
    return None


def _same_family(expr: Expr, column: Expr, values: tuple[Expr, ...], family: str, array: bool) -> bool:
    if not family or family_of(column.type.oid) != family:
        return False
    if isinstance(expr, Subquery):
        return family_of(expr.columns[0].type.oid) == family
    if array:
        return family_of(values[0].type.element_oid) == family
    return all(family_of(value.type.oid) == family for value in values)


def equality_sides(expr: Expr) -> tuple[Expr, Expr] | None:
    """(left, right) of an `=` whose sides hash alike when they are equal."""
    if not isinstance(expr, FunctionCall) or expr.function.name != "=" or len(expr.args) != 2:
        return None
    left, right = expr.args
    if left.type is right.type:
        return left, right
    a, b = family_of(left.type.oid), family_of(right.type.oid)
    return (left, right) if a is not None and a == b else None
