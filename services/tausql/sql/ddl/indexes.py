"""CREATE INDEX ASYNC and DROP INDEX: the catalogue's part. A job builds the one and clears away the other."""

from __future__ import annotations

import base64

import msgspec
from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.protocol.keys import relation_prefix
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Index, IndexState, Snapshot, Table
from tausql.sql.catalogue.system import JOBS, JobRecord, NameRow, encode_row, system_keys
from tausql.sql.ddl import limits
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import identifier
from tausql.sql.expressions.context import Context
from tausql.sql.types import type_by_oid


def enter_job(transaction: Transaction, snapshot: Snapshot, context: Context, **what: object) -> str:
    """Write a new job's row; its id: 26 characters of base 32, as Aurora DSQL's are."""
    job_id = base64.b32encode(context.random_bytes(16)).decode().lower().rstrip("=")
    record = JobRecord(
        job_id=job_id,
        status="submitted",
        details="",
        start_time=context.now_us,
        update_time=context.now_us,
        **what,  # type: ignore[arg-type]  # checked by msgspec's own signature at run time
    )
    transaction.insert_row(JOBS, system_keys(snapshot.cluster).job((job_id,)), encode_row(record))
    return job_id


def _index_columns(node: exp.Index, table: Table) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Positions of the indexed columns and where NULLs go. Raises 42703, 0A000 and 54011."""
    positions: list[int] = []
    params = node.args.get("params")
    for item in params.args.get("columns") or () if params is not None else ():
        ordered = item if isinstance(item, exp.Ordered) else exp.Ordered(this=item)
        if ordered.args.get("desc"):
            raise not_supported("DESC not supported for CREATE INDEX")
        if ordered.args.get("nulls_first") and "nulls first" in ordered.sql("postgres").lower():
            raise not_supported("NULLS FIRST is not supported yet for CREATE INDEX")
        if not isinstance(ordered.this, exp.Column):
            raise not_supported("indexes on expressions are not supported yet")
        name = identifier(ordered.this.this)
        column = table.column(name)
        if column is None:
            raise SqlError(Code.undefined_column, f'column "{name}" does not exist')
        positions.append(column.position)
    if not positions:
        raise SqlError(Code.syntax_error, "CREATE INDEX needs at least one column")
    for argument, what in (("include", "INCLUDE"), ("where", "WHERE"), ("using", "USING"), ("with_storage", "WITH")):
        if params is not None and params.args.get(argument):
            raise not_supported(f"{what} not supported for CREATE INDEX" + ("" if what == "USING" else " yet"))
    limits.check_key_columns([type_by_oid(table.columns[position].type_oid) for position in positions])
    return tuple(positions), (False,) * len(positions)


def _free_name(table: Table, positions: tuple[int, ...], snapshot: Snapshot) -> str:
    columns = "_".join(table.columns[position].name for position in positions)
    name, number = limits.object_name(table.name, columns, "idx"), 0
    while (table.schema, name) in snapshot.indexes or (table.schema, name) in snapshot.tables:
        number += 1
        name = limits.object_name(table.name, columns, f"idx{number}")
    return name


async def create_index(change: SchemaChange) -> DdlResult:
    """Enter an index (write-only for now) and the job that builds it; the job's id, or None where IF NOT EXISTS found
    it there."""
    node, snapshot, writer = change.statement.node, change.snapshot, change.writer
    if not isinstance(node, exp.Create):
        raise not_supported("this form of CREATE INDEX is not supported yet")
    if node.args.get("concurrently"):
        raise not_supported("CONCURRENTLY not supported for CREATE INDEX")
    if not change.statement.options.get("async"):
        raise not_supported("unsupported mode. please use CREATE INDEX ASYNC.")
    parsed = node.this
    place = parsed.args["table"]
    schema = identifier(place.args["db"]) if place.args.get("db") is not None else None
    name_of_table = identifier(place.this)
    table = snapshot.find(schema, name_of_table, change.search_path)
    if table is None:
        raise SqlError(Code.undefined_table, f'relation "{name_of_table}" does not exist')
    positions, nulls_first = _index_columns(parsed, table)
    limits.check_index_count(len(table.indexes) + 2)
    name = identifier(parsed.this) if parsed.this is not None else _free_name(table, positions, snapshot)
    if (table.schema, name) in snapshot.indexes or (table.schema, name) in snapshot.tables:
        if not node.args.get("exists"):
            raise SqlError(Code.duplicate_table, f'relation "{name}" already exists')
        change.notice(f'relation "{name}" already exists, skipping', Code.duplicate_table)
        return change.result("CREATE INDEX")
    oid = await writer.take_oids(1)
    await writer.claim_names(table.schema, {name: NameRow(oid, "index")})
    index = Index(
        oid=oid,
        name=name,
        columns=positions,
        unique=bool(node.args.get("unique")),
        state=IndexState.building,
        nulls_first=nulls_first,
    )
    writer.replace_table(msgspec.structs.replace(table, indexes=(*table.indexes, index)))
    job_id = enter_job(
        change.transaction,
        snapshot,
        change.context,
        job_type="INDEX_BUILD",
        table_oid=table.oid,
        object_oid=oid,
        object_name=f"{table.schema}.{name}",
    )
    return change.result("CREATE INDEX", job_id=job_id, jobs_entered=True)


async def drop_indexes(change: SchemaChange) -> DdlResult:
    """Take indexes out of the catalogue and enter the jobs that remove their entries. A job that still builds one finds
    it gone and ends."""
    node, snapshot, writer, notices = change.statement.node, change.snapshot, change.writer, change.notices
    if not isinstance(node, exp.Drop):
        raise not_supported("this form of DROP INDEX is not supported yet")
    if node.args.get("concurrently"):
        raise not_supported("DROP INDEX CONCURRENTLY must be first action in transaction")
    tables: dict[int, Table] = {}
    for place in node.args["tables"]:
        schema = identifier(place.args["db"]) if place.args.get("db") is not None else "public"
        name = identifier(place.this)
        found = snapshot.indexes.get((schema, name))
        if found is None:
            _missing(snapshot, schema, name, bool(node.args.get("exists")), notices)
            continue
        table, index = tables.get(found[0].oid, found[0]), found[1]
        if index.constraint:
            raise SqlError(
                Code.object_not_in_prerequisite_state,
                f"cannot drop index {name} because constraint {name} on table {table.name} requires it",
                hint=f"You can drop constraint {name} on table {table.name} instead.",
            )
        remaining = tuple(other for other in table.indexes if other.oid != index.oid)
        tables[table.oid] = msgspec.structs.replace(table, indexes=remaining)
        writer.release_name(schema, name)
        enter_job(
            change.transaction,
            snapshot,
            change.context,
            job_type="DROP",
            table_oid=table.oid,
            object_oid=index.oid,
            object_name=f"{schema}.{name}",
            prefix=relation_prefix(snapshot.cluster, index.oid),
        )
    for table in tables.values():
        writer.replace_table(table)
    return change.result("DROP INDEX", jobs_entered=True)


def _missing(snapshot: Snapshot, schema: str, name: str, tolerated: bool, notices: list[SqlError]) -> None:
    if (schema, name) in snapshot.tables:
        raise SqlError(Code.wrong_object_type, f'"{name}" is not an index', hint="Use DROP TABLE to remove a table.")
    if not tolerated:
        raise SqlError(Code.undefined_object, f'index "{name}" does not exist')
    notices.append(SqlError(Code.successful_completion, f'index "{name}" does not exist, skipping', severity="NOTICE"))


HANDLERS = {"create_index": create_index, "drop_index": drop_indexes}
