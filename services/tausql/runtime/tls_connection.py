"""TLS on top of a bare socket's transport.

The event loop's own TLS has three flaws. It keeps a read buffer of 256 KiB for every connection, whether anything
comes or not. It hides the socket, and with it whether the kernel has taken what was written. And upgrading a transport
(`start_tls`) loses what arrives before the upgrade, because uvloop reads from an accepted socket whatever it is told at
first. A TLS engine between two memory buffers has none of these, and is no more than this.

The two buffers keep the largest size they ever had, so no more than a record goes through them at a time: what a
connection costs while it is idle does not depend on how large its largest answer was.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from tausql.runtime import logs

RECORD_BYTES = 16 * 1024  # the most that TLS puts into one

log = logs.get("tls")


class Inner(Protocol):
    """What is under TLS: a protocol, as the event loop knows it."""

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> Any: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def connection_lost(self, error: Exception | None) -> None: ...


Begin = Callable[[Any, asyncio.Transport], None]  # gets the `TlsConnection`, and the socket's transport below it
Failed = Callable[[str], None]


class TlsConnection(asyncio.Protocol):
    """The protocol of the socket and, once the handshake is done, the transport of `inner`. The server's side, unless
    `client`.

    begin: called when the handshake is done. failed: called with the reason if there will be none. seconds: a handshake
    that takes longer is cut off. linger_seconds: a connection that was closed waits so long for the other side to have
    read everything: a socket that is closed with unread bytes in it takes back what was written.
    """

    __slots__ = (
        "_begin",
        "_client",
        "_closing",
        "_error",
        "_failed",
        "_incoming",
        "_inner",
        "_linger_seconds",
        "_outgoing",
        "_patience",
        "_paused",
        "_rest",
        "_seconds",
        "_shaken",
        "_socket",
        "_tls",
    )

    _socket: asyncio.Transport

    def __init__(
        self,
        inner: Inner,
        context: ssl.SSLContext,
        seconds: float,
        begin: Begin,
        failed: Failed,
        linger_seconds: float = 0.0,
        *,
        client: bool = False,
    ) -> None:
        self._inner: Inner | None = inner
        self._seconds = seconds
        self._begin: Begin | None = begin
        self._failed: Failed | None = failed
        self._linger_seconds = linger_seconds
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=not client)
        self._client = client
        self._shaken = False
        self._closing = False
        self._error: Exception | None = None  # what has broken it
        self._paused = False
        self._rest = b""  # has come and is not decrypted yet
        self._patience: asyncio.TimerHandle | None = None

    # --- the socket's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self._patience = asyncio.get_running_loop().call_later(self._seconds, self._impatient)
        if self._client:
            self._take()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._rest:
            self._rest += data
        else:
            self._rest = data
        self._take()

    def eof_received(self) -> Any:
        if self._shaken and not self._closing and self._inner is not None:
            return self._inner.eof_received()
        return None

    def pause_writing(self) -> None:
        if self._shaken and self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._shaken and self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._calm()
        if not self._shaken:
            self._fail("the other side has hung up" if error is None else str(error))
        inner, self._inner = self._inner, None
        self._begin = self._failed = None
        if self._shaken and inner is not None:
            inner.connection_lost(error if error is not None else self._error)

    # --- decrypting ----------------------------------------------------------------------------------------------

    def _take(self) -> None:
        """A record's worth at a time, until there is no more or reading is paused."""
        incoming, rest = self._incoming, self._rest
        self._rest = b""
        position, size = 0, len(rest)
        view = memoryview(rest)
        try:
            while True:
                incoming.write(rest if size <= RECORD_BYTES else view[position : position + RECORD_BYTES])
                position += RECORD_BYTES
                if (self._shaken or self._shake()) and not self._closing:
                    self._read()
                if self._closing or position >= size:
                    return
                if self._paused:
                    self._rest = rest[position:]
                    return
        except ssl.SSLError as error:
            self._broken(error)

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()  # an alert, too
        self._calm()
        self._shaken = True
        begin, self._begin, self._failed = self._begin, None, None
        assert begin is not None
        begin(self, self._socket)
        return True

    def _read(self) -> None:
        tls, incoming = self._tls, self._incoming
        while not (self._paused or self._closing):
            try:
                data = tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            if not data:  # the other side's farewell
                if self._inner is not None and not self._inner.eof_received():
                    self.close()
                return
            assert self._inner is not None
            self._inner.data_received(data)
            if self._closing or not (incoming.pending or tls.pending()):
                break
        if not self._closing:
            self._flush()

    def _resume(self) -> None:
        if self._paused or self._closing:
            return
        self._take()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._socket.is_closing():
            self._socket.write(self._outgoing.read())

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _impatient(self) -> None:
        self._fail("the handshake takes too long")
        self._socket.abort()

    def _broken(self, error: ssl.SSLError) -> None:
        if self._shaken:
            log.info("a TLS connection is broken", reason=str(error))
        self._error = error
        self._fail(str(error))
        self._closing = True
        self._flush()  # the alert that says why
        self._socket.close()

    def _fail(self, reason: str) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            failed(reason)

    # --- the transport of `inner` --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._closing or not data:
            return
        if len(data) <= RECORD_BYTES:
            self._tls.write(data)
            self._socket.write(self._outgoing.read())
            return
        records: list[bytes] = []
        view = memoryview(data)
        for start in range(0, len(data), RECORD_BYTES):
            self._tls.write(view[start : start + RECORD_BYTES])
            records.append(self._outgoing.read())
        self._socket.writelines(records)

    def set_protocol(self, inner: Inner) -> None:
        self._inner = inner

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            if not self._closing:
                self._socket.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            if not self._closing:
                self._socket.resume_reading()
                asyncio.get_running_loop().call_soon(self._resume)  # what has come already

    def close(self) -> None:
        """Send what is waiting, and that it is the end."""
        if self._closing:
            return
        self._closing = True
        self._rest = b""
        socket = self._socket
        if socket.is_closing():
            return
        with contextlib.suppress(ssl.SSLError):  # it waits for the other side's farewell
            self._tls.unwrap()
        self._flush()
        # The engine keeps a record's buffer for a farewell, and when a pool closes there are thousands of them.
        del self._tls, self._incoming, self._outgoing
        if not self._linger_seconds:
            socket.close()
            return
        if self._paused:
            socket.resume_reading()
        socket.write_eof()
        self._patience = asyncio.get_running_loop().call_later(self._linger_seconds, socket.close)

    def abort(self) -> None:
        self._closing = True
        self._socket.abort()

    def give_up(self) -> None:
        """Nobody waits for the handshake, or for what was to come after it, any more."""
        if self._shaken:
            self.abort()
        else:
            self._seconds = 0.0
            if self._patience is not None:
                self._patience.cancel()
                self._impatient()

    def is_closing(self) -> bool:
        return self._closing or self._socket.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size()  # what is written is there at once

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return None if self._closing else self._tls
        return self._socket.get_extra_info(name, default)
