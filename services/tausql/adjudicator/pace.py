"""Commits slow down before storage falls so far behind that it has to be left behind.

The journal keeps every record until two zones hold it durably, and no replica that lives is to lose its place in it. So
a replica that applies more slowly than commits come fills the journal's disks in the end, and then nothing goes at all.
Crossbars hear how far each replica is and tell the holders; beyond a limit every commit is held for a moment before it
is judged, the longer the farther behind. Clients that wait for their commits send fewer: the slow replica gains ground.
Nothing is refused unless more wait than there is room for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tausql.protocol.adjudicator import Aborted, Commit, Lag, Reason
from tausql.rpc.interface import Reply
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

FORGET_SECONDS = 5.0  # what a crossbar said; it says it every second while it is so

log = logs.get("adjudicator")


class PaceLimits(NamedTuple):
    lag_seconds: float  # a lag at which nothing is slowed down yet
    hold_seconds_max: float  # how long a commit is held at twice that lag, and beyond
    held_max: int


class Pace:
    """`slow`: commits are to be given to `hold`, which passes them to `commit` later."""

    __slots__ = ("_commit", "_forget", "_host", "_limits", "held", "lag_seconds", "slow")

    def __init__(self, host: Host, limits: PaceLimits, commit: Callable[[Commit, Reply], None]) -> None:
        self._host = host
        self._limits = limits
        self._commit = commit
        self._forget: Timer | None = None
        self.lag_seconds = 0.0  # the highest heard of late
        self.slow = False
        self.held = 0  # commits at this moment

    def hear(self, lag: Lag) -> None:
        """What one of the crossbars says. They all hear the same replicas: the highest counts."""
        seconds = lag.micros / 1e6
        if seconds <= self._limits.lag_seconds or seconds < self.lag_seconds - 1.0:
            return
        if not self.slow:
            log.warning("commits are slowed down: storage is far behind", lag_seconds=round(seconds))
        self.slow = True
        self.lag_seconds = seconds
        if self._forget is not None:
            self._forget.cancel()
        self._forget = self._host.later(FORGET_SECONDS, self._forgotten)

    def _forgotten(self) -> None:
        self._forget = None
        self.slow = False
        self.lag_seconds = 0.0
        log.info("commits are not slowed down any more")

    @property
    def pause_seconds(self) -> float:
        """How long a commit is held now."""
        limits = self._limits
        over = self.lag_seconds / limits.lag_seconds - 1.0
        return limits.hold_seconds_max * min(1.0, max(0.0, over))

    def hold(self, request: Commit, reply: Reply) -> None:
        if self.held >= self._limits.held_max:
            reply.answer(Aborted(Reason.overloaded))
            return
        self.held += 1
        self._host.later(self.pause_seconds, self._release, request, reply)

    def _release(self, request: Commit, reply: Reply) -> None:
        self.held -= 1
        self._commit(request, reply)
