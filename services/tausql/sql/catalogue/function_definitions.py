"""Functions as SQL: arguments, results, CREATE FUNCTION; of users' functions and of those the system brings alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tausql.sql.catalogue.deparsing import argument_default_shown
from tausql.sql.catalogue.facts import Facts
from tausql.sql.catalogue.objects import Argument, Function
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.catalogue.shapes import builtin_by_oid, shape

TypeNamer = Callable[[int, int], str]
_RECORD = 2249
_VOLATILITY = {"i": " IMMUTABLE", "s": " STABLE", "v": ""}
_PARALLEL = {"s": " PARALLEL SAFE", "r": " PARALLEL RESTRICTED", "u": ""}
_MODES = {"o": "OUT ", "b": "INOUT ", "v": "VARIADIC "}


class Described(msgspec.Struct, frozen=True):
    """What definitions need of a function."""

    name: str
    schema_oid: int | None
    arguments: Sequence[Argument]
    result: int
    returns_set: bool
    function: Function | None


def function_of(facts: Facts, oid: int) -> Described | None:
    item = facts.objects.by_oid.get(oid)
    if isinstance(item, Function):
        return Described(
            item.name, facts.schema_oid(item.schema), item.arguments, item.returns_oid, item.returns_set, item
        )
    row = builtin_by_oid("pg_proc").get(oid)
    if row is None and oid in own_function_oids():
        # The functions of `sys` are listed by those who know all functions, which these here are among.
        from tausql.sql.catalogue.views.types import own_procedures

        row = next((one for one in own_procedures(facts, shape("pg_proc")) if one[0] == oid), None)
    return None if row is None else _of_row(row)


def own_function_oids() -> range:
    """What functions of the schema `sys` have for oids."""
    return range(14200, 14300)


def _of_row(row: list[Any]) -> Described:
    at = shape("pg_proc").place
    types: list[int] = row[at("proallargtypes")] or row[at("proargtypes")]
    modes: list[str] = row[at("proargmodes")] or ["i"] * len(types)
    names: list[str] = row[at("proargnames")] or [""] * len(types)
    arguments = [Argument(name, oid, mode) for name, oid, mode in zip(names, types, modes, strict=True)]
    return Described(row[at("proname")], 11, arguments, row[at("prorettype")], row[at("proretset")], None)


def arguments_text(found: Described, type_name: TypeNamer, defaults: bool) -> str:
    """`a integer, VARIADIC b text[] DEFAULT ...`. Columns of RETURNS TABLE are no arguments."""
    shown: list[str] = []
    for one in found.arguments:
        if one.mode == "t" or (not defaults and one.mode == "o"):
            continue
        text = _MODES.get(one.mode, "")
        if one.name:
            text += quoted(one.name) + " "
        text += type_name(one.type_oid, -1)
        if defaults and one.default is not None:
            text += f" DEFAULT {argument_default_shown(one.default, one.type_oid)}"
        shown.append(text)
    return ", ".join(shown)


def result_text(found: Described, type_name: TypeNamer) -> str:
    columns = [one for one in found.arguments if one.mode == "t"]
    if columns:
        return "TABLE(" + ", ".join(f"{quoted(one.name)} {type_name(one.type_oid, -1)}" for one in columns) + ")"
    return ("SETOF " if found.returns_set else "") + type_name(found.result, -1)


def argument_default(found: Described, number: int) -> str | None:
    inputs = [one for one in found.arguments if one.mode in "ibv"]
    return inputs[number - 1].default if 1 <= number <= len(inputs) else None


def function_definition(found: Described, type_name: TypeNamer, schema_name: Callable[[int], str | None]) -> str | None:
    """CREATE OR REPLACE FUNCTION ..., as pg_get_functiondef lays it out."""
    function = found.function
    if function is None:
        return None
    schema = schema_name(found.schema_oid or 0) or function.schema
    lines = [
        f"CREATE OR REPLACE FUNCTION {quoted(schema)}.{quoted(function.name)}"
        f"({arguments_text(found, type_name, True)})",
        f" RETURNS {result_text(found, type_name)}",
        " LANGUAGE sql",
    ]
    words = _VOLATILITY[function.volatility] + _PARALLEL.get(function.parallel, "")
    words += " STRICT" if function.strict else ""
    words += " SECURITY DEFINER" if function.security_definer else ""
    words += " LEAKPROOF" if function.leakproof else ""
    if function.cost != 100.0:
        words += f" COST {function.cost:g}"
    if function.returns_set and function.rows not in (0.0, 1000.0):
        words += f" ROWS {function.rows:g}"
    if words:
        lines.append(words)
    lines.append(function.body if function.sql_standard else f"AS {_dollar_quoted(function.body)}")
    return "\n".join(lines) + "\n"


def _dollar_quoted(body: str) -> str:
    tag = "$function$"
    while tag in body:
        tag = tag[:-1] + "x$"
    return f"{tag}{body}{tag}"
