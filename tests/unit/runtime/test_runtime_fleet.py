"""The live map: who joins, who leaves, and a process that waits for its place in it."""

import asyncio
from types import SimpleNamespace

import pytest

from tausql.protocol.control import SERVICE, FleetMap, WatchFleet
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.messages import ALL
from tausql.rpc.interface import Routes
from tausql.rpc.node import Node
from tausql.runtime.clock import FixedError
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.joining import FleetWatch
from tausql.runtime.loop import AsyncHost


def storage(name, zone="a", address="", region=""):
    return Member(f"storage-{name}", zone, address or f"{name}:1", region=region)


class Client:
    def __init__(self, address):
        self.address = address
        self.closed = False
        self.channel = SimpleNamespace(close=self.close)

    def close(self):
        self.closed = True


class Ground:
    def __init__(self, *members):
        self.directory = Directory(Fleet(storage=members))
        self.heard = []
        self.neighbours = Neighbours(
            self.directory,
            "storage",
            "b",
            Client,
            own="storage-me",
            joined=lambda one: self.heard.append(("joined", one.member.name)),
            left=lambda one: self.heard.append(("left", one.member.name, one.client.closed)),
        )

    def now(self, *members):
        self.directory.replace(Fleet(storage=members))

    @property
    def names(self):
        return [one.member.name for one in self.neighbours.all]


def find(ground, name):
    return next((one for one in ground.neighbours.all if one.member.name == name), None)


def test_the_nearest_come_first_then_the_own_region():
    members = (storage("x", "a", region="west"), storage("y", "c"), storage("z", "b"), storage("w", "a"))
    assert [one.name for one in Fleet(storage=members).nearest("storage", "b")] == [
        "storage-z",
        "storage-w",
        "storage-y",
        "storage-x",
    ]


def test_followers_hear_of_those_there_are_and_of_every_change():
    directory = Directory(Fleet(storage=(storage("x"), storage("y", "b"))))
    heard = []
    directory.follow(
        "storage", "b", lambda one: heard.append(("+", one.name)), lambda one: heard.append(("-", one.name))
    )
    directory.watch(lambda: heard.append("map"))
    assert heard == [("+", "storage-y"), ("+", "storage-x")]
    heard.clear()
    directory.replace(Fleet(storage=(storage("x", address="x:2"), storage("z"))))
    assert heard == [("-", "storage-x"), ("-", "storage-y"), ("+", "storage-x"), ("+", "storage-z"), "map"]
    heard.clear()
    directory.replace(directory.fleet)
    assert heard == []
    directory.replace(Fleet(storage=directory.fleet.storage, zones=("a",)))
    assert heard == ["map"]


def test_neighbours_join_and_leave_and_leave_themselves_out():
    ground = Ground(storage("x"), storage("me", "b"), storage("y", "b"))
    assert ground.names == ["storage-y", "storage-x"]
    before = ground.neighbours.all
    (y, x) = (one.client for one in before)
    ground.now(storage("x"), storage("z", "b"), storage("me", "b"))
    assert ground.names == ["storage-z", "storage-x"]
    assert ground.heard == [("left", "storage-y", False), ("joined", "storage-z")]
    assert (y.closed, x.closed) == (True, False)
    assert [one.member.name for one in before] == ["storage-y", "storage-x"]  # whoever walks it may go on
    assert find(ground, "storage-x").client is x
    assert find(ground, "storage-y") is None


def test_a_neighbour_whose_zone_becomes_known_keeps_its_client():
    ground = Ground(storage("x", ""), storage("y", "a"))
    client = find(ground, "storage-x").client
    ground.now(storage("x", "b"), storage("y", "a"))
    assert ground.names == ["storage-x", "storage-y"]
    assert ground.neighbours.all[0].client is client
    assert ground.heard == []
    assert not client.closed


def test_a_neighbour_at_another_address_is_another():
    ground = Ground(storage("x"))
    client = ground.neighbours.all[0].client
    ground.now(storage("x", address="elsewhere:1"))
    assert client.closed
    assert ground.neighbours.all[0].client.address == "elsewhere:1"
    assert ground.heard == [("left", "storage-x", False), ("joined", "storage-x")]


def test_an_address_is_found_where_the_map_says():
    directory = Directory(Fleet(hosts={"journal-0.journal.ns.svc": "10.0.0.7"}))
    assert directory.locate("journal-0.journal.ns.svc:7400") == "10.0.0.7:7400"
    assert directory.locate("journal-1.journal.ns.svc:7400") == "journal-1.journal.ns.svc:7400"


class Control:
    """The other end: a node that tells maps."""

    def __init__(self):
        self.sinks = []
        self.names = []
        self.map = None

    async def start(self, listen="127.0.0.1:0"):
        host = AsyncHost("control", "", asyncio.get_running_loop(), FixedError(lambda: 0))
        self.node = Node(host, listen, ALL)
        self.node.serve(SERVICE, Routes(streams={WatchFleet: self._watch}))
        await self.node.start()

    def _watch(self, request, sink):
        self.names.append(request.name)
        self.sinks.append(sink)
        if self.map is not None:
            sink.push(FleetMap(self.map))

    def tell(self, fleet):
        self.map = fleet
        for sink in self.sinks:
            sink.push(FleetMap(fleet))


@pytest.mark.timeout(20)
def test_a_process_waits_for_its_place_and_follows_the_map_over_a_restart_of_control():
    async def run():
        control = Control()
        await control.start()
        host = AsyncHost("storage-x", "", asyncio.get_running_loop(), FixedError(lambda: 0))
        node = Node(host, "127.0.0.1:0", ALL, address="10.0.0.1:7400")
        await node.start()
        directory = Directory(Fleet())
        watch = FleetWatch(host, node, directory, control.node.address, node.address)
        changed = asyncio.Event()
        directory.watch(changed.set)
        watch.start()
        waiting = asyncio.ensure_future(watch.joined(["storage"]))
        await changed_to(control, changed, Fleet(storage=(storage("y"),)))
        assert not waiting.done()
        await changed_to(control, changed, Fleet(storage=(storage("y"), storage("x", "zone-7", "10.0.0.1:7400"))))
        assert await waiting == "zone-7"
        address = control.node.address
        await control.node.close()
        assert len(directory.fleet.storage) == 2  # the last map stands
        again = Control()
        again.map = Fleet(storage=(storage("x", "zone-7", "10.0.0.1:7400"),))
        changed.clear()
        await again.start(address)
        await changed.wait()
        assert [one.name for one in directory.fleet.storage] == ["storage-x"]
        assert again.names == ["storage-x"]
        watch.stop()
        await node.close()
        await again.node.close()

    async def changed_to(control, changed, fleet):
        changed.clear()
        if control.sinks:
            control.tell(fleet)
        else:
            control.map = fleet
        await changed.wait()

    asyncio.run(run())
