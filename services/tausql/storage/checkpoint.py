"""A whole replica from a peer, in bounded parts.

The journal does not go back for ever: a replica that is new, wiped or too far behind takes everything a peer holds at
one watermark and goes on from the peer's cursors. The sender needs no snapshot: versions above that watermark are left
out, and whatever it collects meanwhile lies below the horizon it tells at the end. Until the last part is in, the
receiver's store carries a mark, and a store with that mark is worth nothing.
"""

from __future__ import annotations

from tausql.protocol.storage import CheckpointPart
from tausql.storage.applier import STATE_KEY, State, encoded_state
from tausql.storage.collection import HORIZON_KEY, encoded_horizon, stored_horizon
from tausql.storage.engine import Engine
from tausql.storage.schema import SCHEMA, SCHEMA_END, schema_tau
from tausql.storage.versions import DATA, DATA_END, tau_of

TAKING_KEY = b"m.taking"


class CheckpointSource:
    """The sending side: `next_part` until `done`."""

    __slots__ = ("_engine", "_examined_max", "_position", "done", "state")

    def __init__(self, engine: Engine, state: State, examined_max: int = 5_000) -> None:
        self._engine = engine
        self.state = state  # as of now: what is sent is everything at or below its watermark
        self._examined_max = examined_max
        self._position: bytes = DATA
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
            if DATA_END <= key < SCHEMA:
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

    __slots__ = ("_engine", "cursors", "entries", "watermark")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.entries = 0
        self.watermark = 0

    def begin(self) -> None:
        """Empty the store and mark it."""
        self._engine.clear()
        batch = self._engine.batch()
        batch.put(TAKING_KEY, b"")
        self._engine.write(batch)
        self._engine.flush()

    def take(self, part: CheckpointPart) -> bool:
        """Write one part. True when that was the last one: the store is whole and durable."""
        batch = self._engine.batch()
        for key, value in part.entries:
            batch.put(key, value)
        self.entries += len(part.entries)
        self.watermark = part.watermark
        if part.done:
            batch.delete(TAKING_KEY)
        self._engine.write(batch)
        if part.done:
            self._engine.flush()
        return part.done


def drop_unfinished(engine: Engine) -> bool:
    """At start: empty a store whose checkpoint was never completed. True if it was so."""
    if engine.get(TAKING_KEY) is None:
        return False
    engine.clear()
    return True
