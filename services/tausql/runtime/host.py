"""What a process stands on: time, timers and chance, handed in so that the simulation can own them.

A service takes a `Host` and nothing else of the outside world but the network and its disk. The real one runs on
asyncio (`runtime.loop`), the simulated one on a virtual clock (`simulation.world`). Everything on a host runs on one
thread, one callback at a time: no locks anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, Protocol


class Interval(NamedTuple):
    """True time lies within, in whole microseconds since the Unix epoch."""

    earliest: int
    latest: int


class Clock(Protocol):
    """The interval clock. Neither bound ever steps back within a process's life."""

    def now(self) -> Interval:
        """The interval that holds true time. Raises `ClockUnsure` when the bound is unknown or too wide."""
        ...

    @property
    def ready(self) -> bool: ...


class ClockUnsure(Exception):
    """The clock's error bound is unknown or above its maximum: no timestamps may be given out."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Host(Protocol):
    """One process's surroundings."""

    @property
    def name(self) -> str:
        """Unique in the fleet, stable over restarts, e.g. `journal-b-1`."""
        ...

    @property
    def zone(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def random(self) -> random.Random: ...

    def monotonic(self) -> float:
        """Seconds since some point, for timeouts only."""
        ...

    def soon(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run after the present callback, before the loop waits for I/O again."""
        ...

    def later(self, delay_seconds: float, function: Callable[..., None], *arguments: Any) -> Timer:
        """Run after at least about `delay_seconds`. Real timers may fire up to 1 ms early or late: look at the clock
        again on waking wherever it matters (I9)."""
        ...

    def die(self, reason: str) -> NoReturn:
        """Leave at once, without cleaning up: an invariant broke or a disk failed. Raises in the simulation."""
        ...
