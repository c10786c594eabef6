"""A clock that is wrong within its bound, and sometimes knows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tausql.runtime.host import ClockUnsure, Interval

if TYPE_CHECKING:
    from tausql.simulation.world import World


class SimulatedClock:
    """`offset_micros` is the error a reading has; honest while it stays within `bound_micros`. After `jump` it may lie
    beyond its bound: that may cost latency and recency, never isolation."""

    __slots__ = ("_earliest", "_latest", "_world", "bound_micros", "lost", "offset_micros")

    def __init__(self, world: World, bound_micros: int = 200) -> None:
        self._world = world
        self.bound_micros = bound_micros
        self.offset_micros = 0
        self.lost = False
        self._earliest = 0
        self._latest = 0
        self.drift()

    @property
    def ready(self) -> bool:
        return not self.lost

    def now(self) -> Interval:
        if self.lost:
            raise ClockUnsure("the clock's error bound is unknown")
        reading = self._world.micros() + self.offset_micros
        earliest, latest = reading - self.bound_micros, reading + self.bound_micros
        if earliest > self._earliest:
            self._earliest = earliest
        if latest > self._latest:
            self._latest = latest
        return Interval(self._earliest, self._latest)

    def drift(self) -> None:
        """Wander to another error within the bound; more often than not to one of its ends, where the trouble is."""
        bound = self.bound_micros
        self.offset_micros = self._world.random.choice((-bound, bound, self._world.random.randint(-bound, bound)))

    def jump(self, micros: int) -> None:
        """Step beyond the bound: the clock now lies."""
        self.offset_micros += micros
