"""Who keeps which keys, and whether one who gives some up leaves enough others: what storage's `adopting` promises.

A copy counts from the moment its replica has all of a range until the replica gives it up of its own will. One whose
disk is lost goes on counting: losing one is allowed, and that others relied on it was right when they did.
"""

from __future__ import annotations

from tausql.protocol.ranges import Lookup, RangeSet, common, covers, united, without
from tausql.runtime.check import I11, check
from tausql.simulation.fleet import SimulatedFleet
from tausql.storage.wanted import zones_needed


class Copies:
    """Looks at every storage process that runs, often."""

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._fleet = fleet
        self._kept: dict[str, RangeSet] = {}  # by replica: what counts
        self._seen: dict[str, tuple[int, RangeSet]] = {}  # by replica: generation, what it had at the last look

    def look(self) -> None:
        """I11: what is given up is kept in as many zones as it must be."""
        given: list[tuple[str, RangeSet]] = []
        for process in self._fleet.processes("storage"):
            service = process.services
            if not process.alive or service is None or service.keeper.lost:
                self._seen.pop(process.name, None)
                continue
            applier = service.applier
            has = applier.shards.whole() if applier.watermark else ()
            generation, before = self._seen.get(process.name, (process.generation, has))
            self._seen[process.name] = (process.generation, has)
            if generation == process.generation and not covers(has, before):
                gone = without(before, has)
                self._kept[process.name] = without(self._kept.get(process.name, ()), gone)
                given.append((process.name, gone))
            if not covers(self._kept.get(process.name, ()), has):
                self._kept[process.name] = united((*self._kept.get(process.name, ()), *has))
        for name, ranges in given:
            self._check(name, ranges)

    def _check(self, name: str, ranges: RangeSet) -> None:
        zones = {process.name: process.zone for process in self._fleet.processes("storage")}
        needed = min(zones_needed(self._fleet.fleet), len(set(zones.values())))
        cuts = {low for low, _ in ranges} | {
            low for kept in self._kept.values() for low, _ in kept if common(ranges, ((low, low + b"\0"),))
        }
        for key in sorted(cuts):
            there = {zones[one] for one, kept in self._kept.items() if one in zones and Lookup(kept).holds(key)}
            enough = len(there) >= needed
            check(I11, enough, "a range is given up that too few keep", replica=name, key=key, zones=there)
