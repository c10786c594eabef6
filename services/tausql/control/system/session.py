"""A PostgreSQL session of a cluster, straight at a processor: how control reads and writes tables.

A database driver would do, were it not for the greeting (the fleet's own, before any PostgreSQL byte), the notes that
processors send between messages, and the certificates of the fleet. What is left of a driver without those is this.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from tausql.pgwire import client
from tausql.pgwire.notes import NOTE, NoteBroken, NoteReader
from tausql.protocol.fleet import Member
from tausql.protocol.processor import MoveAway, Note, SessionStart
from tausql.runtime.fleet import Directory
from tausql.runtime.tls import Tls
from tausql.runtime.tls_connection import TlsConnection

ROWS_MAX = 10_000  # of one statement's answer
ANSWER_BYTES_MAX = 64 << 20
Row = tuple[str | None, ...]
_HEADER_BYTES = 5
_decode_note: Callable[[bytes], Note] = msgspec.msgpack.Decoder(Note).decode


class Statement(NamedTuple):
    """Text with `$1` and its values, as text."""

    text: str
    values: tuple[str | None, ...] = ()


class Answered(Exception):
    """The session said no."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.sqlstate = fields.get("C", "XX000")
        super().__init__(f"{self.sqlstate} {fields.get('M', '')}")
        self.fatal = fields.get("V") in ("FATAL", "PANIC")


class Lost(Exception):
    """The session ended, or does not answer: what it was asked last may have been done or not."""


class Session(asyncio.Protocol):
    """One exchange at a time. After `Lost`, or `Answered` with `fatal`, it is of no more use."""

    def __init__(self, start: SessionStart) -> None:
        packed = msgspec.msgpack.encode(start)
        self._greeting = len(packed).to_bytes(4, "big") + packed
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._notes: NoteReader | None = None  # there while a note is incomplete
        self._reader = client.BackendReader()
        self._messages: deque[client.BackendMessage] = deque()
        self._size = 0
        self._ended = False
        self._busy = True  # something is to be answered
        self._leaving = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._ended

    async def begin(self, seconds: float) -> None:
        """Wait until the session is ready. Raises Answered, Lost."""
        await self._within(self._settle([]), seconds)

    async def run(self, statements: Sequence[Statement], seconds: float) -> list[list[Row]]:
        """All statements as one transaction, in one exchange; the rows of each. Raises Answered, Lost."""
        if not self.usable:
            raise Lost("the session has ended")
        request = b"".join(
            client.parse(one.text)
            + client.bind([None if value is None else value.encode() for value in one.values])
            + client.execute("", ROWS_MAX)
            for one in statements
        )
        self._size = 0
        self._busy = True
        cast(asyncio.Transport, self._transport).write(request + client.SYNC)
        answers: list[list[Row]] = []
        await self._within(self._settle(answers), seconds)
        return answers

    def close(self) -> None:
        self._ended = True
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be closing
                self._transport.close()
        self._wake()

    async def _within(self, work: Any, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await work
        except TimeoutError as error:
            self.close()
            raise Lost(f"no answer within {seconds} s") from error
        except (Lost, asyncio.CancelledError):
            self.close()  # in the midst of an answer, it can be asked nothing else
            raise
        finally:
            self._busy = False
            if self._leaving:
                self.close()

    async def _settle(self, answers: list[list[Row]]) -> None:
        """Read to ReadyForQuery."""
        wrong: Answered | None = None
        rows: list[Row] = []
        while True:
            message = await self._next()
            match message:
                case client.DataRow(values):
                    rows.append(tuple(None if value is None else value.decode() for value in values))
                case client.CommandComplete():
                    answers.append(rows)
                    rows = []
                case client.Mark(name="portal_suspended"):
                    self.close()
                    raise Lost(f"more than {ROWS_MAX} rows")
                case client.ErrorResponse(fields):
                    wrong = wrong or Answered(fields)
                    if wrong.fatal:
                        self.close()
                        raise wrong
                case client.ReadyForQuery():
                    break
        if wrong is not None:
            raise wrong

    async def _next(self) -> client.BackendMessage:
        while not self._messages:
            if self._ended:
                raise Lost("the session has ended")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._messages.popleft()

    # what the processor sends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self._transport.write(self._greeting)

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        try:
            self._take(data)
        except (client.ProtocolBroken, NoteBroken, msgspec.DecodeError):
            self.close()
        if self._size > ANSWER_BYTES_MAX:
            self.close()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._wake()

    def _take(self, data: bytes) -> None:
        """Messages to the reader, notes to us."""
        data = self._data + data
        self._data = b""
        while data:
            if self._notes is not None or data[0] == NOTE:
                self._notes = self._notes or NoteReader()
                body, data = self._notes.feed(data)
                if body is None:
                    return
                self._notes = None
                self._note(body)
                continue
            end = 1 + int.from_bytes(data[1:_HEADER_BYTES], "big") if len(data) >= _HEADER_BYTES else 0
            if not end or len(data) < end:
                self._data = data
                return
            self._messages.extend(self._reader.feed(data[:end]))
            data = data[end:]

    def _note(self, body: bytes) -> None:
        """A processor that is about to stop waits for its sessions: another one will be opened elsewhere."""
        if isinstance(_decode_note(body), MoveAway):
            self._leaving = True
            if not self._busy:
                self.close()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Processors:
    """Where sessions are: any processor of the map, the nearest first."""

    def __init__(self, directory: Directory, zone: str, tls: Tls | None, seconds: float) -> None:
        self._directory = directory
        self._zone = zone
        self._tls = tls
        self._seconds = seconds

    async def open(self, start: SessionStart) -> Session:
        """A session that is ready. Raises Lost where no processor has room, Answered where one refuses."""
        why = "the map lists no processor"
        for member in self._directory.fleet.nearest("processor", self._zone):
            if not member.session:
                continue
            session = Session(start)
            try:
                await self._connect(member, session)
                await session.begin(self._seconds)
            except (OSError, TimeoutError, Lost) as error:
                session.close()
                why = f"{member.name}: {error or type(error).__name__}"
                continue
            except Answered as error:
                session.close()
                if error.sqlstate in ("57P03", "53300"):
                    why = f"{member.name}: {error}"
                    continue
                raise
            return session
        raise Lost(why)

    async def _connect(self, member: Member, session: Session) -> None:
        address, _, port = self._directory.locate(member.session).rpartition(":")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds):
            if self._tls is None:
                await loop.create_connection(lambda: session, address.strip("[]"), int(port))
                return
            shaken: asyncio.Future[str] = loop.create_future()
            tls = _secured(session, self._tls.client(), self._seconds, shaken)
            transport, _ = await loop.create_connection(lambda: tls, address.strip("[]"), int(port))
            if reason := await shaken:
                transport.abort()
                raise ConnectionError(reason)


def _secured(session: Session, context: ssl.SSLContext, seconds: float, shaken: asyncio.Future[str]) -> TlsConnection:
    """The client's side of TLS; `shaken` becomes "" when `session` has its connection, else the reason why not."""

    def ended(reason: str) -> None:
        if not shaken.done():
            shaken.set_result(reason)

    def begin(tls: Any, socket: asyncio.Transport) -> None:
        session.connection_made(tls)
        ended("")

    return TlsConnection(session, context, seconds, begin, ended, client=True)
