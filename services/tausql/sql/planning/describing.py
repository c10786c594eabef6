"""Expressions as text, for EXPLAIN. Close to what PostgreSQL prints; nothing reads it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tausql.sql.expressions.nodes import (
    AggregateCall,
    And,
    AnyArray,
    Cast,
    Const,
    Expr,
    FunctionCall,
    InList,
    IsNull,
    Not,
    Or,
    OuterSlot,
    Param,
    Slot,
    Subquery,
)
from tausql.sql.types.enums import EnumType, pinned_name
from tausql.sql.types.session_format import SessionFormat

NO_NAMES: Mapping[int, str] = MappingProxyType({})


def describe(expr: Expr, names: Mapping[int, str] = NO_NAMES) -> str:
    """`names`: what slots are called where their own name would not do."""
    return _Describer(lambda slot: names.get(slot.slot) or slot.name or f"column{slot.slot + 1}").text(expr)


class _Describer:
    def __init__(self, name: Callable[[Slot], str]) -> None:
        self.name = name

    def text(self, expr: Expr) -> str:
        if isinstance(expr, Slot):
            return self.name(expr)
        if isinstance(expr, Const):
            return self._constant(expr)
        if isinstance(expr, Param):
            return f"${expr.number}"
        if isinstance(expr, OuterSlot):
            return expr.name
        if isinstance(expr, FunctionCall):
            return self._call(expr)
        if isinstance(expr, (And, Or)):
            word = " AND " if isinstance(expr, And) else " OR "
            return "(" + word.join(self.text(arg) for arg in expr.args) + ")"
        if isinstance(expr, Not):
            return f"(NOT {self.text(expr.arg)})"
        if isinstance(expr, IsNull):
            return f"({self.text(expr.arg)} IS {'NOT ' if expr.negated else ''}NULL)"
        if isinstance(expr, Cast):
            if isinstance(expr.arg, Const) and expr.arg.type.name == "unknown":
                return self._constant(expr.arg).removesuffix("unknown") + expr.type.sql_name
            return f"({self.text(expr.arg)})::{expr.type.sql_name}"
        if isinstance(expr, InList):
            items = ", ".join(self.text(item) for item in expr.items)
            return f"({self.text(expr.arg)} {'NOT ' if expr.negated else ''}IN ({items}))"
        if isinstance(expr, AnyArray):
            word = "ALL" if expr.all else "ANY"
            return f"({self.text(expr.left)} {expr.operator.name} {word} ({self.text(expr.array)}))"
        if isinstance(expr, Subquery):
            return f"(SubPlan {expr.index + 1})"
        if isinstance(expr, AggregateCall):
            return f"{expr.aggregate.name}({', '.join(self.text(arg) for arg in expr.args) or '*'})"
        return f"{type(expr).__name__.lower()}({', '.join(self.text(child) for child in expr.children())})"

    def _constant(self, expr: Const) -> str:
        if expr.value is None:
            return "NULL"
        if expr.type.category == "N":
            return str(expr.type.text_out(expr.value, SessionFormat()))
        if isinstance(expr.type, EnumType):
            return f"''::{pinned_name(expr.type.oid, expr.value)}"
        if isinstance(expr.value, bool):
            return "true" if expr.value else "false"
        shown = expr.value if isinstance(expr.value, str) else expr.type.text_out(expr.value, SessionFormat())
        quoted = str(shown).replace("'", "''")
        return f"'{quoted}'::{expr.type.sql_name}"

    def _call(self, expr: FunctionCall) -> str:
        name, args = expr.function.name, [self.text(arg) for arg in expr.args]
        if expr.function.kind == "o":
            return f"({args[0]} {name} {args[1]})" if len(args) == 2 else f"({name}{args[0]})"
        return f"{name}({', '.join(args)})"
