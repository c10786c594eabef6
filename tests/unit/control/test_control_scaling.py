from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.control.control_running import PATIENCE, node_of

from tausql.control.asking import Trouble
from tausql.control.leadership import Leadership
from tausql.control.lease import Lease
from tausql.control.loads import Loads
from tausql.control.metrics import ControlMetrics
from tausql.control.scaling import Scaling, ScalingNames
from tausql.control.warm_pool import PoolLimits, Scale
from tausql.protocol.fleet import Member
from tausql.protocol.messages import ALL
from tausql.protocol.processor import Load, WatchLoad
from tausql.rpc.interface import Routes, Sink
from tausql.rpc.node import Node
from tausql.runtime.loop import AsyncHost, run_on_host

LIMITS = PoolLimits(target_sessions=10, warm_processors=1, warm_sessions=0, least=1, most=8, scale_in_seconds=0.3)


class Kubernetes:
    """What is written, as the loop sees it."""

    def __init__(self, replicas: int, least: int | None = None, most: int | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.replicas, self.least, self.most = replicas, least, most
        self.lease: Lease | None = None
        self.writes: list[tuple[str, Any]] = []
        self.trouble: Trouble | None = None
        self.stolen = False
        self._written = asyncio.Event()

    def read_scale(self, deployment: str, autoscaler: str) -> Scale:
        self._fail()
        assert deployment == "p"
        return Scale(self.replicas, self.least, self.most) if autoscaler else Scale(self.replicas)

    def write_replicas(self, deployment: str, replicas: int) -> None:
        self._fail()
        self.replicas = replicas
        self._note("replicas", replicas)

    def write_least(self, autoscaler: str, least: int) -> None:
        self._fail()
        assert self.most is None or least <= self.most
        self.least = least
        self._note("least", least)

    def read_lease(self, name: str) -> Lease | None:
        self._fail()
        return self.lease

    def write_lease(self, name: str, before: Lease | None, holder: str, seconds: float) -> bool:
        self._fail()
        if self.stolen:
            self._note("refused", holder)
            return False
        version = 0 if before is None else int(before.version)
        if (before is None) is not (self.lease is None) or (self.lease and self.lease.version != str(version)):
            return False
        self.lease = Lease(holder, str(version + 1), seconds)
        self._note("lease", holder)
        return True

    def _fail(self) -> None:
        if self.trouble is not None:
            trouble = self.trouble
            self._note("trouble", trouble.status)
            raise trouble

    def _note(self, what: str, value: Any) -> None:
        def note() -> None:
            self.writes.append((what, value))
            self._written.set()

        self.loop.call_soon_threadsafe(note)

    def said(self, what: str) -> list[Any]:
        return [value for name, value in self.writes if name == what]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._written.clear()
                await self._written.wait()


class Processor:
    """Says its load to whoever asks."""

    def __init__(self, node: Node, name: str, sessions: int = 0) -> None:
        self.member = Member(name, "za", node.address)
        self.load = Load(sessions, 100, False)
        self.sinks: list[Sink] = []
        self.asked = asyncio.Event()
        node.serve("processor", Routes(streams={WatchLoad: self._watch}))

    def _watch(self, request: WatchLoad, sink: Sink) -> None:
        self.sinks.append(sink)
        self.asked.set()
        sink.push(self.load)

    def say(self, sessions: int, draining: bool = False) -> None:
        self.load = Load(sessions, 100, draining)
        for sink in self.sinks:
            if sink.open:
                sink.push(self.load)


NAMES = ScalingNames("p", "", 0.02)


class Rig:
    """One control's scaling, its claim to lead, and its metrics."""

    def __init__(
        self, host: AsyncHost, node: Node, api: Kubernetes, lease_seconds: float = 15.0, names: ScalingNames = NAMES
    ) -> None:
        self.metrics = ControlMetrics()
        self.loads = Loads(host, node, lambda: self.scaling.changed())
        self.leadership = Leadership(host, api, "l", lease_seconds, self.metrics)
        self.scaling = Scaling(host, api, names, LIMITS, self.loads, self.metrics, self.leadership)

    def start(self) -> None:
        self.scaling.start()
        self.leadership.start()

    async def close(self) -> None:
        await self.scaling.close()
        await self.leadership.close()

    @property
    def held(self) -> bool:
        return self.leadership.held

    def text(self) -> dict[str, float]:
        return {
            sample.name + "".join(sample.labels.values()): sample.value
            for family in self.metrics.collect()
            for sample in family.samples
        }


@asynccontextmanager
async def processors_of(host: AsyncHost, *sessions: int) -> AsyncIterator[list[Processor]]:
    nodes = [Node(host, "127.0.0.1:0", ALL) for _ in sessions]
    for node in nodes:
        await node.start()
    made = [Processor(node, f"p-{n}", count) for n, (node, count) in enumerate(zip(nodes, sessions, strict=True))]
    try:
        yield made
    finally:
        for node in nodes:
            await node.close()


def test_more_sessions_mean_more_processors_at_once_and_fewer_after_a_while():
    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, processors_of(host, 5, 3) as (one, two):
            api = Kubernetes(2)
            rig = Rig(host, node, api)
            rig.loads.joined(one.member)
            rig.loads.joined(two.member)
            assert not one.sinks  # who has no lease need not know
            rig.start()
            async with asyncio.timeout(PATIENCE):
                await one.asked.wait()
                await two.asked.wait()
            one.say(38)
            await api.until(lambda: api.replicas == 6)  # 41 sessions of 10 each, and one more
            two.say(300)
            await api.until(lambda: api.replicas == 8)
            one.say(0)
            two.say(0)
            await api.until(lambda: api.replicas == 1)
            assert rig.held
            one.say(40)
            await api.until(lambda: api.replicas == 5)
            assert rig.metrics._scalings["out"] >= 2
            assert rig.metrics._scalings["in"] >= 1
            assert rig.scaling.status()["heard"] == 2
            await rig.close()
            assert api.lease is not None
            assert api.lease.holder == ""

    run_on_host(body)


def test_an_autoscaler_is_given_a_floor_and_takes_away_by_itself():
    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, processors_of(host, 35) as (one,):
            api = Kubernetes(1, 1, 6)
            rig = Rig(host, node, api, names=ScalingNames("p", "h", 0.02))
            rig.loads.joined(one.member)
            rig.start()
            await api.until(lambda: api.least == 5)
            assert api.replicas == 5
            assert api.said("replicas") == [5]
            one.say(99)
            await api.until(lambda: api.least == 6)  # its maximum
            api.least, api.replicas = 1, 1  # an upgrade of the chart
            await api.until(lambda: (api.least, api.replicas) == (6, 6))
            one.say(0)
            await api.until(lambda: api.least == 1)
            assert api.replicas == 6
            await rig.close()

    run_on_host(body)


def test_one_control_acts_and_another_takes_over_when_it_leaves():
    async def body(host: AsyncHost) -> None:
        other_host = AsyncHost("other", "a", asyncio.get_running_loop())
        async with node_of(host) as node, node_of(other_host) as other_node, processors_of(host, 25) as (one,):
            api = Kubernetes(4)
            first, second = Rig(host, node, api, 1.0), Rig(other_host, other_node, api, 1.0)
            for rig in (first, second):
                rig.loads.joined(one.member)
            first.start()
            await api.until(lambda: "test" in api.said("lease"))
            second.start()
            await api.until(lambda: api.said("lease").count("test") >= 3)
            assert first.held
            assert not second.held
            assert first.text()["tausql_control_processors_desired"] == 4
            assert second.text()["tausql_control_processors_desired"] == 0
            await first.close()
            await api.until(lambda: "other" in api.said("lease"))
            assert not first.held
            await api.until(lambda: api.said("lease").count("other") >= 2)
            assert second.held
            await second.close()
        other_host.close()

    run_on_host(body)


def test_a_silent_holder_loses_its_lease_and_one_that_was_faster_keeps_it():
    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node:
            api = Kubernetes(2)
            api.lease = Lease("dead", "7", 0.2)
            rig = Rig(host, node, api, 0.3)
            rig.start()
            await api.until(lambda: rig.held)
            assert api.said("lease")[0] == "test"
            api.stolen = True
            await api.until(lambda: not rig.held)
            await rig.close()

    run_on_host(body)


@pytest.mark.parametrize("status", [403, 503, 0])
def test_a_server_that_refuses_is_asked_again_and_nobody_acts_meanwhile(status):
    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, processors_of(host, 25) as (one,):
            api = Kubernetes(2)
            rig = Rig(host, node, api, 0.3)
            rig.loads.joined(one.member)
            rig.start()
            await api.until(lambda: api.replicas == 4)
            api.trouble = Trouble("refused", status)
            await api.until(lambda: not rig.held)
            await api.until(lambda: bool(api.said("trouble")))
            one.say(95)
            assert rig.scaling.status()["trouble"] == "refused"
            api.trouble = None
            await api.until(lambda: api.replicas == 8)
            assert rig.metrics._api_errors.total() >= 1
            assert rig.scaling.status()["trouble"] in ("", "refused")
            await rig.close()

    run_on_host(body)


def test_what_a_processor_said_last_stands_while_it_cannot_be_heard():
    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, processors_of(host, 12) as (one,):
            heard = asyncio.Event()
            loads = Loads(host, node, heard.set)
            unknown = Member("p-9", "za", "127.0.0.1:1")
            foreign = Member("w-1", "wa", "127.0.0.1:2", region="west")
            assert loads.sessions == 0  # there is nobody
            loads.joined(unknown)
            loads.joined(foreign)
            loads.start()
            assert loads.sessions is None  # there is somebody, who says nothing
            loads.joined(one.member)
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
            assert (loads.sessions, loads.heard, loads.idle, loads.free(20)) == (12, 1, 0, 8)
            one.asked.clear()
            heard.clear()
            for sink in one.sinks:
                sink.end()
            async with asyncio.timeout(PATIENCE):
                await one.asked.wait()
                assert loads.sessions == 12
                await heard.wait()
            heard.clear()
            one.say(0)
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
            assert (loads.sessions, loads.idle, loads.free(200)) == (0, 1, 100)
            loads.left(one.member)
            assert loads.sessions is None
            assert loads.of("p-0") is None
            loads.left(unknown)
            loads.stop()

    run_on_host(body)
