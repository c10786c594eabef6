"""Closures of IN, ANY, ALL, arrays, rows and sub-queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.compile_logic import applied
from tausql.sql.expressions.context import Context, Row
from tausql.sql.expressions.nodes import (
    AnyArray,
    ArrayLiteral,
    Const,
    Expr,
    FieldSelect,
    InList,
    RowCompare,
    RowExpr,
    Slice,
    Slot,
    Subquery,
    Subscript,
)
from tausql.sql.functions.array_functions import flatten
from tausql.sql.types.arrays import BoundedArray, array_of_arrays, bounded, dimensions, lows_of
from tausql.sql.types.ordering import hash_key, identity
from tausql.sql.types.records import CompositeType, Shape, record, shape_of

Compiled = Callable[[Row, Context], Any]
Compile = Callable[[Expr], Compiled]


def _in_list(expr: InList, compile: Compile) -> Compiled:
    same_types = expr.equality.arg_types[0] is expr.equality.arg_types[1] and not expr.equality.needs_context
    if same_types and not expr.equality.polymorphic and all(isinstance(item, Const) for item in expr.items):
        return _in_constants(expr, compile)
    run = compile(expr.arg)
    items = [compile(item) for item in expr.items]
    equal = applied(expr.equality)
    found, missing = not expr.negated, expr.negated

    def test(row: Row, context: Context) -> bool | None:
        value = run(row, context)
        if value is None:
            return None
        null_seen = False
        for item in items:
            other = item(row, context)
            if other is None:
                null_seen = True
            elif equal(value, other, context):
                return found
        return None if null_seen else missing

    return test


def _in_constants(expr: InList, compile: Compile) -> Compiled:
    """All items known: one hash look-up."""
    key = hash_key(expr.equality.arg_types[0])
    values = [item.value for item in expr.items if isinstance(item, Const)]
    keys = frozenset(key(value) for value in values if value is not None)
    found = not expr.negated
    missing = None if None in values else expr.negated
    if key is identity and isinstance(expr.arg, Slot):
        at = expr.arg.slot
        return lambda row, _context: None if (v := row[at]) is None else found if v in keys else missing
    run = compile(expr.arg)
    return lambda row, context: None if (v := run(row, context)) is None else found if key(v) in keys else missing


def _any_array(expr: AnyArray, compile: Compile) -> Compiled:
    left_of, array_of = compile(expr.left), compile(expr.array)
    test = applied(expr.operator)
    deciding = not expr.all

    def run(row: Row, context: Context) -> bool | None:
        array = array_of(row, context)
        if array is None:
            return None
        left = left_of(row, context)
        if not array:
            return not deciding
        if left is None:
            return None
        null_seen = False
        for item in flatten(array):
            if item is None:
                null_seen = True
            elif bool(test(left, item, context)) is deciding:
                return deciding
        return None if null_seen else not deciding

    return run


def _array_literal(expr: ArrayLiteral, compile: Compile) -> Compiled:
    runs = [compile(item) for item in expr.items]
    if not expr.nested:
        return lambda row, context: [run(row, context) for run in runs]

    def nested(row: Row, context: Context) -> list[Any]:
        items = [run(row, context) for run in runs]
        shapes = {(tuple(dimensions(item)), lows_of(item)) if isinstance(item, list) else None for item in items}
        if len(shapes) > 1:
            raise SqlError(
                Code.array_subscript_error,
                "multidimensional arrays must have array expressions with matching dimensions",
            )
        shape = shapes.pop()
        if shape is None or not any(type(item) is BoundedArray for item in items):
            return [] if shape == ((), ()) else items
        return bounded([list(item) for item in items], (1, *shape[1]))

    return nested


def _subscript(expr: Subscript, compile: Compile) -> Compiled:
    array_of = compile(expr.array)
    indexes = [compile(index) for index in expr.indexes]
    first = 0 if expr.array.type.name.endswith("vector") else 1  # int2vector and oidvector count from 0

    def run(row: Row, context: Context) -> Any:
        value = array_of(row, context)
        lows = value.lows if type(value) is BoundedArray else None
        for level, index in enumerate(indexes):
            at = index(row, context)
            if lows is not None and at is not None and level < len(lows):
                at += 1 - lows[level]
            if not isinstance(value, list) or at is None or not first <= at < len(value) + first:
                return None
            value = value[at - first]
        return None if isinstance(value, list) else value

    return run


def _slice(expr: Slice, compile: Compile) -> Compiled:
    array_of = compile(expr.array)
    bounds = [compile(bound) for bound in expr.bounds]
    present = expr.present

    def run(row: Row, context: Context) -> Any:
        value = array_of(row, context)
        found = iter([bound(row, context) for bound in bounds])
        limits: list[Any] = [next(found) if there else _OPEN for there in present]
        if value is None or None in limits:
            return None
        pairs = list(zip(limits[::2], limits[1::2], strict=True))
        if type(value) is BoundedArray:
            pairs = [
                (low if low is _OPEN else low + 1 - first, high if high is _OPEN else high + 1 - first)
                for (low, high), first in zip(pairs, value.lows, strict=False)
            ] + pairs[len(value.lows) :]
        return _sliced(value, pairs) if len(pairs) <= len(dimensions(value)) else []

    return run


_OPEN: Final = object()


def _sliced(value: list[Any], pairs: list[tuple[Any, Any]]) -> list[Any]:
    """Dimensions without a slice are taken whole; nothing in one dimension is nothing at all."""
    low, high = pairs[0]
    items = value[0 if low is _OPEN else max(low, 1) - 1 : len(value) if high is _OPEN else max(high, 0)]
    if len(pairs) > 1:
        items = [_sliced(item, pairs[1:]) for item in items]
        if any(not item for item in items):
            return []
    return items


def _row(expr: RowExpr, compile: Compile) -> Compiled:
    runs = [compile(item) for item in expr.items]
    shape = row_shape(expr)
    if expr.present is not None:
        present = compile(expr.present)
        return lambda row, context: (
            record([run(row, context) for run in runs], shape) if present(row, context) is True else None
        )
    return lambda row, context: record([run(row, context) for run in runs], shape)


def row_shape(expr: RowExpr) -> Shape:
    """Names and types of the fields."""
    if isinstance(expr.type, CompositeType):
        return expr.type.shape
    names = expr.names or tuple(f"f{at}" for at in range(1, len(expr.items) + 1))
    return shape_of([(name, item.type, item.typmod) for name, item in zip(names, expr.items, strict=True)])


def _field(expr: FieldSelect, compile: Compile) -> Compiled:
    run, at = compile(expr.arg), expr.field
    return lambda row, context: None if (value := run(row, context)) is None else value[at]


def _row_compare(expr: RowCompare, compile: Compile) -> Compiled:
    lefts = [compile(item) for item in expr.left]
    rights = [compile(item) for item in expr.right]
    equalities = [applied(function) for function in expr.equalities]
    stricts = [applied(function) for function in expr.strict_operators]
    when_equal = len(expr.operator) == 2

    def run(row: Row, context: Context) -> bool | None:
        for at, left_of in enumerate(lefts):
            left, right = left_of(row, context), rights[at](row, context)
            if left is None or right is None:
                return None
            if not equalities[at](left, right, context):
                return bool(stricts[at](left, right, context))
        return when_equal

    return run


# --- sub-queries ---


def _subquery(expr: Subquery, compile: Compile) -> Compiled:
    if expr.kind == "exists":
        index = expr.index
        return lambda row, context: bool(context.subplans[index](row, context))
    if expr.kind == "scalar":
        return _scalar(expr.index, expr.column)
    if expr.kind == "array":
        index = expr.index

        def listed(row: Row, context: Context) -> list[Any]:
            found = [each[0] for each in context.subplans[index](row, context)]
            return array_of_arrays(found) if any(isinstance(value, list) for value in found) else found

        return listed
    if expr.kind == "any" and len(expr.left) == 1 and _hashable(expr):
        return _hashed_any(expr, compile)
    return _compared(expr, compile)


def _scalar(index: int, column: int) -> Compiled:
    def run(row: Row, context: Context) -> Any:
        rows = context.subplans[index](row, context)
        if not rows:
            return None
        if len(rows) > 1:
            raise SqlError(Code.cardinality_violation, "more than one row returned by a subquery used as an expression")
        return rows[0][column]

    return run


def _hashable(expr: Subquery) -> bool:
    function = expr.operators[0]
    same = function.arg_types[0] is function.arg_types[1]
    return function.name == "=" and same and not function.needs_context and not function.polymorphic


def _hashed_any(expr: Subquery, compile: Compile) -> Compiled:
    """IN (SELECT ...): the rows become a set once, and again only when the executor gives another list."""
    index, left_of, column_of = expr.index, compile(expr.left[0]), compile(expr.columns[0])
    key = hash_key(expr.operators[0].arg_types[0])
    last_rows: Sequence[Any] | None = None
    keys: frozenset[Any] = frozenset()
    null_seen = False

    def run(row: Row, context: Context) -> bool | None:
        nonlocal last_rows, keys, null_seen
        rows = context.subplans[index](row, context)
        if rows is not last_rows:
            values = [column_of(found, context) for found in rows]
            keys = frozenset(key(value) for value in values if value is not None)
            null_seen = None in values
            last_rows = rows
        if not rows:
            return False
        left = left_of(row, context)
        if left is None:
            return None
        if key(left) in keys:
            return True
        return None if null_seen else False

    return run


def _compared(expr: Subquery, compile: Compile) -> Compiled:
    """Row by row, with rows on the left too."""
    index = expr.index
    lefts = [compile(item) for item in expr.left]
    columns = [compile(column) for column in expr.columns]
    tests = [applied(function) for function in expr.operators]
    unequal = expr.operators[0].name == "<>" and len(tests) > 1
    equalities = [applied(function) for function in expr.equalities]
    deciding = expr.kind == "any"

    def ordered(left: list[Any], found: Row, context: Context) -> bool | None:
        for at, equal in enumerate(equalities):
            right = columns[at](found, context)
            if left[at] is None or right is None:
                return None
            if not equal(left[at], right, context):
                return bool(tests[at](left[at], right, context))
        return expr.or_equal

    def one(left: list[Any], found: Row, context: Context) -> bool | None:
        answer: bool | None = not unequal
        for at, test in enumerate(tests):
            right = columns[at](found, context)
            if left[at] is None or right is None:
                answer = None
            elif bool(test(left[at], right, context)) is unequal:
                return unequal
        return answer

    compare = ordered if equalities else one

    def run(row: Row, context: Context) -> bool | None:
        left = [item(row, context) for item in lefts]
        null_seen = False
        for found in context.subplans[index](row, context):
            answer = compare(left, found, context)
            if answer is deciding:
                return deciding
            null_seen = null_seen or answer is None
        return None if null_seen else not deciding

    return run


COMPILERS: Final[Mapping[type[Expr], Any]] = MappingProxyType(
    {
        InList: _in_list,
        AnyArray: _any_array,
        ArrayLiteral: _array_literal,
        Subscript: _subscript,
        Slice: _slice,
        RowExpr: _row,
        FieldSelect: _field,
        RowCompare: _row_compare,
        Subquery: _subquery,
    }
)
