"""Drills: one thing goes wrong between regions, nothing else, and what clients notice is measured.

Random faults show that nothing is ever wrong; they cannot show that things go on, because with enough of them nothing
may. Here each fault comes alone, and a bound is held against the longest time without a commit where a majority is.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from tausql.simulation.clients import Client
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.layout import TWO_REGIONS
from tausql.simulation.lists import Lists
from tausql.simulation.regions import RegionFaults
from tausql.simulation.scenario import UP_SECONDS, settle, until
from tausql.simulation.shape import shape_of
from tausql.simulation.watch import Watch
from tausql.simulation.workload import Context
from tausql.simulation.world import World

CALM_SECONDS = 4.0  # before the fault, and after it is over: time to adapt
MEASURED_SECONDS = 2.0  # at the end of the first calm
FAULT_SECONDS = 7.0
GAP_SECONDS_MAX = 5.0
DRILLS = (
    "none",
    "holder's region cut off",
    "other region cut off",
    "witness cut off",
    "witness killed",
    "holder's region killed",
    "other region killed",
    "regions apart",
    "nothing gets out of the holder's region",
    "nothing gets into the holder's region",
    "holder's region far away",
)


@dataclass(slots=True)
class Report:
    """Seconds, all of it. `gap`: the longest time without a commit in the regions that are a majority, from the fault
    until peace; by region, before the fault, of reads at the nearest replica the median and what nine of ten do not
    exceed, and of commits the median."""

    drill: str
    far: dict[str, float]
    holder_before: str = ""
    holder_during: str = ""
    holders: int = 0  # epochs begun from the fault on
    gap: float = 0.0
    reads: dict[str, tuple[float, float]] = field(default_factory=dict)
    commits: dict[str, float] = field(default_factory=dict)
    lead_micros: int = 0
    lead_micros_during: int = 0
    acknowledged: int = 0


def run_drill(seed: int, drill: str, far: tuple[float, float, float] | None = None) -> Report:
    """far: east to west, east to witness, west to witness, seconds one way; drawn from the seed unless given. Raises
    InvariantViolation, Anomaly or Stuck for what is wrong, and leaves the judgement of figures to the caller."""
    world = World(seed)
    shape = shape_of(world.random)
    while shape.trims:  # within seconds, so that an outcome is forgotten before the next holder can be asked for it
        shape = shape_of(world.random)
    world.clock_bound_micros = 500
    world.links.delay = (0.00005, 0.0003)
    fleet = SimulatedFleet(world, shape, 1, TWO_REGIONS)
    faults = RegionFaults(world, fleet)
    between = _place(world, far)
    Watch(world, fleet).start()
    fleet.start()
    until(world, lambda: fleet.up, "the fleet is not up", UP_SECONDS)
    lists = Lists(Context(world, fleet, world.random, 1.0), keys=12)
    lists.start()
    ledger, clients = lists.ledger, lists.clients
    for client in clients:
        client.stays_near = True
    report = Report(drill, between)
    world.run(CALM_SECONDS)
    for client in clients:
        client.read_seconds.clear()
        client.commit_seconds.clear()
    world.run(MEASURED_SECONDS)
    _measure(fleet, clients, report)
    begun, epochs = world.now, world.marks.get("takeover", 0)
    held_in = fleet.layout.region_of(world.processes[report.holder_before].zone)
    over, cut_off = _begin(drill, world, faults, held_in)
    world.run(FAULT_SECONDS)
    holder = fleet.holder()
    report.holder_during = holder.name if holder is not None else ""
    report.lead_micros_during = _lead(fleet)
    over()
    world.run(CALM_SECONDS)
    report.holders = world.marks.get("takeover", 0) - epochs
    times = sorted(
        attempt.completed
        for attempt in ledger.attempts
        if attempt.status == "ok"
        and attempt.appends()
        and begun < attempt.completed
        and fleet.layout.region_of(world.processes[attempt.client].zone) != cut_off
    )
    report.gap = max(later - earlier for earlier, later in pairwise((begun, *times, world.now)))
    settle(world, [lists])
    report.acknowledged = sum(attempt.status == "ok" for attempt in ledger.attempts)
    return report


def _place(world: World, far: tuple[float, float, float] | None) -> dict[str, float]:
    """Put the regions apart; how far, by pair."""
    seconds = far if far is not None else tuple(world.random.uniform(0.005, 0.040) for _ in range(3))
    between: dict[str, float] = {}
    for (one, other), away in zip((("east", "west"), ("east", "witness"), ("west", "witness")), seconds, strict=True):
        between[f"{one}-{other}"] = away
        for zone in TWO_REGIONS.regions[one]:
            for there in TWO_REGIONS.regions[other]:
                world.links.far[zone, there] = world.links.far[there, zone] = away
    return between


def _begin(drill: str, world: World, faults: RegionFaults, held_in: str) -> tuple[Callable[[], None], str]:
    """Let it go wrong. Returns what ends it, and the region whose clients cannot write meanwhile."""
    other = "west" if held_in == "east" else "east"
    inside = faults.names(held_in)
    outside = set(world.processes) - inside
    if drill == "holder's region cut off":
        return faults.cut(held_in), held_in
    if drill == "other region cut off":
        return faults.cut(other), other
    if drill == "witness cut off":
        return faults.cut("witness"), ""
    if drill == "witness killed":
        return faults.kill("witness"), ""
    if drill == "holder's region killed":
        return faults.kill(held_in), ""
    if drill == "other region killed":
        return faults.kill(other), ""
    if drill == "regions apart":
        return world.links.sever(faults.names(held_in), faults.names(other)), other
    if drill == "nothing gets out of the holder's region":
        return world.links.sever(inside, outside, one_way=True), held_in
    if drill == "nothing gets into the holder's region":
        return world.links.sever(outside, inside, one_way=True), held_in
    if drill == "holder's region far away":
        return faults.slow(held_in), ""
    return (lambda: None), ""


def _measure(fleet: SimulatedFleet, clients: list[Client], report: Report) -> None:
    """The medians since the clients' last clearing, and where the stream is."""
    for region in fleet.layout.regions:
        there = [one for one in clients if fleet.layout.region_of(one.zone) == region]
        reads = [seconds for one in there for seconds in one.read_seconds]
        commits = [seconds for one in there for seconds in one.commit_seconds]
        if reads and commits:
            report.reads[region] = median(reads), sorted(reads)[len(reads) * 9 // 10]
            report.commits[region] = median(commits)
    holder = fleet.holder()
    report.holder_before = holder.name if holder is not None else ""
    report.lead_micros = _lead(fleet)


def _lead(fleet: SimulatedFleet) -> int:
    holder = fleet.holder()
    return holder.services.tenures[0].lead.micros if holder is not None else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="of each drill")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--far", type=float, nargs=3, help="ms one way: east to west, east to witness, west to witness")
    parser.add_argument("--drill", choices=DRILLS, default="", help="this one only")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    far = (options.far[0] / 1000, options.far[1] / 1000, options.far[2] / 1000) if options.far else None
    slow = 0
    for drill in [options.drill] if options.drill else DRILLS:
        for seed in range(options.first, options.first + options.seeds):
            report = run_drill(seed, drill, far)
            slow += report.gap > GAP_SECONDS_MAX
            print(_line(seed, report), flush=True)
    return 1 if slow else 0


def _line(seed: int, report: Report) -> str:
    far = "/".join(f"{seconds * 1000:.0f}" for seconds in report.far.values())
    here = " ".join(
        f"{region} read {often * 1000:.1f} {seldom * 1000:.1f} commit {report.commits[region] * 1000:.1f} ms"
        for region, (often, seldom) in report.reads.items()
    )
    return (
        f"{report.drill:<40} seed {seed:<5} {far:>9} ms  gap {report.gap:5.2f} s  {report.holder_before}"
        f" -> {report.holder_during} ({report.holders} epochs)  lead {report.lead_micros / 1000:.1f}"
        f" -> {report.lead_micros_during / 1000:.1f} ms  {here}  {report.acknowledged} ok"
    )


if __name__ == "__main__":
    sys.exit(main())
