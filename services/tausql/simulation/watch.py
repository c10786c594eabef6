"""Looks at all processes from outside, now and then: what no single process can check of itself."""

from __future__ import annotations

from tausql.runtime.check import I11, I12, check
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import World

EVERY_SECONDS = 0.01


class Watch:
    """I11: storage replicas of one range at one watermark have the same state. I12: within a process's life its
    watermark never falls."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world, self._fleet = world, fleet
        self._hashes: dict[int, int] = {}
        self._watermarks: dict[tuple[str, int], int] = {}
        self.compared = 0

    def start(self) -> None:
        self._look()

    def _look(self) -> None:
        for member in self._fleet.fleet.storage:
            process = self._world.processes[member.name]
            if not process.alive or process.services is None:
                continue
            kept = process.services.applier.state
            watermark, state = kept.watermark, kept.state_hash
            life = (member.name, process.generation)
            check(I12, watermark >= self._watermarks.get(life, 0), "a watermark fell", replica=member.name)
            self._watermarks[life] = watermark
            self.compared += watermark in self._hashes
            known = self._hashes.setdefault(watermark, state)
            check(I11, known == state, "replicas differ", replica=member.name, watermark=watermark)
        if len(self._hashes) > 10_000:
            self._hashes.clear()
        self._world.at(EVERY_SECONDS, None, self._look)
