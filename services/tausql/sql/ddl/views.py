"""CREATE, ALTER and DROP VIEW. What is kept of a view is its query as text: every * written out, every name with its
schema, so that neither the search path nor a column added later changes what it means."""

from __future__ import annotations

import msgspec
from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.bound import OutputColumn
from tausql.sql.binding.conversion import settled
from tausql.sql.binding.functions import call_by_name
from tausql.sql.binding.labels import fold
from tausql.sql.binding.queries import bind_query
from tausql.sql.binding.updatable import not_updatable
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import Dependency, View, ViewColumn
from tausql.sql.catalogue.system import NameRow
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.enum_literals import LabelsMet, pinned
from tausql.sql.ddl.names import check_owner, creation_schema, find_relation, wrong_kind
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.stored_texts import identifier, qualify_calls, qualify_relations, text_of
from tausql.sql.ddl.view_texts import rename_column_in_views, rename_relation_in_views
from tausql.sql.expressions import ParamTypes
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.with_clauses import clause_of
from tausql.sql.permissions import permit
from tausql.sql.statements import parse_statements
from tausql.sql.types import type_by_oid

VIEWS_MAX = 5000
DEFINITION_BYTES_MAX = 2 << 20
_BOOLEAN = {"TRUE": "true", "ON": "true", "1": "true", "FALSE": "false", "OFF": "false", "0": "false", "": "true"}

Options = dict[str, str]


async def create_view(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("CREATE")
    replace = words.take("OR", "REPLACE")
    if words.take_one("TEMP", "TEMPORARY"):
        raise not_supported("TEMPORARY or TEMP view not supported for CREATE VIEW")
    recursive = words.take("RECURSIVE")
    words.expect("VIEW")
    name = words.qualified_name()
    names = words.names() if words.next_is("(") else []
    options = _options(words) if words.take("WITH") else {}
    words.expect("AS")
    text, check = _query_text(words)
    if check:
        options["check_option"] = check
    schema = creation_schema(change, name.schema)
    if recursive:
        text = _recursive(name.name, names, text)
    query, columns, depends = bound_query(change, text, names)
    if options.get("check_option"):
        _check_option(query)
    stored = text_of(query)
    if len(stored.encode()) > DEFINITION_BYTES_MAX:
        raise SqlError(Code.program_limit_exceeded, "view definition too large")
    view = View(
        0, schema.name, name.name, columns, stored, change.user.oid, None, tuple(options.items()), depends, recursive
    )
    existing = find_relation(change, schema.name, name.name)
    if existing is not None:
        if not replace:
            raise SqlError(Code.duplicate_table, f'relation "{name.name}" already exists')
        if not isinstance(existing, View):
            raise SqlError(Code.wrong_object_type, f'"{name.name}" is not a view')
        return _replace(change, existing, view)
    if len(change.snapshot.objects.views) >= VIEWS_MAX:
        raise SqlError(Code.program_limit_exceeded, f"creating more than {VIEWS_MAX} views not allowed")
    oid = await change.writer.take_oids(1)
    await change.writer.claim_names(schema.name, {name.name: NameRow(oid, "view")})
    acl = initial_acl(change, schema.name, "r", change.user.oid)
    change.writer.add_object(msgspec.structs.replace(view, oid=oid, acl=acl))
    return change.result("CREATE VIEW")


def _options(words: Words) -> Options:
    """( name [= value], ... ). Raises 22023."""
    words.expect("(")
    found: Options = {}
    while True:
        name = words.name()
        value = ""
        if words.take("="):
            value = words.string() if not words.peek() else words.peek()
            if words.peek() == value and value:
                words.at += 1
        found[name] = _option(name, value)
        if not words.take(","):
            break
    words.expect(")")
    return found


def _option(name: str, value: str) -> str:
    if name == "check_option":
        if value.lower() not in ("local", "cascaded"):
            raise SqlError(
                Code.invalid_parameter_value,
                f'invalid value for enum option "check_option": {value.lower()}',
                detail='Valid values are "local" and "cascaded".',
            )
        return value.lower()
    if name in ("security_barrier", "security_invoker"):
        known = _BOOLEAN.get(value.upper())
        if known is None:
            raise SqlError(Code.invalid_parameter_value, f'invalid value for boolean option "{name}": {value.lower()}')
        return known
    raise SqlError(Code.invalid_parameter_value, f'unrecognized parameter "{name}"')


def _query_text(words: Words) -> tuple[str, str]:
    """(the query, its check option or "")."""
    end = len(words.tokens)
    check = ""
    tail = [token.word for token in words.tokens[-4:]]
    for length, pattern, option in (
        (4, ["WITH", "LOCAL", "CHECK", "OPTION"], "local"),
        (4, ["WITH", "CASCADED", "CHECK", "OPTION"], "cascaded"),
        (3, ["WITH", "CHECK", "OPTION"], "cascaded"),
    ):
        if tail[-length:] == pattern:
            end -= length
            check = option
            break
    if words.at >= end:
        raise words.error()
    return words.between(words.at, end), check


def _recursive(name: str, names: list[str], text: str) -> str:
    from tausql.sql.ddl.names import quoted

    if not names:
        raise SqlError(Code.syntax_error, 'syntax error at or near "AS"')
    columns = ", ".join(quoted(column) for column in names)
    own = quoted(name)
    return f"WITH RECURSIVE {own} ({columns}) AS ({text}) SELECT {columns} FROM {own}"


def bound_query(
    change: SchemaChange, text: str, names: list[str]
) -> tuple[exp.Expr, tuple[ViewColumn, ...], tuple[Dependency, ...]]:
    """A view's query, rewritten to be kept; its columns; what it relies on. Raises what the query itself would."""
    (statement,) = parse_statements(text)
    statement.refuse()
    node = statement.node
    if statement.kind != "query" or node is None:
        raise SqlError(Code.syntax_error, "syntax error in the query of a view")
    if any(clause_of(item) for item in node.find_all(exp.CTE)):
        raise not_supported("in a view, SEARCH and CYCLE are supported behind the last WITH query only")
    params = ParamTypes()
    params.labels = LabelsMet(change.snapshot.objects) if change.snapshot.objects.domains else None
    binder = Binder(change.snapshot, change.search_path, params, change.system, bind_query, call_by_name)
    binder.root = node
    binder.stars = []
    bound = settled(bind_query(binder, node, None, {}), params)
    if len(params):
        raise SqlError(Code.undefined_parameter, "there is no parameter $1")
    schemas = [need for need in binder.needs if need.letters == "U"]  # what is in them is asked for when it is read
    permit(schemas, change.snapshot, change.user.name)
    columns = _columns(bound.columns, names)
    expand_stars(binder.stars)
    depends = _dependencies(change, binder, node)
    qualify_relations(node, change.snapshot, change.search_path)
    holder = exp.Paren(this=node)
    qualify_calls(holder, change.snapshot, change.search_path)
    return pinned(holder.this, params.labels), columns, depends


def _columns(outputs: list[OutputColumn], names: list[str]) -> tuple[ViewColumn, ...]:
    if len(names) > len(outputs):
        raise SqlError(Code.syntax_error, "CREATE VIEW specifies more column names than columns")
    columns: list[ViewColumn] = []
    met: set[str] = set()
    for at, output in enumerate(outputs):
        name = names[at] if at < len(names) else output.name
        if name in met:
            raise SqlError(Code.duplicate_column, f'column "{name}" specified more than once')
        met.add(name)
        if output.type.category == "P":
            raise SqlError(Code.invalid_table_definition, f'column "{name}" has pseudo-type {output.type.sql_name}')
        columns.append(ViewColumn(name, output.type.oid, output.typmod))
    return tuple(columns)


def expand_stars(stars: list[tuple[exp.Expr, list[tuple[str, str]]]]) -> None:
    """Each * becomes the columns it stands for now."""
    for item, names in stars:
        parent = item.parent
        if parent is None:
            continue
        expanded: list[exp.Expr] = []
        for one in parent.expressions:
            if one is item:
                expanded += [exp.column(identifier(column), identifier(of) if of else None) for of, column in names]
            else:
                expanded.append(one)
        parent.set("expressions", expanded)


def _dependencies(change: SchemaChange, binder: Binder, node: exp.Expr) -> tuple[Dependency, ...]:
    """Tables with the columns that are named, views and functions. A column of the same name in two tables counts for
    both: that refuses a DROP COLUMN too many rather than one too few."""
    named = {fold(column.this) for column in node.find_all(exp.Column)}
    for join in node.find_all(exp.Join):
        named |= {fold(column) for column in join.args.get("using") or []}
        if (join.args.get("method") or "").upper() == "NATURAL":
            named |= {column.name for table in binder.tables.values() for column in table.live_columns}
    found: dict[Dependency, None] = {}
    outside = {need.oid for need in binder.needs if not need.role}
    for table in binder.tables.values():
        if table.oid not in outside:
            continue  # read by a view that is read
        found[table.oid, 0] = None
        for column in table.live_columns:
            if column.name in named:
                found[table.oid, column.position + 1] = None
    for oid in binder.relies:
        if oid in outside:
            found[oid, 0] = None
    return tuple(found)


def _check_option(query: exp.Expr) -> None:
    problem = not_updatable(query)
    if problem is not None:
        raise SqlError(
            Code.feature_not_supported,
            "WITH CHECK OPTION is supported only on automatically updatable views",
            hint=problem,
        )


def _replace(change: SchemaChange, old: View, new: View) -> DdlResult:
    """CREATE OR REPLACE: columns may only be added."""
    check_owner(change, old.owner, "view", old.name)
    if len(new.columns) < len(old.columns):
        raise _invalid("cannot drop columns from view")
    for before, after in zip(old.columns, new.columns, strict=False):
        if before.name != after.name:
            raise _invalid(
                f'cannot change name of view column "{before.name}" to "{after.name}"',
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            )
        if (before.type_oid, before.typmod) != (after.type_oid, after.typmod):
            was = type_by_oid(before.type_oid).display(before.typmod)
            now = type_by_oid(after.type_oid).display(after.typmod)
            raise _invalid(f'cannot change data type of view column "{before.name}" from {was} to {now}')
    columns = tuple(
        msgspec.structs.replace(column, default=old.columns[at].default, acl=old.columns[at].acl)
        if at < len(old.columns)
        else column
        for at, column in enumerate(new.columns)
    )
    if any(oid == old.oid for oid, _ in new.depends):
        raise SqlError(
            Code.invalid_object_definition, f'infinite recursion detected in rules for relation "{old.name}"'
        )
    replaced = msgspec.structs.replace(new, oid=old.oid, owner=old.owner, acl=old.acl, columns=columns)
    change.writer.replace_object(replaced)
    return change.result("CREATE VIEW")


def _invalid(text: str, hint: str | None = None) -> SqlError:
    return SqlError(Code.invalid_table_definition, text, hint=hint)


def find_view(change: SchemaChange, schema: str | None, name: str) -> View | None:
    """Raises 42809 for another relation."""
    relation = find_relation(change, schema, name)
    if relation is None or isinstance(relation, View):
        return relation
    raise wrong_kind(name, "view", relation)


async def drop_view(change: SchemaChange) -> DdlResult:
    from tausql.sql.ddl.dependencies import drop_statement

    return await drop_statement(change, "view", lambda schema, name: find_view(change, schema, name))


async def alter_view(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("ALTER", "VIEW")
    missing_ok = words.take("IF", "EXISTS")
    name = words.qualified_name()
    relation = find_relation(change, name.schema, name.name)
    if relation is None:
        if not missing_ok:
            raise SqlError(Code.undefined_table, f'relation "{name}" does not exist')
        change.notice(f'relation "{name}" does not exist, skipping')
        return change.result("ALTER VIEW")
    if not isinstance(relation, View):
        if isinstance(relation, Table):
            raise SqlError(Code.wrong_object_type, f'"{name.name}" is not a view')
        raise wrong_kind(name.name, "view", relation)
    check_owner(change, relation.owner, "view", relation.name)
    await alter(change, relation, words)
    return change.result("ALTER VIEW")


async def alter(change: SchemaChange, view: View, words: Words) -> None:
    """What may be said behind ALTER VIEW name (and ALTER TABLE name of a view)."""
    changed = view
    if words.take("RENAME", "TO"):
        changed = msgspec.structs.replace(view, name=words.name())
    elif words.take("RENAME"):
        words.take("COLUMN")
        old, new, changed = _renamed(view, words)
        rename_column_in_views(change, view, old, new)
    elif words.take("OWNER", "TO"):
        from tausql.sql.ddl.roles import new_owner, role_name

        changed = msgspec.structs.replace(view, owner=new_owner(change, role_name(change, words)).oid)
    elif words.take("SET", "SCHEMA"):
        changed = msgspec.structs.replace(view, schema=creation_schema(change, words.name()).name)
    elif words.take("SET"):
        options = dict(view.options) | _options(words)
        if "check_option" in options:
            (statement,) = parse_statements(view.query)
            assert statement.node is not None
            _check_option(statement.node)
        changed = msgspec.structs.replace(view, options=tuple(options.items()))
    elif words.take("RESET"):
        gone = words.names()
        changed = msgspec.structs.replace(view, options=tuple(o for o in view.options if o[0] not in gone))
    elif words.take("ALTER"):
        words.take("COLUMN")
        changed = _with_default(change, view, words)
    else:
        raise words.error()
    words.expect_end()
    if (changed.schema, changed.name) != (view.schema, view.name):
        await change.writer.claim_names(changed.schema, {changed.name: NameRow(view.oid, "view")})
        change.writer.release_name(view.schema, view.name)
        rename_relation_in_views(change, view.oid, view.schema, view.name, changed.schema, changed.name)
    change.writer.replace_object(changed)


def _column_at(view: View, name: str) -> int:
    for at, column in enumerate(view.columns):
        if column.name == name:
            return at
    raise SqlError(Code.undefined_column, f'column "{name}" of relation "{view.name}" does not exist')


def _renamed(view: View, words: Words) -> tuple[str, str, View]:
    """The column's old name, its new one, and the view with it."""
    old = words.name()
    words.expect("TO")
    new = words.name()
    at = next((at for at, column in enumerate(view.columns) if column.name == old), None)
    if at is None:
        raise SqlError(Code.undefined_column, f'column "{old}" does not exist')
    if any(column.name == new for column in view.columns):
        raise SqlError(Code.duplicate_column, f'column "{new}" of relation "{view.name}" already exists')
    columns = list(view.columns)
    columns[at] = msgspec.structs.replace(columns[at], name=new)
    return old, new, msgspec.structs.replace(view, columns=tuple(columns))


def _with_default(change: SchemaChange, view: View, words: Words) -> View:
    at = _column_at(view, words.name())
    default: str | None = None
    if words.take("SET", "DEFAULT"):
        from tausql.sql.ddl.stored_texts import qualified_expression

        default = qualified_expression(change, parse_expression(words.rest()))
    else:
        words.expect("DROP", "DEFAULT")
    columns = list(view.columns)
    columns[at] = msgspec.structs.replace(columns[at], default=default)
    return msgspec.structs.replace(view, columns=tuple(columns))


HANDLERS = {"create_view": create_view, "alter_view": alter_view, "drop_view": drop_view}
