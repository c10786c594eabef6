"""DROP TABLE: out of the catalogue at once, its rows and index entries by a job."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import relation_prefix
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.store import CatalogueWriter
from tausql.sql.ddl.columns import identifier
from tausql.sql.ddl.indexes import enter_job
from tausql.sql.expressions.context import Context


async def drop_tables(
    node: exp.Drop, transaction: Transaction, snapshot: Snapshot, context: Context, notices: list[SqlError]
) -> None:
    """Raises 42P01 for a table that is not there, unless IF EXISTS was said; 42809 for an index."""
    writer = CatalogueWriter(transaction, snapshot)
    dropped: set[int] = set()
    for place in node.args["tables"]:
        schema = identifier(place.args["db"]) if place.args.get("db") is not None else None
        name = identifier(place.this)
        table = snapshot.find(schema, name, tuple(context.session.search_path))
        if table is None:
            if (schema or "public", name) in snapshot.indexes:
                raise SqlError(
                    Code.wrong_object_type, f'"{name}" is not a table', hint="Use DROP INDEX to remove an index."
                )
            if not node.args.get("exists"):
                raise SqlError(Code.undefined_table, f'table "{name}" does not exist')
            notices.append(
                SqlError(Code.successful_completion, f'table "{name}" does not exist, skipping', severity="NOTICE")
            )
            continue
        if table.oid in dropped:
            continue
        dropped.add(table.oid)
        writer.remove_table(table)
        for oid in (table.oid, *(index.oid for index in table.indexes)):
            enter_job(
                transaction,
                snapshot,
                context,
                job_type="DROP",
                table_oid=table.oid,
                object_oid=oid,
                object_name=f"{table.schema}.{table.name}",
                prefix=relation_prefix(snapshot.cluster, oid),
            )
