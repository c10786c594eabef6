"""Commits: one request to whoever judges the keys, and the truth about what came of it.

Everything the adjudicator, the journal and the crossbar will ever see of a transaction is encoded here, once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

from tausql.processor.buffer import WriteBuffer
from tausql.processor.coroutines import Wait
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.outcome import question_of, settle
from tausql.processor.placement import Holder, Placement
from tausql.processor.snapshots import Snapshots
from tausql.protocol.adjudicator import Aborted, Commit, Committed, Outcome, Reason
from tausql.protocol.errors import Code, SqlError, conflict, not_supported, schema_changed
from tausql.protocol.tau import closing, micros_of
from tausql.rpc.interface import Failure
from tausql.runtime import logs
from tausql.runtime.host import Host

TRANSACTION_SECONDS_MAX = 300
ANSWER_SECONDS_BEYOND = 0.5  # how long after its deadline the answer may still be under way
SCHEMA_STREAM = 0  # the holder of stream 0 coordinates schema changes

Announce = Callable[[Outcome], Awaitable[None] | None]  # None: it has been announced

log = logs.get("processor")


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
        announce: Announce | None = None,
    ) -> int:
        """The tau_commit. `announce` is called with what could be asked about the commit, before it is sent.

        Raises SqlError: 40001 when it is certain that nothing happened, 40003 when nothing is certain, 53100 when the
        journal is full."""
        request, holder = await self._prepare(tau_start, buffer, schema, changes)
        if announce is not None:
            announced = announce(question_of(request))
            if announced is not None:
                await announced
        began = self._host.monotonic()
        wait: Wait[object] = Wait()
        self._in_flight[wait] = holder
        try:
            holder.client.commit(request, self._deadline_seconds + ANSWER_SECONDS_BEYOND, wait.resolve)
            answer = await wait
        finally:
            del self._in_flight[wait]
        if not isinstance(answer, Committed | Aborted):
            if isinstance(answer, Failure) and answer.unsent:
                raise _retry("the adjudicator has no room", answer.message)
            self._metrics.outcomes_asked += 1
            question = question_of(request)
            answer = await settle(self._host, self._placement, self._snapshots, question, self._beyond_seconds)
        if isinstance(answer, Committed):
            self._snapshots.committed(answer.tau)
            self._metrics.commits += 1
            self._metrics.usage.wrote(len(request.body), buffer.rows)
            self._metrics.commit_seconds.observe(self._host.monotonic() - began)
            return answer.tau
        if answer.reason == Reason.not_holder:
            self._placement.lose(holder)
        self._refused(answer)

    async def resolve(self, question: Outcome) -> None:
        """Returns if a commit of another processor has committed. Raises SqlError as `commit` does."""
        self._metrics.outcomes_asked += 1
        answer = await settle(self._host, self._placement, self._snapshots, question, self._beyond_seconds)
        if isinstance(answer, Aborted):
            self._refused(answer)
        self._snapshots.committed(answer.tau)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    async def _prepare(
        self, tau_start: int, buffer: WriteBuffer, schema: set[int], changes: set[int]
    ) -> tuple[Commit, Holder]:
        writes, shares = buffer.conflict_keys()
        keys = writes + shares if shares else writes
        holder = await self._holder(keys)
        low, high, body = buffer.body()
        if not low:  # locks only
            low = high = min(keys)
        if changes and holder.stream != SCHEMA_STREAM:
            raise not_supported("multi-stream commit: schema changes belong to stream 0")
        latest = self._snapshots.latest()
        deadline = min(
            latest + int(self._deadline_seconds * 1_000_000),
            micros_of(tau_start) + TRANSACTION_SECONDS_MAX * 1_000_000,
        )
        txn = self._host.random.getrandbits(128).to_bytes(16, "big")
        request = Commit(
            txn,
            tau_start,
            closing(deadline),
            holder.stream,
            holder.epoch,
            writes,
            shares,
            sorted(schema),
            sorted(changes),
            low,
            high,
            body,
        )
        return request, holder

    async def _holder(self, keys: list[bytes]) -> Holder:
        """Whoever judges `keys`. Nothing has been sent yet: waiting a little for a takeover costs nobody anything."""
        low, high = min(keys), max(keys)
        holder = self._placement.find(keys, low, high)
        if holder is not None:
            return holder
        end = self._host.monotonic() + self._holder_seconds
        while True:
            left = end - self._host.monotonic()
            if left <= 0:
                raise _retry("no adjudicator holds the stream of this transaction's rows at present")
            await self._placement.changed(left)
            holder = self._placement.find(keys, low, high)
            if holder is not None:
                return holder

    def _superseded(self) -> None:
        """A holder that has stopped without dying never answers; its successor knows what became of its commits."""
        holders = self._placement.holders
        for wait, holder in list(self._in_flight.items()):
            now = holders.get(holder.stream)
            if now is not None and now.epoch > holder.epoch:
                wait.resolve(None)

    def _refused(self, aborted: Aborted) -> NoReturn:
        """It has not committed and never will: say why."""
        metrics = self._metrics
        reason = aborted.reason
        if reason == Reason.conflict:
            metrics.conflicts += 1
            log.debug("conflict", key=aborted.key)
            raise conflict()
        if reason == Reason.schema:
            metrics.schema_conflicts += 1
            raise schema_changed()
        metrics.refusals += 1
        if reason == Reason.floor:
            self._snapshots.above_floor(aborted.floor)
            raise _retry(
                f"the adjudicator cannot judge snapshots at or below its floor {aborted.floor}",
                "It has taken over, or dropped its oldest history, since this transaction began.",
            )
        if reason == Reason.full:
            raise SqlError(Code.disk_full, "the journal's disks are full: nothing can be committed at present")
        if reason == Reason.not_holder:
            raise _retry("the stream of this transaction's rows has a new holder")
        if reason == Reason.deadline:
            raise _retry(f"the commit found no instant within {self._deadline_seconds:g} s")
        if reason == Reason.wrong_shard:
            raise _retry("the ranges of this transaction's rows have moved")
        raise _retry("the adjudicator has no room")


def _retry(why: str, detail: str = "") -> SqlError:
    """40001 that is no conflict: nothing happened, and trying again may well help."""
    return SqlError(
        Code.serialization_failure,
        f"transaction could not be committed: {why}",
        detail=detail or None,
        hint="Nothing was changed. Retry the transaction.",
    )
