"""Arrays, rows, subscripts and sub-queries used as values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.coercion import coerce, unify
from tausql.sql.expressions.nodes import ArrayLiteral, Expr, RowExpr, Slice, Subquery, Subscript
from tausql.sql.expressions.predicates import query_of
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import ASSIGNMENT
from tausql.sql.types.registry import array_of, element_of
from tausql.sql.types.type import Type

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder


def _array_type(element: Type) -> Type:
    array = array_of(element)
    if array is None:
        raise SqlError(Code.undefined_object, f"could not find array type for data type {element.display()}")
    return array


def _array(binder: Binder, node: exp.Array) -> Expr:
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query):
        bound = binder.scope.bind_subquery(query_of(node.expressions[0]), "array")
        if len(bound.columns) != 1:
            raise SqlError(Code.syntax_error, "subquery must return only one column")
        return Subquery(kind="array", index=bound.index, plan=bound.plan, type=_array_type(bound.columns[0][0]))
    params = binder.scope.params
    items = [binder.bind(item) for item in node.expressions]
    if not items:
        # The binder of casts makes ARRAY[]::t[] without coming here.
        raise SqlError(
            Code.indeterminate_datatype,
            "cannot determine type of empty array",
            hint="Explicitly cast to the desired type, for example ARRAY[]::integer[].",
        )
    nested = any(isinstance(item, exp.Array) for item in node.expressions) or all(i.type.is_array for i in items)
    unified, type, _ = unify(items, "ARRAY", params)
    return ArrayLiteral(items=unified, nested=nested and type.is_array, type=_array_type(type))


def _tuple(binder: Binder, node: exp.Tuple) -> Expr:
    """(a, b): literals keep their unknown type until the other side of a comparison tells it."""
    return RowExpr(items=tuple(binder.bind(item) for item in node.expressions))


def _integer(binder: Binder, node: exp.Expr) -> Expr:
    bound = coerce(binder.bind(node), b.INT4, -1, ASSIGNMENT, binder.scope.params)
    if bound is None:
        raise SqlError(Code.datatype_mismatch, "array subscript must have type integer")
    return bound


def _bracket(binder: Binder, node: exp.Bracket) -> Expr:
    """a[1], a[1][2], a[1:2]."""
    indexes: list[exp.Expr] = []
    inner: exp.Expr = node
    while isinstance(inner, exp.Bracket):
        if len(inner.expressions) != 1:
            raise SqlError(Code.syntax_error, 'syntax error at or near ","')
        indexes.insert(0, inner.expressions[0])
        inner = inner.this
    array = binder.bind(inner)
    element = element_of(array.type)
    if element is None:
        raise SqlError(
            Code.datatype_mismatch,
            f"cannot subscript type {array.type.display()} because it does not support subscripting",
        )
    if any(isinstance(index, exp.Slice) for index in indexes):
        if len(indexes) > 1:
            raise SqlError(Code.feature_not_supported, "array slices of more than one dimension are not supported")
        low, high = indexes[0].this, indexes[0].expression
        return Slice(
            array=array,
            low=None if low is None else _integer(binder, low),
            high=None if high is None else _integer(binder, high),
            type=array.type,
            typmod=array.typmod,
        )
    return Subscript(array=array, indexes=tuple(_integer(binder, index) for index in indexes), type=element)


def bind_scalar_subquery(binder: Binder, node: exp.Expr) -> Expr:
    bound = binder.scope.bind_subquery(query_of(node), "scalar")
    if len(bound.columns) != 1:
        raise SqlError(Code.syntax_error, "subquery must return only one column")
    type, typmod = bound.columns[0]
    return Subquery(kind="scalar", index=bound.index, plan=bound.plan, type=type, typmod=typmod)


HANDLERS: Final[Mapping[type[exp.Expr], Any]] = MappingProxyType(
    {exp.Array: _array, exp.Tuple: _tuple, exp.Bracket: _bracket, exp.Subquery: bind_scalar_subquery}
)
