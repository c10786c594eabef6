"""Which schema change a statement is.

Each module of this folder knows some kinds of statements and lists them in its `HANDLERS`: from the statement's kind
(`statements.Statement.kind`) to the coroutine that runs it.
"""

from __future__ import annotations

from tausql.protocol.errors import SqlError, not_supported
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.ddl import (
    alter_table,
    comments,
    create_table,
    default_privileges,
    domains,
    drop_table,
    enums,
    functions,
    grants,
    iam,
    indexes,
    roles,
    schemas,
    sequences,
    statistics,
    truncate,
    views,
)
from tausql.sql.ddl.change import DdlResult, Handler, SchemaChange
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement
from tausql.sql.system import SystemRelations
from tausql.sql.types.enums import MARK

HANDLERS: dict[str, Handler] = {
    **alter_table.HANDLERS,
    **create_table.HANDLERS,
    **default_privileges.HANDLERS,
    **drop_table.HANDLERS,
    **enums.HANDLERS,
    **grants.HANDLERS,
    **iam.HANDLERS,
    **indexes.HANDLERS,
    **comments.HANDLERS,
    **domains.HANDLERS,
    **functions.HANDLERS,
    **statistics.HANDLERS,
    **roles.HANDLERS,
    **schemas.HANDLERS,
    **sequences.HANDLERS,
    **truncate.HANDLERS,
    **views.HANDLERS,
}


async def execute(
    statement: Statement,
    transaction: Transaction,
    snapshot: Snapshot,
    context: Context,
    system: SystemRelations | None = None,
) -> DdlResult:
    """Run one schema change in `transaction`; nothing is visible to anyone before it commits. `system`: what views may
    read besides tables. Raises SqlError."""
    handler = HANDLERS.get(statement.kind)
    if handler is None:
        raise not_supported(f"{statement.kind.replace('_', ' ').upper()} is not supported yet")
    change = SchemaChange(statement, transaction, snapshot, context, system)
    try:
        return await handler(change)
    except SqlError as error:
        if MARK in error.message:
            error.message = with_enum_names(error.message, snapshot.objects, change.search_path)
        raise
