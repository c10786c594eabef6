"""Closures of function calls and casts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.context import Context, Row
from tausql.sql.expressions.nodes import Cast, Const, Convert, Expr, Fit, FunctionCall, Param, Slot
from tausql.sql.functions.json_functions import json_writer
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import length_coercion
from tausql.sql.types.conversions import map_elements
from tausql.sql.types.registry import element_of

Compiled = Callable[[Row, Context], Any]
Compile = Callable[[Expr], Compiled]
_CLOCK_WORDS = re.compile(r"now|today|tomorrow|yesterday", re.I)


def _call(expr: FunctionCall, compile: Compile) -> Compiled:
    function = expr.function
    args = expr.args
    if function.needs_context:
        return _with_context(expr, compile)
    if not function.strict:
        runs = [compile(arg) for arg in args]
        impl = function.impl
        return lambda row, context: impl(*[run(row, context) for run in runs])
    if len(args) == 1:
        return _unary(function.impl, args[0], compile)
    if len(args) == 2:
        return _binary(function.impl, args[0], args[1], compile)
    return _strict(function.impl, [compile(arg) for arg in args])


def _strict(impl: Callable[..., Any], runs: list[Compiled]) -> Compiled:
    def call(row: Row, context: Context) -> Any:
        values = []
        for run in runs:
            value = run(row, context)
            if value is None:
                return None
            values.append(value)
        return impl(*values)

    return call


def _unary(impl: Callable[..., Any], arg: Expr, compile: Compile) -> Compiled:
    if isinstance(arg, Slot):
        at = arg.slot
        return lambda row, _context: None if (value := row[at]) is None else impl(value)
    run = compile(arg)
    return lambda row, context: None if (value := run(row, context)) is None else impl(value)


def _binary(impl: Callable[..., Any], left: Expr, right: Expr, compile: Compile) -> Compiled:
    """Strict functions of two arguments: six shapes cover nearly every WHERE clause."""
    if isinstance(left, Slot):
        at = left.slot
        if isinstance(right, Const):
            constant = right.value
            if constant is None:
                return _null
            return lambda row, _context: None if (value := row[at]) is None else impl(value, constant)
        if isinstance(right, Param):
            number = right.number - 1

            def slot_param(row: Row, context: Context) -> Any:
                value = row[at]
                other = context.params[number]
                return None if value is None or other is None else impl(value, other)

            return slot_param
        if isinstance(right, Slot):
            other_at = right.slot

            def slot_slot(row: Row, _context: Context) -> Any:
                value = row[at]
                other = row[other_at]
                return None if value is None or other is None else impl(value, other)

            return slot_slot
    if isinstance(right, Const):
        constant = right.value
        if constant is None:
            return _null
        run = compile(left)
        return lambda row, context: None if (value := run(row, context)) is None else impl(value, constant)
    first, second = compile(left), compile(right)

    def general(row: Row, context: Context) -> Any:
        value = first(row, context)
        if value is None:
            return None
        other = second(row, context)
        return None if other is None else impl(value, other)

    return general


def _null(_row: Row, _context: Context) -> None:
    return None


def _with_context(expr: FunctionCall, compile: Compile) -> Compiled:
    impl, strict = expr.function.impl, expr.function.strict
    if not expr.args:
        return lambda _row, context: impl(context)
    runs = [compile(arg) for arg in expr.args]

    def call(row: Row, context: Context) -> Any:
        values = [run(row, context) for run in runs]
        if strict and None in values:
            return None
        return impl(context, *values)

    return call


def _cast(expr: Cast, compile: Compile) -> Compiled:
    conversion = expr.conversion
    function = conversion.function
    if function is None:
        return compile(expr.arg)
    if not conversion.needs_format:
        return _unary(function, expr.arg, compile)
    arg = expr.arg
    if isinstance(arg, Const) and isinstance(arg.value, str) and expr.type in (b.TIMESTAMPTZ, b.TIMESTAMP, b.DATE):
        text: str = arg.value
        if not _CLOCK_WORDS.search(text):
            return _cached_literal(function, text)
    run = compile(arg)
    return lambda row, context: None if (v := run(row, context)) is None else function(v, context.format)


def _cached_literal(function: Callable[..., Any], text: str) -> Compiled:
    """A literal that depends on the session's zone and DateStyle only: read again when they are others."""
    last_zone: object = None
    last_style = ""
    last_value: Any = None

    def value(_row: Row, context: Context) -> Any:
        nonlocal last_zone, last_style, last_value
        format = context.format
        if format.zone is not last_zone or format.date_style != last_style:
            last_value = function(text, format)
            last_zone, last_style = format.zone, format.date_style
        return last_value

    return value


def _fit(expr: Fit, compile: Compile) -> Compiled:
    fit = length_coercion(expr.type, expr.typmod, expr.explicit)
    if fit is None:
        return compile(expr.arg)
    return _unary(fit, expr.arg, compile)


def _convert(expr: Convert, compile: Compile) -> Compiled:
    run = compile(expr.arg)
    source = expr.arg.type
    if expr.what == "json item":
        write_item = json_writer(source)
        structured = source.is_array or source is b.RECORD or source.category == "C"
        before = "\n " if structured else ""
        return lambda row, context: None if (v := run(row, context)) is None else before + write_item(v, context.format)
    if expr.what == "json":
        write = json_writer(source)
        return lambda row, context: None if (v := run(row, context)) is None else write(v, context.format)
    if expr.what == "text":
        text_out = source.text_out
        return lambda row, context: None if (v := run(row, context)) is None else text_out(v, context.format)
    element = element_of(source)
    if expr.what not in ("text[]", "json[]") or element is None:
        raise SqlError(Code.internal_error, f"unknown conversion {expr.what}")
    element_out = element.text_out if expr.what == "text[]" else json_writer(element)

    def texts(row: Row, context: Context) -> Any:
        value = run(row, context)
        if value is None:
            return None
        return map_elements(value, lambda item: element_out(item, context.format))

    return texts


COMPILERS: Final[Mapping[type[Expr], Any]] = MappingProxyType(
    {FunctionCall: _call, Cast: _cast, Fit: _fit, Convert: _convert}
)
