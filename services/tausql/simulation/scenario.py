"""One run: a fleet, workloads, faults for a while, peace, and the verdict.

What must hold: no invariant breaks on the way (the services check their own, `watch` those between processes), every
unfinished transaction is settled once all is well again, and each workload's history is what was promised.
"""

from __future__ import annotations

import gc
import logging
import random
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from tausql.checker.anomaly import Anomaly
from tausql.runtime.check import InvariantViolation
from tausql.simulation.ambushes import Ambushes
from tausql.simulation.breaking import without
from tausql.simulation.changes import Changes
from tausql.simulation.clock_faults import ClockFaults
from tausql.simulation.disk_faults import DiskFaults
from tausql.simulation.faults import Faults, NetworkFaults, ProcessFaults
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.interruptions import Interruptions
from tausql.simulation.layout import ONE_REGION, TWO_REGIONS, distances, widened
from tausql.simulation.lists import Lists
from tausql.simulation.plans import Plans
from tausql.simulation.regions import RegionFaults
from tausql.simulation.shape import Pace, Shape, shape_like, small_parts
from tausql.simulation.watch import Watch
from tausql.simulation.workload import Context, Offer, Workload, chosen
from tausql.simulation.workloads import OFFERS as SQL_OFFERS
from tausql.simulation.world import EXCUSED_AFTER_SECONDS, World

UP_SECONDS = 20.0  # by then a new fleet must be up
UNDER_WAY_SECONDS = 0.7  # after the last fault: maps are heard of by then, and some faults end by themselves
PEACE_SECONDS = 60.0  # by then everything must be settled
LAYOUTS = {"one": ONE_REGION, "two": TWO_REGIONS}
OFFERS: tuple[Offer, ...] = (Offer("lists", Lists, 10), *SQL_OFFERS)


class Stuck(Exception):
    """All is well again, and yet something does not go on."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What is asked of a run; whatever is left out is drawn from its seed."""

    seconds: float = 0.0  # with faults
    streams: int = 0
    faults: bool = True
    regions: str = "one"  # "one" of three zones, "two" and a witness, or "mixed": two for every fourth seed
    pace: Pace = "fast"
    workloads: str = ""  # names, separated by commas
    kinds: tuple[str, ...] = ()  # of faults: these, and as many others as there must be at least
    shape: tuple[tuple[str, Any], ...] = ()  # fields, dotted, and what a shape must have been drawn for them
    points: tuple[str, ...] = ()  # fault points that must have been drawn


@dataclass(slots=True)
class Verdict:
    """What a run came to."""

    seed: int
    regions: str = "one"
    virtual_seconds: float = 0.0
    events: int = 0
    acknowledged: int = 0
    attempts: int = 0
    workloads: dict[str, int] = field(default_factory=dict)  # transactions acknowledged
    faults: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    failure: str = ""
    timeline: list[tuple[float, str]] = field(default_factory=list)
    history: str = ""  # digest of everything that clients did and were told


def run_seed(
    seed: int,
    seconds: float = 0.0,
    streams: int = 0,
    faults: bool = True,
    regions: str = "one",
    pace: Pace = "fast",
    workloads: str = "",
) -> Verdict:
    """`run` with these choices."""
    return run(seed, Choices(seconds, streams, faults, regions, pace, workloads))


def run(seed: int, choices: Choices) -> Verdict:
    """Run one seed. Never raises for what the run itself shows: see `Verdict.failure`."""
    if choices.regions == "mixed":
        choices = replace(choices, regions="one" if seed % 4 else "two")
    world = World(seed)
    verdict = Verdict(seed, choices.regions)
    running: list[Workload] = []
    try:
        with small_parts(world.random, choices.pace):
            _run(world, choices, running, verdict.faults)
    except (InvariantViolation, Anomaly, Stuck) as failure:
        verdict.failure = f"{type(failure).__name__}: {failure}"
    except Exception as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        verdict.failure = f"{type(failure).__name__}: {failure} (in {where.name}, {Path(where.filename).name})"
    verdict.virtual_seconds, verdict.events = world.now, world.steps
    verdict.workloads = {workload.name: workload.acknowledged for workload in running}
    verdict.acknowledged = sum(verdict.workloads.values())
    verdict.attempts = sum(workload.attempts for workload in running)
    verdict.marks, verdict.timeline = world.marks, world.timeline
    verdict.history = sha256(b"".join(workload.digest() for workload in running)).hexdigest()
    return verdict


def run_one(seed: int, choices: Choices, broken: str = "") -> Verdict:
    """`run` without a guard and without logs: thousands of deaths a minute are no news here."""
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.disable()  # a run is short, and what it leaves behind goes at its end
    try:
        with without(broken):
            return run(seed, choices)
    finally:
        logging.disable(logged)
        gc.enable()
        gc.collect()


def _run(world: World, choices: Choices, running: list[Workload], seen: dict[str, int]) -> None:
    shape = shape_like(random.Random(f"{world.seed} shape"), choices.pace, choices.shape, choices.points)
    shape.seconds = choices.seconds or shape.seconds
    shape.streams = choices.streams or shape.streams
    layout = widened(LAYOUTS[choices.regions], shape.more, world.random)
    world.clock_bound_micros = shape.clock_bound_micros
    world.links.delay, world.links.wire = shape.delay_seconds, shape.wire
    world.rates = shape.rates
    world.points.update(shape.points if choices.faults else {})
    fleet = SimulatedFleet(world, shape, shape.streams, layout)
    plans = Plans(world, fleet)
    if choices.regions != "one":
        world.links.far.update(distances(layout, world.random))
    offers = chosen(OFFERS, random.Random(f"{world.seed} workloads"), choices.workloads)
    running += [
        offer.make(Context(world, fleet, random.Random(f"{world.seed} {offer.name}"), shape.intensity))
        for offer in offers
    ]
    watch = Watch(world, fleet)
    plans.begin()
    world.note(_described(shape, choices, running))
    fleet.start(shape.start_seconds)
    watch.start()
    until(world, lambda: fleet.up, "the fleet is not up", UP_SECONDS)
    for workload in running:
        workload.start()
    changes, clocks, disks = Changes(world, fleet, plans), ClockFaults(world, fleet), DiskFaults(world, fleet)
    kinds = [
        *ProcessFaults(world, fleet).kinds,
        *NetworkFaults(world, fleet).kinds,
        *disks.kinds,
        *clocks.kinds,
        *Ambushes(world, fleet).kinds,
        *Interruptions(world, fleet).kinds,
        *changes.kinds,
        *plans.kinds,
    ]
    if fleet.sql is not None:
        kinds += fleet.sql.kinds
    if choices.regions != "one":
        kinds += RegionFaults(world, fleet).kinds
    faults = Faults(world, fleet, seen, kinds, (clocks.heal, disks.heal), choices.kinds)
    if choices.faults:
        clocks.start()
        faults.start()
    world.run(shape.seconds)
    faults.stop()
    clocks.stop()
    changes.stop()
    world.run(UNDER_WAY_SECONDS)
    faults.heal()
    world.points.clear()
    world.run(UNDER_WAY_SECONDS)  # what was under way may have cut links or stopped processes since
    faults.heal()
    settle(world, running, shape.clocks_lie)
    watch.finish()


def settle(world: World, workloads: Sequence[Workload], lied: bool = False) -> None:
    """All is well again: end every transaction, read everything, check the history. lied: clocks did. Raises Stuck or
    Anomaly."""
    for workload in workloads:
        workload.stop()
    for workload in workloads:
        until(world, partial(_idle, workload), f"{workload.name}: a transaction has no verdict")
    if lied:
        world.run(EXCUSED_AFTER_SECONDS)  # what was told too early is true by then
    for workload in workloads:
        workload.finish()
    for workload in workloads:
        until(world, partial(_idle, workload), f"{workload.name}: the last reads do not end")
    for workload in workloads:
        workload.check()


def _idle(workload: Workload) -> bool:
    return workload.idle


def until(world: World, done: Callable[[], bool], complaint: str, seconds: float = PEACE_SECONDS) -> None:
    """Go on until `done`. Raises Stuck after so many seconds."""
    end = world.now + seconds
    while not done():
        if world.now > end:
            raise Stuck(f"{complaint} within {seconds:.0f} s of peace")
        world.run(0.05)


def _described(shape: Shape, choices: Choices, workloads: Sequence[Workload]) -> str:
    parts = [
        f"workloads {' '.join(workload.name for workload in workloads)}",
        f"streams {shape.streams}",
        f"regions {choices.regions}",
        f"clock bound {shape.clock_bound_micros} us{', clocks lie' if shape.clocks_lie else ''}",
        f"messages {shape.delay_seconds[0] * 1e3:g} to {shape.delay_seconds[1] * 1e3:g} ms",
        "old versions and records go" if shape.trims else "nothing is trimmed",
        f"fault points: {', '.join(shape.points) or 'none'}",
    ]
    return "; ".join(parts)
