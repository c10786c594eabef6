"""The fleet as the simulation runs it: real services, one a process, in three zones."""

from __future__ import annotations

from typing import Any

from tausql.adjudicator.service import AdjudicatorService
from tausql.crossbar.service import CrossbarService
from tausql.journal.service import JournalService
from tausql.runtime.fleet import Fleet, Member
from tausql.simulation.shape import Shape
from tausql.simulation.world import Process, World
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.service import StorageService

ZONES = ("a", "b", "c")


def _members(service: str, zones: tuple[str, ...]) -> tuple[Member, ...]:
    return tuple(
        Member(f"{service}-{zone}", zone, f"{service}-{zone}:1", index=number) for number, zone in enumerate(zones)
    )


class SimulatedFleet:
    """Journals and storages in three zones, adjudicators and crossbars in two."""

    def __init__(self, world: World, shape: Shape, streams: int = 1) -> None:
        self.world = world
        self.shape = shape
        self.fleet = Fleet(
            streams=streams,
            journal=_members("journal", ZONES),
            adjudicator=_members("adjudicator", ZONES[:2]),
            crossbar=_members("crossbar", ZONES[:2]),
            storage=_members("storage", ZONES),
        )
        builders = {
            "journal": self._journal,
            "adjudicator": self._adjudicator,
            "crossbar": self._crossbar,
            "storage": self._storage,
        }
        for service, build in builders.items():
            for member in self.fleet.of(service):
                world.add(member.name, member.zone, build, member.address)

    @property
    def names(self) -> list[str]:
        services = ("journal", "adjudicator", "crossbar", "storage")
        return [member.name for service in services for member in self.fleet.of(service)]

    def start(self) -> None:
        for name in self.names:
            self.world.processes[name].start()

    def services(self, service: str) -> list[Any]:
        """The living ones."""
        found = (self.world.processes[member.name] for member in self.fleet.of(service))
        return [process.services for process in found if process.alive and process.services is not None]

    def processes(self, service: str) -> list[Process]:
        return [self.world.processes[member.name] for member in self.fleet.of(service)]

    def journals_whole(self) -> bool:
        """Every journal replica is up and may vote: one disk may be lost."""
        journals = self.services("journal")
        return len(journals) == len(self.fleet.journal) and all(journal.status()["voter"] for journal in journals)

    def storages_whole(self) -> bool:
        """Every storage replica is up and has all its rows: one disk may be lost."""
        storages = [one.status() for one in self.services("storage")]
        return len(storages) == len(self.fleet.storage) and all(
            one["watermark"] and not one["taking_checkpoint"] and not one["failed"] for one in storages
        )

    def holder(self, stream: int = 0) -> Process | None:
        """Who holds the stream, as far as it knows itself; the newest epoch if several think so."""
        best: tuple[tuple[int, int], Process] | None = None
        for process in self.processes("adjudicator"):
            tenure = process.services.tenures.get(stream) if process.services is not None else None
            if tenure is not None and (best is None or tenure.epoch > best[0]):
                best = (tenure.epoch, process)
        return best[1] if best is not None else None

    def _journal(self, process: Process) -> JournalService:
        service = JournalService(process, process.network, self.fleet, self.shape.journal, process.disk)
        service.start()
        return service

    def _adjudicator(self, process: Process) -> AdjudicatorService:
        service = AdjudicatorService(process, process.network, self.fleet, self.shape.adjudicator)
        service.start()
        return service

    def _crossbar(self, process: Process) -> CrossbarService:
        service = CrossbarService(process, process.network, self.fleet, self.shape.crossbar)
        service.start()
        return service

    def _storage(self, process: Process) -> StorageService:
        engine = process.stores.setdefault("engine", MemoryEngine())
        service = StorageService(process, process.network, self.fleet, self.shape.storage, engine)
        service.start()
        return service
