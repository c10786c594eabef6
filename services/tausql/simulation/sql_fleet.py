"""Processors and frontends of a simulated fleet: the session port, the relay and the moves of sessions as they are.

Clients come to a frontend, which relays their bytes to a processor over a byte connection (`pipes`). Processors are
killed, paused and cut off like everything else; besides they drain as at a rolling update, connections break, and
frontends die with the connections of their clients.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tausql.frontend.entrance import Entrance, House
from tausql.frontend.gate import Attempt, Gate, Guest
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.quotas import Quotas
from tausql.frontend.sessions import Sessions
from tausql.frontend.settings import FrontendSettings
from tausql.processor.service import ProcessorService
from tausql.processor.settings import ProcessorSettings
from tausql.protocol.adjudicator import Commit
from tausql.protocol.clusters import FIRST_CLUSTER, ClusterRecord
from tausql.protocol.fleet import Fleet, Member
from tausql.runtime.fleet import Directory
from tausql.runtime.tasks import spawn
from tausql.simulation.faults import Kind
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.loop import LoopedHost, LoopedNetwork, Loops
from tausql.simulation.pipes import Pipes
from tausql.simulation.world import Process, World

USER, DATABASE, PASSWORD = "admin", "postgres", "secret"
PROCESSORS, FRONTENDS = 3, 2
WATCH_SECONDS = 0.5
COMMITS_MAX = 30
SECOND_CLUSTER = 2  # some workloads are of this one, beside the others'
CLUSTERS = {
    number: ClusterRecord(letter * 26, number, "ACTIVE", "", (), connections_per_second=1e9, connections_burst=1 << 30)
    for letter, number in (("a", FIRST_CLUSTER), ("b", SECOND_CLUSTER))
}
_NAMED = {record.identifier: record for record in CLUSTERS.values()}


class _Everybody:
    """Lets everybody in: faults are what is tried here, and tokens are dated by a wall clock that nobody has."""

    def admit(self, attempt: Attempt) -> Guest:
        record = _NAMED[attempt.cluster] if attempt.cluster else CLUSTERS[FIRST_CLUSTER]
        return Guest(record, attempt.user, attempt.client)


class Frontend:
    """A frontend's process, without its listening socket and TLS."""

    def __init__(self, process: Process, fleet: SqlFleet) -> None:
        loop = fleet.loops.fresh(process)
        settings = fleet.frontend_settings
        self.metrics = FrontendMetrics()
        host, network = LoopedHost(process, loop), LoopedNetwork(process, loop)
        house = self.house = House(
            settings=settings,
            metrics=self.metrics,
            gate=Gate(_Everybody(), Quotas(host.monotonic, lambda: 1), self.metrics),
            sessions=Sessions(host, network, fleet.directory_of(process), settings, self.metrics, None, None),
            clients=set(),
            on_empty=_nothing,
        )

        def entrance() -> Entrance:
            return Entrance(house, "client", _nothing, encrypted=True, direct=False, first=b"")

        fleet.pipes.listen(process, process.address, loop, entrance)
        loop.within(house.sessions.start)


class SqlFleet:
    """The processors and frontends of a fleet. `of` makes them, once. `kinds`: faults of their own, as of `Faults`."""

    def __init__(self, world: World, fleet: SimulatedFleet, chance: random.Random) -> None:
        self.world = world
        self.fleet = fleet
        self._chance = chance
        self.pipes = Pipes(world, chance.choice((100, 4096, 1 << 20)), chance.choice((0.0, 0.0005, 0.005)))
        self.loops = Loops(self.pipes)
        self.processor_settings, self.frontend_settings = ProcessorSettings(), FrontendSettings()
        self._look_seconds = WATCH_SECONDS
        if getattr(fleet.shape, "pace", "fast") == "fast":
            self._hurry(chance)
        else:
            self._look_seconds *= 20
        self._members: list[Member] = []
        self._directories: dict[str, Directory] = {}
        self._marked = dict.fromkeys(("moved", "lost", "committed", "aborted", "unknown", "halved"), 0)
        zones = "".join(dict.fromkeys(fleet.layout.clients))
        shown = (zones * PROCESSORS)[:PROCESSORS]
        self.processors = fleet.add_service("processor", shown, self._processor)
        for number, process in enumerate(self.processors):
            region = fleet.layout.region_of(process.zone)
            session = f"{process.name}-session:1"
            self._members.append(Member(process.name, process.zone, process.address, session, number, region))
        self.frontends = fleet.add_service("frontend", (zones * FRONTENDS)[:FRONTENDS], self._frontend)
        for process in (*self.processors, *self.frontends):
            process.start()
        self._doom: Callable[[Process, int], None] | None = None  # of whoever sends the next commit
        self._patience = 0  # so many commits more are let pass, unless something is unread
        self._before = world.links.observers.get(Commit)
        world.links.observers[Commit] = self._sends
        self.kinds: list[Kind] = [
            ("processor drains", self._drain, 4),
            ("connection breaks", self._cut, 3),
            ("killed with a commit", self._kill_with_commit, 5),
            ("connections break with a commit", self._break_with_commit, 3),
        ]
        world.at(self._look_seconds, None, self._look)

    def _hurry(self, chance: random.Random) -> None:
        """Patience that ends within a run."""
        patience = chance.choice((1.0, 2.0, 5.0))
        self.processor_settings = ProcessorSettings(
            hedge_seconds=chance.choice((0.005, 0.05)),
            read_seconds=2 * patience,
            commit_seconds=patience,
            holder_seconds=patience,
            outcome_seconds=10.0,
            session_seconds_max=chance.choice((3.0, 3600.0, 3600.0)),
            drain_seconds=chance.choice((0.2, 2.0)),
        )
        self.frontend_settings = FrontendSettings(
            processor_connect_seconds=chance.choice((0.3, 1.0)),
            move_seconds=chance.choice((2.0, 10.0)),
            moves_max=chance.choice((1, 64)),
            outcome_seconds=20.0,
        )

    @staticmethod
    def of(world: World, fleet: SimulatedFleet, chance: random.Random) -> SqlFleet:
        """The fleet's; made now if nobody has asked for it before."""
        if fleet.sql is None:
            fleet.sql = SqlFleet(world, fleet, chance)
        made: SqlFleet = fleet.sql
        return made

    def addresses(self) -> list[str]:
        """Of the frontends."""
        return [process.address for process in self.frontends]

    def directory_of(self, process: Process) -> Directory:
        """What a frontend knows of the fleet: its processors."""
        region = self.fleet.layout.region_of(process.zone)
        made = self._directories[process.name] = Directory(Fleet(region=region, processor=tuple(self._members)))
        return made

    # --- what happens to them, besides what happens to everybody ---------------------------------------------------

    def _drain(self) -> bool:
        """As at a rolling update: one drains, stops, and is there again a little later."""
        process = self._chance.choice(self.processors)
        service: ProcessorService | None = process.services
        if service is None or not process.alive or sum(one.alive for one in self.processors) < 2:
            return False
        self.world.note(f"{process.name} drains")
        generation = process.generation

        async def leave() -> None:
            await service.drain()
            service.stop()
            process.later(0.01, gone)

        def gone() -> None:
            if process.generation == generation:
                process.kill("leaves")
                self.world.at(self._chance.uniform(0.05, 1.0), None, process.start)

        loop: Any = service._host.loop  # type: ignore[attr-defined]
        self.world.within(process, loop.within, spawn, "drain", leave())
        return True

    def _cut(self) -> bool:
        """A connection breaks under its two ends."""
        process = self._chance.choice((*self.processors, *self.frontends))
        pipes = self.pipes.of(process)
        if not pipes:
            return False
        pipe = self._chance.choice(pipes)
        self.world.note(f"a connection of {process.name} and {pipe.peer.process.name} breaks")
        pipe.break_off()
        return True

    def _kill_with_commit(self) -> bool:
        """The next processor that sends a commit dies at that moment, or a moment later: nobody knows what became of
        it, and what was to tell of it is still on its way. Or the next that does so with a request unread, so that its
        connection is reset."""
        self._doom = self._dies
        self._patience = self._chance.choice((0, COMMITS_MAX, COMMITS_MAX))
        return True

    def _break_with_commit(self) -> bool:
        """The next processor that sends a commit lives on, and its connections to frontends break."""
        self._doom, self._patience = self._breaks, 0
        return True

    def _sends(self, speaker: str, commit: Commit) -> None:
        if self._before is not None:
            self._before(speaker, commit)
        process = self.world.processes[speaker]
        doom = self._doom
        if doom is None or process not in self.processors:
            return
        if self._patience and any(pipe.unread for pipe in self.pipes.of(process)):
            self._doom = None
            self.world.at(0.0, None, doom, process, process.generation)
        elif self._patience:
            self._patience -= 1
        else:
            self._doom = None
            self.world.at(self._chance.choice((0.0, 0.0, 0.0003, 0.001, 0.01)), None, doom, process, process.generation)

    def _dies(self, process: Process, generation: int) -> None:
        if process.generation == generation:
            process.kill("killed with a commit under way")
            self.world.at(self._chance.choice((0.01, 0.3, 1.5)), None, process.start)

    def _breaks(self, process: Process, generation: int) -> None:
        if process.generation == generation:
            self.world.note(f"the connections of {process.name} break with a commit under way")
            for pipe in self.pipes.of(process):
                pipe.break_off()

    # --- what was reached -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take what services count as marks; they start from nothing when they are killed."""
        sums = dict.fromkeys(self._marked, 0)
        for process in self.frontends:
            if process.services is not None:
                metrics = process.services.metrics
                sums["moved"] += metrics.moves["drained"]
                sums["lost"] += metrics.moves["lost"]
                for outcome, count in metrics.outcomes.items():
                    sums[outcome] += count
        for process in self.processors:
            if process.services is not None:
                sums["halved"] += process.services.metrics.job_conflicts
        names = {
            "moved": "a session moved",
            "lost": "a session went on elsewhere",
            "halved": "a job met a conflict and halved its batch",
        }
        for what, count in sums.items():
            if count > self._marked[what]:
                self.world.mark(names.get(what, f"a witnessed commit: {what}"))
            self._marked[what] = count
        self.world.at(self._look_seconds, None, self._look)

    # --- processes --------------------------------------------------------------------------------------------------

    def _processor(self, process: Process) -> ProcessorService:
        (member,) = [one for one in self._members if one.name == process.name]
        loop = self.loops.fresh(process)
        service = ProcessorService(
            LoopedHost(process, loop),
            LoopedNetwork(process, loop),
            self.fleet.directory(process),
            self.processor_settings,
            index=member.index,
            session_address=member.session,
        )
        loop.call_soon(lambda: spawn("start", service.start()))
        return service

    def _frontend(self, process: Process) -> Frontend:
        return Frontend(process, self)


def _nothing() -> None:
    """Nobody waits for it."""
