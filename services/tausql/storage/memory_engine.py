"""The engine that lives in memory: for the simulation and for tests, with crashes as a disk would have them."""

from __future__ import annotations

from typing import Protocol

from sortedcontainers import SortedDict

from tausql.storage.engine import Batch, EngineFull


class Chance(Protocol):
    """The part of random.Random that a crash needs."""

    def randint(self, a: int, b: int) -> int: ...


class MemoryBatch:
    __slots__ = ("ranges", "writes")

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, bytes | None]] = []
        self.ranges: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.writes.append((key, value))

    def delete(self, key: bytes) -> None:
        self.writes.append((key, None))

    def delete_range(self, low: bytes, high: bytes) -> None:
        self.ranges.append((low, high))


class MemoryIterator:
    """Walks the keys by index; refuses to be used after a write, as the contract says."""

    __slots__ = ("_at", "_content", "_engine", "_version")

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._content = engine.content
        self._version = engine.version
        self._at = -1

    def _fresh(self) -> None:
        if self._engine.version != self._version:
            raise RuntimeError("an iterator was used after a write")

    def seek(self, key: bytes) -> None:
        self._fresh()
        self._at = self._content.bisect_left(key)

    def seek_for_prev(self, key: bytes) -> None:
        self._fresh()
        self._at = self._content.bisect_right(key) - 1

    def next(self) -> None:
        self._at += 1

    def prev(self) -> None:
        self._at -= 1

    def valid(self) -> bool:
        return 0 <= self._at < len(self._content)

    def status(self) -> None:
        return

    def key(self) -> bytes:
        self._fresh()
        key: bytes = self._content.keys()[self._at]
        return key

    def value(self) -> bytes:
        value: bytes = self._content.values()[self._at]
        return value


class MemoryEngine:
    """A sorted dictionary. `crash` takes back some of the newest batches, never one that was flushed.

    `capacity_bytes`: a write beyond it raises EngineFull, as a full disk would."""

    def __init__(self, capacity_bytes: int = 1 << 40) -> None:
        self.content: SortedDict = SortedDict()
        self.version = 0
        self.capacity_bytes = capacity_bytes
        self._bytes = 0
        self._undo: list[list[tuple[bytes, bytes | None]]] = []  # per unflushed batch, newest last

    def batch(self) -> MemoryBatch:
        return MemoryBatch()

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, MemoryBatch)
        grown = sum(len(key) + len(value) for key, value in batch.writes if value is not None)
        if grown and self._bytes + grown > self.capacity_bytes:
            raise EngineFull("no room in memory")
        undo: list[tuple[bytes, bytes | None]] = []
        for low, high in batch.ranges:
            for key in list(self.content.irange(low, high, (True, False))):
                undo.append((key, self.content[key]))
                self._set(key, None)
        for key, value in batch.writes:
            undo.append((key, self.content.get(key)))
            self._set(key, value)
        self._undo.append(undo)
        self.version += 1

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self.content.get(key)
        return value

    def iterate(self) -> MemoryIterator:
        return MemoryIterator(self)

    def flush(self) -> None:
        self._undo.clear()

    def clear(self) -> None:
        self.content.clear()
        self._undo.clear()
        self._bytes = 0
        self.version += 1

    def size_bytes(self) -> int:
        return self._bytes

    def close(self) -> None:
        return

    def crash(self, chance: Chance) -> None:
        """Lose power: a random number of the batches written since the last flush is gone, the newest first."""
        for _ in range(chance.randint(0, len(self._undo))):
            for key, value in reversed(self._undo.pop()):
                self._set(key, value)
        self._undo.clear()
        self.version += 1

    def _set(self, key: bytes, value: bytes | None) -> None:
        old = self.content.get(key)
        if old is not None:
            self._bytes -= len(key) + len(old)
        if value is None:
            self.content.pop(key, None)
        else:
            self.content[key] = value
            self._bytes += len(key) + len(value)
