"""Deadlines of many calls with one timer.

A timer a call would cost more than the call. Calls are kept in slots of 2 ms of expiry time; the one timer of a wheel
stands at the earliest slot in use. A call that was answered leaves its slot empty-handed, and an idle wheel has no
timer: nothing wakes up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from tausql.runtime.host import Host, Timer

SLOTS_PER_SECOND = 512  # a deadline is noticed at most about 2 ms (and the loop's own lateness) after it passed

Slot = dict[int, Any]


class DeadlineWheel:
    """Things that expire, by number. `on_expired(number, thing)` is called for each that was not taken out in time."""

    __slots__ = ("_at", "_heap", "_host", "_monotonic", "_on_expired", "_slots", "_timer")

    def __init__(self, host: Host, on_expired: Callable[[int, Any], None]) -> None:
        self._host = host
        self._monotonic = host.monotonic
        self._on_expired = on_expired
        self._slots: dict[int, Slot] = {}
        self._heap: list[int] = []
        self._at = 0  # the slot the timer stands at
        self._timer: Timer | None = None

    def put(self, number: int, thing: Any, seconds: float) -> Slot:
        """Keep `thing` for `seconds`. It is taken out by `slot.pop(number)` on the slot returned."""
        tick = int((self._monotonic() + seconds) * SLOTS_PER_SECOND) + 1
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._slots[tick] = {}
            heapq.heappush(self._heap, tick)
            if self._timer is None or tick < self._at:
                self._stand_at(tick)
        slot[number] = thing
        return slot

    def release(self) -> None:
        """Give the timer back, now that everything was taken out."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()
        self._heap.clear()

    def _stand_at(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = tick
        self._timer = self._host.later(max(tick / SLOTS_PER_SECOND - self._monotonic(), 0.0), self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._monotonic() * SLOTS_PER_SECOND
        heap, slots = self._heap, self._slots
        while heap and (heap[0] <= now or not slots[heap[0]]):
            slot = slots.pop(heapq.heappop(heap))
            while slot:
                number, thing = slot.popitem()
                self._on_expired(number, thing)
        if heap:
            self._stand_at(heap[0])
