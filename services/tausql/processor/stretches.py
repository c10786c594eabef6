"""The key space cut into stretches, each with what is so for all of its keys.

Who judges a key and who keeps it is told range by range, by many processes, and asked for key by key. So what they
tell is laid out once, when it changes, as one sorted table; then a key costs a bisection, and most often not even that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from tausql.protocol.ranges import RangeSet

T = TypeVar("T")


class Stretches(Generic[T]):
    """`lows`: where each stretch begins, sorted, the first b"". `items`: what is so there."""

    __slots__ = ("items", "lows")

    def __init__(self, lows: list[bytes], items: list[T]) -> None:
        self.lows = lows
        self.items = items

    def __iter__(self) -> Iterator[tuple[bytes, bytes, T]]:
        """(low, high, item), in order."""
        return zip(self.lows, [*self.lows[1:], b""], self.items, strict=True)

    def at(self, key: bytes) -> int:
        """The number of the stretch that holds `key`."""
        return bisect_right(self.lows, key) - 1

    def below(self, high: bytes) -> int:
        """The number of the stretch that holds the keys right below `high`; b"" = the last one."""
        return bisect_left(self.lows, high) - 1 if high else len(self.lows) - 1

    def end(self, number: int) -> bytes:
        """Where stretch `number` ends; b"" = nowhere."""
        return self.lows[number + 1] if number + 1 < len(self.lows) else b""


def latest(claims: Iterable[tuple[T, RangeSet]]) -> Stretches[T | None]:
    """Each stretch has whoever claims it; of several the last of `claims`."""
    claimed = list(claims)
    cuts, places = _cuts(ranges for _, ranges in claimed)
    items: list[T | None] = [None] * len(cuts)
    for claimant, ranges in claimed:
        for low, high in ranges:
            first, last = places[low], places[high] if high else len(cuts)
            items[first:last] = [claimant] * max(last - first, 0)
    return _joined(cuts, items)


def everyone(claims: Iterable[tuple[T, RangeSet]]) -> Stretches[tuple[T, ...]]:
    """Each stretch has all who claim it, in the order of `claims`."""
    claimed = list(claims)
    cuts, places = _cuts(ranges for _, ranges in claimed)
    items: list[tuple[T, ...]] = [()] * len(cuts)
    for claimant, ranges in claimed:
        for low, high in ranges:
            for at in range(places[low], places[high] if high else len(cuts)):
                items[at] = (*items[at], claimant)
    return _joined(cuts, items)


def _cuts(claims: Iterable[RangeSet]) -> tuple[list[bytes], dict[bytes, int]]:
    cuts = sorted({b"", *(key for ranges in claims for pair in ranges for key in pair)})
    return cuts, {cut: at for at, cut in enumerate(cuts)}


def _joined(cuts: list[bytes], items: list[T]) -> Stretches[T]:
    """Neighbours with the same item become one."""
    lows: list[bytes] = []
    kept: list[T] = []
    for low, item in zip(cuts, items, strict=True):
        if not lows or item != kept[-1]:
            lows.append(low)
            kept.append(item)
    return Stretches(lows, kept)
