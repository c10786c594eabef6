"""CREATE, ALTER and DROP FUNCTION (ROUTINE): LANGUAGE sql alone, read and bound when it is created."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.bound import OutputColumn
from tausql.sql.binding.conversion import settled
from tausql.sql.binding.functions import ArgumentLink, call_by_name, plain_type
from tausql.sql.binding.queries import bind_query
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.objects import Argument, Dependency, Function, View
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.dependencies import Item, argument_types, drop, signature, type_name
from tausql.sql.ddl.function_options import read_definition
from tausql.sql.ddl.names import check_owner, creation_schema
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.stored_texts import qualify_calls, qualify_relations, text_of
from tausql.sql.ddl.type_reading import read_type_oid
from tausql.sql.expressions import ParamTypes
from tausql.sql.expressions.nodes import Const
from tausql.sql.statements import parse_statements
from tausql.sql.types.builtin import (
    ANY,
    ANYARRAY,
    ANYCOMPATIBLE,
    ANYCOMPATIBLEARRAY,
    ANYELEMENT,
    ANYNONARRAY,
    RECORD,
    VOID,
)
from tausql.sql.types.casts import ASSIGNMENT, find_cast

FUNCTIONS_MAX = 10_000
_INPUT = ("i", "b", "v")
_POLYMORPHIC = frozenset((ANY, ANYARRAY, ANYCOMPATIBLE, ANYCOMPATIBLEARRAY, ANYELEMENT, ANYNONARRAY))
_NO_ROWS = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE/MERGE RETURNING."


async def create_function(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("CREATE")
    replace = words.take("OR", "REPLACE")
    if not words.take_one("FUNCTION", "ROUTINE"):
        raise words.error()
    definition = read_definition(change, words)
    schema = creation_schema(change, definition.name.schema)
    function = msgspec.structs.replace(
        definition.function, schema=schema.name, name=definition.name.name, owner=change.user.oid
    )
    if any(plain_type(change.snapshot, oid) in _POLYMORPHIC for oid in _type_oids(function)):
        raise not_supported("CREATE FUNCTION with a polymorphic type not supported")
    function = checked(change, function)
    same = _same_arguments(change, function)
    if same is not None:
        if not replace:
            raise SqlError(
                Code.duplicate_function, f'function "{function.name}" already exists with same argument types'
            )
        _check_replacement(change, same, function)
        change.writer.replace_object(msgspec.structs.replace(function, oid=same.oid, owner=same.owner, acl=same.acl))
        return change.result("CREATE FUNCTION")
    if sum(len(known) for known in change.snapshot.objects.functions.values()) >= FUNCTIONS_MAX:
        raise SqlError(Code.program_limit_exceeded, f"creating more than {FUNCTIONS_MAX} functions not allowed")
    oid = await change.writer.take_oids(1)
    acl = initial_acl(change, schema.name, "f", change.user.oid)
    change.writer.add_object(msgspec.structs.replace(function, oid=oid, acl=acl))
    return change.result("CREATE FUNCTION")


def _type_oids(function: Function) -> list[int]:
    return [function.returns_oid, *(argument.type_oid for argument in function.arguments)]


def _inputs(function: Function) -> list[Argument]:
    return [argument for argument in function.arguments if argument.mode in _INPUT]


def _same_arguments(change: SchemaChange, function: Function) -> Function | None:
    wanted = [argument.type_oid for argument in _inputs(function)]
    for known in change.snapshot.objects.functions.get((function.schema, function.name), ()):
        if [argument.type_oid for argument in _inputs(known)] == wanted:
            return known
    return None


def _check_replacement(change: SchemaChange, old: Function, new: Function) -> None:
    check_owner(change, old.owner, "function", old.name)
    hint = f"Use DROP FUNCTION {signature(change, old)} first."
    if (old.returns_oid, old.returns_set) != (new.returns_oid, new.returns_set):
        raise _invalid("cannot change return type of existing function", hint=hint)
    outputs = [[(a.name, a.type_oid) for a in f.arguments if a.mode in ("o", "b", "t")] for f in (old, new)]
    if outputs[0] != outputs[1]:
        raise _invalid("cannot change return type of existing function", hint=hint)
    for before, after in zip(_inputs(old), _inputs(new), strict=True):
        if before.name and before.name != after.name:
            raise _invalid(f'cannot change name of input parameter "{before.name}"', hint=hint)
        if before.default is not None and after.default is None:
            raise _invalid("cannot remove parameter defaults from existing function", hint=hint)


def _invalid(text: str, detail: str | None = None, hint: str | None = None) -> SqlError:
    return SqlError(Code.invalid_function_definition, text, detail=detail, hint=hint)


# --- the body ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Body:
    """What binding a body found. `last`: the columns of its last statement, None where that gives no rows."""

    texts: list[str] = field(default_factory=list)
    depends: dict[Dependency, None] = field(default_factory=dict)
    last: list[OutputColumn] | None = None


def checked(change: SchemaChange, function: Function) -> Function:
    """The function with its body read. Raises what its statements would, and 42P13 for a result of another type."""
    body = _Body()
    for statement in parse_statements(function.body):
        statement.refuse()
        body.last = None
        if statement.kind in ("insert", "update", "delete"):
            if statement.node is not None and statement.node.args.get("returning") is not None:
                body.last = []
            if function.sql_standard:
                raise not_supported(f"{statement.kind.upper()} in BEGIN ATOMIC not supported")
            continue
        if statement.kind != "query" or statement.node is None:
            raise not_supported(f"{statement.tag or statement.kind.upper()} is not allowed in an SQL function")
        body.last = _bind(change, function, statement.node.copy(), body)
    _check_result(change, function, body.last)
    if not function.sql_standard:
        return function
    return msgspec.structs.replace(function, body=";\n".join(body.texts), depends=tuple(body.depends))


def _bind(change: SchemaChange, function: Function, node: exp.Expr, body: _Body) -> list[OutputColumn]:
    for parameter in list(node.find_all(exp.Parameter)):
        parameter.replace(exp.Column(this=exp.to_identifier(f"${parameter.name}", quoted=True)))
    values = [Const(value=None, type=plain_type(change.snapshot, one.type_oid)) for one in _inputs(function)]
    params = ParamTypes()
    snapshot = change.snapshot if function.sql_standard else _with(change.snapshot, function)
    binder = Binder(snapshot, change.search_path, params, change.system, bind_query, call_by_name)
    binder.root = node
    binder.stars = []
    bound = settled(bind_query(binder, node, ArgumentLink(change.snapshot, function, values), {}), params)
    if function.sql_standard:
        for table in binder.tables.values():
            body.depends[table.oid, 0] = None
            for column in table.live_columns:
                if any(named.name == column.name for named in node.find_all(exp.Column)):
                    body.depends[table.oid, column.position + 1] = None
        body.depends |= {(oid, 0): None for oid in binder.relies}
        from tausql.sql.ddl.views import expand_stars

        expand_stars(binder.stars)
        qualify_relations(node, change.snapshot, change.search_path)
        holder = exp.Paren(this=node)
        qualify_calls(holder, change.snapshot, change.search_path)
        body.texts.append(text_of(holder.this))
    return bound.columns


def _with(snapshot: Snapshot, function: Function) -> Snapshot:
    """The schema once the function is there, which a body in quotes may call."""
    known = snapshot.objects.functions
    key = function.schema, function.name
    wanted = [argument.type_oid for argument in _inputs(function)]
    others = [one for one in known.get(key, ()) if [argument.type_oid for argument in _inputs(one)] != wanted]
    objects = msgspec.structs.replace(snapshot.objects, functions={**known, key: (*others, function)})
    return msgspec.structs.replace(snapshot, objects=objects)


def _check_result(change: SchemaChange, function: Function, columns: list[OutputColumn] | None) -> None:
    if function.returns_oid == VOID.oid:
        return
    snapshot = change.snapshot
    shown = type_name(change, function.returns_oid)
    text = f"return type mismatch in function declared to return {shown}"
    if columns is None:
        raise _invalid(text, _NO_ROWS)
    if not columns:
        return  # RETURNING of a statement that is bound when it runs
    outputs = [argument for argument in function.arguments if argument.mode in ("o", "b", "t")]
    relation = snapshot.by_oid.get(function.returns_oid) or snapshot.objects.by_oid.get(function.returns_oid)
    if isinstance(relation, Table):
        wanted = [plain_type(snapshot, column.type_oid) for column in relation.live_columns]
    elif isinstance(relation, View):
        wanted = [plain_type(snapshot, column.type_oid) for column in relation.columns]
    elif len(outputs) > 1 or (outputs and function.returns_oid == RECORD.oid):
        wanted = [plain_type(snapshot, argument.type_oid) for argument in outputs]
    elif function.returns_oid == RECORD.oid:
        return
    else:
        wanted = [plain_type(snapshot, function.returns_oid)]
        if len(columns) != 1:
            raise _invalid(text, "Final statement must return exactly one column.")
        given = columns[0].type
        if given is not wanted[0] and find_cast(given, wanted[0], ASSIGNMENT) is None:
            raise _invalid(text, f"Actual return type is {given.display()}.")
        return
    if len(columns) < len(wanted):
        raise _invalid(text, "Final statement returns too few columns.")
    if len(columns) > len(wanted):
        raise _invalid(text, "Final statement returns too many columns.")
    for at, (column, want) in enumerate(zip(columns, wanted, strict=True)):
        if column.type is not want and find_cast(column.type, want, ASSIGNMENT) is None:
            raise _invalid(
                text, f"Final statement returns {column.type.display()} instead of {want.display()} at column {at + 1}."
            )


# --- naming one --------------------------------------------------------------------------------------------------


def named_function(change: SchemaChange, words: Words, kind: str = "FUNCTION") -> Function:
    """name [(argument types)]. Raises 42883, 42725."""
    function = _find(change, words)
    if isinstance(function, Function):
        return function
    raise SqlError(Code.undefined_function, function)


def _find(change: SchemaChange, words: Words) -> Function | str:
    """The function, or why there is none. Raises 42725."""
    name = words.qualified_name()
    known = change.snapshot.objects.functions
    path = (name.schema,) if name.schema is not None else change.search_path
    candidates = [function for schema in path for function in known.get((schema, name.name), ())]
    if not words.next_is("("):
        if not candidates:
            return f'could not find a function named "{name}"'
        if len(candidates) > 1:
            raise SqlError(
                Code.ambiguous_function,
                f'function name "{name}" is not unique',
                hint="Specify the argument list to select the function unambiguously.",
            )
        return candidates[0]
    words.expect("(")
    wanted: list[int] = []
    while not words.take(")"):
        mode = words.take_one("IN", "OUT", "INOUT", "VARIADIC")
        oid = read_type_oid(change, words, (",", ")"), named=True)[0]
        if mode != "OUT":
            wanted.append(oid)
        if not words.take(","):
            words.expect(")")
            break
    for function in candidates:
        if [argument.type_oid for argument in _inputs(function)] == wanted:
            return function
    return f"function {name}({','.join(type_name(change, oid) for oid in wanted)}) does not exist"


async def drop_function(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("DROP")
    words.take_one("FUNCTION", "ROUTINE")
    missing_ok = words.take("IF", "EXISTS")
    items: list[Item] = []
    while True:
        found = _find(change, words)
        if isinstance(found, str):
            if not missing_ok:
                raise SqlError(Code.undefined_function, found)
            missing = found.replace('could not find a function named "', "function ").rstrip('"')
            missing = missing if missing.endswith("exist") else f"{missing}() does not exist"
            change.notice(f"{missing}, skipping")
        else:
            check_owner(change, found.owner, "function", found.name)
            items.append(Item("function", found.oid))
        if not words.take(","):
            break
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    await drop(change, list(dict.fromkeys(items)), cascade)
    return change.result(change.statement.tag)


async def alter_function(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("ALTER")
    words.take_one("FUNCTION", "ROUTINE")
    function = named_function(change, words)
    check_owner(change, function.owner, "function", function.name)
    if words.take("RENAME", "TO"):
        changed = msgspec.structs.replace(function, name=words.name())
    elif words.take("SET", "SCHEMA"):
        changed = msgspec.structs.replace(function, schema=creation_schema(change, words.name()).name)
    elif words.take("OWNER", "TO"):
        from tausql.sql.ddl.roles import new_owner, role_name

        changed = msgspec.structs.replace(function, owner=new_owner(change, role_name(change, words)).oid)
    else:
        from tausql.sql.ddl.function_options import read_actions

        changed = read_actions(words, function)
        words.take_one("RESTRICT")
    words.expect_end()
    if (changed.schema, changed.name) != (function.schema, function.name):
        if _same_arguments(change, changed) is not None:
            raise SqlError(
                Code.duplicate_function,
                f"function {changed.name}({argument_types(change, changed)}) already exists in schema "
                f'"{changed.schema}"',
            )
        from tausql.sql.ddl.stored_texts import function_renamed

        function_renamed(change, function, changed)
    change.writer.replace_object(changed)
    return change.result(change.statement.tag)


_KINDS = ("function", "routine")
HANDLERS = {
    "create_function": create_function,
    **{f"alter_{kind}": alter_function for kind in _KINDS},
    **{f"drop_{kind}": drop_function for kind in _KINDS},
}
