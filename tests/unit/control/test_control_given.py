"""Control without Kubernetes, on loopback: asked processes, followers, and what people ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.unit.control.control_running import PATIENCE, Follower, node_of
from tests.unit.control.planned_processes import Process, holder, keeper
from tests.unit.control.planned_world import member

from tausql.control.app import create_app
from tausql.control.given_service import GivenControlService
from tausql.control.settings import ControlSettings
from tausql.protocol.fleet import Fleet, Placed, Shard
from tausql.protocol.placing import default_placement
from tausql.runtime.fleet import Directory
from tausql.runtime.joining import FleetWatch
from tausql.runtime.loop import AsyncHost, run_on_host

FLEET = Fleet(
    zones=("a", "b"),
    adjudicator=(member("adj-a", "a", 0), member("adj-b", "b", 1)),
    storage=(member("s-a", "a"), member("s-b", "b"), member("s-b-2", "b")),
)
SECOND = default_placement(2)[1].low


def processes() -> dict[str, Process]:
    """Both streams are held by the first adjudicator; it shares its process with a storage."""
    return {
        "one": Process(
            adjudicator={"streams": [holder(0, b"", SECOND, [0, 1]), holder(1, SECOND, b"")]},
            storage=keeper((b"", b"")),
        ),
        "two": Process(adjudicator={"streams": [{"stream": 0, "held": False}]}),
        "three": Process(storage=keeper((b"", b""))),
        "four": Process(storage=keeper()),
    }


HOMES = {"adj-a": "one", "s-a": "one", "adj-b": "two", "s-b": "three", "s-b-2": "four"}


@asynccontextmanager
async def control_of(host: AsyncHost, running: dict[str, Process], **told: Any) -> AsyncIterator[Any]:
    """The control, a follower of it, and a client of its HTTP side."""
    servers = {name: await asyncio.start_server(one.answer, "127.0.0.1", 0) for name, one in running.items()}
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    addresses = {name: f"127.0.0.1:{ports[home]}" for name, home in HOMES.items() if home in ports}
    settings = ControlSettings(status_addresses=addresses, plan_busy_seconds=0.02, plan_seconds=0.05, **told)
    async with node_of(host) as node:
        control = GivenControlService(host, node, Directory(FLEET), settings)
        await control.start()
        follower = Follower(node, node.address)
        transport = httpx.ASGITransport(app=create_app(control))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
                yield control, follower, client
        finally:
            follower.stream.cancel()
            await control.stop()
            for server in servers.values():
                server.close()


async def wants(follower: Follower, holds: Callable[[Fleet], bool]) -> Fleet:
    await follower.until(lambda: bool(follower.maps) and holds(follower.maps[-1]))
    return follower.maps[-1]


def test_the_members_are_told_at_once_and_what_is_wanted_once_it_is_known():
    async def body(host: AsyncHost) -> None:
        running = processes()
        async with control_of(host, running) as (control, follower, _):
            fleet = await wants(follower, lambda fleet: bool(fleet.placement and fleet.shards))
            assert follower.maps[0] == FLEET
            assert fleet.placement == default_placement(2)
            assert fleet.shards == (Shard(b"", b"", ("s-a", "s-b")),)
            assert fleet.storage == FLEET.storage
            assert control._directory.fleet == control.publisher.fleet
            # The first holds both: one is to go to the other.
            assert fleet.preferred == {0: ("adj-a", "adj-b"), 1: ("adj-b", "adj-a")}
            asked = running["one"].asked
            assert abs(asked - running["two"].asked) <= 1  # two services of one process, one question

    run_on_host(body)


def test_one_process_that_does_not_answer_makes_no_plan_of_what_it_may_have():
    async def body(host: AsyncHost) -> None:
        running = processes()
        del running["three"]
        async with control_of(host, running) as (_, follower, client):
            fleet = await wants(follower, lambda fleet: bool(fleet.placement))
            assert fleet.shards == ()
            plan = (await client.get("/v1/plan")).json()
            assert plan["shards"]["waiting_for"] == "word of every storage of what it keeps"
            refused = await client.post("/v1/shards/split", json={"key": "61"})
            assert refused.status_code == 409

    run_on_host(body)


def test_a_wish_is_told_to_everybody_and_lasts():
    async def body(host: AsyncHost) -> None:
        running = processes()
        async with control_of(host, running) as (_, follower, client):
            await wants(follower, lambda fleet: bool(fleet.placement and fleet.shards))
            answer = await client.post("/v1/streams", json={"count": 3})
            assert answer.json()["streams"]["wanted"] == 3
            await wants(follower, lambda fleet: fleet.streams == 3)
            low = SECOND.hex()
            answer = await client.post("/v1/placement", json={"low": low, "high": low + "ff", "stream": 0})
            assert answer.status_code == 200
            pinned = Placed(SECOND, SECOND + b"\xff", 0)
            fleet = await wants(follower, lambda fleet: pinned in fleet.placement)
            assert fleet.placement[-1].low == SECOND + b"\xff"
            refused = await client.post("/v1/streams", json={"count": 1})
            assert refused.status_code == 200  # stream 0 stays
            assert (await client.post("/v1/shards/split", json={"key": "6d"})).status_code == 200
            fleet = await wants(follower, lambda fleet: len(fleet.shards) == 2)
            assert fleet.shards[1] == Shard(b"m", b"", ("s-a", "s-b"))
            moved = await client.post("/v1/shards/move", json={"key": "6e", "source": "s-b", "target": "s-b-2"})
            assert moved.status_code == 200
            await wants(follower, lambda fleet: fleet.shards[1].replicas == ("s-a", "s-b", "s-b-2"))
            for name in ("one", "three"):
                running[name].status["storage"] = keeper((b"", b"m"), (b"m", b""))
            running["four"].status["storage"] = keeper((b"m", b""))
            fleet = await wants(follower, lambda fleet: fleet.shards[1].replicas == ("s-a", "s-b-2"))
            assert fleet.shards[0].replicas == ("s-a", "s-b")
            metrics = (await client.get("/metrics")).text
            assert "tausql_control_plan_shards 2.0" in metrics

    run_on_host(body)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/streams", {"count": 0}, 422),
        ("/v1/streams", {"count": 65}, 422),
        ("/v1/streams", {}, 422),
        ("/v1/streams", {"count": 2, "more": 1}, 422),
        ("/v1/placement", {"low": "6", "stream": 0}, 422),
        ("/v1/placement", {"low": "zz", "stream": 0}, 422),
        ("/v1/placement", {"low": "00" * 9000, "stream": 0}, 422),
        ("/v1/placement", {"low": "61"}, 422),
        ("/v1/placement", {"low": "62", "high": "61", "stream": 0}, 409),
        ("/v1/placement", {"low": "61", "high": "62", "stream": 7}, 409),
        ("/v1/shards/split", {"key": ""}, 422),
        ("/v1/shards/move", {"key": "61", "source": "s-a"}, 422),
        ("/v1/shards/move", {"key": "61", "source": "s-x", "target": "s-a"}, 409),
        ("/v1/shards/move", {"key": "61", "source": "s-b", "target": "s-a"}, 409),
        ("/v1/shards/move", {"key": "61", "source": "s-b", "target": "s-x"}, 409),
        ("/v1/shards/move", {"key": "61", "source": "s-a", "target": "s-b-2"}, 409),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(path, body, status):
    async def run(host: AsyncHost) -> None:
        async with control_of(host, processes()) as (_, follower, client):
            before = await wants(follower, lambda fleet: bool(fleet.placement and fleet.shards))
            answer = await client.post(path, json=body)
            assert answer.status_code == status
            assert answer.json()["detail"]
            assert (await client.get("/v1/fleet")).json()["streams"] == before.streams

    run_on_host(run)


def test_a_pin_forbids_fewer_streams_until_it_is_let_go():
    async def body(host: AsyncHost) -> None:
        async with control_of(host, processes()) as (_, follower, client):
            await wants(follower, lambda fleet: bool(fleet.placement))
            assert (await client.post("/v1/placement", json={"low": "61", "high": "62", "stream": 1})).is_success
            refused = await client.post("/v1/streams", json={"count": 1})
            assert refused.json()["detail"] == "a range is pinned to stream 1"
            assert (await client.post("/v1/placement", json={"low": "61", "high": "62", "stream": None})).is_success
            assert (await client.post("/v1/streams", json={"count": 1})).is_success
            fleet = await wants(follower, lambda fleet: {one.stream for one in fleet.placement} == {0})
            assert fleet.streams == 1

    run_on_host(body)


def test_planning_can_be_off():
    async def body(host: AsyncHost) -> None:
        running = processes()
        async with control_of(host, running, planning=False) as (control, follower, client):
            await follower.until(lambda: bool(follower.maps))
            assert (await client.post("/v1/streams", json={"count": 3})).status_code == 409
            assert (await client.get("/status")).json()["planning"] == {"plans": False}
            survey = (await client.get("/v1/fleet/status")).json()
            assert (survey["asked"], survey["answered"]) == (4, 4)
            assert control.ready() == (True, "")
        assert running["one"].asked == 1

    run_on_host(body)


def test_a_process_starts_with_what_it_was_given_and_hears_of_what_is_wanted():
    """The map's members come first from the environment: nobody waits for control, which may be away."""

    async def body(host: AsyncHost) -> None:
        changed = asyncio.Event()
        directory = Directory(FLEET)
        directory.watch(changed.set)
        async with control_of(host, processes()) as (control, _, _), node_of(host) as node:
            watch = FleetWatch(host, node, directory, control._network.address, node.address)
            watch.start()
            async with asyncio.timeout(PATIENCE):
                while not directory.fleet.placement:
                    changed.clear()
                    await changed.wait()
            assert directory.fleet.storage == FLEET.storage
            watch.stop()

    run_on_host(body)
