"""What a replica keeps: any number of key ranges in one engine, under one subscription.

An engine and a subscription for every range would cost a memtable, a log and a feed each, and cutting a range in two
would mean moving its rows. Here a shard is a line in a list: cutting and joining is writing that list anew. Rows of
all shards are at one watermark, that of the subscription; only a shard whose rows came with a peer's checkpoint from
further ahead (`base`) waits until the subscription has reached it.

A shard is *taking* from the moment its records are subscribed to until the rows from before that have come from a peer;
then it is *whole*. After a crash in between what came is worth nothing: versions that the peer has collected since may
be among it. So a shard found taking is dropped, rows and all, and taken anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec

from tausql.protocol.ranges import Range, RangeSet, common, united
from tausql.storage.loads import Meter

SHARDS_KEY = b"m.shards"


class Status(IntEnum):
    taking = 0
    whole = 1


class Kept(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A shard as stored. Records at or below `base` are in it already."""

    low: bytes
    high: bytes
    base: int = 0
    status: int = Status.whole


_decode_kept = msgspec.msgpack.Decoder(tuple[Kept, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


def decoded_shards(found: bytes) -> tuple[Kept, ...]:
    return _decode_kept(found)


class Shard:
    """One range. `state_hash` (I11): the sum of hashes of every (key, tau, row) ever applied to it, modulo 2**64, on
    whichever replica; None where it is not known, as after a cut."""

    __slots__ = ("base", "high", "low", "meter", "state_hash", "status")

    def __init__(
        self, low: bytes, high: bytes, base: int = 0, status: int = Status.whole, state_hash: int | None = 0
    ) -> None:
        self.low = low
        self.high = high
        self.base = base
        self.status = status
        self.state_hash = state_hash
        self.meter = Meter()

    @property
    def range(self) -> Range:
        return self.low, self.high

    @property
    def whole(self) -> bool:
        return self.status == Status.whole


class Shards:
    """The list, in key order and without overlaps. Whoever changes it has the applier write it."""

    __slots__ = ("all",)

    def __init__(self, kept: Iterable[Kept] = (), hashes: Sequence[int | None] = ()) -> None:
        self.all: list[Shard] = []
        for number, one in enumerate(kept):
            self.all.append(Shard(one.low, one.high, one.base, one.status, hashes[number] if hashes else 0))

    def encoded(self) -> bytes:
        return _encode(tuple(Kept(one.low, one.high, one.base, one.status) for one in self.all))

    def hashes(self) -> tuple[int | None, ...]:
        return tuple(one.state_hash for one in self.all)

    def ranges(self) -> RangeSet:
        """Everything kept, what is being taken included: what is subscribed to."""
        return united(one.range for one in self.all)

    def complete(self, watermark: int) -> RangeSet:
        """What a read at `watermark` finds whole."""
        return united(one.range for one in self.all if one.whole and one.base <= watermark)

    def whole(self) -> RangeSet:
        return united(one.range for one in self.all if one.whole)

    def of(self, key: bytes) -> Shard | None:
        """The shard that `key` lies in."""
        at = bisect_right(self.all, key, key=_low) - 1
        if at < 0:
            return None
        found = self.all[at]
        return found if not found.high or key < found.high else None

    def add(self, shard: Shard) -> None:
        """A range that is not kept yet."""
        self.all.insert(bisect_right(self.all, shard.low, key=_low), shard)

    def remove(self, ranges: RangeSet) -> None:
        """Keep nothing of `ranges` any more."""
        self.cut({bound for one in ranges for bound in one})
        self.all = [one for one in self.all if not common((one.range,), ranges)]

    def cut(self, keys: Iterable[bytes]) -> bool:
        """Make every one of `keys` a bound, where it lies within a shard. True if anything changed. What is being taken
        stays in one piece."""
        changed = False
        for key in sorted(keys):
            found = self.of(key) if key else None
            if found is None or found.low == key or not found.whole:
                continue
            known = 0 if found.state_hash == 0 else None  # nothing was applied, or nobody knows to which half
            upper = Shard(key, found.high, found.base, found.status, known)
            found.high, found.state_hash = key, known
            upper.meter = found.meter.halved(key)
            self.add(upper)
            changed = True
        return changed

    def join(self, cuts: Iterable[bytes], watermark: int) -> bool:
        """Join neighbours whose common bound is not among `cuts` and whose rows are whole at `watermark`, the
        position. True if anything changed."""
        bounds = set(cuts)
        made: list[Shard] = []
        for one in self.all:
            before = made[-1] if made else None
            if before is None or not before.high or before.high != one.low or one.low in bounds:
                made.append(one)
            elif before.whole and one.whole and max(before.base, one.base) <= watermark:
                before.base = max(before.base, one.base)
                before.high = one.high
                if before.state_hash is not None and one.state_hash is not None:
                    before.state_hash = (before.state_hash + one.state_hash) & ((1 << 64) - 1)
                else:
                    before.state_hash = None
                before.meter.join(one.meter)
            else:
                made.append(one)
        changed = len(made) != len(self.all)
        self.all = made
        return changed


def _low(shard: Shard) -> bytes:
    return shard.low
