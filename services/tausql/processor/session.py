"""One client's session: how it begins, what comes in while it lasts, and the ways it can end.

Messages are worked off (conversation.py) by a bare coroutine that is there only while there is work: an idle session
is a few objects and no task. What the client sends meanwhile waits in a queue; above its limit the session asks for
no more bytes, the only back-pressure a client of this protocol understands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tausql.pgwire import backend
from tausql.pgwire.reader import FrontendReader
from tausql.processor.admission import ADMIN, Admission
from tausql.processor.carrying import ENDED, Carried, NoteOut, note_bytes
from tausql.processor.conversation import Conversation
from tausql.processor.output import ClientGone
from tausql.processor.restoring import restore_state
from tausql.processor.state import Shared
from tausql.processor.transaction import Transaction
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import CarriedStatement, ClientOut, Resolved, Restore, SessionStart
from tausql.runtime import logs
from tausql.runtime.host import Timer

QUEUE_BYTES_MAX = 1 << 20
ACTIVITIES = ("active", "idle", "idle in transaction", "idle in transaction (aborted)")

log = logs.get("processor")


class Session(Conversation):
    """A session attached to this processor. Implements `protocol.processor.SessionIn`.

    on_end: called once, when the session is over. notes: the connection to a frontend of another process, which is told
    what it needs to open the session elsewhere.
    """

    __slots__ = (
        "_awaits_turn",
        "_began",
        "_idle",
        "_leaving",
        "_on_end",
        "_out",
        "_paused",
        "_queued_bytes",
        "_reader",
        "due",
        "secret",
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
        super().__init__(shared, start, out, process_id)
        self._out = out
        self.secret = secret
        self.due = 0  # where `Sessions` keeps its age
        self._on_end = on_end
        self._reader = FrontendReader()
        self._queued_bytes = 0
        self._awaits_turn = False  # its work is to begin when it is the cluster's turn
        self._paused = False
        self._leaving: SqlError | None = None  # say this and hang up as soon as no transaction is open
        self._idle: Timer | None = None  # until an idle session has been idle for too long
        if notes is not None:
            notes.know(process_id, secret)
            state = self.state
            state.carried = Carried(notes, state.output, state.parameters, state.prepared)
            state.block.carried = state.carried
            state.output.farewell = ENDED
        self._began = 0.0  # monotonic: when the present work did

    def greet(self, start: SessionStart) -> None:
        """The first bytes: parameters, the cancel key, ready; or why the session cannot be."""
        state = self.state
        output = state.output
        if start.mapped and start.user != ADMIN:
            state.block.admission = Admission(self._shared.catalogue, start.user, start.mapped)
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
        statements = [] if restore is None else restore.statements
        if start.user != ADMIN and (restore is None or start.mapped):  # admin can always log in
            admission = state.block.admission or Admission(self._shared.catalogue, start.user, "")
            self._driver.run(self._admit(admission), lambda _, error: self._admitted(statements, error))
            return
        self._greet(statements)

    async def _admit(self, admission: Admission) -> None:
        """By the catalogue as it is now. Raises SqlError FATAL."""
        admission.admit(await self._shared.catalogue.renewed(Transaction(self._shared.transactions, False)))

    def _admitted(self, statements: list[CarriedStatement], error: Exception | None) -> None:
        if self._ended or self.state.output.closed or isinstance(error, ClientGone):
            self._end(hang_up=False)
            return
        if error is not None and not isinstance(error, SqlError):
            log.error("a role cannot be looked up", session=self.process_id, error=error)
            self._end(hang_up=True)
            return
        if error is not None:
            self.state.output.add(backend.error_response(error))
            self._end(hang_up=True)
            return
        self._greet(statements)
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
            transactions = self._shared.transactions
            await transactions.commits.resolve(question, transactions.usage)
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
        elif not self._driver.running and not self._awaits_turn:
            share = self._shared.share
            self._began = self._shared.host.monotonic()
            if share.may_run():
                self._driver.run(self._work(), self._worked)
            else:
                self._awaits_turn = True
                share.wait(self._take_turn)
        if self._queued_bytes > QUEUE_BYTES_MAX and queue and not self._paused and not self._ended:
            self._paused = True
            self._out.pause_reading()

    def _take_turn(self) -> None:
        self._awaits_turn = False
        if not self._ended and not self._driver.running and self._queue is not None:
            self._driver.run(self._work(), self._worked)

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
        if not self._driver.running and not self._awaits_turn:
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
        return not self._driver.running and not self._awaits_turn and not self.state.block.in_block

    @property
    def activity(self) -> str:
        """What it does, in the words of pg_stat_activity."""
        block = self.state.block
        return ACTIVITIES[0 if self._driver.running else 1 + block.in_block + block.failed]

    # --- ends ----------------------------------------------------------------------------------------------------

    def _worked(self, value: Any, error: Exception | None) -> None:
        shared = self._shared
        seconds = shared.host.monotonic() - self._began
        shared.metrics.answer_seconds.observe(seconds)
        shared.transactions.usage.seconds += seconds
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
