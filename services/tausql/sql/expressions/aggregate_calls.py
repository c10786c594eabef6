"""Aggregate calls: DISTINCT, ORDER BY and * in their arguments, WITHIN GROUP, GROUPING."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.coercion import json_output, must_coerce, settle, unify
from tausql.sql.expressions.nodes import (
    AggregateCall,
    Convert,
    Expr,
    GroupingCall,
    SetReturningCall,
    SortSpec,
    walk,
)
from tausql.sql.expressions.parsing import function_name
from tausql.sql.expressions.window_nodes import has_window
from tausql.sql.functions.function import Aggregate
from tausql.sql.functions.json_functions import JSON_ARGUMENTS
from tausql.sql.functions.ordered_sets import OrderedSet, hypothetical
from tausql.sql.functions.resolution import Resolved, call_text, resolve_function
from tausql.sql.types import builtin as b
from tausql.sql.types.ordering import is_orderable, sort_key

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder

_GROUPING_MAX: Final = 31


def bind_grouping(binder: Binder, arguments: Sequence[exp.Expr]) -> Expr:
    try:
        binder.scope.check_aggregate("grouping")
    except SqlError as error:
        raise SqlError(error.code, error.message.replace("aggregate functions", "grouping operations")) from None
    if len(arguments) > _GROUPING_MAX:
        raise SqlError(Code.too_many_arguments, "GROUPING must have fewer than 32 arguments")
    return GroupingCall(args=tuple(settle(binder.bind(item), binder.scope.params) for item in arguments))


def aggregate_syntax(
    arguments: Sequence[exp.Expr],
) -> tuple[list[exp.Expr], bool, list[exp.Ordered], bool]:
    """(arguments, DISTINCT, ORDER BY, is *) of what sqlglot packs into the (last) argument."""
    items = list(arguments)
    ordered: list[exp.Ordered] = []
    distinct = False
    if items and isinstance(items[-1], exp.Order):
        order = items.pop()
        ordered = list(order.expressions)
        if order.this is not None:
            items.append(order.this)
    if items and isinstance(items[0], exp.Distinct):
        distinct = True
        items = [*items[0].expressions, *items[1:]]
    star = len(items) == 1 and isinstance(items[0], exp.Star)
    return items, distinct, ordered, star


@runtime_checkable
class NestedScope(Protocol):
    """A scope of a subquery: aggregates over columns of the query around it belong to that query."""

    def outer_mark(self) -> list[int]:
        """What has been taken from the queries around so far."""
        ...

    def lifted(self, call: AggregateCall, mark: list[int]) -> Expr | None:
        """The call's value as the query around computes it, None where it is this query's own."""
        ...


def bind_placed_aggregate(
    binder: Binder,
    name: str,
    items: Sequence[exp.Expr],
    *,
    distinct: bool,
    ordered: Sequence[exp.Ordered],
    star: bool,
    filter: exp.Expr | None,
) -> Expr:
    """A call where it is allowed, of the query whose columns are its arguments."""
    scope = binder.scope
    mark = scope.outer_mark() if isinstance(scope, NestedScope) else []
    refusal: SqlError | None = None
    try:
        scope.check_aggregate(name)
    except SqlError as error:
        if not mark:
            raise
        refusal = error
    call = bind_aggregate(binder, name, items, distinct=distinct, ordered=ordered, star=star, filter=filter)
    if mark:
        assert isinstance(scope, NestedScope)
        lifted = scope.lifted(call, mark)
        if lifted is not None:
            return lifted
    if refusal is not None:
        raise refusal
    return call


def bind_aggregate(
    binder: Binder,
    name: str,
    items: Sequence[exp.Expr],
    *,
    distinct: bool,
    ordered: Sequence[exp.Ordered],
    star: bool,
    filter: exp.Expr | None,
    over: bool = False,
) -> AggregateCall:
    """`over`: the call of a window function, which may have aggregates in its arguments."""
    params = binder.scope.params
    args = [] if star else [binder.bind(item) for item in items]
    if star and name != "count":
        raise SqlError(Code.undefined_function, f"function {name}() does not exist")
    if not args and not star:
        if name == "count":
            raise SqlError(Code.wrong_object_type, "count(*) must be used to call a parameterless aggregate function")
        raise SqlError(Code.undefined_function, f"function {name}() does not exist")
    found = resolve_function(name, [arg.type for arg in args])
    aggregate = found.function
    if not isinstance(aggregate, Aggregate):
        raise SqlError(Code.undefined_function, f"function {call_text(name, [a.type for a in args])} does not exist")
    if isinstance(aggregate, OrderedSet):
        raise SqlError(Code.wrong_object_type, f"WITHIN GROUP is required for ordered-set aggregate {name}")
    if name in JSON_ARGUMENTS:
        what = "json item" if name.startswith(("json_agg", "jsonb_agg")) else "json"
        coerced = [json_output(arg, params, what) for arg in args]
    else:
        coerced = [
            settle(arg, params) if wanted is b.ANY else must_coerce(arg, wanted, params)
            for arg, wanted in zip(args, found.arg_types, strict=True)
        ]
    specs = tuple(_sort_spec(binder, item) for item in ordered)
    _check_distinct(distinct, values_told_apart(coerced), specs)
    condition = None if filter is None else binder.boolean(filter, "FILTER")
    if not over:
        _check_nesting([*coerced, *(spec.expr for spec in specs)], condition)
    return AggregateCall(
        aggregate=aggregate,
        args=tuple(coerced),
        distinct=distinct,
        order_by=specs,
        filter=condition,
        type=found.result_type,
        typmod=coerced[0].typmod if name in ("min", "max") and found.result_type is coerced[0].type else -1,
    )


def bind_within_group(binder: Binder, node: exp.WithinGroup, filter: exp.Expr | None = None) -> Expr:
    """percentile_cont(0.5) WITHIN GROUP (ORDER BY x)."""
    params = binder.scope.params
    name = function_name(node.this) or ""
    call = node.this.expression if isinstance(node.this, exp.Dot) else node.this
    items, distinct, ordered, _ = aggregate_syntax(call.expressions)
    if distinct or ordered:
        what = "DISTINCT" if distinct else "multiple ORDER BY clauses"
        raise SqlError(Code.syntax_error, f"cannot use {what} with WITHIN GROUP")
    binder.scope.check_aggregate(name)
    direct = [binder.bind(item) for item in items]
    specs = [_sort_spec(binder, item) for item in node.expression.expressions]
    made = hypothetical(name, [spec.expr.type for spec in specs])
    if made is not None and len(direct) == len(specs):
        pairs = [
            unify((given, spec.expr), "WITHIN GROUP", params)[0] for given, spec in zip(direct, specs, strict=True)
        ]
        direct = [pair[0] for pair in pairs]
        specs = [dataclasses.replace(spec, expr=pair[1]) for spec, pair in zip(specs, pairs, strict=True)]
        found = Resolved(made, tuple(expr.type for expr in (*direct, *(s.expr for s in specs))), made.result)
    elif made is not None:
        raise _wrong_hypothetical(name, direct, specs)
    else:
        found = _ordered_set(name, direct, specs)
    assert isinstance(found.function, OrderedSet)
    count = found.function.direct
    direct = [must_coerce(arg, wanted, params) for arg, wanted in zip(direct, found.arg_types[:count], strict=True)]
    args = [must_coerce(spec.expr, wanted, params) for spec, wanted in zip(specs, found.arg_types[count:], strict=True)]
    for arg in args:
        sort_key(arg.type)
    specs = [dataclasses.replace(spec, expr=arg) for spec, arg in zip(specs, args, strict=True)]
    condition = None if filter is None else binder.boolean(filter, "FILTER")
    _check_nesting([*direct, *args], condition)
    return AggregateCall(
        aggregate=found.function,
        args=tuple(args),
        order_by=tuple(specs),
        filter=condition,
        direct=tuple(direct),
        type=found.result_type,
    )


def _ordered_set(name: str, direct: Sequence[Expr], specs: Sequence[SortSpec]) -> Resolved:
    found = resolve_function(name, [*(expr.type for expr in direct), *(spec.expr.type for spec in specs)])
    if not isinstance(found.function, Aggregate):
        raise SqlError(Code.wrong_object_type, f"WITHIN GROUP specified, but {name} is not an aggregate function")
    if not isinstance(found.function, OrderedSet):
        raise SqlError(
            Code.wrong_object_type, f"{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"
        )
    return found


def _wrong_hypothetical(name: str, direct: Sequence[Expr], specs: Sequence[SortSpec]) -> SqlError:
    types = [*(expr.type for expr in direct), *(spec.expr.type for spec in specs)]
    return SqlError(
        Code.undefined_function,
        f"function {call_text(name, types)} does not exist",
        hint=f"To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here "
        f"{len(direct)}) must match the number of ordering columns (here {len(specs)}).",
    )


def _check_nesting(parts: Sequence[Expr], condition: Expr | None) -> None:
    if condition is not None and any(isinstance(part, SetReturningCall) for part in walk(condition)):
        raise not_supported("set-returning functions are not allowed in FILTER")
    for inner in (*parts, *(() if condition is None else (condition,))):
        if any(isinstance(part, AggregateCall) for part in walk(inner)):
            raise SqlError(Code.grouping_error, "aggregate function calls cannot be nested")
        if has_window([inner]):
            raise SqlError(Code.grouping_error, "aggregate function calls cannot contain window function calls")
        if any(isinstance(part, SetReturningCall) for part in walk(inner)):
            raise not_supported("aggregate function calls cannot contain set-returning function calls")


def _sort_spec(binder: Binder, item: exp.Ordered) -> SortSpec:
    expr = settle(binder.bind(item.this), binder.scope.params)
    descending = bool(item.args.get("desc"))
    nulls_first = item.args.get("nulls_first")
    return SortSpec(
        expr=expr, descending=descending, nulls_first=descending if nulls_first is None else bool(nulls_first)
    )


def values_told_apart(args: Sequence[Expr]) -> tuple[Expr, ...]:
    """What DISTINCT compares: of json_agg's arguments the values, not the JSON texts that are made of them."""
    return tuple(arg.arg if isinstance(arg, Convert) and arg.what.startswith("json") else arg for arg in args)


def _check_distinct(distinct: bool, args: Sequence[Expr], specs: Sequence[SortSpec]) -> None:
    if not distinct:
        return
    for arg in args:
        if not is_orderable(arg.type):
            raise SqlError(
                Code.undefined_function,
                f"could not identify an equality operator for type {arg.type.display()}",
            )
    if any(spec.expr not in args for spec in specs):
        raise SqlError(
            Code.invalid_column_reference,
            "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
        )
