"""When each session has reached its age: one timer for all of them.

A timer a session would cost an idle one several hundred bytes for something that happens once an hour. Sessions are
kept in slots of a second; the timer stands at the first slot in use, and where there is no session there is no timer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, TypeVar

from tausql.runtime.host import Host, Timer

T = TypeVar("T")
OnAge = Callable[[T], None]


class Ages(Generic[T]):
    """Things that come of age, at most a second late."""

    __slots__ = ("_at", "_host", "_slots", "_timer")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._slots: dict[int, dict[T, OnAge[T]]] = {}  # by the second they are due
        self._at = 0  # the slot the timer stands at
        self._timer: Timer | None = None

    def put(self, thing: T, seconds: float, on_age: OnAge[T]) -> int:
        """Call `on_age(thing)` in so many seconds. Returns what `remove` needs."""
        slot = math.ceil(self._host.monotonic() + seconds)
        things = self._slots.get(slot)
        if things is None:
            things = self._slots[slot] = {}
            if self._timer is None or slot < self._at:
                self._stand_at(slot)
        things[thing] = on_age
        return slot

    def remove(self, thing: T, slot: int) -> None:
        """Forget it. One that is not there any more is no error."""
        things = self._slots.get(slot)
        if things is None:
            return
        things.pop(thing, None)
        if not things:
            del self._slots[slot]
            if not self._slots and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _stand_at(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = slot
        self._timer = self._host.later(max(slot - self._host.monotonic(), 0.0), self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._host.monotonic()
        for slot in sorted(self._slots):
            if slot > now:
                break
            for thing, on_age in self._slots.pop(slot).items():
                on_age(thing)
        if self._slots and self._timer is None:
            self._stand_at(min(self._slots))
