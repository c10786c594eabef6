"""One epoch's view of its stream's log: the adopted past by epoch, the newest records in memory.

A proposer needs the epoch of any position (to say what an append follows) but only the newest records themselves:
keeping the whole adopted log would cost a takeover its speed, and keeping nothing would send every resend to the disk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tausql.protocol.journal import NO_EPOCH, Epoch, Record
from tausql.runtime.check import I1, check

RECORD_COST_BYTES = 300  # struct, list slot and bytes headers, beside the payload


class Log:
    """Positions 1 to `last_seq`; `tail` holds the records from `tail_first` on, all of this epoch."""

    __slots__ = ("_first_seqs", "_history", "last_seq", "tail", "tail_bytes", "tail_first", "tau", "trim_seq")

    def __init__(
        self, history: Sequence[tuple[Epoch, int]], last_seq: int, trim_epoch: Epoch, trim_seq: int, tau: int
    ) -> None:
        """`history`: (epoch, first seq) of the adopted log, oldest first. `tau`: nothing in it is above."""
        self._history: list[tuple[Epoch, int]] = [(trim_epoch, trim_seq)] if trim_seq > 0 else []
        self._history += [(epoch, seq) for epoch, seq in history if seq > trim_seq]
        self._first_seqs = [seq for _, seq in self._history]
        self.trim_seq = trim_seq
        self.last_seq = last_seq
        self.tau = tau  # of the last record, or above it
        self.tail: list[Record] = []
        self.tail_first = last_seq + 1
        self.tail_bytes = 0

    def epoch_at(self, seq: int) -> Epoch:
        """The epoch of the record at `seq`; (0, 0) for 0, before the log."""
        if seq <= 0:
            return NO_EPOCH
        at = bisect_right(self._first_seqs, seq) - 1
        return self._history[at][0] if at >= 0 else NO_EPOCH

    def append(self, epoch: Epoch, tau: int, kind: int, payload: bytes) -> int:
        """Add a record of this epoch; its seq."""
        seq = self.last_seq + 1
        if tau <= self.tau:
            check(I1, False, "taus of a stream must rise", tau=tau, last=self.tau)
        if not self._history or self._history[-1][0] != epoch:
            check(I1, not self._history or epoch > self._history[-1][0], "epochs of a log may not fall", epoch=epoch)
            self._history.append((epoch, seq))
            self._first_seqs.append(seq)
        self.tail.append(Record(epoch, seq, tau, kind, payload))
        self.tail_bytes += len(payload) + RECORD_COST_BYTES
        self.last_seq = seq
        self.tau = tau
        return seq

    def block(self, seq: int, bytes_max: int, records_max: int) -> list[Record]:
        """Records from `seq` (in the tail) on: at least one if there is one."""
        start = seq - self.tail_first
        records = self.tail[start : start + records_max]
        total = 0
        for count, record in enumerate(records):
            total += len(record.payload)
            if total > bytes_max and count:
                return records[:count]
        return records

    def drop(self, seq: int) -> None:
        """Let go of the records up to `seq`."""
        count = min(seq - self.tail_first + 1, len(self.tail))
        if count > 0:
            self.tail_bytes -= sum(len(record.payload) + RECORD_COST_BYTES for record in self.tail[:count])
            del self.tail[:count]
            self.tail_first += count

    def trimmed(self, seq: int) -> None:
        """Records up to `seq`, committed long ago, are gone from the disks."""
        self.trim_seq = max(self.trim_seq, min(seq, self.last_seq))

    def matches(self, records: Sequence[Record], seq: int) -> bool:
        """Are these, read from a replica, the records of this log from `seq` on? A position and an epoch name one
        record for ever, and with it everything before."""
        return bool(records) and all(
            record.seq == seq + at and record.epoch == self.epoch_at(record.seq) and record.seq <= self.last_seq
            for at, record in enumerate(records)
        )
