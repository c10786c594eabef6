"""The rows of a key range from a peer, in bounded parts.

The journal does not go back for ever: a replica that is new, wiped, too far behind or to keep more than it has takes
what a peer holds at one watermark. The sender needs no snapshot: versions above that watermark are left out, and
whatever it collects meanwhile lies below the horizon it tells at the end.

A replica without a position takes the peer's along with its *first* range, into an empty store with a mark on it: until
the last part is in, that store is worth nothing. A replica with a position has subscribed to the range's records
before, and takes rows only; schema versions it has had all along, as every replica gets them.
"""

from __future__ import annotations

from tausql.protocol.ranges import Range
from tausql.protocol.storage import CheckpointPart
from tausql.storage.applier import STATE_KEY, Applier, State, decoded_state, encoded_state
from tausql.storage.collection import HORIZON_KEY, encoded_horizon, stored_horizon
from tausql.storage.engine import Engine
from tausql.storage.schema import SCHEMA, SCHEMA_END, schema_tau
from tausql.storage.versions import DATA_END, escaped, tau_of

TAKING_KEY = b"m.taking"


def state_of(applier: Applier, wanted: Range) -> State:
    """What a checkpoint of `wanted` will say of itself. Its state hash is told where the range is exactly one shard."""
    state = applier.state
    shard = applier.shards.of(wanted[0])
    known = shard.state_hash if shard is not None and shard.range == wanted else None
    hashes = (None,) if known is None else ()
    return State(state.fleet, state.watermark, state.cursors, known or 0, *wanted, hashes=hashes)


class CheckpointSource:
    """The sending side: `next_part` until `done`."""

    __slots__ = ("_end", "_engine", "_examined_max", "_position", "done", "state")

    def __init__(self, engine: Engine, state: State, examined_max: int = 5_000) -> None:
        self._engine = engine
        self.state = state  # as of now: what is sent is everything of its range at or below its watermark
        self._examined_max = examined_max
        self._position = escaped(state.low)
        self._end = escaped(state.high) if state.high else DATA_END
        self.done = False

    def next_part(self, bytes_max: int) -> CheckpointPart:
        """About `bytes_max` bytes of entries; at least one entry unless nothing is left."""
        entries: list[tuple[bytes, bytes]] = []
        taken = examined = 0
        iterator = self._engine.iterate()
        iterator.seek(self._position)
        while True:
            if not iterator.valid():
                iterator.status()
            if not iterator.valid() or iterator.key() >= SCHEMA_END:
                self.done = True
                entries.append((HORIZON_KEY, encoded_horizon(stored_horizon(self._engine))))
                entries.append((STATE_KEY, encoded_state(self.state)))
                break
            key = iterator.key()
            if self._end <= key < SCHEMA:
                iterator.seek(SCHEMA)
                continue
            self._position = key
            if taken >= bytes_max or examined >= self._examined_max:
                break
            examined += 1
            tau = tau_of(key) if key < DATA_END else schema_tau(key)
            if tau <= self.state.watermark:
                value = iterator.value()
                entries.append((key, value))
                taken += len(key) + len(value)
            iterator.next()
        return CheckpointPart(entries, self.done, self.state.fleet, self.state.watermark, self.state.cursors)


class CheckpointTaker:
    """The receiving side. Raises EngineFull and EngineFailed."""

    __slots__ = ("_applier", "_engine", "_range", "entries", "watermark")

    def __init__(self, engine: Engine, applier: Applier | None = None, wanted: Range = (b"", b"")) -> None:
        """`applier`: of a replica that has armed `wanted`; None = a first range."""
        self._engine = engine
        self._applier = applier
        self._range = wanted
        self.entries = 0
        self.watermark = 0

    def begin(self) -> None:
        """A first range: empty the store and mark it."""
        if self._applier is not None:
            return
        self._engine.clear()
        batch = self._engine.batch()
        batch.put(TAKING_KEY, b"")
        self._engine.write(batch)
        self._engine.flush()

    def take(self, part: CheckpointPart) -> bool:
        """Write one part. True when that was the last one: the range is whole, and durable."""
        if self._applier is not None:
            self._take_rows(part, self._applier)
        else:
            batch = self._engine.batch()
            for key, value in part.entries:
                batch.put(key, value)
            if part.done:
                batch.delete(TAKING_KEY)
            self._engine.write(batch)
        self.entries += len(part.entries)
        self.watermark = part.watermark
        if part.done:
            self._engine.flush()
        return part.done

    def _take_rows(self, part: CheckpointPart, applier: Applier) -> None:
        low, high = self._range
        first, end = escaped(low), escaped(high) if high else DATA_END
        batch = self._engine.batch()
        state = State(hashes=(None,))
        for key, value in part.entries:
            if first <= key < end:
                batch.put(key, value)
            elif key == HORIZON_KEY:
                horizon = max(int.from_bytes(value, "big"), stored_horizon(self._engine))
                batch.put(HORIZON_KEY, encoded_horizon(horizon))
            elif key == STATE_KEY:
                state = decoded_state(value)
        if not part.done:
            self._engine.write(batch)
            return
        applier.complete(self._range, batch, None if state.hashes else state.state_hash)


def drop_unfinished(engine: Engine) -> bool:
    """At start: empty a store whose checkpoint was never completed. True if it was so."""
    if engine.get(TAKING_KEY) is None:
        return False
    engine.clear()
    return True
