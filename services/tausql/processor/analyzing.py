"""ANALYZE, the statement: each table in a transaction of its own."""

from __future__ import annotations

from tausql.processor.state import SessionState
from tausql.protocol.errors import Code, SqlError
from tausql.sql.analyzing import read_analyze, resolved
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.privileges import is_member
from tausql.sql.statements import Statement


async def run_analyze(state: SessionState, statement: Statement) -> None:
    """Raises SqlError: 25001 within a block, 42P01 and 42703 for names that mean nothing."""
    if state.block.in_block:
        raise SqlError(Code.active_sql_transaction, "ANALYZE cannot run inside a transaction block")
    targets = read_analyze(statement.text)
    catalogue, keeper = state.shared.catalogue, state.shared.statistics
    snapshot = await catalogue.renewed(state.block.current())
    for table, attnums in resolved(targets, snapshot, state.parameters.search_path):
        if is_temporary(table.oid):
            continue  # nobody keeps statistics of what only one session sees
        if _may(state, table):
            await keeper.analyze(table.oid, attnums)
        elif targets:
            message = f'permission denied to analyze "{table.name}", skipping it'
            state.notice(SqlError(Code.insufficient_privilege, message, severity="WARNING"))
    await keeper.refresh()


def _may(state: SessionState, table: Table) -> bool:
    """Whether the session's user owns the table."""
    shared = state.shared.catalogue.shared
    if shared is None:
        return True
    role = shared.objects.roles.get(state.user)
    return role is None or role.oid == table.owner or is_member(shared.objects, role, table.owner)
