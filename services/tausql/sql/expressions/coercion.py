"""Making an expression have a type: literals and parameters take it, others get a Cast, lengths a Fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.nodes import ArrayLiteral, Cast, Const, Convert, Expr, Fit, Param
from tausql.sql.expressions.scope import ParamTypes
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import ASSIGNMENT, EXPLICIT, IMPLICIT, bits_cast, find_cast, length_coercion
from tausql.sql.types.enums import EnumType
from tausql.sql.types.registry import array_of, element_of
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

_NOW_WORDS = re.compile(r"now|today|tomorrow|yesterday", re.I)
_YEAR_FIRST = re.compile(r"\s*(?:\d{4,}-\d|[+-]?infinity|epoch)", re.I)  # other dates depend on DateStyle
_FIXED_ZONE = re.compile(r"\d:\d\d(:\d\d(\.\d+)?)?\s*(z|[+-]\d{1,2}(:?\d\d)?)\s*$", re.I)


def _reads_the_same_everywhere(text: str, type: Type) -> bool:
    """Whether a literal's value does not depend on session or clock, so that it can be read at bind time."""
    if not type.input_volatile:
        return True
    if type in (b.DATE, b.TIMESTAMP):
        return _YEAR_FIRST.match(text) is not None and _NOW_WORDS.search(text) is None
    if type is b.TIME:
        return _NOW_WORDS.search(text) is None
    if type in (b.TIMESTAMPTZ, b.TIMETZ):
        return _FIXED_ZONE.search(text) is not None
    return False


def coerce(
    expr: Expr, type: Type, typmod: int = -1, context: str = IMPLICIT, params: ParamTypes | None = None
) -> Expr | None:
    """The expression as a value of the type, fitted to typmod; None when there is no such cast in this context.

    A literal that is no value of the type raises 22P02 and the like here, as PostgreSQL does while parsing.
    """
    converted = _converted(expr, type, typmod, context, params)
    if converted is None or typmod < 0:
        return converted
    if converted is expr and expr.typmod == typmod:
        return expr
    if length_coercion(type, typmod, context == EXPLICIT) is None:
        return converted
    return Fit(arg=converted, type=type, typmod=typmod, explicit=context == EXPLICIT)


def _converted(expr: Expr, type: Type, typmod: int, context: str, params: ParamTypes | None) -> Expr | None:
    source = expr.type
    if source is b.UNKNOWN:
        if isinstance(expr, Const):
            return _literal(expr, type, typmod, params)
        if isinstance(expr, Param) and params is not None:
            params.resolve(expr.number, type)
            return Param(number=expr.number, type=type)
    if source is type:
        return expr
    if isinstance(expr, ArrayLiteral) and type.is_array and context == EXPLICIT:
        return _array_literal(expr, type, context, params)
    conversion = bits_cast(source, type, typmod) if context == EXPLICIT else None
    conversion = conversion or find_cast(source, type, context)
    if conversion is None:
        return None
    if conversion.function is None and isinstance(expr, Const):
        return Const(value=expr.value, type=type)
    return Cast(arg=expr, conversion=conversion, type=type)


_BIND_FORMAT_ZONE: Final = "UTC"


def _literal(expr: Const, type: Type, typmod: int, params: ParamTypes | None) -> Expr | None:
    if expr.value is None:
        return Const(value=None, type=type)
    if isinstance(type, EnumType) and params is not None and params.labels is not None:
        order = params.labels(type.oid, expr.value)
        if order is None:
            raise SqlError(
                Code.invalid_text_representation, f'invalid input value for enum {type.sql_name}: "{expr.value}"'
            )
        return Const(value=order, type=type)
    if type.category == "P" and type is not b.RECORD:
        return None
    text: str = expr.value
    if type is b.UNKNOWN:
        return expr
    if _reads_the_same_everywhere(text, type):
        # Intervals need their field range while reading ('1' as interval day is a day).
        modifier = typmod if type is b.INTERVAL else -1
        return Const(value=type.text_in(text, SessionFormat(_BIND_FORMAT_ZONE), modifier), type=type)
    if type.category == "D":
        # The value waits for the session's zone and clock; what is no date at all is refused now.
        _check_date(text, type)
    conversion = find_cast(b.UNKNOWN, type, IMPLICIT)
    return None if conversion is None else Cast(arg=expr, conversion=conversion, type=type)


def _check_date(text: str, type: Type) -> None:
    """What is no date in any order of day and month is refused while binding, as PostgreSQL does."""
    try:
        type.text_in(text, SessionFormat(_BIND_FORMAT_ZONE), -1)
    except SqlError:
        for order in ("DMY", "YMD"):
            try:
                type.text_in(text, SessionFormat(_BIND_FORMAT_ZONE, f"ISO, {order}"), -1)
            except SqlError:
                continue
            return
        raise


def _array_literal(expr: ArrayLiteral, type: Type, context: str, params: ParamTypes | None) -> Expr | None:
    element = element_of(type)
    if element is None:
        return None
    items = [coerce(item, type if expr.nested else element, -1, context, params) for item in expr.items]
    if any(item is None for item in items):
        return None
    return ArrayLiteral(items=tuple(item for item in items if item is not None), nested=expr.nested, type=type)


def cast_to(expr: Expr, type: Type, typmod: int, params: ParamTypes | None) -> Expr:
    """CAST(expr AS type); 42846 when there is none."""
    done = coerce(expr, type, typmod, EXPLICIT, params)
    if done is None:
        raise SqlError(Code.cannot_coerce, f"cannot cast type {expr.type.display()} to {type.display()}")
    return done


def must_coerce(expr: Expr, type: Type, params: ParamTypes | None) -> Expr:
    """An argument whose function was already chosen for it."""
    done = coerce(expr, type, -1, IMPLICIT, params)
    if done is None:
        raise SqlError(Code.cannot_coerce, f"cannot cast type {expr.type.display()} to {type.display()}")
    return done


def assign(expr: Expr, type: Type, typmod: int, column_name: str, params: ParamTypes | None) -> Expr:
    """The value for a column of INSERT or UPDATE; 42804 with PostgreSQL's HINT."""
    done = coerce(expr, type, typmod, ASSIGNMENT, params)
    if done is None:
        raise SqlError(
            Code.datatype_mismatch,
            f'column "{column_name}" is of type {type.display()} but expression is of type {expr.type.display()}',
            hint="You will need to rewrite or cast the expression.",
        )
    return done


def as_boolean(expr: Expr, what: str, params: ParamTypes | None) -> Expr:
    """what: 'WHERE', 'AND', 'CASE/WHEN', ...; 42804 `argument of WHERE must be type boolean, not type integer`."""
    return _argument_of(expr, b.BOOL, what, params, IMPLICIT)


def as_bigint(expr: Expr, what: str, params: ParamTypes | None) -> Expr:
    """LIMIT and OFFSET."""
    return _argument_of(expr, b.INT8, what, params, ASSIGNMENT)


def _argument_of(expr: Expr, type: Type, what: str, params: ParamTypes | None, context: str) -> Expr:
    done = coerce(expr, type, -1, context, params)
    if done is None:
        raise SqlError(
            Code.datatype_mismatch,
            f"argument of {what} must be type {type.display()}, not type {expr.type.display()}",
        )
    return done


def settle(expr: Expr, params: ParamTypes | None) -> Expr:
    """A leftover literal or parameter of unknown type becomes text."""
    return must_coerce(expr, b.TEXT, params) if expr.type is b.UNKNOWN else expr


def common_type(exprs: Sequence[Expr], what: str, params: ParamTypes | None = None) -> Type:
    """select_common_type(): 42804 `CASE types integer and text cannot be matched`."""
    types = [expr.type for expr in exprs if expr.type is not b.UNKNOWN]
    if not types:
        return b.TEXT
    chosen = types[0]
    for type in types[1:]:
        if type is chosen:
            continue
        if type.category != chosen.category:
            raise SqlError(
                Code.datatype_mismatch,
                f"{what} types {chosen.display()} and {type.display()} cannot be matched",
            )
        if (
            not chosen.preferred
            and find_cast(chosen, type, IMPLICIT) is not None
            and find_cast(type, chosen, IMPLICIT) is None
        ):
            chosen = type
    return chosen


def common_typmod(exprs: Sequence[Expr], type: Type) -> int:
    """The modifier all share, else none."""
    typmods = {expr.typmod if expr.type is type else -1 for expr in exprs}
    return typmods.pop() if len(typmods) == 1 else -1


def unify(exprs: Sequence[Expr], what: str, params: ParamTypes | None) -> tuple[tuple[Expr, ...], Type, int]:
    """The expressions as values of their common type, that type and its modifier."""
    type = common_type(exprs, what, params)
    typmod = common_typmod(exprs, type)
    done = []
    for expr in exprs:
        converted = coerce(expr, type, -1, IMPLICIT, params)
        if converted is None:
            raise SqlError(
                Code.cannot_coerce,
                f"{'CASE/WHEN' if what == 'CASE' else what} could not convert type {expr.type.display()}"
                f" to {type.display()}",
            )
        done.append(converted)
    return tuple(done), type, typmod


def text_output(expr: Expr, params: ParamTypes | None) -> Expr:
    """The value as its type prints it (concat, format, string || anything)."""
    if expr.type is b.UNKNOWN:
        return settle(expr, params)
    if expr.type in (b.TEXT, b.VARCHAR):
        return expr
    return Convert(arg=expr, what="text", type=b.TEXT)


def text_elements(expr: Expr) -> Expr:
    """An array as text[], elements as their type prints them."""
    return Convert(arg=expr, what="text[]", type=_text_array())


def json_elements(expr: Expr) -> Expr:
    """An array as an array of the JSON texts of its elements."""
    return Convert(arg=expr, what="json[]", type=_text_array())


def json_output(expr: Expr, params: ParamTypes | None, what: str = "json") -> Expr:
    """The value as JSON text; what: 'json', or 'json item' as json_agg joins them."""
    expr = settle(expr, params)
    return Convert(arg=expr, what=what, type=b.JSON)


def _text_array() -> Type:
    array = array_of(b.TEXT)
    assert array is not None
    return array
