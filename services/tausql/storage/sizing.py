"""How many bytes and rows a shard has, and where its middle is.

The engine knows the sizes of its files, which belong to no shard, and keeping count of rows would mean a read before
every write. So a slow walk over each shard counts, and leaves a mark at every so many bytes; between two walks what was
written since is added. A shard is walked again once that is a quarter of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.protocol.ranges import Range
from tausql.storage.engine import Engine, Iterator
from tausql.storage.shards import Shard
from tausql.storage.versions import DATA_END, escaped, key_of

BUDGET = 500  # versions a turn: some hundred microseconds
MARKS_MAX = 256
_STRIDE = 1 << 12  # bytes between two marks at first
_AGAIN_BYTES = 64 << 10
_AGAIN_PART = 4


class Size:
    """Of one shard when it was walked. `marks`: keys, with the bytes before each."""

    __slots__ = ("at_written", "bytes", "marks", "range", "rows", "stride")

    def __init__(self, of: Range, at_written: int) -> None:
        self.range = of
        self.at_written = at_written
        self.bytes = self.rows = 0
        self.stride = _STRIDE
        self.marks: list[tuple[bytes, int]] = []

    def middle(self) -> bytes | None:
        """A key with about half of the bytes below it; None for a shard too small to be cut."""
        for key, before in self.marks:
            if before * 2 >= self.bytes:
                return key if key > self.range[0] else None
        return None

    def mark(self, key: bytes) -> None:
        self.marks.append((key, self.bytes))
        if len(self.marks) > MARKS_MAX:
            self.marks = self.marks[1::2]
            self.stride *= 2


class Sizes:
    """Walks over the shards one after another. `shards`: what there is now."""

    __slots__ = ("_engine", "_known", "_position", "_shards", "_walk")

    def __init__(self, engine: Engine, shards: Callable[[], Sequence[Shard]]) -> None:
        self._engine = engine
        self._shards = shards
        self._known: dict[Range, Size] = {}
        self._walk: Size | None = None
        self._position = b""

    def of(self, shard: Shard) -> tuple[int, int]:
        """(bytes, rows) as far as is known: of the last walk, and everything written since."""
        size = self._known.get(shard.range)
        if size is None:
            return shard.meter.written_bytes, shard.meter.writes
        since = max(0, shard.meter.written_bytes - size.at_written)
        return size.bytes + since, size.rows

    def middle(self, shard: Shard) -> bytes | None:
        size = self._known.get(shard.range)
        return size.middle() if size is not None else None

    def turn(self, budget: int = BUDGET) -> bool:
        """A few steps. False when no walk is due. Raises EngineFailed."""
        walk = self._walk
        if walk is None:
            walk = self._walk = self._due()
            if walk is None:
                return False
            self._position = escaped(walk.range[0])
        iterator = self._engine.iterate()
        iterator.seek(self._position)
        end = escaped(walk.range[1]) if walk.range[1] else DATA_END
        if self._step(walk, iterator, end, budget):
            self._walk = None
            self._known[walk.range] = walk
        return True

    def _step(self, walk: Size, iterator: Iterator, end: bytes, budget: int) -> bool:
        """Walk on; True at the end."""
        last = walk.marks[-1][1] if walk.marks else 0
        head = b""
        for _ in range(budget):
            if not iterator.valid():
                iterator.status()
                return True
            found = iterator.key()
            if found >= end:
                return True
            if found[:-8] != head:
                head = found[:-8]
                walk.rows += 1
                if walk.bytes - last >= walk.stride:
                    walk.mark(key_of(found))
                    last = walk.bytes
            walk.bytes += len(found) + len(iterator.value())
            iterator.next()
        self._position = iterator.key() if iterator.valid() else end
        if iterator.valid() and self._position.startswith(head):
            walk.rows -= 1  # the next turn meets this key again
        return False

    def _due(self) -> Size | None:
        shards = self._shards()
        ranges = {one.range for one in shards}
        self._known = {of: size for of, size in self._known.items() if of in ranges}
        for shard in shards:
            size = self._known.get(shard.range)
            written = shard.meter.written_bytes
            if shard.whole and (
                size is None or written - size.at_written > max(_AGAIN_BYTES, size.bytes // _AGAIN_PART)
            ):
                return Size(shard.range, written)
        return None
