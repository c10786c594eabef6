"""The snapshots transactions read.

tau_start is the latest this instant can be, and never below what this process knows to be committed: a session must
see its own last commit, and whoever was told of a commit by this process must see it through any session of it. The
session's own last tau_commit alone would not do for two connections of one application.
"""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.tau import SHIFT, closing, micros_of
from tausql.runtime.host import Clock, ClockUnsure


class Snapshots:
    """Gives out tau_starts, and says when a tau lies in everybody's past."""

    __slots__ = ("_clock", "_earliest", "_micros_min")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._micros_min = 0  # of acknowledged commits and floors
        self._earliest = 0  # the newest lower bound of true time seen: most questions are answered by it

    def take(self) -> int:
        """A tau_start. Raises SqlError 57P03 while the clock's error is not known."""
        interval = self._now()
        return closing(max(interval[1], self._micros_min))

    def latest(self) -> int:
        """Now, in microseconds since the Unix epoch, as late as it can be."""
        return self._now()[1]

    def committed(self, tau: int) -> None:
        """This process is about to tell someone of a commit."""
        micros = micros_of(tau)
        if micros > self._micros_min:
            self._micros_min = micros

    def above_floor(self, floor: int) -> None:
        """An adjudicator refuses tau_starts at or below `floor`: the next ones lie above it."""
        micros = micros_of(floor) + 1
        if micros > self._micros_min:
            self._micros_min = micros

    def passed(self, tau: int) -> bool:
        """True once every clock has passed `tau` (I9): then what it holds may be shown."""
        micros = tau >> SHIFT
        if micros < self._earliest:
            return True
        return self._now()[0] > micros

    def seconds_until(self, tau: int) -> float:
        """About how long until `passed`."""
        return max((tau >> SHIFT) + 1 - self._now()[0], 0) / 1_000_000

    def _now(self) -> tuple[int, int]:
        try:
            interval = self._clock.now()
        except ClockUnsure as unsure:
            raise clock_unsure(str(unsure)) from unsure
        self._earliest = interval[0]
        return interval


def clock_unsure(why: str) -> SqlError:
    return SqlError(
        Code.cannot_connect_now,
        "the clock of this processor is not certain enough to take a snapshot",
        detail=why or None,
        hint="Retry in a moment.",
    )
