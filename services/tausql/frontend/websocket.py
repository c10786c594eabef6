"""PostgreSQL's protocol over WebSocket (`wss://{host}:443`), as Aurora DSQL's connector for Postgres.js speaks it.

The messages of WebSocket only carry the protocol's bytes, with one exception: that connector tells a ReadyForQuery, and
the row of its own heartbeat, by the first byte of a WebSocket message. So every message of the protocol begins a
WebSocket message, and rows share one only with rows. Whatever a write of the session cuts in two goes out in fragments:
nothing is held back to be made whole.

A `WebSocketPipe` is what is under TLS for one side and the transport of what comes after for the other, so a client
that came this way is authenticated, limited, moved and told of errors like every other.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from tausql.runtime.tls_connection import Inner, TlsConnection

STRANGER_BYTES_MAX = 72 * 1024  # of a WebSocket message before there is a session: a token's packet is the largest
MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # later: the protocol's own 10 MiB, and what comes with it
ROWS_BYTES_MAX = 64 * 1024  # of rows that share a WebSocket message
_HEADER = Struct(">BI")
_SHARING = frozenset(b"Dd")  # DataRow, CopyData
_CARRIED = (Opcode.BINARY, Opcode.CONT)


class Piece(NamedTuple):
    """A run of bytes to send. first, last: of its WebSocket message."""

    data: bytes
    first: bool
    last: bool


class Pieces:
    """Cuts a session's answer along the protocol's messages."""

    __slots__ = ("_head", "_missing")

    def __init__(self) -> None:
        self._head = b""  # of a message whose length has not come yet
        self._missing = 0  # bytes of the present message still to come

    def cut(self, data: bytes) -> list[Piece]:
        if self._head:
            data = self._head + data
            self._head = b""
        pieces: list[Piece] = []
        position, size = 0, len(data)
        if self._missing:
            position = min(self._missing, size)
            self._missing -= position
            pieces.append(Piece(data[:position], False, not self._missing))
        begin, sharing = position, 0  # of a run of rows, and their kind
        while size - position >= _HEADER.size:
            kind, length = _HEADER.unpack_from(data, position)
            end = position + 1 + length
            if begin < position and (kind != sharing or end - begin > ROWS_BYTES_MAX):
                pieces.append(Piece(data[begin:position], True, True))
                begin = position
            if end > size:
                if begin < position:
                    pieces.append(Piece(data[begin:position], True, True))
                self._missing = end - size
                pieces.append(Piece(data[position:], True, False))
                return pieces
            position = end
            sharing = kind if kind in _SHARING else 0
            if not sharing:
                pieces.append(Piece(data[begin:end], True, True))
                begin = end
        if begin < position:
            pieces.append(Piece(data[begin:position], True, True))
        self._head = data[position:]
        return pieces


class WebSocketPipe:
    """Under TLS, and over `inner`. opened: called with this as the transport, once it is a WebSocket."""

    __slots__ = (
        "_events",
        "_held",
        "_inner",
        "_opened",
        "_outgoing_full",
        "_pieces",
        "_protocol",
        "_tls",
    )

    _tls: TlsConnection

    def __init__(self, inner: Inner, opened: Callable[[WebSocketPipe], None]) -> None:
        self._inner: Inner | None = inner
        self._opened: Callable[[WebSocketPipe], None] | None = opened  # None: it is one
        self._protocol = ServerProtocol(max_size=STRANGER_BYTES_MAX, logger=_silent())
        self._pieces = Pieces()
        self._events: deque[Any] = deque()
        self._held = False  # the session wants no more for now
        self._outgoing_full = False  # the client does not read: not even its pings are answered

    # --- TLS's side ----------------------------------------------------------------------------------------------

    def connection_made(self, tls: TlsConnection) -> None:
        self._tls = tls

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._events.extend(self._protocol.events_received())
        self._deliver()  # before the connection is closed, if that is what comes last
        self._flush()

    def eof_received(self) -> Any:
        return None

    def pause_writing(self) -> None:
        self._outgoing_full = True
        self._tls.pause_reading()
        if self._opened is None and self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._outgoing_full = False
        if not self._held:
            self._tls.resume_reading()
        if self._opened is None and self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        inner, self._inner = self._inner, None
        self._events.clear()
        if inner is not None:
            inner.connection_lost(error)

    def _deliver(self) -> None:
        events = self._events
        while events and not self._held and self._inner is not None and not self._tls.is_closing():
            event = events.popleft()
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame) and event.opcode in _CARRIED:
                if event.data:
                    self._inner.data_received(bytes(event.data))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "PostgreSQL's protocol is binary")
                self._flush()

    def _upgrade(self, request: Request) -> None:
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self._flush()
        opened, self._opened = self._opened, None
        if self._protocol.state is State.OPEN and opened is not None:
            opened(self)

    def _flush(self) -> None:
        tls = self._tls
        for data in self._protocol.data_to_send():
            if data:
                tls.write(data)
            else:  # it is over
                tls.close()

    # --- the transport of `inner` --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol.state is not State.OPEN:
            return
        for piece in self._pieces.cut(data):
            if piece.first:
                protocol.send_binary(piece.data, piece.last)
            else:
                protocol.send_continuation(piece.data, piece.last)
        made = protocol.data_to_send()
        if made:
            self._tls.write(b"".join(made))

    def set_protocol(self, inner: Inner) -> None:
        """A client now, and no stranger any more."""
        self._inner = inner
        self._protocol.max_message_size = MESSAGE_BYTES_MAX

    def pause_reading(self) -> None:
        if not self._held:
            self._held = True
            self._tls.pause_reading()

    def resume_reading(self) -> None:
        if self._held:
            self._held = False
            self._deliver()
            if not self._held and not self._outgoing_full:
                self._tls.resume_reading()

    def close(self) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        self._tls.close()

    def abort(self) -> None:
        self._tls.abort()

    def is_closing(self) -> bool:
        return self._tls.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._tls.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._tls.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls.get_extra_info(name, default)


def _silent() -> logging.Logger:
    """What strangers send is no news for our log: the metrics count it."""
    logger = logging.getLogger("tausql.websocket")
    logger.disabled = True
    return logger
