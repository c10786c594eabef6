"""Which keys a stream judges, looked up for every commit.

Ranges move while commits run, so they are data of the stream's log, not of the code. A range that came from another
stream brings a floor of its own: what was judged there up to then is not known here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable

from tausql.protocol import journal

EVERYTHING: tuple[journal.Owned, ...] = (journal.Owned(b"", b""),)
_SPANNED = 4  # with more keys than this it is cheaper to look where the lowest and the highest lie


class Owned:
    """Sorted, disjoint ranges of one stream. `floored`: some of them have a floor. `ranges`: [low, high), neighbours as
    one."""

    __slots__ = ("_everything", "_floors", "_highs", "_lows", "floored", "ranges")

    def __init__(self, owned: Iterable[journal.Owned]) -> None:
        ordered = sorted(owned, key=lambda one: one.low)
        self.floored = any(one.floor for one in ordered)
        self._lows = [one.low for one in ordered]
        self._highs = [one.high for one in ordered]
        self._floors = [one.floor for one in ordered]
        for high, low in zip(self._highs, self._lows[1:], strict=False):
            if not high or high > low:
                raise ValueError(f"key ranges of a stream overlap at {low!r}")
        lows = [low for low, before in zip(self._lows, [None, *self._highs], strict=False) if low != before]
        highs = [high for high, after in zip(self._highs, [*self._lows[1:], None], strict=False) if high != after]
        self.ranges: tuple[tuple[bytes, bytes], ...] = tuple(zip(lows, highs, strict=True))
        self._everything = self.ranges == ((b"", b""),)

    def stranger(self, keys: Collection[bytes]) -> bytes | None:
        """The first of `keys` that lies outside, or None."""
        if self._everything or not keys:
            return None
        lows, highs = self._lows, self._highs
        if len(keys) > _SPANNED and lows:
            at = bisect_right(lows, min(keys)) - 1
            if at >= 0 and (not highs[at] or max(keys) < highs[at]):
                return None
        for key in keys:
            at = bisect_right(lows, key) - 1
            if at < 0 or (highs[at] and key >= highs[at]):
                return key
        return None

    def floor(self, keys: Collection[bytes]) -> int:
        """The highest floor of the ranges that `keys`, none of them a stranger, lie in; 0 = none."""
        if len(self._floors) == 1:
            return self._floors[0] if keys else 0
        lows, floors = self._lows, self._floors
        highest = 0
        for key in keys:
            floor = floors[bisect_right(lows, key) - 1]
            if floor > highest:
                highest = floor
        return highest
