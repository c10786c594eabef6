"""A fleet that does what is wanted of it, as far as the planner sees it: owners of ranges and keepers of shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.control.key_ranges import between, overlap
from tausql.control.planner import PlanLimits, Planner
from tausql.control.reports import Judged, Kept, Reports, StreamReport
from tausql.control.wanted import Wanted
from tausql.protocol.fleet import Fleet, Member, Placed

Load = Callable[[bytes, bytes], float]  # of a range


def even(scale: float) -> Load:
    """`scale` commits a second (or bytes) over keys of one byte, evenly."""

    def load(low: bytes, high: bytes) -> float:
        return scale * (_end(high) - _start(low)) / 256

    return load


def _start(low: bytes) -> float:
    return low[0] + (low[1] / 256 if len(low) > 1 else 0.0) if low else 0.0


def _end(high: bytes) -> float:
    return _start(high) if high else 256.0


def middle(low: bytes, high: bytes) -> bytes | None:
    """A key half way, in sixteen bits."""
    value = int((_start(low) + _end(high)) / 2 * 256)
    key = value.to_bytes(2, "big")
    return key if low < key and (not high or key < high) else None


def member(name: str, zone: str, index: int = 0, region: str = "") -> Member:
    return Member(name, zone, f"{name}:1", "", index, region)


class World:
    """Holders and storages. `registered`: the streams there are; `owners`: all keys, by stream."""

    def __init__(self, storages: dict[str, str], streams: int = 1, load: Load | None = None) -> None:
        self.fleet = Fleet(
            adjudicator=(member("adj-a", "a", 0), member("adj-b", "b", 1)),
            storage=tuple(member(name, zone) for name, zone in storages.items()),
        )
        self.registered: tuple[int, ...] = tuple(range(streams))
        self._numbers = streams - 1  # the highest ever given
        self.owners: tuple[Placed, ...] = (Placed(b"", b"", 0),)
        self.commits: Load = load if load is not None else even(0.0)
        self.bytes: Load = even(0.0)
        self.requests: Load = even(0.0)
        # By storage: all keys, cut, with what is served.
        self.kept: dict[str, dict[tuple[bytes, bytes], bool]] = {name: {(b"", b""): True} for name in storages}
        self.down: set[str] = set()

    # what is so

    def reports(self, now: float) -> Reports:
        streams: dict[int, StreamReport] = {}
        for stream in self.registered:
            ranges = tuple(
                Judged(one.low, one.high, self.commits(one.low, one.high), middle(one.low, one.high))
                for one in self.owners
                if one.stream == stream
            )
            total = sum(one.commits or 0.0 for one in ranges)
            first = self.registered if stream == 0 else None
            streams[stream] = StreamReport(stream, f"adj-{'ab'[stream % 2]}", (1, 1), ranges, (), first, total)
        storages = {
            name: tuple(
                Kept(
                    low,
                    high,
                    serving,
                    int(self.bytes(low, high)),
                    self.requests(low, high),
                    middle(low, high),
                    middle(low, high),
                )
                for (low, high), serving in sorted(rows.items())
            )
            for name, rows in self.kept.items()
            if name not in self.down
        }
        answered = {*storages, *(one.name for one in self.fleet.adjudicator)} - self.down
        return Reports(now, streams, storages, frozenset(answered))

    # what is wanted is done

    def obey(self, wanted: Wanted) -> None:
        if wanted.placement:
            self.owners = wanted.placement
            assert {one.stream for one in self.owners} <= set(self.registered)
        owning = {one.stream for one in self.owners}
        stays = self.registered[: wanted.streams]
        self.registered = tuple(one for one in self.registered if one in stays or one in owning)
        if 0 < len(self.registered) < wanted.streams:
            self._numbers += 1
            self.registered = (*self.registered, self._numbers)
        if wanted.shards:
            for name in self.kept.keys() - self.down:
                self._keep(name, wanted)

    def _keep(self, name: str, wanted: Wanted) -> None:
        before = self.kept[name]
        cuts = {key for low, high in before for key in (low, high)}
        cuts |= {key for shard in wanted.shards for key in (shard.low, shard.high)}
        made: dict[tuple[bytes, bytes], bool] = {}
        for shard in wanted.shards:
            if name not in shard.replicas:
                continue
            pieces = [one for one in between(cuts) if overlap(Placed(*one, 0), shard.low, shard.high)]
            had = all(any(_inside(one, old) and served for old, served in before.items()) for one in pieces)
            begun = all(any(_inside(one, old) for old in before) for one in pieces)
            made[(shard.low, shard.high)] = had or begun  # filled in the turn after it was begun
        self.kept[name] = made


def _inside(one: tuple[bytes, bytes], outer: tuple[bytes, bytes]) -> bool:
    return outer[0] <= one[0] and (not outer[1] or (bool(one[1]) and one[1] <= outer[1]))


def run(world: World, planner: Planner, turns: int, now: float, seconds: float = 5.0) -> list[Wanted]:
    """So many turns, with everything done in between; what was wanted after each."""
    seen: list[Wanted] = []
    for _ in range(turns):
        wanted = planner.turn(world.fleet, world.reports(now), now)
        seen.append(wanted)
        world.obey(wanted)
        now += seconds
    return seen


def zones_of(world: World, names: Sequence[str]) -> list[str]:
    zones = {one.name: one.zone for one in world.fleet.storage}
    return [zones[name] for name in names]


def planner_of(limits: PlanLimits | None = None, now: float = 0.0) -> Planner:
    return Planner(limits if limits is not None else PlanLimits(), now)
