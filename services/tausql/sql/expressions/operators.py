"""Operators: resolution, coercion of the operands, and the shapes that compare rows."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.coercion import cast_to, must_coerce
from tausql.sql.expressions.nodes import And, Expr, FunctionCall, Not, Or, RowCompare, RowExpr
from tausql.sql.expressions.scope import ParamTypes
from tausql.sql.functions.function import Function
from tausql.sql.functions.resolution import Resolved, resolve_operator
from tausql.sql.types import builtin as b

_NEGATORS = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def operator_call(name: str, left: Expr | None, right: Expr, params: ParamTypes | None) -> Expr:
    """left name right (or prefix name right), operands coerced; 42883, 42725."""
    if left is not None and isinstance(left, RowExpr) and isinstance(right, RowExpr):
        return row_comparison(name, left.items, right.items, params)
    found = resolve_operator(name, None if left is None else left.type, right.type)
    return applied(found, left, right, params)


def applied(found: Resolved, left: Expr | None, right: Expr, params: ParamTypes | None) -> Expr:
    function = found.function
    if function.name == "||" and function.polymorphic and b.TEXT in function.arg_types:
        # text || anything: the other side prints itself
        assert left is not None
        texts = (cast_to(left, b.TEXT, -1, params), cast_to(right, b.TEXT, -1, params))
        return FunctionCall(function=function, args=texts, type=b.TEXT)
    operands = (right,) if left is None else (left, right)
    args = tuple([must_coerce(arg, wanted, params) for arg, wanted in zip(operands, found.arg_types, strict=True)])
    return FunctionCall(function=function, args=args, type=found.result_type)


def coerced_pair(name: str, left: Expr, right: Expr, params: ParamTypes | None) -> tuple[Function, Expr, Expr]:
    """The function of a boolean operator and both operands as it wants them."""
    call = operator_call(name, left, right, params)
    if not isinstance(call, FunctionCall):
        raise SqlError(Code.feature_not_supported, "rows cannot be compared here")
    if call.type is not b.BOOL:
        raise SqlError(
            Code.datatype_mismatch, f"operator {name} must return type boolean, not type {call.type.display()}"
        )
    return call.function, call.args[0], call.args[1]


def row_comparison(name: str, left: Sequence[Expr], right: Sequence[Expr], params: ParamTypes | None) -> Expr:
    """(a, b) = (c, d) and the orderings; 42601 for unequal lengths."""
    if len(left) != len(right):
        raise SqlError(Code.syntax_error, "unequal number of entries in row expressions")
    if not left:
        raise SqlError(Code.feature_not_supported, "cannot compare rows of zero length")
    if len(left) == 1:
        return operator_call(name, left[0], right[0], params)
    if name in ("=", "<>"):
        parts = tuple(operator_call(name, a, c, params) for a, c in zip(left, right, strict=True))
        return And(args=parts) if name == "=" else Or(args=parts)
    if name not in ("<", "<=", ">", ">="):
        raise SqlError(
            Code.feature_not_supported,
            f"could not determine interpretation of row comparison operator {name}",
            hint="Row comparison operators must be associated with btree operator families.",
        )
    equalities, stricts, lefts, rights = [], [], [], []
    for a, c in zip(left, right, strict=True):
        equality, first, second = coerced_pair("=", a, c, params)
        strict, _, _ = coerced_pair(name[0], first, second, params)
        equalities.append(equality)
        stricts.append(strict)
        lefts.append(first)
        rights.append(second)
    return RowCompare(
        operator=name,
        equalities=tuple(equalities),
        strict_operators=tuple(stricts),
        left=tuple(lefts),
        right=tuple(rights),
    )


def negation(expr: Expr, params: ParamTypes | None) -> Expr:
    """NOT expr, using the negator of a comparison where there is one."""
    if isinstance(expr, FunctionCall) and len(expr.args) == 2 and expr.function.name in _NEGATORS:
        left, right = expr.args
        return operator_call(_NEGATORS[expr.function.name], left, right, params)
    return Not(arg=expr)
