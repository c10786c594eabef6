"""Deliveries into the engine: rows, schema changes, cursors and watermark in one atomic batch each, for all shards.

Writing rows first and the position afterwards, or the other way round, would after a crash apply a record twice or not
at all. Together they make every moment a good moment to die: what is on the disk is exactly the state at some
watermark, and the crossbar goes on from there. Records at or below the watermark are duplicates and dropped.

Watermarks that bring no rows are kept in memory only, and written before a flush: they cost nothing to hear again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from zlib import crc32

import msgspec

from tausql.protocol.adjudicator import PostImage
from tausql.protocol.crossbar import Cursor, Delivered, Delivery
from tausql.protocol.ranges import EVERYTHING, Range, RangeSet
from tausql.protocol.tau import TAU_MAX
from tausql.runtime.check import I8, I12, check
from tausql.storage.engine import Batch, Engine
from tausql.storage.loads import Meter
from tausql.storage.schema import SchemaHistory, cluster_of
from tausql.storage.shards import SHARDS_KEY, Kept, Shard, Shards, Status, decoded_shards
from tausql.storage.versions import DATA, DATA_END, ROW, TOMBSTONE, escaped, pack_inverted

STATE_KEY = b"m.state"
_MASK = (1 << 64) - 1
_FACTOR = 0x9E3779B97F4A7C15
_decode_body = msgspec.msgpack.Decoder(list[PostImage]).decode
_encode = msgspec.msgpack.Encoder().encode


class State(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where a replica stands. `state_hash`: the sum of those of its shards that are known, modulo 2**64. `hashes`: of
    the shards in key order, () = there is one, and `state_hash` is its. `low` and `high`: its range in a checkpoint,
    and in a store without a list of shards."""

    fleet: str = ""
    watermark: int = 0
    cursors: tuple[Cursor, ...] = ()
    state_hash: int = 0
    low: bytes = b""
    high: bytes = b""
    hashes: tuple[int | None, ...] = ()


_decode_state = msgspec.msgpack.Decoder(State).decode


class StrangeFleet(Exception):
    """The delivery comes from another fleet's journal than the data here."""


def stored_state(engine: Engine) -> State | None:
    """The state the engine holds, None for a blank one."""
    found = engine.get(STATE_KEY)
    return None if found is None else _decode_state(found)


def decoded_state(found: bytes) -> State:
    return _decode_state(found)


def encoded_state(state: State) -> bytes:
    return _encode(state)


class Applier:
    """The one writer of a replica's rows.

    `layout` is another number whenever what is kept, or what of it is complete, has changed. Raises EngineFull and
    EngineFailed from whatever writes, the position in memory then unchanged."""

    __slots__ = (
        "_applied",
        "_bases",
        "_engine",
        "_highs",
        "_lows",
        "_persisted",
        "_settles",
        "_single",
        "changed_at",
        "changes",
        "layout",
        "schema",
        "shards",
        "state",
        "watermark",
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.changes = 0  # rows and tombstones applied in this process's life
        self.layout = 0
        self.schema = SchemaHistory()
        self.shards = Shards()
        self.state = State()
        self.watermark = self.changed_at = 0
        self._persisted = self.state
        self.reload()

    def reload(self) -> None:
        """Take the engine's state, at start and after a checkpoint."""
        state = self.state = stored_state(self._engine) or State()
        found = self._engine.get(SHARDS_KEY)
        if found is not None:
            self.shards = Shards(decoded_shards(found), state.hashes or (state.state_hash,))
        else:
            kept = (Kept(state.low, state.high),) if state.fleet else ()
            self.shards = Shards(kept, state.hashes or (state.state_hash,))
        self.watermark = state.watermark
        self.changed_at = self.watermark  # no row here has a version above this tau
        self._persisted = state
        self.schema.load(self._engine)
        self._relayout()
        if state.low or state.high:
            self.write_shards()

    @property
    def blank(self) -> bool:
        """Nothing was ever kept here."""
        return not self.state.fleet and not self.shards.all

    # what is kept

    def keep(self, ranges: Iterable[Range]) -> None:
        """A blank replica is to keep `ranges`, from the journal's start on."""
        self.shards = Shards(Kept(low, high) for low, high in ranges)
        self.write_shards()

    def arm(self, wanted: Range) -> int:
        """Apply the records of a range from now on; the rows from before are to come from a peer. Returns the position:
        a checkpoint at or above it makes the range whole."""
        batch = self._engine.batch()
        _delete(batch, (wanted,))
        self.shards.remove((wanted,))
        self.shards.add(Shard(*wanted, base=self.watermark, status=Status.taking))
        self.write_shards(batch)
        return self.watermark

    def hear_base(self, taken: Range, tau: int) -> None:
        """The checkpoint of a range being taken begins, and will hold everything at or below `tau`."""
        shard = self.shards.of(taken[0])
        assert shard is not None
        if self.watermark <= tau:
            shard.base = tau
            shard.state_hash = 0  # what was applied until now comes with the checkpoint, and is counted there
            self._relayout()
        elif shard.state_hash:
            shard.state_hash = None  # some of it comes with the checkpoint, nobody knows how much

    def complete(self, taken: Range, batch: Batch, state_hash: int | None) -> None:
        """Everything the checkpoint of a range holds is in, with `batch`; `state_hash`: of what it holds."""
        shard = self.shards.of(taken[0])
        assert shard is not None
        shard.status = Status.whole
        if shard.state_hash is not None:
            shard.state_hash = None if state_hash is None else (shard.state_hash + state_hash) & _MASK
        self.changed_at = max(self.changed_at, shard.base, self.watermark)
        self.write_shards(batch)

    def drop(self, ranges: RangeSet) -> None:
        """Keep `ranges` no more."""
        batch = self._engine.batch()
        _delete(batch, ranges)
        self.shards.remove(ranges)
        self.write_shards(batch)

    def drop_unfinished(self) -> RangeSet:
        """At start: what was being taken is worth nothing. Returns it."""
        unfinished = tuple(one.range for one in self.shards.all if not one.whole)
        if unfinished:
            self.drop(unfinished)
        return unfinished

    def align(self, cuts: set[bytes]) -> bool:
        """Cut and join shards where that is free, so that their bounds are `cuts`. True if anything changed."""
        if not (self.shards.cut(cuts) | self.shards.join(cuts, self.watermark)):
            return False
        self.write_shards()
        return True

    def meter_of(self, key: bytes) -> Meter | None:
        """Where a read of `key` counts."""
        if self._single is not None:
            return self._single.meter
        at = bisect_right(self._lows, key) - 1
        return self._applied[at].meter if at >= 0 and (not self._highs[at] or key < self._highs[at]) else None

    def write_shards(self, batch: Batch | None = None) -> None:
        """Write the list of shards, with the state that goes with it, and whatever is in `batch`."""
        batch = self._engine.batch() if batch is None else batch
        self._relayout()
        state = self.state
        new = _state(state.fleet, state.watermark, state.cursors, self.shards.hashes())
        batch.put(SHARDS_KEY, self.shards.encoded())
        batch.put(STATE_KEY, _encode(new))
        self._engine.write(batch)
        self.state = self._persisted = new

    def _relayout(self) -> None:
        """The shards have changed, or the position has passed the base of one."""
        kept = self.shards.all
        self.layout += 1
        self._applied = list(kept)
        self._lows = [one.low for one in kept]
        self._highs = [one.high for one in kept]
        self._bases = [one.base for one in kept]
        self._settles = min((one.base for one in kept if one.base > self.watermark), default=0)
        # With one shard that has everything no key has to be looked up: as fast as if there were no shards.
        self._single = kept[0] if len(kept) == 1 and self.shards.ranges() == EVERYTHING and not self._settles else None

    # deliveries

    def apply(self, delivery: Delivery) -> bool:
        """Take one delivery. False when it says nothing new. Raises StrangeFleet."""
        state = self.state
        if delivery.fleet != state.fleet and state.fleet:
            raise StrangeFleet(f"{delivery.fleet} instead of {state.fleet}")
        watermark = delivery.watermark
        if watermark <= state.watermark:
            return False  # another crossbar, behind the last one: every record of it is here already
        batch: Batch | None = None
        hashed: dict[int, int] = {}  # by place of the shard
        last = state.watermark
        changed: list[tuple[int, int, int]] = []
        put = self._put_some if self._single is None else self._put_all
        for record in delivery.records:
            tau = record.tau
            if tau <= state.watermark:
                continue
            check(I8, last < tau <= watermark, "records out of order", tau=tau, last=last, watermark=watermark)
            last = tau
            if batch is None:
                batch = self._engine.batch()
            put(batch, record, hashed, changed)
        if batch is None:
            new = State(
                delivery.fleet, watermark, delivery.cursors, state.state_hash, state.low, state.high, state.hashes
            )
        else:
            hashes = self._hashes(hashed)
            new = _state(delivery.fleet, watermark, delivery.cursors, hashes)
            batch.put(STATE_KEY, _encode(new))
            self._engine.write(batch)
            self._persisted = new
            for at in hashed:
                self._applied[at].state_hash = hashes[at]
            self.changed_at = last
            for cluster, relation, tau in changed:
                self.schema.note(cluster, relation, tau)
        check(I12, watermark > self.watermark, "the watermark fell", watermark=watermark, before=self.watermark)
        self.state = new
        self.watermark = watermark
        if self._settles and watermark >= self._settles:
            self._relayout()
        return True

    def _hashes(self, hashed: dict[int, int]) -> tuple[int | None, ...]:
        """Those of the shards once what was `hashed` is applied."""
        if self._single is not None:
            before = self._single.state_hash
            return (None if before is None else (before + hashed[0]) & _MASK,)
        hashes = list(self.shards.hashes())
        for at, added in hashed.items():
            known = hashes[at]
            if known is not None:
                hashes[at] = (known + added) & _MASK
        return tuple(hashes)

    def _put_all(
        self, batch: Batch, record: Delivered, hashed: dict[int, int], changed: list[tuple[int, int, int]]
    ) -> None:
        """One transaction's rows into the batch, where one shard has everything."""
        tau = record.tau
        suffix = b"\x00\x00" + pack_inverted(TAU_MAX - tau)
        images = _decode_body(record.body)
        state_hash = hashed.get(0, 0)
        for key, value in images:
            head = DATA + key.replace(b"\x00", b"\x00\xff") + suffix
            if value is None:
                batch.put(head, TOMBSTONE)
                state_hash += crc32(head) * _FACTOR
            else:
                batch.put(head, ROW + value)
                state_hash += (crc32(head) << 32 | crc32(value)) * _FACTOR
        hashed[0] = state_hash
        self.changes += len(images)
        if images:
            self._applied[0].meter.wrote_all(images[0][0], len(images), record)
        if record.changes:
            self._put_schema(batch, record, images, changed)

    def _put_some(
        self, batch: Batch, record: Delivered, hashed: dict[int, int], changed: list[tuple[int, int, int]]
    ) -> None:
        """Those of a transaction's rows that a shard here lacks."""
        tau = record.tau
        suffix = b"\x00\x00" + pack_inverted(TAU_MAX - tau)
        images = _decode_body(record.body)
        lows, highs, bases, shards = self._lows, self._highs, self._bases, self._applied
        for key, value in images:
            at = bisect_right(lows, key) - 1
            if at < 0 or (highs[at] and key >= highs[at]) or tau <= bases[at]:
                continue
            self.changes += 1
            head = DATA + key.replace(b"\x00", b"\x00\xff") + suffix
            if value is None:
                batch.put(head, TOMBSTONE)
                added = crc32(head) * _FACTOR
            else:
                batch.put(head, ROW + value)
                added = (crc32(head) << 32 | crc32(value)) * _FACTOR
            hashed[at] = hashed.get(at, 0) + added
            shards[at].meter.wrote(key, len(head) + len(value or b""))
        if record.changes:
            self._put_schema(batch, record, images, changed)

    def _put_schema(
        self, batch: Batch, record: Delivered, images: list[PostImage], changed: list[tuple[int, int, int]]
    ) -> None:
        cluster = cluster_of(images[0][0]) if images else 0
        for relation in record.changes:
            self.schema.write(batch, cluster, relation, record.tau)
            changed.append((cluster, relation, record.tau))

    def persist(self) -> State:
        """Write the state if the engine does not have it yet. After a `flush` of the engine, what this returned is
        what the replica would resume from after losing power."""
        if self.state is not self._persisted:
            batch = self._engine.batch()
            batch.put(STATE_KEY, _encode(self.state))
            self._engine.write(batch)
            self._persisted = self.state
        return self.state


def _state(fleet: str, watermark: int, cursors: tuple[Cursor, ...], hashes: tuple[int | None, ...]) -> State:
    if len(hashes) == 1 and hashes[0] is not None:
        return State(fleet, watermark, cursors, hashes[0])
    return State(fleet, watermark, cursors, sum(one for one in hashes if one is not None) & _MASK, hashes=hashes)


def _delete(batch: Batch, ranges: Iterable[Range]) -> None:
    """Every version of every key of `ranges`."""
    for low, high in ranges:
        batch.delete_range(escaped(low), escaped(high) if high else DATA_END)
