"""Streams into one order: what may be released, what is closed, what comes next.

Waiting until every stream has a record at hand, as a merge of files would, stands still as soon as one stream is idle.
Time itself has to be closed, and that is easy to get wrong: a heartbeat speaks of one epoch's log, and the log at hand
may be another's. The rules, each with its reason:

- A record is *released* when this replica's own commit_seq covers it, or a beat of epoch e says so and a record of
  epoch e stands at or after it in this tail: then both logs are one up to there (log matching).
- A beat of epoch e closes time only when the last released record is of epoch e. That epoch's EpochStart is then
  committed, so every tau of a later epoch lies above the limit this beat kept to.
- With all records up to the beat's n released, the stream is closed to the beat's tau. Short of that, the first
  unreleased record, if it is of epoch e, bounds it: everything between is here.
- What is released closes the stream to its own tau. A record leaves the merge when every stream is closed to its tau.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from tausql.protocol.adjudicator import Beat
from tausql.protocol.crossbar import Cursor
from tausql.protocol.journal import NO_EPOCH, Epoch, Record, TailPart
from tausql.runtime.check import I1, I5, I12, check


class StreamTail:
    """One stream as one journal replica shows it, and as the beats of its holders explain it."""

    __slots__ = (
        "beat",
        "closed",
        "ready",
        "ready_bytes",
        "released_epoch",
        "released_seq",
        "released_tau",
        "replica_commit",
        "stream",
        "unreleased",
    )

    def __init__(self, stream: int, epoch: Epoch, seq: int, closed: int) -> None:
        self.stream = stream
        self.released_epoch = epoch
        self.released_seq = seq
        self.released_tau = 0  # not known for what lies before the cursor; at most `closed`
        self.closed = closed
        self.unreleased: deque[Record] = deque()
        self.ready: deque[Record] = deque()  # released, waiting for the other streams
        self.ready_bytes = 0
        self.replica_commit = 0
        self.beat: Beat | None = None

    @property
    def last_seq(self) -> int:
        """The last seq at hand, released or not."""
        return self.unreleased[-1].seq if self.unreleased else self.released_seq

    @property
    def last_epoch(self) -> Epoch:
        return self.unreleased[-1].epoch if self.unreleased else self.released_epoch

    @property
    def behind(self) -> bool:
        """A beat speaks of records that this tail does not have."""
        beat = self.beat
        return beat is not None and (self.last_epoch < beat.epoch or self.last_seq < beat.n)

    def restart(self) -> None:
        """The tail is read anew, perhaps from another replica, from the last released record."""
        self.unreleased.clear()
        self.replica_commit = 0

    def take(self, part: TailPart) -> None:
        """What the replica says next."""
        unreleased = self.unreleased
        check(I1, part.keep_seq >= self.released_seq, "a released record was cut", stream=self.stream)
        while unreleased and unreleased[-1].seq > part.keep_seq:
            unreleased.pop()
        seq = self.last_seq
        for record in part.records:
            seq += 1
            check(I1, record.seq == seq, "a gap in a tail", stream=self.stream, seq=record.seq, expected=seq)
            unreleased.append(record)
        self.replica_commit = part.commit_seq
        self._advance()

    def hear(self, beat: Beat) -> None:
        """A beat of any epoch, from any process: older epochs than the newest heard are dropped."""
        known = self.beat
        if known is not None and (beat.epoch < known.epoch or (beat.epoch == known.epoch and beat.tau < known.tau)):
            return
        self.beat = beat
        self._advance()

    def _advance(self) -> None:
        unreleased = self.unreleased
        beat = self.beat
        if unreleased:
            committed = self.replica_commit
            if beat is not None and beat.commit_seq > committed:
                committed = max(committed, self._matched(beat))
            while unreleased and unreleased[0].seq <= committed:
                self._release(unreleased.popleft())
        if beat is None or beat.epoch != self.released_epoch:
            return
        if self.released_seq >= beat.n:
            if beat.tau > self.closed:
                self.closed = beat.tau
        elif unreleased and unreleased[0].epoch == beat.epoch:
            bound = min(beat.tau, unreleased[0].tau - 1)
            if bound > self.closed:
                self.closed = bound

    def _matched(self, beat: Beat) -> int:
        """Up to where a beat's commit_seq counts in this tail."""
        last = self.unreleased[-1]
        if last.epoch == beat.epoch:
            return min(beat.commit_seq, last.seq)
        for record in reversed(self.unreleased):
            if record.epoch == beat.epoch:
                return min(beat.commit_seq, record.seq)
        return 0

    def _release(self, record: Record) -> None:
        check(I1, record.seq == self.released_seq + 1, "released out of order", stream=self.stream, seq=record.seq)
        check(I1, record.epoch >= self.released_epoch, "an epoch fell", stream=self.stream, seq=record.seq)
        check(I1, record.tau > self.released_tau, "tau did not rise", stream=self.stream, seq=record.seq)
        check(
            I5, record.tau > self.closed, "record at or below closed time", stream=self.stream, seq=record.seq,
            tau=record.tau, closed=self.closed,
        )  # fmt: skip
        self.released_epoch = record.epoch
        self.released_seq = record.seq
        self.released_tau = record.tau
        self.closed = record.tau
        self.ready.append(record)
        self.ready_bytes += len(record.payload)


class Merge:
    """All streams from one position on. `watermark` is complete there: every record at or below it came before."""

    __slots__ = ("_order", "cursors", "tails", "watermark")

    def __init__(self, streams: Iterable[int], watermark: int, cursors: Mapping[int, Cursor]) -> None:
        self.watermark = watermark
        self.tails: dict[int, StreamTail] = {}
        self.cursors: dict[int, Cursor] = dict(cursors)  # of what has left the merge
        for stream in streams:
            cursor = cursors.get(stream)
            epoch, seq = (cursor.epoch, cursor.seq) if cursor is not None else (NO_EPOCH, 0)
            self.tails[stream] = StreamTail(stream, epoch, seq, watermark)
        self._order = list(self.tails.values())

    def take(self, part: TailPart) -> None:
        self.tails[part.stream].take(part)

    def hear(self, beat: Beat) -> None:
        tail = self.tails.get(beat.stream)
        if tail is not None:
            tail.hear(beat)

    def drain(self) -> list[tuple[int, Record]]:
        """(stream, record) in tau order, as far as every stream is closed; the watermark moves up to there."""
        order = self._order
        if len(order) == 1:
            closed = order[0].closed
        else:
            closed = min(tail.closed for tail in order)
        merged: list[tuple[int, Record]] = []
        for tail in order:
            ready = tail.ready
            while ready and ready[0].tau <= closed:
                record = ready.popleft()
                tail.ready_bytes -= len(record.payload)
                merged.append((tail.stream, record))
        if len(order) > 1 and len(merged) > 1:
            merged.sort(key=_tau_of)
        if merged:
            check(I5, merged[0][1].tau > self.watermark, "record at or below the watermark", tau=merged[0][1].tau)
        check(I12, closed >= self.watermark, "the watermark fell", closed=closed, watermark=self.watermark)
        self.watermark = closed
        return merged


def _tau_of(item: tuple[int, Record]) -> int:
    return item[1].tau
