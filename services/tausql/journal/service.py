"""The shell of a replica: requests in, one sync a loop turn, then everything that waited for it goes out.

A sync an append would cost 0.2 ms each and a thread for it twice the time. So a handler only lets the core judge; the
first one of a turn asks for `_turn`, which runs when all that is at hand has been judged: one write, one sync, then the
answers, the tails, the questions to other replicas. That order is also what makes it safe: nothing is spoken before
it is on the disk (I2), whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tausql.journal.entries import Entry, LogState
from tausql.journal.metrics import JournalMetrics
from tausql.journal.replica import Replica
from tausql.journal.settings import JournalSettings
from tausql.journal.store import Store
from tausql.journal.tails import Tails
from tausql.protocol.journal import (
    Append,
    Describe,
    Introduce,
    JournalClient,
    Open,
    Probe,
    ReadLog,
    Record,
    Status,
    Tail,
    Trim,
)
from tausql.rpc.interface import Cause, Failure, Message, Network, Peer, Reply, Routes, Sink
from tausql.runtime import logs
from tausql.runtime.disk import Disk, DiskFailed, DiskFull, FolderDisk
from tausql.runtime.fault_points import END_A_TAIL, LATE_SYNC, REFUSE_AN_OPEN, fault
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host

if TYPE_CHECKING:
    from tausql.runtime.process import Process

log = logs.get("journal")


class JournalService:
    """One replica. `name` is its own in the fleet's list of journals; by default the host's."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: JournalSettings,
        disk: Disk,
        *,
        name: str | None = None,
    ) -> None:
        """Opens the log, which reads all of it. Dies where it is damaged, raises ValueError for another's disk."""
        self.metrics = JournalMetrics(self._sample)
        self._host = host
        self._network = network
        self._settings = settings
        self._members = {member.name: member for member in fleet.fleet.journal}
        self._name = name if name is not None else host.name
        self._clients: dict[str, JournalClient] = {}
        self._answers: list[tuple[Reply, Message]] = []
        self._asks: list[tuple[str, Introduce | ReadLog, int]] = []
        self._turn_asked = False
        self._draining = False
        self._running = False
        self._announced = ""
        try:
            self._store = Store(
                disk,
                segment_bytes_max=settings.segment_bytes_max,
                cache_bytes_max=settings.cache_bytes_max,
                reserve_bytes=settings.reserve_bytes,
                spare_bytes=settings.spare_bytes,
            )
        except (DiskFailed, DiskFull) as failure:
            host.die(f"journal log: {failure}")
        if self._store.torn_bytes:
            log.warning("torn end of the log cut", bytes=self._store.torn_bytes)
        self._tails = Tails(self, self._wake, self._commit_part_later, settings.tails_max)
        # the cores' effects, without a call in between
        self.persist: Callable[[Entry], None] = self._store.write
        self.log_state: Callable[[int], LogState] = self._store.stream
        self.can_hold: Callable[[int], bool] = self._store.can_hold
        self.fresh: Callable[[int, int, list[Record]], None] = self._tails.fresh
        self.committed: Callable[[int], None] = self._tails.committed
        self.rebased: Callable[[int], None] = self._tails.rebased
        self._replica = Replica(
            self._name,
            list(self._members),
            self._store.member,
            self,
            host.clock,
            host.monotonic,
            lambda: host.random.getrandbits(48) + 1,
            limit_ahead_micros_max=int(settings.limit_ahead_seconds_max * 1_000_000),
            reluctance_seconds=settings.reluctance_seconds,
        )
        self.commit_seq: Callable[[int], int] = self._replica.commit_seq

    # life

    def start(self) -> None:
        self._running = True
        replica = self._replica
        self._network.serve(
            "journal",
            Routes(
                calls={
                    Describe: lambda request, reply: self._say(reply, replica.describe()),
                    Probe: lambda request, reply: self._say(reply, replica.probe(request)),
                    Open: self._on_open,
                    Append: self._on_append,
                    ReadLog: lambda request, reply: self._say(reply, replica.read_log(request)),
                    Trim: lambda request, reply: self._say(reply, replica.trim(request)),
                    Introduce: self._on_introduce,
                },
                streams={Tail: self._on_tail},
                on_disconnect=self._on_disconnect,
            ),
        )
        for other in replica.membership.others:
            self._clients[other] = JournalClient(self._network.connect(self._members[other].address, "journal"))
        self._wake()
        self._tick()

    def drain(self) -> None:
        """Nothing to hand over: a majority goes on. What was asked is still answered."""
        self._draining = True

    def stop(self) -> None:
        self._running = False
        if self._store.dirty:
            self._turn()

    def ready(self) -> tuple[bool, str]:
        membership = self._replica.membership
        if self._draining:
            return False, "draining"
        if membership.voter:
            return True, ""
        if membership.voters_seen:
            return False, "blank: learning from the other replicas"
        if membership.entry.genesis:
            return False, "waiting for all replicas to accept the genesis list"
        return False, "blank: waiting for all replicas, for genesis"

    def status(self) -> dict[str, Any]:
        entry = self._replica.membership.entry
        return {
            "replica": self._name,
            "fleet": self._replica.membership.fleet,
            "incarnation": entry.incarnation,
            "voter": entry.voter,
            "known": dict(zip(entry.names, entry.known, strict=True)),
            "segments": len(self._store.segments),
            "log_bytes": self._store.log_bytes,
            "tails": self._tails.count,
            "streams": {
                str(state.stream): {
                    "promised": list(state.promised),
                    "last_epoch": list(state.last_epoch),
                    "last_seq": state.last_seq,
                    "commit_seq": self._replica.commit_seq(state.stream),
                    "trim_seq": state.trim_seq,
                    "limit": state.limit,
                }
                for state in self._store.streams.values()
            },
        }

    # requests

    def _on_append(self, request: Append, reply: Reply) -> None:
        metrics = self.metrics
        if self._store.waiting_bytes > self._settings.waiting_bytes_max:
            metrics.overloaded += 1
            reply.fail(Cause.overloaded, "too much waits for the disk")
            return
        answer = self._replica.append(request, reply.peer)
        status = answer.status
        if status == Status.ok:
            metrics.appends += 1
            metrics.append_records += len(request.records)
        elif status == Status.gap:
            metrics.gaps += 1
        elif status == Status.fenced:
            metrics.fenced += 1
        elif status == Status.limit_refused:
            metrics.limits_refused += 1
        elif status == Status.full:
            metrics.full += 1
        self._say(reply, answer)

    def _on_open(self, request: Open, reply: Reply) -> None:
        if fault(self._host, REFUSE_AN_OPEN):
            reply.fail(Cause.overloaded, "not now")
            return
        answer = self._replica.open(request, reply.peer)
        if answer.status == Status.ok:
            self.metrics.grants += 1
            log.info("epoch promised", stream=request.stream, epoch=list(request.epoch), holder=request.holder)
        elif answer.status == Status.reluctant:
            self.metrics.reluctant += 1
        elif answer.status == Status.fenced:
            self.metrics.fenced += 1
        self._say(reply, answer)

    def _on_introduce(self, request: Introduce, reply: Reply) -> None:
        answer = self._replica.introduce(request)
        if answer is None:
            reply.fail(Cause.refused, f"{request.replica} is no other journal replica of this fleet")
            return
        self._say(reply, answer)

    def _on_tail(self, request: Tail, sink: Sink) -> None:
        refusal = self._replica.refusal(request.fleet, request.stream)
        if refusal is not None:
            sink.end(Failure(Cause.refused, refusal.name))
            return
        self._tails.add(request, sink)

    def _on_disconnect(self, peer: Peer) -> None:
        self._replica.disconnected(peer)

    # the turn

    def _say(self, reply: Reply, answer: Message) -> None:
        """Send `answer` after the next sync."""
        if len(self._answers) >= self._settings.waiting_answers_max:
            self.metrics.overloaded += 1
            reply.fail(Cause.overloaded, "too many answers wait for the disk")
            return
        self._answers.append((reply, answer))
        self._wake()

    def _wake(self) -> None:
        if not self._turn_asked:
            self._turn_asked = True
            if fault(self._host, LATE_SYNC):
                self._host.later(0.005, self._turn)
            else:
                self._host.soon(self._turn)

    def _turn(self) -> None:
        self._turn_asked = False
        store = self._store
        if store.dirty:
            self.metrics.flush_bytes.observe(store.waiting_bytes)
            began = self._host.monotonic()
            try:
                store.flush()
            except DiskFailed as failure:
                self._host.die(f"journal log: {failure}")
            self.metrics.flushes += 1
            self.metrics.flush_seconds.observe(self._host.monotonic() - began)
        if self._answers:
            answers, self._answers = self._answers, []
            for reply, answer in answers:
                reply.answer(answer)
        if fault(self._host, END_A_TAIL):
            self._tails.end_one()
        self._tails.push()
        if self._asks:
            asks, self._asks = self._asks, []
            for name, request, round_number in asks:
                self._send_ask(name, request, round_number)
        if self._announced != self._replica.membership.fleet:
            self._announce()

    def _announce(self) -> None:
        membership = self._replica.membership
        self._announced = membership.fleet
        log.info("replica votes", fleet=membership.fleet, incarnation=membership.entry.incarnation)

    def _sample(self) -> None:
        metrics = self.metrics
        metrics.written_bytes = self._store.flushed_bytes
        metrics.log_bytes = self._store.log_bytes
        metrics.segments = len(self._store.segments)
        metrics.streams = len(self._store.streams)
        metrics.tails = self._tails.count
        metrics.tail_parts = self._tails.parts
        metrics.voter = int(self._replica.voter)
        metrics.members = len(self._members)
        metrics.waiting_answers = len(self._answers)
        metrics.waiting_bytes = self._store.waiting_bytes
        states = self._store.streams.values()
        metrics.promised_epochs = {state.stream: state.promised[0] for state in states}
        metrics.kept_records = {state.stream: state.last_seq - state.trim_seq for state in states}

    def _commit_part_later(self) -> None:
        self._host.later(self._settings.commit_part_seconds, self._tails.commits_due)

    # other replicas

    def _tick(self) -> None:
        if self._running and self._replica.tick():
            pause = self._settings.introduce_seconds * (10 if self._replica.voter else 1)
            self._host.later(pause, self._tick)

    def _send_ask(self, name: str, request: Introduce | ReadLog, round_number: int) -> None:
        def done(answer: Any) -> None:
            self._on_answer(name, request, round_number, answer)

        self._clients[name].channel.call(request, self._settings.call_seconds, done)

    def _on_answer(self, name: str, request: Introduce | ReadLog, round_number: int, answer: Any) -> None:
        self._replica.answered(name, request, round_number, answer)
        if self._replica.membership.superseded:
            self._host.die(f"journal: a newer disk has taken the name {self._name}")
        self._wake()

    # the rest of the cores' effects

    def streams(self) -> Iterable[LogState]:
        return self._store.streams.values()

    def read(self, stream: int, seq: int, bytes_max: int) -> list[Record]:
        try:
            return self._store.read(stream, seq, bytes_max)
        except DiskFailed as failure:
            self._host.die(f"journal log: {failure}")

    def has_room(self, size: int) -> bool:
        try:
            return self._store.has_room(size)
        except DiskFailed as failure:  # the reserve is laid by again here
            self._host.die(f"journal log: {failure}")

    def trim(self, wanted: dict[int, int]) -> None:
        try:
            self._store.trim(wanted)
        except DiskFailed as failure:
            self._host.die(f"journal log: {failure}")

    def ask(self, replica: str, request: Introduce | ReadLog, round_number: int) -> None:
        self._asks.append((replica, request, round_number))
        self._wake()


def build(process: Process) -> JournalService:
    """The replica of this process."""
    return JournalService(
        process.host,
        process.network,
        process.fleet,
        JournalSettings(),
        FolderDisk(process.directory("journal")),
        name=process.member("journal").name,
    )
