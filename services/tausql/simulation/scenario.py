"""One run: a fleet, clients, faults for a while, peace, and the verdict.

What must hold: no invariant breaks on the way (the services check their own, `watch` those between processes), every
unfinished transaction is settled once all is well again, and the history shows strong snapshot isolation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tausql.simulation.checker import check_history
from tausql.simulation.clients import Client, Ledger
from tausql.simulation.faults import Faults
from tausql.simulation.fleet import ZONES, SimulatedFleet
from tausql.simulation.watch import Watch
from tausql.simulation.world import Process, World

START_SECONDS = 6.0
PEACE_SECONDS = 60.0  # by then everything must be settled
CLIENTS, KEYS = 4, 6


class Stuck(Exception):
    """All is well again, and yet something does not go on."""


@dataclass(slots=True)
class Verdict:
    """What a run came to."""

    seed: int
    virtual_seconds: float = 0.0
    events: int = 0
    acknowledged: int = 0
    attempts: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    failure: str = ""
    timeline: list[tuple[float, str]] = field(default_factory=list)


def run_seed(seed: int, seconds: float = 20.0, streams: int = 2, faults: bool = True) -> Verdict:
    """Run one seed. Never raises for what the run itself shows: see `Verdict.failure`."""
    world = World(seed)
    verdict = Verdict(seed)
    ledger = Ledger()
    injector: Faults | None = None
    try:
        injector = _run(world, ledger, seconds, streams, faults)
    except (Exception, AssertionError) as failure:
        verdict.failure = f"{type(failure).__name__}: {failure}"
    except BaseException as failure:
        if type(failure).__name__ != "InvariantViolation":
            raise
        verdict.failure = f"{type(failure).__name__}: {failure}"
    verdict.virtual_seconds, verdict.events = world.now, world.steps
    verdict.acknowledged = sum(attempt.status == "ok" for attempt in ledger.attempts)
    verdict.attempts = len(ledger.attempts)
    verdict.faults = injector.count if injector is not None else {}
    verdict.marks, verdict.timeline = world.marks, world.timeline
    return verdict


def _run(world: World, ledger: Ledger, seconds: float, streams: int, with_faults: bool) -> Faults:
    fleet = SimulatedFleet(world, streams)
    watch = Watch(world, fleet)
    fleet.start()
    world.run(START_SECONDS)
    clients = _clients(world, fleet, ledger)
    faults = Faults(world, fleet.names, fleet.voters, len(ZONES))
    watch.start()
    for client in clients:
        client.begin()
    if with_faults:
        faults.start()
    world.run(seconds)
    faults.stop()
    world.run(5.0)  # what was under way may still cut links or start processes
    faults.heal()
    for client in clients:
        client.stop()
    _until(world, lambda: all(client.idle for client in clients), "a transaction has no verdict")
    final = clients[0].read_all()
    for _ in range(20):
        _until(world, lambda: final.attempt.completed > final.attempt.invoked, "the last read does not end")
        if final.attempt.status == "ok":
            break
        final = clients[0].read_all()
    if final.attempt.status != "ok":
        raise Stuck("all is well again, and reads still fail")
    check_history(ledger.attempts)
    return faults


def _clients(world: World, fleet: SimulatedFleet, ledger: Ledger) -> list[Client]:
    made: list[Client] = []

    def build(process: Process) -> Client:
        client = Client(process, fleet.fleet, ledger, KEYS)
        made.append(client)
        return client

    for number in range(CLIENTS):
        world.add(f"client-{number}", ZONES[number % len(ZONES)], build).start()
    world.run(1.0)
    return made


def _until(world: World, done: Callable[[], bool], complaint: str) -> None:
    end = world.now + PEACE_SECONDS
    while not done():
        if world.now > end:
            raise Stuck(f"{complaint} within {PEACE_SECONDS:.0f} s of peace")
        world.run(0.05)
