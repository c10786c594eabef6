"""The real `Host`: one uvloop, the machine's clocks, and a process that can leave at once.

asyncio alone will not do: its timers are too coarse for commit wait (see `timerfd`), and an exception that escapes a
callback is merely logged. Here such an exception ends the process: the state machine it left may be half changed, and
every service is built to be restarted.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import uvloop

from tausql.runtime import logs
from tausql.runtime.host import Clock, ClockUnsure, Interval, Timer
from tausql.runtime.strong_random import StrongRandom
from tausql.runtime.timerfd import TimerFd

DEATH_EXIT_CODE = 70
PRECISE_BELOW_SECONDS = 0.002  # the loop's own timers are off by up to a millisecond either way

log = logs.get("runtime")


class UnknownClock:
    """The clock of a process that has not been given one: never ready."""

    ready = False

    def now(self) -> Interval:
        raise ClockUnsure("this process has no clock")


class AsyncHost:
    """A `Host` on the running event loop.

    exit_now: how to leave; `os._exit` but in tests.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        loop: asyncio.AbstractEventLoop,
        clock: Clock | None = None,
        exit_now: Callable[[int], NoReturn] = os._exit,
    ) -> None:
        self.name = name
        self.zone = zone
        self.loop = loop
        self.clock: Clock = clock if clock is not None else UnknownClock()
        self.random: random.Random = StrongRandom()
        self._exit_now = exit_now
        self._timers: TimerFd | None = TimerFd(loop) if sys.platform == "linux" else None
        self._call_later = loop.call_later
        # The loop's and the machine's own functions, without a frame of ours in between: these two are hot.
        self.soon: Callable[..., Any] = loop.call_soon
        self.monotonic: Callable[[], float] = time.monotonic
        loop.set_exception_handler(self._on_escaped)

    def later(self, delay_seconds: float, function: Callable[..., None], *arguments: Any) -> Timer:
        timers = self._timers
        if delay_seconds < PRECISE_BELOW_SECONDS and timers is not None:
            return timers.at(delay_seconds, function, arguments)
        return self._call_later(delay_seconds, function, *arguments)

    def die(self, reason: str) -> NoReturn:
        log.critical("leaving at once", reason=reason, error=sys.exc_info()[1])
        self._exit_now(DEATH_EXIT_CODE)

    def close(self) -> None:
        """Give the timer's descriptor back (tests run many loops in one process)."""
        if self._timers is not None:
            self._timers.close()
            self._timers = None

    def _on_escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = str(context.get("message", ""))
        # A callback's or a spawned task's exception comes with a handle, a protocol's with the protocol. The rest is
        # what transports say in parting (any OSError, TLS included), and futures of libraries nobody looked at.
        kind = error if isinstance(error, type) else type(error)  # some transports name the class and make no error
        ours = "handle" in context or ("protocol" in context and not issubclass(kind, OSError))
        if error is None or not ours:
            log.warning("event loop", message=message, reason=repr(error))
            return
        log.critical("an exception escaped a callback", message=message, error=error)
        self.die(f"an exception escaped: {error!r}")


def run_on_host(
    body: Callable[[AsyncHost], Awaitable[None]],
    *,
    clock: Clock | None = None,
    name: str = "test",
    zone: str = "a",
    exit_now: Callable[[int], NoReturn] = os._exit,
) -> None:
    """Run `body` to its end on a fresh loop with a host: for tests and small programs."""

    async def main() -> None:
        host = AsyncHost(name, zone, asyncio.get_running_loop(), clock, exit_now)
        try:
            await body(host)
        finally:
            host.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
