"""Arrays, rows, subscripts and sub-queries used as values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.calls import call_named
from tausql.sql.expressions.coercion import cast_to, coerce, unify
from tausql.sql.expressions.nodes import ArrayLiteral, Const, Expr, FunctionCall, RowExpr, Slice, Subquery, Subscript
from tausql.sql.expressions.operators import operator_call
from tausql.sql.expressions.predicates import query_of
from tausql.sql.functions.array_assignment import item_assignment
from tausql.sql.functions.json_editing import ASSIGN
from tausql.sql.functions.resolution import resolve_function
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
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query | exp.Values):
        bound = binder.scope.bind_subquery(query_of(node.expressions[0]), "array")
        if len(bound.columns) != 1:
            raise SqlError(Code.syntax_error, "subquery must return only one column")
        type, typmod = bound.columns[0]
        return Subquery(kind="array", index=bound.index, plan=bound.plan, type=_array_type(type), typmod=typmod)
    params = binder.scope.params
    items = [binder.bind(item) for item in node.expressions]
    if not items:
        # The binder of casts makes ARRAY[]::t[] without coming here.
        raise SqlError(
            Code.indeterminate_datatype,
            "cannot determine type of empty array",
            hint="Explicitly cast to the desired type, for example ARRAY[]::integer[].",
        )
    nested = any(isinstance(item, exp.Array) for item in node.expressions) or any(i.type.is_array for i in items)
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
    inner, indexes = subscripts_of(node)
    array = binder.bind(inner)
    if array.type is b.JSONB:
        return _jsonb_subscript(binder, array, indexes)
    if array.type is b.NAME and len(indexes) == 1:  # an array of "char" by its making; pg_dump asks for typname[0]
        return call_named(binder, "name_letter", [array, binder.bind(indexes[0])])
    element = element_of(array.type)
    if element is None:
        raise SqlError(
            Code.datatype_mismatch,
            f"cannot subscript type {array.type.display()} because it does not support subscripting",
        )
    if any(isinstance(index, exp.Slice) for index in indexes):
        return _slice(binder, array, indexes)
    return Subscript(array=array, indexes=tuple(_integer(binder, index) for index in indexes), type=element)


def _slice(binder: Binder, array: Expr, indexes: list[exp.Expr]) -> Expr:
    """a[1:2][3:4]; a plain index among slices means 1 up to it."""
    bounds: list[Expr | None] = []
    for index in indexes:
        low, high = (index.this, index.expression) if isinstance(index, exp.Slice) else (None, index)
        first = _integer(binder, low) if low is not None else None
        if not isinstance(index, exp.Slice):
            first = Const(value=1, type=b.INT4)
        bounds += [first, None if high is None else _integer(binder, high)]
    present = tuple(bound is not None for bound in bounds)
    kept = tuple(bound for bound in bounds if bound is not None)
    return Slice(array=array, bounds=kept, present=present, type=array.type, typmod=array.typmod)


def _jsonb_subscript(binder: Binder, value: Expr, indexes: list[exp.Expr]) -> Expr:
    """j['a'][1] is j #> '{a,1}'."""
    return operator_call("#>", value, _jsonb_path(binder, indexes), binder.scope.params)


def subscripts_of(node: exp.Bracket) -> tuple[exp.Expr, list[exp.Expr]]:
    """What is subscripted, and the subscripts in order."""
    indexes: list[exp.Expr] = []
    inner: exp.Expr = node
    while isinstance(inner, exp.Bracket):
        if len(inner.expressions) != 1:
            raise SqlError(Code.syntax_error, 'syntax error at or near ","')
        indexes.insert(0, inner.expressions[0])
        inner = inner.this
    return inner, indexes


def jsonb_assignment(binder: Binder, current: Expr, indexes: list[exp.Expr], value: Expr) -> Expr:
    """The value of a jsonb column after SET column['a'][0] = value."""
    found = resolve_function(ASSIGN, [b.JSONB, _array_type(b.TEXT), b.JSONB])
    return FunctionCall(function=found.function, args=(current, _jsonb_path(binder, indexes), value), type=b.JSONB)


def array_assignment(
    binder: Binder, current: Expr, indexes: list[exp.Expr], value: Expr, type: Type, name: str
) -> Expr:
    """The value of an array column after SET column[1] = value."""
    element = element_of(type)
    assert element is not None
    if any(isinstance(index, exp.Slice) for index in indexes):
        raise not_supported("assignment to a slice of an array is not supported")
    item = coerce(value, element, -1, ASSIGNMENT, binder.scope.params)
    if item is None:
        raise SqlError(
            Code.datatype_mismatch,
            f'subscripted assignment to "{name}" requires type {element.display()}'
            f" but expression is of type {value.type.display()}",
            hint="You will need to rewrite or cast the expression.",
        )
    function = item_assignment(type, element, len(indexes))
    places = tuple(_integer(binder, index) for index in indexes)
    return FunctionCall(function=function, args=(current, item, *places), type=type)


def _jsonb_path(binder: Binder, indexes: list[exp.Expr]) -> Expr:
    if any(isinstance(index, exp.Slice) for index in indexes):
        raise SqlError(Code.datatype_mismatch, "jsonb subscript does not support slices")
    params = binder.scope.params
    steps = []
    for index in indexes:
        bound = binder.bind(index)
        if bound.type not in (b.UNKNOWN, b.TEXT) and coerce(bound, b.INT4, -1, ASSIGNMENT, params) is None:
            raise SqlError(
                Code.datatype_mismatch,
                f"subscript type {bound.type.display()} is not supported",
                hint="jsonb subscript must be coercible to either integer or text.",
            )
        steps.append(cast_to(bound, b.TEXT, -1, params))
    return ArrayLiteral(items=tuple(steps), type=_array_type(b.TEXT))


def bind_scalar_subquery(binder: Binder, node: exp.Expr) -> Expr:
    bound = binder.scope.bind_subquery(query_of(node), "scalar")
    if len(bound.columns) != 1:
        raise SqlError(Code.syntax_error, "subquery must return only one column")
    type, typmod = bound.columns[0]
    return Subquery(kind="scalar", index=bound.index, plan=bound.plan, type=type, typmod=typmod)


HANDLERS: Final[Mapping[type[exp.Expr], Any]] = MappingProxyType(
    {exp.Array: _array, exp.Tuple: _tuple, exp.Bracket: _bracket, exp.Subquery: bind_scalar_subquery}
)
