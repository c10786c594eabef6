"""What every process counts: itself, and its clock."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

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


class ProcessFacts:
    """What does not change in a process's life, and the room left on its disk."""

    __slots__ = ("_began", "_data_dir", "_services")

    def __init__(self, services: Sequence[str], data_dir: Path) -> None:
        self._services = "+".join(services)
        self._data_dir = data_dir
        self._began = time.time()

    def collect(self) -> Iterator[Family]:
        facts: Labelled = {(self._services, version("tausql")): 1}
        yield gauge("tausql_process_info", "1; the labels say what runs here.", facts, ("services", "version"))
        yield gauge("tausql_process_start_time_seconds", "When it started, since the Unix epoch.", self._began)
        if self._data_dir.is_dir():
            room = os.statvfs(self._data_dir)
            free, size = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
            yield gauge("tausql_process_disk_free_bytes", "Room left where this process keeps its data.", free)
            yield gauge("tausql_process_disk_size_bytes", "Size of the file system it keeps its data on.", size)


class Readiness:
    """What /readyz says, as a number."""

    __slots__ = ("_ready",)

    def __init__(self, ready: Callable[[], tuple[bool, str]]) -> None:
        self._ready = ready

    def collect(self) -> Iterator[Family]:
        yield gauge("tausql_process_ready", "1 while /readyz says yes.", int(self._ready()[0]))


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
            liars: Labelled = {(name,): int(not agrees) for name, agrees in self._sampler.agreeing.items()}
            text = "1 for a timekeeper that most disagree with."
            yield gauge("tausql_clock_falseticker", text, liars, ("timekeeper",))
        if isinstance(self._clock, EstimatedClock):
            sources, sleeps = self._clock.sources, self._clock.sleeps
            yield gauge("tausql_clock_sources", "Timekeepers a majority of which must agree.", sources)
            yield counter("tausql_clock_sleeps_total", "Times this machine was found to have slept.", sleeps)


def _memory_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
