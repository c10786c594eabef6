"""CREATE FUNCTION as written: parameters, result, options, body."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.objects import Argument, Function
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.ddl.stored_texts import qualified_expression
from tausql.sql.ddl.type_reading import read_type_oid
from tausql.sql.expressions.binder import bind
from tausql.sql.expressions.coercion import cast_to
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.scope import EmptyScope
from tausql.sql.types.builtin import RECORD, VOID

ARGUMENTS_MAX = 100
_MODES = {"IN": "i", "OUT": "o", "INOUT": "b", "VARIADIC": "v"}
_TYPE_ENDS = (",", ")", "DEFAULT", "=", ":=")
_OPTIONS = ("LANGUAGE", "IMMUTABLE", "STABLE", "VOLATILE", "NOT", "LEAKPROOF", "CALLED", "RETURNS", "STRICT",
            "EXTERNAL", "SECURITY", "PARALLEL", "COST", "ROWS", "SUPPORT", "SET", "AS", "RETURN", "BEGIN", "WINDOW",
            "TRANSFORM")  # fmt: skip


@dataclass(slots=True)
class Definition:
    name: QualifiedName
    function: Function


def read_definition(change: SchemaChange, words: Words) -> Definition:
    """Everything behind CREATE [OR REPLACE] FUNCTION. Raises 42P13 for what does not fit together."""
    name = words.qualified_name()
    arguments = _read_arguments(change, words)
    returns, returns_set, table = _read_returns(change, words)
    arguments += table
    outputs = [argument for argument in arguments if argument.mode in ("o", "b", "t")]
    if not table and outputs:
        implied = outputs[0].type_oid if len(outputs) == 1 else RECORD.oid
        if returns and returns != implied:
            shown = "record" if len(outputs) > 1 else _shown(change, implied)
            raise _invalid(f"function result type must be {shown} because of OUT parameters")
        returns = implied
    elif table:
        returns = table[0].type_oid if len(table) == 1 else RECORD.oid
    elif not returns:
        raise _invalid("function result type must be specified")
    _check_names(arguments)
    function = Function(0, "", name.name, tuple(arguments), returns, returns_set, "")
    function, language, body = _read_options(words, function)
    if language and language != "sql":
        raise not_supported(f"CREATE FUNCTION with language {language} not supported")
    if body is None:
        raise _invalid("no function body specified")
    if not language and not function.sql_standard:
        raise _invalid("no language specified")
    function = msgspec.structs.replace(
        function, body=body, rows=1000.0 if returns_set and not function.rows else function.rows
    )
    return Definition(name, function)


def _shown(change: SchemaChange, oid: int) -> str:
    from tausql.sql.ddl.dependencies import type_name

    return type_name(change, oid)


def _invalid(text: str) -> SqlError:
    return SqlError(Code.invalid_function_definition, text)


def _read_arguments(change: SchemaChange, words: Words) -> list[Argument]:
    words.expect("(")
    found: list[Argument] = []
    defaults = False
    while not words.take(")"):
        mode = _MODES[words.take_one(*_MODES) or "IN"]
        if mode == "i" and words.take("OUT"):
            mode = "b"  # IN OUT
        oid, typmod, name = read_type_oid(change, words, _TYPE_ENDS, named=True)
        default: str | None = None
        if words.take_one("DEFAULT", "=", ":="):
            if mode == "o":
                raise _invalid("only input parameters can have default values")
            default = _default(change, words.until(",", ")"), oid, typmod)
        if mode != "o":
            if defaults and default is None and mode != "v":
                raise _invalid("input parameters after one with a default value must also have defaults")
            defaults = defaults or default is not None
            if any(one.mode == "v" for one in found):
                raise _invalid("VARIADIC parameter must be the last input parameter")
        if mode == "v":
            _check_variadic(change, oid)
        found.append(Argument(name, oid, mode, default, typmod))
        if not words.take(","):
            words.expect(")")
            break
    if len(found) > ARGUMENTS_MAX:
        raise SqlError(Code.too_many_columns, f"functions cannot have more than {ARGUMENTS_MAX} arguments")
    return found


def _check_variadic(change: SchemaChange, oid: int) -> None:
    from tausql.sql.binding.functions import plain_type

    if not plain_type(change.snapshot, oid).is_array:
        raise _invalid("VARIADIC parameter must be an array")


def _default(change: SchemaChange, text: str, oid: int, typmod: int) -> str:
    from tausql.sql.binding.functions import plain_type

    node = parse_expression(text)
    scope = EmptyScope()
    cast_to(bind(node, scope), plain_type(change.snapshot, oid), typmod, scope.params)
    return qualified_expression(change, node)


def _check_names(arguments: list[Argument]) -> None:
    for modes in (("i", "b", "v"), ("o", "b", "t")):
        names = [argument.name for argument in arguments if argument.mode in modes and argument.name]
        for name in names:
            if names.count(name) > 1:
                raise _invalid(f'parameter name "{name}" used more than once')
    names = [argument.name for argument in arguments if argument.name]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _invalid(f'parameter name "{twice}" used more than once')


def _read_returns(change: SchemaChange, words: Words) -> tuple[int, bool, list[Argument]]:
    """(type, SETOF, columns of TABLE); type 0 where nothing is said."""
    if not words.take("RETURNS"):
        return 0, False, []
    if words.take("TABLE"):
        words.expect("(")
        columns: list[Argument] = []
        while True:
            name = words.name()
            oid, typmod, _ = read_type_oid(change, words, (",", ")"))
            columns.append(Argument(name, oid, "t", None, typmod))
            if not words.take(","):
                break
        words.expect(")")
        return 0, True, columns
    returns_set = words.take("SETOF")
    oid, _, _ = read_type_oid(change, words, _OPTIONS)
    if returns_set and oid == VOID.oid:
        returns_set = True
    return oid, returns_set, []


def _read_options(words: Words, function: Function) -> tuple[Function, str, str | None]:
    """(function, language or "", body)."""
    language = ""
    body: str | None = None
    met: set[str] = set()
    while not words.ended:
        if words.take("LANGUAGE"):
            language = words.string().lower() if not words.peek() else words.name()
        elif words.take("AS"):
            body = words.string()
            if words.take(","):
                raise _invalid('only one AS item needed for language "sql"')
        elif words.take("RETURN"):
            body = f"SELECT {words.rest()}"
            function = msgspec.structs.replace(function, sql_standard=True)
        elif words.take("BEGIN", "ATOMIC"):
            body = _atomic(words)
            function = msgspec.structs.replace(function, sql_standard=True)
        else:
            function = read_action(words, function, met)
    return function, language, body


def _atomic(words: Words) -> str:
    """The statements between BEGIN ATOMIC and END."""
    if words.tokens[-1].word != "END":
        raise SqlError(Code.syntax_error, "syntax error at end of input")
    text = words.between(words.at, len(words.tokens) - 1)
    words.at = len(words.tokens)
    return text


def read_actions(words: Words, function: Function) -> Function:
    """The options of ALTER FUNCTION."""
    met: set[str] = set()
    changed = read_action(words, function, met)
    while not words.ended and not words.next_is("RESTRICT"):
        changed = read_action(words, changed, met)
    return changed


def read_action(words: Words, function: Function, met: set[str]) -> Function:
    """One option. Raises 42601 for one given twice, 0A000 for those a function here cannot have."""
    found = _action(words)
    if found is None:
        if words.peek() in ("SET", "RESET"):
            raise not_supported("SET clause not supported for CREATE FUNCTION")
        if words.peek() in ("SUPPORT", "TRANSFORM", "WINDOW"):
            raise not_supported(f"{words.peek()} not supported for CREATE FUNCTION")
        raise words.error()
    name, value = found
    if name in met:
        raise SqlError(Code.syntax_error, "conflicting or redundant options")
    met.add(name)
    if name in ("cost", "rows"):
        number = float(str(value))
        if number <= 0:
            raise SqlError(Code.invalid_parameter_value, f"{name.upper()} must be positive")
        value = number
        if name == "rows" and not function.returns_set:
            raise SqlError(Code.invalid_parameter_value, "ROWS is not applicable when function does not return a set")
    return msgspec.structs.replace(function, **{name: value})


def _action(words: Words) -> tuple[str, object] | None:
    volatility = words.take_one("IMMUTABLE", "STABLE", "VOLATILE")
    if volatility:
        return "volatility", volatility[0].lower()
    if words.take("NOT", "LEAKPROOF"):
        return "leakproof", False
    if words.take("LEAKPROOF"):
        return "leakproof", True
    if words.take("CALLED", "ON", "NULL", "INPUT"):
        return "strict", False
    if words.take("STRICT") or words.take("RETURNS", "NULL", "ON", "NULL", "INPUT"):
        return "strict", True
    words.take("EXTERNAL")
    if words.take("SECURITY"):
        which = words.take_one("INVOKER", "DEFINER")
        return ("security_definer", which == "DEFINER") if which else None
    if words.take("PARALLEL"):
        which = words.take_one("SAFE", "UNSAFE", "RESTRICTED")
        if not which:
            raise SqlError(Code.invalid_parameter_value, 'parameter "parallel" must be SAFE, RESTRICTED, or UNSAFE')
        return "parallel", which[0].lower()
    for word in ("COST", "ROWS"):
        if words.take(word):
            number = words.tokens[words.at].text if not words.ended else ""
            words.at += 1
            return word.lower(), number
    return None
