"""CASE, COALESCE, NULLIF, GREATEST, LEAST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.coercion import as_boolean, settle, unify
from tausql.sql.expressions.nodes import (
    And,
    Case,
    Coalesce,
    Const,
    Distinct,
    Expr,
    FunctionCall,
    IsNull,
    MinMax,
    NullIf,
    Or,
    RowExpr,
    SetReturningCall,
    walk,
)
from tausql.sql.expressions.operators import coerced_pair, operator_call
from tausql.sql.expressions.scope import ParamTypes
from tausql.sql.types.ordering import is_orderable

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder


def _case(binder: Binder, node: exp.Case) -> Expr:
    params = binder.scope.params
    subject = None if node.this is None else settle(binder.bind(node.this), params)
    conditions: list[Expr] = []
    results: list[Expr] = []
    for branch in node.args["ifs"]:
        condition = binder.bind(branch.this)
        if subject is not None:
            condition = operator_call("=", subject, condition, params)
        conditions.append(as_boolean(condition, "CASE/WHEN", params))
        results.append(binder.bind(branch.args["true"]))
    default = node.args.get("default")
    if default is not None:
        # PostgreSQL looks at ELSE first when it chooses the common type.
        results.insert(0, binder.bind(default))
    _check_no_sets([*conditions, *results], "CASE")
    unified, type, typmod = unify(results, "CASE", params)
    otherwise = unified[0] if default is not None else None
    if otherwise is None:
        typmod = -1  # the NULL of a missing ELSE has none
    branches = unified[1:] if default is not None else unified
    return Case(whens=tuple(zip(conditions, branches, strict=True)), default=otherwise, type=type, typmod=typmod)


def _check_no_sets(args: Sequence[Expr], what: str) -> None:
    """What is evaluated for some rows only cannot decide how many rows there are."""
    if any(isinstance(part, SetReturningCall) for arg in args for part in walk(arg)):
        raise not_supported(
            f"set-returning functions are not allowed in {what}",
            hint="You might be able to move the set-returning function into a LATERAL FROM item.",
        )


def _coalesce(binder: Binder, node: exp.Coalesce) -> Expr:
    args = [binder.bind(item) for item in (node.this, *node.expressions)]
    _check_no_sets(args, "COALESCE")
    unified, type, typmod = unify(args, "COALESCE", binder.scope.params)
    return Coalesce(args=unified, type=type, typmod=typmod)


def _nullif(binder: Binder, node: exp.Nullif) -> Expr:
    params = binder.scope.params
    left, right = binder.bind(node.this), binder.bind(node.expression)
    call = operator_call("=", left, right, params)
    if not isinstance(call, FunctionCall):
        raise SqlError(Code.feature_not_supported, "NULLIF of rows is not supported")
    first = call.args[0]
    return NullIf(
        equality=call.function,
        arg=first,
        left=call.args[0],
        right=call.args[1],
        type=first.type,
        typmod=first.typmod,
    )


def _extreme(binder: Binder, node: exp.Greatest | exp.Least, greatest: bool) -> Expr:
    args = [binder.bind(item) for item in (node.this, *node.expressions)]
    unified, type, typmod = unify(args, "GREATEST" if greatest else "LEAST", binder.scope.params)
    if not is_orderable(type):
        raise SqlError(Code.undefined_function, f"could not identify a comparison function for type {type.display()}")
    return MinMax(args=unified, greatest=greatest, type=type, typmod=typmod)


def _if(binder: Binder, node: exp.If) -> Expr:
    raise SqlError(Code.undefined_function, "function if does not exist")


def _is_distinct(binder: Binder, node: exp.NullSafeEQ | exp.NullSafeNEQ) -> Expr:
    params = binder.scope.params
    left, right = binder.bind(node.this), binder.bind(node.expression)
    negated = isinstance(node, exp.NullSafeEQ)
    if isinstance(left, RowExpr) and isinstance(right, RowExpr):
        if len(left.items) != len(right.items):
            raise SqlError(Code.syntax_error, "unequal number of entries in row expressions")
        pairs = zip(left.items, right.items, strict=True)
        parts = tuple(_distinct(a, c, negated, params) for a, c in pairs)
        return And(args=parts) if negated else Or(args=parts)
    return _distinct(left, right, negated, params)


def _distinct(left: Expr, right: Expr, negated: bool, params: ParamTypes | None) -> Expr:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, Const) and other.value is None:
            return IsNull(arg=settle(one, params), negated=not negated)
    equality, first, second = coerced_pair("=", left, right, params)
    return Distinct(equality=equality, left=first, right=second, negated=negated)


HANDLERS: Final[Mapping[type[exp.Expr], Any]] = MappingProxyType(
    {
        exp.Case: _case,
        exp.Coalesce: _coalesce,
        exp.Nullif: _nullif,
        exp.Greatest: lambda binder, node: _extreme(binder, node, True),
        exp.Least: lambda binder, node: _extreme(binder, node, False),
        exp.If: _if,
        exp.NullSafeEQ: _is_distinct,
        exp.NullSafeNEQ: _is_distinct,
    }
)
