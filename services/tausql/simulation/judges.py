"""Who may judge what, by what streams write: ranges, ends, and the votes that both must lie above.

A wrong judge is seldom noticed by its verdicts: two transactions must meet on one key within a few milliseconds. Here
each record is held against what its stream has written before.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tausql.protocol.adjudicator import Commit, Transaction
from tausql.protocol.journal import Epoch, EpochEnd, EpochStart, Kind, Ownership, Record
from tausql.protocol.ranges import Lookup
from tausql.runtime.check import I4, I5, I6, check

COMMITS_KEPT = 5_000

_decode_start = msgspec.msgpack.Decoder(EpochStart).decode
_decode_end = msgspec.msgpack.Decoder(EpochEnd).decode
_decode_ownership = msgspec.msgpack.Decoder(Ownership).decode
_decode_transaction = msgspec.msgpack.Decoder(Transaction).decode


class Judges:
    """Fed by the witness, record by record as each epoch first sends it."""

    def __init__(self) -> None:
        self._asked: dict[bytes, list[bytes]] = {}  # txn -> keys that its coordinator judges
        self._owned: dict[tuple[int, Epoch], Lookup] = {}  # as written last
        self._given: dict[tuple[int, Epoch], int] = {}  # how many ranges were on their way then
        self.ends: dict[tuple[int, Epoch], int] = {}  # where an epoch says that the next may start
        self._seals: dict[tuple[int, int], Epoch] = {}  # (stream, seq) of an end for ever -> its epoch

    def asked(self, commit: Commit) -> None:
        if commit.writes or commit.shares:
            self._asked[commit.txn] = [*commit.writes, *commit.shares]
            if len(self._asked) > COMMITS_KEPT:
                del self._asked[next(iter(self._asked))]

    def wrote(self, stream: int, record: Record, tenure: Any) -> None:
        """`tenure`: of whoever writes it, None if it is gone already."""
        if record.kind == Kind.transaction:
            self._judged(stream, record)
        elif record.kind == Kind.epoch_start:
            self._began(stream, record, tenure)
        elif record.kind == Kind.ownership:
            self._owns(stream, record.epoch, _decode_ownership(record.payload), tenure)
        elif record.kind == Kind.epoch_end:
            self._ended(stream, record, tenure)

    def _judged(self, stream: int, record: Record) -> None:
        owned = self._owned.get((stream, record.epoch))
        if owned is not None:
            for key in self._asked.pop(_decode_transaction(record.payload).txn, ()):
                check(I6, owned.holds(key), "a stream judges what is not its own", stream=stream, key=key)

    def _began(self, stream: int, record: Record, tenure: Any) -> None:
        self._owns(stream, record.epoch, _decode_start(record.payload).ownership, None)
        sealed = self._seals.get((stream, record.seq - 1))
        if sealed is not None and tenure is not None and tenure.epoch == record.epoch:
            adopted = tenure.proposer.log.epoch_at(record.seq - 1)
            check(I5, adopted != sealed, "a sealed stream goes on", stream=stream, seq=record.seq)

    def _owns(self, stream: int, epoch: Epoch, now: Ownership, tenure: Any) -> None:
        where = (stream, epoch)
        self._owned[where] = Lookup((one.low, one.high) for one in now.owned)
        before, self._given[where] = self._given.get(where, 0), len(now.given)
        if tenure is not None and len(now.given) > before:
            floor = now.given[-1].floor
            above = floor >= tenure.docket.votes.highest_upper
            check(I4, above, "a range is given below a vote", stream=stream, floor=floor)

    def _ended(self, stream: int, record: Record, tenure: Any) -> None:
        end = _decode_end(record.payload)
        self.ends[stream, record.epoch] = end.high
        if end.sealed:
            self._seals[stream, record.seq] = record.epoch
        if tenure is not None and tenure.epoch == record.epoch:
            above = end.high >= tenure.docket.votes.highest_upper
            check(I4, above, "an epoch ends below a vote", stream=stream, high=end.high)
