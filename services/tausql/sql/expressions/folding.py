"""Constant folding, and what an expression's value depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tausql.protocol.errors import SqlError
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import (
    AggregateCall,
    ArrayLiteral,
    Cast,
    Const,
    Convert,
    Expr,
    Fit,
    FunctionCall,
    OuterSlot,
    Param,
    SetReturningCall,
    Slot,
    Subquery,
    walk,
)

_VARYING: Final = (Slot, OuterSlot, Param, Subquery, AggregateCall, SetReturningCall)
_CALLS: Final = (FunctionCall, SetReturningCall)
_FOLDED: Final = (FunctionCall, Cast, Fit, Convert, ArrayLiteral)


def volatility(expr: Expr) -> str:
    """'i', 's' or 'v': the worst of the functions inside."""
    worst = "i"
    for node in walk(expr):
        found = node_volatility(node)
        if found == "v":
            return "v"
        if found == "s":
            worst = "s"
    return worst


def node_volatility(node: Expr) -> str:
    if isinstance(node, _CALLS):
        return node.function.volatility
    if isinstance(node, Cast):
        return "i" if node.conversion.immutable else "s"
    if isinstance(node, Convert):
        return "s"
    return "i"


def is_constant(expr: Expr) -> bool:
    """No column, parameter, sub-query or aggregate inside, and nothing volatile."""
    return not any(isinstance(node, _VARYING) or node_volatility(node) == "v" for node in walk(expr))


def _is_null(node: Expr) -> bool:
    return isinstance(node, Const) and node.value is None


def _refuse_failing(args: tuple[Expr, ...], compile: Callable[[Expr], Callable[..., Any]]) -> None:
    """A strict call with a NULL is NULL, but an error in another of its constant arguments is told all the same."""
    for arg in args:
        parts = list(walk(arg))
        constant = isinstance(arg, _FOLDED) and all(isinstance(part, (*_FOLDED, Const)) for part in parts)
        if constant and all(node_volatility(part) == "i" for part in parts):
            compile(arg)((), Context())


def folded(expr: Expr, compile: Callable[[Expr], Callable[..., Any]]) -> Expr:
    """Immutable calls on constants replaced by their values; those that fail stay."""

    def change(node: Expr) -> Expr:
        if isinstance(node, FunctionCall) and node.function.strict and any(map(_is_null, node.args)):
            _refuse_failing(node.args, compile)
        if not isinstance(node, _FOLDED) or node_volatility(node) != "i":
            return node
        if not all(isinstance(child, Const) for child in node.children()):
            return node
        try:
            value = compile(node)((), Context())
        except SqlError:
            return node
        return Const(value=value, type=node.type, typmod=node.typmod)

    return expr.replace(change)
