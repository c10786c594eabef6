"""The first bytes of a connection, read from the bare socket: which of three ways it wants to talk.

    0x16                TLS at once (`sslnegotiation=direct`)
    SSLRequest          answer S, then TLS
    GSSENCRequest       answer N, then one of the others
    anything else       plaintext: a cancel request, a session where that is allowed, or garbage

On a transport this cannot be told without taking bytes that the TLS engine must have, and there is no way to give
them back; upgrading a transport (`start_tls`) has, besides, a window in which plaintext could pass for encrypted. On
the socket, one byte is peeked at, exactly eight are taken, and TLS starts with what comes next: both ways to TLS are
the same from there on. WebSocket's port takes the first way only, and what is under TLS there is HTTP, at first or for
good.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple

from tausql.frontend.entrance import Entrance, House
from tausql.frontend.web_door import WebDoor
from tausql.frontend.websocket import WebSocketPipe
from tausql.pgwire.client import gss_request, ssl_request
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.runtime.tasks import spawn
from tausql.runtime.tls_connection import TlsConnection

_TLS_HANDSHAKE = b"\x16"
_SSL_REQUEST = ssl_request()
_GSS_REQUEST = gss_request()
_SHUTDOWN_SECONDS = 2.0  # for a client's farewell in TLS; it need not say one

log = logs.get("frontend")


class Way(NamedTuple):
    """How a connection wants to talk, and the plaintext bytes that were taken to find out."""

    encrypted: bool
    direct: bool
    first: bytes


class Opening:
    """One accepted socket until it has a transport. `on_end` is called once: when it is authenticated or closed."""

    __slots__ = (
        "_client",
        "_context",
        "_entrance",
        "_gss_seen",
        "_head",
        "_host",
        "_house",
        "_http",
        "_loop",
        "_on_end",
        "_reading",
        "_seconds_end",
        "_socket",
        "_timer",
        "_tls",
        "_web",
    )

    def __init__(
        self,
        host: Host,
        loop: asyncio.AbstractEventLoop,
        house: House,
        context: ssl.SSLContext,
        accepted: socket.socket,
        client: str,
        on_end: Callable[[Opening], None],
        web: bool = False,
    ) -> None:
        self._host = host
        self._loop = loop
        self._house = house
        self._context = context
        self._socket: socket.socket | None = accepted
        self._client = client
        self._on_end: Callable[[Opening], None] | None = on_end
        self._head = b""
        self._gss_seen = False
        self._entrance: Entrance | None = None
        self._tls: TlsConnection | None = None
        self._web = web  # WebSocket or HTTP under TLS
        self._http = False  # it is HTTP
        seconds = house.settings.authentication_seconds
        self._seconds_end = host.monotonic() + seconds
        self._timer = host.later(seconds, self.time_out)
        self._reading = True
        loop.add_reader(accepted.fileno(), self._readable)

    @property
    def silent(self) -> bool:
        """Not one byte has come yet, not even one that waits to be read."""
        accepted = self._socket
        if accepted is None or self._head or self._gss_seen:
            return False
        try:
            accepted.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False  # it has gone, which will be noticed
        return False

    @property
    def connected(self) -> bool:
        """The handshake is done, if there is one."""
        return self._entrance is not None and (self._entrance.connected or self._web)

    @property
    def welcome(self) -> bool | None:
        """It got what it came for. None: HTTP, where every request has to tell who it is, or a cancel request."""
        if self._http:
            return None
        return self._entrance.welcome if self._entrance is not None else False

    def close(self) -> None:
        """Whatever state it is in: no more of it."""
        entrance = self._entrance
        if entrance is not None and entrance.connected:
            entrance.shut()
        elif self._tls is not None:
            self._tls.give_up()
        self._drop()

    def _readable(self) -> None:
        accepted = self._socket
        if accepted is None:
            return
        try:
            way = self._look(accepted)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop()
            return
        if way is not None:
            self._stop_reading()
            self._socket = None
            spawn("open connection", self._enter(accepted, way))

    def _look(self, accepted: socket.socket) -> Way | None:
        """Takes at most eight bytes, and none of TLS's. Raises OSError, ConnectionError at the end of the stream."""
        if not self._head and accepted.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            return Way(True, not self._web, b"")
        if self._web:
            raise ConnectionResetError("no TLS")
        data = accepted.recv(8 - len(self._head))
        if not data:
            raise ConnectionResetError("closed by the client")
        self._head += data
        if len(self._head) < 8:
            return None
        if self._head == _SSL_REQUEST:
            accepted.send(b"S")
            return Way(True, False, b"")
        if self._head == _GSS_REQUEST and not self._gss_seen:
            self._gss_seen = True
            self._head = b""
            accepted.send(b"N")
            return None
        return Way(False, False, self._head)

    async def _enter(self, accepted: socket.socket, way: Way) -> None:
        entrance = Entrance(self._house, self._client, self._end, way.encrypted, way.direct, way.first)
        self._entrance = entrance
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._secured(entrance) if way.encrypted else entrance, accepted
            )
        except OSError as error:
            log.info("a client has gone before it was let in", client=self._client, reason=str(error))
            with contextlib.suppress(OSError):
                accepted.close()
            self._end()

    def _secured(self, entrance: Entrance) -> TlsConnection:
        inner: Entrance | WebDoor = entrance
        if self._web:
            inner = WebDoor(WebSocketPipe(entrance, self._web_opened), self._house.http, self._http_begun)
        self._tls = TlsConnection(
            inner,
            self._context,
            max(self._seconds_end - self._host.monotonic(), 0.001),
            lambda tls, socket: inner.connection_made(tls),
            self._no_handshake,
            _SHUTDOWN_SECONDS,
        )
        return self._tls

    def _web_opened(self, pipe: WebSocketPipe) -> None:
        assert self._entrance is not None
        self._entrance.connection_made(pipe)

    def _http_begun(self) -> None:
        self._http = True
        self._end()

    def _no_handshake(self, reason: str) -> None:
        self._house.metrics.tls_failures += 1
        log.info("TLS handshake failed", client=self._client, reason=reason)
        self._end()

    def time_out(self) -> None:
        """It takes too long."""
        entrance = self._entrance
        if entrance is not None and entrance.connected:
            entrance.time_out()
            return
        if self._tls is not None:  # neither the handshake nor HTTP's is done
            self._tls.give_up()
            return
        if entrance is not None:
            return  # it is about to have a transport, and is looked at again
        self._house.metrics.timeouts += 1
        self._drop()

    def _stop_reading(self) -> None:
        accepted = self._socket
        if self._reading and accepted is not None:
            self._reading = False
            self._loop.remove_reader(accepted.fileno())

    def _drop(self) -> None:
        self._stop_reading()
        accepted = self._socket
        self._socket = None
        if accepted is not None:
            accepted.close()
            self._end()

    def _end(self) -> None:
        on_end = self._on_end
        if on_end is not None:
            self._on_end = None
            self._timer.cancel()
            on_end(self)
