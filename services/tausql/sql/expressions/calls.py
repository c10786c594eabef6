"""Function calls, aggregates, and syntaxes that are function calls in disguise (EXTRACT, TRIM, AT TIME ZONE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.coercion import cast_to, json_output, must_coerce, settle, text_elements, text_output
from tausql.sql.expressions.nodes import (
    AggregateCall,
    Cast,
    Const,
    Expr,
    FunctionCall,
    RowExpr,
    SetReturningCall,
    SortSpec,
    walk,
)
from tausql.sql.expressions.operators import operator_call
from tausql.sql.expressions.parsing import INTERVAL_LITERAL, MARK, SUBSCRIPT, function_name
from tausql.sql.functions.catalogue import WINDOW_ONLY, is_aggregate, named_functions
from tausql.sql.functions.function import Aggregate
from tausql.sql.functions.json_functions import JSON_ARGUMENTS
from tausql.sql.functions.resolution import Resolved, call_text, find_function, resolve_function
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import EXPLICIT, find_cast
from tausql.sql.types.ordering import is_orderable
from tausql.sql.types.registry import find_type
from tausql.sql.types.type import Type

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder, Handler

_TEXT_FROM: Final = MappingProxyType(
    {"concat": 0, "concat_ws": 1, "format": 1, "quote_literal": 0, "quote_nullable": 0}
)
_ARGUMENTS_MAX: Final = 100
_INTERVAL_ARGUMENTS: Final = ("years", "months", "weeks", "days", "hours", "mins", "secs")


def bind_call(binder: Binder, node: exp.Anonymous) -> Expr:
    name = function_name(node) or ""
    if name in (INTERVAL_LITERAL.lstrip(MARK), SUBSCRIPT.lstrip(MARK)) and str(node.this).startswith(MARK):
        operand = binder.bind(node.expressions[0])
        if name == SUBSCRIPT.lstrip(MARK):
            return operand
        return cast_to(operand, b.INTERVAL, -1, binder.scope.params)
    if name == "row" and not str(node.this).startswith('"'):
        return RowExpr(items=tuple(settle(binder.bind(item), binder.scope.params) for item in node.expressions))
    return bind_named(binder, name, node.expressions, None)


def bind_dot(binder: Binder, node: exp.Dot) -> Expr:
    """pg_catalog.f(...); a field of a composite value is refused."""
    if isinstance(node.expression, exp.Anonymous):
        name = function_name(node) or ""
        if "." in name:
            schema = name.split(".")[0]
            raise (
                SqlError(Code.invalid_schema_name, f'schema "{schema}" does not exist')
                if schema
                not in (
                    "public",
                    "sys",
                    "information_schema",
                )
                else SqlError(Code.undefined_function, f"function {name}() does not exist")
            )
        return bind_named(binder, name, node.expression.expressions, None)
    raise not_supported("field selection from a composite value is not supported")


def bind_filter(binder: Binder, node: exp.Filter) -> Expr:
    call = node.this
    name = function_name(call)
    if name is None or not isinstance(call, exp.Anonymous):
        raise not_supported("FILTER is supported on plain aggregate calls only")
    if not is_aggregate(name):
        raise SqlError(Code.wrong_object_type, f"FILTER specified, but {name} is not an aggregate function")
    return bind_named(binder, name, call.expressions, node.expression.this)


def bind_named(binder: Binder, name: str, arguments: Sequence[exp.Expr], filter: exp.Expr | None) -> Expr:
    """A call by name with syntax trees as arguments (DISTINCT, ORDER BY and * among them for aggregates)."""
    if name in WINDOW_ONLY:
        raise not_supported(f"window function {name} is not supported")
    if len(arguments) > _ARGUMENTS_MAX:
        raise SqlError(Code.program_limit_exceeded, "cannot pass more than 100 arguments to a function")
    items, distinct, ordered, star = _aggregate_syntax(arguments)
    if is_aggregate(name):
        return _aggregate(binder, name, items, distinct=distinct, ordered=ordered, star=star, filter=filter)
    if star or distinct or ordered:
        if not named_functions(name):
            raise (
                SqlError(Code.undefined_function, f"function {name}(*) does not exist")
                if star
                else not_supported(f"DISTINCT or ORDER BY in a call of {name} is not supported")
            )
        what = "DISTINCT" if distinct else "ORDER BY" if ordered else "*"
        raise SqlError(Code.wrong_object_type, f"{what} specified, but {name} is not an aggregate function")
    if name == "make_interval" and any(isinstance(item, exp.Kwarg | exp.PropertyEQ) for item in items):
        return _make_interval(binder, items)
    args = [_argument(binder, item) for item in items]
    return call_named(binder, name, args)


def _argument(binder: Binder, node: exp.Expr) -> Expr:
    if isinstance(node, exp.Variadic):
        raise not_supported("VARIADIC arguments are not supported")
    if isinstance(node, exp.Kwarg | exp.PropertyEQ):
        raise not_supported("named arguments are not supported")
    return binder.bind(node)


def _aggregate_syntax(
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


def _make_interval(binder: Binder, items: Sequence[exp.Expr]) -> Expr:
    """make_interval(days => 3)."""
    args: list[Expr] = [*(Const(value=0, type=b.INT4) for _ in range(6)), Const(value=0.0, type=b.FLOAT8)]
    for position, item in enumerate(items):
        if isinstance(item, exp.Kwarg | exp.PropertyEQ):
            key = item.this.name.lower()
            if key not in _INTERVAL_ARGUMENTS:
                raise SqlError(Code.undefined_function, f"function make_interval({key} => unknown) does not exist")
            args[_INTERVAL_ARGUMENTS.index(key)] = binder.bind(item.expression)
        else:
            args[position] = binder.bind(item)
    return call_named(binder, "make_interval", args)


def call_named(binder: Binder, name: str, args: Sequence[Expr]) -> Expr:
    """A call with bound arguments."""
    params = binder.scope.params
    if name == "pg_typeof" and len(args) == 1:
        return _typeof(args[0])
    if name in _TEXT_FROM and named_functions(name):
        start = _TEXT_FROM[name]
        if name in ("quote_literal", "quote_nullable"):  # of the value cast to text: char(n) loses its blanks
            args = [arg if arg.type is b.UNKNOWN else cast_to(arg, b.TEXT, -1, params) for arg in args]
        else:
            args = [*args[:start], *(text_output(arg, params) for arg in args[start:])]
    resolved = _as_cast(name, args)
    if resolved is not None:
        return cast_to(args[0], resolved, -1, params)
    found = resolve_function(name, [arg.type for arg in args])
    return _built(binder, found, args)


def _typeof(arg: Expr) -> Expr:
    """pg_typeof: known at bind time."""
    conversion = find_cast(b.OID, b.REGTYPE, EXPLICIT)
    assert conversion is not None
    return Cast(arg=Const(value=arg.type.oid, type=b.OID), conversion=conversion, type=b.REGTYPE)


def _as_cast(name: str, args: Sequence[Expr]) -> Type | None:
    """int4('1'), text(1), date(x): a one-argument call by a type's name is a cast when no function fits."""
    if len(args) != 1:
        return None
    target = find_type(name)
    if target is None or target.category == "P" or name in ("char", "interval"):
        return None
    source = args[0].type
    if find_function(name, [source]) is not None:
        return None
    if source is b.UNKNOWN or find_cast(source, target, EXPLICIT) is not None:
        return target
    return None


def _built(binder: Binder, found: Resolved, args: Sequence[Expr]) -> Expr:
    function, params = found.function, binder.scope.params
    if function.name in JSON_ARGUMENTS:
        coerced: tuple[Expr, ...] = tuple(json_output(arg, params) for arg in args)
    else:
        coerced = tuple(must_coerce(arg, wanted, params) for arg, wanted in zip(args, found.arg_types, strict=True))
        if function.name == "array_to_string":
            coerced = (text_elements(coerced[0]), *coerced[1:])
    if function.returns_set:
        binder.scope.check_set_returning(function.name)
        return SetReturningCall(function=function, args=coerced, type=found.result_type)
    return FunctionCall(function=function, args=coerced, type=found.result_type)


def _aggregate(
    binder: Binder,
    name: str,
    items: Sequence[exp.Expr],
    *,
    distinct: bool,
    ordered: Sequence[exp.Ordered],
    star: bool,
    filter: exp.Expr | None,
) -> Expr:
    binder.scope.check_aggregate(name)
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
    if name in JSON_ARGUMENTS:
        coerced = [json_output(arg, params) for arg in args]
    else:
        coerced = [
            settle(arg, params) if wanted is b.ANY else must_coerce(arg, wanted, params)
            for arg, wanted in zip(args, found.arg_types, strict=True)
        ]
    specs = tuple(_sort_spec(binder, item) for item in ordered)
    _check_distinct(distinct, coerced, specs)
    condition = None if filter is None else binder.boolean(filter, "FILTER")
    for inner in (*coerced, *(spec.expr for spec in specs), *(() if condition is None else (condition,))):
        if any(isinstance(part, AggregateCall) for part in walk(inner)):
            raise SqlError(Code.grouping_error, "aggregate function calls cannot be nested")
    return AggregateCall(
        aggregate=aggregate,
        args=tuple(coerced),
        distinct=distinct,
        order_by=specs,
        filter=condition,
        type=found.result_type,
        typmod=coerced[0].typmod if name in ("min", "max") and found.result_type is coerced[0].type else -1,
    )


def _sort_spec(binder: Binder, item: exp.Ordered) -> SortSpec:
    expr = settle(binder.bind(item.this), binder.scope.params)
    descending = bool(item.args.get("desc"))
    nulls_first = item.args.get("nulls_first")
    return SortSpec(
        expr=expr, descending=descending, nulls_first=descending if nulls_first is None else bool(nulls_first)
    )


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


def bind_known_function(binder: Binder, node: exp.Func) -> Expr:
    """A call that sqlglot made a node of its own: by its SQL name and its arguments in order."""
    name = str(node.sql_name()).lower()
    name = _RENAMED.get(name, name)
    args: list[exp.Expr] = []
    for key in node.arg_types:
        value = node.args.get(key)
        if isinstance(value, list):
            args += [item for item in value if isinstance(item, exp.Expr)]
        elif isinstance(value, exp.Expr):
            args.append(value)
    return bind_named(binder, name, args, None)


_RENAMED: Final = MappingProxyType({"uuid": "gen_random_uuid", "rand": "random", "current_version": "version"})


def _clock(binder: Binder, node: exp.Expr, name: str) -> Expr:
    args = [binder.bind(node.this)] if isinstance(node.this, exp.Expr) else []
    return call_named(binder, name, args)


def _clock_handler(name: str) -> Handler:
    return lambda binder, node: _clock(binder, node, name)


def _named_handler(name: str) -> Handler:
    return lambda binder, _node: call_named(binder, name, [])


def _extract(binder: Binder, node: exp.Extract) -> Expr:
    field = node.this.name if isinstance(node.this, exp.Expr) else str(node.this)
    text = Const(value=field.lower(), type=b.TEXT)
    return call_named(binder, "extract", [text, binder.bind(node.expression)])


def _at_time_zone(binder: Binder, node: exp.AtTimeZone) -> Expr:
    return call_named(binder, "timezone", [binder.bind(node.args["zone"]), binder.bind(node.this)])


def _substring(binder: Binder, node: exp.Substring) -> Expr:
    args = [binder.bind(node.this)]
    start, length = node.args.get("start"), node.args.get("length")
    if start is not None:
        args.append(binder.bind(start))
    elif length is not None:
        args.append(Const(value=1, type=b.INT4))
    if length is not None:
        args.append(binder.bind(length))
    return call_named(binder, "substring", args)


def _trim(binder: Binder, node: exp.Trim) -> Expr:
    position = str(node.args.get("position") or "BOTH").upper()
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(position, "btrim")
    args = [binder.bind(node.this)]
    if node.expression is not None:
        args.append(binder.bind(node.expression))
    return call_named(binder, name, args)


def _position(binder: Binder, node: exp.StrPosition) -> Expr:
    return call_named(binder, "position", [binder.bind(node.this), binder.bind(node.args["substr"])])


def _overlay(binder: Binder, node: exp.Overlay) -> Expr:
    args = [binder.bind(node.this), binder.bind(node.expression), binder.bind(node.args["from_"])]
    if node.args.get("for_") is not None:
        args.append(binder.bind(node.args["for_"]))
    return call_named(binder, "overlay", args)


def _overlaps(binder: Binder, node: exp.Overlaps) -> Expr:
    args: list[Expr] = []
    for side in (node.this, node.expression):
        if not isinstance(side, exp.Tuple) or len(side.expressions) != 2:
            raise SqlError(Code.syntax_error, "wrong number of parameters on side of OVERLAPS expression")
        start, end = (binder.bind(item) for item in side.expressions)
        if end.type is b.INTERVAL:
            end = operator_call("+", start, end, binder.scope.params)
        args += [start, end]
    return call_named(binder, "overlaps", args)


HANDLERS: Final[Mapping[type[exp.Expr], Any]] = MappingProxyType(
    {
        exp.Anonymous: bind_call, exp.Dot: bind_dot, exp.Filter: bind_filter, exp.Extract: _extract,
        exp.AtTimeZone: _at_time_zone, exp.Substring: _substring, exp.Trim: _trim, exp.StrPosition: _position,
        exp.Overlay: _overlay, exp.Overlaps: _overlaps,
        exp.CurrentTimestamp: _clock_handler("current_timestamp"), exp.CurrentDate: _named_handler("current_date"),
        exp.CurrentTime: _clock_handler("current_time"), exp.Localtime: _clock_handler("localtime"),
        exp.Localtimestamp: _clock_handler("localtimestamp"), exp.CurrentUser: _named_handler("current_user"),
        exp.SessionUser: _named_handler("session_user"), exp.CurrentSchema: _named_handler("current_schema"),
        exp.CurrentCatalog: _named_handler("current_catalog"), exp.CurrentRole: _named_handler("current_role"),
    }
)  # fmt: skip
