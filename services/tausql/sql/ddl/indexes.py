"""CREATE INDEX ASYNC and DROP INDEX: the catalogue's part. A job builds the one and clears away the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.protocol.storage import Scan
from tausql.sql.catalogue.descriptors import Index, IndexState, Table
from tausql.sql.catalogue.system import NameRow
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.ddl import limits
from tausql.sql.ddl.bodies_in_place import with_bodies
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import identifier
from tausql.sql.ddl.constraints import read_nulls_distinct
from tausql.sql.ddl.dependencies import CASCADE_HINT
from tausql.sql.ddl.enum_literals import LabelsMet, pinned
from tausql.sql.ddl.filling import fill_index
from tausql.sql.ddl.jobs_entry import enter_job, enter_removal
from tausql.sql.ddl.names import check_owner, find_relation, kind_of, shown, wrong_kind
from tausql.sql.ddl.naming import Names, expression_label, relation_taken, unlike
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.ddl.stored_texts import mark_enums
from tausql.sql.expressions import volatility
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.stored_expressions import INDEX_EXPRESSION, INDEX_PREDICATE, RowScope, bound_condition, bound_expression
from tausql.sql.tables import TableAccess
from tausql.sql.types import Type, type_by_oid

COMMAND = "CREATE INDEX"
NO_ASYNC = "unsupported mode. please use CREATE INDEX ASYNC."


@dataclass(slots=True)
class IndexItem:
    """`column` or `node`: one of them."""

    column: str
    node: exp.Expr | None
    nulls_first: bool


@dataclass(slots=True)
class IndexDefinition:
    unique: bool
    is_async: bool
    if_not_exists: bool
    name: str
    table: QualifiedName
    items: list[IndexItem] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    nulls_not_distinct: bool = False
    predicate: exp.Expr | None = None


def read_index(words: Words, extended: bool = False) -> IndexDefinition:
    """From CREATE on. Raises 42601, and 0A000 for clauses Aurora DSQL does not take. `extended`: the one access method
    there is may be named."""
    words.expect("CREATE")
    unique = words.take("UNIQUE")
    words.expect("INDEX")
    is_async = words.take("ASYNC")
    if words.take("CONCURRENTLY"):
        raise not_supported("CONCURRENTLY not supported for CREATE INDEX")
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = "" if words.next_is("ON") and not if_not_exists else words.name()
    words.expect("ON")
    words.take("ONLY")
    definition = IndexDefinition(unique, is_async, if_not_exists, name, words.qualified_name())
    if extended and words.next_is("USING") and words.peek(1) in ("BTREE", "BTREE_INDEX"):
        words.at += 2
    if words.next_is("USING"):
        raise not_supported("USING not supported for CREATE INDEX")
    words.expect("(")
    definition.items.append(_read_item(words))
    while words.take(","):
        definition.items.append(_read_item(words))
    words.expect(")")
    if words.take("INCLUDE"):
        definition.include = _read_include(words)
    definition.nulls_not_distinct = read_nulls_distinct(words)
    for clause in ("WITH", "TABLESPACE"):
        if words.next_is(clause):
            raise not_supported(f"{clause} not supported for CREATE INDEX")
    if words.take("WHERE"):
        definition.predicate = parse_expression(words.rest() or _missing_end(words))
    words.expect_end()
    return definition


def _missing_end(words: Words) -> str:
    raise words.error()


def _read_item(words: Words) -> IndexItem:
    """column | function(...) | (expression), [ASC] [NULLS FIRST | LAST]."""
    column, node = "", None
    if words.next_is("("):
        node = parse_expression(words.parenthesised())
    else:
        first = words.at
        column = words.name()
        if words.take("."):
            words.name()
        if words.next_is("("):
            words.parenthesised()
            node = parse_expression(words.between(first, words.at))
        elif words.at > first + 1:
            words.at -= 1
            raise words.error()
    if node is not None and isinstance(node, exp.Column) and not node.args.get("table"):
        column, node = identifier(node.this), None
    if words.next_is("COLLATE"):
        raise not_supported("COLLATE clause not supported")
    if words.next_is("DESC"):
        raise not_supported("DESC not supported for CREATE INDEX")
    words.take("ASC")
    first_said = words.take("NULLS", "FIRST")
    if not first_said:
        words.take("NULLS", "LAST")
    if not words.ended and words.peek() not in (",", ")"):
        words.name()
        raise not_supported("operator class not supported for CREATE INDEX")
    return IndexItem(column, node, first_said)


def _read_include(words: Words) -> list[str]:
    words.expect("(")
    found: list[str] = []
    while True:
        if words.next_is("(") or words.peek(1) == "(":
            raise not_supported("expressions are not supported in included columns")
        found.append(words.name())
        if not words.take(","):
            break
    words.expect(")")
    return found


def made_index(change: SchemaChange, definition: IndexDefinition, table: Table, oid: int, name: str) -> Index:
    """The descriptor. Raises 42703, 42P17, 0A000, 54011."""
    labels = LabelsMet(change.snapshot.objects) if change.snapshot.objects.domains else None
    columns: list[int] = []
    expressions: list[str] = []
    types: list[Type] = []
    bodies: set[int] = set()
    for item in definition.items:
        if item.node is None:
            column = table.column(item.column)
            if column is None:
                raise SqlError(Code.undefined_column, f'column "{item.column}" does not exist')
            columns.append(column.position)
            types.append(type_by_oid(column.type_oid))
        else:
            mark_enums(item.node, change.snapshot, change.search_path)
            scope = RowScope(table.name, table.columns, INDEX_EXPRESSION)
            scope.params.labels = labels
            node, used = with_bodies(change, item.node, scope)
            bodies.update(used)
            expr = bound_expression(node, scope)
            if volatility(expr) != "i":
                raise SqlError(Code.invalid_object_definition, "functions in index expression must be marked IMMUTABLE")
            columns.append(-1)
            expressions.append(expression_text(pinned(node, labels)))
            types.append(expr.type)
    limits.check_key_columns(types)
    include: list[int] = []
    for column_name in definition.include:
        column = table.column(column_name)
        if column is None:
            raise SqlError(Code.undefined_column, f'column "{column_name}" does not exist')
        include.append(column.position)
    predicate = None
    if definition.predicate is not None:
        mark_enums(definition.predicate, change.snapshot, change.search_path)
        scope = RowScope(table.name, table.columns, INDEX_PREDICATE)
        scope.params.labels = labels
        node, used = with_bodies(change, definition.predicate, scope)
        bodies.update(used)
        if volatility(bound_condition(node, scope, "WHERE")) != "i":
            raise SqlError(Code.invalid_object_definition, "functions in index predicate must be marked IMMUTABLE")
        predicate = expression_text(pinned(node, labels))
    return Index(
        oid=oid,
        name=name,
        columns=tuple(columns),
        unique=definition.unique,
        state=IndexState.building,
        nulls_first=tuple(item.nulls_first for item in definition.items),
        expressions=tuple(expressions),
        include=tuple(include),
        predicate=predicate,
        nulls_not_distinct=definition.nulls_not_distinct,
        covering=bool(include),
        bodies=tuple(sorted(bodies)),
    )


def column_labels(definition: IndexDefinition) -> list[str]:
    """What the index's columns are called, which its own name is made of: no two alike."""
    labels: list[str] = []
    for item in definition.items:
        labels.append(unlike(labels, item.column if item.node is None else expression_label(item.node)))
    return labels + definition.include


def _target(change: SchemaChange, place: QualifiedName) -> Table:
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{place}" does not exist', position=place.position)
    if not isinstance(relation, Table):
        kind = kind_of(relation)
        raise SqlError(
            Code.wrong_object_type,
            f'cannot create index on relation "{place.name}"',
            detail=f"This operation is not supported for {kind}{'es' if kind == 'index' else 's'}.",
        )
    check_owner(change, relation.owner, "table", relation.name)
    return relation


async def create_index(change: SchemaChange) -> DdlResult:
    """Enter an index (write-only for now) and the job that builds it; the job's id, or None where IF NOT EXISTS found
    it there."""
    extended = change.statement.dialect.extensions
    definition = read_index(change.words(), extended)
    settings = change.context.session.settings
    table = _target(change, definition.table)
    temporary = is_temporary(table.oid)
    at_once = temporary or (extended and not definition.is_async)
    if not definition.is_async and not at_once and settings.get("disable_sync_create_index", "on") != "off":
        raise not_supported(NO_ASYNC)
    name = definition.name
    if name and relation_taken(change.snapshot, table.schema, name):
        if not definition.if_not_exists:
            raise SqlError(Code.duplicate_table, f'relation "{name}" already exists')
        change.notice(f'relation "{name}" already exists, skipping', Code.duplicate_table)
        return change.result(COMMAND)
    if not name:
        label = "_".join(column_labels(definition))
        name = Names(change.snapshot, table.schema, table.name).of_index(label, "idx")
    index = made_index(change, definition, table, 0, name)
    limits.check_index_count(len(table.indexes) + 2)
    if not definition.is_async and not at_once:
        await _check_empty(change, table)
    oid = await change.writer.take_oids(1, table.schema)
    await change.writer.claim_names(table.schema, {name: NameRow(oid, "index")})
    state = IndexState.building if definition.is_async and not at_once else IndexState.ready
    index = msgspec.structs.replace(index, oid=oid, state=state)
    table = msgspec.structs.replace(table, indexes=(*table.indexes, index))
    change.writer.replace_table(table)
    if at_once:
        await fill_index(change, table, index)
    if not definition.is_async or at_once:
        return change.result(COMMAND)
    job_id = enter_job(
        change.transaction,
        change.snapshot,
        change.context,
        job_type="INDEX_BUILD",
        table_oid=table.oid,
        object_oid=oid,
        object_name=f"{table.schema}.{name}",
    )
    return change.result(COMMAND, job_id=job_id, jobs_entered=True)


async def _check_empty(change: SchemaChange, table: Table) -> None:
    """An index is built at once only where there is nothing to build. Who inserts meanwhile meets OC001."""
    access = TableAccess(change.snapshot.cluster, table)
    low, high = access.row_range()
    if await change.transaction.scan(table.oid, Scan(low, high, limit=1, page_rows=1)).next_page():
        raise not_supported(NO_ASYNC)


async def drop_indexes(change: SchemaChange) -> DdlResult:
    """Take indexes out of the catalogue and enter the jobs that remove their entries. A job that still builds one finds
    it gone and ends."""
    words = change.words()
    words.expect("DROP", "INDEX")
    if words.take("CONCURRENTLY"):
        raise not_supported("DROP INDEX CONCURRENTLY must be first action in transaction")
    missing_ok = words.take("IF", "EXISTS")
    places = [words.qualified_name()]
    while words.take(","):
        places.append(words.qualified_name())
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    tables: dict[int, Table] = {}
    for place in places:
        found = _index_named(change, place, missing_ok)
        if found is None:
            continue
        check_owner(change, found[0].owner, "index", found[1].name)
        table = tables.get(found[0].oid, found[0])
        if all(index.oid != found[1].oid for index in table.indexes):
            continue  # named twice
        _release_references(change, table, found[1], tables, cascade)
        tables[table.oid] = without_index(change, tables.get(table.oid, table), found[1])
    for table in tables.values():
        change.writer.replace_table(table)
    return change.result("DROP INDEX", jobs_entered=bool(tables))


def without_index(change: SchemaChange, table: Table, index: Index) -> Table:
    """The table without an index, whose name is free and whose entries a job removes."""
    change.writer.release_name(table.schema, index.name)
    enter_removal(change, table.oid, index.oid, f"{table.schema}.{index.name}", index.storage)
    remaining = tuple(other for other in table.indexes if other.oid != index.oid)
    return msgspec.structs.replace(table, indexes=remaining)


def _index_named(change: SchemaChange, place: QualifiedName, missing_ok: bool) -> tuple[Table, Index] | None:
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        _refuse_primary_key(change, place)
        missing = f'index "{place}" does not exist'
        if not missing_ok:
            raise SqlError(Code.undefined_object, missing)
        change.notice(f"{missing}, skipping")
        return None
    if not isinstance(relation, tuple):
        raise wrong_kind(place.name, "index", relation)
    table, index = relation
    if index.constraint:
        raise _required(change, index.name, table)
    return relation


def _refuse_primary_key(change: SchemaChange, place: QualifiedName) -> None:
    for schema in (place.schema,) if place.schema is not None else change.search_path:
        for table in change.snapshot.tables.values():
            if table.primary_key and table.schema == schema and table.primary_key_name == place.name:
                raise _required(change, place.name, table)


def _required(change: SchemaChange, name: str, table: Table) -> SqlError:
    on = f"constraint {name} on table {shown(change, table.schema, table.name)}"
    return SqlError(
        Code.dependent_objects_still_exist,
        f"cannot drop index {name} because {on} requires it",
        hint=f"You can drop {on} instead.",
    )


def _release_references(
    change: SchemaChange, table: Table, index: Index, tables: dict[int, Table], cascade: bool
) -> None:
    """Foreign keys rely on the unique index they point at."""
    for oid in table.referenced_by:
        child = tables.get(oid) or change.snapshot.by_oid.get(oid)
        keys = [key for key in child.foreign_keys if key.key == index.oid] if child is not None else []
        if child is None or not keys:
            continue
        lines = [f"constraint {key.name} on table {shown(change, child.schema, child.name)}" for key in keys]
        if not cascade:
            raise SqlError(
                Code.dependent_objects_still_exist,
                f"cannot drop index {index.name} because other objects depend on it",
                detail="\n".join(f"{line} depends on index {index.name}" for line in lines),
                hint=CASCADE_HINT,
            )
        for line in lines:
            change.notice(f"drop cascades to {line}")
        kept = tuple(key for key in child.foreign_keys if key not in keys)
        tables[oid] = msgspec.structs.replace(child, foreign_keys=kept)


HANDLERS = {"create_index": create_index, "drop_index": drop_indexes}
