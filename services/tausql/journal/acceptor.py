"""One stream's acceptor: who may append, where an append fits, what of the log must give way.

The obvious acceptor would take what the holder sends and overwrite. But messages come late, twice and out of order, and
a holder may have been replaced without knowing: so a lower epoch is fenced, an append must say what it follows, and
only a record of another epoch is ever cut. Nothing here is done before `Effects.persist` has it; nothing may be told to
anyone before the shell's next sync.

Answers are tuples of the fields that differ; the replica adds who it is.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tausql.journal.entries import BaseEntry, Entry, LogEntry, LogState
from tausql.protocol.journal import Append, Epoch, Kind, Record, Status
from tausql.runtime.check import I2, I3, I12, check


class Effects(Protocol):
    """What the cores ask of the shell, at once and in order."""

    def persist(self, entry: Entry) -> None:
        """Write `entry` down with the next sync, and apply it to the state now."""
        ...

    def fresh(self, stream: int, keep_seq: int, records: list[Record]) -> None:
        """After the next sync, subscribers drop what is above `keep_seq` and get `records`."""
        ...

    def committed(self, stream: int) -> None:
        """A stream's commit_seq rose."""
        ...

    def rebased(self, stream: int) -> None:
        """A stream's log begins later than it did: subscribers below that have lost their place."""
        ...

    def has_room(self, size: int) -> bool:
        """Whether the disk takes records of so many bytes with room to spare: else holders should send no more."""
        ...

    def can_hold(self, size: int) -> bool:
        """Whether records of so many bytes that are on their way already still fit."""
        ...


class AppendAnswer(NamedTuple):
    """seq: ok = the last seq matched; gap = where to go back to."""

    status: Status
    seq: int


class Acceptor:
    """Rules of one stream. `state` is what is (about to be) on the disk, `commit_seq` is this process's knowledge."""

    __slots__ = ("commit_seq", "effects", "state")

    def __init__(self, state: LogState, effects: Effects) -> None:
        self.state = state
        self.effects = effects
        self.commit_seq = state.trim_seq  # only what is committed is trimmed

    def open(self, epoch: Epoch) -> Status:
        """Promise `epoch` if it is above every epoch promised, else fenced."""
        state = self.state
        if epoch <= state.promised:
            return Status.fenced
        self.effects.persist(LogEntry(state.stream, epoch, state.limit, state.last_seq, []))
        check(I2, state.promised == epoch, "granted without a promise", stream=state.stream, epoch=epoch)
        return Status.ok

    def append(self, request: Append) -> AppendAnswer:
        """ok, fenced, gap or full. The limit's bound is the replica's business, before this."""
        state = self.state
        epoch = request.epoch
        if epoch < state.promised:
            return AppendAnswer(Status.fenced, 0)
        records = request.records
        if records and not self._fits(records):
            return AppendAnswer(Status.full, 0)
        check(I2, not records or records[-1].epoch <= epoch, "a record above its append's epoch", epoch=epoch)
        previous = request.previous_seq
        if previous != state.last_seq or request.previous_epoch != state.last_epoch:
            if previous > state.last_seq or (
                previous >= state.trim_seq and state.epoch_at(previous) != request.previous_epoch
            ):
                if epoch > state.promised:
                    self.effects.persist(LogEntry(state.stream, epoch, state.limit, state.last_seq, []))
                return AppendAnswer(Status.gap, self._go_back(previous))
            matched = self._overlap(request)
        else:
            matched = previous + len(records)
            if records or epoch > state.promised or request.limit > state.limit:
                self._take(request, previous, records)
        check(I2, epoch == state.promised, "acknowledged another epoch than promised", stream=state.stream)
        commit_seq = min(request.commit_seq, matched)
        if commit_seq > self.commit_seq:
            self.commit_seq = commit_seq
            self.effects.committed(state.stream)
        return AppendAnswer(Status.ok, matched)

    def _fits(self, records: list[Record]) -> bool:
        """Whoever cannot begin an epoch for want of room cannot close time either, and nobody could read: what is no
        transaction always fits, as promises do."""
        size = _size(records)
        if self.effects.has_room(size) or self.effects.can_hold(size):
            return True
        return all(record.kind != Kind.transaction for record in records)

    def _overlap(self, request: Append) -> int:
        """An append that begins inside the log: keep what is the same, cut at the first record of another epoch."""
        state = self.state
        records = request.records
        seq = request.previous_seq
        fresh_from = 0
        for record in records:
            seq += 1
            if seq > state.last_seq or (seq > state.trim_seq and state.epoch_at(seq) != record.epoch):
                break
            fresh_from += 1
        keep_seq = request.previous_seq + fresh_from
        fresh = records[fresh_from:]
        if not fresh:  # a duplicate, in whole: cuts nothing
            keep_seq = state.last_seq
        elif keep_seq < state.last_seq:
            check(I3, keep_seq >= self.commit_seq, "cut below commit_seq", stream=state.stream, keep_seq=keep_seq)
        if fresh or request.epoch > state.promised or request.limit > state.limit:
            self._take(request, keep_seq, fresh)
        return request.previous_seq + len(records)

    def _take(self, request: Append, keep_seq: int, records: list[Record]) -> None:
        state = self.state
        limit = state.limit
        self.effects.persist(
            LogEntry(state.stream, request.epoch, request.limit if request.limit > limit else limit, keep_seq, records)
        )
        if records:
            self.effects.fresh(state.stream, keep_seq, records)

    def _go_back(self, previous: int) -> int:
        """A seq below `previous` where the proposer's log and this one may still agree."""
        state = self.state
        if previous > state.last_seq:
            return state.last_seq
        return max(state.trim_seq, state.first_of_epoch_at(previous) - 1)

    def wanted_trim(self, epoch: Epoch, seq: int, based: bool = False) -> int | None:
        """Up to where the log may go, told that everything up to (epoch, seq) is committed and held elsewhere. None:
        this log is behind that, or diverged before it, and has to begin where others' begin.

        Who judges what is only in the log: the newest ownership that is *committed* stays. A newer one may still be
        cut, and one trimmed on its account would then be missed. `based`: another replica's log begins above (epoch,
        seq), so that this has been seen to."""
        state = self.state
        if seq <= state.trim_seq:
            return state.trim_seq
        if not state.agrees(epoch, seq):
            return None
        if seq > self.commit_seq:
            self.commit_seq = seq
            self.effects.committed(state.stream)
        return seq if based else max(state.trim_seq, min(seq, state.ownership_at(self.commit_seq) - 1))

    def adopt_base(self, epoch: Epoch, seq: int) -> None:
        """This log is behind a trim point, or diverged before it: begin there. (epoch, seq) is committed."""
        state = self.state
        if seq <= state.trim_seq or state.agrees(epoch, seq):
            return
        if epoch > state.promised:
            self.effects.persist(LogEntry(state.stream, epoch, state.limit, state.last_seq, []))
        self.effects.persist(BaseEntry(state.stream, epoch, seq))
        check(I12, state.trim_seq == seq, "a base was not taken", stream=state.stream, seq=seq)
        self.commit_seq = max(self.commit_seq, seq)
        self.effects.rebased(state.stream)


def _size(records: list[Record]) -> int:
    size = 0
    for record in records:
        size += len(record.payload) + 64
    return size
