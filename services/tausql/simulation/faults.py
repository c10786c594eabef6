"""What goes wrong in a run, chosen by its seed.

One fault at a time or several at once, each over after a while: what the failure table of the protocol lists. A fleet
can stand any of them and this is no test of more than it promises: a majority of journal disks is never lost for good,
and rows that the log no longer has are never lost by two replicas at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.simulation.ambushes import Ambushes
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process, World

Kind = tuple[str, Callable[[], bool], int]  # name, what does it (False: not now), how often it is chosen

WANDER_SECONDS = 0.15  # between two processes whose clocks wander


class Faults:
    """Injects faults into `world` until `stop`; `heal` ends all that still last. `count` is of each kind."""

    def __init__(
        self, world: World, fleet: SimulatedFleet, count: dict[str, int], more: Sequence[Kind] = ()
    ) -> None:
        self._world = world
        self._fleet = fleet
        self._running = False
        self.count = count
        ambushes = Ambushes(world, fleet)
        self._kinds: list[Kind] = [
            ("kill", self._kill, 3),
            ("kill several", self._kill_several, 1),
            ("kill all", self._kill_all, 1),
            ("pause", self._pause, 2),
            ("partition", self._partition, 1),
            ("partition one way", self._partition_one_way, 1),
            ("slow link", self._slow, 1),
            ("loss", self._loss, 1),
            ("wipe journal", self._wipe_journal, 1),
            ("wipe storage", self._wipe_storage, 2),
            ("fsync fails", self._fsync_fails, 1),
            ("disk full", self._disk_full, 1),
            ("clock drift", self._drift, 1),
            ("clock lost", self._clock_lost, 1),
            ("handover", self._hand_over, 1),
            *ambushes.kinds,
            *more,
        ]
        self._weights = [weight for _, _, weight in self._kinds]
        self._pause_seconds = world.random.choice((0.3, 0.8, 1.5))  # between faults, on average

    def start(self) -> None:
        self._running = True
        self._world.at(self._world.random.uniform(0.1, 1.0), None, self._next)
        self._world.at(0.0, None, self._wander)

    def stop(self) -> None:
        self._running = False

    def heal(self) -> None:
        """Every link whole, every process up, every clock and disk well."""
        self._world.links.heal()
        self._world.links.loss = 0.0
        self._world.links.slow.clear()
        self._world.links.late.clear()
        for process in self._world.processes.values():
            process.clock.lost = False
            process.disk.capacity = 1 << 30
            process.disk.sync_fails = False
            process.paused_until = 0.0
            process.start()

    def _next(self) -> None:
        if not self._running:
            return
        ((name, inject, _),) = self._world.random.choices(self._kinds, self._weights)
        if inject():
            self.count[name] = self.count.get(name, 0) + 1
        self._world.at(self._world.random.expovariate(1 / self._pause_seconds), None, self._next)

    def _wander(self) -> None:
        """Clocks are never still: now and then one finds itself at another end of its bound."""
        if not self._running:
            return
        processes = list(self._world.processes.values())
        self._world.random.choice(processes).clock.drift()
        self._world.at(self._world.random.expovariate(1 / WANDER_SECONDS), None, self._wander)

    def _one(self, *prefixes: str) -> Process:
        names = [name for name in self._fleet.names if not prefixes or name.startswith(prefixes)]
        return self._world.processes[self._world.random.choice(names)]

    def _length(self) -> float:
        return self._world.random.choice((0.02, 0.2, 0.7, 1.5, 4.0)) * self._world.random.uniform(0.5, 1.5)

    def _kill(self) -> bool:
        process = self._one()
        process.kill()
        self._world.at(self._length(), None, process.start)
        return True

    def _kill_several(self) -> bool:
        names = self._fleet.names
        for name in self._world.random.sample(names, min(4, len(names))):
            process = self._world.processes[name]
            process.kill()
            self._world.at(self._length(), None, process.start)
        return True

    def _kill_all(self) -> bool:
        if self._world.random.random() < 0.5:
            return False
        for name in self._fleet.names:
            process = self._world.processes[name]
            process.kill()
            self._world.at(self._length(), None, process.start)
        return True

    def _pause(self) -> bool:
        self._one().pause(self._length())
        return True

    def _partition(self) -> bool:
        zone = self._world.random.choice(self._fleet.layout.zones)
        group = {process.name for process in self._world.processes.values() if process.zone == zone}
        if self._world.random.random() < 0.5:
            group = {self._one().name}
        self._world.at(self._length(), None, self._world.links.sever(group))
        return True

    def _partition_one_way(self) -> bool:
        mend = self._world.links.sever({self._one().name}, one_way=True)
        self._world.at(self._length(), None, mend)
        return True

    def _slow(self) -> bool:
        name = self._one().name
        self._world.links.slow[name] = self._world.random.choice((0.002, 0.02, 0.2))

        def over() -> None:
            self._world.links.slow.pop(name, None)

        self._world.at(self._length(), None, over)
        return True

    def _loss(self) -> bool:
        self._world.links.loss = self._world.random.choice((0.01, 0.1, 0.4))

        def over() -> None:
            self._world.links.loss = 0.0

        self._world.at(self._length(), None, over)
        return True

    def _wipe_journal(self) -> bool:
        if not self._fleet.journals_whole():
            return False
        process = self._one("journal")
        process.kill()
        process.wipe()
        self._world.at(self._length(), None, process.start)
        return True

    def _wipe_storage(self) -> bool:
        if not self._fleet.storages_whole():
            return False
        process = self._one("storage")
        process.kill()
        process.wipe()
        self._world.at(self._length(), None, process.start)
        return True

    def _fsync_fails(self) -> bool:
        process = self._one("journal")
        process.disk.sync_fails = True
        self._world.at(self._length() + 0.5, None, process.start)
        return True

    def _disk_full(self) -> bool:
        """One journal's disk has no room, or a majority's."""
        journals = self._fleet.processes("journal")
        full = self._world.random.sample(journals, self._world.random.choice((1, 1, len(journals) // 2 + 1)))
        for process in full:
            process.disk.capacity = process.disk.used

        def over() -> None:
            for process in full:
                process.disk.capacity = 1 << 30

        self._world.at(self._length(), None, over)
        return True

    def _drift(self) -> bool:
        for process in self._world.processes.values():
            process.clock.drift()
        return True

    def _clock_lost(self) -> bool:
        process = self._one()
        process.clock.lost = True

        def over() -> None:
            process.clock.lost = False

        self._world.at(self._length(), None, over)
        return True

    def _hand_over(self) -> bool:
        """A planned departure: streams are handed over, then the process leaves and another takes its place."""
        holder = self._fleet.holder()
        if holder is None:
            return False
        self._world.note(f"{holder.name} hands over")
        self._world.within(holder, holder.services.hand_over)
        generation = holder.generation

        def leave() -> None:
            if holder.generation == generation:
                holder.kill("leaves")

        leaves = self._world.random.choice((0.01, 0.1, 1.0))
        self._world.at(leaves, None, leave)
        self._world.at(leaves + self._length(), None, holder.start)
        return True
