"""A process's place on the network: what it serves, and its channels to the others.

Services of the same process meet over memory, all others over one WebSocket per address, however many services share
it. A node keeps trying to reach every address it was asked for, and never decides by itself to send anything twice.
"""

from __future__ import annotations

import asyncio
import os
import socket as sockets
from collections.abc import Awaitable, Callable
from typing import Any

from picows import WSError, WSUpgradeRequest, ws_connect, ws_create_server

from tausql.rpc import frames, memory, websocket
from tausql.rpc.answering import Answerer
from tausql.rpc.calling import Caller, ServiceChannel
from tausql.rpc.frames import Codec
from tausql.rpc.interface import Cause, Channel, Message, Routes
from tausql.rpc.links import Links
from tausql.rpc.outlet import Turn
from tausql.rpc.websocket import PATH, Socket
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer
from tausql.runtime.tasks import spawn
from tausql.runtime.tls import Tls

CONNECT_SECONDS = 2.0
HANDSHAKE_SECONDS = 5.0  # of TLS, and again of the WebSocket: a machine that starts many pods at once is slow to answer
BACKOFF_SECONDS_MIN = 0.005
BACKOFF_SECONDS_MAX = 0.5
FAREWELL_SECONDS = 1.0
REOPEN_SECONDS = 1.0  # before another try to listen with new certificates
STEADY_SECONDS = 1.0  # a connection that lasted so long starts the backoff anew
PEERS_MAX = 4_096

log = logs.get("rpc")


class Node:
    """The `Network` of a real process.

    listen: `host:port`, port 0 for any. messages: the union of all message types. address: what others call this
    process, if it is not where it listens. tls: what both sides show each other; None = plaintext.
    """

    def __init__(
        self,
        host: Host,
        listen: str,
        messages: Any,
        *,
        address: str = "",
        tls: Tls | None = None,
        keepalive_seconds: float = 3.0,
    ) -> None:
        self.host = host
        self.address = address or listen
        self.codec = Codec(messages)
        self.turn = Turn(host)
        self.services: dict[str, Routes] = {}
        self.tls = tls
        self.locate: Callable[[str], str] = str  # where an address is now
        self.links: Links | None = None  # chaos: links that can be cut
        self._advertised = bool(address)
        self._listen = listen
        self._keepalive_seconds = keepalive_seconds
        self._keepalive: Timer | None = None
        self._measure = websocket.measure_with(self.codec)
        self._servers: list[asyncio.Server] = []
        self._reopening = False
        self._peers: set[Socket] = set()
        self._clients: set[Socket] = set()
        self._went = asyncio.Event()
        self._lines: dict[str, Line | LocalLine] = {}
        self._closed = False

    # Network

    def serve(self, service: str, routes: Routes) -> None:
        if service in self.services:
            raise ValueError(f"{service} is already served here")
        self.services[service] = routes

    def connect(self, address: str, service: str) -> Channel:
        if self._closed:
            raise RuntimeError("the node is closed")
        line = self._lines.get(address)
        if line is None:
            line = LocalLine(self, address) if address == self.address else Line(self, address)
            self._lines[address] = line
            line.open()
        return line.channel(service)

    # Life

    async def start(self) -> None:
        """Listen. Raises OSError where the address is taken."""
        name, _, port = self._listen.rpartition(":")
        self._servers.append(await self._listen_at(host=name.strip("[]"), port=int(port)))
        if not self._advertised:
            self.address = f"{name}:{self._servers[0].sockets[0].getsockname()[1]}"
        if self.tls is not None:
            self.tls.follow(self._reopen)
        self._keepalive = self.host.later(self._keepalive_seconds, self._tick)

    async def close(self) -> None:
        """Send what is waiting and close every connection. Calls in flight fail as cancelled.

        Peers that do not take their farewell within `FAREWELL_SECONDS` are hung up on.
        """
        self._closed = True
        if self._keepalive is not None:
            self._keepalive.cancel()
        for line in list(self._lines.values()):
            line.close()
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for socket in list(self._peers):
            socket.close()
        if not await self._all_gone():
            for socket in [*self._peers, *self._clients]:
                socket.abort()
            await self._all_gone()
        for server in servers:
            await server.wait_closed()

    async def _listen_at(self, **where: Any) -> asyncio.Server:
        if self.tls is not None:
            where |= {"ssl": self.tls.server(), "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        return await ws_create_server(
            self._accept,
            **where,
            enable_auto_pong=False,
            max_frame_size=frames.FRAME_BYTES_MAX,
            backlog=1024,
        )

    def _reopen(self) -> None:
        if not self._reopening and not self._closed:
            self._reopening = True
            spawn("listen with new certificates", self._listen_anew())

    async def _listen_anew(self) -> None:
        """Listen on the same sockets with the present certificates: the kernel's queue is the old one, so no
        connection is refused meanwhile, and those that are open stay."""
        assert self.tls is not None
        context = self.tls.server()
        before, fresh = self._servers, list[asyncio.Server]()
        reason = ""
        try:
            for server in before:
                for listening in server.sockets:
                    twin = sockets.socket(fileno=os.dup(listening.fileno()))
                    fresh.append(await self._listen_at(sock=twin))
        except OSError as error:
            reason = str(error)
        self._reopening = False
        if reason:
            log.error("cannot listen with new certificates", reason=reason)
            self.host.later(REOPEN_SECONDS, self._reopen)
        elif not self._closed:
            self._servers, fresh = fresh, before
            if context is not self.tls.server():
                self._reopen()
        for server in fresh:
            server.close()

    async def _all_gone(self) -> bool:
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                while self._peers or self._clients:
                    self._went.clear()
                    await self._went.wait()
        except TimeoutError:
            return False
        return True

    def client_opened(self, socket: Socket) -> None:
        self._clients.add(socket)

    def client_gone(self, socket: Socket) -> None:
        self._clients.discard(socket)
        self._went.set()

    def forget(self, line: Line | LocalLine) -> None:
        if self._lines.get(line.caller.address) is line:
            del self._lines[line.caller.address]

    @property
    def peers(self) -> int:
        """How many clients are connected."""
        return len(self._peers)

    @property
    def callers(self) -> list[Caller]:
        """The client's half of every connection, local and remote."""
        return [line.caller for line in self._lines.values()]

    def _accept(self, request: WSUpgradeRequest) -> Socket | None:
        if request.path != PATH.encode() or len(self._peers) >= PEERS_MAX:
            return None
        answerer = Answerer(self.host, self.turn, self.services, self._measure)

        def gone(socket: Socket) -> None:
            self._peers.discard(socket)
            self._went.set()
            answerer.lost()

        return Socket(self.host, self.codec, answerer, self._peers.add, gone)

    def _tick(self) -> None:
        for socket in list(self._peers):
            socket.tick(ping=False)
        for line in self._lines.values():
            line.tick()
        self._keepalive = self.host.later(self._keepalive_seconds, self._tick)


class LocalLine:
    """The way to this process's own services."""

    def __init__(self, node: Node, address: str) -> None:
        self._node = node
        self.caller = Caller(node.host, node.turn, address)
        self._answerer = Answerer(node.host, node.turn, node.services, memory.measure)
        self._link = memory.MemoryLink(self.caller, self._answerer)
        self._channels: dict[str, ServiceChannel] = {}

    def open(self) -> None:
        self._link.open()

    def channel(self, service: str) -> ServiceChannel:
        channel = self._channels.get(service)
        if channel is None:
            channel = self._channels[service] = ServiceChannel(self.caller, service, self._closed)
        return channel

    def tick(self) -> None:
        pass  # a process hears itself

    def close(self) -> None:
        self.caller.closed = True
        self._link.close()

    def _closed(self, channel: ServiceChannel) -> None:
        del self._channels[channel.service]
        if not self._channels:
            self._node.forget(self)
            self.close()


class Line:
    """The way to another process: one WebSocket, made again whenever it breaks."""

    def __init__(self, node: Node, address: str) -> None:
        self._node = node
        self._host = node.host
        self.caller = Caller(node.host, node.turn, address)
        self._channels: dict[str, ServiceChannel] = {}
        self._socket: Socket | None = None
        self._backoff_seconds = BACKOFF_SECONDS_MIN
        self._opened_at = 0.0
        self._retry: Timer | None = None
        self._attempts = 0
        self._opened_by = 0  # the attempt that the present or last socket came from
        self._told = False  # the log heard that this address cannot be reached

    def open(self) -> None:
        self._retry = None
        self.caller.waiting = True
        self._attempts += 1
        spawn(f"connect {self.caller.address}", self._connect(self._attempts))

    def channel(self, service: str) -> ServiceChannel:
        channel = self._channels.get(service)
        if channel is None:
            channel = self._channels[service] = ServiceChannel(self.caller, service, self._closed)
        return channel

    def tick(self) -> None:
        if self._socket is not None:
            self._socket.tick(ping=True)

    def close(self) -> None:
        """For good: what is in flight fails as cancelled."""
        self.caller.closed = True
        if self._retry is not None:
            self._retry.cancel()
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()
        self.caller.lost(Cause.cancelled, "the channel was closed")

    async def _connect(self, attempt: int) -> None:
        # Every step has a limit of its own, and none is cancelled from here: TLS that is cancelled in its handshake
        # closes its file descriptor and goes on reading there, when it is somebody else's already.
        address = self.caller.address
        reason = ""
        tls = self._node.tls
        scheme = "ws" if tls is None else "wss"
        located = self._node.locate(address)
        limits: dict[str, Any] = {} if tls is None else {"ssl_handshake_timeout": HANDSHAKE_SECONDS}
        try:
            if self._node.links is not None:
                await self._node.links.reach(address)
            await ws_connect(
                lambda: self._make_socket(attempt),
                f"{scheme}://{located}{PATH}",
                ssl_context=None if tls is None else tls.client(),
                websocket_handshake_timeout=HANDSHAKE_SECONDS,
                enable_auto_pong=False,
                max_frame_size=frames.FRAME_BYTES_MAX,
                socket_factory=lambda _: _connected(located),
                **limits,
            )
        except (OSError, WSError, TimeoutError) as error:
            reason = repr(error)
        if attempt != self._attempts or (not reason and self._opened_by == attempt):
            return
        # A server that hangs up during the handshake ends the attempt without an exception, and without a socket.
        reason = reason or "the handshake was cut short"
        if not self._told:
            self._told = True
            log.info("cannot connect", address=address, reason=reason)
        self._down(f"cannot connect to {address}: {reason}")

    def _make_socket(self, attempt: int) -> Socket:
        node = self._node
        make = Socket if node.links is None else node.links.socket
        socket = make(self._host, node.codec, self.caller, node.client_opened, self._gone)
        if attempt == self._attempts and self._retry is None and not self.caller.closed:
            self._socket = socket
            self._opened_by = attempt
            self._opened_at = self._host.monotonic()
        else:
            socket.wanted = False
        return socket

    def _gone(self, socket: Socket) -> None:
        self._node.client_gone(socket)
        if self._socket is socket:
            log.info("connection lost", address=self.caller.address)
            self._down(f"the connection to {self.caller.address} broke")

    def _down(self, reason: str) -> None:
        if self.caller.closed:
            return
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.abort()  # in case it is only the attempt that was given up
            self._told = False
            if self._host.monotonic() - self._opened_at >= STEADY_SECONDS:
                self._backoff_seconds = BACKOFF_SECONDS_MIN
        if self._retry is None:
            pause = self._backoff_seconds * (0.5 + self._host.random.random() / 2)
            self._backoff_seconds = min(self._backoff_seconds * 2, BACKOFF_SECONDS_MAX)
            self._retry = self._host.later(pause, self.open)
        self.caller.lost(Cause.unavailable, reason)

    def _closed(self, channel: ServiceChannel) -> None:
        del self._channels[channel.service]
        if not self._channels:
            self._node.forget(self)
            self.close()


async def _connected(address: str) -> sockets.socket:
    """A TCP connection to `address` (`host:port`). Raises OSError, TimeoutError after `CONNECT_SECONDS`."""
    name, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{name} has no address")
    async with asyncio.timeout(CONNECT_SECONDS):
        for family, kind, protocol, _, where in await loop.getaddrinfo(
            name.strip("[]"), int(port), type=sockets.SOCK_STREAM
        ):
            opened = sockets.socket(family, kind, protocol)
            opened.setblocking(False)
            opened.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(opened, where)
            except OSError as error:
                opened.close()
                failure = error
            except BaseException:
                opened.close()
                raise
            else:
                return opened
    raise failure


def ask(channel: Channel, request: Message, seconds: float) -> Awaitable[Any]:
    """`channel.call` for coroutines, away from hot paths: awaits the answer or the `Failure`."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(answer: Any) -> None:
        if not future.done():
            future.set_result(answer)

    channel.call(request, seconds, done)
    return future
