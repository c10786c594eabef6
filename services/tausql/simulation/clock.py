"""A clock that is wrong within its bound, sometimes knows nothing, and in some runs lies.

Within its bound nothing may ever go wrong. Beyond it (`jump`, `run_away`) only latency and recency may: what was told
while it lied is excused from real time, and from nothing else. So a clock remembers until when it has lied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tausql.runtime.host import ClockUnsure, Interval

if TYPE_CHECKING:
    from tausql.simulation.world import World

HELD_MICROS_MAX = 1_000_000  # further behind its own last word it gives no time, as the real one does


class SimulatedClock:
    """`offset_micros` is the error a reading has; honest while it stays within `bound_micros`."""

    __slots__ = ("_earliest", "_latest", "_lying", "_lying_until", "_since", "_speed", "_world", "bound_micros", "lost",
                 "offset_micros")  # fmt: skip

    def __init__(self, world: World, bound_micros: int = 200) -> None:
        self._world = world
        self.bound_micros = bound_micros
        self.offset_micros = 0
        self.lost = False
        self._earliest = 0
        self._latest = 0
        self._speed = 0.0  # microseconds of error a second, while it runs away
        self._since = 0.0
        self._lying = False
        self._lying_until = -1.0  # true time by which what it says is true again
        self.drift()

    @property
    def ready(self) -> bool:
        return not self.lost

    def now(self) -> Interval:
        if self.lost:
            raise ClockUnsure("the clock's error bound is unknown")
        reading = self._world.micros() + self.offset_micros
        if self._speed:
            reading += int(self._speed * (self._world.now - self._since))
        earliest, latest = reading - self.bound_micros, reading + self.bound_micros
        if earliest > self._earliest:
            self._earliest = earliest
        else:
            earliest = self._earliest
        if latest > self._latest:
            self._latest = latest
        else:
            if self._latest - latest > HELD_MICROS_MAX:
                raise ClockUnsure("the clock has been set back")
            latest = self._latest
        return Interval(earliest, latest)

    def drift(self) -> None:
        """Wander to another error within the bound; more often than not to one of its ends, where the trouble is."""
        if self._lying:
            return
        bound = self.bound_micros
        self.offset_micros = self._world.random.choice((-bound, bound, self._world.random.randint(-bound, bound)))

    # beyond the bound

    def jump(self, micros: int) -> None:
        """Step beyond the bound: the clock now lies."""
        self._lying = True
        self.offset_micros += micros

    def run_away(self, micros_a_second: float) -> None:
        """Go wrong by and by."""
        self._lying = True
        self._speed, self._since = micros_a_second, self._world.now

    def come_back(self) -> None:
        """Be honest again. What it has said stands: its bounds hold still until true time has caught up with them."""
        if self._lying:
            self._lying = False
            self._speed = 0.0
            self._lying_until = max(self._world.now, self._world.now + (self._earliest - self._world.micros()) / 1e6)
            self.drift()

    def restarted(self) -> None:
        """A new process reads the clock, and has said nothing yet."""
        self._earliest = self._latest = 0

    def lied_after(self, since: float) -> bool:
        """Whether anything it said from `since` on may have been wrong."""
        return self._lying or self._lying_until > since
