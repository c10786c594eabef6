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
- A stream begins when the record that registers it is released: closed up to its start, which is that record's tau, so
  that no watermark has passed it. It ends, closed for ever, when its last record is; when that leaves, so does it.
- The record that drops a stream from the registry is released with the registry, before anything above its own tau can
  be; it stands for the beats that nobody sends any more, for whoever reads that stream's log late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from tausql.crossbar.registry import STREAM_OF_REGISTRY, begun_by, ended_by, ends_with
from tausql.protocol.adjudicator import Beat
from tausql.protocol.crossbar import Cursor
from tausql.protocol.journal import NO_EPOCH, Ended, Epoch, Kind, Record, Registered, TailPart
from tausql.protocol.tau import TAU_MAX
from tausql.runtime.check import I1, I5, I12, check


class StreamTail:
    """One stream as one journal replica shows it, and as the beats of its holders explain it."""

    __slots__ = (
        "beat",
        "begun",
        "closed",
        "ended",
        "over",
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
        self.begun: list[Registered] = []  # streams that begin with records released since somebody looked
        self.over: list[Ended] = []  # and those that the same records say are over
        self.ended = False  # the last record there will ever be is released

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
        return beat is not None and not self.ended and (self.last_epoch < beat.epoch or self.last_seq < beat.n)

    def restart(self) -> None:
        """The tail is read anew, perhaps from another replica, from the last released record."""
        self.unreleased.clear()
        self.replica_commit = 0

    def take(self, part: TailPart) -> None:
        """What the replica says next."""
        if self.ended:
            return  # the end may be said again: whoever finds it makes sure of it
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

    def end(self, end: Ended) -> None:
        """All of the log up to this record, or to the last one before it, is committed."""
        known = self.beat
        tau = known.tau if known is not None and known.epoch == end.epoch else 0
        self.beat = Beat(self.stream, end.epoch, end.seq, tau, end.seq)
        self._advance()

    def _advance(self) -> None:
        unreleased = self.unreleased
        beat = self.beat
        if unreleased:
            committed = self.replica_commit
            if beat is not None and beat.commit_seq > committed:
                committed = max(committed, self._matched(beat))
            while unreleased and unreleased[0].seq <= committed and not self.ended:
                self._release(unreleased.popleft())
        if beat is None or self.ended or beat.epoch != self.released_epoch:
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
        if record.kind != Kind.transaction:
            self.begun += begun_by(self.stream, record)
            self.over += ended_by(self.stream, record)
            if ends_with(record):
                self.ended = True
                self.closed = TAU_MAX
                self.unreleased.clear()


class Merge:
    """All streams from one position on. `watermark` is complete there: every record at or below it came before.

    `tails` are those of the streams there are; `changed` says that they have changed since somebody set it to False."""

    __slots__ = ("_early", "_order", "_registry", "changed", "cursors", "tails", "watermark")

    def __init__(self, watermark: int, cursors: Mapping[int, Cursor]) -> None:
        self.watermark = watermark
        self.tails: dict[int, StreamTail] = {}
        self.cursors: dict[int, Cursor] = dict(cursors)  # of what has left the merge
        self.changed = False
        self._early: dict[int, Beat] = {}  # of streams that have not begun here: the newest
        for stream in cursors or (STREAM_OF_REGISTRY,):
            cursor = cursors.get(stream)
            epoch, seq = (cursor.epoch, cursor.seq) if cursor is not None else (NO_EPOCH, 0)
            self.tails[stream] = StreamTail(stream, epoch, seq, watermark)
        self._registry = self.tails.get(STREAM_OF_REGISTRY)
        self._order = list(self.tails.values())

    def take(self, part: TailPart) -> None:
        self.tails[part.stream].take(part)

    def hear(self, beat: Beat) -> None:
        tail = self.tails.get(beat.stream)
        if tail is not None:
            tail.hear(beat)
        else:
            known = self._early.get(beat.stream)
            if known is None or beat.epoch >= known.epoch:
                self._early[beat.stream] = beat

    def _begin(self, begun: Iterable[Registered]) -> None:
        for one in begun:
            check(I1, one.stream not in self.tails, "a stream begins twice", stream=one.stream, start=one.start)
            check(I5, one.start >= self.watermark, "a stream begins in the past", stream=one.stream, start=one.start)
            tail = self.tails[one.stream] = StreamTail(one.stream, NO_EPOCH, 0, one.start)
            early = self._early.pop(one.stream, None)
            if early is not None:
                tail.hear(early)
        self._order = list(self.tails.values())
        self.changed = True

    def drain(self) -> list[tuple[int, Record]]:
        """(stream, record) in tau order, as far as every stream is closed; the watermark moves up to there."""
        registry = self._registry
        if registry is not None and (registry.begun or registry.over):
            begun, registry.begun = registry.begun, []
            over, registry.over = registry.over, []
            self._begin(begun)
            for end in over:
                if end.stream in self.tails:
                    self.tails[end.stream].end(end)
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
            advance(self.cursors, merged)
            if len(self.cursors) < len(order):
                self._end()
        check(I12, closed >= self.watermark, "the watermark fell", closed=closed, watermark=self.watermark)
        self.watermark = closed
        return merged

    def _end(self) -> None:
        """Let go of streams whose last record has left."""
        gone = [tail.stream for tail in self._order if tail.ended and not tail.ready]
        for stream in gone:
            del self.tails[stream]
        if gone:
            self._order = list(self.tails.values())
            self.changed = True


def advance(cursors: dict[int, Cursor], merged: Iterable[tuple[int, Record]]) -> None:
    """Move `cursors` on past these records, which have left the merge in this order."""
    for stream, record in merged:
        cursors[stream] = Cursor(stream, record.epoch, record.seq)
        if record.kind != Kind.transaction:
            for one in begun_by(stream, record):
                cursors[one.stream] = Cursor(one.stream, NO_EPOCH, 0)
            if ends_with(record):
                del cursors[stream]


def _tau_of(item: tuple[int, Record]) -> int:
    return item[1].tau
