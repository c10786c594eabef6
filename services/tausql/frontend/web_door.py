"""WebSocket's port, which is HTTP's, too.

The first byte under TLS tells: a WebSocket begins with a GET, and what SQL over HTTP offers is all POST. So neither
waits for more bytes than have come, and a connection is one of the two for good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tausql.frontend.websocket import WebSocketPipe
from tausql.runtime.tls_connection import Inner, TlsConnection

if TYPE_CHECKING:
    from tausql.frontend.http_door import HttpDoor  # brings uvicorn


class WebDoor:
    """Under TLS until its first byte. begun: called when it is HTTP."""

    __slots__ = ("_begun", "_http", "_pipe", "_tls")

    _tls: TlsConnection

    def __init__(self, pipe: WebSocketPipe, http: HttpDoor | None, begun: Callable[[], None]) -> None:
        self._pipe = pipe
        self._http = http
        self._begun = begun

    def connection_made(self, tls: TlsConnection) -> None:
        self._tls = tls
        self._pipe.connection_made(tls)

    def data_received(self, data: bytes) -> None:
        inner: Inner = self._pipe
        if self._http is not None and not data.startswith(b"G"):
            if self._http.full:
                self._tls.close()
                return
            inner = protocol = self._http.open()
            protocol.connection_made(self._tls)
            self._begun()
        self._tls.set_protocol(inner)
        inner.data_received(data)

    def eof_received(self) -> Any:
        return None

    def pause_writing(self) -> None:
        self._pipe.pause_writing()

    def resume_writing(self) -> None:
        self._pipe.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._pipe.connection_lost(error)
