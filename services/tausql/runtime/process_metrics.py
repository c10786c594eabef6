"""What every process counts: itself, and its clock."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

from tausql.runtime.clock import ERROR_UNKNOWN_US, EstimatedClock, HostClock
from tausql.runtime.host import Host, Timer
from tausql.runtime.metrics import LATENCY_SECONDS, Family, Histogram, Labelled, counter, gauge, histogram
from tausql.runtime.sampler import Sampler


class ProcessMetrics:
    """What every process tells about itself, and the check that its loop still turns."""

    __slots__ = ("_began", "_due", "_host", "_timer", "loop_lag_seconds", "seconds_between", "turned_at")

    def __init__(self, host: Host, seconds_between: float = 5.0) -> None:
        self._host = host
        self._began = host.monotonic()
        self._due = 0.0
        self._timer: Timer | None = None
        self.seconds_between = seconds_between  # each look at the loop's lag is a wake-up of an idle process
        self.turned_at = self._began
        self.loop_lag_seconds = Histogram(LATENCY_SECONDS)

    def start(self) -> None:
        self._due = self._host.monotonic() + self.seconds_between
        self._timer = self._host.later(self.seconds_between, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def collect(self) -> Iterator[Family]:
        rss, cpu = _memory_bytes(), os.times()
        yield gauge("tausql_process_resident_bytes", "Memory the kernel holds for this process.", rss)
        yield counter("tausql_process_cpu_seconds_total", "CPU time, user and system.", cpu.user + cpu.system)
        yield gauge("tausql_process_uptime_seconds", "Since the start.", self._host.monotonic() - self._began)
        yield gauge("tausql_process_open_files", "File descriptors in use.", _open_files())
        collections: Labelled = {(str(number),): float(one["collections"]) for number, one in enumerate(gc.get_stats())}
        yield counter("tausql_process_gc_collections_total", "Garbage collections.", collections, ("generation",))
        yield histogram(
            "tausql_process_loop_lag_seconds", "How late the event loop ran a timer.", self.loop_lag_seconds
        )

    def _look(self) -> None:
        now = self._host.monotonic()
        self.turned_at = now
        self.loop_lag_seconds.observe(max(now - self._due, 0.0))
        self.start()


class ClockMetrics:
    """What the process's clock tells about itself."""

    def __init__(self, clock: EstimatedClock | HostClock, sampler: Sampler | None) -> None:
        self._clock = clock
        self._sampler = sampler

    def collect(self) -> Iterator[Family]:
        error_us = self._clock.error_us()
        error = float("inf") if error_us == ERROR_UNKNOWN_US else error_us / 1e6
        yield gauge("tausql_clock_error_seconds", "How far the clock may be off; +Inf where that is unknown.", error)
        yield gauge("tausql_clock_ready", "1 while timestamps are given out.", int(self._clock.ready))
        yield counter("tausql_clock_holds_total", "Readings held still to not step back.", self._clock.holds)
        if self._sampler is not None:
            yield counter("tausql_clock_samples_total", "Answers of timekeepers.", self._sampler.answers)
            yield counter("tausql_clock_failures_total", "Questions timekeepers left open.", self._sampler.failures)


def _memory_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
