"""How busy each key range of a stream is, and where it could be cut in two: what control plans moves by.

Counting every key of every commit would cost more than judging it. One commit in sixteen is looked at, by one of its
keys; of those the newest are kept, and the one in the middle of a range's halves its load.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from tausql.protocol.fleet import Placed

EVERY = 16  # a power of two
KEPT = 256
_MASK = EVERY - 1
SAMPLES_MIN = 16  # fewer of one range tell nothing about its middle


class Load:
    """Commits by range, since the epoch began. `total` counts all."""

    __slots__ = ("_counts", "_keys", "_lows", "total")

    def __init__(self) -> None:
        self.total = 0
        self._keys: deque[bytes] = deque(maxlen=KEPT)
        self._lows: list[bytes] = [b""]
        self._counts: list[int] = [0]

    def cut(self, lows: Sequence[bytes]) -> None:
        """Count by ranges that begin at these keys from now on. A range cut in two begins anew, at 0."""
        lows = sorted(lows) or [b""]
        if lows != self._lows:
            known = dict(zip(self._lows, self._counts, strict=True)) if len(lows) <= len(self._lows) else {}
            self._lows = list(lows)
            self._counts = [known.get(low, 0) for low in lows]

    def note(self, keys: Sequence[bytes]) -> None:
        """A transaction with these keys, at least one, was given a tau or a vote."""
        self.total += 1
        if self.total & _MASK:
            return
        key = keys[self.total // EVERY % len(keys)]
        self._keys.append(key)
        self._counts[max(0, bisect_right(self._lows, key) - 1)] += EVERY

    def of(self, low: bytes) -> int:
        """About how many fell into the range that begins at `low`."""
        return self._counts[max(0, bisect_right(self._lows, low) - 1)]

    def middle(self, low: bytes, high: bytes) -> bytes | None:
        """A key within (low, high) that halves its load of late; None: not known."""
        keys = sorted(key for key in self._keys if key >= low and (not high or key < high))
        if len(keys) < SAMPLES_MIN:
            return None
        middle = keys[len(keys) // 2]
        return middle if middle > low else None

    def rows(self, ranges: Iterable[tuple[bytes, bytes]], wanted: Iterable[Placed]) -> list[dict[str, Any]]:
        """What the status page says of each of `ranges`, cut where `wanted` cuts them too."""
        pieces = list(_pieces(sorted(ranges), sorted({one.low for one in wanted})))
        self.cut([low for low, _ in pieces])
        rows: list[dict[str, Any]] = []
        for low, high in pieces:
            middle = self.middle(low, high)
            rows.append(
                {
                    "low": low.hex(),
                    "high": high.hex(),
                    "commits": self.of(low),
                    "split": None if middle is None else middle.hex(),
                }
            )
        return rows


def _pieces(ranges: Iterable[tuple[bytes, bytes]], cuts: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    for low, high in ranges:
        for cut in cuts:
            if low < cut and (not high or cut < high):
                yield low, cut
                low = cut
        yield low, high
