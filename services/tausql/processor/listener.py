"""The session port: where frontends of other processes bring their clients' bytes.

A connection begins with one frame that says whose session it is (or which one to cancel); everything after it is the
PostgreSQL protocol, handed to the session as it comes. The port is for the fleet's own network: whoever can reach it
is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from tausql.protocol.processor import GREETING_BYTES_MAX, CancelSession, Greeting, SessionHost, SessionIn
from tausql.runtime import logs

WRITE_BUFFER_BYTES = 256 * 1024
_LENGTH_BYTES = 4

_decode_greeting: Callable[[bytes], Greeting] = msgspec.msgpack.Decoder(Greeting).decode

log = logs.get("processor")


class SessionConnection(asyncio.Protocol):
    """One relayed client: a `ClientOut`."""

    __slots__ = (
        "_greeting",
        "_host",
        "_open",
        "_patience",
        "_paused",
        "_seconds",
        "_session",
        "_transport",
        "_waiting",
    )

    _transport: asyncio.Transport

    def __init__(self, host: SessionHost, greeting_seconds: float, open_: set[SessionConnection]) -> None:
        self._host = host
        self._seconds = greeting_seconds
        self._open = open_
        self._greeting = bytearray()
        self._session: SessionIn | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._paused = False
        self._waiting: Callable[[], None] | None = None

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._open.add(self)
        self._patience = asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        session = self._session
        if session is not None:
            session.feed(data)
        else:
            self._greet(data)

    def eof_received(self) -> None:
        """A frontend that closed its sending half has lost its client."""

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        if self._patience is not None:
            self._patience.cancel()
        session, self._session = self._session, None
        if session is not None:
            session.lost()

    def _greet(self, data: bytes) -> None:
        greeting = self._greeting
        greeting += data
        if len(greeting) < _LENGTH_BYTES or self._transport.is_closing():
            return
        length = int.from_bytes(greeting[:_LENGTH_BYTES], "big")
        if length > GREETING_BYTES_MAX:
            self._refuse("a greeting is too long", length=length)
            return
        end = _LENGTH_BYTES + length
        if len(greeting) < end:
            return
        try:
            start = _decode_greeting(bytes(greeting[_LENGTH_BYTES:end]))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._refuse("a greeting cannot be read", why=str(error))
            return
        rest = bytes(greeting[end:])
        greeting.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if isinstance(start, CancelSession):
            self._host.cancel(start.process_id, start.secret)
            self._transport.close()
            return
        self._session = self._host.attach(start, self)
        if rest:
            self._session.feed(rest)

    def _refuse(self, event: str, **facts: object) -> None:
        log.warning(event, peer=str(self._transport.get_extra_info("peername")), **facts)
        self._transport.abort()

    # the session's side

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def when_writable(self, function: Callable[[], None]) -> bool:
        if not self._paused:
            return True
        self._waiting = function
        return False

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


class Listener:
    """The listening socket of the session port."""

    __slots__ = ("_open", "_server", "address")

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[SessionConnection] = set()
        self.address = ""  # `host:port`, once it listens

    async def start(self, address: str, host: SessionHost, greeting_seconds: float) -> None:
        """Listen at `address` (`host:port`; port 0 = any). Raises OSError."""
        name, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SessionConnection(host, greeting_seconds, self._open), name.strip("[]"), int(port)
        )
        bound = self._server.sockets[0].getsockname()
        self.address = f"{name}:{bound[1]}"

    def close(self) -> None:
        """Take no more connections; those there are stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def abort(self) -> None:
        """Cut what is left."""
        for connection in list(self._open):
            connection.abort()
