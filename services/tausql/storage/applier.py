"""Deliveries into the engine: rows, schema changes, cursors and watermark in one atomic batch each.

Writing rows first and the position afterwards, or the other way round, would after a crash apply a record twice or not
at all. Together they make every moment a good moment to die: what is on the disk is exactly the state at some
watermark, and the crossbar goes on from there. Records at or below the watermark are duplicates and dropped.

Watermarks that bring no rows are kept in memory only, and written before a flush: they cost nothing to hear again.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from tausql.protocol.adjudicator import PostImage
from tausql.protocol.crossbar import Cursor, Delivered, Delivery
from tausql.protocol.tau import TAU_MAX
from tausql.runtime.check import I8, I12, check
from tausql.storage.engine import Batch, Engine
from tausql.storage.schema import SchemaHistory, cluster_of
from tausql.storage.versions import DATA, ROW, TOMBSTONE, pack_inverted

STATE_KEY = b"m.state"
_MASK = (1 << 64) - 1
_decode_body = msgspec.msgpack.Decoder(list[PostImage]).decode
_encode = msgspec.msgpack.Encoder().encode


class State(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where a replica stands. `state_hash` (I11): the sum of hashes of every (key, tau, row) applied, modulo 2**64."""

    fleet: str = ""
    watermark: int = 0
    cursors: tuple[Cursor, ...] = ()
    state_hash: int = 0
    low: bytes = b""
    high: bytes = b""


_decode_state = msgspec.msgpack.Decoder(State).decode


class StrangeFleet(Exception):
    """The delivery comes from another fleet's journal than the data here."""


class WrongRange(Exception):
    """The store holds another key range than this replica is to serve."""


def stored_state(engine: Engine) -> State | None:
    """The state the engine holds, None for a blank one."""
    found = engine.get(STATE_KEY)
    return None if found is None else _decode_state(found)


def encoded_state(state: State) -> bytes:
    return _encode(state)


class Applier:
    """The one writer of a replica's rows.

    Raises WrongRange at start; EngineFull and EngineFailed from whatever writes, the state in memory then unchanged."""

    __slots__ = (
        "_engine",
        "_persisted",
        "_whole",
        "changed_at",
        "changes",
        "high",
        "low",
        "schema",
        "state",
        "watermark",
    )

    def __init__(self, engine: Engine, low: bytes = b"", high: bytes = b"") -> None:
        self._engine = engine
        self.low = low
        self.high = high
        self._whole = not low and not high
        self.changes = 0  # rows and tombstones applied in this process's life
        self.schema = SchemaHistory()
        self.state = State(low=low, high=high)
        self.watermark = self.changed_at = 0
        self._persisted = self.state
        self.reload()

    def reload(self) -> None:
        """Take the engine's state, at start and after a checkpoint."""
        found = stored_state(self._engine)
        if found is not None:
            if (found.low, found.high) != (self.low, self.high):
                raise WrongRange(f"the store holds [{found.low.hex()}, {found.high.hex()})")
            self.state = found
        else:
            self.state = State(low=self.low, high=self.high)
        self.watermark = self.state.watermark
        self.changed_at = self.watermark  # no row here has a version above this tau
        self._persisted = self.state
        self.schema.load(self._engine)

    def apply(self, delivery: Delivery) -> bool:
        """Take one delivery. False when it says nothing new. Raises StrangeFleet."""
        state = self.state
        if delivery.fleet != state.fleet and state.fleet:
            raise StrangeFleet(f"{delivery.fleet} instead of {state.fleet}")
        watermark = delivery.watermark
        if watermark <= state.watermark:
            return False  # another crossbar, behind the last one: every record of it is here already
        batch: Batch | None = None
        state_hash = state.state_hash
        last = state.watermark
        changed: list[tuple[int, int, int]] = []
        for record in delivery.records:
            tau = record.tau
            if tau <= state.watermark:
                continue
            check(I8, last < tau <= watermark, "records out of order", tau=tau, last=last, watermark=watermark)
            last = tau
            if batch is None:
                batch = self._engine.batch()
            state_hash = self._put(batch, record, state_hash, changed)
        new = State(delivery.fleet, watermark, delivery.cursors, state_hash & _MASK, state.low, state.high)
        if batch is not None:
            batch.put(STATE_KEY, _encode(new))
            self._engine.write(batch)
            self._persisted = new
            self.changed_at = last
            for cluster, relation, tau in changed:
                self.schema.note(cluster, relation, tau)
        check(I12, watermark > self.watermark, "the watermark fell", watermark=watermark, before=self.watermark)
        self.state = new
        self.watermark = watermark
        return True

    def _put(self, batch: Batch, record: Delivered, state_hash: int, changed: list[tuple[int, int, int]]) -> int:
        """One transaction's rows into the batch; returns the new state hash."""
        tau = record.tau
        suffix = b"\x00\x00" + pack_inverted(TAU_MAX - tau)
        images = _decode_body(record.body)
        whole, low, high = self._whole, self.low, self.high
        for key, value in images:
            if not whole and (key < low or (high and key >= high)):
                continue
            self.changes += 1
            head = DATA + key.replace(b"\x00", b"\x00\xff") + suffix
            if value is None:
                batch.put(head, TOMBSTONE)
                state_hash += crc32(head) * 0x9E3779B97F4A7C15
            else:
                batch.put(head, ROW + value)
                state_hash += (crc32(head) << 32 | crc32(value)) * 0x9E3779B97F4A7C15
        if record.changes:
            cluster = cluster_of(images[0][0]) if images else 0
            for relation in record.changes:
                self.schema.write(batch, cluster, relation, tau)
                changed.append((cluster, relation, tau))
        return state_hash

    def persist(self) -> State:
        """Write the state if the engine does not have it yet. After a `flush` of the engine, what this returned is
        what the replica would resume from after losing power."""
        if self.state is not self._persisted:
            batch = self._engine.batch()
            batch.put(STATE_KEY, _encode(self.state))
            self._engine.write(batch)
            self._persisted = self.state
        return self.state
