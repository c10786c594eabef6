"""The fleet as the simulation runs it: real services, one a process, which join and leave as pods do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.adjudicator.service import AdjudicatorService
from tausql.crossbar.service import CrossbarService
from tausql.journal.service import JournalService
from tausql.protocol.fleet import Fleet, Member
from tausql.runtime.fleet import Directory
from tausql.simulation.layout import ONE_REGION, SHARED, Layout, map_of
from tausql.simulation.shape import Shape
from tausql.simulation.world import Process, World
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.service import StorageService

HEARD_SECONDS_MAX = 0.6  # until a process hears of a change of the map


class SimulatedFleet:
    """What runs in `world`, by `layout`. Every process has a map of its own, which is not everybody's at any moment."""

    def __init__(self, world: World, shape: Shape, streams: int = 1, layout: Layout = ONE_REGION) -> None:
        self.world = world
        self.shape = shape
        self.layout = layout
        self.streams = streams
        self.members: dict[str, list[Member]] = {service: layout.members(service) for service in SHARED}
        self._maps: dict[str, Fleet] = {}  # by region, until something changes
        self._directories: dict[str, Directory] = {}  # of every process that runs
        self._named = 0  # processes that joined later
        self._builders: dict[str, Callable[[Process], Any]] = {
            "journal": self._journal,
            "adjudicator": self._adjudicator,
            "crossbar": self._crossbar,
            "storage": self._storage,
        }
        for service in SHARED:
            for member in self.members[service]:
                world.add(member.name, member.zone, self._builders[service], member.address)

    @property
    def fleet(self) -> Fleet:
        """The map, as it is in the first region."""
        return self._map(next(iter(self.layout.regions)))

    @property
    def names(self) -> list[str]:
        return [member.name for service in SHARED for member in self.members[service]]

    def start(self) -> None:
        for name in self.names:
            self.world.processes[name].start()

    def services(self, service: str) -> list[Any]:
        """The living ones."""
        found = (self.world.processes[member.name] for member in self.members[service])
        return [process.services for process in found if process.alive and process.services is not None]

    def processes(self, service: str) -> list[Process]:
        return [self.world.processes[member.name] for member in self.members[service]]

    def journals_whole(self) -> bool:
        """Every journal replica is up and may vote: one disk may be lost."""
        journals = self.services("journal")
        return len(journals) == len(self.members["journal"]) and all(journal.status()["voter"] for journal in journals)

    def storages_whole(self) -> bool:
        """Every storage replica is up and has all its rows: one disk may be lost."""
        storages = [one.status() for one in self.services("storage")]
        return len(storages) == len(self.members["storage"]) and all(
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

    # the map

    def directory(self, process: Process) -> Directory:
        """The map of a process that starts now; kept up to date while it runs."""
        made = self._directories[process.name] = Directory(self._map(self.layout.region_of(process.zone)))
        return made

    def join(self, service: str, zone: str) -> Process:
        """A new process. Others hear of it by and by, before or after it is ready."""
        self._named += 1
        member = self.layout.member(service, zone, f"{service}-{zone}-{self._named}", 100 + self._named)
        process = self.world.add(member.name, member.zone, self._builders[service], member.address)
        self.members[service].append(member)
        self._changed()
        process.start()
        return process

    def leave(self, name: str) -> None:
        """A process that is gone leaves the map for good; one that still runs is no more in it."""
        for listed in self.members.values():
            listed[:] = [member for member in listed if member.name != name]
        self._directories.pop(name, None)
        self._changed()

    def _map(self, region: str) -> Fleet:
        known = self._maps.get(region)
        if known is None:
            known = self._maps[region] = map_of(self.layout, region, self.members, self.streams)
        return known

    def _changed(self) -> None:
        self._maps.clear()
        for name in sorted(self._directories):
            process = self.world.processes[name]
            self.world.at(self.world.random.uniform(0.0, HEARD_SECONDS_MAX), process, self._heard, process)

    def _heard(self, process: Process) -> None:
        directory = self._directories.get(process.name)
        if directory is not None:
            directory.replace(self._map(self.layout.region_of(process.zone)))

    # the services

    def _journal(self, process: Process) -> JournalService:
        directory = self.directory(process)
        service = JournalService(process, process.network, directory, self.shape.journal, process.disk)
        service.start()
        return service

    def _adjudicator(self, process: Process) -> AdjudicatorService:
        service = AdjudicatorService(process, process.network, self.directory(process), self.shape.adjudicator)
        service.start()
        return service

    def _crossbar(self, process: Process) -> CrossbarService:
        service = CrossbarService(process, process.network, self.directory(process), self.shape.crossbar)
        service.start()
        return service

    def _storage(self, process: Process) -> StorageService:
        engine = process.stores.setdefault("engine", MemoryEngine())
        service = StorageService(process, process.network, self.directory(process), self.shape.storage, engine)
        service.start()
        return service
