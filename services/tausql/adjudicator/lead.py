"""How far ahead of now taus are given out and time is closed.

Without a lead every read at "now" waits for a heartbeat; with too much, every commit waits for the clock. The right
lead hides in the append: about one append, measured on appends that found nothing else in flight (a queue must not
feed back into the lead that causes it), plus the way to storage.
"""

from __future__ import annotations


class Lead:
    """A moving estimate in microseconds; `micros` is what to add to the clock's latest."""

    __slots__ = ("_append_micros", "_micros_max", "_way_micros", "micros")

    def __init__(self, start_micros: int = 1_000, way_micros: int = 200, micros_max: int = 50_000) -> None:
        self._way_micros = way_micros
        self._micros_max = micros_max
        self._append_micros = float(max(0, start_micros - way_micros))
        self.micros = start_micros

    def observe(self, append_seconds: float) -> None:
        """An append that had nothing before it reached a majority in so long. Falls fast, rises slowly: most of what
        makes a single append slow is not the path."""
        sample = min(append_seconds * 1e6, self._append_micros * 4.0 + 100.0)
        weight = 0.5 if sample < self._append_micros else 0.125
        self._append_micros += (sample - self._append_micros) * weight
        self.micros = min(self._micros_max, int(self._append_micros) + self._way_micros)
