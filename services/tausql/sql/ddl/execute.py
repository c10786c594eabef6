"""Which schema change a statement is."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from tausql.protocol.errors import SqlError, not_supported
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.ddl.create_table import create_table
from tausql.sql.ddl.drop_table import drop_tables
from tausql.sql.ddl.indexes import create_index, drop_indexes
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement


@dataclass(slots=True)
class DdlResult:
    """What the client is told. `job_id`: the one row of CREATE INDEX ASYNC, in a text column of that name."""

    tag: str
    job_id: str | None = None
    notices: list[SqlError] = field(default_factory=list)
    jobs_entered: bool = False  # background jobs wait for this transaction's commit


async def execute(
    statement: Statement, transaction: Transaction, snapshot: Snapshot, context: Context
) -> DdlResult:
    """Run one schema change in `transaction`; nothing is visible to anyone before it commits. Raises SqlError."""
    notices: list[SqlError] = []
    node = statement.node
    path = tuple(context.session.search_path)
    if statement.kind == "create_table" and isinstance(node, exp.Create):
        await create_table(node, transaction, snapshot, path, notices)
        return DdlResult("CREATE TABLE", notices=notices)
    if statement.kind == "drop_table" and isinstance(node, exp.Drop):
        await drop_tables(node, transaction, snapshot, context, notices)
        return DdlResult("DROP TABLE", notices=notices, jobs_entered=True)
    if statement.kind == "create_index" and isinstance(node, exp.Create):
        asynchronous = bool(statement.options.get("async"))
        job_id = await create_index(node, asynchronous, transaction, snapshot, context, notices)
        return DdlResult("CREATE INDEX", job_id=job_id, notices=notices, jobs_entered=True)
    if statement.kind == "drop_index" and isinstance(node, exp.Drop):
        await drop_indexes(node, transaction, snapshot, context, notices)
        return DdlResult("DROP INDEX", notices=notices, jobs_entered=True)
    raise not_supported(f"{statement.kind.replace('_', ' ').upper()} is not supported yet")
