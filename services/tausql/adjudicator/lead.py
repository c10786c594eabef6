"""How far ahead of now taus are given out and time is closed.

Without a lead every read at "now" waits for a heartbeat; with too much, every commit waits for the clock. The right
lead is one append plus the way of its news to the readers: then a read at now finds time closed and the records there.

The append is measured on appends that found nothing else in flight: a queue must not feed back into the lead that
causes it. With a majority in another region something is nearly always in flight, so what eight in a row agree on
counts too: commits that take so long anyway lose nothing by a lead of the shortest of them.

The way to readers of the same region is next to nothing, and a constant. Those of another region are heard of when
they wait: a nudge names the tau they wait for, which was their now, and so tells how long it was under way. A region
that nobody reads in makes no commit slower.
"""

from __future__ import annotations

AGREEING = 8  # appends in a row that are all slower, or all faster, than what was thought
NUDGES = 4  # of one sender: the quickest of them tells the way
FAR_MICROS = 2_000  # a shorter way is not worth telling from chance
FORGOTTEN_SECONDS = 60.0  # a sender that has not nudged for so long has no reader
SENDERS_MAX = 64


class _Way:
    """From one sender of nudges to here."""

    __slots__ = ("count", "heard", "least", "micros")

    def __init__(self) -> None:
        self.micros = 0
        self.least = 0
        self.count = 0
        self.heard = 0.0


class Lead:
    """A moving estimate in microseconds; `micros` is what to add to the clock's latest."""

    __slots__ = ("_append_micros", "_bound", "_far_micros", "_faster", "_micros_max", "_slower", "_way_micros", "_ways",
                 "micros")  # fmt: skip

    def __init__(self, start_micros: int = 1_000, way_micros: int = 200, micros_max: int = 200_000) -> None:
        self._way_micros = way_micros
        self._micros_max = micros_max
        self._append_micros = float(max(0, start_micros - way_micros))
        self._slower = 0  # appends in a row
        self._faster = 0
        self._bound = 0.0  # the fastest of those that were slower, or the slowest of those that were faster
        self._ways: dict[str, _Way] = {}
        self._far_micros = 0
        self.micros = start_micros

    def observe(self, append_seconds: float) -> None:
        """An append that had nothing before it reached a majority in so long. Falls fast, rises slowly: most of what
        makes a single append slow is not the path."""
        micros = append_seconds * 1e6
        sample = min(micros, self._append_micros * 4.0 + 100.0)
        weight = 0.5 if sample < self._append_micros else 0.125
        self._count(micros)
        self._append_micros += (sample - self._append_micros) * weight
        self._sum()

    def queued(self, append_seconds: float) -> None:
        """The same of an append that found others in flight."""
        self._count(append_seconds * 1e6)

    def nudged(self, sender: str, at_least_micros: int, micros: int, now: float) -> None:
        """A nudge from another region was under way for about `micros`, for `at_least_micros` whatever the clocks'
        errors. `now`: monotonic seconds."""
        way = self._ways.get(sender)
        if way is None:
            if len(self._ways) >= SENDERS_MAX:
                return
            way = self._ways[sender] = _Way()
        way.heard = now
        far = max(0, micros) if at_least_micros >= FAR_MICROS else 0
        way.least = far if way.count == 0 else min(way.least, far)
        way.count += 1
        if way.count >= NUDGES:
            way.count = 0
            way.micros = way.least
        self.age(now)

    def age(self, now: float) -> None:
        """Count those ways that were heard of lately. `now`: monotonic seconds."""
        if not self._ways:
            return
        heard = (way.micros for way in self._ways.values() if now - way.heard < FORGOTTEN_SECONDS)
        self._far_micros = max(heard, default=0)
        self._sum()

    def _count(self, micros: float) -> None:
        if micros > self._append_micros:
            self._faster = 0
            self._bound = min(self._bound, micros) if self._slower else micros
            self._slower += 1
            if self._slower < AGREEING:
                return
        else:
            self._slower = 0
            self._bound = max(self._bound, micros) if self._faster else micros
            self._faster += 1
            if self._faster < AGREEING:
                return
        self._slower = self._faster = 0
        self._append_micros = self._bound
        self._sum()

    def _sum(self) -> None:
        way = max(self._way_micros, self._far_micros)
        self.micros = min(self._micros_max, int(self._append_micros) + way)
