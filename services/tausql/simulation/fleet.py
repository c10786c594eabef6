"""The fleet as the simulation runs it: real services, one a process, which join and leave as pods do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tausql.adjudicator.service import AdjudicatorService
from tausql.crossbar.service import CrossbarService
from tausql.journal.service import JournalService
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.ranges import Lookup
from tausql.runtime.fleet import Directory
from tausql.simulation.engine import SimulatedEngine
from tausql.simulation.layout import ONE_REGION, SHARED, Layout, Wanted, map_of
from tausql.simulation.shape import Shape
from tausql.simulation.world import Process, World
from tausql.storage.service import StorageService

HEARD_SECONDS_MAX = 0.6  # until a process hears of a change of the map
ON_WHOSE_CLOCKS = ("adjudicator", "processor")  # clients rely for real time


class SimulatedFleet:
    """What runs in `world`, by `layout`. Every process has a map of its own, which is not everybody's at any moment."""

    def __init__(self, world: World, shape: Shape, streams: int = 1, layout: Layout = ONE_REGION) -> None:
        self.world = world
        self.shape = shape
        self.layout = layout
        self.wanted = Wanted(streams)
        self.members: dict[str, list[Member]] = {service: layout.members(service) for service in SHARED}
        self.extra: list[str] = []  # names of processes of other services, which the faults mind too
        self.sql: Any = None  # processors and frontends, once a workload needs them (`sql_fleet`)
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
                self._add(service, member)

    def _add(self, service: str, member: Member) -> Process:
        process = self.world.add(member.name, member.zone, self._builders[service], member.address)
        process.answers = service in ON_WHOSE_CLOCKS
        return process

    @property
    def fleet(self) -> Fleet:
        """The map, as it is in the first region."""
        return self._map(next(iter(self.layout.regions)))

    @property
    def names(self) -> list[str]:
        return [member.name for members in self.members.values() for member in members] + self.extra

    def start(self, within_seconds: float = 0.0) -> None:
        """All of them, one after another within so much time."""
        for name in self.names:
            process = self.world.processes[name]
            if within_seconds:
                self.world.at(self.world.random.uniform(0.0, within_seconds), None, process.start)
            else:
                process.start()

    def services(self, service: str) -> list[Any]:
        """The living ones."""
        found = (self.world.processes[member.name] for member in self.members.get(service, ()))
        return [process.services for process in found if process.alive and process.services is not None]

    def processes(self, service: str) -> list[Process]:
        return [self.world.processes[member.name] for member in self.members.get(service, ())]

    @property
    def up(self) -> bool:
        """Somebody holds every registered stream, and every storage replica can be read."""
        holders = {number: self.holder(number) for number in self.streams_registered()}
        if not holders or None in holders.values():
            return False
        storages = [one.status() for one in self.services("storage")]
        return len(storages) == len(self.members["storage"]) and all(one["watermark"] for one in storages)

    def streams_registered(self) -> list[int]:
        """As the holder of stream 0 knows it; none while nobody does."""
        holder = self.holder()
        if holder is None:
            return []
        for stream in holder.services.status()["streams"]:
            if stream["stream"] == 0:
                return list(stream.get("registered", range(self.wanted.streams)))
        return []

    def journals_whole(self) -> bool:
        """Every journal replica is up and may vote, and no bit of its disk has flipped: one disk may be lost."""
        processes = self.processes("journal")
        return all(
            process.alive
            and process.services is not None
            and process.services.status()["voter"]
            and not process.disk.damaged
            for process in processes
        )

    def storages_whole(self) -> bool:
        """Every storage replica is up and has all rows it is to have: one disk may be lost."""
        for process in self.processes("storage"):
            if not process.alive or process.services is None:
                return False
            one = process.services.status()
            if not one["watermark"] or one["taking_checkpoint"] or one["failed"]:
                return False
            if not all(shard["serving"] for shard in one.get("shards", ())) or process.stores["engine"].damaged:
                return False
        return self.shards_served()

    def shards_served(self, without: str = "") -> bool:
        """Whether replicas in two zones, not counting `without`, serve each key."""
        served: list[tuple[str, Lookup]] = []
        cuts = {b""}
        for process in self.processes("storage"):
            if process.alive and process.services is not None and process.name != without:
                shards = process.services.status()["shards"]
                ranges = [(bytes.fromhex(one["low"]), bytes.fromhex(one["high"])) for one in shards if one["serving"]]
                served.append((process.zone, Lookup(ranges)))
                cuts.update(bound for one in ranges for bound in one)
        return all(len({zone for zone, lookup in served if lookup.holds(cut)}) >= 2 for cut in cuts)

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

    def want(self, **changes: Any) -> None:
        """Change what the map asks for, by field of `layout.Wanted`."""
        self.wanted = replace(self.wanted, **changes)
        self._changed()

    def add_service(self, service: str, zones: str, build: Callable[[Process], Any]) -> list[Process]:
        """Processes of another service, one a zone, not started yet; in the map if it lists such, and subject to all
        faults. build: called at each start, returns the service."""
        self._builders[service] = build
        listed = service in Fleet.__struct_fields__
        made: list[Process] = []
        for number, zone in enumerate(zones):
            name = f"{service}-{zone}" if zone not in zones[:number] else f"{service}-{zone}-{number}"
            member = self.layout.member(service, zone, name, number)
            made.append(self._add(service, member))
            if listed:
                self.members.setdefault(service, []).append(member)
            else:
                self.extra.append(name)
        self._changed()
        return made

    def join(self, service: str, zone: str) -> Process:
        """A new process. Others hear of it by and by, before or after it is ready."""
        self._named += 1
        member = self.layout.member(service, zone, f"{service}-{zone}-{self._named + 10}", 100 + self._named)
        process = self._add(service, member)
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
            known = self._maps[region] = map_of(self.layout, region, self.members, self.wanted)
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
        engine = process.stores.setdefault("engine", SimulatedEngine())
        service = StorageService(process, process.network, self.directory(process), self.shape.storage, engine)
        service.start()
        return service
