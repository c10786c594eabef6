"""Ranges of keys, [low, high), where a high of b"" is the end of all keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol


class Ranged(Protocol):
    @property
    def low(self) -> bytes: ...

    @property
    def high(self) -> bytes: ...


def below(key: bytes, high: bytes) -> bool:
    """Whether `key` lies below the end of a range."""
    return not high or key < high


def ends_within(high: bytes, outer: bytes) -> bool:
    """Whether a range that ends at `high` ends no later than one that ends at `outer`."""
    return not outer or (bool(high) and high <= outer)


def within(inner: Ranged, low: bytes, high: bytes) -> bool:
    return low <= inner.low and ends_within(inner.high, high)


def overlap(one: Ranged, low: bytes, high: bytes) -> bool:
    return below(one.low, high) and below(low, one.high)


def splits(key: bytes | None, one: Ranged) -> bool:
    """Whether `key` cuts a range into two that both have room for keys."""
    return key is not None and one.low < key and below(key, one.high)


def cover(ranges: Sequence[Ranged]) -> bool:
    """Whether these, in their order, are all keys, each once."""
    if not ranges or ranges[0].low or ranges[-1].high:
        return False
    return all(one.high == two.low and one.low < one.high for one, two in pairwise(ranges))


def between(cuts: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """All keys, cut at `cuts`."""
    lows = sorted({b"", *cuts})
    return list(zip(lows, [*lows[1:], b""], strict=True))
