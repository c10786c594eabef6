"""Two nodes of one loop, and an echo service that can do everything a service may do."""

from __future__ import annotations

import asyncio
import datetime
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from tausql.rpc.interface import Cause, Channel, Failure, Peer, Reply, Routes, Sink
from tausql.rpc.node import Node
from tausql.runtime.issuing import Issued, issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Tls


class Say(msgspec.Struct, tag="test_say", array_like=True, gc=False):
    text: str
    body: bytes = b""


class Refuse(msgspec.Struct, tag="test_refuse", array_like=True, gc=False):
    pass


class Ignore(msgspec.Struct, tag="test_ignore", array_like=True, gc=False):
    """A call that is never answered."""


class Grow(msgspec.Struct, tag="test_grow", array_like=True, gc=False):
    """A call answered with so many bytes."""

    size: int


class Count(msgspec.Struct, tag="test_count", array_like=True, gc=False):
    """A stream of so many numbers, each with a body."""

    items: int
    body: bytes = b""


class Number(msgspec.Struct, tag="test_number", array_like=True, gc=False):
    value: int
    body: bytes = b""


class Strange(msgspec.Struct, tag="test_strange", array_like=True, gc=False):
    """Understood by the decoder, answered by nobody."""


MESSAGES = Say | Refuse | Ignore | Grow | Count | Number | Strange


class Echo:
    """The service under test's other end. `pushes` are the answers that `Sink.push` gave."""

    def __init__(self) -> None:
        self.casts: list[str] = []
        self.held: list[Reply] = []
        self.sinks: list[Sink] = []
        self.pushes: list[bool] = []
        self.closed_sinks = 0
        self.gone: list[str] = []
        self.heard = asyncio.Event()

    def routes(self) -> Routes:
        return Routes(
            calls={
                Say: lambda request, reply: reply.answer(request),
                Refuse: lambda request, reply: reply.fail(Cause.refused, "no"),
                Ignore: lambda request, reply: self._note(self.held.append, reply),
                Grow: lambda request, reply: reply.answer(Say("big", b"x" * request.size)),
            },
            streams={Count: self._count},
            casts={Say: lambda message, peer: self._note(self.casts.append, message.text)},
            on_disconnect=self._gone,
        )

    def _note(self, function: Callable[[Any], None], value: Any) -> None:
        function(value)
        self.heard.set()

    def _gone(self, peer: Peer) -> None:
        assert not peer.connected
        self._note(self.gone.append, peer.name)

    def _count(self, request: Count, sink: Sink) -> None:
        self.sinks.append(sink)
        sink.when_closed(self._sink_closed)
        next_value = 0

        def more() -> None:
            nonlocal next_value
            while next_value < request.items:
                item = Number(next_value, request.body)
                next_value += 1
                self.pushes.append(sink.push(item))
                if not self.pushes[-1]:
                    sink.when_ready(more)
                    return
            sink.end()

        more()

    def _sink_closed(self) -> None:
        self.closed_sinks += 1
        self.heard.set()


class Pair:
    """A client node, and a channel to an `Echo` that lives in another node or in the same one."""

    def __init__(self, host: AsyncHost, client: Node, server: Node, echo: Echo) -> None:
        self.host = host
        self.client = client
        self.server = server
        self.echo = echo
        self.channel: Channel = client.connect(server.address, "echo")

    async def ask(self, request: Any, seconds: float = 5.0) -> Any:
        return await ask_of(self.channel, request, seconds)

    async def gather(self, request: Any) -> tuple[list[Any], Failure | None]:
        """All items of a stream, and how it ended."""
        items: list[Any] = []
        ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self.channel.stream(request, items.append, ended.set_result)
        return items, await ended


def ask_of(channel: Channel, request: Any, seconds: float = 5.0) -> asyncio.Future[Any]:
    """Like `rpc.node.ask`, but fails when `done` is called twice."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    channel.call(request, seconds, future.set_result)
    assert not future.done(), "done was called from within call"
    return future


NOW = datetime.datetime.now(datetime.UTC)


def authority() -> Issued:
    return issue_authority("a fleet", NOW, 100)


def put(folder: Path, trusted: list[Issued], signer: Issued) -> Path:
    """The files of `Tls`: a fresh certificate of `signer`."""
    folder.mkdir(exist_ok=True)
    leaf = issue(signer, "member", ["member"], NOW, 10, client=True)
    (folder / "ca.crt").write_bytes(b"".join(one.pem() for one in trusted))
    (folder / "tls.crt").write_bytes(leaf.pem())
    (folder / "tls.key").write_bytes(leaf.key_pem())
    return folder


Scenario = Callable[[Pair], Awaitable[None]]


def run_pair(transport: str, scenario: Scenario) -> None:
    async def body(host: AsyncHost) -> None:
        tls = None
        if transport == "tls":
            with tempfile.TemporaryDirectory() as folder:
                signer = authority()
                tls = Tls(host, put(Path(folder), [signer], signer))
        client = Node(host, "127.0.0.1:0", MESSAGES, tls=tls)
        await client.start()
        server = client
        if transport != "memory":
            server = Node(host, "127.0.0.1:0", MESSAGES, tls=tls)
            await server.start()
        echo = Echo()
        server.serve("echo", echo.routes())
        try:
            async with asyncio.timeout(20):
                await scenario(Pair(host, client, server, echo))
        finally:
            await client.close()
            if server is not client:
                await server.close()

    run_on_host(body)
