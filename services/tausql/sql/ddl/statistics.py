"""CREATE, ALTER and DROP STATISTICS: kept as they are defined; the planner makes of them what it can."""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import Statistics
from tausql.sql.ddl import limits
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.names import check_owner, creation_schema, find, find_relation, kind_of
from tausql.sql.ddl.reading import Words
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.stored_expressions import INDEX_EXPRESSION, RowScope, bound_expression

STATISTICS_MAX = 5  # of one table
COLUMNS_MAX = 8
KINDS = ("ndistinct", "dependencies", "mcv")


async def create_statistics(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("CREATE", "STATISTICS")
    exists_ok = words.take("IF", "NOT", "EXISTS")
    name = None if words.peek() in ("ON", "(") else words.qualified_name()
    kinds = _kinds(words) if words.next_is("(") else ()
    words.expect("ON")
    columns, expressions = _items(words)
    words.expect("FROM")
    place = words.qualified_name()
    if words.take(","):
        raise SqlError(Code.feature_not_supported, "only a single relation is allowed in CREATE STATISTICS")
    words.expect_end()
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{place}" does not exist')
    if not isinstance(relation, Table):
        plural = {"index": "indexes"}.get(kind_of(relation), kind_of(relation) + "s")
        raise SqlError(
            Code.wrong_object_type,
            f'cannot define statistics for relation "{place.name}"',
            detail=f"This operation is not supported for {plural}.",
        )
    check_owner(change, relation.owner, "table", relation.name)
    positions, texts = _checked(relation, columns, expressions, bool(kinds))
    schema = creation_schema(change, name.schema if name is not None else relation.schema).name
    known = change.snapshot.objects.statistics
    chosen = name.name if name is not None else _free_name(change, schema, relation, columns, texts)
    if (schema, chosen) in known:
        taken = f'statistics object "{chosen}" already exists'
        if not exists_ok:
            raise SqlError(Code.duplicate_object, taken)
        change.notice(f"{taken}, skipping", Code.duplicate_object)
        return change.result("CREATE STATISTICS")
    if sum(item.table == relation.oid for item in known.values()) >= STATISTICS_MAX:
        raise SqlError(
            Code.program_limit_exceeded, f"more than {STATISTICS_MAX} extended statistics per table are not allowed"
        )
    oid = await change.writer.take_oids(1)
    only_one = len(positions) + len(texts) == 1
    change.writer.add_object(
        Statistics(
            oid, schema, chosen, relation.oid, positions, texts, () if only_one else kinds or KINDS, change.user.oid
        )
    )
    return change.result("CREATE STATISTICS")


def _kinds(words: Words) -> tuple[str, ...]:
    names = words.names()
    for name in names:
        if name not in KINDS:
            raise SqlError(Code.syntax_error, f'unrecognized statistics kind "{name}"')
    return tuple(kind for kind in KINDS if kind in names)


def _items(words: Words) -> tuple[list[str], list[str]]:
    """(columns, expressions): a name, a call, or an expression in parentheses."""
    columns: list[str] = []
    expressions: list[str] = []
    while True:
        if words.next_is("("):
            expressions.append(words.parenthesised())
        elif words.peek(1) == "(":
            expressions.append(words.until(",", "FROM"))
        else:
            columns.append(words.name())
        if not words.take(","):
            return columns, expressions


def _checked(
    table: Table, columns: list[str], expressions: list[str], kinds: bool
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and expressions. Raises 42703, 42701, 42P17, 54011."""
    positions: list[int] = []
    for name in columns:
        column = table.column(name)
        if column is None:
            raise SqlError(Code.undefined_column, f'column "{name}" does not exist')
        if column.position in positions:
            raise SqlError(Code.duplicate_column, "duplicate column name in statistics definition")
        positions.append(column.position)
    if len(positions) + len(expressions) > COLUMNS_MAX:
        raise SqlError(Code.too_many_columns, f"cannot have more than {COLUMNS_MAX} columns in statistics")
    for text in expressions:
        bound_expression(parse_expression(text), RowScope(table.name, table.columns, INDEX_EXPRESSION))
    if len(expressions) == 1 and not positions and kinds:
        raise SqlError(
            Code.feature_not_supported,
            "when building statistics on a single expression, statistics kinds may not be specified",
        )
    if len(positions) + len(expressions) < 2 and not expressions:
        raise SqlError(Code.invalid_object_definition, "extended statistics require at least 2 columns")
    return tuple(sorted(positions)), tuple(expressions)


def _free_name(
    change: SchemaChange, schema: str, table: Table, columns: list[str], expressions: tuple[str, ...]
) -> str:
    parts = "_".join([*columns, *("expr" + (str(at) if at else "") for at in range(len(expressions)))])
    name, number = limits.object_name(table.name, parts, "stat"), 0
    while (schema, name) in change.snapshot.objects.statistics:
        number += 1
        name = limits.object_name(table.name, parts, f"stat{number}")
    return name


def _find(change: SchemaChange, schema: str | None, name: str) -> Statistics | None:
    return find(change, change.snapshot.objects.statistics, schema, name)


async def alter_statistics(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("ALTER", "STATISTICS")
    missing_ok = words.take("IF", "EXISTS")
    name = words.qualified_name()
    found = _find(change, name.schema, name.name)
    if found is None:
        missing = f'statistics object "{name}" does not exist'
        if not missing_ok:
            raise SqlError(Code.undefined_object, missing)
        change.notice(f"{missing}, skipping")
        return change.result("ALTER STATISTICS")
    check_owner(change, found.owner, "statistics object", found.name)
    changed = found
    if words.take("RENAME", "TO"):
        changed = msgspec.structs.replace(found, name=words.name())
    elif words.take("SET", "SCHEMA"):
        changed = msgspec.structs.replace(found, schema=creation_schema(change, words.name()).name)
    elif words.take("SET", "STATISTICS"):
        if not words.take("DEFAULT"):
            words.integer()  # how large a sample is: here it does not depend on it
    elif words.take("OWNER", "TO"):
        from tausql.sql.ddl.roles import new_owner, role_name

        changed = msgspec.structs.replace(found, owner=new_owner(change, role_name(change, words)).oid)
    else:
        raise words.error()
    words.expect_end()
    key = changed.schema, changed.name
    if key != (found.schema, found.name) and key in change.snapshot.objects.statistics:
        raise SqlError(
            Code.duplicate_object, f'statistics object "{changed.name}" already exists in schema "{changed.schema}"'
        )
    if changed is not found:
        change.writer.replace_object(changed)
    return change.result("ALTER STATISTICS")


async def drop_statistics(change: SchemaChange) -> DdlResult:
    from tausql.sql.ddl.dependencies import drop_statement

    return await drop_statement(change, "statistics", lambda schema, name: _find(change, schema, name))


HANDLERS = {
    "create_statistics": create_statistics,
    "alter_statistics": alter_statistics,
    "drop_statistics": drop_statistics,
}
