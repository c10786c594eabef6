"""A fleet in virtual time: storage and adjudicators that are obviously right, and can be told to misbehave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from processor_stored import page_of

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
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.storage import NotHere, Read, ReadSchema, Rows, SchemaVersions, StaleSchema
from tausql.protocol.tau import commit_tau, micros_of
from tausql.rpc.interface import Cause, Reply, Routes, Sink
from tausql.runtime.fleet import Directory
from tausql.simulation.world import Process, World

_body = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]])


class Data:
    """What the fleet knows: every version of every key, every commit, every schema change."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[tuple[int, bytes | None]]] = {}
        self.schema: dict[int, list[int]] = {}
        self.commits: list[tuple[int, Commit]] = []
        self.verdicts: dict[bytes, Committed | Aborted] = {}
        self.received: list[bytes] = []  # txn ids of commits that arrived, to see one sent twice
        self.reads: list[tuple[str, Read]] = []
        self.closed = 0

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
            self.schema.setdefault(relation, []).append(tau)

    def conflict(self, request: Commit) -> Aborted | None:
        for tau, other in self.commits:
            if tau <= request.tau_start:
                continue
            if set(request.schema) & set(other.changes):
                return Aborted(Reason.schema)
            touched = set(other.writes)
            for key in request.writes:
                if key in touched or key in other.shares:
                    return Aborted(Reason.conflict, 0, key)
            for key in request.shares:
                if key in touched:
                    return Aborted(Reason.conflict, 0, key)
        return None


class FakeStorage:
    """`mood`: what it does with a read: answer, drop, refuse, elsewhere."""

    def __init__(self, process: Process, data: Data) -> None:
        self.name = process.name
        self.data = data
        self.mood = "answer"
        self.page_rows_max = 1000
        self.gets_max = 1000  # more are answered in part
        process.network.serve("storage", Routes(calls={Read: self.read, ReadSchema: self.read_schema}))

    def _moody(self, reply: Reply) -> bool:
        if self.mood == "refuse":
            reply.fail(Cause.refused, "in a bad mood")
        elif self.mood == "elsewhere":
            reply.answer(NotHere(b"", b""))
        return self.mood != "answer"

    def read(self, request: Read, reply: Reply) -> None:
        data = self.data
        data.reads.append((self.name, request))
        if self._moody(reply):
            return
        data.closed = max(data.closed, request.tau)
        for relation, version in request.schema if request.gets or request.scans else ():
            current = data.version(relation, request.tau)
            if current != version:
                reply.answer(StaleSchema(relation, current))
                return
        rows = data.at(request.tau)
        pages = [page_of(rows, scan, self.page_rows_max) for scan in request.scans]
        touched = list(request.gets) + [key for page in pages for key in page.keys]
        values = [rows.get(key) for key in request.gets[: self.gets_max]]
        reply.answer(Rows(data.newest(touched, request.tau), values, pages))

    def read_schema(self, request: ReadSchema, reply: Reply) -> None:
        if self._moody(reply):
            return
        data = self.data
        data.closed = max(data.closed, request.tau)
        versions = [(relation, data.version(relation, request.tau)) for relation in data.schema]
        reply.answer(SchemaVersions(max((tau for _, tau in versions), default=0), versions))


class FakeAdjudicator:
    """`mood`: judge, or what befalls each commit: vanish (never judged), mute (judged, no answer), or a `Reason`."""

    def __init__(self, process: Process, data: Data, holds: bool) -> None:
        self.process = process
        self.data = data
        self.holds = holds
        self.epoch = (1, 1)
        self.mood: str | Reason = "judge"
        self.knows = True  # answers outcome calls
        self.decides = False  # against commits it is asked for and has not seen
        self.ranges = ((b"", b""),)
        self.floor = 0
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

    def _holding(self) -> Holding:
        return Holding(0, self.epoch, self.holds, self.floor, self.ranges)

    def commit(self, request: Commit, reply: Reply) -> None:
        data = self.data
        assert request.txn not in data.received, "a commit was sent twice"
        data.received.append(request.txn)
        mood = self.mood
        if mood == "vanish":
            return
        if request.txn in data.verdicts:
            reply.answer(data.verdicts[request.txn])
            return
        if not self.holds or tuple(request.epoch) != self.epoch:
            reply.answer(Aborted(Reason.not_holder))
            return
        if isinstance(mood, Reason):
            data.verdicts[request.txn] = Aborted(mood, self.floor)
        else:
            self._judge(request)
        verdict = data.verdicts[request.txn]
        if mood == "mute":
            return
        self._answer(verdict, reply)

    def _judge(self, request: Commit) -> None:
        data = self.data
        refused = data.conflict(request)
        if refused is not None:
            data.verdicts[request.txn] = refused
            return
        latest = self.process.clock.now().latest
        tau = commit_tau(max(latest, micros_of(max(data.closed, request.tau_start)) + 1), 0)
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
            verdict = self.data.verdicts[request.txn] = Aborted(Reason.deadline)
            reply.answer(verdict)
        else:
            reply.answer(Undecided())


class TestFleet:
    """Two storages, two adjudicators (the first holds the stream) and processors, in one world."""

    __test__ = False

    def __init__(self, seed: int = 1, processors: int = 1, **settings: Any) -> None:
        self.world = World(seed)
        self.data = Data()
        self.storages: list[FakeStorage] = []
        self.adjudicators: list[FakeAdjudicator] = []
        self.processors: list[ProcessorService] = []
        self.fleet = Fleet(
            storage=tuple(Member(f"storage-{zone}", zone, f"storage-{zone}:1") for zone in "ab"),
            adjudicator=tuple(Member(f"adjudicator-{zone}", zone, f"adjudicator-{zone}:1") for zone in "ab"),
        )
        for zone in "ab":
            self._start(f"storage-{zone}", zone, lambda p: self.storages.append(FakeStorage(p, self.data)))
        for at, zone in enumerate("ab"):
            self._start(
                f"adjudicator-{zone}",
                zone,
                lambda p, at=at: self.adjudicators.append(FakeAdjudicator(p, self.data, at == 0)),
            )
        for at in range(processors):
            self._start(f"processor-{at}", "a", lambda p, at=at: self._processor(p, at, settings))
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

    def _processor(self, process: Process, index: int, settings: dict[str, Any]) -> None:
        chosen = ProcessorSettings(**settings)
        service = ProcessorService(process, process.network, Directory(self.fleet), chosen, index=index)
        self.processors.append(service)
        service.begin()
