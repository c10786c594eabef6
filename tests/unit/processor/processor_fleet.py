"""A fleet in virtual time: storage and adjudicators that are obviously right, and can be told to misbehave."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from processor_stored import beginning, page_of, within

from tausql.processor.service import ProcessorService
from tausql.processor.settings import ProcessorSettings
from tausql.protocol.adjudicator import (
    Aborted,
    Commit,
    Committed,
    Holding,
    Outcome,
    Reason,
    Undecided,
    WatchHoldings,
)
from tausql.protocol.clusters import ClusterRecord, Clusters, WatchClusters
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.ranges import EVERYTHING, RangeSet
from tausql.protocol.storage import (
    NotHere,
    Read,
    ReadSchema,
    Rows,
    SchemaVersions,
    Serving,
    StaleSchema,
    WatchServing,
)
from tausql.protocol.tau import commit_tau, micros_of
from tausql.rpc.interface import Cause, Reply, Routes, Sink
from tausql.runtime.fleet import Directory
from tausql.simulation.world import Process, World

_body = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]])


class Data:
    """What the fleet knows: every version of every key, every commit, every schema change."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[tuple[int, bytes | None]]] = {}
        self.schema: dict[int, list[int]] = {}  # by relation of cluster 1; those of others, see `schema_key`
        self.commits: list[tuple[int, Commit]] = []
        self.verdicts: dict[bytes, Committed | Aborted] = {}
        self.received: list[bytes] = []  # txn ids of commits that arrived, to see one sent twice
        self.reads: list[tuple[str, Read]] = []
        self.closed = 0
        self.adjudicators: list[FakeAdjudicator] = []

    def at(self, tau: int) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for key in self.versions:
            value = self.value(key, tau)
            if value is not None:
                rows[key] = value
        return rows

    def value(self, key: bytes, tau: int) -> bytes | None:
        for at, value in reversed(self.versions.get(key, ())):
            if at <= tau:
                return value
        return None

    def newest(self, keys: Any, tau: int) -> int:
        return max((at for key in keys for at, _ in self.versions.get(key, ()) if at <= tau), default=0)

    def version(self, relation: int, tau: int) -> int:
        return max((at for at in self.schema.get(relation, ()) if at <= tau), default=0)

    def commit(self, request: Commit, tau: int) -> None:
        self.commits.append((tau, request))
        for key, value in _body.decode(request.body):
            self.versions.setdefault(key, []).append((tau, value))
        for relation in request.changes:
            self.schema.setdefault(schema_key(cluster_of(request.low), relation), []).append(tau)

    def conflict(self, request: Commit) -> Aborted | None:
        writes, shares = conflict_keys(request)
        for tau, other in self.commits:
            if tau <= request.tau_start:
                continue
            if set(request.schema) & set(other.changes) and cluster_of(request.low) == cluster_of(other.low):
                return Aborted(Reason.schema)
            touched, shared = map(set, conflict_keys(other))
            for key in writes:
                if key in touched or key in shared:
                    return Aborted(Reason.conflict, 0, key)
            for key in shares:
                if key in touched:
                    return Aborted(Reason.conflict, 0, key)
        return None


def cluster_of(key: bytes) -> int:
    return int.from_bytes(key[:4], "big") if key else 1


def schema_key(cluster: int, relation: int) -> int:
    return (cluster ^ 1) << 32 | relation


def conflict_keys(request: Commit) -> tuple[list[bytes], list[bytes]]:
    """Of all streams: (written, shared)."""
    writes = request.writes + [key for part in request.parts for key in part.writes]
    return writes, request.shares + [key for part in request.parts for key in part.shares]


class FakeStorage:
    """`mood`: what it does with a read: answer, drop, refuse, elsewhere, slow. `ranges`: what it serves; `tells`:
    whether it says so."""

    tells = True

    def __init__(self, process: Process, data: Data) -> None:
        self.process = process
        self.name = process.name
        self.data = data
        self.mood = "answer"
        self.page_rows_max = 1000
        self.gets_max = 1000  # more are answered in part
        self.ranges: RangeSet = EVERYTHING
        self._sinks: list[Sink] = []
        process.network.serve(
            "storage",
            Routes(calls={Read: self.read, ReadSchema: self.read_schema}, streams={WatchServing: self.watch}),
        )

    def watch(self, request: WatchServing, sink: Sink) -> None:
        self._sinks.append(sink)
        if self.tells:
            sink.push(Serving(self.ranges))

    def serve(self, *ranges: tuple[bytes, bytes]) -> None:
        """Serve these ranges from now on, and say so."""
        self.ranges = ranges
        for sink in self._sinks:
            sink.push(Serving(ranges))

    def _moody(self, reply: Reply) -> bool:
        if self.mood == "refuse":
            reply.fail(Cause.refused, "in a bad mood")
        elif self.mood == "elsewhere":
            reply.answer(NotHere())
        return self.mood != "answer"

    def read(self, request: Read, reply: Reply) -> None:
        data = self.data
        data.reads.append((self.name, request))
        if self.mood == "slow":
            self.process.later(0.2, self._answer, request, reply)
        elif not self._moody(reply):
            self._answer(request, reply)

    def _answer(self, request: Read, reply: Reply) -> None:
        data = self.data
        data.closed = max(data.closed, request.tau)
        first = request.gets[0] if request.gets else request.scans[0].low if request.scans else b""
        for relation, version in request.schema if request.gets or request.scans else ():
            current = data.version(schema_key(cluster_of(first), relation), request.tau)
            if current != version:
                reply.answer(StaleSchema(relation, current))
                return
        ranges = self.ranges
        if not all(within(key, ranges) for key in request.gets) or not all(
            beginning(scan, ranges) for scan in request.scans
        ):
            reply.answer(NotHere())
            return
        rows = data.at(request.tau)
        pages = [page_of(rows, scan, self.page_rows_max, ranges) for scan in request.scans]
        touched = list(request.gets) + [key for page in pages for key in page.keys]
        values = [rows.get(key) for key in request.gets[: self.gets_max]]
        reply.answer(Rows(data.newest(touched, request.tau), values, pages))

    def read_schema(self, request: ReadSchema, reply: Reply) -> None:
        if self._moody(reply):
            return
        data = self.data
        data.closed = max(data.closed, request.tau)
        own = schema_key(request.cluster, 0)
        relations = [key - own for key in data.schema if key >> 32 == own >> 32]
        versions = [(relation, data.version(own | relation, request.tau)) for relation in relations]
        reply.answer(SchemaVersions(max((tau for _, tau in versions), default=0), versions))


class FakeAdjudicator:
    """`mood`: judge, or what befalls each commit: vanish (never judged), mute (judged, no answer), or a `Reason`.

    ranges: what it says its stream owns; `owned`: what it does own, if that is something else. streams: the registry.
    """

    def __init__(self, process: Process, data: Data, stream: int, holds: bool) -> None:
        self.process = process
        self.data = data
        self.stream = stream
        self.holds = holds
        self.epoch = (1, 1)
        self.mood: str | Reason = "judge"
        self.knows = True  # answers outcome calls
        self.decides = False  # against commits it is asked for and has not seen
        self.decision = Reason.deadline
        self.ranges: RangeSet = EVERYTHING
        self.owned: RangeSet | None = None
        self.streams: tuple[int, ...] = ()
        self.floor = 0
        self.requests: list[Commit] = []
        self._sinks: list[Sink] = []
        process.network.serve(
            "adjudicator",
            Routes(calls={Commit: self.commit, Outcome: self.outcome}, streams={WatchHoldings: self.watch}),
        )

    def watch(self, request: WatchHoldings, sink: Sink) -> None:
        self._sinks.append(sink)
        if self.holds:
            sink.push(self._holding())

    def hold(self, holds: bool, epoch: tuple[int, int]) -> None:
        self.holds, self.epoch = holds, epoch
        for sink in self._sinks:
            sink.push(self._holding())

    def own(self, *ranges: tuple[bytes, bytes]) -> None:
        """Own these ranges from now on, and say so."""
        self.ranges, self.owned = ranges, None
        self.hold(self.holds, self.epoch)

    def _holding(self) -> Holding:
        return Holding(self.stream, self.epoch, self.holds, self.floor, self.ranges, self.streams)

    def owns_all(self, keys: list[bytes]) -> bool:
        owned = self.owned if self.owned is not None else self.ranges
        return self.holds and all(within(key, owned) for key in keys)

    def commit(self, request: Commit, reply: Reply) -> None:
        data = self.data
        assert request.txn not in data.received, "a commit was sent twice"
        data.received.append(request.txn)
        self.requests.append(request)
        mood = self.mood
        if mood == "vanish":
            return
        if request.txn in data.verdicts:
            reply.answer(data.verdicts[request.txn])
            return
        if not self.holds or request.stream != self.stream or tuple(request.epoch) != self.epoch:
            reply.answer(Aborted(Reason.not_holder))
            return
        if isinstance(mood, Reason):
            data.verdicts[request.txn] = Aborted(mood, self.floor)
        elif not self._all_owned(request):
            reply.answer(Aborted(Reason.wrong_shard))
            return
        else:
            self._judge(request)
        verdict = data.verdicts[request.txn]
        if mood == "mute":
            return
        self._answer(verdict, reply)

    def _all_owned(self, request: Commit) -> bool:
        if not self.owns_all(request.writes + request.shares):
            return False
        assert [part.stream for part in request.parts] == sorted({part.stream for part in request.parts})
        others = self.data.adjudicators
        for part in request.parts:
            assert part.stream > self.stream, "the lowest stream coordinates"
            keys = part.writes + part.shares
            if not any(other.stream == part.stream and other.owns_all(keys) for other in others):
                return False
        return True

    def _judge(self, request: Commit) -> None:
        data = self.data
        refused = data.conflict(request)
        if refused is not None:
            data.verdicts[request.txn] = refused
            return
        latest = self.process.clock.now().latest
        tau = commit_tau(max(latest, micros_of(max(data.closed, request.tau_start)) + 1), self.stream)
        data.closed = tau
        data.commit(request, tau)
        data.verdicts[request.txn] = Committed(tau)

    def _answer(self, verdict: Committed | Aborted, reply: Reply) -> None:
        if isinstance(verdict, Committed) and self.process.clock.now().earliest <= micros_of(verdict.tau):
            self.process.later(0.0001, self._answer, verdict, reply)
            return
        reply.answer(verdict)

    def outcome(self, request: Outcome, reply: Reply) -> None:
        verdict = self.data.verdicts.get(request.txn)
        if not self.knows:
            reply.answer(Undecided())
        elif verdict is not None:
            self._answer(verdict, reply)
        elif request.epoch != self.epoch or self.decides:
            verdict = self.data.verdicts[request.txn] = Aborted(self.decision)
            reply.answer(verdict)
        else:
            reply.answer(Undecided())


class FakeControl:
    """Tells what it is made to tell."""

    def __init__(self, process: Process) -> None:
        self.records: dict[str, ClusterRecord] = {}
        self.sinks: list[Sink] = []
        process.network.serve("control", Routes(streams={WatchClusters: self.watch}))

    def watch(self, request: WatchClusters, sink: Sink) -> None:
        self.sinks.append(sink)
        sink.push(Clusters(True, tuple(self.records.values())))

    def tell(self, *records: ClusterRecord, removed: tuple[str, ...] = ()) -> None:
        self.records.update({record.identifier: record for record in records})
        for identifier in removed:
            del self.records[identifier]
        for sink in self.sinks:
            sink.push(Clusters(False, records, removed))


class TestFleet:
    """Storages and adjudicators, one a zone, and processors in zone a, in one world. The first adjudicator holds stream
    0; with several `streams`, the next ones one more each."""

    __test__ = False
    storage = FakeStorage

    def __init__(
        self,
        seed: int = 1,
        processors: int = 1,
        streams: int = 1,
        storages: str = "ab",
        control: bool = False,
        **settings: Any,
    ) -> None:
        self.world = World(seed)
        self.data = Data()
        self.storages: list[FakeStorage] = []
        self.adjudicators = self.data.adjudicators
        self.processors: list[ProcessorService] = []
        zones = "abcdef"[: max(streams, 2)]
        names = [f"storage-{zone}{storages[:at].count(zone) or ''}" for at, zone in enumerate(storages)]
        self.fleet = Fleet(
            storage=tuple(Member(name, zone, f"{name}:1") for name, zone in zip(names, storages, strict=True)),
            adjudicator=tuple(Member(f"adjudicator-{zone}", zone, f"adjudicator-{zone}:1") for zone in zones),
            control=(Member("control-a", "a", "control-a:1"),) if control else (),
        )
        self.controls: list[FakeControl] = []
        if control:
            self._start("control-a", "a", lambda p: self.controls.append(FakeControl(p)))
        for name, zone in zip(names, storages, strict=True):
            self._start(name, zone, lambda p: self.storages.append(self.storage(p, self.data)))
        for at, zone in enumerate(zones):
            stream = at if at < streams else 0
            self._start(f"adjudicator-{zone}", zone, partial(self._adjudicator, stream, at < streams))
        self.adjudicators[0].streams = tuple(range(streams))
        for adjudicator in self.adjudicators[1:streams]:
            adjudicator.ranges = ()
        for at in range(processors):
            self._start(f"processor-{at}", "a", partial(self._processor, at, settings))
        self.run(0.1)

    @property
    def processor(self) -> ProcessorService:
        return self.processors[0]

    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        """Go on until `done`, at most for so much virtual time."""
        began = self.world.now
        while not done():
            passed = self.world.now - began
            assert passed < seconds, f"nothing came of it within {seconds} s"
            self.world.run(0.00005 if passed < 0.1 else 0.005)

    def _start(self, name: str, zone: str, build: Callable[[Process], Any]) -> None:
        self.world.add(name, zone, build).start()

    def _adjudicator(self, stream: int, holds: bool, process: Process) -> None:
        self.adjudicators.append(FakeAdjudicator(process, self.data, stream, holds))

    def _processor(self, index: int, settings: dict[str, Any], process: Process) -> None:
        chosen = ProcessorSettings(**settings)
        service = ProcessorService(process, process.network, Directory(self.fleet), chosen, index=index)
        self.processors.append(service)
        service.begin()
