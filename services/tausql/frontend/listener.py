"""The listening socket: accepts as fast as there is room for strangers.

What has not shown a password yet is the one thing anybody can make us hold, so it is counted; at the limit accepting
stops and the kernel's backlog holds the rest. Clients of a burst wait a moment instead of failing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

from tausql.frontend.entrance import House
from tausql.frontend.opening import Opening
from tausql.frontend.settings import FrontendSettings
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

_ACCEPTS_A_TURN = 32  # then the loop looks after those who are in
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTED_PAUSE_SECONDS = 0.5

log = logs.get("frontend")


def listening_socket(settings: FrontendSettings) -> socket.socket:
    """The socket to accept on, not blocking. Raises OSError."""
    if settings.listen_fd is not None:
        listening = socket.socket(fileno=settings.listen_fd)
    else:
        address, _, port = settings.listen.rpartition(":")
        address = address.strip("[]")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server(
            (address, int(port)), family=family, backlog=settings.backlog, reuse_port=settings.reuse_port
        )
    listening.setblocking(False)
    return listening


class Listener:
    """Accepts on `listening`, which it owns, until `close`. `context`: asked for anew by each connection."""

    def __init__(
        self,
        host: Host,
        loop: asyncio.AbstractEventLoop,
        house: House,
        context: Callable[[], ssl.SSLContext],
        listening: socket.socket,
    ) -> None:
        self._host = host
        self._loop = loop
        self._house = house
        self._context = context
        self._socket: socket.socket | None = listening
        self._openings: set[Opening] = set()
        self._accepting = False
        self._pause: Timer | None = None
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

    def drop_startups(self) -> None:
        """End every connection that is not authenticated yet."""
        for opening in list(self._openings):
            opening.close()

    def _accept_if_room(self) -> None:
        self._pause = None
        if not self._accepting and self._socket is not None and self._room():
            self._accepting = True
            self._loop.add_reader(self._socket.fileno(), self._acceptable)

    def _stop_accepting(self) -> None:
        if self._accepting and self._socket is not None:
            self._accepting = False
            self._loop.remove_reader(self._socket.fileno())

    def _room(self) -> bool:
        return len(self._openings) < self._house.settings.startups_max

    def _acceptable(self) -> None:
        listening = self._socket
        if listening is None:
            return
        for _ in range(_ACCEPTS_A_TURN):
            if not self._room():
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
                self._pause = self._host.later(_EXHAUSTED_PAUSE_SECONDS, self._accept_if_room)
                return
            self._open(accepted, f"{address[0]}:{address[1]}")

    def _open(self, accepted: socket.socket, client: str) -> None:
        metrics = self._house.metrics
        metrics.connections += 1
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        opening = Opening(self._host, self._loop, self._house, self._context(), accepted, client, self._ended)
        self._openings.add(opening)
        metrics.startups = len(self._openings)

    def _ended(self, opening: Opening) -> None:
        self._openings.discard(opening)
        self._house.metrics.startups = len(self._openings)
        if not self._accepting and self._pause is None:
            self._accept_if_room()
