"""Function calls, and syntaxes that are function calls in disguise (EXTRACT, TRIM, AT TIME ZONE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.aggregate_calls import (
    aggregate_syntax,
    bind_grouping,
    bind_placed_aggregate,
    bind_within_group,
)
from tausql.sql.expressions.arguments import is_named, positional, spread_call
from tausql.sql.expressions.coercion import (
    cast_to,
    json_output,
    must_coerce,
    settle,
    text_elements,
    text_output,
)
from tausql.sql.expressions.compile_sets import row_shape
from tausql.sql.expressions.nodes import (
    AggregateCall,
    Case,
    Cast,
    Const,
    Expr,
    FieldSelect,
    FunctionCall,
    IsNull,
    Param,
    RowExpr,
    SetReturningCall,
    walk,
)
from tausql.sql.expressions.operators import operator_call
from tausql.sql.expressions.parsing import INTERVAL_LITERAL, SUBSCRIPT, function_name
from tausql.sql.expressions.special_forms import special_call
from tausql.sql.expressions.token_edits import MARK
from tausql.sql.expressions.window_nodes import WindowCall
from tausql.sql.functions.catalogue import WINDOW_ONLY, is_aggregate, named_functions
from tausql.sql.functions.json_functions import JSON_ARGUMENTS
from tausql.sql.functions.json_records import SHAPED
from tausql.sql.functions.ordered_sets import is_hypothetical
from tausql.sql.functions.resolution import Resolved, find_function, resolve_function
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import EXPLICIT, find_cast
from tausql.sql.types.records import CompositeType, Shape, shape_of
from tausql.sql.types.registry import find_type
from tausql.sql.types.type import INTERVAL_FULL_RANGE, Type, interval_typmod

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder, Handler

_TEXT_FROM: Final = MappingProxyType(
    {"concat": 0, "concat_ws": 1, "format": 1, "quote_literal": 0, "quote_nullable": 0}
)
_ARGUMENTS_MAX: Final = 100


def bind_call(binder: Binder, node: exp.Anonymous) -> Expr:
    name = function_name(node) or ""
    if name in (INTERVAL_LITERAL.lstrip(MARK), SUBSCRIPT.lstrip(MARK)) and str(node.this).startswith(MARK):
        operand = binder.bind(node.expressions[0])
        if name == SUBSCRIPT.lstrip(MARK):
            return operand
        precision = int(node.expressions[1].name) if len(node.expressions) > 1 else -1
        typmod = -1 if precision < 0 else interval_typmod(INTERVAL_FULL_RANGE, min(precision, 6))
        return cast_to(operand, b.INTERVAL, typmod, binder.scope.params)
    special = special_call(binder, name, node.expressions) if str(node.this).startswith(MARK) else None
    if special is not None:
        return special
    if name == "row" and not str(node.this).startswith('"'):
        # literals keep their unknown type: the other side of a comparison tells it
        items = (binder.bind(item) for item in node.expressions)
        params = binder.scope.params
        return RowExpr(items=tuple(settle(i, params) if isinstance(i, Param) else i for i in items))
    return bind_named(binder, name, node.expressions, None)


def bind_dot(binder: Binder, node: exp.Dot) -> Expr:
    """pg_catalog.f(...); a field of a composite value is refused."""
    if isinstance(node.expression, exp.Anonymous):
        name = function_name(node) or ""
        if "." in name and not named_functions(name):
            schema, _, own = name.partition(".")
            called = binder.scope.user_call(schema, own, node.expression.expressions)
            if called is not None:
                return called
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
    return field_of(binder.bind(node.this), node.expression)


def field_of(record: Expr, name: exp.Expr) -> Expr:
    """(record).field; 42703, or 42809 where there are no fields."""
    text = str(name.this)
    field = text if name.args.get("quoted") else text.lower()
    shape = row_shape(record) if isinstance(record, RowExpr) else result_shape(record)
    if shape is None and isinstance(record.type, CompositeType):
        shape = record.type.shape
    if shape is None:
        if record.type is b.RECORD:
            raise SqlError(Code.undefined_column, f'could not identify column "{field}" in record data type')
        raise SqlError(
            Code.wrong_object_type,
            f"column notation .{field} applied to type {record.type.display()}, which is not a composite type",
        )
    at = shape.index(field)
    if at is None:
        if isinstance(record.type, CompositeType):
            raise SqlError(Code.undefined_column, f'column "{field}" not found in data type {record.type.display()}')
        raise SqlError(Code.undefined_column, f'could not identify column "{field}" in record data type')
    if isinstance(record, RowExpr):
        return record.items[at]
    return FieldSelect(arg=record, field=at, type=shape.types[at], typmod=shape.typmods[at])


def bind_filter(binder: Binder, node: exp.Filter) -> Expr:
    call = node.this
    if isinstance(call, exp.WithinGroup):
        return bind_within_group(binder, call, node.expression.this)
    name = function_name(call)
    if name is None or not isinstance(call, exp.Anonymous):
        raise not_supported("FILTER is supported on plain aggregate calls only")
    if not is_aggregate(name):
        raise SqlError(Code.wrong_object_type, f"FILTER specified, but {name} is not an aggregate function")
    return bind_named(binder, name, call.expressions, node.expression.this)


def bind_named(binder: Binder, name: str, arguments: Sequence[exp.Expr], filter: exp.Expr | None) -> Expr:
    """A call by name with syntax trees as arguments (DISTINCT, ORDER BY and * among them for aggregates)."""
    if name in WINDOW_ONLY:
        if arguments and is_hypothetical(name):
            raise SqlError(Code.wrong_object_type, f"WITHIN GROUP is required for ordered-set aggregate {name}")
        raise SqlError(Code.wrong_object_type, f"window function {name} requires an OVER clause")
    if len(arguments) > _ARGUMENTS_MAX:
        raise SqlError(Code.program_limit_exceeded, "cannot pass more than 100 arguments to a function")
    if name == "grouping":
        return bind_grouping(binder, arguments)
    items, distinct, ordered, star = aggregate_syntax(arguments)
    if is_aggregate(name):
        return bind_placed_aggregate(binder, name, items, distinct=distinct, ordered=ordered, star=star, filter=filter)
    if star or distinct or ordered:
        if not named_functions(name):
            raise (
                SqlError(Code.undefined_function, f"function {name}(*) does not exist")
                if star
                else not_supported(f"DISTINCT or ORDER BY in a call of {name} is not supported")
            )
        what = "DISTINCT" if distinct else "ORDER BY" if ordered else "*"
        raise SqlError(Code.wrong_object_type, f"{what} specified, but {name} is not an aggregate function")
    if filter is None and not named_functions(name):
        called = binder.scope.user_call(None, name, items)
        if called is not None:
            return called
    if items and isinstance(items[-1], exp.Variadic):
        return spread_call(binder, name, [*(binder.bind(item) for item in items[:-1]), binder.bind(items[-1].this)])
    if any(is_named(item) for item in items):
        return call_named(binder, name, positional(binder, name, items))
    if name == "normalize" and len(items) == 2 and isinstance(items[1], exp.Column):
        return call_named(binder, name, [binder.bind(items[0]), Const(value=items[1].name, type=b.TEXT)])
    return call_named(binder, name, [binder.bind(item) for item in items])


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
    told = Cast(arg=Const(value=arg.type.oid, type=b.OID), conversion=conversion, type=b.REGTYPE)
    if not any(isinstance(part, AggregateCall | WindowCall | SetReturningCall) for part in walk(arg)):
        return told
    # The argument makes the query what it is (grouped, or of many rows): it stays.
    return Case(whens=((IsNull(arg=arg), told),), default=told, type=b.REGTYPE)


def _as_cast(name: str, args: Sequence[Expr]) -> Type | None:
    """int4('1'), text(1), date(x): a one-argument call by a type's name is a cast when no function fits."""
    if len(args) != 1:
        return None
    target = find_type(name)
    if target is None or target.category == "P" or name in ("char", "interval"):
        return None
    source = args[0].type
    if source is b.UNKNOWN:
        return target  # a literal by a type's name is one of it, whatever functions there are
    if find_function(name, [source]) is not None:
        return None
    if find_cast(source, target, EXPLICIT) is not None:
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
    if function.name in SHAPED:
        shape = _shape_for(function.name, coerced[0])
        coerced = (*coerced, Const(value=shape, type=b.RECORD))
    if function.reads_schema:
        params.reads_schema = True
    result = found.result_type
    if function.columns and result is b.RECORD:
        result = CompositeType(shape_of([(column, type, -1) for column, type in function.columns]))
    if function.returns_set:
        binder.scope.check_set_returning(function.name)
        return SetReturningCall(function=function, args=coerced, type=result)
    return FunctionCall(function=function, args=coerced, type=result)


def _shape_for(name: str, base: Expr) -> Shape | None:
    """What json_populate_record gives: rows like its first argument; json_to_record says nothing of its own."""
    if isinstance(base, RowExpr):
        return row_shape(base)
    if isinstance(base.type, CompositeType):
        return base.type.shape
    if "populate" in name and base.type is not b.RECORD:
        raise SqlError(Code.datatype_mismatch, f"first argument of {name} must be a row type")
    return None  # FROM may tell it


def shaped(call: Expr, shape: Shape) -> Expr:
    """A call with the columns that FROM tells of its result."""
    assert isinstance(call, FunctionCall | SetReturningCall)
    return replace(call, args=(*call.args[:-1], Const(value=shape, type=b.RECORD)))


def result_shape(call: Expr) -> Shape | None:
    """The columns of a call in FROM that gives rows; None where it gives plain values, or rows nobody has described."""
    if not isinstance(call, FunctionCall | SetReturningCall):
        return None
    if isinstance(call.type, CompositeType):
        return call.type.shape
    if call.function.name in SHAPED:
        last = call.args[-1]
        return last.value if isinstance(last, Const) else None
    if call.function.columns:
        return shape_of([(column, type, -1) for column, type in call.function.columns])
    return None


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
    try:
        return call_named(binder, "extract", [text, binder.bind(node.expression)])
    except SqlError as error:
        error.message = error.message.replace("function extract(text,", "function pg_catalog.extract(unknown,")
        raise


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
