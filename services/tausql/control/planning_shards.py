"""Which storage process should keep which rows: one small step at a time.

A replica in every zone, spread within a zone by bytes and load. The order of the steps is what makes them safe to
repeat, to lose, and to take up by another control: a replica is added first, and the one it replaces leaves only when
the new one says that it serves; so between any two steps every range has a wanted replica in every zone that had one.
What a process keeps is never guessed: a shard whose figures have not come is left alone.

Cutting a shard, and joining two with the same replicas, moves nothing and costs nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from tausql.control.key_ranges import below, between, ends_within, splits
from tausql.control.reports import Kept, Reports
from tausql.protocol.fleet import Shard

Shards = tuple[Shard, ...]

LEVEL_SHARE = 0.25  # of a zone's whole: processes that differ by less are alike
PART_MAX = 0.85  # of the gap between two processes: moving more would only swap them
CUTS_MAX = 16  # shards cut in one step
COLD_SHARE = 0.25  # of `shard_bytes` and `shard_load`: two shards that have no more together are better one


@dataclass(frozen=True, slots=True)
class ShardLimits:
    shard_bytes: int = 256 << 20  # more is cut in two
    shard_load: float = 5_000.0  # reads and writes a second; more is cut in two
    zones: int = 3  # zones that keep each row, if there are so many
    shards_max: int = 2_000
    moves_max: int = 2  # replicas being filled at once


@dataclass(frozen=True, slots=True)
class Storages:
    """The region's storage processes."""

    zones: Mapping[str, str]  # by name, also of those that were there lately
    gone: Collection[str] = ()  # away for so long that somebody else should have their shards
    away: Collection[str] = ()  # leaving, or not answering just now: given nothing more


@dataclass(frozen=True, slots=True)
class Hints:
    """What people asked for."""

    cuts: frozenset[bytes] = frozenset()  # are not joined again
    leaving: Mapping[tuple[bytes, bytes], str] = field(default_factory=dict)  # by range: who goes once others serve


class Step(NamedTuple):
    shards: Shards
    why: str
    urgent: bool = False


class Figures(NamedTuple):
    """Of one shard."""

    size: int | None  # bytes
    load: float | None  # at all replicas together
    split: bytes | None
    load_split: bytes | None
    serving: frozenset[str]  # replicas that serve all of it


class _Rows:
    """What one process says, to be looked up by key."""

    __slots__ = ("_lows", "rows")

    def __init__(self, rows: Sequence[Kept]) -> None:
        self.rows = rows
        self._lows = [row.low for row in rows]

    def at(self, key: bytes) -> int:
        """Where the row that `key` lies in is, if it lies in one."""
        return max(0, bisect_right(self._lows, key) - 1)

    def around(self, low: bytes, high: bytes) -> Kept | None:
        """The row that [low, high) lies in."""
        row = self.rows[self.at(low)] if self.rows else None
        if row is not None and row.low <= low and below(low, row.high) and ends_within(high, row.high):
            return row
        return None

    def serve(self, low: bytes, high: bytes) -> bool:
        """Whether all of [low, high) is served."""
        reached = low
        for row in islice(self.rows, self.at(low), None):
            if row.low > reached or not row.serving or not below(reached, row.high):
                return False
            if ends_within(high, row.high):
                return True
            reached = row.high
        return False


def first_shards(reports: Reports, names: Iterable[str]) -> Shards | None:
    """What is so, whether served or only being filled. None: not known, as long as any of `names` has not reported, or
    some range is with nobody."""
    wanted = sorted(set(names))
    if not wanted or not set(wanted) <= reports.storages.keys():
        return None
    rows = {name: _Rows(reports.storages[name]) for name in wanted}
    cuts = {cut for name in wanted for one in rows[name].rows for cut in (one.low, one.high)}
    made: list[Shard] = []
    for low, high in between(cuts):
        holding = tuple(name for name in wanted if rows[name].around(low, high) is not None)
        if not holding:
            return None
        made.append(Shard(low, high, holding))
    return tuple(made)


def figures_of(shards: Shards, reports: Reports) -> list[Figures]:
    """What the replicas say of each shard. Some may have it cut otherwise just now: they tell no sizes."""
    rows = {name: _Rows(kept) for name, kept in reports.storages.items()}
    return [_figures(shard, rows) for shard in shards]


def _figures(shard: Shard, rows: Mapping[str, _Rows]) -> Figures:
    sizes: list[int] = []
    loads: list[float] = []
    split = load_split = None
    serving: set[str] = set()
    for name in shard.replicas:
        told = rows.get(name)
        if told is None:
            continue
        if told.serve(shard.low, shard.high):
            serving.add(name)
        row = told.around(shard.low, shard.high)
        if row is None or (row.low, row.high) != (shard.low, shard.high):
            continue
        if row.size is not None:
            sizes.append(row.size)
        if row.load is not None:
            loads.append(row.load)
        split = split or (row.split if splits(row.split, shard) else None)
        load_split = load_split or (row.load_split if splits(row.load_split, shard) else None)
    size, load = max(sizes, default=None), sum(loads) if loads else None
    return Figures(size, load, split, load_split, frozenset(serving))


def waiting(shards: Shards, storages: Storages, reports: Reports) -> list[tuple[Shard, str]]:
    """Replicas that are to be filled: the shard, and who does not serve it yet."""
    return [
        (shard, name)
        for shard, known in zip(shards, figures_of(shards, reports), strict=True)
        for name in shard.replicas
        if name not in known.serving and name not in storages.gone
    ]


def next_step(
    shards: Shards, storages: Storages, reports: Reports, limits: ShardLimits, hints: Hints | None = None
) -> Step | None:
    """The next step from `shards`, all keys."""
    return _Planning(shards, storages, reports, limits, hints or Hints()).step()


class _Planning:
    """One look."""

    def __init__(self, shards: Shards, storages: Storages, reports: Reports, limits: ShardLimits, hints: Hints) -> None:
        self.shards = shards
        self.limits = limits
        self.hints = hints
        self.zones = storages.zones
        self.gone = storages.gone
        self.figures = figures_of(shards, reports)
        self.usable = sorted(
            name for name in reports.storages if name in storages.zones and name not in {*storages.gone, *storages.away}
        )
        self.filling = sum(
            name not in known.serving and name not in self.gone
            for shard, known in zip(shards, self.figures, strict=True)
            for name in shard.replicas
        )
        self.parts = self._parts_of_all()
        self.share = self._shares()

    def step(self) -> Step | None:
        return self._complete() or self._let_go() or self._cut() or self._level() or self._join()

    def _with(self, index: int, *made: Shard) -> Shards:
        return (*self.shards[:index], *made, *self.shards[index + 1 :])

    def _replicas(self, index: int, replicas: Iterable[str]) -> Shards:
        shard = self.shards[index]
        return self._with(index, Shard(shard.low, shard.high, tuple(sorted(set(replicas)))))

    def _parts_of_all(self) -> list[float]:
        """By shard: its part of all bytes, plus its part of the load, where there is much."""
        sizes = sum(known.size or 0 for known in self.figures)
        loads = sum(known.load or 0.0 for known in self.figures)
        heavy = loads >= self.limits.shard_load / 2
        return [
            ((known.size or 0) / sizes if sizes else 0.0) + ((known.load or 0.0) / loads if heavy else 0.0)
            for known in self.figures
        ]

    def _shares(self) -> dict[str, float]:
        """By process: the parts of its shards."""
        made = dict.fromkeys([*self.zones, *(name for shard in self.shards for name in shard.replicas)], 0.0)
        for shard, part in zip(self.shards, self.parts, strict=True):
            for name in shard.replicas:
                made[name] += part
        return made

    def _lightest(self, names: Iterable[str], serving: Collection[str] = ()) -> str:
        """Of those that have it already the first, else the one with least."""
        return min(names, key=lambda name: (name not in serving, self.share[name], name))

    def _complete(self) -> Step | None:
        """A shard that lacks a replica in a zone gets one."""
        if self.filling >= self.limits.moves_max:
            return None
        present = sorted({self.zones[name] for name in self.usable})
        for index, shard in enumerate(self.shards):
            staying = [name for name in shard.replicas if name not in self.gone]
            covered = {self.zones.get(name, "") for name in staying} - {""}
            if len(covered) >= self.limits.zones:
                continue
            lacking = [zone for zone in present if zone not in covered]
            if not lacking:
                continue
            old = {self.zones.get(name, "") for name in shard.replicas}
            zone = min(lacking, key=lambda zone: (zone not in old, zone))
            name = self._lightest(one for one in self.usable if self.zones[one] == zone)
            why = f"a replica in zone {zone}" + (" in place of one that is gone" if zone in old else "")
            return Step(self._replicas(index, (*shard.replicas, name)), f"{name} gets a shard: {why}", True)
        return None

    def _let_go(self) -> Step | None:
        """A replica too many leaves, once all others of its zone serve."""
        for index, shard in enumerate(self.shards):
            serving = self.figures[index].serving
            zones = {name: self.zones.get(name, "") for name in shard.replicas}
            served = {zones[name] for name in serving}
            for name in sorted(sorted(shard.replicas, reverse=True), key=lambda one: self._staying(one, shard)):
                if name not in serving and name not in self.gone:
                    continue  # it is being filled, or about to come back
                others = [one for one in shard.replicas if one != name and zones[one] == zones[name]]
                rest = [one for one in others if one not in self.gone]
                if rest and all(one in serving for one in rest):
                    why = "it is gone" if name in self.gone else f"zone {zones[name]} has another"
                    return Step(self._without(index, name), f"{name} leaves a shard: {why}", True)
                surplus = len(served - {zones[name]}) >= self.limits.zones
                if not others and surplus and (name in self.gone or len(served) > self.limits.zones):
                    return Step(self._without(index, name), f"{name} leaves a shard: enough zones have it", True)
        return None

    def _staying(self, name: str, shard: Shard) -> tuple[bool, bool, float]:
        """Who leaves first: the gone, the one that was asked to, the one with most."""
        asked = self.hints.leaving.get((shard.low, shard.high)) == name
        return (name not in self.gone, not asked, -self.share[name])

    def _without(self, index: int, name: str) -> Shards:
        return self._replicas(index, (one for one in self.shards[index].replicas if one != name))

    def _cut(self) -> Step | None:
        """Shards with too many bytes become two each, the largest first; else one with too much to do. Nothing moves,
        so several may at once: a load of rows makes many."""
        room = min(CUTS_MAX, self.limits.shards_max - len(self.shards))
        if room <= 0:
            return None
        large = [
            (known.size, index, known.split)
            for index, known in enumerate(self.figures)
            if known.size is not None and known.size > self.limits.shard_bytes and known.split is not None
        ]
        if large:
            cuts = {index: key for _, index, key in sorted(large, reverse=True)[:room]}
            why = f"{len(cuts)} shards become two each, the largest of {max(large)[0]} bytes"
            return Step(self._halved(cuts), why, True)
        for index, known in enumerate(self.figures):
            if known.load is not None and known.load > self.limits.shard_load:
                key = known.load_split or known.split
                if key is not None:
                    return Step(self._halved({index: key}), f"a shard with {known.load:.0f} requests/s becomes two")
        return None

    def _halved(self, cuts: Mapping[int, bytes]) -> Shards:
        """Cut at these keys, by shard."""
        made: list[Shard] = []
        for index, shard in enumerate(self.shards):
            key = cuts.get(index)
            if key is None:
                made.append(shard)
            else:
                made += [Shard(shard.low, key, shard.replicas), Shard(key, shard.high, shard.replicas)]
        return tuple(made)

    def _level(self) -> Step | None:
        """The fullest process of a zone hands a shard to the emptiest: added here, and taken away by `_let_go`."""
        if self.filling or any(known.size is None for known in self.figures):
            return None
        for zone in sorted({self.zones[name] for name in self.usable}):
            names = [name for name in self.usable if self.zones[name] == zone]
            full = min(names, key=lambda name: (-self.share[name], name))
            empty = self._lightest(names)
            gap = self.share[full] - self.share[empty]
            if gap < LEVEL_SHARE or not self._worth_it(full, empty):
                continue
            parts = [
                (self.parts[index], index)
                for index, shard in enumerate(self.shards)
                if full in shard.replicas and empty not in shard.replicas
            ]
            fitting = [(abs(gap - 2 * part), index) for part, index in parts if 0.0 < part <= gap * PART_MAX]
            if fitting:
                index = min(fitting)[1]
                shards = self._replicas(index, (*self.shards[index].replicas, empty))
                return Step(shards, f"{empty} gets a shard of {full}, which has {gap:.0%} more of zone {zone}")
        return None

    def _worth_it(self, full: str, empty: str) -> bool:
        """Small databases stay where they are."""
        sizes = dict.fromkeys((full, empty), 0.0)
        loads = dict.fromkeys((full, empty), 0.0)
        for shard, known in zip(self.shards, self.figures, strict=True):
            for name in {full, empty}.intersection(shard.replicas):
                sizes[name] += known.size or 0
                loads[name] += known.load or 0.0
        much = sizes[full] - sizes[empty] > self.limits.shard_bytes * COLD_SHARE
        return much or loads[full] - loads[empty] > self.limits.shard_load * COLD_SHARE

    def _join(self) -> Step | None:
        """Two small and cold neighbours with the same replicas become one."""
        limits = self.limits
        for index in range(len(self.shards) - 1):
            one, two = self.shards[index], self.shards[index + 1]
            ours, theirs = self.figures[index], self.figures[index + 1]
            if one.replicas != two.replicas or two.low in self.hints.cuts:
                continue
            if ours.size is None or theirs.size is None or ours.load is None or theirs.load is None:
                continue
            small = ours.size + theirs.size <= limits.shard_bytes * COLD_SHARE
            if small and ours.load + theirs.load <= limits.shard_load * COLD_SHARE:
                shards = (*self.shards[:index], Shard(one.low, two.high, one.replicas), *self.shards[index + 2 :])
                return Step(shards, "two small shards become one")
        return None
