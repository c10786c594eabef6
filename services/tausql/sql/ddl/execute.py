"""Which schema change a statement is.

Each module of this folder knows some kinds of statements and lists them in its `HANDLERS`: from the statement's kind
(`statements.Statement.kind`) to the coroutine that runs it.
"""

from __future__ import annotations

from tausql.protocol.errors import not_supported
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.ddl import create_table, drop_table, indexes
from tausql.sql.ddl.change import DdlResult, Handler, SchemaChange
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement

HANDLERS: dict[str, Handler] = {
    **create_table.HANDLERS,
    **drop_table.HANDLERS,
    **indexes.HANDLERS,
}


async def execute(statement: Statement, transaction: Transaction, snapshot: Snapshot, context: Context) -> DdlResult:
    """Run one schema change in `transaction`; nothing is visible to anyone before it commits. Raises SqlError."""
    handler = HANDLERS.get(statement.kind)
    if handler is None:
        raise not_supported(f"{statement.kind.replace('_', ' ').upper()} is not supported yet")
    return await handler(SchemaChange(statement, transaction, snapshot, context))
