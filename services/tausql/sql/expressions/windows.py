"""Binding `f(...) OVER (...)`: what may stand before OVER, windows made from windows, frames and their offsets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.aggregate_calls import bind_aggregate
from tausql.sql.expressions.clause_tokens import COPIED_WINDOW
from tausql.sql.expressions.coercion import coerce, must_coerce, settle
from tausql.sql.expressions.frames import range_offset_type
from tausql.sql.expressions.nodes import AggregateCall, Expr, SetReturningCall, Slot, SortSpec, walk
from tausql.sql.expressions.parsing import function_name
from tausql.sql.expressions.window_nodes import (
    CURRENT,
    DEFAULT_FRAME,
    FOLLOWING,
    PRECEDING,
    UNBOUNDED_FOLLOWING,
    UNBOUNDED_PRECEDING,
    Frame,
    Window,
    WindowCall,
)
from tausql.sql.functions.catalogue import WINDOW_ONLY, is_aggregate, named_functions
from tausql.sql.functions.function import Function
from tausql.sql.functions.resolution import resolve_function
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import ASSIGNMENT
from tausql.sql.types.ordering import is_orderable
from tausql.sql.types.type import Type

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder
NESTED: Final = "window function calls"
DEFINITIONS: Final = "window definitions"


@runtime_checkable
class WindowScope(Protocol):
    """What binding a window asks of its surroundings; scopes without it allow no windows."""

    def check_window(self) -> None:
        """Raises 42P20 where window functions are not allowed."""
        ...

    def named_window(self, name: str) -> tuple[Window, bool]:
        """A window of the WINDOW clause, and whether it has a frame clause; raises 42704."""
        ...

    def within(self, clause: str) -> AbstractContextManager[None]:
        """A context manager: expressions bound inside it belong to this clause, where no window may be."""
        ...


def bind_window(binder: Binder, node: exp.Window) -> Expr:
    scope = binder.scope
    call, filter = node.this, None
    if isinstance(call, exp.Filter):
        call, filter = call.this, call.expression.this
    if isinstance(call, (exp.IgnoreNulls, exp.RespectNulls)):
        word = "ignore" if isinstance(call, exp.IgnoreNulls) else "respect"
        raise SqlError(Code.syntax_error, f'syntax error at or near "{word}"')
    ordered_set = isinstance(call, exp.WithinGroup)
    name = function_name(call.this if ordered_set else call) or ""
    if not isinstance(scope, WindowScope):
        _refuse_by_aggregate(binder, name)
    assert isinstance(scope, WindowScope)
    if ordered_set:
        raise not_supported(f"OVER is not supported for ordered-set aggregate {name}")
    scope.check_window()
    with scope.within(NESTED):
        call_expr = call.expression if isinstance(call, exp.Dot) else call
        function, args, result = _call(binder, name, call_expr.expressions, filter is not None)
        condition = None if filter is None else binder.boolean(filter, "FILTER")
    window = _used_window(binder, scope, node)
    for part in (*args, *(() if condition is None else (condition,))):
        if any(isinstance(inner, SetReturningCall) for inner in walk(part)):
            raise not_supported("window function calls cannot contain set-returning function calls")
    return WindowCall(function=function, args=args, window=window, filter=condition, type=result)


def _refuse_by_aggregate(binder: Binder, name: str) -> None:
    try:
        binder.scope.check_aggregate(name)
    except SqlError as error:
        raise SqlError(Code.windowing_error, error.message.replace("aggregate", "window")) from None
    raise SqlError(Code.windowing_error, "window functions are not allowed in this expression")


def _call(
    binder: Binder, name: str, items: Sequence[exp.Expr], filtered: bool
) -> tuple[Function, tuple[Expr, ...], Type]:
    """(function, arguments, type of the result)."""
    params = binder.scope.params
    if not is_aggregate(name) and name not in WINDOW_ONLY:
        if named_functions(name):
            raise SqlError(
                Code.wrong_object_type,
                f"OVER specified, but {name} is not a window function nor an aggregate function",
            )
        resolve_function(name, [binder.bind(item).type for item in items])
    if items and isinstance(items[0], exp.Distinct):
        raise not_supported("DISTINCT is not implemented for window functions")
    if items and isinstance(items[-1], exp.Order):
        if isinstance(items[-1].this, exp.Distinct):
            raise not_supported("DISTINCT is not implemented for window functions")
        raise not_supported("aggregate ORDER BY is not implemented for window functions")
    star = len(items) == 1 and isinstance(items[0], exp.Star)
    if is_aggregate(name):
        made = bind_aggregate(
            binder, name, [] if star else items, distinct=False, ordered=(), star=star, filter=None, over=True
        )
        return made.aggregate, made.args, made.type
    if star:
        raise SqlError(Code.undefined_function, f"function {name}() does not exist")
    args = [binder.bind(item) for item in items]
    found = resolve_function(name, [arg.type for arg in args])
    if filtered:
        raise not_supported("FILTER is not implemented for non-aggregate window functions")
    coerced = tuple(must_coerce(arg, wanted, params) for arg, wanted in zip(args, found.arg_types, strict=True))
    return found.function, coerced, found.result_type


def _used_window(binder: Binder, scope: WindowScope, node: exp.Window) -> Window:
    alias = node.args.get("alias")
    if alias is None:
        return bind_definition(binder, scope, node)[0]
    if str(alias.name).startswith(COPIED_WINDOW):
        return bind_definition(binder, scope, node)[0]
    plain = not any(node.args.get(key) for key in ("partition_by", "order", "spec"))
    if plain:
        return scope.named_window(_folded(alias))[0]
    return bind_definition(binder, scope, node)[0]


def _folded(identifier: exp.Expr) -> str:
    name = str(identifier.name).removeprefix(COPIED_WINDOW)
    return name if identifier.args.get("quoted") else name.lower()


def bind_definition(binder: Binder, scope: WindowScope, node: exp.Window) -> tuple[Window, bool]:
    """`([name] [PARTITION BY ...] [ORDER BY ...] [frame])`; and whether it has a frame clause."""
    params = binder.scope.params
    base = Window()
    alias = node.args.get("alias")
    has_partition, order_node, spec = bool(node.args.get("partition_by")), node.args.get("order"), node.args.get("spec")
    if alias is not None:
        name = _folded(alias)
        base, framed = scope.named_window(name)
        if has_partition:
            raise SqlError(Code.windowing_error, f'cannot override PARTITION BY clause of window "{name}"')
        if order_node is not None and base.order:
            raise SqlError(Code.windowing_error, f'cannot override ORDER BY clause of window "{name}"')
        if framed:
            raise SqlError(Code.windowing_error, f'cannot copy window "{name}" because it has a frame clause')
    partition, order = base.partition, base.order
    with scope.within(DEFINITIONS):
        if has_partition:
            partition = tuple(settle(binder.bind(item), params) for item in node.args["partition_by"])
        if order_node is not None:
            order = tuple(_sort_spec(binder, item) for item in order_node.expressions)
    for expr in partition:
        _check_orderable(expr, "equality")
    frame = DEFAULT_FRAME if spec is None else _frame(binder, scope, spec, order)
    return Window(partition=partition, order=order, frame=frame), spec is not None


def _sort_spec(binder: Binder, item: exp.Ordered) -> SortSpec:
    expr = settle(binder.bind(item.this), binder.scope.params)
    _check_orderable(expr, "ordering")
    return SortSpec(expr=expr, descending=bool(item.args.get("desc")), nulls_first=bool(item.args.get("nulls_first")))


def _check_orderable(expr: Expr, operator: str) -> None:
    if not is_orderable(expr.type):
        raise SqlError(
            Code.undefined_function,
            f"could not identify an {operator} operator for type {expr.type.display()}",
            hint="Use an explicit ordering operator or modify the query." if operator == "ordering" else None,
        )


def _frame(binder: Binder, scope: WindowScope, spec: exp.Expr, order: tuple[SortSpec, ...]) -> Frame:
    mode = str(spec.args["kind"]).lower()
    start, start_node = _bound(spec, "start")
    end, end_node = _bound(spec, "end") if spec.args.get("end") is not None else (CURRENT, None)
    _check_bounds(start, end, spec.args.get("end") is not None)
    if mode == "groups" and not order:
        raise SqlError(Code.windowing_error, "GROUPS mode requires an ORDER BY clause")
    exclude = str(spec.args["exclude"].name).lower() if spec.args.get("exclude") is not None else ""
    return Frame(
        mode=mode,
        start=start,
        start_offset=_offset(binder, scope, start_node, mode, order),
        end=end,
        end_offset=_offset(binder, scope, end_node, mode, order),
        exclude="" if exclude == "no others" else exclude,
    )


def _bound(spec: exp.Expr, which: str) -> tuple[str, exp.Expr | None]:
    value, side = spec.args.get(which), str(spec.args.get(f"{which}_side") or "").lower()
    if isinstance(value, str):
        return (CURRENT, None) if value.upper() == "CURRENT ROW" else (f"unbounded {side}", None)
    assert isinstance(value, exp.Expr)
    return side, value


def _check_bounds(start: str, end: str, between: bool) -> None:
    if start == UNBOUNDED_FOLLOWING:
        raise SqlError(Code.windowing_error, "frame start cannot be UNBOUNDED FOLLOWING")
    if end == UNBOUNDED_PRECEDING:
        raise SqlError(Code.windowing_error, "frame end cannot be UNBOUNDED PRECEDING")
    if start == CURRENT and end == PRECEDING:
        raise SqlError(Code.windowing_error, "frame starting from current row cannot have preceding rows")
    if start == FOLLOWING and end in (PRECEDING, CURRENT):
        what = "have preceding rows" if between else "end with current row"
        raise SqlError(Code.windowing_error, f"frame starting from following row cannot {what}")


def _offset(
    binder: Binder, scope: WindowScope, node: exp.Expr | None, mode: str, order: tuple[SortSpec, ...]
) -> Expr | None:
    if node is None:
        return None
    params = binder.scope.params
    if mode == "range" and len(order) != 1:
        raise SqlError(
            Code.windowing_error,
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
        )
    with scope.within(f"window {mode.upper()}"):
        bound = binder.bind(node)
    if any(isinstance(part, (Slot, AggregateCall)) for part in walk(bound)):
        raise SqlError(Code.invalid_column_reference, f"argument of {mode.upper()} must not contain variables")
    if mode == "range":
        return must_coerce(bound, range_offset_type(order[0].expr.type, bound.type), params)
    converted = coerce(bound, b.INT8, -1, ASSIGNMENT, params)
    if converted is None:
        raise SqlError(
            Code.datatype_mismatch,
            f"argument of {mode.upper()} must be type bigint, not type {bound.type.display()}",
        )
    return converted
