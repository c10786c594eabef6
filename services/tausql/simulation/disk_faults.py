"""What goes wrong with disks: lost, damaged, full, or unable to say whether they have kept anything.

An operator stands by: a process whose disk is damaged leaves as soon as it notices, and gets a new one.
"""

from __future__ import annotations

from tausql.runtime.check import I2, check
from tausql.simulation.disk import NO_LIMIT
from tausql.simulation.faults import Kind, length
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process, World


class DiskFaults:
    """`kinds`: as of `Faults`."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self.kinds: list[Kind] = [
            ("wipe journal", self._wipe_journal, 1),
            ("wipe storage", self._wipe_storage, 2),
            ("journal's fsync fails", self._fsync_fails, 1),
            ("storage's fsync fails", self._flush_fails, 1),
            ("journal's disk full", self._disk_full, 1),
            ("storage's disk full", self._store_full, 1),
            ("journal's bit flips", self._flip_journal, 2),
            ("storage's bit flips", self._flip_storage, 2),
        ]

    def heal(self) -> None:
        """Room on every disk, new ones for those that are damaged."""
        for process in self._world.processes.values():
            process.disk.capacity = NO_LIMIT
            process.disk.sync_fails = False
            if process.disk.damaged:
                self._notice_journal(process)
            engine = process.stores.get("engine")
            if engine is not None:
                engine.room()
                engine.flush_fails = False
                if engine.damaged:
                    self._replace(process)

    def _choose(self, service: str) -> Process:
        return self._world.random.choice(self._fleet.processes(service))

    def _length(self) -> float:
        return length(self._world, self._fleet)

    def _wipe_journal(self) -> bool:
        if not self._fleet.journals_whole():
            return False
        process = self._choose("journal")
        process.kill()
        process.wipe()
        self._world.at(self._length(), None, process.start)
        return True

    def _wipe_storage(self) -> bool:
        if not self._fleet.storages_whole():
            return False
        process = self._choose("storage")
        process.kill()
        process.wipe()
        self._world.at(self._length(), None, process.start)
        return True

    def _fsync_fails(self) -> bool:
        process = self._choose("journal")
        process.disk.sync_fails = True
        generation = process.generation

        def over() -> None:
            if process.generation != generation and not process.alive:
                self._world.mark("fsync failure")
            process.start()

        self._world.at(self._length() + 0.5, None, over)
        return True

    def _flush_fails(self) -> bool:
        process = self._choose("storage")
        engine = process.stores.get("engine")
        if engine is None or not process.alive:
            return False
        engine.flush_fails = True
        self._world.at(self._length() + 0.5, None, process.start)
        return True

    def _disk_full(self) -> bool:
        """One journal's disk has no room, or a majority's. What was full before has no less room than it had."""
        journals = self._fleet.processes("journal")
        full = self._world.random.sample(journals, self._world.random.choice((1, len(journals) // 2 + 1)))
        if any(process.disk.capacity < NO_LIMIT for process in full):
            return False
        for process in full:
            process.disk.capacity = process.disk.used + self._reserve_missing(process)
            process.died_of = ""
            self._world.note(f"{process.name} has no room on its disk")

        def over() -> None:
            for process in full:
                process.disk.capacity = NO_LIMIT
                kept = "no room" not in process.died_of
                check(I2, kept, "no room was kept for promises", replica=process.name, why=process.died_of)

        self._world.at(self._length(), None, over)
        return True

    def _reserve_missing(self, process: Process) -> int:
        """What a replica that has just been out of room has not yet had the time to lay by again."""
        reserve = process.disk.files.get("reserve")
        return max(0, self._fleet.shape.journal.reserve_bytes - (reserve.size if reserve is not None else 0))

    def _store_full(self) -> bool:
        """It serves what it has, for a while; a real one then leaves and comes back to look."""
        process = self._choose("storage")
        engine = process.stores.get("engine")
        if engine is None:
            return False
        engine.fill()
        self._world.note(f"{process.name} has no room on its disk")

        def over() -> None:
            engine.room()
            if process.alive and process.services is not None and process.services.status()["failed"]:
                self._world.mark("a full store met")
                process.kill("leaves with a full disk")
            process.start()

        self._world.at(self._length(), None, over)
        return True

    def _flip_journal(self) -> bool:
        """A bit of what was synced changes. Noticed when it is read: at a restart at the latest."""
        if not self._fleet.journals_whole():
            return False
        process = self._choose("journal")
        if not process.disk.flip():
            return False
        self._world.note(f"a bit flips in {process.disk.damaged} of {process.name}")
        self._world.at(self._length(), None, self._notice_journal, process)
        return True

    def _notice_journal(self, process: Process) -> None:
        disk = process.disk
        if not disk.damaged or process.retired:
            return
        process.kill("bounced, its disk is damaged")
        process.start()
        if disk.damaged in disk.files:  # else trimmed
            check(I2, not process.alive, "a damaged log went unnoticed", replica=process.name, file=disk.damaged)
            self._world.mark("a bit flip noticed by a journal")
        process.kill()
        process.wipe()
        process.start()

    def _flip_storage(self) -> bool:
        if not self._fleet.storages_whole():
            return False
        process = self._choose("storage")
        if not process.stores["engine"].damage(self._world.random):
            return False
        self._world.note(f"a bit flips in the store of {process.name}")
        self._world.at(self._length(), None, self._replace, process)
        return True

    def _replace(self, process: Process) -> None:
        """A store that is damaged is made anew: noticed by its own process, or by whoever looks after disks."""
        engine = process.stores.get("engine")
        if engine is None or not engine.damaged or process.retired:
            return
        if not process.alive:
            self._world.mark("a bit flip noticed by storage")
        process.kill("has a damaged store")
        process.wipe()
        process.start()
