from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import ValidationError
from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import NAMESPACE, node_json, pod_json
from tests.unit.control.control_running import PATIENCE, Follower, control_of, node_of

from tausql.control.app import create_app
from tausql.control.publishing import Publisher
from tausql.control.settings import ControlSettings
from tausql.protocol.control import FleetMap, WatchFleet
from tausql.protocol.fleet import Fleet, Member
from tausql.rpc.frames import FRAME_BYTES_MAX
from tausql.rpc.interface import Cause, Encoded, Failure
from tausql.runtime.fleet import Directory
from tausql.runtime.joining import FleetWatch
from tausql.runtime.loop import AsyncHost, run_on_host

JOURNAL = [{"name": "t-journal-0", "address": f"t-journal-0.t-journal.{NAMESPACE}.svc:7400"}]


@pytest.fixture
def server():
    made = ApiServer()
    made.start()
    made.put("nodes", node_json("n1", "za"))
    yield made
    made.stop()


def test_a_process_learns_its_fleet_and_zone_and_hears_of_every_change(server):
    server.put("pods", pod_json("journal", "t-journal-0", ip="10.0.0.1", subdomain="t-journal"))

    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, control_of(host, node, server, journal=JOURNAL) as control:
            directory = Directory(Fleet())
            async with node_of(host) as own:
                ip, _, port = own.address.rpartition(":")
                watch = FleetWatch(host, own, directory, node.address, own.address)
                watch.start()
                server.put("pods", pod_json("processor", "p-1", ip=ip, rpc=int(port)))
                async with asyncio.timeout(PATIENCE):
                    assert await watch.joined(["processor"]) == "za"
                assert [one.zone for one in directory.fleet.journal] == ["za"]
                assert directory.locate(JOURNAL[0]["address"]) == "10.0.0.1:7400"
                follower = Follower(own, node.address, "someone")
                await follower.lists("processor", "p-1")
                server.put("pods", pod_json("frontend", "f-1", ip="10.0.0.3"))
                await follower.lists("frontend", "f-1")
                server.delete("pods", "f-1")
                await follower.lists("frontend")
                assert control.publisher.followers == ["someone", host.name]
                assert control._directory.fleet == follower.maps[-1]
                watch.stop()
                follower.stream.cancel()

    run_on_host(body)


def test_there_is_no_map_before_all_pods_and_all_nodes_are_known(server):
    server.put("pods", pod_json("frontend", "f-1", ip="10.0.0.3"))
    server.refusals = [403, 403]

    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, control_of(host, node, server) as control:
            assert control.ready()[0] is False
            assert control.ready()[1].startswith("no map yet: no complete list of pods")
            follower = Follower(node, node.address)
            assert len((await follower.lists("frontend", "f-1")).frontend) == 1
            assert len(follower.maps) == 1
            assert control.ready() == (True, "")
            follower.stream.cancel()

    run_on_host(body)


def test_changes_close_together_make_one_map_and_those_without_meaning_none(server):
    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, control_of(host, node, server, settle_seconds=0.3) as control:
            follower = Follower(node, node.address)
            await follower.until(lambda: len(follower.maps) == 1)
            for number in range(20):
                server.put("pods", pod_json("frontend", f"f-{number:02}", ip=f"10.0.0.{number + 1}"))
            await follower.lists("frontend", *(f"f-{number:02}" for number in range(20)))
            assert len(follower.maps) <= 3
            before = control.metrics.map_changes
            noisy = pod_json("frontend", "f-00", ip="10.0.0.1")
            noisy["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
            server.put("pods", noisy)
            server.put("nodes", node_json("n2", "zb"))  # nobody is there
            server.put("pods", pod_json("frontend", "g-1", node="n2", ip="10.0.1.1"))
            await follower.until(lambda: bool(follower.maps[-1].frontend[20:]))
            assert control.metrics.map_changes == before + 1
            follower.stream.cancel()

    run_on_host(body)


def test_the_last_map_stands_while_the_api_server_is_away(server):
    server.put("pods", pod_json("frontend", "f-1", ip="10.0.0.3"))

    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, control_of(host, node, server) as control:
            follower = Follower(node, node.address)
            await follower.lists("frontend", "f-1")
            heard = asyncio.Event()
            told = control._complain
            control._complain = lambda *facts: (told(*facts), heard.set())  # type: ignore[assignment]
            server.stop()
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
            assert control.ready() == (True, "")
            assert any(one["trouble"] for one in control.status()["watches"].values())
            late = Follower(node, node.address, "late")
            await late.lists("frontend", "f-1")
            server.put("pods", pod_json("frontend", "f-2", ip="10.0.0.4"))
            server.start()
            await follower.lists("frontend", "f-1", "f-2")
            follower.stream.cancel()
            late.stream.cancel()

    run_on_host(body)


def test_regions_know_of_each_other_and_keep_the_last_word():
    east_server, west_server = ApiServer(), ApiServer()
    for one in (east_server, west_server):
        one.start()
        one.put("nodes", node_json("n1", "za"))
    east_server.put("pods", pod_json("storage", "e-s", ip="10.0.0.1"))
    east_server.put("pods", pod_json("processor", "e-p", ip="10.0.0.2"))
    west_server.put("pods", pod_json("storage", "w-s", ip="10.1.0.1", node="n1"))
    west_server.put("pods", pod_json("adjudicator", "w-a", ip="10.1.0.2", created=5))

    async def body(host: AsyncHost) -> None:
        async with node_of(host) as east_node, node_of(host) as west_node:
            to_east = [{"region": "east", "address": east_node.address}]
            to_west = [{"region": "west", "address": west_node.address}]
            async with control_of(
                host, east_node, east_server, region="east", peers=to_west, peer_wait_seconds=PATIENCE
            ) as east:
                follower = Follower(east_node, east_node.address)
                async with control_of(
                    host, west_node, west_server, region="west", peers=to_east, peer_wait_seconds=0.0
                ) as west:
                    fleet = await follower.lists("storage", "e-s", "w-s")
                    assert len(follower.maps) == 1  # the first map waited for the other region
                    assert [one.region for one in fleet.storage] == ["", "west"]
                    assert [one.name for one in fleet.adjudicator] == ["w-a"]
                    west_follower = Follower(west_node, west_node.address)
                    told = await west_follower.lists("storage", "e-s", "w-s")
                    assert [one.region for one in told.storage] == ["east", ""]
                    assert not told.processor
                    assert west.status()["peers"] == {"east": {"age_seconds": 0.0}}
                    assert east.metrics.peer_ages() == {"west": 0.0}
                    west_server.put("pods", pod_json("storage", "w-t", ip="10.1.0.3"))
                    await follower.lists("storage", "e-s", "w-s", "w-t")
                    west_follower.stream.cancel()
                    west_server.put("pods", pod_json("storage", "w-u", ip="10.1.0.4"))
                    await follower.lists("storage", "e-s", "w-s", "w-t", "w-u")
                east_server.put("pods", pod_json("storage", "e-t", ip="10.0.0.7"))
                await follower.lists("storage", "e-s", "e-t", "w-s", "w-t", "w-u")
                follower.stream.cancel()

    run_on_host(body)
    east_server.stop()
    west_server.stop()


def test_a_peer_that_is_away_or_of_another_region_holds_nobody_up_for_long(server):
    server.put("pods", pod_json("storage", "e-s", ip="10.0.0.1"))

    async def body(host: AsyncHost) -> None:
        async with node_of(host) as node, node_of(host) as empty:
            peers = [{"region": "west", "address": node.address}, {"region": "north", "address": empty.address}]
            async with control_of(host, node, server, peers=peers, peer_wait_seconds=0.1) as control:
                follower = Follower(node, node.address)
                await follower.lists("storage", "e-s")
                assert control.status()["peers"]["north"] == {"age_seconds": None}
                assert control._peers.silent == ["west", "north"]
                follower.stream.cancel()

    run_on_host(body)


def test_what_people_see(server):
    server.put("pods", pod_json("journal", "t-journal-7", ip="10.0.0.9", subdomain="t-journal"))

    async def body(host: AsyncHost) -> None:
        answering = await asyncio.start_server(_answer_status, "127.0.0.1", 0)
        port = answering.sockets[0].getsockname()[1]
        silent = await asyncio.start_server(_hold, "127.0.0.1", 0)
        silent_port = silent.sockets[0].getsockname()[1]
        server.put("pods", pod_json("frontend", "f-1", ip="127.0.0.1", http=port, rpc=1))
        server.put("pods", pod_json("frontend", "f-2", ip="127.0.0.1", http=silent_port, rpc=2))
        server.put("pods", pod_json("frontend", "f-3", phase="Pending"))
        async with node_of(host) as node, control_of(host, node, server, status_seconds=0.5) as control:
            transport = httpx.ASGITransport(app=create_app(control))
            async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
                assert (await client.get("/v1/fleet")).status_code == 503
                assert (await client.get("/readyz")).status_code == 503
                follower = Follower(node, node.address)
                await follower.lists("frontend", "f-1", "f-2")
                fleet = (await client.get("/v1/fleet")).json()
                assert [one["name"] for one in fleet["frontend"]] == ["f-1", "f-2"]
                assert fleet["region"] == "local-1"
                assert (await client.get("/readyz")).status_code == 200
                survey, again = [
                    answer.json()
                    for answer in await asyncio.gather(client.get("/v1/fleet/status"), client.get("/v1/fleet/status"))
                ]
                assert survey == again
                rows = {row["name"]: row for row in survey["pods"]}
                assert (survey["complete"], survey["asked"], survey["answered"]) == (False, 4, 1)
                assert rows["f-1"]["status"] == {"well": True}
                assert rows["f-2"]["error"] == "no answer in 0.5 s"
                assert rows["f-3"]["error"] == "not running: Pending"
                assert "error" in rows["t-journal-7"]
                status = (await client.get("/status")).json()
                assert status["strangers"] == ["t-journal-7"]
                assert status["members"]["frontend"] == 2
                assert [row["name"] for row in status["pods"]] == ["f-1", "f-2", "f-3", "t-journal-7"]
                assert status["scaling"] is None
                metrics = (await client.get("/metrics")).text
                assert re.search(r'^tausql_control_members\{.*service="frontend".*\} 2\.0$', metrics, re.M)
                assert re.search(r'^tausql_control_lists_total\{.*resource="nodes".*\} 1\.0$', metrics, re.M)
                assert re.search(r"^tausql_control_map_changes_total(\{.*\})? 1\.0$", metrics, re.M)
                assert re.search(r'^tausql_control_watch_age_seconds\{.*resource="pods"', metrics, re.M)
                await control.drain()
                assert control.ready() == (False, "draining")
                follower.stream.cancel()
        for one in (answering, silent):
            one.close()

    run_on_host(body)


async def _answer_status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{"well": true}')
    writer.close()


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


# publishing


class SlowSink:
    """A follower with room for one map."""

    peer: Any = None

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.room = True
        self.open = True
        self.ready: Any = None
        self.closed: Any = None
        self.ended: Failure | None = None

    def push(self, item: Any) -> bool:
        assert isinstance(item, Encoded)
        assert self.ready is None
        self.got.append(item.message.fleet.streams)
        return self.room

    def when_ready(self, function: Any) -> None:
        self.ready = function

    def when_closed(self, function: Any) -> None:
        self.closed = function

    def end(self, failure: Failure | None = None) -> None:
        self.ended = failure

    def drain(self) -> None:
        ready, self.ready = self.ready, None
        ready()


def test_a_slow_follower_gets_the_newest_map_and_no_queue():
    publisher = Publisher(2)
    sink = SlowSink()
    publisher.follow(WatchFleet("slow"), sink)
    assert sink.got == []
    sink.room = False
    for streams in (1, 2, 3):
        assert publisher.publish(Fleet(streams=streams))
    assert not publisher.publish(Fleet(streams=3))
    assert sink.got == [1]
    sink.drain()
    assert sink.got == [1, 3]
    sink.room = True
    sink.drain()
    assert publisher.publish(Fleet(streams=4))
    assert sink.got == [1, 3, 4]
    assert publisher.followers == ["slow"]
    sink.closed()
    assert publisher.followers == []


def test_followers_are_counted_and_sent_away_in_the_end():
    publisher = Publisher(1)
    first, second = SlowSink(), SlowSink()
    publisher.follow(WatchFleet("first"), first)
    publisher.follow(WatchFleet("second"), second)
    assert second.ended is not None
    assert second.ended.cause is Cause.overloaded
    publisher.end()
    assert first.ended is not None
    assert first.ended.cause is Cause.unavailable


def test_a_map_of_a_thousand_members_is_no_burden():
    many = tuple(
        Member(f"tausql-processor-{n:010}", "zone-a", f"10.0.0.1:{n}", f"10.0.0.1:{n}", n) for n in range(1000)
    )
    hosts = {f"tausql-storage-{n}.tausql-storage.namespace.svc": "10.0.0.1" for n in range(1000)}
    packed = msgspec.msgpack.encode(FleetMap(Fleet(processor=many, hosts=hosts)))
    assert len(packed) * 4 < FRAME_BYTES_MAX


# settings


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TAUSQL_CONTROL", "not-mine:7400")  # where other processes find control
    monkeypatch.setenv("TAUSQL_CONTROL_REGION", "east")
    monkeypatch.setenv(
        "TAUSQL_CONTROL_JOURNAL",
        json.dumps(
            [
                *JOURNAL,
                {"name": "w-0", "address": "w:7400", "region": "west"},
                JOURNAL[0] | {"name": "a", "address": "a:1", "region": "east"},
            ]
        ),
    )
    monkeypatch.setenv(
        "TAUSQL_CONTROL_PEERS", '[{"region":"west","address":"c:7400"},{"region":"north","address":"n:1"}]'
    )
    monkeypatch.setenv("TAUSQL_CONTROL_ADJUDICATOR_REGIONS", '["west", "elsewhere"]')
    configuration = ControlSettings().configuration("db")
    assert configuration.regions == ("west", "east", "north")
    assert [(one.name, one.region) for one in configuration.journal] == [
        ("a", ""),
        ("t-journal-0", ""),
        ("w-0", "west"),
    ]
    assert (configuration.namespace, configuration.region) == ("db", "east")


@pytest.mark.parametrize(
    "wrong",
    [
        {"journal": [*JOURNAL, *JOURNAL]},
        {"journal": [*JOURNAL, JOURNAL[0] | {"name": "other"}]},
        {"journal": [{"name": "a", "address": "no-port"}]},
        {"journal": [{"name": "a", "address": "b:1", "zone": "typo"}]},
        {"peers": [{"region": "local-1", "address": "a:1"}]},
        {"processors_min": 5, "processors_max": 4},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(ValidationError):
        ControlSettings(**wrong)


def test_outside_of_kubernetes_the_process_says_so_and_leaves():
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TAUSQL_", "KUBERNETES_"))
    } | {"TAUSQL_RPC_LISTEN": "127.0.0.1:0", "TAUSQL_HTTP_LISTEN": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tausql.control"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "is in no pod of one" in done.stderr
