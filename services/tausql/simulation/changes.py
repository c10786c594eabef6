"""Processes that join and leave for good while everything runs, as pods do: more of them, fewer, others.

The map tells of it late, to each process at another moment; some leave the map before they are gone, some after. The
journal is not among them: who its replicas are is fixed at genesis.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.simulation.faults import Kind
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.plans import Plans
from tausql.simulation.world import Process, World

MORE_MAX = 2  # members of a service above those of the layout
LOOK_SECONDS = 0.2
LOOKS_MAX = 100


class Changes:
    """`kinds`: as of `Faults`."""

    def __init__(self, world: World, fleet: SimulatedFleet, plans: Plans) -> None:
        self._world = world
        self._fleet = fleet
        self._plans = plans
        self._running = True
        self.kinds: list[Kind] = [
            ("adjudicator joins", self._joins("adjudicator"), 1),
            ("adjudicator leaves", self._leaves("adjudicator"), 1),
            ("crossbar joins", self._joins("crossbar"), 1),
            ("crossbar leaves", self._leaves("crossbar"), 1),
            ("storage joins", self._joins("storage"), 1),
            ("storage leaves", self._leaves("storage"), 1),
        ]

    def _joins(self, service: str) -> Callable[[], bool]:
        def join() -> bool:
            planned: str = getattr(self._fleet.layout, service)
            if len(self._fleet.members[service]) >= len(planned) + MORE_MAX:
                return False
            process = self._fleet.join(service, self._world.random.choice(planned))
            if service == "storage":
                self._await_rows(process, LOOKS_MAX)
            return True

        return join

    def _leaves(self, service: str) -> Callable[[], bool]:
        def leave() -> bool:
            members = self._fleet.members[service]
            if len(members) <= 2 or (service == "storage" and not self._may_go()):
                return False
            process = self._world.processes[self._world.random.choice(members).name]
            if service == "storage":
                self._plans.forget(process.name)
                self._world.at(LOOK_SECONDS, None, self._when_others_serve, process, LOOKS_MAX)
            else:
                self._leave(process)
            return True

        return leave

    def _when_others_serve(self, process: Process, looks: int) -> None:
        """Rows that the log no longer has must stay on two replicas at least."""
        if self._may_go() and self._fleet.shards_served(without=process.name):
            self._leave(process)
        elif looks > 0 and self._running:
            self._world.at(LOOK_SECONDS, None, self._when_others_serve, process, looks - 1)

    def _leave(self, process: Process) -> None:
        name = process.name
        process.retired = True  # a process waits for a map that lists it: should this one die first, it stays away
        if self._world.random.random() < 0.5:  # it is out of the map before it knows
            self._world.note(f"{name} is out of the map")
            self._fleet.leave(name)
            self._world.at(self._world.random.uniform(0.0, 2.0), None, self._retire, process)
        else:
            self._retire(process)
            self._world.at(self._world.random.uniform(0.0, 2.0), None, self._fleet.leave, name)

    def stop(self) -> None:
        """Nobody leaves any more."""
        self._running = False

    def _may_go(self) -> bool:
        return self._fleet.storages_whole() and len(self._fleet.members["storage"]) > 3

    def _retire(self, process: Process) -> None:
        if process.alive and process.services is not None:
            leaving = getattr(process.services, "hand_over", None)
            if leaving is not None:
                self._world.within(process, leaving)
            generation = process.generation

            def gone() -> None:
                if process.generation == generation:
                    process.kill("is gone for good")

            self._world.at(self._world.random.choice((0.0, 0.05, 0.5)), None, gone)

    def _await_rows(self, process: Process, looks: int) -> None:
        service = process.services
        if service is not None and service.status()["watermark"] and not service.status()["taking_checkpoint"]:
            self._world.mark("a new storage replica has its rows")
        elif looks > 0 and not process.retired:
            self._world.at(LOOK_SECONDS, None, self._await_rows, process, looks - 1)
