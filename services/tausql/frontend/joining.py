"""A connection to a processor until its session is ready.

The greeting is the one part of a session that is read: it holds the cancel key and what the client believes of the
server. For a new session it goes to the client as it is; for one that comes from another processor the client has had
its greeting long ago, and only what differs is news.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from tausql.frontend.told import decode_note
from tausql.pgwire import client
from tausql.pgwire.notes import NOTE, NoteBroken, NoteReader
from tausql.protocol.processor import GREETING_BYTES_MAX, Greeting, Resolved

GREETING_ANSWER_BYTES_MAX = 256 * 1024
_READY = ord("Z")


class GreetingTooLong(Exception):
    """The client's startup parameters do not fit a greeting."""


def greeting_frame(greeting: Greeting) -> bytes:
    """Length (4 bytes) and MessagePack. Raises `GreetingTooLong`."""
    packed = msgspec.msgpack.encode(greeting)
    if len(packed) > GREETING_BYTES_MAX:
        raise GreetingTooLong(f"{len(packed)} bytes")
    return len(packed).to_bytes(4, "big") + packed


class Joining(asyncio.Protocol):
    """Sends `frame` and reads the answer. `joined` is called from within the read that brings ReadyForQuery, so that
    whoever takes the transport over misses nothing; `done` is resolved when it has come to an end either way."""

    __slots__ = (
        "_buffer",
        "_frame",
        "_joined",
        "done",
        "greeting",
        "process_id",
        "ready",
        "refusal",
        "resolved",
        "secret",
        "statuses",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, frame: bytes, joined: Callable[[Joining], None]) -> None:
        self._frame = frame
        self._joined = joined
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.greeting = b""  # as the client would see it
        self.statuses: dict[str, str] = {}
        self.process_id = 0
        self.secret = 0
        self.ready = False
        self.refusal: dict[str, str] | None = None  # the fields of its error
        self.resolved: Resolved | None = None

    @property
    def rest(self) -> bytes:
        """What came after ReadyForQuery."""
        return self._buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self.transport.write(self._frame)

    def data_received(self, data: bytes) -> None:
        if self.refusal is not None or self.done.done():
            return
        self._buffer += data
        try:
            while not self.ready and self._message():
                pass
        except (client.ProtocolBroken, NoteBroken, msgspec.DecodeError, ValueError):
            self.transport.abort()
            return
        if self.ready:
            self._joined(self)
            self._end()
        elif self.refusal is not None:
            self.transport.close()
            self._end()
        elif len(self.greeting) + len(self._buffer) > GREETING_ANSWER_BYTES_MAX:
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def _message(self) -> bool:
        """Take one message from the buffer; False if there is no whole one."""
        data = self._buffer
        if len(data) < 5:
            return False
        if data[0] == NOTE:
            body, rest = NoteReader().feed(data)
            if body is None:
                return False
            self._buffer = rest
            note = decode_note(body)
            if isinstance(note, Resolved):
                self.resolved = note
            return True
        end = 1 + int.from_bytes(data[1:5], "big")
        if len(data) < end:
            return False
        raw, self._buffer = data[:end], data[end:]
        self.greeting += raw
        for message in client.BackendReader().feed(raw):
            if isinstance(message, client.ParameterStatus):
                self.statuses[message.name] = message.value
            elif isinstance(message, client.BackendKeyData):
                self.process_id, self.secret = message.process_id, message.secret
            elif isinstance(message, client.ErrorResponse):
                self.refusal = message.fields
                return False
            elif isinstance(message, client.ReadyForQuery):
                self.ready = True
        return True

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
