"""How often somebody may ask: a bucket of tokens for each, that fills up again at an even rate."""

from __future__ import annotations

from collections.abc import Callable

KEPT_MAX = 10_000


class Buckets:
    """`rate` a second, `burst` at once. Who has not asked for long is forgotten: his bucket is full again."""

    def __init__(self, rate: float, burst: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._monotonic = monotonic
        self._left: dict[str, tuple[float, float]] = {}  # tokens, and when that was

    def take(self, who: str) -> bool:
        """False: not now."""
        now = self._monotonic()
        left = self._now(who, now)
        if left < 1.0:
            return False
        self._keep(who, left - 1.0, now)
        return True

    def empty(self, who: str) -> bool:
        return self._now(who, self._monotonic()) < 1.0

    def _now(self, who: str, now: float) -> float:
        tokens, at = self._left.get(who, (self._burst, now))
        return min(self._burst, tokens + (now - at) * self._rate)

    def _keep(self, who: str, left: float, now: float) -> None:
        self._left.pop(who, None)
        if len(self._left) >= KEPT_MAX:
            del self._left[next(iter(self._left))]  # who has been quiet longest
        self._left[who] = (left, now)
