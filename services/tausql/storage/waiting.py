"""Requests for a tau that the watermark has not reached yet: they wait, and whoever can close time is told."""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.tau import closing
from tausql.rpc.interface import Cause, Reply
from tausql.runtime.host import ClockUnsure, Host, Timer
from tausql.storage.answering import Request
from tausql.storage.metrics import StorageMetrics
from tausql.storage.parked import ParkedReads
from tausql.storage.settings import StorageSettings


class Waiting:
    """`want` asks the crossbar for a tau, `answer` is for requests whose tau has come."""

    __slots__ = ("_answer", "_host", "_metrics", "_settings", "_timer", "_want", "_wanted", "parked")

    def __init__(
        self,
        host: Host,
        settings: StorageSettings,
        metrics: StorageMetrics,
        want: Callable[[int], None],
        answer: Callable[[Request, Reply], None],
    ) -> None:
        self._host, self._settings, self._metrics = host, settings, metrics
        self._want = want
        self._answer = answer
        self.parked = ParkedReads(settings.parked_max)
        self._wanted = 0
        self._timer: Timer | None = None

    def park(self, request: Request, reply: Reply) -> None:
        tau = request.tau
        now = self._host.monotonic()
        if not self.parked.park(tau, now + self._settings.park_seconds_max, request, reply):
            reply.fail(Cause.overloaded, "too many reads wait for the watermark")
            return
        self._metrics.parked += 1
        if tau > self._wanted:
            self._ask(tau)
        if self._timer is None:
            self._timer = self._host.later(self._settings.want_seconds, self._look)

    def serve(self, watermark: int) -> None:
        """Answer everything that `watermark` has reached."""
        now = self._host.monotonic()
        while (due := self.parked.pop_due(watermark)) is not None:
            request, reply, expires = due
            self._metrics.read_wait_seconds.observe(now - expires + self._settings.park_seconds_max)
            self._answer(request, reply)

    def fail(self, why: str) -> None:
        """Nothing here will be answered."""
        for reply in self.parked.pop_expired(float("inf")):
            reply.fail(Cause.unavailable, why)

    def _ask(self, tau: int) -> None:
        """Ask for `tau`, or for what of it is due: time closed far ahead of now would hold up every commit."""
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            return
        self._wanted = min(tau, closing(latest + self._settings.want_ahead_micros))
        self._want(self._wanted)

    def _look(self) -> None:
        self._timer = None
        for reply in self.parked.pop_expired(self._host.monotonic()):
            self._metrics.expired += 1
            reply.fail(Cause.deadline, "the watermark did not reach the read's tau in time")
        if len(self.parked):
            self._ask(self.parked.highest)
            self._timer = self._host.later(self._settings.want_seconds, self._look)
