"""The session port: where frontends of other processes bring their clients' bytes.

A connection begins with one frame that says whose session it is (or which one to cancel); everything after it is the
PostgreSQL protocol, handed to the session as it comes. The port is for the fleet's own network: whoever can reach it,
or, where there is TLS, shows a certificate of the fleet's authority, is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from tausql.processor.carrying import NoteOut
from tausql.protocol.processor import (
    CANCEL_KNOWN,
    CANCEL_UNKNOWN,
    GREETING_BYTES_MAX,
    WITNESS_READY,
    WITNESSED,
    CancelSession,
    ClientOut,
    Greeting,
    SessionIn,
    SessionStart,
    Witness,
)
from tausql.runtime import logs
from tausql.runtime.tls import Tls
from tausql.runtime.tls_connection import TlsConnection

WRITE_BUFFER_BYTES = 256 * 1024
PUSH_LOOK_SECONDS = 0.005  # how often to look whether the kernel has taken what it would not take at once
BACKLOG = 4096  # a burst of sessions that lost another processor; one too many is tried again a second later
_LENGTH_BYTES = 4

_decode_greeting: Callable[[bytes], Greeting] = msgspec.msgpack.Decoder(Greeting).decode

log = logs.get("processor")


class RelayHost(Protocol):
    """Whoever has the sessions."""

    def attach(self, start: SessionStart, out: ClientOut, notes: NoteOut | None = None) -> SessionIn: ...

    def cancel(self, process_id: int, secret: int) -> bool: ...


class Open:
    """What connections of one listener know of each other."""

    __slots__ = ("connections", "witnesses")

    def __init__(self) -> None:
        self.connections: set[SessionConnection] = set()
        self.witnesses: dict[bytes, SessionConnection] = {}


class SessionConnection(asyncio.Protocol):
    """One relayed client: a `ClientOut` and a `NoteOut`. Or a witness."""

    __slots__ = (
        "_greeting",
        "_host",
        "_key",
        "_open",
        "_patience",
        "_paused",
        "_pushed",
        "_seconds",
        "_session",
        "_socket",
        "_transport",
        "_waiting",
        "_witness",
    )

    _transport: asyncio.Transport
    _socket: asyncio.Transport  # below TLS, if there is any

    def __init__(self, host: RelayHost, greeting_seconds: float, open_: Open) -> None:
        self._host = host
        self._key = (0, 0)  # the session's cancel key
        self._witness = b""  # the session's; or this connection is that witness
        self._pushed: Callable[[bool], None] | None = None
        self._seconds = greeting_seconds
        self._open = open_
        self._greeting = bytearray()
        self._session: SessionIn | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._paused = False
        self._waiting: Callable[[], None] | None = None

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self.begin(transport, transport)

    def begin(self, transport: asyncio.Transport, socket: asyncio.Transport) -> None:
        """`transport` is `socket`, or TLS on it."""
        self._transport = transport
        self._socket = socket
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._open.connections.add(self)
        self._patience = asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        session = self._session
        if session is not None:
            session.feed(data)
        elif not self._witness:
            self._greet(data)

    def eof_received(self) -> None:
        """A frontend that closed its sending half has lost its client, or moved it."""
        self._transport.close()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()

    def connection_lost(self, error: Exception | None) -> None:
        self._open.connections.discard(self)
        if self._open.witnesses.get(self._witness) is self:
            del self._open.witnesses[self._witness]
        if self._patience is not None:
            self._patience.cancel()
        session, self._session = self._session, None
        if session is not None:
            session.lost()
        pushed, self._pushed = self._pushed, None
        if pushed is not None:
            pushed(False)

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
            known = self._host.cancel(start.process_id, start.secret)
            self._transport.write(CANCEL_KNOWN if known else CANCEL_UNKNOWN)
            self._transport.close()
            return
        self._witness = start.witness
        if isinstance(start, Witness):
            self._open.witnesses[start.witness] = self
            self._transport.write(WITNESS_READY)
            return
        self._session = self._host.attach(start, self, self)
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

    def know(self, process_id: int, secret: int) -> None:
        self._key = (process_id, secret)

    def push(self, data: bytes, commit: int = 0) -> bool:
        # The event loop tries to write at once, so what it holds afterwards is what the kernel would not take.
        self._transport.write(data)
        if commit and self._witness:
            witness = self._open.witnesses.get(self._witness)
            if witness is None:
                return False
            witness.write(WITNESSED.pack(*self._key, commit))
        return self._written()

    def when_pushed(self, function: Callable[[bool], None]) -> None:
        self._pushed = function
        asyncio.get_running_loop().call_later(PUSH_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        pushed = self._pushed
        if pushed is None:
            return
        lost = bool(self._witness) and self._witness not in self._open.witnesses
        if lost or self._written():
            self._pushed = None
            pushed(not lost)
        else:
            asyncio.get_running_loop().call_later(PUSH_LOOK_SECONDS, self._look)

    def _written(self) -> bool:
        """Both here and at the witness."""
        if not self._empty():
            return False
        witness = self._open.witnesses.get(self._witness)
        return witness is None or witness is self or witness._empty()

    def _empty(self) -> bool:
        if self._socket.is_closing() or self._transport.is_closing():
            return False
        return not (self._transport.get_write_buffer_size() or self._socket.get_write_buffer_size())


class Listener:
    """The listening socket of the session port."""

    __slots__ = ("_open", "_server", "address")

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open = Open()
        self.address = ""  # `host:port`, once it listens

    async def start(self, address: str, host: RelayHost, greeting_seconds: float, tls: Tls | None = None) -> None:
        """Listen at `address` (`host:port`; port 0 = any). Raises OSError."""
        name, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.BaseProtocol:
            inner = SessionConnection(host, greeting_seconds, self._open)
            if tls is None:
                return inner
            return TlsConnection(inner, tls.server(), greeting_seconds, inner.begin, _no_handshake)

        self._server = await loop.create_server(connection, name.strip("[]"), int(port), backlog=BACKLOG)
        bound = self._server.sockets[0].getsockname()
        self.address = f"{name}:{bound[1]}"

    def close(self) -> None:
        """Take no more connections; those there are stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def abort(self) -> None:
        """Cut what is left."""
        for connection in list(self._open.connections):
            connection.abort()


def _no_handshake(reason: str) -> None:
    log.warning("TLS failed", why=reason)
