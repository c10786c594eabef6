"""Old versions go, a little at a time, and never one that a read may still need.

Whatever is newest at or below the horizon is kept; what lies below that is dropped, and so is a tombstone that is the
newest, together with everything older. Dropping first and remembering the horizon afterwards would let a replica that
crashed in between serve an old snapshot with holes, so the horizon is durable before the first version goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from tausql.protocol.ranges import EVERYTHING, Range
from tausql.runtime.check import I12, check
from tausql.storage.engine import Batch, Engine
from tausql.storage.versions import DATA_END, escaped, tau_of

HORIZON_KEY = b"m.horizon"
_KEY_VERSIONS_MAX = 10_000  # of one key looked at in one go


def stored_horizon(engine: Engine) -> int:
    """Reads below this tau are refused; 0 = nothing was ever collected."""
    found = engine.get(HORIZON_KEY)
    return 0 if found is None else int.from_bytes(found, "big")


def encoded_horizon(horizon: int) -> bytes:
    return horizon.to_bytes(8, "big")


class Collector:
    """Sweeps over all that is whole, one after another. Raises EngineFull and EngineFailed."""

    __slots__ = ("_end", "_engine", "_position", "_ranges", "dropped", "horizon")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._position: bytes | None = None
        self._end = DATA_END
        self._ranges: list[Range] = []  # of this sweep, still to come, the last first
        self.dropped = 0
        self.horizon = stored_horizon(engine)

    @property
    def sweeping(self) -> bool:
        return self._position is not None

    def start(self, horizon: int, ranges: Iterable[Range] = EVERYTHING) -> None:
        """Begin a sweep with a horizon at or above the last one; on return it is durable. Not over ranges of which
        versions are still to come: a tombstone must not go before what it deletes is here."""
        check(I12, horizon >= self.horizon, "the horizon fell", horizon=horizon, before=self.horizon)
        batch = self._engine.batch()
        batch.put(HORIZON_KEY, encoded_horizon(horizon))
        self._engine.write(batch)
        self._engine.flush()
        self.horizon = horizon
        self._ranges = sorted(ranges, reverse=True)
        self._next_range()

    def _next_range(self) -> None:
        if self._ranges:
            low, high = self._ranges.pop()
            self._position = escaped(low)
            self._end = escaped(high) if high else DATA_END
        else:
            self._position = None

    def abandon(self) -> None:
        """The store was replaced, or versions of a range are to come: do not go on."""
        self._position = None
        self._ranges = []
        self.reload()

    def reload(self) -> None:
        """The horizon came with a checkpoint."""
        self.horizon = stored_horizon(self._engine)

    def sweep(self, budget: int) -> int:
        """Look at about `budget` versions and drop what may go; returns how many went. Whoever calls tells the reader
        that the engine was written to."""
        if self._position is None:
            return 0
        iterator = self._engine.iterate()
        iterator.seek(self._position)
        batch = self._engine.batch()
        examined = dropped = 0
        position: bytes | None = None
        while iterator.valid():
            found = iterator.key()
            if found >= self._end:
                break
            if examined >= budget:
                position = found
                break
            head = found[:-8]
            tombstone: bytes | None = None
            kept = False
            older = 0
            complete = False
            for _ in range(_KEY_VERSIONS_MAX):
                examined += 1
                if tau_of(found) <= self.horizon:
                    if kept:
                        batch.delete(found)
                        older += 1
                    else:
                        kept = True
                        tombstone = found if iterator.value()[0] == 0 else None
                iterator.next()
                if not iterator.valid() or not iterator.key().startswith(head):
                    complete = True
                    break
                found = iterator.key()
            if complete and tombstone is not None:
                batch.delete(tombstone)  # in the same batch as everything below it
                older += 1
            dropped += older
        if position is None:
            iterator.status()
        return self._finish(batch, position, dropped)

    def _finish(self, batch: Batch, position: bytes | None, dropped: int) -> int:
        if dropped:
            self._engine.write(batch)
        self._position = position
        if position is None:
            self._next_range()
        self.dropped += dropped
        return dropped
