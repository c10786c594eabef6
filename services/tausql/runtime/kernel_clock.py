"""What the kernel knows of its own clock: readings, and how well it is synchronised.

`time.time()` alone says nothing of its error. adjtimex(2) does: whether a daemon (chrony, ptp) disciplines the clock,
and the maximum error, which the kernel itself lets grow by 500 ppm between corrections.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

REFRESH_US = 100_000  # how long a bound is used before the kernel is asked again
_GROWTH_US = REFRESH_US * 500 // 1_000_000 + 1  # what the kernel adds to it meanwhile
_UNSYNCHRONISED = 0x0040  # STA_UNSYNC
_ERROR_STATE = 5  # TIME_ERROR


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h> on 64-bit Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("pps", ctypes.c_long * 8),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    )


class Discipline(NamedTuple):
    """How well the kernel's clock is kept."""

    synchronised: bool
    error_us_max: int


def wall_us() -> int:
    """CLOCK_REALTIME in microseconds."""
    return time.time_ns() // 1000


def raw_us() -> int:
    """The oscillator in microseconds: no daemon steers it, so its drift is the crystal's alone."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) // 1000


def awake_us() -> int:
    """CLOCK_MONOTONIC in microseconds: steered, and standing still while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def boot_us() -> int:
    """CLOCK_BOOTTIME in microseconds: the same, but for the time the machine slept, which it counts."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class KernelClock:
    """Asks the kernel about its clock. Without adjtimex it counts as not synchronised."""

    def __init__(self) -> None:
        self._timex = _Timex()
        self._adjtimex: Callable[[object], int] | None = None
        if sys.platform == "linux":
            self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex

    def discipline(self) -> Discipline:
        if self._adjtimex is None:
            return Discipline(False, 0)
        self._timex.modes = 0  # only look
        state = self._adjtimex(ctypes.byref(self._timex))
        kept = 0 <= state != _ERROR_STATE and not self._timex.status & _UNSYNCHRONISED
        return Discipline(kept, int(self._timex.maxerror))


def bound_of(kernel: KernelClock, assumed_us: int | None) -> Callable[[], int | None]:
    """The error bound of the wall clock: what the kernel vouches for, or `assumed_us` where that is less; None where
    nobody vouches. Good for `REFRESH_US`.

    The operator's word counts even beside a synchronised kernel's: synchronised to the wide world within 100 ms, the
    processes of one machine still agree among themselves to the microsecond.
    """

    def bound() -> int | None:
        discipline = kernel.discipline()
        if not discipline.synchronised:
            return assumed_us
        kept_us = discipline.error_us_max + _GROWTH_US
        return kept_us if assumed_us is None else min(kept_us, assumed_us)

    return bound
