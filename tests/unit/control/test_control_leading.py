"""Several controls, one plan: who leads plans, the others and other regions pass it on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import node_json, pod_json
from tests.unit.control.control_running import PATIENCE, Follower, control_of, node_of
from tests.unit.control.planned_processes import Process, holder, keeper

from tausql.control.app import create_app
from tausql.control.service import ControlService
from tausql.protocol.fleet import Fleet, Shard
from tausql.protocol.placing import default_placement
from tausql.runtime.loop import AsyncHost, run_on_host

FAST = {"plan_busy_seconds": 0.02, "plan_seconds": 0.05, "lease_seconds": 1.0, "settle_seconds": 0.005}


@pytest.fixture
def server():
    made = ApiServer()
    made.start()
    made.put("nodes", node_json("n1", "za"))
    yield made
    made.stop()


@asynccontextmanager
async def serving(process: Process) -> AsyncIterator[int]:
    """The port of its status page."""
    server = await asyncio.start_server(process.answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def named(name: str) -> AsyncIterator[AsyncHost]:
    host = AsyncHost(name, "za", asyncio.get_running_loop())
    try:
        yield host
    finally:
        host.close()


async def wants(follower: Follower, holds: Callable[[Fleet], bool]) -> Fleet:
    await follower.until(lambda: bool(follower.maps) and holds(follower.maps[-1]))
    return follower.maps[-1]


def planned(fleet: Fleet) -> bool:
    return bool(fleet.placement and fleet.shards)


def genesis() -> Process:
    return Process(adjudicator={"streams": [holder(0, b"", b"", [0, 1])]})


async def ask(control: ControlService, path: str, body: dict[str, object]) -> httpx.Response:
    transport = httpx.ASGITransport(app=create_app(control))
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
        return await client.post(path, json=body)


def test_the_leader_plans_and_the_other_passes_it_on_and_takes_over_where_it_was(server):
    async def body(host: AsyncHost) -> None:
        async with (
            serving(genesis()) as order,
            serving(Process(storage=keeper((b"", b"")))) as rows,
            named("c-1") as one_host,
            named("c-2") as two_host,
            node_of(one_host) as one_node,
            node_of(two_host) as two_node,
            node_of(host) as own,
        ):
            server.put("pods", pod_json("adjudicator", "adj-a", ip="127.0.0.1", rpc=1, http=order))
            server.put("pods", pod_json("storage", "s-a", ip="127.0.0.1", rpc=2, http=rows))
            for name, node in (("c-1", one_node), ("c-2", two_node)):
                port = int(node.address.rpartition(":")[2])
                server.put("pods", pod_json("control", name, ip="127.0.0.1", rpc=port))
            async with control_of(two_host, two_node, server, **FAST) as two:
                two_follower = Follower(own, two_node.address, "q")
                changed = asyncio.Event()
                two._leadership.watch(changed.set)
                async with control_of(one_host, one_node, server, **FAST) as one:
                    follower = Follower(own, one_node.address, "p")
                    first = await wants(follower, planned)
                    assert first.placement == default_placement(2)
                    assert first.shards == (Shard(b"", b"", ("s-a",)),)
                    passed_on = await wants(two_follower, planned)
                    assert (passed_on.placement, passed_on.shards) == (first.placement, first.shards)
                    leader, other = (one, two) if one.planning.running else (two, one)
                    assert not other.planning.running
                    assert other.status()["leader"]["holder"] == leader.host.name
                    refused = await ask(other, "/v1/streams", {"count": 3})
                    assert refused.status_code == 409
                    assert (await ask(leader, "/v1/streams", {"count": 3})).status_code == 200
                    for one_follower in (follower, two_follower):
                        fleet = await wants(one_follower, lambda fleet: fleet.streams == 3)
                        assert fleet.placement
                    follower.stream.cancel()
                # The first has left: the second leads now, and begins with what was wanted.
                async with asyncio.timeout(PATIENCE):
                    while not two.planning.running:
                        changed.clear()
                        await changed.wait()
                assert (await ask(two, "/v1/shards/split", {"key": "6d"})).status_code == 200
                fleet = await wants(two_follower, lambda fleet: len(fleet.shards) == 2)
                assert fleet.streams == 3
                assert all(planned(fleet) for fleet in two_follower.maps if fleet.streams == 3)
                two_follower.stream.cancel()

    run_on_host(body)


def test_the_first_region_plans_the_streams_and_every_region_its_own_shards():
    east_server, west_server = ApiServer(), ApiServer()
    for one, zone in ((east_server, "ea"), (west_server, "wa")):
        one.start()
        one.put("nodes", node_json("n1", zone))

    async def body(host: AsyncHost) -> None:
        async with (
            serving(genesis()) as order,
            serving(Process(storage=keeper((b"", b"")))) as rows,
            node_of(host) as east_node,
            node_of(host) as west_node,
        ):
            for name, one in (("e", east_server), ("w", west_server)):
                one.put("pods", pod_json("storage", f"{name}-s", ip="127.0.0.1", rpc=ord(name), http=rows))
            east_server.put("pods", pod_json("adjudicator", "e-a", ip="127.0.0.1", rpc=1, http=order))
            west_server.put("pods", pod_json("adjudicator", "w-a", ip="127.0.0.1", rpc=2))
            order_of_regions = ["east", "west"]
            east_told = {"region": "east", "peers": [{"region": "west", "address": west_node.address}]}
            west_told = {"region": "west", "peers": [{"region": "east", "address": east_node.address}]}
            both = {"adjudicator_regions": order_of_regions, **FAST}
            async with (
                control_of(host, east_node, east_server, **east_told, **both) as east,
                control_of(host, west_node, west_server, **west_told, **both, streams=5) as west,
            ):
                east_follower = Follower(east_node, east_node.address, "p")
                west_follower = Follower(west_node, west_node.address, "q")

                def whole(fleet: Fleet) -> bool:
                    return planned(fleet) and fleet.preferred.get(0) == fleet.preferred.get(1) == ("e-a", "w-a")

                here = await wants(east_follower, whole)
                there = await wants(west_follower, whole)
                assert here.placement == there.placement == default_placement(2)
                assert here.streams == there.streams == 2
                assert here.shards == (Shard(b"", b"", ("e-s",)),)
                assert there.shards == (Shard(b"", b"", ("w-s",)),)
                refused = await ask(west, "/v1/streams", {"count": 3})
                assert refused.json()["detail"] == "the control of region east plans the streams"
                assert (await ask(east, "/v1/streams", {"count": 3})).status_code == 200
                await wants(west_follower, lambda fleet: fleet.streams == 3)
                east_follower.stream.cancel()
                west_follower.stream.cancel()

    run_on_host(body)
    east_server.stop()
    west_server.stop()
