"""The HTTP listener of a process, on its one event loop.

uvicorn as it comes installs its own signal handlers and looks ten times a second whether it should stop, which in an
idle fleet is most of the CPU used. Here the process owns the signals, and the server sleeps until it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

from tausql.runtime.tasks import spawn

SHUTDOWN_SECONDS = 2
CONNECTIONS_MAX = 1_000


def http_config(app: Any, protocol: type[asyncio.Protocol] | None = None) -> uvicorn.Config:
    """What all of a process's HTTP has in common."""
    return uvicorn.Config(
        app,
        loop="none",
        http=protocol or "httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,  # it is what the tick refreshes
        server_header=False,
        proxy_headers=False,  # whose address and scheme it is decides over permissions: nobody may say it himself
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class HttpServer(uvicorn.Server):
    """uvicorn without ticks and signal handlers.

    app: ASGI. listen: `host:port`, port 0 for any; `address` tells which after `start`. protocol: of a connection,
    instead of uvicorn's own. tls: None for plain HTTP.
    """

    def __init__(
        self,
        app: Any,
        listen: str,
        *,
        protocol: type[asyncio.Protocol] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(http_config(app, protocol))
        self._tls = tls
        self._listen = listen
        self._told_to_stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.address = listen

    async def start(self) -> None:
        """Listen. Raises OSError where the address is taken."""
        name, _, port = self._listen.rpartition(":")
        name = name.strip("[]")
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        listener = socket.create_server((name, int(port)), family=family, backlog=128)
        listener.setblocking(False)
        self.address = f"{self._listen.rpartition(':')[0]}:{listener.getsockname()[1]}"
        self.config.load()
        self.config.ssl = self._tls
        self._task = spawn("http", self.serve([listener]))

    async def stop(self) -> None:
        """Finish what is under way, for `SHUTDOWN_SECONDS` at most."""
        self.should_exit = True
        self._told_to_stop.set()
        if self._task is not None:
            await self._task

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._told_to_stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
