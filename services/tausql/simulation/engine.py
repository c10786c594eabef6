"""A store in memory that fails as RocksDB does: no room, a flush that fails, a block whose checksum is wrong."""

from __future__ import annotations

from tausql.storage.applier import STATE_KEY
from tausql.storage.engine import Batch, EngineFailed
from tausql.storage.memory_engine import Chance, MemoryEngine, MemoryIterator

NO_LIMIT = 1 << 40


class SimulatedIterator(MemoryIterator):
    """Checks what it passes over, as a table's blocks are checked when they are read."""

    __slots__ = ("_damaged",)

    def __init__(self, engine: SimulatedEngine) -> None:
        super().__init__(engine)
        self._damaged = engine.damaged

    def valid(self) -> bool:
        if not super().valid():
            return False
        if self._damaged and self.key() in self._damaged:
            raise EngineFailed("block checksum mismatch")
        return True


class SimulatedEngine(MemoryEngine):
    """`damaged`: keys whose bytes on the disk have changed; whoever reads one is told. `flush_fails` until it dies."""

    def __init__(self) -> None:
        super().__init__(NO_LIMIT)
        self.damaged: set[bytes] = set()
        self.flush_fails = False
        self.flushed_state: bytes | None = None  # where a replica would resume from after losing power, at the least

    def get(self, key: bytes) -> bytes | None:
        if self.damaged and key in self.damaged:
            raise EngineFailed("block checksum mismatch")
        return super().get(key)

    def iterate(self) -> MemoryIterator:
        return SimulatedIterator(self) if self.damaged else super().iterate()

    def flush(self) -> None:
        if self.flush_fails:
            raise EngineFailed("fsync failed")
        super().flush()
        self.flushed_state = self.content.get(STATE_KEY)

    def write(self, batch: Batch) -> None:
        if self.flush_fails:
            raise EngineFailed("a write to the log failed")
        super().write(batch)

    def clear(self) -> None:
        super().clear()
        self.damaged.clear()

    def damage(self, chance: Chance) -> bool:
        """A bit of one row flips. False when there is none."""
        if not self.content:
            return False
        at = chance.randint(0, len(self.content) - 1)
        self.damaged.add(self.content.keys()[at])
        return True

    def fill(self) -> None:
        """No room for more."""
        self.capacity_bytes = self.size_bytes()

    def room(self) -> None:
        self.capacity_bytes = NO_LIMIT

    def crash(self, chance: Chance) -> None:
        super().crash(chance)
        self.flush_fails = False
