"""asyncio in virtual time: what it promises holds, and a process that dies takes its tasks with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tausql.protocol.processor import WatchLoad as Ping
from tausql.rpc.interface import Routes
from tausql.runtime.tasks import spawn
from tausql.simulation.loop import LoopedHost, LoopedNetwork, Loops, SimulatedLoop
from tausql.simulation.pipes import Pipes
from tausql.simulation.world import Process, World


class Looped:
    """Two processes, each with a loop."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.pipes = Pipes(self.world)
        self.loops = Loops(self.pipes)
        self.one, self.other = self._start("one"), self._start("other")
        self.log: list[Any] = []

    def _start(self, name: str) -> tuple[Process, SimulatedLoop]:
        process = self.world.add(name, "a", lambda process: None)
        process.start()
        return process, self.loops.fresh(process)

    def spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self.one[1].within(spawn, "test", coroutine)
        return task


@pytest.mark.parametrize("seed", range(5))
def test_callbacks_run_in_the_order_they_were_asked_for(seed: int) -> None:
    looped = Looped(seed)
    loop = looped.one[1]
    for number in range(20):
        loop.call_soon(looped.log.append, number)
    cancelled = loop.call_soon(looped.log.append, "cancelled")
    cancelled.cancel()
    looped.world.run(0.1)
    assert looped.log == list(range(20))


def test_sleeps_timeouts_and_locks_take_virtual_time() -> None:
    looped = Looped()

    async def body() -> None:
        await asyncio.sleep(5.0)
        looped.log.append(round(looped.world.now, 1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.get_running_loop().create_future()
        looped.log.append(round(looped.world.now, 1))
        gate = asyncio.Semaphore(1)
        await asyncio.gather(*(holding(gate) for _ in range(3)))
        looped.log.append(round(looped.world.now, 1))

    async def holding(gate: asyncio.Semaphore) -> None:
        async with gate:
            await asyncio.sleep(1.0)

    looped.spawn(body())
    looped.world.run(60.0)
    assert looped.log == [5.0, 7.0, 10.0]


def test_a_process_that_dies_takes_its_tasks_with_it_at_once() -> None:
    looped = Looped()
    process = looped.one[0]

    async def body() -> None:
        try:
            await asyncio.sleep(1.0)
            looped.log.append("woke")
        finally:
            looped.log.append("closed")
            asyncio.get_running_loop().call_soon(looped.log.append, "never")

    async def dies() -> None:
        process.die("no reason")

    looped.spawn(body())
    looped.world.run(0.5)
    looped.spawn(dies())
    looped.world.run(0.1)
    assert not process.alive
    assert looped.log == ["closed"]
    looped.world.run(5.0)
    assert looped.log == ["closed"]


def test_an_exception_of_a_task_fails_the_run() -> None:
    looped = Looped()

    async def body() -> None:
        await asyncio.sleep(0.1)
        raise ValueError("not swallowed")

    looped.spawn(body())
    with pytest.raises(ValueError, match="not swallowed"):
        looped.world.run(1.0)


def test_connections_and_servers() -> None:
    looped = Looped()
    log = looped.log

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data.upper())

    class Asking(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(b"hello")

        def data_received(self, data: bytes) -> None:
            log.append(data)

        def connection_lost(self, error: Exception | None) -> None:
            log.append(error)

    async def body() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(Asking, "other", 7)
        await asyncio.sleep(0.5)
        looped.other[0].kill()
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Asking, "other", 7)
        log.append("refused")

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, "other", 7)
        log.append(server.sockets[0].getsockname())

    looped.other[1].within(spawn, "serve", serve())
    looped.world.run(0.1)
    looped.spawn(body())
    looped.world.run(5.0)
    assert log == [("other", 7), b"HELLO", None, "refused"]


def test_a_host_and_a_network_call_within_the_loop() -> None:
    looped = Looped()
    (one, loop), (other, other_loop) = looped.one, looped.other
    log = looped.log
    host, network = LoopedHost(one, loop), LoopedNetwork(one, loop)
    LoopedNetwork(other, other_loop).serve(
        "echo",
        Routes(calls={Ping: lambda request, reply: (log.append(asyncio.get_running_loop()), reply.answer(request))[0]}),
    )
    host.soon(lambda: log.append(asyncio.get_running_loop()))
    looped.world.run(0.1)
    host.later(0.5, lambda: log.append(asyncio.get_running_loop()))
    looped.world.run(1.0)
    assert network.connect("other:1", "echo") is network.connect("other:1", "echo")
    network.connect("other:1", "echo").call(
        Ping(), 1.0, lambda answer: log.append((type(answer), asyncio.get_running_loop()))
    )
    looped.world.run(1.0)
    assert log == [loop, loop, other_loop, (Ping, loop)]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    assert (host.name, host.zone, host.monotonic()) == ("one", "a", one.monotonic())
