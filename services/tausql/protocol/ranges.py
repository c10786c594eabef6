"""Sets of key ranges: what is served, subscribed to, wanted, durable.

A range is (low, high): the keys from `low` on, below `high`; `high` b"" = no end. That makes b"" the least key as a
`low` and more than every key as a `high`, which is where set arithmetic written in place goes wrong: so it is here.
A *set* of ranges is a tuple of them, sorted and apart (neighbours are one range): equal sets are equal tuples.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Range = tuple[bytes, bytes]
RangeSet = tuple[Range, ...]

EVERYTHING: RangeSet = ((b"", b""),)


def united(ranges: Iterable[Range]) -> RangeSet:
    """The set of all keys that lie in any of `ranges`, in whatever order they come, overlapping or not."""
    made: list[Range] = []
    for low, high in sorted(ranges):
        if high and high <= low:
            continue  # no key lies in it
        if made and (not made[-1][1] or low <= made[-1][1]):
            before_low, before_high = made[-1]
            made[-1] = (before_low, max_high(before_high, high))
        else:
            made.append((low, high))
    return tuple(made)


def common(one: Iterable[Range], other: Iterable[Range]) -> RangeSet:
    """The keys that lie in both."""
    first, second = united(one), united(other)
    made: list[Range] = []
    at = to = 0
    while at < len(first) and to < len(second):
        low = max(first[at][0], second[to][0])
        high = min_high(first[at][1], second[to][1])
        if not high or low < high:
            made.append((low, high))
        if high == first[at][1]:
            at += 1
        else:
            to += 1
    return tuple(made)


def without(one: Iterable[Range], other: Iterable[Range]) -> RangeSet:
    """The keys of `one` that do not lie in `other`."""
    return common(one, complement(other))


def complement(ranges: Iterable[Range]) -> RangeSet:
    """The keys that lie in none of `ranges`."""
    made: list[Range] = []
    low: bytes | None = b""
    for range_low, range_high in united(ranges):
        if low is not None and low < range_low:
            made.append((low, range_low))
        low = range_high or None
    if low is not None:
        made.append((low, b""))
    return tuple(made)


def covers(ranges: Iterable[Range], inner: Iterable[Range]) -> bool:
    """True when every key of `inner` lies in `ranges`."""
    return not without(inner, ranges)


def max_high(one: bytes, other: bytes) -> bytes:
    """The later of two ends."""
    return b"" if not one or not other else max(one, other)


def min_high(one: bytes, other: bytes) -> bytes:
    """The earlier of two ends."""
    if not one or not other:
        return one or other
    return min(one, other)


class Lookup:
    """A set of ranges made ready to be asked about keys. `everything`: there is no need to ask."""

    __slots__ = ("_highs", "_lows", "everything", "ranges")

    def __init__(self, ranges: Iterable[Range]) -> None:
        self.ranges = united(ranges)
        self.everything = self.ranges == EVERYTHING
        self._lows = [low for low, _ in self.ranges]
        self._highs = [high for _, high in self.ranges]

    def holds(self, key: bytes) -> bool:
        """True when `key` lies in one of the ranges."""
        at = bisect_right(self._lows, key) - 1
        if at < 0:
            return False
        high = self._highs[at]
        return not high or key < high

    def around(self, key: bytes) -> Range | None:
        """The range that `key` lies in, None where there is none."""
        at = bisect_right(self._lows, key) - 1
        if at < 0:
            return None
        found = self.ranges[at]
        return found if not found[1] or key < found[1] else None

    def before(self, high: bytes) -> Range | None:
        """The range that holds the keys just below `high` (b"" = the last of all), None where there is none."""
        if not high:
            return self.ranges[-1] if self.ranges and not self.ranges[-1][1] else None
        at = bisect_left(self._lows, high) - 1
        if at < 0:
            return None
        found = self.ranges[at]
        return found if not found[1] or high <= found[1] else None

    def touches(self, first: bytes, last: bytes) -> bool:
        """True when a range holds a key from `first` to `last`, both included."""
        at = bisect_right(self._lows, last) - 1
        if at < 0:
            return False
        high = self._highs[at]
        return not high or first < high
