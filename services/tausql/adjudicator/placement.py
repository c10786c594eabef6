"""Which key ranges a stream owns, for conflict detection only.

Ranges are data of an epoch (its EpochStart carries them), not of the code: nothing may take for granted that one
stream owns everything, although today stream 0 does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

Range = tuple[bytes, bytes]  # [low, high); high b"" = no end
EVERYTHING: tuple[Range, ...] = ((b"", b""),)


def ranges_of(stream: int, placement: dict[int, tuple[Range, ...]]) -> tuple[Range, ...]:
    """What `stream` owns: nothing unless `placement` names it."""
    return placement.get(stream, ())


class Owned:
    """Sorted, disjoint ranges of one stream."""

    __slots__ = ("_everything", "_highs", "_lows", "ranges")

    def __init__(self, ranges: Iterable[Range]) -> None:
        self.ranges: tuple[Range, ...] = tuple(sorted(ranges))
        self._everything = self.ranges == EVERYTHING
        self._lows = [low for low, _ in self.ranges]
        self._highs = [high for _, high in self.ranges]
        for high, low in zip(self._highs, self._lows[1:], strict=False):
            if not high or high > low:
                raise ValueError(f"key ranges of a stream overlap at {low!r}")

    def stranger(self, keys: Iterable[bytes]) -> bytes | None:
        """The first of `keys` that lies outside, or None."""
        if self._everything:
            return None
        for key in keys:
            at = bisect_right(self._lows, key) - 1
            if at < 0 or (self._highs[at] and key >= self._highs[at]):
                return key
        return None
