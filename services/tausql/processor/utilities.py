"""Statements that need no plan: transaction control, SET and SHOW, schema changes, CALL and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tausql.pgwire import backend
from tausql.processor.analyzing import run_analyze
from tausql.processor.constraints import set_constraints
from tausql.processor.execution import Executor
from tausql.processor.parameters import not_settable
from tausql.processor.past import read_at
from tausql.processor.portals import Row
from tausql.processor.prepared_by_name import prepare
from tausql.processor.schema_changes import change_schema
from tausql.processor.state import SessionState
from tausql.processor.table_from_query import create_table_from_query
from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.engine import ResultColumn
from tausql.sql.statements import Statement
from tausql.sql.types import Type
from tausql.sql.types.builtin import BOOL, TEXT, VOID


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
    if statement.kind in ("create_index", "alter_table") and statement.options.get("async"):
        return text_columns("job_id")
    if statement.kind == "testing":
        type_ = BOOL if statement.options["name"] == "jobs_held" else VOID
        return (ResultColumn(statement.options["label"], type_, -1, 0, 0),)
    if statement.kind == "call" and state.shared.procedures is not None:
        return state.shared.procedures.columns(statement)
    return None


def ends_failed_block(statement: Statement | None) -> bool:
    """COMMIT, ROLLBACK and ROLLBACK TO are all that a failed transaction block takes."""
    return statement is not None and statement.kind in ("commit", "rollback", "rollback_to")


async def run_utility(
    state: SessionState, executor: Executor, statement: Statement, last: bool, params: Sequence[Any] = ()
) -> Answer:
    """Run a statement that is not planned; `last`: the client's request ends with it; `params`: of CALL. Raises
    SqlError."""
    kind = statement.kind
    if kind in ("begin", "commit", "rollback"):
        return await _transaction_control(state, statement, last)
    if kind == "rollback_to":
        state.close_portals_after(state.block.back_to(statement.options["name"]))
        return Answer("ROLLBACK")
    state.block.check_usable()
    state.shared.metrics.statements["ddl" if statement.is_ddl else "utility"] += 1
    statement.refuse()
    if statement.is_ddl:
        result = await change_schema(state, executor, statement)
        rows: list[Row] = [] if result.job_id is None else [[result.job_id]]
        return Answer(result.tag, columns_of(state, statement), rows)
    if kind == "table_from_query":
        return Answer(await create_table_from_query(state, executor, statement))
    if kind == "set":
        return _set(state, statement)
    if kind == "show":
        return _show(state, statement)
    if kind == "reset":
        state.block.current()  # as SET is part of a transaction
        state.parameters.reset(statement.options["name"])
        return Answer("RESET")
    if kind == "set_constraints":
        await set_constraints(state, statement)
        return Answer("SET CONSTRAINTS")
    if kind == "deallocate":
        return _deallocate(state, statement)
    if kind == "analyze":
        await run_analyze(state, statement)
        return Answer("ANALYZE")
    if kind == "call":
        return await _call(state, executor, statement, params)
    if kind == "savepoint":
        state.block.savepoint(statement.options["name"])
        return Answer(statement.tag)
    if kind == "release":
        state.block.release(statement.options["name"])
        return Answer(statement.tag)
    if kind == "prepare":
        await prepare(state, executor, statement)
        return Answer(statement.tag)
    if kind == "execute":
        raise not_supported("EXECUTE not supported in the extended protocol")
    if kind == "testing":
        return await _demand(state, statement)
    if kind in ("nothing", "lock_table", "discard"):
        return _harmless(state, statement)
    raise not_supported(f"unsupported statement: {statement.tag.title().replace(' ', '') or kind}")


async def _transaction_control(state: SessionState, statement: Statement, last: bool) -> Answer:
    block = state.block
    if statement.kind == "begin":
        block.check_usable()
        isolation = statement.options.get("isolation")
        if isolation not in (None, "REPEATABLE READ"):
            raise not_supported(f"Unsupported isolation level: {isolation}")
        warning = block.begin(statement.options.get("read_only"))
        if warning is not None:
            state.notice(warning)
        elif "as_of" in statement.options:
            read_at(block, statement.options["as_of"], state.shared.clock(), state.parameters.format)
            state.parameters.read_only(True)
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
    if "modes" in options:
        return _set_modes(state, statement)
    state.block.current()  # SET is part of a transaction
    if name == "session_authorization" and statement.dialect.lenient and options["value"] in (None, state.user):
        return Answer("SET")  # it never was another
    state.set_parameter(name, options["value"], local)
    return Answer("SET")


def _set_modes(state: SessionState, statement: Statement) -> Answer:
    """SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION. The second one with the one isolation level there
    is changes nothing, and drivers send it; the rest is refused unless the cluster is lenient."""
    options = statement.options
    name: str = options["name"]
    modes: dict[str, Any] | None = options["modes"]
    if modes is None:  # SET TRANSACTION SNAPSHOT
        raise not_settable(name)
    isolation = modes.get("isolation")
    only_isolation = modes.get("read_only") is None and modes.get("deferrable") is None
    lenient = statement.dialect.lenient
    if not lenient and not (name == "SESSION CHARACTERISTICS" and only_isolation):
        raise not_settable(name)
    if isolation not in (None, "REPEATABLE READ"):
        raise not_supported(f"Unsupported isolation level: {isolation}")
    block = state.block
    block.current()
    read_only = modes.get("read_only")
    if name == "SESSION CHARACTERISTICS":
        if read_only is not None:
            state.parameters.set("default_transaction_read_only", "on" if read_only else "off", False)
    elif not block.in_block:
        message = "SET TRANSACTION can only be used in transaction blocks"
        state.notice(SqlError(Code.no_active_sql_transaction, message, severity="WARNING"))
    elif read_only is not None:
        block.access_mode(read_only)
    return Answer("SET")


async def _demand(state: SessionState, statement: Statement) -> Answer:
    """What is to go wrong: only with `tausql.testing`."""
    demands, faults = state.shared.demands, state.block.faults
    if demands is None or faults is None:
        raise not_supported("tausql.testing is off")
    value = await demands.answer(faults, statement)
    if statement.options["name"] == "fail_next_commit" and state.carried is not None:
        state.carried.stay("its commits fail on demand")
    return Answer(statement.tag, columns_of(state, statement), [[value]])


def _harmless(state: SessionState, statement: Statement) -> Answer:
    """What tools send and nothing here needs: only with `tausql.lenient`."""
    if statement.kind == "lock_table":
        if not state.block.in_block:
            raise SqlError(Code.no_active_sql_transaction, "LOCK TABLE can only be used in transaction blocks")
    elif statement.kind == "discard":
        if state.block.in_block and statement.options["all"]:
            raise SqlError(Code.active_sql_transaction, "DISCARD ALL cannot run inside a transaction block")
        if statement.options["temporary"] and state.block.temporary is not None:
            state.block.temporary.discard(state.block.current().statement((), False).mark)
        if statement.options["all"]:
            state.block.current()
            state.parameters.reset("role")
            state.parameters.reset("all")
            state.drop_statements()
    return Answer(statement.tag)


def _show(state: SessionState, statement: Statement) -> Answer:
    name: str = statement.options["name"]
    if name == "all":
        rows: list[Row] = [list(row) for row in state.parameters.all()]
        return Answer("SHOW", text_columns(*_SHOW_ALL), rows)
    shown, value = state.parameters.show(name)
    return Answer("SHOW", text_columns(shown), [[value]])


def _deallocate(state: SessionState, statement: Statement) -> Answer:
    name: str | None = statement.options["name"]
    dialect = statement.dialect
    if name is not None and not (dialect.extensions or dialect.lenient):
        raise not_supported("unsupported statement: Deallocate", hint="DEALLOCATE ALL is supported.")
    if name is not None:
        state.statement(name)
        state.drop_statement(name)
        return Answer("DEALLOCATE")
    state.drop_statements()
    return Answer("DEALLOCATE ALL")


def parameters_of(statement: Statement | None) -> tuple[Type, ...]:
    """The types of the parameters that such a statement takes: text, where it takes any."""
    return () if statement is None else (TEXT,) * statement.options.get("parameters", 0)


async def _call(state: SessionState, executor: Executor, statement: Statement, params: Sequence[Any]) -> Answer:
    procedures = state.shared.procedures
    if procedures is None:
        raise not_supported("unsupported statement: Call")
    if state.block.in_block:
        raise SqlError(Code.active_sql_transaction, "CALL cannot run inside a transaction block")
    rows: list[list[Any]] = await procedures.call(statement, executor.context(list(params)))
    return Answer("CALL", procedures.columns(statement), rows)
