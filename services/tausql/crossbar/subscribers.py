"""The merged records of late, and who has had how much of them.

A queue a subscriber would hold the same records many times, and without a bound for whoever is slow. Here there is one
ring, bounded in bytes and records; a subscriber is a position in it, and the three replicas of a shard, usually at the
same position, share one encoded delivery. Whoever falls out of the ring reads the journal again from its own cursors.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping

import msgspec

from tausql.crossbar.registry import begun_by, ends_with
from tausql.protocol.adjudicator import Transaction
from tausql.protocol.crossbar import Cursor, Delivered, Delivery
from tausql.protocol.journal import NO_EPOCH, Epoch, Kind, Record
from tausql.protocol.ranges import Lookup, Range, RangeSet
from tausql.rpc.interface import Encoded, Sink
from tausql.runtime.check import I5, check

DELIVERY_RECORDS_MAX = 1_000
DELIVERY_BYTES_MAX = 1 << 20

_decode_transaction = msgspec.msgpack.Decoder(Transaction).decode


class Entry:
    """One merged record. `delivered` is None for what no subscriber needs to see (epochs beginning and ending)."""

    __slots__ = ("begun", "delivered", "ended", "epoch", "everywhere", "high", "low", "seq", "size", "stream", "tau")

    def __init__(self, stream: int, record: Record) -> None:
        self.stream = stream
        self.epoch: Epoch = record.epoch
        self.seq = record.seq
        self.tau = record.tau
        self.size = len(record.payload) + 100
        self.delivered: Delivered | None = None
        self.low = self.high = b""
        self.everywhere = False
        if record.kind == Kind.transaction:
            transaction = _decode_transaction(record.payload)
            self.low = transaction.low
            self.high = transaction.high
            self.everywhere = bool(transaction.changes)  # every shard answers for schema versions
            self.delivered = Delivered(record.tau, transaction.changes, transaction.body)
            self.begun: tuple[int, ...] = ()  # streams that begin with it
            self.ended = False  # its stream ends with it
        else:
            self.begun = tuple(one.stream for one in begun_by(stream, record))
            self.ended = ends_with(record)


class Ring:
    """Entries in tau order, addressed by a number that only grows; `first` is the oldest still here."""

    __slots__ = ("base", "bytes", "bytes_max", "cursors", "entries", "first", "records_max", "taus", "watermark")

    def __init__(self, watermark: int, cursors: Mapping[int, Cursor], bytes_max: int, records_max: int) -> None:
        self.base = watermark  # every entry above this tau is here
        self.watermark = watermark
        self.cursors = tuple(cursors[stream] for stream in sorted(cursors))  # after the last entry
        self.entries: list[Entry] = []
        self.taus: list[int] = []
        self.first = 0
        self.bytes = 0
        self.bytes_max = bytes_max
        self.records_max = records_max

    @property
    def end(self) -> int:
        return self.first + len(self.entries)

    def append(self, merged: Iterable[tuple[int, Record]]) -> None:
        for stream, record in merged:
            entry = Entry(stream, record)
            self.entries.append(entry)
            self.taus.append(entry.tau)
            self.bytes += entry.size

    def advance(self, watermark: int, cursors: Mapping[int, Cursor] | None) -> None:
        """Everything at or below `watermark` has been appended. `cursors` when they have changed."""
        self.watermark = watermark
        if cursors is not None:
            self.cursors = tuple(cursors[stream] for stream in sorted(cursors))

    @property
    def over(self) -> bool:
        return self.bytes > self.bytes_max or len(self.entries) > self.records_max

    def shrink(self) -> None:
        """Once over its bounds, drop the older half."""
        if self.over:
            self.drop(self.first + max(1, len(self.entries) // 2))

    def drop(self, keep_from: int) -> None:
        """Drop every entry before position `keep_from`."""
        count = keep_from - self.first
        if count <= 0:
            return
        self.base = self.taus[count - 1]
        self.bytes -= sum(entry.size for entry in self.entries[:count])
        del self.entries[:count]
        del self.taus[:count]
        self.first += count

    def position(self, watermark: int) -> int:
        """Where a subscriber with this watermark goes on. It must not be below `base`."""
        return self.first + bisect_right(self.taus, watermark)


class Subscriber:
    """One subscription: where it is, and whether it can take more."""

    __slots__ = ("blocked", "cursors", "position", "ranges", "replica", "resume", "sink", "watermark")

    def __init__(
        self, sink: Sink, replica: str, ranges: Iterable[Range], watermark: int, cursors: tuple[Cursor, ...]
    ) -> None:
        self.sink = sink
        self.replica = replica
        self.ranges = Lookup(ranges)
        self.watermark = watermark
        self.cursors = cursors
        self.position = 0
        self.blocked = False
        self.resume: Callable[[], None] = _nowhere  # what to do once the sink is ready: whichever feed it stands on


def _nowhere() -> None:
    """A subscriber that stands on no feed has nothing to go on with."""


class _Made:
    """A delivery made for one position, set of ranges and watermark."""

    __slots__ = ("cursors", "encoded", "position", "watermark")

    def __init__(self, encoded: Encoded, position: int, watermark: int, cursors: tuple[Cursor, ...]) -> None:
        self.encoded = encoded
        self.position = position
        self.watermark = watermark
        self.cursors = cursors


class Deliveries:
    """Makes the next delivery of each subscriber, once for all that stand at the same place. Good for one round: make
    a new one when the ring has changed."""

    __slots__ = ("_bytes_max", "_fleet", "_made", "_records_max", "_ring")

    def __init__(
        self,
        fleet: str,
        ring: Ring,
        records_max: int = 0,
        bytes_max: int = DELIVERY_BYTES_MAX,
    ) -> None:
        self._fleet = fleet
        self._ring = ring
        self._records_max = records_max or DELIVERY_RECORDS_MAX
        self._bytes_max = bytes_max
        self._made: dict[tuple[int, int, RangeSet], _Made] = {}

    def push(self, subscriber: Subscriber) -> int:
        """Push everything the subscriber does not have, until it is full; returns the number of deliveries."""
        ring = self._ring
        count = 0
        while not subscriber.blocked and subscriber.watermark < ring.watermark:
            key = (subscriber.position, subscriber.watermark, subscriber.ranges.ranges)
            made = self._made.get(key)
            if made is None:
                made = self._made[key] = self._make(subscriber)
            check(I5, made.watermark > subscriber.watermark, "a delivery that does not advance", to=made.watermark)
            subscriber.position = made.position
            subscriber.watermark = made.watermark
            subscriber.cursors = made.cursors
            count += 1
            if not subscriber.sink.push(made.encoded):
                subscriber.blocked = True
        return count

    def _make(self, subscriber: Subscriber) -> _Made:
        ring = self._ring
        everything, touches = subscriber.ranges.everything, subscriber.ranges.touches
        after = subscriber.watermark
        records: list[Delivered] = []
        size = 0
        at = subscriber.position - ring.first
        entries = ring.entries
        count = len(entries)
        while at < count and size < self._bytes_max and len(records) < self._records_max:
            entry = entries[at]
            at += 1
            delivered = entry.delivered
            if delivered is None or entry.tau <= after:
                continue
            if everything or entry.everywhere or touches(entry.low, entry.high):
                records.append(delivered)
                size += entry.size
        position = ring.first + at
        if at == count:
            watermark, cursors = ring.watermark, ring.cursors
        else:
            watermark = entries[at - 1].tau  # the loop ends early only behind a record it took
            cursors = _advanced(subscriber.cursors, entries[subscriber.position - ring.first : at])
        return _Made(Encoded(Delivery(self._fleet, records, watermark, cursors)), position, watermark, cursors)


def _advanced(cursors: tuple[Cursor, ...], entries: Iterable[Entry]) -> tuple[Cursor, ...]:
    moved = {cursor.stream: cursor for cursor in cursors}
    last: dict[int, Entry] = {}
    for entry in entries:
        last[entry.stream] = entry
        for stream in entry.begun:
            moved.setdefault(stream, Cursor(stream, NO_EPOCH, 0))
    for stream, entry in last.items():
        known = moved.get(stream)
        if entry.ended:
            moved.pop(stream, None)
        elif known is None or known.seq < entry.seq:
            moved[stream] = Cursor(stream, entry.epoch, entry.seq)
    return tuple(moved[stream] for stream in sorted(moved))
