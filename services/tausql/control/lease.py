"""Which of several controls scales the processors: the one that holds a Lease (coordination.k8s.io).

A Lease holds no lock: a process that was suspended may believe in one that has passed on. Nothing here needs more. Two
controls that act for a moment write absolute numbers that both count from what the same processors say; the worst is a
number a few seconds old, which the next look puts right. What the Lease saves is work and quarrels, not data.

Whether another's lease has run out is judged by how long the record has not changed before our own eyes, never by
comparing its times with our clock.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Lease(msgspec.Struct, frozen=True):
    """The record as it is at the API server."""

    holder: str
    version: str  # of the object: every renewal gives it another
    seconds: float
    transitions: int = 0


class Step(Enum):
    """What to do about the record just read."""

    create = "create"
    take = "take"
    renew = "renew"
    wait = "wait"


class Claim:
    """One control's claim. Times are monotonic seconds."""

    __slots__ = ("_name", "_seconds", "_seen", "_seen_at", "_sure_until")

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._sure_until = float("-inf")

    def step(self, found: Lease | None, now: float) -> Step:
        """What to do, now that the record is `found` (None: there is none)."""
        if found is None:
            self._seen = None
            return Step.create
        if self._seen is None or found.version != self._seen.version:
            self._seen, self._seen_at = found, now
        if found.holder == self._name:
            return Step.renew
        if not found.holder or now >= self._seen_at + found.seconds:
            return Step.take
        return Step.wait

    def written(self, asked_at: float) -> None:
        """The record is ours, as of a request sent at `asked_at`."""
        self._sure_until = asked_at + self._seconds * 2 / 3

    def lost(self) -> None:
        """Another one has it, or it was given up."""
        self._sure_until = float("-inf")

    def held(self, now: float) -> bool:
        """Whether to act. Ends well before another may take the record."""
        return now < self._sure_until
