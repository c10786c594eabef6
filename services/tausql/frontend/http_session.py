"""One session, driven from coroutines: what HTTP SQL runs its statements on.

A statement is sent with Flush, and only when all of its answer has come, Sync. In autocommit Sync is the commit: a
result that turns out too large, or a processor that dies before that, has changed nothing for certain; once Sync is
sent, only its answer tells, and without one the client is told that nobody knows (40003).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tausql.frontend.sessions import Sessions
from tausql.pgwire import client
from tausql.pgwire.rows import Column
from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.protocol.processor import SessionIn, SessionStart

_BUFFERED_BYTES_MAX = 256 * 1024
_SKIPPED = (client.ParameterStatus, client.NoticeResponse, client.BackendKeyData, client.Mark)


class AnsweredError(Exception):
    """An error as the session answered it."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields.get("M", ""))
        self.sqlstate = fields.get("C", Code.internal_error.sqlstate)
        self.message = fields.get("M", "")
        self.detail = fields.get("D")
        self.hint = fields.get("H")
        self.fatal = fields.get("V") in ("FATAL", "PANIC")
        self.fields = fields


class SessionLost(Exception):
    """The session ended without a word."""


@dataclass(slots=True)
class Result:
    tag: str = ""
    columns: tuple[Column, ...] = ()
    rows: list[tuple[bytes | None, ...]] = field(default_factory=list)


class HttpSession:
    """A `ClientOut` that reads what is written to it. One exchange at a time; after any exception but `AnsweredError`
    without `fatal`, it is of no more use.

    on_end: called once, when it has ended."""

    __slots__ = (
        "_buffered",
        "_ended",
        "_messages",
        "_on_end",
        "_on_room",
        "_reader",
        "_rows_max",
        "_session",
        "_size_max",
        "_waiter",
        "born",
        "status",
    )

    def __init__(self, rows_max: int, result_bytes_max: int, on_end: Callable[[], None] | None = None) -> None:
        self._rows_max = rows_max
        self._size_max = result_bytes_max
        self._reader = client.BackendReader()
        self._messages: deque[client.BackendMessage] = deque()
        self._buffered = 0
        self._ended = False
        self._on_end = on_end
        self._on_room: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._session: SessionIn | None = None
        self.status = "I"  # of the transaction: I, T or E
        self.born = 0.0  # monotonic, for who keeps it

    @property
    def idle(self) -> bool:
        """It lives, is in no transaction, and has said nothing since it was last asked."""
        return self._session is not None and not self._ended and not self._messages and self.status == "I"

    async def begin(self, sessions: Sessions, start: SessionStart) -> None:
        """Open a session and wait until it is ready. Raises SqlError, AnsweredError, SessionLost."""
        opened: asyncio.Future[SessionIn | SqlError] = asyncio.get_running_loop().create_future()

        def on_opened(session: SessionIn | SqlError) -> None:
            if not opened.done():
                opened.set_result(session)
            elif not isinstance(session, SqlError):
                session.lost()  # nobody waits any more

        sessions.open(start, self, on_opened)
        session = await opened
        if isinstance(session, SqlError):
            raise session
        self._session = session
        await self._settle()

    async def run(self, sql: str, parameters: Sequence[bytes | None], types: Sequence[int] = ()) -> Result:
        """One statement, in the session's transaction or one of its own. types: oids of the parameters, 0 or none where
        the statement decides. Raises AnsweredError, SessionLost, and
        SqlError 54000 or 0A000 where the answer cannot be given, 40003 where the outcome is unknown, 22021."""
        try:
            request = client.parse(sql, types=types) + client.bind(parameters)
        except ValueError as error:
            raise SqlError(Code.character_not_in_repertoire, f"invalid text in the statement: {error}") from error
        # One row more than is allowed shows that there are too many.
        self._send(request + client.describe_portal() + client.execute("", self._rows_max + 1) + client.FLUSH)
        in_transaction = self.status != "I"
        result = Result()
        try:
            await self._collect(result)
        except AnsweredError as error:
            if not error.fatal:
                self._send(client.SYNC)
                await self._settle()
            raise
        self._send(client.SYNC)
        await self._commit_settled(harmless=in_transaction)
        return result

    async def control(self, sql: str) -> str:
        """BEGIN, COMMIT or ROLLBACK: its tag. Raises as `run`; for COMMIT a lost session is 40003."""
        self._send(client.query(sql))
        return await self._commit_settled(harmless=sql != "COMMIT")

    def end(self) -> None:
        """No more of this session: an open transaction is rolled back. Safe to call twice."""
        session = self._session
        self._session = None
        self._ended = True
        self._messages.clear()
        if session is not None:
            session.lost()
        on_end = self._on_end
        if on_end is not None:
            self._on_end = None
            on_end()

    def write(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            self._messages.extend(self._reader.feed(data))
        except client.ProtocolBroken:
            self._ended = True
        self._buffered += len(data)
        self._wake()

    def close(self) -> None:
        self._ended = True
        self._wake()

    def when_writable(self, function: Callable[[], None]) -> bool:
        if self._ended or self._buffered < _BUFFERED_BYTES_MAX:
            return True
        self._on_room = function
        return False

    def pause_reading(self) -> None:
        """Nothing to do: one request is sent at a time, and its size is bounded."""

    def resume_reading(self) -> None:
        pass

    def _send(self, data: bytes) -> None:
        if self._session is None or (self._ended and not self._messages):
            raise SessionLost
        self._session.feed(data)

    async def _collect(self, result: Result) -> None:
        """Read one statement's answer up to its tag."""
        size = 0
        while True:
            message = await self._next()
            match message:
                case client.DataRow(values):
                    result.rows.append(values)
                    size += sum(len(value) for value in values if value is not None)
                    if len(result.rows) > self._rows_max:
                        raise _too_large(f"the result has more than {self._rows_max} rows")
                    if size > self._size_max:
                        raise _too_large(f"the result is larger than {self._size_max} bytes")
                case client.RowDescription(columns):
                    result.columns = columns
                case client.CommandComplete(tag):
                    result.tag = tag
                    return
                case client.Mark(name="empty_query"):
                    return
                case client.Mark(name="portal_suspended"):
                    raise _too_large(f"the result has more than {self._rows_max} rows")
                case client.ErrorResponse(fields):
                    raise AnsweredError(fields)
                case client.CopyInResponse() | client.CopyOutResponse():
                    raise not_supported("COPY not supported over HTTP", "Use a PostgreSQL client.")
                case _ if not isinstance(message, _SKIPPED):
                    raise SessionLost

    async def _commit_settled(self, harmless: bool) -> str:
        """`_settle`, where its end may be a commit's: losing the session, or the patience, then leaves the outcome
        unknown, unless that is `harmless`. Returns the tag."""
        try:
            return await self._settle()
        except SessionLost:
            if harmless:
                raise
        except AnsweredError as error:
            if harmless or not error.fatal:
                raise
        except asyncio.CancelledError:
            if harmless:
                raise
        raise SqlError(
            Code.statement_completion_unknown,
            "the answer to the commit did not come",
            hint="The statement may or may not have taken effect: look before doing it again.",
        )

    async def _settle(self) -> str:
        """Read to ReadyForQuery; returns the tag on the way, if any. Raises the first error on the way: after Sync,
        that is the commit's."""
        answered: AnsweredError | None = None
        tag = ""
        while True:
            message = await self._next()
            if isinstance(message, client.ReadyForQuery):
                self.status = message.status
                break
            if isinstance(message, client.CommandComplete):
                tag = message.tag
            if isinstance(message, client.ErrorResponse):
                answered = answered or AnsweredError(message.fields)
                if answered.fatal:
                    break
        if answered is not None:
            raise answered
        return tag

    async def _next(self) -> client.BackendMessage:
        while not self._messages:
            self._buffered = 0
            on_room = self._on_room
            if on_room is not None:
                self._on_room = None
                on_room()
                continue
            if self._ended:
                raise SessionLost
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._messages.popleft()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)


def _too_large(message: str) -> SqlError:
    return SqlError(
        Code.program_limit_exceeded, message, hint="Ask for less with LIMIT, or use a PostgreSQL client, which streams."
    )
