"""Statements that need no plan: transaction control, SET and SHOW, schema changes, CALL and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tausql.pgwire import backend
from tausql.processor.execution import Executor, view_of
from tausql.processor.portals import Row
from tausql.processor.reads import StaleSchemaError
from tausql.processor.state import SessionState
from tausql.protocol.errors import Code, SqlError, not_supported, schema_changed
from tausql.sql.ddl import DdlResult, execute
from tausql.sql.engine import ResultColumn
from tausql.sql.statements import Statement
from tausql.sql.types.builtin import TEXT

DDL_ATTEMPTS_MAX = 3


class Answer(NamedTuple):
    """What such a statement says. `columns` None: no rows."""

    tag: str
    columns: tuple[ResultColumn, ...] | None = None
    rows: Sequence[Row] = ()


_COMMIT = backend.command_complete("COMMIT")
_SHOW_ALL = ("name", "setting", "description")


def text_columns(*names: str) -> tuple[ResultColumn, ...]:
    return tuple(ResultColumn(name, TEXT, -1, 0, 0) for name in names)


def columns_of(state: SessionState, statement: Statement) -> tuple[ResultColumn, ...] | None:
    """The columns such a statement will answer with, before it runs."""
    if statement.kind == "show":
        name = statement.options["name"]
        if name == "all":
            return text_columns(*_SHOW_ALL)
        return text_columns(state.parameters.show(name)[0])
    if statement.kind == "set_config":
        return text_columns(statement.options["label"])
    if statement.kind == "create_index" and statement.options.get("async"):
        return text_columns("job_id")
    if statement.kind == "call" and state.shared.procedures is not None:
        return state.shared.procedures.columns(statement)
    return None


def ends_failed_block(statement: Statement | None) -> bool:
    """COMMIT and ROLLBACK are all that a failed transaction block takes."""
    return statement is not None and statement.kind in ("commit", "rollback")


async def run_utility(state: SessionState, executor: Executor, statement: Statement, last: bool) -> Answer:
    """Run a statement that is not planned; `last`: the client's request ends with it. Raises SqlError."""
    kind = statement.kind
    if kind in ("begin", "commit", "rollback"):
        return await _transaction_control(state, statement, last)
    state.block.check_usable()
    state.shared.metrics.statements["ddl" if statement.is_ddl else "utility"] += 1
    statement.refuse()
    if statement.is_ddl:
        return await _ddl(state, executor, statement)
    if kind == "set":
        return _set(state, statement)
    if kind == "set_config":
        return _set_config(state, statement)
    if kind == "show":
        return _show(state, statement)
    if kind == "reset":
        state.block.current()  # as SET is part of a transaction
        state.parameters.reset(statement.options["name"])
        return Answer("RESET")
    if kind == "set_constraints":
        return Answer("SET CONSTRAINTS")
    if kind == "deallocate":
        return _deallocate(state, statement)
    if kind == "analyze":
        if state.block.in_block:
            raise SqlError(Code.active_sql_transaction, "ANALYZE cannot run inside a transaction block")
        return Answer("ANALYZE")
    if kind == "call":
        return await _call(state, executor, statement)
    raise not_supported(f"unsupported statement: {statement.tag.title().replace(' ', '') or kind}")


async def _transaction_control(state: SessionState, statement: Statement, last: bool) -> Answer:
    block = state.block
    if statement.kind == "begin":
        block.check_usable()
        isolation = statement.options.get("isolation")
        if isolation not in (None, "REPEATABLE READ"):
            raise not_supported(f"Unsupported isolation level: {isolation}")
        warning = block.begin(bool(statement.options.get("read_only")))
        if warning is not None:
            state.notice(warning)
        return Answer(statement.tag)
    if not block.in_block:
        state.notice(
            SqlError(Code.no_active_sql_transaction, "there is no transaction in progress", severity="WARNING")
        )
    lost = block.lost if statement.kind == "commit" else None
    if statement.kind == "rollback" or block.failed:
        block.rollback()
        if lost is not None:  # a COMMIT that said ROLLBACK would pass for success with many clients
            raise lost
        return Answer("ROLLBACK")
    if not block.commit_nothing():
        await block.commit(_COMMIT, last)
    return Answer("COMMIT")


def _set(state: SessionState, statement: Statement) -> Answer:
    options = statement.options
    name: str = options["name"]
    local: bool = options["local"]
    if local and not state.block.in_block:
        state.notice(
            SqlError(
                Code.no_active_sql_transaction,
                "SET LOCAL can only be used in transaction blocks",
                severity="WARNING",
            )
        )
    state.block.current()  # SET is part of a transaction
    state.parameters.set(name, options["value"], local)
    return Answer("SET")


def _set_config(state: SessionState, statement: Statement) -> Answer:
    """SET as a function: answers the value as SHOW would. Unlike SET LOCAL it says nothing outside a transaction."""
    options = statement.options
    state.block.current()
    name: str = options["name"]
    state.parameters.set(name, options["value"], options["local"])
    return Answer("SELECT 1", text_columns(options["label"]), [[state.parameters.show(name)[1]]])


def _show(state: SessionState, statement: Statement) -> Answer:
    name: str = statement.options["name"]
    if name == "all":
        rows: list[Row] = [[shown, value, ""] for shown, value in state.parameters.all()]
        return Answer("SHOW", text_columns(*_SHOW_ALL), rows)
    shown, value = state.parameters.show(name)
    return Answer("SHOW", text_columns(shown), [[value]])


def _deallocate(state: SessionState, statement: Statement) -> Answer:
    name: str | None = statement.options["name"]
    if name is not None:
        raise not_supported("unsupported statement: Deallocate", hint="DEALLOCATE ALL is supported.")
    state.drop_statements()
    return Answer("DEALLOCATE ALL")


async def _ddl(state: SessionState, executor: Executor, statement: Statement) -> Answer:
    block = state.block
    block.check_ddl(statement.tag)
    transaction = block.current()
    transaction.check_age()
    catalogue = state.shared.catalogue
    # A schema change is rare and relies on the whole schema: it is looked up afresh, not after the first failure.
    snapshot = await catalogue.renewed(transaction)
    for _ in range(DDL_ATTEMPTS_MAX):
        view = view_of(transaction, snapshot)
        try:
            result: DdlResult = await execute(statement, view, snapshot, executor.context([]))
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
    rows: list[Row] = [] if result.job_id is None else [[result.job_id]]
    return Answer(result.tag, columns_of(state, statement), rows)


async def _call(state: SessionState, executor: Executor, statement: Statement) -> Answer:
    procedures = state.shared.procedures
    if procedures is None:
        raise not_supported("unsupported statement: Call")
    if state.block.in_block:
        raise SqlError(Code.active_sql_transaction, "CALL cannot run inside a transaction block")
    rows: list[list[Any]] = await procedures.call(statement, executor.context([]))
    return Answer("CALL", procedures.columns(statement), rows)
