"""One run: a fleet, clients, faults for a while, peace, and the verdict.

What must hold: no invariant breaks on the way (the services check their own, `watch` those between processes), every
unfinished transaction is settled once all is well again, and the history shows strong snapshot isolation.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec

from tausql.runtime.check import InvariantViolation
from tausql.simulation.breaking import without
from tausql.simulation.changes import Changes
from tausql.simulation.checker import Anomaly, check_history
from tausql.simulation.clients import Client, Ledger
from tausql.simulation.faults import Faults
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.history import Attempt
from tausql.simulation.layout import ONE_REGION, TWO_REGIONS, Layout, distances
from tausql.simulation.regions import RegionFaults
from tausql.simulation.shape import shape_of, small_parts
from tausql.simulation.watch import Watch
from tausql.simulation.world import Process, World

START_SECONDS = 3.0
PEACE_SECONDS = 60.0  # by then everything must be settled
KEYS = 6
LAYOUTS = {"one": ONE_REGION, "two": TWO_REGIONS}


class Stuck(Exception):
    """All is well again, and yet something does not go on."""


@dataclass(slots=True)
class Verdict:
    """What a run came to."""

    seed: int
    regions: str = "one"
    virtual_seconds: float = 0.0
    events: int = 0
    acknowledged: int = 0
    attempts: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    failure: str = ""
    timeline: list[tuple[float, str]] = field(default_factory=list)
    history: str = ""  # digest of everything that clients did and were told


def run_seed(seed: int, seconds: float = 20.0, streams: int = 2, faults: bool = True, regions: str = "one") -> Verdict:
    """Run one seed. Never raises for what the run itself shows: see `Verdict.failure`.

    regions: "one" of three zones, "two" and a witness, or "mixed": two for every fourth seed."""
    world = World(seed)
    if regions == "mixed":
        regions = "one" if seed % 4 else "two"
    verdict = Verdict(seed, regions)
    ledger = Ledger(KEYS)
    faults_seen: dict[str, int] = {}
    try:
        with small_parts(world.random):
            _run(world, ledger, seconds, streams, faults, faults_seen, LAYOUTS[regions])
    except (InvariantViolation, Anomaly, Stuck) as failure:
        verdict.failure = f"{type(failure).__name__}: {failure}"
    except Exception as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        verdict.failure = f"{type(failure).__name__}: {failure} (in {where.name}, {Path(where.filename).name})"
    verdict.virtual_seconds, verdict.events = world.now, world.steps
    verdict.acknowledged = sum(attempt.status == "ok" for attempt in ledger.attempts)
    verdict.attempts = len(ledger.attempts)
    verdict.faults = faults_seen
    verdict.marks, verdict.timeline = world.marks, world.timeline
    verdict.history = sha256(msgspec.msgpack.encode(ledger.attempts)).hexdigest()
    return verdict


def run_one(seed: int, seconds: float, streams: int, broken: str, regions: str) -> Verdict:
    """`run_seed` without a guard and without logs: thousands of deaths a minute are no news here."""
    logging.disable(logging.CRITICAL)
    with without(broken):
        return run_seed(seed, seconds, streams, regions=regions)


def _run(
    world: World,
    ledger: Ledger,
    seconds: float,
    streams: int,
    with_faults: bool,
    seen: dict[str, int],
    layout: Layout,
) -> None:
    shape = shape_of(world.random)
    world.clock_bound_micros = shape.clock_bound_micros
    world.links.delay = shape.delay_seconds
    fleet = SimulatedFleet(world, shape, streams, layout)
    changes = Changes(world, fleet)
    more = list(changes.kinds)
    if layout is not ONE_REGION:
        world.links.far.update(distances(layout, world.random))
        more += RegionFaults(world, fleet).kinds
    watch = Watch(world, fleet)
    fleet.start()
    world.run(START_SECONDS)
    clients = start_clients(world, fleet, ledger)
    faults = Faults(world, fleet, seen, more)
    watch.start()
    for client in clients:
        client.begin()
    if with_faults:
        faults.start()
    world.run(seconds)
    faults.stop()
    world.run(5.0)  # what was under way may still cut links or start processes
    faults.heal()
    settle(world, clients, ledger)


def settle(world: World, clients: list[Client], ledger: Ledger) -> None:
    """All is well again: end every transaction, read everything, check the history. Raises Stuck or Anomaly."""
    for client in clients:
        client.stop()
    _until(world, lambda: all(client.idle for client in clients), "a transaction has no verdict")
    _read_all(world, clients[0])
    check_history(ledger.attempts)


def _read_all(world: World, client: Client) -> None:
    """The run's last word: a transaction that reads every list."""
    for _ in range(20):
        attempt = client.read_all().attempt
        _until(world, partial(_ended, attempt), "the last read does not end")
        if attempt.status == "ok":
            return
    raise Stuck("all is well again, and reads still fail")


def _ended(attempt: Attempt) -> bool:
    return attempt.completed > attempt.invoked


def start_clients(world: World, fleet: SimulatedFleet, ledger: Ledger) -> list[Client]:
    """Clients in the zones of the layout, ready to begin."""
    made: list[Client] = []

    def build(process: Process) -> Client:
        client = Client(process, fleet.directory(process), ledger)
        made.append(client)
        return client

    for number, zone in enumerate(fleet.layout.clients):
        world.add(f"client-{number}", zone, build).start()
    world.run(1.0)
    return made


def _until(world: World, done: Callable[[], bool], complaint: str) -> None:
    end = world.now + PEACE_SECONDS
    while not done():
        if world.now > end:
            raise Stuck(f"{complaint} within {PEACE_SECONDS:.0f} s of peace")
        world.run(0.05)
