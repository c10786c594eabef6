"""DROP TABLE: out of the catalogue at once, its rows and index entries by a job."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.protocol.keys import relation_prefix
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import identifier
from tausql.sql.ddl.indexes import enter_job


async def drop_tables(change: SchemaChange) -> DdlResult:
    """Raises 42P01 for a table that is not there, unless IF EXISTS was said; 42809 for an index."""
    node, snapshot, writer = change.statement.node, change.snapshot, change.writer
    if not isinstance(node, exp.Drop):
        raise not_supported("this form of DROP TABLE is not supported yet")
    dropped: set[int] = set()
    for place in node.args["tables"]:
        schema = identifier(place.args["db"]) if place.args.get("db") is not None else None
        name = identifier(place.this)
        table = snapshot.find(schema, name, change.search_path)
        if table is None:
            if (schema or "public", name) in snapshot.indexes:
                raise SqlError(
                    Code.wrong_object_type, f'"{name}" is not a table', hint="Use DROP INDEX to remove an index."
                )
            if not node.args.get("exists"):
                raise SqlError(Code.undefined_table, f'table "{name}" does not exist')
            change.notice(f'table "{name}" does not exist, skipping')
            continue
        if table.oid in dropped:
            continue
        dropped.add(table.oid)
        writer.remove_table(table)
        for oid in (table.oid, *(index.oid for index in table.indexes)):
            enter_job(
                change.transaction,
                snapshot,
                change.context,
                job_type="DROP",
                table_oid=table.oid,
                object_oid=oid,
                object_name=f"{table.schema}.{table.name}",
                prefix=relation_prefix(snapshot.cluster, oid),
            )
    return change.result("DROP TABLE", jobs_entered=True)


HANDLERS = {"drop_table": drop_tables}
