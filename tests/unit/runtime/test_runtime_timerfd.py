from __future__ import annotations

import asyncio
import time

import pytest

from tausql.runtime import timerfd
from tausql.runtime.loop import AsyncHost, run_on_host


def test_short_timer_is_never_early():
    async def body(host: AsyncHost) -> None:
        for delay in (0.0, 0.000_05, 0.000_3, 0.001, 0.0019):
            for _ in range(20):
                fired = asyncio.get_running_loop().create_future()
                due = time.monotonic_ns() + int(delay * 1e9)
                host.later(delay, lambda fired=fired: fired.set_result(time.monotonic_ns()))
                assert await fired >= due

    run_on_host(body)


def test_timers_fire_in_order_of_their_time_and_cancelled_ones_do_not():
    async def body(host: AsyncHost) -> None:
        fired: list[int] = []
        done = asyncio.Event()
        host.later(0.0015, done.set)
        timers = [host.later(delay / 10_000, fired.append, delay) for delay in (7, 3, 9, 1, 5)]
        timers[2].cancel()
        await done.wait()
        assert fired == [1, 3, 5, 7]

    run_on_host(body)


def test_timer_set_by_a_firing_timer_fires():
    async def body(host: AsyncHost) -> None:
        done = asyncio.Event()
        left = 50

        def again() -> None:
            nonlocal left
            left -= 1
            if left:
                host.later(0.0001, again)
            else:
                done.set()

        host.later(0.0001, again)
        await done.wait()
        assert left == 0

    run_on_host(body)


def test_nothing_armed_means_no_expiry_pending():
    async def body(host: AsyncHost) -> None:
        timers = timerfd.TimerFd(host.loop)
        assert timers.armed_ns == 0
        fired = asyncio.Event()
        timers.at(0.0001, fired.set, ())
        assert timers.armed_ns > 0
        await fired.wait()
        assert timers.armed_ns == 0
        timers.close()

    run_on_host(body)


def test_wake_ups_are_bounded(monkeypatch):
    monkeypatch.setattr(timerfd, "WAKE_UPS_MAX", 3)

    async def body(host: AsyncHost) -> None:
        timers = [host.later(0.001, lambda: None) for _ in range(3)]
        with pytest.raises(RuntimeError, match="more than 3"):
            host.later(0.001, lambda: None)
        for timer in timers:
            timer.cancel()

    run_on_host(body)
