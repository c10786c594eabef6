"""Reads at a snapshot, from whichever storage replica answers first.

A replica of the own zone is asked; if it has not answered after a short while the next zone is asked as well, and the
first good answer wins: all replicas give the same answer at the same tau, or none yet. Hedging needs no timer a read:
reads start in order and their patience is the same, so one timer for the oldest serves all.

Where no replica serves all the keys of a read, it is split over several; all parts read the same snapshot, so that
together they are what one replica would have said.

No answer is handed on before every clock has passed the newest tau it touched (I9): a row shown to anyone is committed
for everybody who starts later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from tausql.processor.coroutines import Wait
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.replicas import Group, Replica, Replicas
from tausql.processor.snapshots import Snapshots
from tausql.processor.splitting import Split
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.storage import NotHere, Read, ReadSchema, Rows, SchemaVersions, StaleSchema, TooOld
from tausql.rpc.interface import Cause, Failure
from tausql.runtime import logs
from tausql.runtime.host import Host

RETRY_SECONDS_MIN = 0.01
RETRY_SECONDS_MAX = 0.25
PENALTY_SECONDS = 1.0
RELOOK_SECONDS = 0.1  # between looks for a replica to hedge with, where there was none
READS_MAX = 50_000

log = logs.get("processor")


class StaleSchemaError(Exception):
    """A plan was made with a schema that was not current at the snapshot: reload the catalogue and plan again."""

    def __init__(self, relation: int, version: int) -> None:
        super().__init__(f"relation {relation} is at version {version}")
        self.relation = relation
        self.version = version


class Target(Protocol):
    """Who wants the answer: a `Wait`, or a part of a read that was split."""

    def resolve(self, value: Any) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Reads:
    """Sends reads to the replicas.

    hedge_seconds: how long a replica may take before another is asked too. deadline_seconds: how long a read may take
    in all before the statement fails with 57P03.
    """

    def __init__(
        self,
        host: Host,
        replicas: Replicas,
        snapshots: Snapshots,
        metrics: ProcessorMetrics,
        hedge_seconds: float,
        deadline_seconds: float,
    ) -> None:
        self.host = host
        self.replicas = replicas
        self.snapshots = snapshots
        self.metrics = metrics
        self.hedge_seconds = hedge_seconds
        self.deadline_seconds = deadline_seconds
        self._in_flight = 0
        self._slow: deque[Attempts] = deque()  # started, by start time; the finished ones are dropped when they come up
        self._armed = False

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def read(self, request: Read) -> Wait[Rows]:
        """`Rows`; fails with `StaleSchemaError` or SqlError."""
        wait: Wait[Rows] = Wait()
        self._begin(request, wait)
        return wait

    def read_schema(self, cluster: int, tau: int) -> Wait[SchemaVersions]:
        """The newest schema version of every relation at `tau`."""
        wait: Wait[SchemaVersions] = Wait()
        self._begin(ReadSchema(cluster, tau), wait)
        return wait

    def _begin(self, request: Read | ReadSchema, wait: Wait[Any]) -> None:
        if self._in_flight >= READS_MAX:
            raise unavailable(f"{READS_MAX} reads are under way")
        now = self.host.monotonic()
        replicas = self.replicas
        if replicas.whole:
            self._ask(request, wait, now, now + self.deadline_seconds, replicas.nearest(now), ())
        else:
            self.begin(request, wait, now + self.deadline_seconds, ())

    def begin(
        self, request: Read | ReadSchema, target: Target, deadline: float, asked: Collection[Replica]
    ) -> Attempts | Split:
        """Read, as one request or split over replicas, though not by those that have been `asked`. `deadline`:
        monotonic seconds."""
        now = self.host.monotonic()
        able, groups = self.replicas.route(request, now, asked)
        if groups:
            assert isinstance(request, Read)
            split = Split(self, request, groups, target, deadline, asked)
            split.begin()
            return split
        return self._ask(request, target, now, deadline, able, asked)

    def _ask(
        self,
        request: Read | ReadSchema,
        target: Target,
        now: float,
        deadline: float,
        able: Sequence[Replica],
        asked: Collection[Replica],
    ) -> Attempts:
        self._in_flight += 1
        self.metrics.reads += 1
        attempts = Attempts(self, request, target, now, deadline, able, asked)
        self._slow.append(attempts)
        if not self._armed:
            self._armed = True
            self.host.later(self.hedge_seconds, self._look)
        attempts.ask_next()
        return attempts

    def ended(self) -> None:
        self._in_flight -= 1

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


class Attempts:
    """One read, asked of one replica after another; of several side by side once none is left that serves it all."""

    __slots__ = (
        "_able",
        "_asked",
        "_avoided",
        "_deadline",
        "_outstanding",
        "_reads",
        "_request",
        "_retry_scheduled",
        "_retry_seconds",
        "_split",
        "_target",
        "finished",
        "started",
    )

    def __init__(
        self,
        reads: Reads,
        request: Read | ReadSchema,
        target: Target,
        now: float,
        deadline: float,
        able: Sequence[Replica],
        avoided: Collection[Replica],
    ) -> None:
        self._reads = reads
        self._request = request
        self._target = target
        self.started = now
        self._deadline = deadline
        self._able = able
        self._avoided = avoided  # asked on behalf of the same statement already
        self._asked = 0
        self._outstanding = 0
        self._retry_seconds = RETRY_SECONDS_MIN
        self._retry_scheduled = False
        self._split: Split | None = None
        self.finished = False

    def ask_next(self) -> None:
        """Ask the next replica; after the last one, begin again a little later."""
        if self.finished:
            return
        if self._asked < len(self._able):
            self._ask(self._able[self._asked])
        elif not self._outstanding and self._split is None:
            if self._found_more():
                self.ask_next()
            else:
                self._begin_again()

    def _ask(self, replica: Replica) -> None:
        self._asked += 1
        self._outstanding += 1
        seconds = self._deadline - self._reads.host.monotonic()
        request = self._request
        if type(request) is Read:
            replica.client.read(request, max(seconds, 0.001), lambda answer: self._on_answer(replica, answer))
        else:
            assert isinstance(request, ReadSchema)
            replica.client.read_schema(request, max(seconds, 0.001), lambda answer: self._on_answer(replica, answer))

    def hedge(self) -> None:
        """It takes long: ask one more replica."""
        reads = self._reads
        if self.finished or self._split is not None:
            return
        if self._asked < len(self._able) or self._found_more():
            reads.metrics.hedges += 1
            self.ask_next()
        elif not reads.replicas.whole:
            reads.host.later(RELOOK_SECONDS, self.hedge)  # its shard may be moving to another one

    def drop(self) -> None:
        """Nobody wants the answer any more."""
        if not self.finished:
            self._finish()

    # As the target of its own split.

    def resolve(self, rows: Rows) -> None:
        if not self.finished:
            self._finish()
            self._target.resolve(rows)

    def fail(self, error: Exception) -> None:
        if not self.finished:
            self._finish()
        self._target.fail(error)

    # --- within --------------------------------------------------------------------------------------------------

    def _found_more(self) -> bool:
        """Every replica that serves all of it has been asked. True: there are more by now, or others serve it
        together and have been asked."""
        reads = self._reads
        if reads.replicas.whole or self._split is not None:
            return False
        asked = {*self._able, *self._avoided}
        able, groups = reads.replicas.route(self._request, reads.host.monotonic(), asked)
        if groups:
            self._divide(groups, asked)
            return True
        self._able = [*self._able, *able]
        return bool(able)

    def _divide(self, groups: Sequence[Group], asked: Collection[Replica]) -> None:
        assert isinstance(self._request, Read)
        self._split = split = Split(self._reads, self._request, groups, self, self._deadline, asked)
        split.begin()

    def _begin_again(self) -> None:
        if self._retry_scheduled:
            return
        reads = self._reads
        now = reads.host.monotonic()
        if now + self._retry_seconds >= self._deadline:
            self.fail(unavailable(f"no storage replica answered within {reads.deadline_seconds:g} s"))
            return
        self._retry_scheduled = True
        reads.host.later(self._retry_seconds, self._again)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _again(self) -> None:
        self._retry_scheduled = False
        if self.finished or self._outstanding or self._split is not None:
            return
        reads = self._reads
        able, groups = reads.replicas.route(self._request, reads.host.monotonic())
        if groups:
            self._divide(groups, ())
            return
        self._able = able
        self._avoided = ()
        self._asked = 0
        if able:
            self.ask_next()
        else:
            self._begin_again()

    def _on_answer(self, replica: Replica, answer: Any) -> None:
        self._outstanding -= 1
        if self.finished:
            return
        kind = type(answer)
        if kind is Rows or kind is SchemaVersions:
            self._show(answer)
        elif kind is StaleSchema:
            self.fail(StaleSchemaError(answer.relation, answer.version))
        elif kind is TooOld:
            self.fail(too_old())
        elif kind is NotHere:
            self._reads.metrics.not_here += 1
            self.ask_next()
        elif kind is Failure:
            self._on_failure(replica, answer)
        else:
            self.fail(SqlError(Code.internal_error, f"unexpected answer of storage: {kind.__name__}"))

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
                self._target.resolve(answer)
                return
            seconds = reads.snapshots.seconds_until(answer.newest)
        except SqlError as error:
            self.fail(error)
            return
        self._finish()
        reads.metrics.held_answers += 1
        reads.host.later(seconds, self._show_later, answer)

    def _show_later(self, answer: Rows | SchemaVersions) -> None:
        # The timer may have fired early: the clock decides.
        reads = self._reads
        try:
            if reads.snapshots.passed(answer.newest):
                self._target.resolve(answer)
                return
            reads.host.later(reads.snapshots.seconds_until(answer.newest), self._show_later, answer)
        except SqlError as error:
            self._target.fail(error)

    def _finish(self) -> None:
        self.finished = True
        reads = self._reads
        reads.metrics.read_seconds.observe(reads.host.monotonic() - self.started)
        reads.ended()
        if self._split is not None:
            self._split.drop()


def too_old() -> SqlError:
    return SqlError(Code.program_limit_exceeded, "transaction age limit of 300s exceeded")


def unavailable(detail: str) -> SqlError:
    return SqlError(
        Code.cannot_connect_now,
        "the storage of this cluster is not available at present",
        detail=detail,
        hint="Retry in a moment.",
    )
