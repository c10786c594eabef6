"""TLS on the session port, on top of a bare socket.

A server that does TLS by itself hides the socket, and with it whether the kernel has taken a note; and upgrading a
transport (`start_tls`) loses what arrives before the upgrade, because uvloop reads from an accepted socket whatever it
is told at first. A TLS engine between two memory buffers has neither flaw, and is no more than this.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from tausql.runtime import logs

_READ_BYTES = 64 * 1024

log = logs.get("processor")


class Inner(Protocol):
    """What is under TLS."""

    def begin(self, transport: Any, socket: asyncio.Transport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def connection_lost(self, error: Exception | None) -> None: ...


class TlsConnection(asyncio.Protocol):
    """The protocol of the socket and, once the handshake is done, the transport of `inner`. A handshake that takes
    longer than `seconds` is cut off."""

    __slots__ = (
        "_incoming",
        "_inner",
        "_outgoing",
        "_patience",
        "_paused",
        "_seconds",
        "_shaken",
        "_socket",
        "_tls",
        "get_extra_info",
        "get_write_buffer_size",
        "is_closing",
        "set_write_buffer_limits",
    )

    _socket: asyncio.Transport

    def __init__(self, inner: Inner, context: ssl.SSLContext, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False
        self._paused = False
        self._patience: asyncio.TimerHandle | None = None

    # the socket's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket = self._socket = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self.get_extra_info: Callable[..., Any] = socket.get_extra_info
        self.get_write_buffer_size: Callable[[], int] = socket.get_write_buffer_size  # what is written is there at once
        self.is_closing: Callable[[], bool] = socket.is_closing
        self.set_write_buffer_limits: Callable[..., None] = socket.set_write_buffer_limits
        self._patience = asyncio.get_running_loop().call_later(self._seconds, socket.abort)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._shaken or self._shake():
                self._read()
        except ssl.SSLError as error:
            self._broken(error)

    def eof_received(self) -> None:
        if self._shaken:
            self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._shaken:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._shaken:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._calm()
        if self._shaken:
            self._inner.connection_lost(error)

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._flush()
        self._calm()
        self._shaken = True
        self._inner.begin(self, self._socket)
        return True

    def _read(self) -> None:
        while not (self._paused or self._socket.is_closing()):
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self._inner.eof_received()
                break
            self._inner.data_received(data)
        self._flush()

    def _resume(self) -> None:
        try:
            self._read()
        except ssl.SSLError as error:
            self._broken(error)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.write(self._outgoing.read())

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _broken(self, error: ssl.SSLError) -> None:
        log.warning("TLS failed", peer=str(self.get_extra_info("peername")), why=str(error))
        self._flush()  # the alert that says why
        self._socket.close()

    # the transport of `inner`

    def write(self, data: bytes) -> None:
        if data and not self._socket.is_closing():
            self._tls.write(data)
            self._socket.write(self._outgoing.read())

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._socket.resume_reading()
            asyncio.get_running_loop().call_soon(self._resume)  # what is decrypted already

    def close(self) -> None:
        """Send what is waiting, and that it is the end."""
        if not self._socket.is_closing():
            with contextlib.suppress(ssl.SSLError):  # it waits for the other side's farewell; we do not
                self._tls.unwrap()
            self._flush()
            self._socket.close()

    def abort(self) -> None:
        self._socket.abort()
