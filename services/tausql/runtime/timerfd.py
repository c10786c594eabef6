"""Wake-ups exact to some 50 microseconds, and never early.

The loop's own timers count whole milliseconds and may fire before their time, which is useless for a commit that waits
300 us for its timestamp to pass. The kernel's timerfd has hrtimer precision and, as a file descriptor, wakes the loop
like a socket does. One descriptor serves a whole loop: it is armed for the earliest wake-up only, and costs nothing
while none is wanted.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import time
from collections.abc import Callable
from typing import Any

WAKE_UPS_MAX = 100_000
_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000
_ABSOLUTE = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class WakeUp:
    """One wanted wake-up: a `Timer`."""

    __slots__ = ("_arguments", "_function", "when_ns")

    def __init__(self, when_ns: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.when_ns = when_ns
        self._function: Callable[..., None] | None = function
        self._arguments = arguments

    def __lt__(self, other: WakeUp) -> bool:
        return self.when_ns < other.when_ns

    @property
    def wanted(self) -> bool:
        return self._function is not None

    def cancel(self) -> None:
        self._function = None
        self._arguments = ()

    def fire(self) -> None:
        function, arguments = self._function, self._arguments
        self._function = None
        if function is not None:
            function(*arguments)


class TimerFd:
    """The wake-ups of one loop. Raises OSError where the kernel has no timerfd."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting()
        self._setting_at = ctypes.addressof(self._setting)
        self._heap: list[WakeUp] = []
        self.armed_ns = 0  # the monotonic time the descriptor is armed for; 0: not armed
        self._firing = False
        self._loop = loop
        loop.add_reader(self._fd, self._on_due)

    def at(self, delay_seconds: float, function: Callable[..., None], arguments: tuple[Any, ...]) -> WakeUp:
        """Call `function` once `delay_seconds` have passed, not before."""
        if len(self._heap) >= WAKE_UPS_MAX:
            raise RuntimeError(f"more than {WAKE_UPS_MAX} wake-ups wanted at once")
        wake_up = WakeUp(time.monotonic_ns() + max(int(delay_seconds * 1e9), 1), function, arguments)
        heapq.heappush(self._heap, wake_up)
        if not self._firing and (not self.armed_ns or wake_up.when_ns < self.armed_ns):
            self._arm(wake_up.when_ns)
        return wake_up

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._heap.clear()

    def _arm(self, when_ns: int) -> None:
        # Setting the time also takes back an expiry that was not read: one system call does both.
        self.armed_ns = when_ns
        value = self._setting.value
        value.seconds, value.nanoseconds = divmod(when_ns, 1_000_000_000)
        if self._settime(self._fd, _ABSOLUTE, self._setting_at, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _on_due(self) -> None:
        heap = self._heap
        now = time.monotonic_ns()
        self._firing = True
        try:
            while heap and (heap[0].when_ns <= now or not heap[0].wanted):
                heapq.heappop(heap).fire()
        finally:
            self._firing = False
            self._arm(heap[0].when_ns if heap else 0)
