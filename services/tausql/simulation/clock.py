"""A clock that is wrong within its bound, and sometimes knows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tausql.runtime.host import ClockUnsure, Interval

if TYPE_CHECKING:
    from tausql.simulation.world import World


class SimulatedClock:
    """`offset_micros` is the error a reading has; honest while it stays within `bound_micros`. With `honest` False it
    may lie beyond its bound: that may cost latency and recency, never isolation."""

    def __init__(self, world: World, bound_micros: int = 200) -> None:
        self._world = world
        self.bound_micros = bound_micros
        self.offset_micros = world.random.randint(-bound_micros, bound_micros)
        self.lost = False
        self._earliest = 0
        self._latest = 0

    @property
    def ready(self) -> bool:
        return not self.lost

    def now(self) -> Interval:
        if self.lost:
            raise ClockUnsure("the clock's error bound is unknown")
        reading = self._world.micros() + self.offset_micros
        self._earliest = max(self._earliest, reading - self.bound_micros)
        self._latest = max(self._latest, reading + self.bound_micros)
        return Interval(self._earliest, self._latest)

    def drift(self) -> None:
        """Wander to another error within the bound."""
        self.offset_micros = self._world.random.randint(-self.bound_micros, self.bound_micros)

    def jump(self, micros: int) -> None:
        """Step beyond the bound: the clock now lies."""
        self.offset_micros += micros
