"""Running planned statements: plan, open, fetch, send; and plan again where the schema turned out to have moved on.

A statement may be planned anew only as long as nothing of it has shown: no row sent, nothing written by it. Beyond that
a stale plan is OC001, and the client retries the transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from tausql.processor.coroutines import Wait
from tausql.processor.past import read_at
from tausql.processor.portals import Portal, PreparedStatement, Row, same_columns
from tausql.processor.reads import StaleSchemaError
from tausql.processor.state import SessionState
from tausql.processor.transaction import StatementView, Transaction, Versions
from tausql.protocol.errors import Code, SqlError, not_supported, schema_changed
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.engine import Execution, Prepared, QueryExecution, prepare
from tausql.sql.execution.writes import Write
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.sequences import PendingCall
from tausql.sql.sleeping import PendingSleep, sleep_done
from tausql.sql.statements import Statement

REPLANS_MAX = 3
FIRST_ROWS = 32
CHUNK_ROWS_MAX = 1_000
CHUNK_BYTES = 128 * 1024
_TOO_LATE_SECONDS = 0.001  # past a transaction's age
BUSY_SECONDS = 0.01  # a result that takes longer lets other sessions run in between, and can be cancelled

# Errors that a schema newer than the one planned with may not have.
_LOOKUP_ERRORS = frozenset(
    (
        Code.undefined_table,
        Code.undefined_column,
        Code.undefined_object,
        Code.undefined_function,
        Code.invalid_schema_name,
        Code.ambiguous_column,
        Code.datatype_mismatch,
        Code.invalid_column_reference,
    )
)


_TYPE_ERRORS = frozenset((Code.datatype_mismatch, Code.undefined_function))


class Executor:
    """Plans and runs statements of one session."""

    __slots__ = (
        "_busy_since",
        "_catalogue",
        "_plans",
        "_sequences",
        "_state",
        "_system",
    )

    def __init__(self, state: SessionState) -> None:
        self._state = state
        shared = state.shared
        self._catalogue = shared.catalogue
        self._plans = shared.plans
        self._system = shared.system
        self._sequences = state.sequences
        self._busy_since = 0.0

    # --- planning ------------------------------------------------------------------------------------------------

    def is_planned(self, prepared: PreparedStatement) -> bool:
        """True if its plan fits the schema at hand."""
        snapshot = prepared.snapshot
        return (
            snapshot is not None
            and snapshot is self._catalogue.at_hand(self._state.block.transaction)
            and prepared.path is self._state.parameters.search_path
        )

    async def plan(self, prepared: PreparedStatement) -> None:
        """Make sure its plan fits the schema at hand. Raises SqlError."""
        if self._state.block.extended:
            self._go_back(prepared)
        transaction = self._state.block.current()
        if transaction.as_of and transaction.catalogue is None:
            await self._catalogue.renewed(transaction)  # the schema of then, not the one at hand
        snapshot = await self._catalogue.of(transaction)
        path = self._state.parameters.search_path
        if prepared.snapshot is snapshot and prepared.path is path:
            return
        statement = prepared.statement
        assert statement is not None
        try:
            plan = self.prepare(statement, snapshot, prepared.declared)
        except SqlError as error:
            renewed = await self._renewed_after(error, snapshot, transaction)
            if renewed is None:
                raise
            snapshot = renewed
            plan = self.prepare(statement, snapshot, prepared.declared)
        prepared.planned(plan, snapshot, path)

    def _go_back(self, prepared: PreparedStatement) -> None:
        """AS OF SYSTEM TIME, where the statement has it."""
        statement = prepared.statement
        if statement is not None and "as_of" in statement.options:
            state = self._state
            read_at(state.block, statement.options["as_of"], state.shared.clock(), state.parameters.format)

    async def _renewed_after(self, error: SqlError, snapshot: Snapshot, transaction: Transaction) -> Snapshot | None:
        """The schema to look a name up in again, if it is another one."""
        if not is_lookup_error(error):
            return None
        renewed = await self._catalogue.renewed(transaction)
        if renewed is snapshot:
            return None
        self._state.shared.metrics.replans += 1
        return renewed

    def prepare(self, statement: Statement, snapshot: Snapshot, declared: Sequence[Any]) -> Prepared:
        path = self._state.parameters.search_path
        disabled = self._state.parameters.disabled
        transaction = self._state.block.transaction
        shared = self._state.shared
        began = shared.host.monotonic()
        if transaction is not None and transaction.changes:
            # The schema with this transaction's own changes has a version others know as another schema.
            plan = prepare(statement, snapshot, path, tuple(declared), self._system, disabled=disabled)
        else:
            own = None if transaction is None else transaction.temporary
            plans = self._plans if own is None else own.plans
            plan = plans.prepare(statement, snapshot, path, tuple(declared), self._system, disabled)
        seconds = shared.host.monotonic() - began
        shared.metrics.plan_seconds.observe(seconds)
        if plan.explain is not None:
            plan.planning_ms = seconds * 1000
        return plan

    # --- running -------------------------------------------------------------------------------------------------

    async def run(self, portal: Portal, limit: int, describe: bool = False) -> tuple[bool, int, str]:
        """Send rows of a planned portal, at most `limit` (0 = all). (whether it has ended, rows sent, tag).

        describe: say before the first row what columns there are."""
        sent = 0
        chunk = FIRST_ROWS
        if limit and limit < chunk:
            chunk = limit
        if not portal.started:
            rows = await self._first(portal, chunk)
        else:
            rows = await self._more(portal, chunk)
        execution = portal.execution
        assert execution is not None
        shape = portal.shape
        output = self._state.output
        if describe and shape is not None:
            output.add(shape.description)
        host = self._state.shared.host
        busy_since = 0.0
        while True:
            if rows and shape is not None:
                data = shape.encode(rows)
                output.add(data)
                sent += len(rows)
                if output.full:
                    await self.drain()
                chunk = _next_chunk(len(rows), len(data))
            if execution.done:
                self._state.settle_portal(portal)
                portal.done = True
                return True, sent, execution.tag
            if limit:
                if sent >= limit:
                    return False, sent, ""
                chunk = min(chunk, limit - sent)
            now = host.monotonic()
            if now - busy_since > BUSY_SECONDS:
                if busy_since:
                    await self._state.shared.share.turn()
                busy_since = now
            rows = await self._more(portal, chunk)
            execution = portal.execution  # it may have been started over
            assert execution is not None

    async def collect(self, prepared: PreparedStatement, params: list[Any]) -> Execution:
        """Run a statement whose rows nobody sees (COPY FROM's inserts) to its end."""
        if not self.is_planned(prepared):
            await self.plan(prepared)
        portal = Portal("", prepared, params, ())
        await self._first(portal, 0)
        assert portal.execution is not None
        return portal.execution

    async def drain(self) -> None:
        """Write, and wait until the client has taken enough of it."""
        output = self._state.output
        output.flush()
        writable = output.writable()
        if writable is not None:
            await writable

    async def rows(self, portal: Portal, count: int) -> list[Row]:
        """The next rows of a planned portal; an empty list at the end."""
        if not portal.started:
            return await self._first(portal, count)
        if portal.execution is None or portal.execution.done:
            return []
        return await self._more(portal, count)

    async def _first(self, portal: Portal, count: int) -> list[Row]:
        """Start a portal: its first rows."""
        state = self._state
        block = state.block
        prepared = portal.prepared
        portal.started = True
        plan = prepared.plan
        assert plan is not None
        state.shared.metrics.statements[plan.kind] += 1
        if plan.writes:
            block.check_writable(plan.kind.upper() if plan.kind != "query" else _locking(prepared))
        if block.extended:
            self._go_back(prepared)
        transaction = block.current()
        transaction.executed += 1
        transaction.check_age()
        if plan.system:
            await self._check_system(portal, transaction)
        facts = state.facts()
        user = facts.user
        for _ in range(REPLANS_MAX):
            plan = prepared.plan
            assert plan is not None
            if plan.needs_snapshot:
                transaction.take_snapshot()
            roles = plan.permitted.get(user)
            if roles is None:
                roles = await self._permitted(portal, transaction, user)
                plan = prepared.plan
                assert plan is not None
            versions = plan.reads_relations if not roles else plan.reads_relations + roles
            view = portal.view = transaction.statement(versions, plan.writes)
            portal.undo = transaction.mark(None) if plan.parts else None
            context = portal.context = self._context(transaction, portal.params, facts)
            execution = plan.open(view, context)
            if transaction.open_marks:
                self._share_memory(execution)
            try:
                rows: list[Row] = await execution.fetch(count)
            except PendingCall as pending:
                execution, rows = await self._started_over(portal, execution, pending, 0, count)
            except StaleSchemaError:
                execution.close()
                if view.wrote:
                    raise schema_changed() from None
                transaction.forget(versions)
                await self._replan(portal, transaction)
                continue
            except SqlError as error:  # a name within a value ('orders'::regclass) may be newer than the schema at hand
                execution.close()
                assert prepared.snapshot is not None
                renewed = None
                if not view.wrote:
                    renewed = await self._renewed_after(error, prepared.snapshot, transaction)
                if renewed is None:
                    raise
                await self._replan(portal, transaction, renewed)
                continue
            except BaseException:
                execution.close()
                raise
            portal.execution = execution
            if not execution.done:
                transaction.open_marks.add(view.mark)
            return rows
        raise schema_changed()

    def _share_memory(self, execution: Execution) -> None:
        """The budget is the transaction's: what its suspended portals hold is not there for this statement."""
        memory = execution.memory
        if memory is not None:
            others = (portal.execution for portal in self._state.portals.values())
            held = (other.memory for other in others if other is not None and other is not execution)
            memory.beside = sum([each.used for each in held if each is not None])

    async def _permitted(self, portal: Portal, transaction: Transaction, user: str) -> Versions:
        """The roles whose rights the user needs for the portal's plan. Raises 42501, by the schema as it is now."""
        plan = portal.prepared.plan
        assert plan is not None
        try:
            return plan.permit(user)
        except SqlError:
            renewed = await self._catalogue.renewed(transaction)
            if renewed is portal.prepared.snapshot:
                raise
        await self._replan(portal, transaction, renewed)
        plan = portal.prepared.plan
        assert plan is not None
        return plan.permit(user)

    async def _more(self, portal: Portal, count: int) -> list[Row]:
        execution = portal.execution
        if execution is None:  # the transaction it was opened in is over
            raise SqlError(Code.object_not_in_prerequisite_state, f'portal "{portal.name}" cannot be run')
        transaction = self._state.block.current()
        transaction.check_age()
        if len(transaction.open_marks) > 1:
            self._share_memory(execution)
        try:
            rows: list[Row] = await execution.fetch(count)
        except PendingCall as pending:
            given = execution.count if isinstance(execution, QueryExecution) else 0
            portal.execution, rows = await self._started_over(portal, execution, pending, given, count)
        except StaleSchemaError:
            raise schema_changed() from None
        return rows

    async def _started_over(
        self, portal: Portal, execution: Execution, pending: PendingCall, given: int, count: int
    ) -> tuple[Execution, list[Row]]:
        """Run a statement again that needs values of a sequence, or sleeps: `given` rows of it were fetched before."""
        state = self._state
        plan, view, context = portal.prepared.plan, portal.view, portal.context
        assert plan is not None
        assert view is not None
        assert context is not None
        transaction = state.block.current()
        wanted = plan.sequence_values()
        try:
            while True:
                execution.close()
                if view.wrote and portal.undo is not None:
                    transaction.back_to(portal.undo)
                elif view.wrote and isinstance(plan.plan, Write):
                    raise not_supported("nextval, setval and pg_sleep in RETURNING are not supported")
                if isinstance(pending, PendingSleep):
                    await self._sleep(transaction, pending.seconds)
                    sleep_done(context)
                else:
                    await state.sequences().fetch(pending, wanted)
                    wanted *= 2
                answers = context.answers
                context = portal.context = self._context(transaction, portal.params)
                context.answers = answers
                execution = plan.open(view, context)
                self._share_memory(execution)
                try:
                    left = given
                    while left:
                        left -= len(await execution.fetch(min(left, CHUNK_ROWS_MAX)))
                    rows: list[Row] = await execution.fetch(count)
                except PendingCall as again:
                    pending = again
                    continue
                if execution.done:
                    await state.sequences().give_back()
                return execution, rows
        except StaleSchemaError:
            raise schema_changed() from None

    async def _sleep(self, transaction: Transaction, seconds: float) -> None:
        """pg_sleep: let others run for so long, or until the transaction is too old (54000)."""
        transaction.take_snapshot()  # its time runs
        host = self._state.shared.host
        wait: Wait[None] = Wait()
        timer = host.later(min(seconds, transaction.seconds_left() + _TOO_LATE_SECONDS), wait.resolve, None)
        try:
            await wait
        finally:
            timer.cancel()  # a cancelled sleep leaves nothing behind
        transaction.check_age()

    async def _check_system(self, portal: Portal, transaction: Transaction) -> None:
        """What system relations show must be the schema at tau_start, not the one that happened to be cached."""
        snapshot = portal.prepared.snapshot
        renewed = await self._catalogue.renewed(transaction)
        if renewed is not snapshot:
            await self._replan(portal, transaction, renewed)

    async def _replan(self, portal: Portal, transaction: Transaction, snapshot: Snapshot | None = None) -> None:
        """Plan a portal's statement with the schema at tau_start. Raises OC001 if its parameters' types are others
        now."""
        prepared = portal.prepared
        self._state.shared.metrics.replans += 1
        if snapshot is None:
            snapshot = await self._catalogue.renewed(transaction)
        old = prepared.plan
        assert old is not None
        assert prepared.statement is not None
        try:
            plan = self.prepare(prepared.statement, snapshot, prepared.declared)
        except SqlError as error:
            if error.code in _TYPE_ERRORS and prepared.declared:
                raise schema_changed() from error  # its parameters had these types in the old schema only
            raise
        if plan.parameter_types != old.parameter_types:
            raise schema_changed()
        if not prepared.name and prepared.described and not same_columns(old.columns, plan.columns):
            # The client has just been told the old columns. It will parse again when it retries.
            raise schema_changed()
        prepared.planned(plan, snapshot, self._state.parameters.search_path)
        portal.shape = None
        if plan.columns is not None:
            portal.shape = prepared.shape(plan.columns, portal.codes, self._state.parameters.format)

    def _turn_when_busy(self) -> Awaitable[None] | None:
        """The loop's next turn for a statement that has not given way for long."""
        host = self._state.shared.host
        now = host.monotonic()
        if now - self._busy_since <= BUSY_SECONDS:
            return None
        self._busy_since = now
        return self._state.shared.share.turn()

    def _context(self, transaction: Transaction, params: list[Any], facts: SessionFacts | None = None) -> Context:
        state = self._state
        shared = state.shared
        format = state.parameters.format
        now_us = transaction.now_us()
        format.now_us = now_us
        self._busy_since = shared.host.monotonic()
        return Context(
            params=params,
            now_us=now_us,
            statement_now_us=shared.clock() if transaction.block else now_us,
            session=state.facts() if facts is None else facts,
            format=format,
            clock=shared.clock,
            random=shared.random,
            random_bytes=shared.random_bytes,
            pause=self._turn_when_busy,
            sequences=self._sequences,
        )

    def context(self, params: list[Any]) -> Context:
        """What a statement that is not planned (DDL, CALL) evaluates expressions with."""
        return self._context(self._state.block.current(), params)


def _next_chunk(rows: int, size: int) -> int:
    """How many rows make a good piece, judging by those just encoded."""
    return max(1, min(CHUNK_ROWS_MAX, rows * CHUNK_BYTES // max(size, 1)))


def _locking(prepared: PreparedStatement) -> str:
    """The command of a SELECT that locks, by its stronger lock, or of one with parts in WITH that write."""
    statement = prepared.statement
    if prepared.plan is not None and prepared.plan.parts:
        return "SELECT"
    words = statement.text.upper().split() if statement is not None else []
    return "SELECT FOR UPDATE" if "UPDATE" in words else "SELECT FOR KEY SHARE"


def is_lookup_error(error: SqlError) -> bool:
    """True for errors that a newer schema than the one planned with may not have."""
    return error.code in _LOOKUP_ERRORS or is_unknown_label(error)


def is_unknown_label(error: SqlError) -> bool:
    """True for a text that is no label of an enum type, as far as the schema at hand tells."""
    return error.code is Code.invalid_text_representation and error.message.startswith("invalid input value for enum")


def view_of(transaction: Transaction, snapshot: Snapshot) -> StatementView:
    """The view of a schema change: it relies on the whole schema being the one it was made with."""
    return transaction.statement(((0, snapshot.version),), True)
