"""Arguments that are not simply in order: name => value, and VARIADIC array.

PostgreSQL looks a name up in each overload's declaration. The overloads here are written without names, one for each
number of arguments, so that the names and defaults of the functions people call by name stand in a table of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions.coercion import json_elements, must_coerce, text_elements
from tausql.sql.expressions.nodes import Const, Expr, FunctionCall
from tausql.sql.functions.array_functions import flatten
from tausql.sql.functions.catalogue import named_functions
from tausql.sql.functions.function import Function
from tausql.sql.functions.json_functions import JSON_ARGUMENTS
from tausql.sql.functions.resolution import call_text, resolve_function
from tausql.sql.types import builtin as b
from tausql.sql.types.registry import array_of, element_of

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder

_PATH: Final = ("target", "path", "vars={}", "silent=f")
_TIMESTAMP: Final = ("year", "month", "mday", "hour", "min", "sec")
# Parameters in order, with defaults where there are any: literals that their type reads.
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "make_interval": ("years=0", "months=0", "weeks=0", "days=0", "hours=0", "mins=0", "secs=0"),
        "make_date": ("year", "month", "day"),
        "make_time": ("hour", "min", "sec"),
        "make_timestamp": _TIMESTAMP,
        "make_timestamptz": (*_TIMESTAMP, "timezone"),
        "jsonb_set": ("jsonb_in", "path", "replacement", "create_if_missing=t"),
        "jsonb_insert": ("jsonb_in", "path", "replacement", "insert_after=f"),
        "jsonb_set_lax": (
            "jsonb_in", "path", "replacement", "create_if_missing=t", "null_value_treatment=use_json_null",
        ),
        "parse_ident": ("str", "strict=t"),
        "random_normal": ("mean=0", "stddev=1"),
        "json_populate_record": ("base", "from_json"),
        "json_populate_recordset": ("base", "from_json"),
        "jsonb_populate_record": ("base", "from_json"),
        "jsonb_populate_recordset": ("base", "from_json"),
        "regexp_like": ("string", "pattern", "flags"),
        "regexp_match": ("string", "pattern", "flags"),
        "regexp_matches": ("string", "pattern", "flags"),
        "regexp_split_to_array": ("string", "pattern", "flags"),
        "regexp_split_to_table": ("string", "pattern", "flags"),
        "regexp_count": ("string", "pattern", "start", "flags"),
        "regexp_substr": ("string", "pattern", "start", "N", "flags", "subexpr"),
        "regexp_instr": ("string", "pattern", "start", "N", "endoption", "flags", "subexpr"),
        **dict.fromkeys(
            (
                f"jsonb_path_{name}"
                for name in ("exists", "match", "query", "query_array", "query_first", "exists_tz", "match_tz",
                             "query_tz", "query_array_tz", "query_first_tz")
            ),
            _PATH,
        ),
    }
)  # fmt: skip


def is_named(node: exp.Expr) -> bool:
    return isinstance(node, exp.Kwarg | exp.PropertyEQ)


def positional(binder: Binder, name: str, items: Sequence[exp.Expr]) -> list[Expr]:
    """The arguments in the order of the declaration, defaults filled in before the last one given."""
    names = [(word.partition("=")[0], word.partition("=")[2:]) for word in _PARAMETERS.get(name, ())]
    placed: list[Expr | None] = [None] * len(names)
    shown: list[str] = []
    for at, item in enumerate(items):
        if not is_named(item):
            if any(is_named(earlier) for earlier in items[:at]):
                raise SqlError(Code.syntax_error, "positional argument cannot follow named argument")
            bound = binder.bind(item)
            shown.append(bound.type.display())
            if at < len(placed):
                placed[at] = bound
            else:
                placed.append(bound)
            continue
        key = item.this.name.lower()
        bound = binder.bind(item.expression)
        shown.append(f"{key} => {bound.type.display()}")
        position = next((p for p, (word, _) in enumerate(names) if word.lower() == key), None)
        if position is None or placed[position] is not None:
            if position is not None and any(i.this.name.lower() == key for i in items[:at] if is_named(i)):
                raise SqlError(Code.syntax_error, f'argument name "{key}" used more than once')
            rest = [i for i in items[at + 1 :] if is_named(i)]
            shown += [f"{i.this.name.lower()} => {binder.bind(i.expression).type.display()}" for i in rest]
            raise _unknown(name, shown)
        placed[position] = bound
    last = max(at for at, item in enumerate(placed) if item is not None)
    args: list[Expr] = []
    for at, argument in enumerate(placed[: last + 1]):
        if argument is None:
            default = names[at][1]
            if not default[0] and not default:
                raise _unknown(name, shown)
            argument = Const(value=default[1] if len(default) > 1 else default[0], type=b.UNKNOWN)
        args.append(argument)
    return args


def _unknown(name: str, shown: Sequence[str]) -> SqlError:
    return SqlError(
        Code.undefined_function,
        f"function {name}({', '.join(shown)}) does not exist",
        hint="No function matches the given name and argument types. You might need to add explicit type casts.",
    )


def spread_call(binder: Binder, name: str, args: Sequence[Expr]) -> Expr:
    """f(a, VARIADIC array): the array's elements as the last arguments."""
    params = binder.scope.params
    array = args[-1]
    for function in named_functions(name):
        if not function.variadic or len(function.arg_types) != len(args):
            continue
        before = function.arg_types[:-1]
        wanted = function.arg_types[-1]
        if array.type is b.UNKNOWN and wanted is not b.ANY:
            array = must_coerce(array, array_of(wanted) or b.TEXT, params)
        element = element_of(array.type) if array.type.is_array else None
        if element is None:
            raise SqlError(Code.datatype_mismatch, "VARIADIC argument must be an array")
        resolved = resolve_function(name, [*(arg.type for arg in args[:-1]), element])
        heads = [must_coerce(a, w, params) for a, w in zip(args[:-1], resolved.arg_types, strict=False)]
        if name in JSON_ARGUMENTS:
            array = json_elements(array)
        elif wanted is b.ANY:
            array = text_elements(array)
        else:
            array = must_coerce(array, array_of(resolved.arg_types[-1]) or array.type, params)
        spread = _spreading(function, (*before, array.type))
        return FunctionCall(function=spread, args=(*heads, array), type=resolved.result_type)
    raise SqlError(Code.undefined_function, f"function {call_text(name, [a.type for a in args])} does not exist")


def _spreading(function: Function, arg_types: tuple[Any, ...]) -> Function:
    impl, context = function.impl, function.needs_context

    def run(*values: Any) -> Any:
        array = values[-1]
        if array is None:
            return None
        items = list(flatten(array))
        if function.strict and (None in values or None in items):
            return None
        return impl(*values[:-1], *items)

    return Function(
        function.name, arg_types, function.result, run, volatility=function.volatility, strict=False,
        needs_context=context, returns_set=function.returns_set,
    )  # fmt: skip
