"""Reads at a snapshot, from whichever storage replica answers first.

A replica of the own zone is asked; if it has not answered after a short while the next zone is asked as well, and the
first good answer wins: all replicas give the same answer at the same tau, or none yet. Hedging needs no timer a read:
reads start in order and their patience is the same, so one timer for the oldest serves all.

No answer is handed on before every clock has passed the newest tau it touched (I9): a row shown to anyone is committed
for everybody who starts later.
"""

from __future__ import annotations

from collections import deque
from typing import Any
from zlib import crc32

from tausql.processor.coroutines import Wait
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.snapshots import Snapshots
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.fleet import Member
from tausql.protocol.storage import (
    NotHere,
    Read,
    ReadSchema,
    Rows,
    SchemaVersions,
    StaleSchema,
    StorageClient,
    TooOld,
)
from tausql.rpc.interface import Cause, Failure, Network
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import Host

RETRY_SECONDS_MIN = 0.01
RETRY_SECONDS_MAX = 0.25
PENALTY_SECONDS = 1.0
READS_MAX = 50_000

log = logs.get("processor")


class StaleSchemaError(Exception):
    """A plan was made with a schema that was not current at the snapshot: reload the catalogue and plan again."""

    def __init__(self, relation: int, version: int) -> None:
        super().__init__(f"relation {relation} is at version {version}")
        self.relation = relation
        self.version = version


class Replica:
    """One storage replica, as a reader sees it."""

    __slots__ = ("avoid_until", "client", "member", "name", "zone")

    def __init__(self, member: Member, client: StorageClient) -> None:
        self.member = member
        self.name = member.name
        self.zone = member.zone
        self.client = client
        self.avoid_until = 0.0  # monotonic seconds: it failed or was slow just now


class Reads:
    """Sends reads to the replicas.

    hedge_seconds: how long a replica may take before another is asked too. deadline_seconds: how long a read may take
    in all before the statement fails with 57P03.
    """

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        snapshots: Snapshots,
        metrics: ProcessorMetrics,
        hedge_seconds: float,
        deadline_seconds: float,
    ) -> None:
        self.host = host
        self.snapshots = snapshots
        self.metrics = metrics
        self.hedge_seconds = hedge_seconds
        self.deadline_seconds = deadline_seconds
        neighbours = Neighbours(
            fleet,
            "storage",
            host.zone,
            lambda address: StorageClient(network.connect(address, "storage")),
            joined=self._joined,
            left=self._left,
        )
        self._region = fleet.fleet.region
        self.replicas: list[Replica] = []
        for neighbour in neighbours.all:
            self._joined(neighbour)
        self._in_flight = 0
        self._slow: deque[_Attempts] = (
            deque()
        )  # started, by start time; the finished ones are dropped when they come up
        self._armed = False

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def read(self, request: Read) -> Wait[Rows]:
        """`Rows`; fails with `StaleSchemaError` or SqlError."""
        return self._start(request)

    def read_schema(self, cluster: int, tau: int) -> Wait[SchemaVersions]:
        """The newest schema version of every relation at `tau`."""
        return self._start(ReadSchema(cluster, tau))

    def _start(self, request: Read | ReadSchema) -> Wait[Any]:
        if self._in_flight >= READS_MAX:
            raise unavailable(f"{READS_MAX} reads are under way")
        self._in_flight += 1
        self.metrics.reads += 1
        attempts = _Attempts(self, request)
        self._slow.append(attempts)
        if not self._armed:
            self._armed = True
            self.host.later(self.hedge_seconds, self._look)
        attempts.ask_next()
        return attempts.wait

    def ended(self) -> None:
        self._in_flight -= 1

    def _joined(self, storage: Neighbour[StorageClient]) -> None:
        replica = Replica(storage.member, storage.client)
        self.replicas = sorted([*self.replicas, replica], key=self._distance)

    def _left(self, storage: Neighbour[StorageClient]) -> None:
        self.replicas = [replica for replica in self.replicas if replica.client is not storage.client]

    def _distance(self, replica: Replica) -> tuple[bool, bool, int]:
        """The own zone's first, then the own region's. Among equals every processor has an order of its own, so that
        the replicas of a zone share its reads."""
        member = replica.member
        lot = crc32(f"{self.host.name} {member.name}".encode())
        return (member.zone != self.host.zone, member.region not in ("", self._region), lot)

    def order(self, now: float) -> list[Replica]:
        """The replicas, nearest first; those that lately failed last."""
        replicas = self.replicas
        if not replicas or replicas[0].avoid_until <= now:
            return replicas
        return sorted(replicas, key=lambda replica: replica.avoid_until > now)

    def _look(self) -> None:
        """Hedge the reads that have waited long enough."""
        due = self.host.monotonic() - self.hedge_seconds
        slow = self._slow
        while slow:
            attempts = slow[0]
            if attempts.finished:
                slow.popleft()
            elif attempts.started <= due + 0.0005:
                slow.popleft()
                attempts.hedge()
            else:
                break
        if slow:
            self.host.later(max(slow[0].started - due, 0.001), self._look)
        else:
            self._armed = False


class _Attempts:
    """One read, asked of one replica after another."""

    __slots__ = (
        "_asked",
        "_deadline",
        "_order",
        "_outstanding",
        "_reads",
        "_request",
        "_retry_scheduled",
        "_retry_seconds",
        "finished",
        "started",
        "wait",
    )

    def __init__(self, reads: Reads, request: Read | ReadSchema) -> None:
        self._reads = reads
        self._request = request
        self.started = reads.host.monotonic()
        self._deadline = self.started + reads.deadline_seconds
        self._order = reads.order(self.started)
        self._asked = 0
        self._outstanding = 0
        self._retry_seconds = RETRY_SECONDS_MIN
        self._retry_scheduled = False
        self.finished = False
        self.wait: Wait[Any] = Wait()

    def ask_next(self) -> None:
        """Ask the next replica; after the last one, begin again a little later."""
        if self.finished:
            return
        reads = self._reads
        if self._asked >= len(self._order):
            if not self._outstanding:
                self._begin_again()
            return
        replica = self._order[self._asked]
        self._asked += 1
        self._outstanding += 1
        seconds = self._deadline - reads.host.monotonic()
        request = self._request
        if type(request) is Read:
            replica.client.read(request, max(seconds, 0.001), lambda answer: self._on_answer(replica, answer))
        else:
            assert isinstance(request, ReadSchema)
            replica.client.read_schema(request, max(seconds, 0.001), lambda answer: self._on_answer(replica, answer))

    def hedge(self) -> None:
        """It takes long: ask one more replica."""
        if self._asked < len(self._order):
            self._reads.metrics.hedges += 1
            self.ask_next()

    def _begin_again(self) -> None:
        if self._retry_scheduled:
            return
        reads = self._reads
        now = reads.host.monotonic()
        if now + self._retry_seconds >= self._deadline:
            self._fail(unavailable(f"no storage replica answered within {reads.deadline_seconds:g} s"))
            return
        self._retry_scheduled = True
        reads.host.later(self._retry_seconds, self._again)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _again(self) -> None:
        self._retry_scheduled = False
        self._order = self._reads.order(self._reads.host.monotonic())
        self._asked = 0
        self.ask_next()

    def _on_answer(self, replica: Replica, answer: Any) -> None:
        self._outstanding -= 1
        if self.finished:
            return
        kind = type(answer)
        if kind is Rows or kind is SchemaVersions:
            self._show(answer)
        elif kind is StaleSchema:
            self._fail(StaleSchemaError(answer.relation, answer.version))
        elif kind is TooOld:
            self._fail(too_old())
        elif kind is NotHere:
            self.ask_next()
        elif kind is Failure:
            self._on_failure(replica, answer)
        else:
            self._fail(SqlError(Code.internal_error, f"unexpected answer of storage: {kind.__name__}"))

    def _on_failure(self, replica: Replica, failure: Failure) -> None:
        reads = self._reads
        reads.metrics.read_failures += 1
        replica.avoid_until = reads.host.monotonic() + PENALTY_SECONDS
        if failure.cause is Cause.refused:
            log.warning("storage refused a read", replica=replica.name, reason=failure.message)
        self.ask_next()

    def _show(self, answer: Rows | SchemaVersions) -> None:
        """Hand the answer on, once every clock has passed what it holds."""
        reads = self._reads
        try:
            if reads.snapshots.passed(answer.newest):
                self._finish()
                self.wait.resolve(answer)
                return
            seconds = reads.snapshots.seconds_until(answer.newest)
        except SqlError as error:
            self._fail(error)
            return
        if not self.finished:
            self._finish()
            reads.metrics.held_answers += 1
        reads.host.later(seconds, self._show_later, answer)

    def _show_later(self, answer: Rows | SchemaVersions) -> None:
        # The timer may have fired early: the clock decides.
        reads = self._reads
        try:
            if reads.snapshots.passed(answer.newest):
                self.wait.resolve(answer)
                return
            reads.host.later(reads.snapshots.seconds_until(answer.newest), self._show_later, answer)
        except SqlError as error:
            self.wait.fail(error)

    def _finish(self) -> None:
        self.finished = True
        reads = self._reads
        reads.metrics.read_seconds.observe(reads.host.monotonic() - self.started)
        reads.ended()

    def _fail(self, error: Exception) -> None:
        if not self.finished:
            self._finish()
        self.wait.fail(error)


def too_old() -> SqlError:
    return SqlError(Code.program_limit_exceeded, "transaction age limit of 300s exceeded")


def unavailable(detail: str) -> SqlError:
    return SqlError(
        Code.cannot_connect_now,
        "the storage of this cluster is not available at present",
        detail=detail,
        hint="Retry in a moment.",
    )
