"""The storage replicas, as a reader sees them: how near, how well, and which keys each one serves.

Each replica tells what it serves, now and on every change. What it told last is believed even while it cannot be heard:
it most likely still holds, and if not, the replica says so. One that has never been heard may serve anything.

As long as every replica serves everything there is nothing to route: which one is nearest is all that counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from tausql.processor.stretches import Stretches, everyone
from tausql.protocol.fleet import Member
from tausql.protocol.ranges import EVERYTHING, Lookup, RangeSet
from tausql.protocol.storage import Read, ReadSchema, Serving, StorageClient
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import Host

REWATCH_SECONDS_MIN = 0.02
REWATCH_SECONDS_MAX = 0.5


class Replica:
    """One storage replica."""

    __slots__ = (
        "_served",
        "avoid_until",
        "client",
        "delay_seconds",
        "member",
        "name",
        "ranges",
        "stream",
        "whole",
        "zone",
    )

    def __init__(self, member: Member, client: StorageClient) -> None:
        self.member = member
        self.name = member.name
        self.zone = member.zone
        self.client = client
        self.avoid_until = 0.0  # monotonic seconds: it failed or was slow just now
        self.delay_seconds = REWATCH_SECONDS_MIN
        self.stream: Stream | None = None
        self.serves(EVERYTHING)

    def serves(self, ranges: RangeSet) -> None:
        """What it says it serves."""
        self.ranges = ranges
        self._served = Lookup(ranges)
        self.whole = self._served.everything

    def answers(self, request: Read) -> bool:
        """True if it serves every key of the gets, and where each scan begins."""
        served = self._served
        return self.whole or (
            all(map(served.holds, request.gets))
            and all(
                (served.before(scan.high) is not None) if scan.reverse else served.holds(scan.low)
                for scan in request.scans
            )
        )


class Group(NamedTuple):
    """What of a request one replica is asked for: places among its gets and scans."""

    gets: list[int]
    scans: list[int]


class Route(NamedTuple):
    """`replicas`: who can be asked for all of it, in this order; or else `groups`, to be asked for side by side. If
    there is neither, nobody serves it at present."""

    replicas: Sequence[Replica]
    groups: Sequence[Group] = ()


class Replicas:
    """All of them, nearest first."""

    def __init__(self, host: Host, network: Network, fleet: Directory) -> None:
        self._host = host
        neighbours = Neighbours(
            fleet,
            "storage",
            host.zone,
            lambda address: StorageClient(network.connect(address, "storage")),
            joined=self._joined,
            left=self._left,
        )
        self._region = fleet.fleet.region
        self._started = False
        self._stopped = False
        self._replicas: list[Replica] = []
        self.whole = True  # every replica serves everything
        self._stretches: Stretches[tuple[Replica, ...]] | None = None  # None: there is no need for it
        for neighbour in neighbours.all:
            self._joined(neighbour)

    def start(self) -> None:
        """Hear what they serve."""
        self._started = True
        for replica in self._replicas:
            self._watch(replica)

    def stop(self) -> None:
        self._stopped = True
        for replica in self._replicas:
            self._unwatch(replica)

    def nearest(self, now: float) -> Sequence[Replica]:
        """All of them; those that lately failed last."""
        return _fit_first(self._replicas, now)

    def table(self) -> Iterator[tuple[bytes, bytes, tuple[Replica, ...]]]:
        """(low, high, who serves it) of the whole key space, in order."""
        if self._stretches is None:
            return iter([(b"", b"", tuple(self._replicas))])
        return iter(self._stretches)

    def route(self, request: Read | ReadSchema, now: float, asked: Collection[Replica] = ()) -> Route:
        """Whom to ask, without those that have been `asked`."""
        stretches = self._stretches
        if stretches is None:
            return Route(_others(self._replicas, asked, now))
        if type(request) is not Read:
            # Schema versions go to every shard; who serves no shard may not have them all.
            return Route(_others([replica for replica in self._replicas if replica.ranges], asked, now))
        if len(request.gets) == 1 and not request.scans:
            return Route(_others(stretches.items[stretches.at(request.gets[0])], asked, now))
        gets, scans = _stretches_of(request, stretches)
        touched = {*gets, *scans}
        if len(touched) == 1:
            return Route(_others(stretches.items[touched.pop()], asked, now))
        first: dict[int, Replica] = {}  # the best choice for each stretch
        for number in touched:
            able = _others(stretches.items[number], asked, now)
            if not able:
                return Route(())
            first[number] = able[0]
        if len(set(first.values())) == 1:
            able = [replica for replica in self._replicas if replica.answers(request)]
            return Route(_others(able, asked, now))
        groups: dict[Replica, Group] = {}
        for place, number in enumerate(gets):
            groups.setdefault(first[number], Group([], [])).gets.append(place)
        for place, number in enumerate(scans):
            groups.setdefault(first[number], Group([], [])).scans.append(place)
        return Route((), list(groups.values()))

    # --- within --------------------------------------------------------------------------------------------------

    def _joined(self, storage: Neighbour[StorageClient]) -> None:
        replica = Replica(storage.member, storage.client)
        self._replicas = sorted([*self._replicas, replica], key=self._distance)
        self._lay_out()
        if self._started:
            self._watch(replica)

    def _left(self, storage: Neighbour[StorageClient]) -> None:
        for replica in self._replicas:
            if replica.client is storage.client:
                self._unwatch(replica)
        self._replicas = [replica for replica in self._replicas if replica.client is not storage.client]
        self._lay_out()

    def _distance(self, replica: Replica) -> tuple[bool, bool, int]:
        """The own zone's first, then the own region's. Among equals every processor has an order of its own, so that
        the replicas of a zone share its reads."""
        member = replica.member
        lot = crc32(f"{self._host.name} {member.name}".encode())
        return (member.zone != self._host.zone, member.region not in ("", self._region), lot)

    def _lay_out(self) -> None:
        self.whole = all(replica.whole for replica in self._replicas)
        if self.whole:
            self._stretches = None
        else:
            self._stretches = everyone((replica, replica.ranges) for replica in self._replicas)

    def _watch(self, replica: Replica) -> None:
        if self._stopped or replica not in self._replicas:
            return

        def on_item(serving: Serving) -> None:
            replica.delay_seconds = REWATCH_SECONDS_MIN
            if serving.ranges != replica.ranges:
                replica.serves(serving.ranges)
                self._lay_out()

        def on_end(failure: Failure | None) -> None:
            replica.stream = None
            if not self._stopped:
                self._host.later(replica.delay_seconds, self._watch, replica)
                replica.delay_seconds = min(replica.delay_seconds * 2, REWATCH_SECONDS_MAX)

        replica.stream = replica.client.watch_serving(on_item, on_end)

    def _unwatch(self, replica: Replica) -> None:
        if replica.stream is not None:
            replica.stream.cancel()
            replica.stream = None


def _fit_first(replicas: Sequence[Replica], now: float) -> Sequence[Replica]:
    """Those that lately failed last."""
    if not replicas or replicas[0].avoid_until <= now:
        return replicas
    return sorted(replicas, key=lambda replica: replica.avoid_until > now)


def _others(replicas: Sequence[Replica], asked: Collection[Replica], now: float) -> Sequence[Replica]:
    if asked:
        replicas = [replica for replica in replicas if replica not in asked]
    return _fit_first(replicas, now)


def _stretches_of(request: Read, stretches: Stretches[tuple[Replica, ...]]) -> tuple[list[int], list[int]]:
    """The stretch of each get, and of each scan's beginning."""
    gets: list[int] = []
    low, end, number = b"\x00", b"\x00", -1  # of the stretch at hand: none yet
    for key in request.gets:
        if not (low <= key and (not end or key < end)):
            number = stretches.at(key)
            low, end = stretches.lows[number], stretches.end(number)
        gets.append(number)
    return gets, [stretches.below(scan.high) if scan.reverse else stretches.at(scan.low) for scan in request.scans]
