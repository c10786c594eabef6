"""Crossbars and storages as they are, over an imitated journal and adjudicator, on the simulated network."""

from __future__ import annotations

from random import Random

import msgspec

from tausql.crossbar.service import CrossbarService
from tausql.crossbar.settings import CrossbarSettings
from tausql.protocol.adjudicator import Beat, Lag, Nudge, Transaction, WatchBeats
from tausql.protocol.fleet import Fleet, Member, Shard
from tausql.protocol.journal import (
    Describe,
    Description,
    EpochStart,
    Kind,
    Ownership,
    Record,
    Registered,
    Status,
    Tail,
    TailPart,
    Trim,
    Trimmed,
)
from tausql.protocol.storage import Read, StorageClient
from tausql.protocol.tau import closing, commit_tau
from tausql.rpc.interface import Cause, Failure, Routes
from tausql.runtime.fleet import Directory
from tausql.simulation.world import World
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.service import StorageService
from tausql.storage.settings import StorageSettings

FLEET = "fleet-1"
ZONES = ("a", "b", "c")
STORAGE_ZONES = (*ZONES, "d")
EPOCH = (1, 7)


class ImitatedJournal:
    """One replica: what the test gave it, to whoever tails it."""

    def __init__(self, ground: Ground, process) -> None:
        self.ground, self.name = ground, process.name
        self.tails: list = []
        process.network.serve(
            "journal",
            Routes(calls={Describe: self.describe, Trim: self.trim}, streams={Tail: self.tail}),
        )

    def describe(self, request, reply) -> None:
        reply.answer(Description(FLEET, self.name, 1, True, ()))

    def trim(self, request, reply) -> None:
        self.ground.trims.append((self.name, request.stream, request.seq))
        if self.ground.forgets:
            self.ground.trimmed[request.stream] = max(self.ground.trimmed[request.stream], request.seq)
        reply.answer(Trimmed(Status.ok, request.seq))

    def tail(self, request, sink) -> None:
        log = self.ground.logs[request.stream]
        if request.seq < self.ground.trimmed[request.stream]:
            sink.end(Failure(Cause.refused, f"trimmed: the log begins after {self.ground.trimmed[request.stream]}"))
            return
        if self.name in self.ground.deaf:
            return
        self.tails.append((request.stream, sink))
        self.push(sink, request.stream, request.seq, log[request.seq :])

    def push(self, sink, stream: int, keep: int, records) -> None:
        sink.push(TailPart(stream, keep, list(records), 0))

    def take(self, record: Record, stream: int) -> None:
        if self.name not in self.ground.deaf:
            for one, sink in self.tails:
                if one == stream and sink.open:
                    self.push(sink, stream, record.seq - 1, [record])


class ImitatedAdjudicator:
    """Holds every stream: beats every second, at every commit, and when nudged."""

    def __init__(self, ground: Ground, process) -> None:
        self.ground, self.process = ground, process
        self.sinks: list = []
        self.nudges = 0
        self.lags: list[Lag] = []
        casts = {Nudge: self.nudged, Lag: lambda lag, peer: self.lags.append(lag)}
        process.network.serve("adjudicator", Routes(streams={WatchBeats: self.watch}, casts=casts))
        self.idle()

    def watch(self, request, sink) -> None:
        self.sinks.append(sink)
        for stream in self.ground.logs:
            sink.push(self.beat(stream))

    def beat(self, stream: int) -> Beat:
        tau = max(closing(self.process.clock.now().latest), self.ground.high[stream])
        self.ground.high[stream] = tau
        seq = len(self.ground.logs[stream])
        return Beat(stream, EPOCH, seq, tau, seq)

    def tell(self, stream: int) -> None:
        beat = self.beat(stream)
        for sink in self.sinks:
            if sink.open:
                sink.push(beat)

    def nudged(self, nudge: Nudge, peer) -> None:
        self.nudges += 1
        self.ground.high[nudge.stream] = max(self.ground.high[nudge.stream], nudge.tau)
        self.tell(nudge.stream)

    def idle(self) -> None:
        for stream in self.ground.logs:
            self.tell(stream)
        self.process.later(1.0, self.idle)


def first_records(stream: int, streams: int) -> list[Record]:
    """A stream's first epoch begins; stream 0 registers the others."""
    start = EpochStart("adjudicator-a", 0, Ownership())
    records = [Record(EPOCH, 1, 1024 + stream if stream else 8, Kind.epoch_start, msgspec.msgpack.encode(start))]
    if stream == 0 and streams > 1:
        registry = Ownership(streams=tuple(Registered(one, 16 if one else 0) for one in range(streams)))
        records.append(Record(EPOCH, 2, 16, Kind.ownership, msgspec.msgpack.encode(registry)))
    return records


class Ground:
    """The world, the processes in it, and what was committed."""

    def __init__(self, seed: int, streams: int = 1, storages: int = 3, **settings) -> None:
        self.world = World(seed)
        self.logs = {stream: first_records(stream, streams) for stream in range(streams)}
        self.high = dict.fromkeys(self.logs, 4096)
        self.trimmed = dict.fromkeys(self.logs, 0)
        self.trims: list = []
        self.forgets = False  # whether the journal really trims
        self.directories: dict[str, Directory] = {}
        self.deaf: set[str] = set()
        self.engines = {f"storage-{zone}": MemoryEngine() for zone in STORAGE_ZONES[:storages]}
        self.crossbar_settings = CrossbarSettings(**settings.get("crossbar", {}))
        self.storage_settings = StorageSettings(**settings.get("storage", {}))
        self.history: list[tuple[int, dict[bytes, bytes | None]]] = []

        def members(service: str, zones=ZONES) -> tuple[Member, ...]:
            return tuple(Member(f"{service}-{zone}", zone, f"{service}-{zone}:1") for zone in zones)

        self.fleet = Fleet(
            streams=streams,
            journal=members("journal"),
            adjudicator=members("adjudicator", ZONES[:1]),
            crossbar=members("crossbar"),
            storage=members("storage", STORAGE_ZONES[:storages]),
        )
        for service in ("journal", "adjudicator", "crossbar", "storage"):
            for member in self.fleet.of(service):
                self.world.add(member.name, member.zone, getattr(self, f"build_{service}"), member.address).start()
        self.reader = self.world.add("reader", "a", lambda process: None)
        self.reader.start()

    def build_journal(self, process) -> ImitatedJournal:
        return ImitatedJournal(self, process)

    def build_adjudicator(self, process) -> ImitatedAdjudicator:
        return ImitatedAdjudicator(self, process)

    def build_crossbar(self, process) -> CrossbarService:
        service = CrossbarService(process, process.network, self.directory(process), self.crossbar_settings)
        service.start()
        return service

    def build_storage(self, process) -> StorageService:
        engine = self.engines[process.name]
        service = StorageService(process, process.network, self.directory(process), self.storage_settings, engine)
        service.start()
        return service

    def directory(self, process) -> Directory:
        made = self.directories[process.name] = Directory(self.fleet)
        return made

    def remap(self, *shards: Shard, late: tuple[str, ...] = ()) -> None:
        """Another map for everybody but those who hear of it `late`, which is with the next one."""
        self.fleet = msgspec.structs.replace(self.fleet, shards=shards)
        for name, directory in self.directories.items():
            process = self.world.processes[name]
            if name not in late and process.alive:
                self.world.within(process, directory.replace, self.fleet)

    def service(self, name: str):
        return self.world.processes[name].services

    def commit(self, body: dict[bytes, bytes | None], stream: int = 0, changes=()) -> int:
        """Commit a transaction now; returns its tau."""
        clock = self.world.processes["adjudicator-a"].clock.now()
        tau = max(commit_tau(clock.latest, stream), self.high[stream] // 1024 * 1024 + 1024 + stream)
        self.high[stream] = tau
        images = sorted(body.items())
        transaction = Transaction(
            b"x" * 16, 0, [], [], list(changes), images[0][0], images[-1][0], msgspec.msgpack.encode(images)
        )
        log = self.logs[stream]
        record = Record(EPOCH, len(log) + 1, tau, Kind.transaction, msgspec.msgpack.encode(transaction))
        log.append(record)
        self.history.append((tau, body))
        for zone in ZONES:
            journal = self.world.processes[f"journal-{zone}"]
            if journal.alive:
                self.world.within(journal, journal.services.take, record, stream)
        adjudicator = self.world.processes["adjudicator-a"]
        if adjudicator.alive:
            self.world.within(adjudicator, adjudicator.services.tell, stream)
        return tau

    def read(self, name: str, request: Read, seconds: float = 5.0):
        """Ask one storage and run the world until it answers."""
        answers: list = []
        client = StorageClient(self.reader.network.connect(f"{name}:1", "storage"))
        client.read(request, seconds, answers.append)
        for _ in range(int(seconds / 0.0005) + 2):
            if answers:
                return answers[0]
            self.world.run(0.0005)
        return None

    def kill(self, name: str) -> None:
        self.world.processes[name].kill()
        if name in self.engines:
            self.engines[name].crash(self.world.random)

    def start(self, name: str) -> None:
        self.world.processes[name].start()

    def hashes(self) -> set[tuple[int, str]]:
        """State hashes of all storages that are at the newest commit's watermark."""
        return {self.service(name).status()["state_hash"] for name in self.engines}


def key(number: int) -> bytes:
    return bytes([0, 0, 0, 1]) + b"%06d" % number


def settle(ground: Ground, seconds: float = 3.0) -> None:
    ground.world.run(seconds)


def commit_some(ground: Ground, chance: Random, count: int, pause: float = 0.002) -> None:
    for _ in range(count):
        stream = chance.randrange(len(ground.logs))
        rows = {key(chance.randrange(40)): chance.choice([None, b"%d" % chance.randrange(1000)]) for _ in range(3)}
        ground.commit(rows, stream)
        ground.world.run(chance.uniform(0, pause))
