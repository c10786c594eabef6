"""Closures of three-valued logic, CASE, COALESCE and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.expressions.context import Context, Row
from tausql.sql.expressions.nodes import (
    And,
    BooleanTest,
    Case,
    Coalesce,
    Const,
    Distinct,
    Expr,
    IsNull,
    MinMax,
    Not,
    NullIf,
    Or,
    Slot,
)
from tausql.sql.functions.function import Function
from tausql.sql.types.ordering import sort_key

Compiled = Callable[[Row, Context], Any]
Compile = Callable[[Expr], Compiled]
Apply = Callable[[Any, Any, Context], Any]


def applied(function: Function) -> Apply:
    """A boolean operator as (left, right, context) -> value for non-NULL operands."""
    impl = function.impl
    if function.needs_context:
        return lambda left, right, context: impl(context, left, right)
    return lambda left, right, _context: impl(left, right)


def _and(expr: And, compile: Compile) -> Compiled:
    runs = [compile(arg) for arg in expr.args]
    if len(runs) == 2:
        first, second = runs

        def both(row: Row, context: Context) -> bool | None:
            left = first(row, context)
            if left is False:
                return False
            right = second(row, context)
            if right is False:
                return False
            return None if left is None or right is None else True

        return both

    def every(row: Row, context: Context) -> bool | None:
        answer: bool | None = True
        for run in runs:
            value = run(row, context)
            if value is False:
                return False
            if value is None:
                answer = None
        return answer

    return every


def _or(expr: Or, compile: Compile) -> Compiled:
    runs = [compile(arg) for arg in expr.args]

    def some(row: Row, context: Context) -> bool | None:
        answer: bool | None = False
        for run in runs:
            value = run(row, context)
            if value is True:
                return True
            if value is None:
                answer = None
        return answer

    return some


def _not(expr: Not, compile: Compile) -> Compiled:
    run = compile(expr.arg)
    return lambda row, context: None if (value := run(row, context)) is None else not value


def _is_null(expr: IsNull, compile: Compile) -> Compiled:
    if isinstance(expr.arg, Slot):
        at = expr.arg.slot
        if expr.negated:
            return lambda row, _context: row[at] is not None
        return lambda row, _context: row[at] is None
    run = compile(expr.arg)
    if expr.negated:
        return lambda row, context: run(row, context) is not None
    return lambda row, context: run(row, context) is None


def _boolean_test(expr: BooleanTest, compile: Compile) -> Compiled:
    run, wanted = compile(expr.arg), expr.value
    if expr.negated:
        return lambda row, context: run(row, context) is not wanted
    return lambda row, context: run(row, context) is wanted


def _distinct(expr: Distinct, compile: Compile) -> Compiled:
    left_of, right_of = compile(expr.left), compile(expr.right)
    equal = applied(expr.equality)
    when_equal = expr.negated

    def test(row: Row, context: Context) -> bool:
        left, right = left_of(row, context), right_of(row, context)
        if left is None or right is None:
            same = left is None and right is None
        else:
            same = bool(equal(left, right, context))
        return same is when_equal

    return test


def _null_if(expr: NullIf, compile: Compile) -> Compiled:
    value_of, left_of, right_of = compile(expr.arg), compile(expr.left), compile(expr.right)
    equal = applied(expr.equality)

    def run(row: Row, context: Context) -> Any:
        value = value_of(row, context)
        if value is None:
            return None
        right = right_of(row, context)
        if right is None:
            return value
        return None if equal(left_of(row, context), right, context) else value

    return run


def _case(expr: Case, compile: Compile) -> Compiled:
    whens = [(compile(condition), compile(result)) for condition, result in expr.whens]
    default = compile(Const(value=None, type=expr.type) if expr.default is None else expr.default)

    def run(row: Row, context: Context) -> Any:
        for condition, result in whens:
            if condition(row, context) is True:
                return result(row, context)
        return default(row, context)

    return run


def _coalesce(expr: Coalesce, compile: Compile) -> Compiled:
    runs = [compile(arg) for arg in expr.args]

    def first(row: Row, context: Context) -> Any:
        for run in runs:
            value = run(row, context)
            if value is not None:
                return value
        return None

    return first


def _min_max(expr: MinMax, compile: Compile) -> Compiled:
    runs = [compile(arg) for arg in expr.args]
    key = sort_key(expr.type)
    choose = max if expr.greatest else min

    def extreme(row: Row, context: Context) -> Any:
        values = [value for run in runs if (value := run(row, context)) is not None]
        return choose(values, key=key) if values else None

    return extreme


COMPILERS: Final[Mapping[type[Expr], Any]] = MappingProxyType(
    {
        And: _and,
        Or: _or,
        Not: _not,
        IsNull: _is_null,
        BooleanTest: _boolean_test,
        Distinct: _distinct,
        NullIf: _null_if,
        Case: _case,
        Coalesce: _coalesce,
        MinMax: _min_max,
    }
)
