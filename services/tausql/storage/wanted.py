"""What the map wants of a replica, compared with what it has: plain set arithmetic, decided anew at every look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tausql.protocol.fleet import Fleet
from tausql.protocol.ranges import EVERYTHING, Range, RangeSet, common, covers, united, without

ZONES_NEEDED_MAX = 2


class Wanted(NamedTuple):
    """`ranges` to keep, with their bounds in `cuts`; `named`: who is to keep each shard of the map. An empty `named`
    wants nothing changed."""

    ranges: RangeSet
    cuts: frozenset[bytes]
    named: tuple[tuple[Range, tuple[str, ...]], ...]


def wanted_of(fleet: Fleet, name: str) -> Wanted:
    """What `fleet` wants of the replica `name`. Of shards that overlap, which a planner should not make, all count."""
    named = tuple(((one.low, one.high), one.replicas) for one in fleet.shards if one.replicas)
    cuts = frozenset(bound for bounds, _ in named for bound in bounds if bound)
    return Wanted(united(bounds for bounds, replicas in named if name in replicas), cuts, named)


def zones_needed(fleet: Fleet) -> int:
    """In how many zones rows must be served before a replica may give up its own."""
    zones = {one.zone for one in fleet.storage}
    return max(1, min(ZONES_NEEDED_MAX, max(len(zones), len(fleet.zones))))


def to_start_with(wanted: Wanted) -> RangeSet:
    """What a blank replica is to keep."""
    return wanted.ranges if wanted.named else EVERYTHING


def missing(wanted: Wanted, kept: RangeSet) -> RangeSet:
    """What is wanted and not there."""
    return without(wanted.ranges, kept)


def first_piece(ranges: RangeSet, cuts: frozenset[bytes]) -> Range:
    """The first of `ranges` up to its first cut."""
    low, high = ranges[0]
    inner = sorted(cut for cut in cuts if low < cut and (not high or cut < high))
    return (low, inner[0]) if inner else (low, high)


def to_leave(
    wanted: Wanted, whole: RangeSet, serving: Mapping[str, RangeSet], zones: Mapping[str, str], needed: int
) -> tuple[Range, tuple[str, ...]] | None:
    """A range that is here, is not wanted here, and is served by every replica that is to keep it, in `needed` zones;
    and those replicas. None where there is no such range."""
    surplus = without(whole, wanted.ranges)
    if not surplus:
        return None
    for bounds, replicas in wanted.named:
        for piece in common(surplus, (bounds,)):
            if served_by_all((piece,), replicas, serving, zones, needed):
                return piece, replicas
    return None


def served_by_all(
    ranges: RangeSet,
    replicas: tuple[str, ...],
    serving: Mapping[str, RangeSet],
    zones: Mapping[str, str],
    needed: int,
) -> bool:
    """True when each of `replicas` serves all of `ranges`, and they lie in at least `needed` zones."""
    if len({zones.get(name, "") for name in replicas}) < needed:
        return False
    return all(covers(serving.get(name, ()), ranges) for name in replicas)
