"""Commits: one request to whoever judges the keys, and the truth about what came of it.

Everything the adjudicator, the journal and the crossbar will ever see of a transaction is encoded here, once.

A commit that was certainly never judged (the stream or the range has moved) says nothing about the transaction: it is
sent to whoever is right by now, under a new txn id, and the client hears of none of it. One whose fate is unknown is
never sent again, under no id: it may have committed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, NoReturn

from tausql.processor.buffer import WriteBuffer
from tausql.processor.coroutines import Wait, sleep
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.outcome import question_of, settle
from tausql.processor.owners import Assignment, Holder
from tausql.processor.placement import Placement
from tausql.processor.snapshots import Snapshots
from tausql.processor.usage import Usage
from tausql.protocol.adjudicator import Aborted, Commit, Committed, Outcome, Reason
from tausql.protocol.errors import Code, SqlError, conflict, judged_elsewhere, schema_changed
from tausql.protocol.tau import closing, micros_of
from tausql.rpc.interface import Failure
from tausql.runtime import logs
from tausql.runtime.host import Host

TRANSACTION_SECONDS_MAX = 300
ANSWER_SECONDS_BEYOND = 0.5  # how long after its deadline the answer may still be under way
SENDS_MAX = 6
PAUSE_SECONDS_MIN = 0.01  # before a second try, and twice as long before each further one
_NEVER_JUDGED = frozenset((Reason.not_holder, Reason.wrong_shard, Reason.overloaded))

Announce = Callable[[Outcome], Awaitable[None] | None]  # None: it has been announced

log = logs.get("processor")


class _Wanted(NamedTuple):
    """What is to be committed, however often that takes."""

    tau_start: int
    writes: list[bytes]
    shares: list[bytes]
    schema: list[int]
    changes: list[int]
    first: bytes  # of the conflict keys
    last: bytes
    low: bytes
    high: bytes
    body: bytes


class Commits:
    """Sends commits and settles them.

    deadline_seconds: a commit gets its tau within it or not at all. holder_seconds: how long to wait for a stream to
    find a holder. beyond_seconds: how long after the deadline an unknown outcome is still asked for.
    """

    def __init__(
        self,
        host: Host,
        placement: Placement,
        snapshots: Snapshots,
        metrics: ProcessorMetrics,
        deadline_seconds: float,
        holder_seconds: float,
        beyond_seconds: float,
    ) -> None:
        self._host = host
        self._placement = placement
        self._snapshots = snapshots
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds
        self._holder_seconds = holder_seconds
        self._beyond_seconds = beyond_seconds
        self._in_flight: dict[Wait[object], Holder] = {}
        placement.on_change = self._superseded

    async def commit(
        self,
        tau_start: int,
        buffer: WriteBuffer,
        schema: set[int],
        changes: set[int],
        usage: Usage,
        announce: Announce | None = None,
    ) -> int:
        """The tau_commit. usage: of the cluster whose commit it is. `announce` is called with what could be asked about
        the commit, before it is sent.

        Raises SqlError: 40001 when it is certain that nothing happened, 40003 when nothing is certain, 53100 when the
        journal is full."""
        wanted = _wanted(tau_start, buffer, schema, changes)
        assigned = self._assign(wanted) or await self._assigned(wanted, self._holder_seconds)
        monotonic = self._host.monotonic
        began = monotonic()
        left = self._deadline_seconds
        end = began + left
        sends, pause = 0, PAUSE_SECONDS_MIN
        while True:
            known = self._placement.changes
            request = self._request(wanted, assigned, left)
            if announce is not None:
                announced = announce(question_of(request))
                if announced is not None:
                    await announced
            verdict, judged = await self._send(request, assigned.coordinator, left)
            if isinstance(verdict, Committed):
                self._snapshots.committed(verdict.tau)
                self._metrics.committed(1 + len(request.parts))
                seconds = monotonic() - began
                usage.wrote(len(request.body), buffer.rows, seconds)
                self._metrics.commit_seconds.observe(seconds)
                return verdict.tau
            sends += 1
            if judged or sends >= SENDS_MAX or monotonic() + pause >= end:
                self._refused(verdict, usage)
            await self._pause(verdict, known, pause)
            pause *= 2
            left = end - monotonic()
            assigned = self._assign(wanted) or await self._assigned(wanted, min(left, self._holder_seconds))
            left = end - monotonic()
            if left <= 0:
                self._refused(verdict, usage)
            self._metrics.commit_resends += 1

    async def resolve(self, question: Outcome, usage: Usage) -> None:
        """Returns if a commit of another processor has committed. Raises SqlError as `commit` does."""
        self._metrics.outcomes_asked += 1
        answer = await settle(self._host, self._placement, self._snapshots, question, self._beyond_seconds)
        if isinstance(answer, Aborted):
            self._refused(answer, usage)
        self._snapshots.committed(answer.tau)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def _request(self, wanted: _Wanted, assigned: Assignment, left_seconds: float) -> Commit:
        """With a txn id of its own: each is sent once."""
        deadline = min(
            self._snapshots.latest() + int(left_seconds * 1_000_000),
            micros_of(wanted.tau_start) + TRANSACTION_SECONDS_MAX * 1_000_000,
        )
        coordinator = assigned.coordinator
        return Commit(
            self._host.random.getrandbits(128).to_bytes(16, "big"),
            wanted.tau_start,
            closing(deadline),
            coordinator.stream,
            coordinator.epoch,
            assigned.writes,
            assigned.shares,
            wanted.schema,
            wanted.changes,
            wanted.low,
            wanted.high,
            wanted.body,
            assigned.parts,
        )

    async def _send(self, request: Commit, holder: Holder, left_seconds: float) -> tuple[Committed | Aborted, bool]:
        """What came of it, and whether it has been judged, or may have been. False: it never will be under this id."""
        wait: Wait[object] = Wait()
        self._in_flight[wait] = holder
        try:
            holder.client.commit(request, left_seconds + ANSWER_SECONDS_BEYOND, wait.resolve)
            answer = await wait
        finally:
            del self._in_flight[wait]
        if isinstance(answer, Committed):
            return answer, True
        if isinstance(answer, Aborted):
            if answer.reason == Reason.not_holder and not request.parts:  # else it may be about another's part
                self._placement.lose(holder)
            return answer, answer.reason not in _NEVER_JUDGED
        if isinstance(answer, Failure) and answer.unsent:
            return Aborted(Reason.overloaded), False
        self._metrics.outcomes_asked += 1
        question = question_of(request)
        return await settle(self._host, self._placement, self._snapshots, question, self._beyond_seconds), True

    def _assign(self, wanted: _Wanted) -> Assignment | None:
        owners = self._placement.owners
        if wanted.changes:
            return owners.assign_to_all(wanted.writes, wanted.shares)
        holder = owners.sole(wanted.first, wanted.last)
        if holder is not None:
            return Assignment(holder, wanted.writes, wanted.shares, ())
        return owners.assign(wanted.writes, wanted.shares)

    async def _assigned(self, wanted: _Wanted, seconds: float) -> Assignment:
        """Whoever judges it. Nothing has been sent yet: waiting a little for a takeover costs nobody anything."""
        end = self._host.monotonic() + seconds
        while True:
            left = end - self._host.monotonic()
            if left <= 0:
                raise _retry("no adjudicator holds the stream of this transaction's rows at present")
            await self._placement.changed(left)
            assigned = self._assign(wanted)
            if assigned is not None:
                return assigned

    async def _pause(self, refusal: Aborted, known: int, seconds: float) -> None:
        """Before it is sent again: until there is news of who judges what, if that was the matter, but not for long:
        the news may have come before the refusal did."""
        if refusal.reason == Reason.overloaded:
            await sleep(self._host, seconds * (0.5 + self._host.random.random()))
        elif self._placement.changes == known:
            await self._placement.changed(seconds)

    def _superseded(self) -> None:
        """A holder that has stopped without dying never answers; its successor knows what became of its commits."""
        holders = self._placement.holders
        for wait, holder in list(self._in_flight.items()):
            now = holders.get(holder.stream)
            if now is not None and now.epoch > holder.epoch:
                wait.resolve(None)

    def _refused(self, aborted: Aborted, usage: Usage) -> NoReturn:
        """It has not committed and never will: say why."""
        metrics = self._metrics
        reason = aborted.reason
        if reason == Reason.conflict:
            metrics.conflicts += 1
            usage.conflicts += 1
            log.debug("conflict", key=aborted.key)
            raise conflict()
        if reason == Reason.schema:
            metrics.schema_conflicts += 1
            usage.conflicts += 1
            raise schema_changed()
        metrics.refusals += 1
        if reason == Reason.floor:
            self._snapshots.above_floor(aborted.floor)
            raise judged_elsewhere(
                f"cannot judge snapshots at or below its floor {aborted.floor}",
                "It has taken over, or dropped its oldest history, since this transaction began.",
            )
        if reason == Reason.full:
            raise SqlError(Code.disk_full, "the journal's disks are full: nothing can be committed at present")
        if reason == Reason.not_holder:
            raise _retry("the stream of this transaction's rows has a new holder")
        if reason == Reason.deadline:
            raise _retry(f"the commit found no instant within {self._deadline_seconds:g} s")
        if reason == Reason.votes:
            raise _retry("the streams that judge its rows found no instant for it together")
        if reason == Reason.wrong_shard:
            raise _retry("the ranges of this transaction's rows have moved")
        raise _retry("there is no room for it where it is judged")


def _wanted(tau_start: int, buffer: WriteBuffer, schema: set[int], changes: set[int]) -> _Wanted:
    writes, shares = buffer.conflict_keys()
    keys = writes + shares if shares else writes
    first, last = min(keys), max(keys)
    low, high, body = buffer.body()
    if not low:  # locks only
        low = high = first
    return _Wanted(tau_start, writes, shares, sorted(schema), sorted(changes), first, last, low, high, body)


def _retry(why: str, detail: str = "") -> SqlError:
    """40001 that is no conflict: nothing happened, and trying again may well help."""
    return SqlError(
        Code.serialization_failure,
        f"transaction could not be committed: {why}",
        detail=detail or None,
        hint="Nothing was changed. Retry the transaction.",
    )
