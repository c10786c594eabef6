"""Reads that wait for the watermark: in a heap by tau, served in that order, bounded in number and in time."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any

from tausql.rpc.interface import Reply

_Entry = tuple[int, int, float, Any, Reply]


class ParkedReads:
    """`parked_max` requests at most."""

    __slots__ = ("_count", "_heap", "_parked_max")

    def __init__(self, parked_max: int) -> None:
        self._heap: list[_Entry] = []
        self._count = 0
        self._parked_max = parked_max

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def highest(self) -> int:
        """The highest tau anything waits for, 0 if nothing does."""
        return max((entry[0] for entry in self._heap), default=0)

    def park(self, tau: int, expires: float, request: Any, reply: Reply) -> bool:
        """Keep a request until the watermark reaches `tau`, or until `expires` on the monotonic clock. False: full."""
        if len(self._heap) >= self._parked_max:
            return False
        self._count += 1
        heappush(self._heap, (tau, self._count, expires, request, reply))
        return True

    def pop_due(self, watermark: int) -> tuple[Any, Reply, float] | None:
        """The next request whose tau is reached, and when it would have expired; None when there is none (left)."""
        if not self._heap or self._heap[0][0] > watermark:
            return None
        entry = heappop(self._heap)
        return entry[3], entry[4], entry[2]

    def pop_expired(self, now: float) -> list[Reply]:
        """Where to send the bad news."""
        expired = [entry[4] for entry in self._heap if entry[2] <= now or not entry[4].peer.connected]
        if expired:
            self._heap = [entry for entry in self._heap if entry[2] > now and entry[4].peer.connected]
            heapify(self._heap)
        return expired
