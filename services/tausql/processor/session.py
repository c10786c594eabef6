"""One client's session: bytes in, bytes out.

Messages are worked off one after the other by a bare coroutine that is there only while there is work: an idle session
is a few objects and no task. What the client sends meanwhile waits in a queue; above its limit the session asks for
no more bytes, the only back-pressure a client of this protocol understands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tausql.pgwire import backend
from tausql.pgwire.messages import (
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FrontendMessage,
    Malformed,
    Parse,
    Query,
    Sync,
    Terminate,
)
from tausql.pgwire.reader import FrontendReader
from tausql.processor.carrying import ENDED, Carried, NoteOut, note_bytes
from tausql.processor.coroutines import Bare, Driver, Wait, turn
from tausql.processor.execution import Executor
from tausql.processor.extended import ExtendedProtocol
from tausql.processor.output import ClientGone
from tausql.processor.reads import StaleSchemaError
from tausql.processor.restoring import restore_state
from tausql.processor.simple import SimpleProtocol
from tausql.processor.state import SessionState, Shared
from tausql.processor.transaction import Transaction
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.errors import Code, SqlError, schema_changed
from tausql.protocol.processor import CarriedStatement, ClientOut, Resolved, Restore, SessionStart
from tausql.runtime import logs
from tausql.runtime.host import Timer

ADMIN = "admin"
QUEUE_BYTES_MAX = 1 << 20
TURN_MESSAGES = 128  # of one client worked off before others get their turn
ACTIVITIES = ("active", "idle", "idle in transaction", "idle in transaction (aborted)")
_QUERY = ord("Q")

log = logs.get("processor")


class Session:
    """A session attached to this processor. Implements `protocol.processor.SessionIn`.

    on_end: called once, when the session is over. notes: the connection to a frontend of another process, which is told
    what it needs to open the session elsewhere.
    """

    __slots__ = (
        "_began",
        "_driver",
        "_ended",
        "_executor",
        "_extended",
        "_idle",
        "_input",
        "_leaving",
        "_on_end",
        "_out",
        "_paused",
        "_queue",
        "_queued_bytes",
        "_reader",
        "_shared",
        "_simple",
        "_skipping",
        "due",
        "process_id",
        "secret",
        "state",
    )

    def __init__(
        self,
        shared: Shared,
        start: SessionStart,
        out: ClientOut,
        process_id: int,
        secret: int,
        on_end: Callable[[Session], None],
        notes: NoteOut | None = None,
    ) -> None:
        self._shared = shared
        self._out = out
        self.process_id = process_id
        self.secret = secret
        self.due = 0  # where `Sessions` keeps its age
        self._on_end = on_end
        self._reader = FrontendReader()
        self._queue: deque[FrontendMessage] | None = None  # only while there is work: even an empty one is large
        self._queued_bytes = 0
        self._paused = False
        self._skipping = False  # after an error, until Sync
        self._leaving: SqlError | None = None  # say this and hang up as soon as no transaction is open
        self._ended = False
        self._input: Wait[None] | None = None  # COPY FROM waits for the client
        self._idle: Timer | None = None  # until an idle session has been idle for too long
        self.state = SessionState(shared, process_id, start.user, start.database, out, self._next_message)
        if notes is not None:
            notes.know(process_id, secret)
            state = self.state
            state.carried = Carried(notes, state.output, state.parameters, state.prepared)
            state.block.carried = state.carried
            state.output.farewell = ENDED
        self._executor = Executor(self.state)
        self._simple = SimpleProtocol(self.state, self._executor)
        self._extended = ExtendedProtocol(self.state, self._executor, self._sync_is_next)
        self._driver = Driver(self.state.output.flush_if_due)
        self._began = 0.0  # monotonic: when the present work did

    def greet(self, start: SessionStart) -> None:
        """The first bytes: parameters, the cancel key, ready; or why the session cannot be."""
        state = self.state
        output = state.output
        try:
            state.parameters.start(start.parameters)
            if start.restore is not None:
                restore_state(state, start.restore)
                self._skipping = start.restore.skipping
        except SqlError as error:
            output.add(backend.error_response(error))
            self._end(hang_up=True)
            return
        restore = start.restore
        if restore is not None and restore.question is not None:
            self._driver.run(
                self._resolve(restore.question), lambda value, error: self._resolved(restore, value, error)
            )
            return
        if restore is None and start.user != ADMIN:  # admin can always log in
            self._driver.run(self._admission(start.user), self._admitted)
            return
        self._greet([] if restore is None else restore.statements)

    async def _admission(self, user: str) -> SqlError | None:
        """Why a role may not log in, by the catalogue as it is now."""
        transaction = Transaction(self._shared.transactions, False)
        role = (await self._shared.catalogue.renewed(transaction)).objects.roles.get(user)
        if role is None:
            refused = f'role "{user}" does not exist'
        elif not role.login:
            refused = f'role "{user}" is not permitted to log in'
        else:
            return None
        return SqlError(Code.invalid_authorization_specification, refused, severity="FATAL")

    def _admitted(self, refusal: SqlError | None, error: Exception | None) -> None:
        if self._ended or self.state.output.closed or isinstance(error, ClientGone):
            self._end(hang_up=False)
            return
        if error is not None and not isinstance(error, SqlError):
            log.error("a role cannot be looked up", session=self.process_id, error=error)
            self._end(hang_up=True)
            return
        found = error if isinstance(error, SqlError) else refusal
        if found is not None:
            self.state.output.add(backend.error_response(found))
            self._end(hang_up=True)
            return
        self._greet([])
        if self._queue:  # a client that did not wait for it
            self._began = self._shared.host.monotonic()
            self._driver.run(self._work(), self._worked)

    def _greet(self, statements: list[CarriedStatement]) -> None:
        state = self.state
        output = state.output
        if state.carried is not None:
            state.carried.begin(statements)
        for name, value in state.parameters.reported().items():
            output.add(backend.parameter_status(name, value))
        output.add(backend.backend_key_data(self.process_id, self.secret))
        output.add(state.block.ready)
        output.flush()

    # --- a session that was elsewhere before ---------------------------------------------------------------------

    async def _resolve(self, question: Outcome) -> Resolved:
        """What became of the commit that was under way on the other processor."""
        try:
            await self._shared.transactions.commits.resolve(question)
        except SqlError as error:
            return Resolved(False, backend.error_response(error), error.sqlstate)
        return Resolved(True)

    def _resolved(self, restore: Restore, value: Any, error: Exception | None) -> None:
        if isinstance(error, ClientGone):
            self._end(hang_up=False)
            return
        if error is not None:
            log.error("the outcome of a commit cannot be found out", session=self.process_id, error=error)
            self._end(hang_up=True)
            return
        state = self.state
        if self._ended or state.output.closed:
            self._end(hang_up=False)
            return
        if value.committed:
            state.parameters.restore(restore.if_committed)
        state.output.add(note_bytes(value))
        self._greet(restore.statements)

    # --- what the client and the processor do to it --------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        if self._ended:
            return
        messages = self._reader.feed(data)
        size = len(data)
        self._shared.metrics.bytes_in += size
        if not messages:
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        queue = self._queue
        if queue is None:
            queue = self._queue = deque(messages)
        else:
            queue.extend(messages)
        self._queued_bytes += size
        if self._input is not None:
            waiting, self._input = self._input, None
            waiting.resolve(None)
        elif not self._driver.running:
            self._began = self._shared.host.monotonic()
            self._driver.run(self._work(), self._worked)
        if self._queued_bytes > QUEUE_BYTES_MAX and queue and not self._paused and not self._ended:
            self._paused = True
            self._out.pause_reading()

    def lost(self) -> None:
        """The client is gone. A commit that is under way goes on: its outcome is not the client's to undo."""
        if self._ended:
            return
        self.state.output.lost()
        if not self._driver.running:
            self._end(hang_up=False)
        elif not self.state.block.committing:
            self._driver.interrupt(ClientGone())

    def cancel(self) -> None:
        """Stop the running statement, if one runs. A commit cannot be stopped."""
        if self._driver.suspended and not self.state.block.committing:
            self._shared.metrics.cancels += 1
            self._driver.interrupt(SqlError(Code.query_canceled, "canceling statement due to user request"))

    def move_away(self, farewell: SqlError) -> None:
        """The processor is about to stop. A session that can be opened elsewhere stays until its frontend has done so;
        another one leaves."""
        carried = self.state.carried
        if carried is not None and carried.movable:
            carried.move_away()
        else:
            self.leave(farewell)

    def abandon(self, farewell: SqlError) -> None:
        """The processor stops. A session that can be opened elsewhere is cut off without a word, which its frontend
        takes for the loss it is; another one is told. A commit under way goes on while it can: it is announced."""
        carried = self.state.carried
        if carried is None or not carried.movable:
            self.stop(farewell)
        elif not self._ended and not self.state.block.committing:
            self.state.output.drop()
            if self._driver.running:
                self._driver.interrupt(ClientGone())
            else:
                self._end(hang_up=False)

    def leave(self, farewell: SqlError) -> None:
        """End with `farewell` (FATAL) as soon as no transaction is open; at once if it is idle."""
        self._leaving = farewell
        if not self._driver.running:
            self._leave_if_idle()

    def stop(self, farewell: SqlError) -> None:
        """End now, whatever is under way."""
        if self._ended:
            return
        self._leaving = farewell
        if not self._driver.running:
            self._say_farewell()
        elif not self.state.block.committing:
            self.state.output.add(backend.error_response(farewell))
            self.state.output.close()
            self._driver.interrupt(ClientGone())

    @property
    def idle(self) -> bool:
        """Nothing runs and no transaction block is open."""
        return not self._driver.running and not self.state.block.in_block

    @property
    def activity(self) -> str:
        """What it does, in the words of pg_stat_activity."""
        block = self.state.block
        return ACTIVITIES[0 if self._driver.running else 1 + block.in_block + block.failed]

    # --- the work ------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Work off the queue. Errors of statements end here."""
        queue = self._queue
        assert queue is not None
        output = self.state.output
        parameters = self.state.parameters
        extended = self._extended
        worked = 0
        while queue:
            worked += 1
            if worked == TURN_MESSAGES:
                worked = 0
                await self._turn()
                if output.closed:
                    self._end(hang_up=False)
                    return
            message = queue.popleft()
            kind = type(message)
            try:
                if kind is Sync:
                    await self._sync()
                elif self._skipping and kind is not Malformed and kind is not Terminate:
                    continue
                elif isinstance(message, Bind):
                    if not extended.bind_at_once(message):
                        await extended.bind(message)
                elif isinstance(message, Execute):
                    if parameters.statement_ms:
                        await self._timed(extended.execute(message), parameters.statement_ms)
                    else:
                        await extended.execute(message)
                elif isinstance(message, Parse):
                    if not extended.parse_at_once(message):
                        await extended.parse(message)
                elif isinstance(message, Describe):
                    if not message.portal:
                        unplanned = extended.unplanned(message.name)
                        if unplanned is not None:
                            await extended.plan_to_describe(unplanned)
                    extended.describe(message)
                elif isinstance(message, Query):
                    await self._query(message)
                else:
                    self._other(message)
            except ClientGone:
                if self.state.carried is not None:
                    output.drop()  # a frontend that is still there takes it for the loss it is
                self._end(hang_up=True)
            except Exception as error:
                self._failed(error)
            if self._ended or output.closed:
                self._end(hang_up=False)
                return
            if output.full:
                try:
                    await self._executor.drain()
                except ClientGone:
                    self._end(hang_up=False)
                    return
                except SqlError as error:
                    self._failed(error)

    async def _turn(self) -> None:
        """Let others run. A cancel request that comes meanwhile finds no statement to stop; a client that goes is seen
        by its closed output."""
        with suppress(SqlError, ClientGone):
            await turn(self._shared.host)

    async def _query(self, message: Query) -> None:
        state = self.state
        milliseconds = state.parameters.statement_ms
        try:
            if milliseconds:
                await self._timed(self._simple.run(message.sql), milliseconds)
            else:
                await self._simple.run(message.sql)
        except ClientGone:
            raise
        except Exception as error:
            self._report(error)
        state.ready()

    async def _timed(self, statement: Bare[None], milliseconds: int) -> None:
        """statement_timeout: as if the user had cancelled it by then. A commit under way goes on."""
        timer = self._shared.host.later(milliseconds / 1000, self._too_long)
        try:
            await statement
        finally:
            timer.cancel()

    def _too_long(self) -> None:
        if self._driver.suspended and not self.state.block.committing:
            self._driver.interrupt(SqlError(Code.query_canceled, "canceling statement due to statement timeout"))

    async def _sync(self) -> None:
        """The end of a pipeline: commit what it did outside a block."""
        self._skipping = False
        block = self.state.block
        if block.transaction is not None and not block.in_block and not block.commit_nothing():
            try:
                await block.commit(b"", True)
            except ClientGone:
                raise
            except Exception as error:
                self._report(error)
        self.state.ready()

    def _other(self, message: FrontendMessage) -> None:
        if isinstance(message, Close):
            self._extended.close(message)
        elif isinstance(message, Flush):
            self.state.output.due = True
        elif isinstance(message, Terminate):
            self._end(hang_up=True)
        elif isinstance(message, Malformed):
            self._malformed(message)
        elif not isinstance(message, CopyData | CopyDone | CopyFail):  # those: a COPY that has failed is still coming
            raise SqlError(Code.protocol_violation, f"unexpected message {type(message).__name__}")

    def _malformed(self, message: Malformed) -> None:
        error = message.error
        if error.severity == "FATAL":
            self.state.output.add(backend.error_response(error))
            self._end(hang_up=True)
            return
        if self._skipping and message.kind != _QUERY:
            return
        self._report(error)
        if message.kind == _QUERY:
            self.state.ready()
        else:
            self._skipping = True
            self.state.output.due = True

    async def _next_message(self) -> FrontendMessage:
        queue = self._queue
        assert queue is not None  # it is `_work` that asks
        while not queue:
            self._resume_reading()
            self._input = Wait()
            try:
                await self._input
            finally:
                self._input = None
        return queue.popleft()

    def _sync_is_next(self) -> bool:
        queue = self._queue
        return queue is not None and len(queue) > 0 and type(queue[0]) is Sync

    # --- errors and ends -----------------------------------------------------------------------------------------

    def _failed(self, error: Exception) -> None:
        """An extended message has failed: nothing more until Sync."""
        self._report(error)
        self._skipping = True
        self.state.output.due = True

    def _report(self, error: Exception) -> None:
        """Tell the client, and end or fail the transaction."""
        state = self.state
        if isinstance(error, SqlError):
            told = error
        elif isinstance(error, StaleSchemaError):
            told = schema_changed()
        else:
            self._shared.metrics.internal_errors += 1
            log.error("internal error", session=self.process_id, error=error)
            told = SqlError(
                Code.internal_error,
                f"internal error: {type(error).__name__}",
                hint="This is a defect of the server; its log says more.",
            )
        errors = self._shared.metrics.errors
        errors[told.code] = errors.get(told.code, 0) + 1
        state.block.error()
        state.output.add(backend.error_response(told))
        # The error of a refused statement is raised again whenever the statement is: frames must not pile up on it.
        error.__traceback__ = None

    def _worked(self, value: Any, error: Exception | None) -> None:
        shared = self._shared
        shared.metrics.answer_seconds.observe(shared.host.monotonic() - self._began)
        if error is not None:
            log.error("a session's work ended with an error", session=self.process_id, error=error)
            self._end(hang_up=True)
        if self._ended:
            self._let_go()
            return
        self._queue = None  # everything has been worked off
        if self.state.output.due:
            self.state.output.flush()
        self._resume_reading()
        parameters = self.state.parameters
        if parameters.idle_block_ms or parameters.idle_ms:
            self._time_idleness()
        if self._leaving is not None:
            self._leave_if_idle()

    def _time_idleness(self) -> None:
        """idle_in_transaction_session_timeout, idle_session_timeout: hang up after that long without a message."""
        in_block = self.state.block.in_block
        parameters = self.state.parameters
        milliseconds = parameters.idle_block_ms if in_block else parameters.idle_ms
        if milliseconds:
            self._idle = self._shared.host.later(milliseconds / 1000, lambda: self.stop(_idle_too_long(in_block)))

    def _resume_reading(self) -> None:
        self._queued_bytes = 0
        if self._paused:
            self._paused = False
            self._out.resume_reading()

    def _leave_if_idle(self) -> None:
        if not self._ended and not self.state.block.in_block:
            self._say_farewell()

    def _say_farewell(self) -> None:
        assert self._leaving is not None
        self.state.output.add(backend.error_response(self._leaving))
        self._end(hang_up=True)

    def _end(self, hang_up: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._queue is not None:
            self._queue.clear()
        self.state.block.rollback()
        if hang_up:
            self.state.output.close()
        else:
            self.state.output.lost()
        self._on_end(self)
        if not self._driver.running:
            self._let_go()

    def _let_go(self) -> None:
        """It has ended and nothing of it runs any more. Its parts know each other in circles, and sessions grow old
        before they end: a collection that would find them may be a million sessions away. So the circles are cut."""
        self._extended.let_go()
        self.state.let_go()


def _idle_too_long(in_block: bool) -> SqlError:
    if in_block:
        code, what = Code.idle_in_transaction_session_timeout, "idle-in-transaction"
    else:
        code, what = Code.idle_session_timeout, "idle-session"
    return SqlError(code, f"terminating connection due to {what} timeout", severity="FATAL")
