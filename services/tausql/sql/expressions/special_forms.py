"""Syntax that is a function call in disguise: prefix operators, IS JSON, IS NORMALIZED, JSON_OBJECT(...), literals.

See `token_edits` for how they arrive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.coercion import cast_to, coerce, json_output, must_coerce
from tausql.sql.expressions.nodes import Const, Expr, FunctionCall, Not
from tausql.sql.expressions.operators import operator_call
from tausql.sql.expressions.token_edits import MARK
from tausql.sql.functions.json_tests import ABSENT, UNIQUE, built_array, built_object, json_test
from tausql.sql.functions.resolution import resolve_function
from tausql.sql.types import builtin as b
from tausql.sql.types.bits import read_bits
from tausql.sql.types.run_time import BIT

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder

_PREFIXES: Final[Mapping[str, str]] = MappingProxyType({"prefix_at": "@", "prefix_not": "!!"})
_CONSTRUCTORS: Final = frozenset(("json_object_built", "json_array_built"))


def special_call(binder: Binder, name: str, arguments: Sequence[exp.Expr]) -> Expr | None:
    """The meaning of a call that token_edits made; None for any other."""
    if name == "substring_similar":
        found = resolve_function("substring", [b.TEXT, b.TEXT, b.TEXT])
        texts = tuple(must_coerce(binder.bind(item), b.TEXT, binder.scope.params) for item in arguments)
        return FunctionCall(function=found.function, args=texts, type=b.TEXT)
    if name in _PREFIXES:
        return operator_call(_PREFIXES[name], None, binder.bind(arguments[0]), binder.scope.params)
    return _constructed(binder, name, arguments) if name in _CONSTRUCTORS else None


def _constructed(binder: Binder, name: str, arguments: Sequence[exp.Expr]) -> Expr:
    """JSON_OBJECT and JSON_ARRAY with their clauses."""
    params = binder.scope.params
    clauses = str(arguments[0].this)
    returning = re.search(r"returning (jsonb|json|text|bytea|character varying|varchar)", clauses)
    absent = "absent on null" in clauses or (name == "json_array_built" and "null on null" not in clauses)
    flags = (ABSENT if absent else 0) | (UNIQUE if "with unique" in clauses else 0)
    items = tuple(json_output(binder.bind(item), params) for item in arguments[1:])
    if name == "json_object_built" and len(items) % 2:
        raise SqlError(Code.syntax_error, 'syntax error at or near ","')
    function = (built_object if name == "json_object_built" else built_array)(flags)
    made = FunctionCall(function=function, args=items, type=b.JSON)
    target = {"jsonb": b.JSONB, "text": b.TEXT, "bytea": b.BYTEA}.get(returning[1] if returning else "json", b.JSON)
    return made if target is b.JSON else cast_to(made, target, -1, params)


def is_json(binder: Binder, node: exp.Is, kind: exp.JSON, negated: bool) -> Expr:
    """x IS [NOT] JSON [VALUE | OBJECT | ARRAY | SCALAR] [WITH UNIQUE KEYS]"""
    arg = binder.bind(node.this)
    if arg.type is b.UNKNOWN:
        arg = must_coerce(arg, b.TEXT, binder.scope.params)
    what = str(kind.this or "VALUE").lower()
    if arg.type.category == "S":
        arg = cast_to(arg, b.TEXT, -1, binder.scope.params)
    elif arg.type not in (b.JSON, b.JSONB, b.BYTEA):
        raise SqlError(Code.datatype_mismatch, f"cannot use type {arg.type.display()} in IS JSON predicate")
    test = json_test(arg.type, what, bool(kind.args.get("unique")))
    call = FunctionCall(function=test, args=(arg,), type=b.BOOL)
    return Not(arg=call) if negated else call


def normal_form(node: exp.Expr) -> str | None:
    """The form of IS ... NORMALIZED, None where that is not what stands behind IS."""
    if isinstance(node, exp.Column) and str(node.name).startswith(MARK + "normalized_"):
        return str(node.name).rpartition("_")[2].upper()
    return None


def is_unknown(node: exp.Expr) -> bool:
    """Whether IS UNKNOWN stands there."""
    return isinstance(node, exp.Column) and node.name == MARK + "unknown"


def is_normalized(binder: Binder, node: exp.Is, form: str, negated: bool) -> Expr:
    found = resolve_function("is_normalized", [b.TEXT, b.TEXT])
    text = coerce(binder.bind(node.this), b.TEXT, -1, "implicit", binder.scope.params)
    if text is None:
        raise SqlError(Code.undefined_function, "function is_normalized does not exist")
    call = FunctionCall(function=found.function, args=(text, Const(value=form, type=b.TEXT)), type=b.BOOL)
    return Not(arg=call) if negated else call


def _bit_string(_binder: Binder, node: exp.BitString) -> Expr:
    return Const(value=read_bits(str(node.this)), type=BIT)


def _hex_string(_binder: Binder, node: exp.HexString) -> Expr:
    return Const(value=read_bits("x" + str(node.this)), type=BIT)


_ESCAPE = re.compile(r"\\(?:\\|\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4})|(.?))", re.DOTALL)


def unescaped(text: str) -> str:
    """\\XXXX and \\+XXXXXX of U&'...'; 42601 for anything else behind a backslash."""

    def one(found: re.Match[str]) -> str:
        if found[0] == "\\\\":
            return "\\"
        digits = found[1] or found[2]
        if digits is None:
            raise SqlError(
                Code.syntax_error, "invalid Unicode escape", hint="Unicode escapes must be \\XXXX or \\+XXXXXX."
            )
        code = int(digits, 16)
        if code == 0 or code > 0x10FFFF:
            raise SqlError(Code.syntax_error, "invalid Unicode escape value")
        return chr(code)

    decoded = _ESCAPE.sub(one, text)
    try:
        return decoded.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise SqlError(Code.syntax_error, "invalid Unicode surrogate pair") from error


def _unicode_string(_binder: Binder, node: exp.UnicodeString) -> Expr:
    return Const(value=unescaped(str(node.this)), type=b.UNKNOWN)


HANDLERS: Final[Mapping[type[exp.Expr], Any]] = MappingProxyType(
    {exp.BitString: _bit_string, exp.HexString: _hex_string, exp.UnicodeString: _unicode_string}
)
