"""A schema change of a session: run on the schema as it certainly is, within the rules of its transaction."""

from __future__ import annotations

from typing import Final

from tausql.processor.execution import Executor, view_of
from tausql.processor.reads import StaleSchemaError
from tausql.processor.state import SessionState
from tausql.protocol.errors import schema_changed
from tausql.sql.catalogue.temporary import TEMPORARY_SCHEMA
from tausql.sql.ddl import DdlResult, execute
from tausql.sql.statements import Statement

DDL_ATTEMPTS_MAX: Final = 3


async def change_schema(state: SessionState, executor: Executor, statement: Statement) -> DdlResult:
    """What it answers; its notices have been sent. Raises SqlError."""
    block = state.block
    block.check_ddl(statement.tag)
    transaction = block.current()
    transaction.executed += 1
    transaction.check_age()
    if block.extended and makes_temporary(statement, state.parameters.search_path):
        state.begin_temporary()
    catalogue = state.shared.catalogue
    # A schema change is rare and relies on the whole schema: it is looked up afresh, not after the first failure.
    snapshot = await catalogue.renewed(transaction)
    for _ in range(DDL_ATTEMPTS_MAX):
        view = view_of(transaction, snapshot)
        try:
            result: DdlResult = await execute(statement, view, snapshot, executor.context([]), state.shared.system)
            break
        except StaleSchemaError:
            if view.wrote:
                raise schema_changed() from None
            transaction.forget(((0, snapshot.version),))
            snapshot = await catalogue.renewed(transaction)
    else:
        raise schema_changed()
    transaction.catalogue = None  # the next statement of this transaction sees what it changed
    for notice in result.notices:
        state.notice(notice)
    if result.jobs_entered:
        block.jobs_entered()
    return result


def makes_temporary(statement: Statement, path: tuple[str, ...]) -> bool:
    """Whether it may be a temporary table that is made: TEMPORARY is said, or the schema of such tables."""
    return statement.kind == "create_table" and (
        bool(statement.options.get("temporary")) or path[:1] == (TEMPORARY_SCHEMA,)
    )
