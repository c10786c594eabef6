"""What became of a transaction: the truth for a client whose answer was lost.

"Ask whether the record is in the log" is not enough: the commit itself may still be on its way, so its absence proves
nothing. Within one epoch the holder therefore answers an unknown transaction by deciding against it, and remembers. In
a later epoch no record of an earlier one can join the log any more, so absence is proof, once the log has been read
back to the transaction's snapshot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from tausql.protocol.adjudicator import Aborted, Transaction
from tausql.protocol.journal import Kind, Record
from tausql.protocol.tau import SHIFT
from tausql.runtime.check import I7, check

Verdict = int | Aborted  # a tau_commit (assigned, perhaps not yet durable), or why not
_BUCKET_BITS = SHIFT + 20  # deadlines are remembered about a second apart


class Outcomes:
    """Verdicts of one epoch, each kept until its deadline is closed and a little longer."""

    __slots__ = ("_buckets", "_count_max", "forgotten", "horizon", "verdicts")

    def __init__(self, count_max: int = 500_000) -> None:
        self.verdicts: dict[bytes, Verdict] = {}
        self.forgotten = 0  # transactions with a deadline at or below it may be forgotten
        self.horizon = 1 << 63  # deadlines beyond it count as it: by then the floor has passed their snapshots
        self._count_max = count_max
        self._buckets: dict[int, list[bytes]] = {}

    def remember(self, txn: bytes, deadline: int, verdict: Verdict) -> None:
        """The one verdict on `txn`, for ever."""
        check(I7, txn not in self.verdicts, "a second verdict on a transaction", txn=txn)
        self.verdicts[txn] = verdict
        number = min(deadline, self.horizon) >> _BUCKET_BITS
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = []
        bucket.append(txn)
        if len(self.verdicts) > self._count_max:
            self._forget(min(self._buckets))

    def prune(self, closed: int) -> None:
        """Forget verdicts whose deadline is at or below `closed`. Call a few times a second."""
        for number in sorted(self._buckets):
            if (number + 1) << _BUCKET_BITS > closed:
                return
            self._forget(number)

    def _forget(self, number: int) -> None:
        for txn in self._buckets.pop(number):
            del self.verdicts[txn]
        self.forgotten = max(self.forgotten, (number + 1) << _BUCKET_BITS)


class Recovered:
    """The transactions of earlier epochs, read from the log's end (`last_seq`) backwards.

    `seq_next` is the seq to go on below; every record with a tau at or above `tau_from` has been read and is known. Of
    what lies below `forgotten` nothing can be said any more, however far the log is read."""

    __slots__ = ("_decode", "_order", "forgotten", "seq_base", "seq_next", "tau_from", "taus")

    def __init__(self, last_seq: int, trim_seq: int, last_tau: int = 0) -> None:
        """`last_tau`: of the record at `last_seq`, 0 where that is not known."""
        self.taus: dict[bytes, int] = {}
        self.seq_base = trim_seq
        self.seq_next = last_seq
        self.tau_from = 1 << 63
        self.forgotten = 0
        self._order: deque[tuple[int, bytes]] = deque()  # newest first
        self._decode = msgspec.msgpack.Decoder(Transaction).decode
        if last_seq == 0:
            self.tau_from = 0
        elif last_seq <= trim_seq and last_tau:
            self.tau_from = last_tau  # all of the log is gone, as after a long calm; it still says how far it went

    @property
    def exhausted(self) -> bool:
        """Nothing is left to read."""
        return self.seq_next <= self.seq_base

    def covers(self, tau_start: int) -> bool:
        """Everything that a transaction with this snapshot may have committed as has been read."""
        return self.tau_from <= tau_start

    def take(self, records: Iterable[Record]) -> None:
        """Records up to `seq_next`, contiguous and in rising order, of epochs before this one."""
        block = list(records)
        if not block or block[-1].seq != self.seq_next:
            raise ValueError("a part of the log that does not end where reading left off")
        for record in reversed(block):
            if record.kind == Kind.transaction:
                txn = self._decode(record.payload).txn
                check(I7, txn not in self.taus, "a transaction committed twice", txn=txn, tau=record.tau)
                self.taus[txn] = record.tau
                self._order.append((record.tau, txn))
        self.seq_next = block[0].seq - 1
        self.tau_from = max(0 if self.seq_next == 0 else block[0].tau, self.forgotten)

    def forget(self, tau: int) -> None:
        """Transactions committed at or below `tau` are asked for no more."""
        while self._order and self._order[-1][0] <= tau:
            oldest, txn = self._order.pop()
            del self.taus[txn]
            self.forgotten = max(self.forgotten, oldest + 1)
            self.tau_from = max(self.tau_from, self.forgotten)
