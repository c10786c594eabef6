"""What one client says, and what it is answered: messages worked off one after the other, up to the error or the end.

The protocol has two conversations in one: simple queries are answered each for itself, while messages of the extended
protocol come in pipelines, of which everything after an error is passed over until Sync. Which of the two a client
means is seen from each message alone, so both share one queue, one transaction block and one notion of being wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress

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
from tausql.processor.coroutines import Bare, Driver, Wait
from tausql.processor.execution import Executor
from tausql.processor.extended import ExtendedProtocol
from tausql.processor.output import ClientGone
from tausql.processor.reads import StaleSchemaError
from tausql.processor.simple import SimpleProtocol
from tausql.processor.state import SessionState, Shared
from tausql.protocol.errors import Code, SqlError, schema_changed
from tausql.protocol.processor import ClientOut, SessionStart
from tausql.runtime import logs

TURN_MESSAGES = 128  # of one client worked off before others get their turn
_QUERY = ord("Q")

log = logs.get("processor")


class Conversation(ABC):
    """The part of a session that understands messages. Whoever extends it feeds the queue and says what an end is."""

    __slots__ = (
        "_driver",
        "_ended",
        "_executor",
        "_extended",
        "_input",
        "_queue",
        "_shared",
        "_simple",
        "_skipping",
        "process_id",
        "state",
    )

    def __init__(self, shared: Shared, start: SessionStart, out: ClientOut, process_id: int) -> None:
        self._shared = shared
        self.process_id = process_id
        self._queue: deque[FrontendMessage] | None = None  # only while there is work: even an empty one is large
        self._skipping = False  # after an error, until Sync
        self._ended = False
        self._input: Wait[None] | None = None  # COPY FROM waits for the client
        self.state = SessionState(shared, process_id, start.user, start.database, out, self._next_message)
        self._executor = Executor(self.state)
        self._simple = SimpleProtocol(self.state, self._executor)
        self._extended = ExtendedProtocol(self.state, self._executor, self._sync_is_next)
        self._driver = Driver(self.state.output.flush_if_due, shared.share)

    @abstractmethod
    def _end(self, hang_up: bool) -> None:
        """It is over; nothing more is read or said. `hang_up`: the client does not know yet."""

    @abstractmethod
    def _resume_reading(self) -> None:
        """The queue is empty: more may come."""

    # --- messages ------------------------------------------------------------------------------------------------

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
            await self._shared.share.turn()

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

    # --- errors --------------------------------------------------------------------------------------------------

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
        if told.severity == "FATAL":
            self._end(hang_up=True)
        # The error of a refused statement is raised again whenever the statement is: frames must not pile up on it.
        error.__traceback__ = None
