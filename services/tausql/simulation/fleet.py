"""The fleet as the simulation runs it: real services, one a process, in three zones."""

from __future__ import annotations

from typing import Any

from tausql.adjudicator.service import AdjudicatorService
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.crossbar.service import CrossbarService
from tausql.crossbar.settings import CrossbarSettings
from tausql.journal.service import JournalService
from tausql.journal.settings import JournalSettings
from tausql.runtime.fleet import Fleet, Member
from tausql.simulation.world import Process, World
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.service import StorageService
from tausql.storage.settings import StorageSettings

ZONES = ("a", "b", "c")


def _members(service: str, zones: tuple[str, ...]) -> tuple[Member, ...]:
    return tuple(
        Member(f"{service}-{zone}", zone, f"{service}-{zone}:1", index=number) for number, zone in enumerate(zones)
    )


class SimulatedFleet:
    """Journals and storages in three zones, adjudicators and crossbars in two."""

    def __init__(self, world: World, streams: int = 1) -> None:
        self.world = world
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
        return [member.name for service in ("journal", "adjudicator", "crossbar", "storage")
                for member in self.fleet.of(service)]

    def start(self) -> None:
        for name in self.names:
            self.world.processes[name].start()

    def services(self, service: str) -> list[Any]:
        """The living ones."""
        found = (self.world.processes[member.name] for member in self.fleet.of(service))
        return [process.services for process in found if process.alive and process.services is not None]

    def voters(self) -> int:
        """Journal replicas that may vote now."""
        return sum(bool(journal.status().get("voter")) for journal in self.services("journal"))

    def _journal(self, process: Process) -> JournalService:
        service = JournalService(process, process.network, self.fleet, JournalSettings(), process.disk)
        service.start()
        return service

    def _adjudicator(self, process: Process) -> AdjudicatorService:
        service = AdjudicatorService(process, process.network, self.fleet, AdjudicatorSettings())
        service.start()
        return service

    def _crossbar(self, process: Process) -> CrossbarService:
        service = CrossbarService(process, process.network, self.fleet, CrossbarSettings())
        service.start()
        return service

    def _storage(self, process: Process) -> StorageService:
        engine = process.stores.setdefault("engine", MemoryEngine())
        service = StorageService(process, process.network, self.fleet, StorageSettings(), engine)
        service.start()
        return service
