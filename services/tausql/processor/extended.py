"""The extended protocol: Parse, Bind, Describe, Execute, Close.

What takes no waiting is done without a coroutine: a cached Bind and Describe are plain calls, and only Execute, which
reads, is awaited.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.pgwire import backend
from tausql.pgwire.messages import Bind, Close, Describe, Execute, Parse
from tausql.pgwire.reader import formats
from tausql.processor.copying import run_copy
from tausql.processor.execution import Executor, is_unknown_label
from tausql.processor.portals import Portal, PreparedStatement, ResultShape
from tausql.processor.simple import REBASES_MAX
from tausql.processor.state import SessionState
from tausql.processor.utilities import Answer, columns_of, ends_failed_block, parameters_of, run_utility
from tausql.protocol.errors import Code, SqlError, schema_changed
from tausql.sql.statements import Statement
from tausql.sql.types import type_by_oid

KEPT_MAX = 256
KEPT_CHARACTERS_MAX = 8_192
_SELECT_0 = backend.command_complete_count("SELECT", 0)


class ExtendedProtocol:
    """Works off the extended messages of one session.

    sync_is_next: True if a Sync has already arrived behind the present message.
    """

    __slots__ = ("_executor", "_kept", "_state", "_sync_is_next")

    def __init__(self, state: SessionState, executor: Executor, sync_is_next: Callable[[], bool]) -> None:
        self._state = state
        self._executor = executor
        self._sync_is_next = sync_is_next
        # Drivers that name no statement send its text again each time: what it came to is kept here.
        self._kept: dict[tuple[str, tuple[int, ...]], PreparedStatement] = {}

    def let_go(self) -> None:
        """The session is over."""
        self._sync_is_next = _never

    # --- Parse ---------------------------------------------------------------------------------------------------

    def parse_at_once(self, message: Parse) -> bool:
        """An unnamed statement parsed before, whose plan is still right. False: call `parse`."""
        if message.statement:
            return False
        kept = self._kept.get((message.sql, message.types))
        if kept is None or self._state.block.failed or not self._executor.is_planned(kept):
            return False
        kept.bound = False
        self._state.prepared[""] = kept
        self._state.output.add(backend.PARSE_COMPLETE)
        return True

    async def parse(self, message: Parse) -> None:
        state = self._state
        statements = state.shared.plans.statements(message.sql)
        if len(statements) > 1:
            raise SqlError(Code.syntax_error, "cannot insert multiple commands into a prepared statement")
        statement: Statement | None = statements[0] if statements else None
        if state.block.failed and not ends_failed_block(statement):
            state.block.check_usable()
        declared = tuple(type_by_oid(oid) if oid else None for oid in message.types)
        prepared = PreparedStatement(message.statement, statement, declared)
        if not message.statement:
            state.prepared.pop("", None)
        if statement is not None:
            statement.refuse()
            if statement.needs_plan:
                await self._executor.plan(prepared)
                if not message.statement and len(message.sql) <= KEPT_CHARACTERS_MAX:
                    self._keep(message, prepared)
        state.keep_statement(prepared)
        state.output.add(backend.PARSE_COMPLETE)

    def _keep(self, message: Parse, prepared: PreparedStatement) -> None:
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[message.sql, message.types] = prepared

    # --- Bind ----------------------------------------------------------------------------------------------------

    def bind_at_once(self, message: Bind) -> bool:
        """Bind a statement whose plan is right. False: call `bind`."""
        state = self._state
        prepared = state.prepared.get(message.statement)
        if prepared is None or prepared.plan is None or state.block.failed:
            return False
        if not self._executor.is_planned(prepared):
            return False
        try:
            self._bind_planned(message, prepared)
        except SqlError as error:
            if is_unknown_label(error):
                return False
            raise
        return True

    async def bind(self, message: Bind) -> None:
        state = self._state
        prepared = state.statement(message.statement)
        statement = prepared.statement
        if state.block.failed and not ends_failed_block(statement):
            state.block.check_usable()
        if statement is not None and statement.needs_plan:
            await self._executor.plan(prepared)
            try:
                self._bind_planned(message, prepared)
            except SqlError as error:
                if not is_unknown_label(error):
                    raise
                await state.shared.catalogue.renewed(state.block.current())
                await self._executor.plan(prepared)
                self._bind_planned(message, prepared)
            return
        params = prepared.parameters(message, parameters_of(statement), state.parameters.format)
        prepared.bound = True
        portal = Portal(message.portal, prepared, params, message.result_formats)
        columns = columns_of(state, statement) if statement is not None else None
        if columns is not None:
            codes = formats(message.result_formats, len(columns))
            portal.shape = ResultShape(columns, codes, state.parameters.format)
        state.keep_portal(portal)
        state.output.add(backend.BIND_COMPLETE)

    def _bind_planned(self, message: Bind, prepared: PreparedStatement) -> None:
        state = self._state
        plan = prepared.plan
        assert plan is not None
        prepared.bound = True
        format = state.parameters.format
        params = prepared.parameters(message, plan.parameter_types, format)
        codes = message.result_formats
        size = sum(len(data) for data in message.parameters if data is not None) if message.portal else 0
        portal = Portal(message.portal, prepared, params, codes, size)
        if plan.columns is not None:
            portal.shape = prepared.shape(plan.columns, codes, format)
        state.keep_portal(portal)
        state.output.add(backend.BIND_COMPLETE)

    # --- Describe and Close --------------------------------------------------------------------------------------

    def unplanned(self, name: str) -> PreparedStatement | None:
        """The statement, if it has yet to be planned: one that was prepared on another processor."""
        prepared = self._state.prepared.get(name)
        if prepared is None or prepared.plan is not None or prepared.statement is None:
            return None
        return prepared if prepared.statement.needs_plan else None

    async def plan_to_describe(self, prepared: PreparedStatement) -> None:
        self._state.block.check_usable()
        await self._executor.plan(prepared)

    def describe(self, message: Describe) -> None:
        state = self._state
        output = state.output
        if message.portal:
            portal = state.portal(message.name)
            if not portal.prepared.described:
                state.described(portal.prepared)
            output.add(backend.NO_DATA if portal.shape is None else portal.shape.description)
            return
        prepared = state.statement(message.name)
        if not prepared.described:
            state.described(prepared)
        plan = prepared.plan
        if plan is None:
            output.add(backend.parameter_description([type_.oid for type_ in parameters_of(prepared.statement)]))
            columns = columns_of(state, prepared.statement) if prepared.statement is not None else None
            if columns is None:
                output.add(backend.NO_DATA)
            else:
                shape = ResultShape(columns, (0,) * len(columns), state.parameters.format)
                output.add(shape.description)
            return
        output.add(backend.parameter_description([type_.oid for type_ in plan.parameter_types]))
        if plan.columns is None:
            output.add(backend.NO_DATA)
        else:
            output.add(prepared.shape(plan.columns, (), state.parameters.format).description)

    def close(self, message: Close) -> None:
        """Closing what is not there is no error."""
        state = self._state
        if message.portal:
            state.drop_portal(message.name)
        else:
            state.drop_statement(message.name)
        state.output.add(backend.CLOSE_COMPLETE)

    # --- Execute -------------------------------------------------------------------------------------------------

    async def execute(self, message: Execute) -> None:
        state = self._state
        portal = state.portal(message.portal)
        prepared = portal.prepared
        statement = prepared.statement
        if statement is None:
            state.output.add(backend.EMPTY_QUERY_RESPONSE)
            return
        if state.block.failed and not ends_failed_block(statement):
            state.block.check_usable()
        plan = prepared.plan
        if plan is not None:
            if portal.done:
                self._run_again(portal, plan.kind)
                return
            ended, sent, tag = await self._executor.run(portal, message.row_limit)
            if not ended:
                state.output.add(backend.PORTAL_SUSPENDED)
                return
            if plan.kind == "query":
                await self._complete(backend.command_complete_count("SELECT", sent))
                return
            left = REBASES_MAX if plan.columns is None else 0
            while not await self._committed(backend.command_complete(tag), left):
                left -= 1
                tag = await self._again(portal)
        elif statement.kind == "copy":
            tag = await run_copy(state, self._executor, statement)
            await self._complete(backend.command_complete(tag))
        else:
            await self._utility(portal, statement, message.row_limit)

    async def _utility(self, portal: Portal, statement: Statement, limit: int) -> None:
        state = self._state
        if portal.waiting is None:
            answer = await run_utility(state, self._executor, statement, self._sync_is_next(), portal.params)
            if statement.is_ddl and not limit:
                await self._schema_change(portal, statement, answer)
                return
            portal.waiting = (answer.tag, list(answer.rows))
        tag, rows = portal.waiting
        if limit and len(rows) > limit:
            now, rows = rows[:limit], rows[limit:]
            portal.waiting = (tag, rows)
            if portal.shape is not None:
                state.output.add(portal.shape.encode(now))
            state.output.add(backend.PORTAL_SUSPENDED)
            return
        portal.waiting = (tag, [])
        if rows and portal.shape is not None:
            state.output.add(portal.shape.encode(rows))
        await self._complete(backend.command_complete(tag))

    async def _schema_change(self, portal: Portal, statement: Statement, answer: Answer) -> None:
        """Answer it; first commit, and run it again where another schema change came between."""
        state = self._state
        left = REBASES_MAX
        while True:
            rows = portal.shape.encode(answer.rows) if answer.rows and portal.shape is not None else b""
            if await self._committed(rows + backend.command_complete(answer.tag), left):
                portal.waiting = (answer.tag, [])
                return
            left -= 1
            answer = await run_utility(state, self._executor, statement, True)

    async def _complete(self, complete: bytes) -> None:
        await self._committed(complete, 0)

    async def _committed(self, complete: bytes, left: int) -> bool:
        """Say that a statement is done; commit first where nothing else can come before the Sync. False: the schema has
        been changed meanwhile, and the statement, alone in its transaction, may be run again."""
        block = self._state.block
        if not block.in_block and self._sync_is_next() and not block.commit_nothing():
            try:
                await block.commit(complete, True)
            except SqlError:
                if left <= 0 or not block.outdated:
                    raise
                self._state.shared.metrics.replans += 1
                return False
        self._state.output.add(complete)
        return True

    async def _again(self, portal: Portal) -> str:
        """Run a portal's statement, which answers no rows, once more: its tag."""
        prepared = portal.prepared
        before = prepared.plan
        await self._executor.plan(prepared)
        plan = prepared.plan
        if before is None or plan is None or plan.parameter_types != before.parameter_types:
            raise schema_changed()
        fresh = Portal("", prepared, portal.params, portal.codes)
        _, _, tag = await self._executor.run(fresh, 0)
        return tag

    def _run_again(self, portal: Portal, kind: str) -> None:
        if kind != "query":
            raise SqlError(Code.object_not_in_prerequisite_state, f'portal "{portal.name}" cannot be run')
        self._state.output.add(_SELECT_0)


def _never() -> bool:
    return False
