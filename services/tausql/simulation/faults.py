"""What goes wrong in a run, chosen by its seed.

One fault at a time or several at once, each over after a while: what the failure table of the protocol lists. A fleet
can stand any of them and this is no test of more than it promises: a majority of journal disks is never lost for good.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.simulation.world import Process, World


class Faults:
    """Injects faults into `world` until `stop`; `heal` ends all that still last. `voters` tells how many journal
    replicas may vote now: a disk is wiped only while all do."""

    def __init__(
        self, world: World, services: list[str], voters: Callable[[], int], journals: int, count: dict[str, int]
    ) -> None:
        self._world = world
        self._names = services
        self._voters = voters
        self._journals = journals
        self._running = False
        self.count = count
        self._kinds: list[tuple[str, Callable[[], bool]]] = [
            ("kill", self._kill),
            ("kill", self._kill),
            ("kill several", self._kill_several),
            ("kill all", self._kill_all),
            ("pause", self._pause),
            ("pause", self._pause),
            ("partition", self._partition),
            ("partition one way", self._partition_one_way),
            ("slow link", self._slow),
            ("loss", self._loss),
            ("wipe journal", self._wipe_journal),
            ("wipe storage", self._wipe_storage),
            ("fsync fails", self._fsync_fails),
            ("disk full", self._disk_full),
            ("clock drift", self._drift),
            ("clock lost", self._clock_lost),
        ]

    def start(self) -> None:
        self._running = True
        self._world.at(self._world.random.uniform(0.1, 1.0), None, self._next)

    def stop(self) -> None:
        self._running = False

    def heal(self) -> None:
        """Every link whole, every process up, every clock and disk well."""
        self._world.links.heal()
        self._world.links.loss = 0.0
        self._world.links.slow.clear()
        for process in self._world.processes.values():
            process.clock.lost = False
            process.disk.capacity = 1 << 30
            process.disk.sync_fails = False
            process.paused_until = 0.0
            process.start()

    def _next(self) -> None:
        if not self._running:
            return
        name, inject = self._world.random.choice(self._kinds)
        if inject():
            self.count[name] = self.count.get(name, 0) + 1
        self._world.at(self._world.random.expovariate(1 / 0.8), None, self._next)

    def _one(self, *prefixes: str) -> Process:
        names = [name for name in self._names if not prefixes or name.startswith(prefixes)]
        return self._world.processes[self._world.random.choice(names)]

    def _length(self) -> float:
        return self._world.random.choice((0.02, 0.2, 0.7, 1.5, 4.0)) * self._world.random.uniform(0.5, 1.5)

    def _kill(self) -> bool:
        process = self._one()
        process.kill()
        self._world.at(self._length(), None, process.start)
        return True

    def _kill_several(self) -> bool:
        for name in self._world.random.sample(self._names, min(4, len(self._names))):
            process = self._world.processes[name]
            process.kill()
            self._world.at(self._length(), None, process.start)
        return True

    def _kill_all(self) -> bool:
        if self._world.random.random() < 0.7:
            return False
        for name in self._names:
            process = self._world.processes[name]
            process.kill()
            self._world.at(self._length(), None, process.start)
        return True

    def _pause(self) -> bool:
        self._one().pause(self._length())
        return True

    def _partition(self) -> bool:
        zone = self._world.random.choice("abc")
        group = {process.name for process in self._world.processes.values() if process.zone == zone}
        if self._world.random.random() < 0.5:
            group = {self._one().name}
        self._world.links.sever(group)
        self._world.at(self._length(), None, self._world.links.heal)
        return True

    def _partition_one_way(self) -> bool:
        self._world.links.sever({self._one().name}, one_way=True)
        self._world.at(self._length(), None, self._world.links.heal)
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
        if self._voters() < self._journals:
            return False
        process = self._one("journal")
        process.kill()
        process.wipe()
        self._world.at(self._length(), None, process.start)
        return True

    def _wipe_storage(self) -> bool:
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
        process = self._one("journal")
        process.disk.capacity = sum(file.size for file in process.disk.files.values())

        def over() -> None:
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
