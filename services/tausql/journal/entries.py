"""What a replica writes to its disk, and the state that reading it back gives.

Every entry states an outcome ("promised is now this, the log ends here and goes on with these"), never a step. The live
replica and the replay after a crash call the very same `apply`, so that the two cannot drift apart, and an entry read
twice does no harm.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from tausql.protocol.journal import NO_EPOCH, Epoch, Kind, Record
from tausql.runtime.check import I1, I12, check

Genesis = tuple[tuple[str, int], ...]  # (name, incarnation) of every replica, sorted by name

_OWNERSHIP_KINDS = frozenset((Kind.epoch_start, Kind.ownership))  # of records that carry an `Ownership`


class LogEntry(msgspec.Struct, tag=1, array_like=True, gc=False):
    """One stream after an accepted append or a promise: drop what lies above `keep_seq`, then take `records`."""

    stream: int
    promised: Epoch
    limit: int
    keep_seq: int
    records: list[Record]


class BaseEntry(msgspec.Struct, tag=2, array_like=True, gc=False):
    """Everything up to (epoch, seq) is committed and held elsewhere: it is gone here. What contradicts it goes too."""

    stream: int
    epoch: Epoch
    seq: int


class MemberEntry(msgspec.Struct, tag=3, array_like=True, gc=False, frozen=True):
    """Who this replica is and what it knows of the others. `known` is in the order of `names`."""

    name: str
    names: tuple[str, ...]  # all replicas of the fleet, sorted
    incarnation: int
    genesis: Genesis  # the one list accepted, () = none yet
    voter: bool
    known: tuple[int, ...]


class ClearEntry(msgspec.Struct, tag=4, array_like=True, gc=False):
    """A learner starts to copy afresh: no stream has anything."""


class LogSummary(msgspec.Struct, array_like=True, gc=False):
    """All of a stream but its records."""

    stream: int
    promised: Epoch
    limit: int
    trim_epoch: Epoch
    trim_seq: int
    last_seq: int
    last_tau: int
    history: list[tuple[Epoch, int]]
    ownerships: list[int]


class SnapshotEntry(msgspec.Struct, tag=5, array_like=True, gc=False):
    """First entry of every segment: what the segments before it said, so that they can go."""

    member: MemberEntry | None
    streams: list[LogSummary]


Entry = LogEntry | BaseEntry | MemberEntry | ClearEntry | SnapshotEntry


class LogState:
    """One stream's log without the records: what a promise, an append and an answer need to look at."""

    __slots__ = (
        "epochs",
        "firsts",
        "last_epoch",
        "last_seq",
        "last_tau",
        "limit",
        "ownerships",
        "promised",
        "stream",
        "trim_epoch",
        "trim_seq",
    )

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.promised: Epoch = NO_EPOCH
        self.limit = 0
        self.trim_epoch: Epoch = NO_EPOCH
        self.trim_seq = 0
        self.last_epoch: Epoch = NO_EPOCH
        self.last_seq = 0
        self.last_tau = 0  # 0 = not known (after a cut)
        self.epochs: list[Epoch] = []  # epochs above the trim point, oldest first ...
        self.firsts: list[int] = []  # ... and the seq each begins at
        self.ownerships: list[int] = []  # seqs of the records above the trim point that carry an `Ownership`

    def epoch_at(self, seq: int) -> Epoch:
        """Epoch of the record at `seq`, which is from trim_seq to last_seq."""
        if seq <= self.trim_seq:
            return self.trim_epoch
        return self.epochs[bisect_right(self.firsts, seq) - 1]

    def first_of_epoch_at(self, seq: int) -> int:
        """The first seq above the trim point whose record has the epoch of that at `seq`."""
        return self.firsts[bisect_right(self.firsts, seq) - 1]

    def ownership_at(self, seq: int) -> int:
        """Seq of the newest record from the trim point up to `seq` that carries an `Ownership`; 0 = none."""
        at = bisect_right(self.ownerships, seq)
        return self.ownerships[at - 1] if at else 0

    @property
    def blank(self) -> bool:
        """Nothing was ever written of it."""
        return self.promised == NO_EPOCH and not self.last_seq and not self.trim_seq and not self.limit

    def history(self) -> tuple[tuple[Epoch, int], ...]:
        return tuple(zip(self.epochs, self.firsts, strict=True))

    def apply(self, entry: LogEntry) -> None:
        """Promises and limits never fall (I12) and records follow on (I1), else `InvariantViolation`."""
        check(I12, entry.promised >= self.promised, "a promise falls", stream=self.stream, promised=entry.promised)
        check(I12, entry.limit >= self.limit, "a limit falls", stream=self.stream, limit=entry.limit)
        self.promised = entry.promised
        self.limit = entry.limit
        self.take(entry.keep_seq, entry.records)

    def take(self, keep_seq: int, records: list[Record]) -> None:
        """Drop what lies above `keep_seq`, then add `records`."""
        if keep_seq < self.last_seq:
            self.cut(keep_seq)
        seq, epoch, tau = self.last_seq, self.last_epoch, self.last_tau
        for record in records:
            seq += 1
            if record.seq != seq or record.tau <= tau or record.epoch < epoch:
                check(I1, record.seq == seq, "seqs are not contiguous", stream=self.stream, seq=record.seq, want=seq)
                check(I1, record.tau > tau, "taus do not rise", stream=self.stream, seq=seq, tau=record.tau, above=tau)
                check(I1, record.epoch >= epoch, "an epoch falls", stream=self.stream, seq=seq, epoch=record.epoch)
            tau = record.tau
            if record.epoch != epoch or not self.epochs:  # the history tells nothing of what was trimmed
                epoch = record.epoch
                self.epochs.append(epoch)
                self.firsts.append(seq)
            if record.kind in _OWNERSHIP_KINDS:
                self.ownerships.append(seq)
        self.last_seq, self.last_epoch, self.last_tau = seq, epoch, tau

    def cut(self, keep_seq: int) -> None:
        check(I1, keep_seq >= self.trim_seq, "a cut below the trim point", stream=self.stream, keep_seq=keep_seq)
        while self.firsts and self.firsts[-1] > keep_seq:
            self.firsts.pop()
            self.epochs.pop()
        del self.ownerships[bisect_right(self.ownerships, keep_seq) :]
        self.last_seq = keep_seq
        self.last_epoch = self.epochs[-1] if self.epochs else self.trim_epoch
        self.last_tau = 0

    def agrees(self, epoch: Epoch, seq: int) -> bool:
        """Whether (epoch, seq) is in this log, so that by log matching everything before it is the same too."""
        return self.trim_seq <= seq <= self.last_seq and self.epoch_at(seq) == epoch

    def rebase(self, entry: BaseEntry) -> None:
        """Forget everything up to the base; all of it if the log does not hold the base (it diverged before it)."""
        epoch, seq = entry.epoch, entry.seq
        check(I12, seq >= self.trim_seq, "a trim point falls", stream=self.stream, seq=seq, trim_seq=self.trim_seq)
        if not self.agrees(epoch, seq):
            self.epochs.clear()
            self.firsts.clear()
            self.ownerships.clear()
            self.last_seq, self.last_epoch, self.last_tau = seq, epoch, 0
        else:
            passed = bisect_right(self.firsts, seq + 1) - 1  # epochs before the one that seq + 1 belongs to
            if seq == self.last_seq:
                self.epochs.clear()
                self.firsts.clear()
            elif passed >= 0:
                del self.epochs[:passed]
                del self.firsts[:passed]
                self.firsts[0] = seq + 1
        del self.ownerships[: bisect_right(self.ownerships, seq)]
        self.trim_epoch, self.trim_seq = epoch, seq

    def summary(self) -> LogSummary:
        return LogSummary(
            self.stream,
            self.promised,
            self.limit,
            self.trim_epoch,
            self.trim_seq,
            self.last_seq,
            self.last_tau,
            list(zip(self.epochs, self.firsts, strict=True)),
            list(self.ownerships),
        )

    @classmethod
    def restored(cls, summary: LogSummary) -> LogState:
        state = cls(summary.stream)
        state.promised, state.limit = summary.promised, summary.limit
        state.trim_epoch, state.trim_seq = summary.trim_epoch, summary.trim_seq
        state.last_seq, state.last_tau = summary.last_seq, summary.last_tau
        state.epochs = [epoch for epoch, _ in summary.history]
        state.firsts = [first for _, first in summary.history]
        state.ownerships = list(summary.ownerships)
        state.last_epoch = state.epochs[-1] if state.epochs else summary.trim_epoch
        return state
