"""Expressions to closures `(row, context) -> datum`.

A closure per node costs a Python call per node and row; the common shapes (slot operator constant, slot = parameter,
strict functions of one and two arguments) get closures of their own that read the row directly. Constant parts are
computed at compile time; an error in them is raised when the expression is run, as the row may never come to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions import compile_calls, compile_logic, compile_sets
from tausql.sql.expressions.context import Context, Row
from tausql.sql.expressions.folding import folded, is_constant, volatility
from tausql.sql.expressions.nodes import (
    AggregateCall,
    Const,
    Expr,
    OuterSlot,
    Param,
    SetReturningCall,
    Slot,
)

Compiled = Callable[[Row, Context], Any]
__all__ = [
    "Compiled",
    "compile_expr",
    "compile_predicate",
    "compile_projection",
    "compile_set",
    "evaluate_constant",
    "folded",
    "is_constant",
    "volatility",
]


def compile_expr(expr: Expr) -> Compiled:
    """A function from a row of datums and a Context to the value."""
    return compile_node(folded(expr, compile_node))


def compile_node(expr: Expr) -> Compiled:
    """One node, without folding."""
    handler = _COMPILERS.get(type(expr))
    if handler is None:
        raise SqlError(Code.internal_error, f"cannot compile {type(expr).__name__}")
    compiled: Compiled = handler(expr, compile_node)
    return compiled


def compile_predicate(expr: Expr) -> Callable[[Row, Context], bool]:
    """True only where the expression is TRUE (not for NULL)."""
    run = compile_expr(expr)
    return lambda row, context: run(row, context) is True


def compile_projection(exprs: Sequence[Expr]) -> Callable[[Row, Context], list[Any]]:
    """All expressions of a select list at once."""
    simple = [expr.slot if isinstance(expr, Slot) else None for expr in exprs]
    if all(slot is not None for slot in simple):
        slots = [slot for slot in simple if slot is not None]
        if slots == list(range(len(slots))) and slots:
            count = len(slots)
            return lambda row, _context: list(row) if len(row) == count else list(row[:count])
        return lambda row, _context: [row[slot] for slot in slots]
    runs = [compile_expr(expr) for expr in exprs]
    if len(runs) == 1:
        only = runs[0]
        return lambda row, context: [only(row, context)]
    return lambda row, context: [run(row, context) for run in runs]


def compile_set(expr: Expr) -> Callable[[Row, Context], Iterator[Any]]:
    """A SetReturningCall as a function to an iterator of datums; NULL arguments of a strict one give no rows."""
    if not isinstance(expr, SetReturningCall):
        run = compile_expr(expr)
        return lambda row, context: iter((run(row, context),))
    args = [compile_expr(arg) for arg in expr.args]
    function = expr.function
    impl, strict, needs_context = function.impl, function.strict, function.needs_context

    def rows(row: Row, context: Context) -> Iterator[Any]:
        values = [arg(row, context) for arg in args]
        if strict and None in values:
            return iter(())
        found: Iterator[Any] = impl(context, *values) if needs_context else impl(*values)
        return found

    return rows


def evaluate_constant(expr: Expr, context: Context) -> Any:
    """The value of an expression without columns."""
    return compile_expr(expr)((), context)


def _const(expr: Const, _compile: Any) -> Compiled:
    value = expr.value
    return lambda _row, _context: value


def _param(expr: Param, _compile: Any) -> Compiled:
    at = expr.number - 1
    return lambda _row, context: context.params[at]


def _slot(expr: Slot, _compile: Any) -> Compiled:
    at = expr.slot
    return lambda row, _context: row[at]


def _outer_slot(expr: OuterSlot, _compile: Any) -> Compiled:
    level, at = -expr.level, expr.slot
    return lambda _row, context: context.outer[level][at]


def _aggregate(expr: AggregateCall, _compile: Any) -> Compiled:
    raise SqlError(Code.internal_error, f"aggregate {expr.aggregate.name} was not planned")


def _set(expr: SetReturningCall, _compile: Any) -> Compiled:
    raise SqlError(Code.feature_not_supported, "set-valued function called in context that cannot accept a set")


def _table() -> Mapping[type[Expr], Any]:
    table: dict[type[Expr], Any] = {
        Const: _const,
        Param: _param,
        Slot: _slot,
        OuterSlot: _outer_slot,
        AggregateCall: _aggregate,
        SetReturningCall: _set,
    }
    for module in (compile_calls, compile_logic, compile_sets):
        table.update(module.COMPILERS)
    return MappingProxyType(table)


_COMPILERS: Final = _table()
