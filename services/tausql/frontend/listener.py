"""The listening sockets: accept as long as the lobby has room for strangers.

When it is full accepting stops and the kernel's backlog holds the rest: clients of a burst wait a moment instead of
failing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

from tausql.frontend.entrance import House
from tausql.frontend.lobby import Lobby, Visitor, address_of
from tausql.frontend.opening import Opening
from tausql.frontend.settings import FrontendSettings
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

_ACCEPTS_A_TURN = 32  # then the loop looks after those who are in
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTED_PAUSE_SECONDS = 0.5

log = logs.get("frontend")


def listening_socket(settings: FrontendSettings) -> socket.socket:
    """The socket for PostgreSQL's clients, not blocking. Raises OSError."""
    if settings.listen_fd is None:
        return _listening(settings.listen, settings)
    listening = socket.socket(fileno=settings.listen_fd)
    listening.setblocking(False)
    return listening


def websocket_socket(settings: FrontendSettings) -> socket.socket | None:
    """The one for WebSocket, if there is to be one. Raises OSError."""
    return _listening(settings.websocket_listen, settings) if settings.websocket_listen else None


def _listening(listen: str, settings: FrontendSettings) -> socket.socket:
    address, _, port = listen.rpartition(":")
    address = address.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server(
        (address, int(port)), family=family, backlog=settings.backlog, reuse_port=settings.reuse_port
    )
    listening.setblocking(False)
    return listening


class Listener:
    """Accepts on `listening`, which it owns, until `close`. `context`: asked for anew by each connection. `web`: for
    WebSocket."""

    def __init__(
        self,
        host: Host,
        loop: asyncio.AbstractEventLoop,
        house: House,
        lobby: Lobby,
        context: Callable[[], ssl.SSLContext],
        listening: socket.socket,
        *,
        web: bool = False,
    ) -> None:
        self._host = host
        self._loop = loop
        self._house = house
        self._context = context
        self._socket: socket.socket | None = listening
        self._lobby = lobby
        self._web = web
        self._accepting = False
        self._pause: Timer | None = None
        lobby.on_room.append(self._accept_if_room)
        name = listening.getsockname()
        shown = f"[{name[0]}]" if ":" in name[0] else name[0]
        self.address = f"{shown}:{name[1]}"

    @property
    def open(self) -> bool:
        return self._socket is not None

    def start(self) -> None:
        self._accept_if_room()

    def close(self) -> None:
        """Accept no more; those on their way in may finish."""
        listening = self._socket
        if listening is None:
            return
        self._stop_accepting()
        if self._pause is not None:
            self._pause.cancel()
        self._socket = None
        listening.close()

    def _resume(self) -> None:
        self._pause = None
        self._accept_if_room()

    def _accept_if_room(self) -> None:
        waits = self._accepting or self._pause is not None
        if not waits and self._socket is not None and not self._lobby.full:
            self._accepting = True
            self._loop.add_reader(self._socket.fileno(), self._acceptable)

    def _stop_accepting(self) -> None:
        if self._accepting and self._socket is not None:
            self._accepting = False
            self._loop.remove_reader(self._socket.fileno())

    def _acceptable(self) -> None:
        listening = self._socket
        if listening is None:
            return
        for _ in range(_ACCEPTS_A_TURN):
            if self._lobby.full:
                self._stop_accepting()
                return
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                log.error("cannot accept connections", reason=str(error))
                self._stop_accepting()
                self._pause = self._host.later(_EXHAUSTED_PAUSE_SECONDS, self._resume)
                return
            self._house.metrics.connections += 1
            self._lobby.arrive(self._visitor(accepted, address[0], f"{address[0]}:{address[1]}"))

    def _visitor(self, accepted: socket.socket, host: str, client: str) -> Visitor:
        def talk() -> Opening:
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return Opening(
                self._host, self._loop, self._house, self._context(), accepted, client, self._lobby.ended, self._web
            )

        return Visitor(address_of(host), talk, accepted.close)
