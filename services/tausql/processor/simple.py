"""The simple protocol: a string of statements, answered in one go.

All statements of one string share a transaction unless the string says otherwise, and the last one is committed before
the client is told that it is complete: a commit that loses its race must not follow a "done".
"""

from __future__ import annotations

from typing import Any

from tausql.pgwire import backend
from tausql.processor.copying import run_copy
from tausql.processor.execution import Executor, is_lookup_error
from tausql.processor.portals import Portal, PreparedStatement, ResultShape
from tausql.processor.prepared_by_name import bound
from tausql.processor.state import SessionState
from tausql.processor.utilities import ends_failed_block, run_utility
from tausql.protocol.errors import Code, SqlError, schema_changed
from tausql.sql.statements import Statement

KEPT_MAX = 256
REBASES_MAX = 3  # a statement alone in its transaction is run again that often where the schema has been changed


class SimpleProtocol:
    """Runs the query strings of one session."""

    __slots__ = ("_executor", "_kept", "_state")

    def __init__(self, state: SessionState, executor: Executor) -> None:
        self._state = state
        self._executor = executor
        self._kept: dict[int, PreparedStatement] = {}  # by identity of a plan: what was worked out for it

    async def run(self, sql: str) -> None:
        """Answer a Query, ReadyForQuery left out. Raises SqlError; what was answered by then stays answered."""
        state = self._state
        state.prepared.pop("", None)
        found = self._at_once(sql)
        if found is not None:
            await self._planned(*found, last=True)
            return
        statements = state.shared.plans.statements(sql)
        if not statements:
            state.output.add(backend.EMPTY_QUERY_RESPONSE)
            return
        last = len(statements) - 1
        for at, statement in enumerate(statements):
            await self._statement(statement, at == last)

    def _at_once(self, sql: str) -> tuple[PreparedStatement, list[Any]] | None:
        """The usual case: one plannable statement whose plan, literals apart, is known."""
        state = self._state
        block = state.block
        transaction = block.transaction
        if block.failed or block.temporary is not None or (transaction is not None and transaction.changes):
            return None
        shared = state.shared
        snapshot = shared.catalogue.at_hand(transaction)
        if snapshot is None:
            return None
        parameters = state.parameters
        path = parameters.search_path
        began = shared.host.monotonic()
        try:
            simple = shared.plans.simple(sql, snapshot, path, shared.system, parameters.format, parameters.disabled)
        except SqlError as error:
            if is_lookup_error(error):
                return None  # the schema at hand may be old: the long way will see
            raise
        if simple is None:
            return None
        shared.metrics.plan_seconds.observe(shared.host.monotonic() - began)
        statement, plan, params = simple
        if block.extended and "as_of" in statement.options:
            return None  # the schema at hand is not the one of then
        prepared = self._kept.get(id(plan))
        if prepared is None or prepared.plan is not plan:
            prepared = PreparedStatement("", statement, plan.parameter_types)
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[id(plan)] = prepared
        prepared.planned(plan, snapshot, path)
        return prepared, params

    async def _statement(self, statement: Statement, last: bool) -> None:
        block = self._state.block
        if block.failed and not ends_failed_block(statement):
            block.check_usable()
        if statement.needs_plan:
            prepared = PreparedStatement("", statement, ())
            await self._executor.plan(prepared)
            if prepared.plan is not None and prepared.plan.parameter_types:
                number = len(prepared.plan.parameter_types)
                raise SqlError(Code.undefined_parameter, f"there is no parameter ${number}")
            await self._planned(prepared, [], last)
        elif statement.kind == "execute":
            await self._planned(*await bound(self._state, self._executor, statement), last)
        elif statement.kind == "copy":
            tag = await run_copy(self._state, self._executor, statement)
            await self._complete(tag, last)
        else:
            left = REBASES_MAX if statement.is_ddl else 0
            while not await self._utility(statement, last, left):
                left -= 1

    async def _utility(self, statement: Statement, last: bool, left: int) -> bool:
        """Run and answer it. False: it is to be run again, on the schema of by then; `left`: how often."""
        answer = await run_utility(self._state, self._executor, statement, last)
        rows = b""
        if answer.columns is not None:
            codes = (0,) * len(answer.columns)
            shape = ResultShape(answer.columns, codes, self._state.parameters.format)
            rows = shape.description + shape.encode(answer.rows)
        return await self._committed(rows + backend.command_complete(answer.tag), last, left)

    async def _planned(self, prepared: PreparedStatement, params: list[Any], last: bool) -> None:
        state = self._state
        left = REBASES_MAX
        while True:
            plan = prepared.plan
            assert plan is not None
            portal = Portal("", prepared, params, ())
            if plan.columns is not None:
                portal.shape = prepared.shape(plan.columns, (), state.parameters.format)
                left = 0  # rows have been sent
            _, sent, tag = await self._executor.run(portal, 0, describe=True)
            if plan.kind == "query":
                complete = backend.command_complete_count("SELECT", sent)
            else:
                complete = backend.command_complete(tag)
            if await self._committed(complete, last, left):
                return
            left -= 1
            await self._executor.plan(prepared)
            if prepared.plan is None or prepared.plan.parameter_types != plan.parameter_types:
                raise schema_changed()

    async def _complete(self, tag: str, last: bool) -> None:
        await self._committed(backend.command_complete(tag), last, 0)

    async def _committed(self, answer: bytes, last: bool, left: int) -> bool:
        """Commit if this was the last statement of an implicit transaction; then answer. False: the schema has been
        changed meanwhile, and the statement, alone in its transaction, may be run again."""
        block = self._state.block
        if last and not block.in_block and not block.commit_nothing():
            try:
                await block.commit(answer, True)
            except SqlError:
                if left <= 0 or not block.outdated:
                    raise
                self._state.shared.metrics.replans += 1
                return False
        self._state.output.add(answer)
        return True
