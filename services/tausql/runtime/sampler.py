"""Looks at the timekeepers and feeds the clock.

Three round trips at once when a process is fresh, so that it has a time within milliseconds; afterwards rarely while
nobody asks the time, and more often while somebody does: the bound widens with the age of the last look, and every
commit waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tausql.protocol.timekeeper import Time, TimekeeperClient
from tausql.rpc.interface import Failure
from tausql.runtime import logs
from tausql.runtime.clock import SAMPLES_MAX, EstimatedClock, Estimator, sample_of
from tausql.runtime.host import Host, Timer

FIRST_TRIPS = 3
ANSWER_SECONDS = 1.0
RETRY_SECONDS_MIN = 0.02
RETRY_SECONDS_MAX = 0.1

log = logs.get("clock")


class Sampler:
    """Polls every timekeeper by name; they come and go (`admit`, `dismiss`, which tell the estimator too).

    read_us: the oscillator the clock runs on. idle_seconds, busy_seconds: between looks, while nobody or somebody uses
    the clock.
    """

    def __init__(
        self,
        host: Host,
        timekeepers: Mapping[str, TimekeeperClient],
        estimator: Estimator,
        clock: EstimatedClock,
        read_us: Callable[[], int],
        idle_seconds: float,
        busy_seconds: float,
    ) -> None:
        self._host = host
        self._estimator = estimator
        self._clock = clock
        self._read_us = read_us
        self._idle_seconds = idle_seconds
        self._busy_seconds = busy_seconds
        self._readings = 0
        self._timer: Timer | None = None
        self._started = False
        self._sources: dict[str, _Source] = {}
        for name, client in timekeepers.items():
            self.admit(name, client)
        estimator.forgotten = self._ask_all
        self._falsetickers: list[str] = []
        self.answers = 0
        self.failures = 0

    def admit(self, name: str, client: TimekeeperClient) -> None:
        """A timekeeper is there: it is asked at once. One of the same name before it, at another address, is not asked
        any more; what it said still counts."""
        self._estimator.admit(name)
        if (before := self._sources.get(name)) is not None:
            before.stop()
        source = self._sources[name] = _Source(self, name, client)
        if self._started:
            source.ask(FIRST_TRIPS)

    def dismiss(self, name: str) -> None:
        """A timekeeper is gone. What it has not answered yet is not waited for."""
        self._estimator.dismiss(name)
        if (source := self._sources.pop(name, None)) is not None:
            source.stop()

    @property
    def agreeing(self) -> dict[str, bool]:
        """Every timekeeper that is asked: does it agree with the majority, as far as is known?"""
        return {name: name not in self._estimator.falsetickers for name in self._sources}

    def start(self) -> None:
        self._started = True
        self._ask_all()
        self._timer = self._host.later(self._busy_seconds, self._look)

    def stop(self) -> None:
        self._started = False
        if self._timer is not None:
            self._timer.cancel()
        for source in self._sources.values():
            source.stop()

    def _ask_all(self) -> None:
        for source in self._sources.values():
            source.ask(FIRST_TRIPS)

    def _look(self) -> None:
        readings = self._clock.readings
        busy = readings != self._readings
        self._readings = readings
        for source in self._sources.values():
            source.ask(1)
        self._timer = self._host.later(self._busy_seconds if busy else self._idle_seconds, self._look)

    def take(self, name: str, sent: int, sleeps: int, time: Time) -> None:
        """One answer to a question sent at this oscillator time, when the machine had slept so many times."""
        self.answers += 1
        if self._clock.look() != sleeps:
            log.info("an answer was under way while this machine slept", timekeeper=name)
            return
        sample = sample_of(sent, self._read_us(), time.earliest, time.latest, self._estimator.drift_ppm)
        if sample is None:
            log.error("a timekeeper answered nonsense", timekeeper=name, earliest=time.earliest, latest=time.latest)
            return
        self._estimator.add(name, sample)
        if self._estimator.falsetickers != self._falsetickers:
            self._falsetickers = list(self._estimator.falsetickers)
            if self._falsetickers:
                log.error("timekeepers disagree with the majority", timekeepers=self._falsetickers)
            else:
                log.info("all timekeepers agree again")


class _Source:
    """One timekeeper: at most one question under way."""

    __slots__ = ("_client", "_name", "_retry", "_retry_seconds", "_sampler", "_stopped", "_waiting", "_wanted")

    def __init__(self, sampler: Sampler, name: str, client: TimekeeperClient) -> None:
        self._sampler = sampler
        self._name = name
        self._client = client
        self._wanted = 0
        self._waiting = False
        self._stopped = False
        self._retry: Timer | None = None
        self._retry_seconds = RETRY_SECONDS_MIN

    def ask(self, trips: int) -> None:
        self._wanted = min(max(self._wanted, trips), SAMPLES_MAX)
        if not self._waiting and self._retry is None and not self._stopped:
            self._send()

    def stop(self) -> None:
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()

    def _send(self) -> None:
        self._retry = None
        self._waiting = True
        sleeps = self._sampler._clock.look()
        sent = self._sampler._read_us()
        self._client.get_time(sent, ANSWER_SECONDS, lambda answer: self._answered(sent, sleeps, answer))

    def _answered(self, sent: int, sleeps: int, answer: Time | Failure) -> None:
        self._waiting = False
        if self._stopped:
            return
        sampler = self._sampler
        if isinstance(answer, Failure):
            sampler.failures += 1
            self._retry = sampler._host.later(self._retry_seconds, self._send)
            self._retry_seconds = min(self._retry_seconds * 1.5, RETRY_SECONDS_MAX)
            return
        self._retry_seconds = RETRY_SECONDS_MIN
        self._wanted -= 1
        sampler.take(self._name, sent, sleeps, answer)
        if self._wanted > 0:
            self._send()
