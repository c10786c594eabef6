from __future__ import annotations

from typing import Any

import pytest

from tausql.protocol.timekeeper import GetTime, Time, TimekeeperClient
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.clock import EstimatedClock, Estimator
from tausql.runtime.sampler import FIRST_TRIPS, Sampler


class ManualTimer:
    def __init__(self, when: float, function) -> None:
        self.when = when
        self.function = function

    def cancel(self) -> None:
        self.function = None


class ManualHost:
    """Time moves when told to; timekeepers answer 100 us after they were asked, if at all."""

    def __init__(self) -> None:
        self.now_us = 0
        self.timers: list[ManualTimer] = []

    def later(self, seconds: float, function, *arguments: Any) -> ManualTimer:
        timer = ManualTimer(self.now_us + seconds * 1e6, lambda: function(*arguments))
        self.timers.append(timer)
        return timer

    def move(self, seconds: float) -> None:
        until = self.now_us + int(seconds * 1e6)
        while True:
            due = [timer for timer in self.timers if timer.function is not None and timer.when <= until]
            if not due:
                break
            timer = min(due, key=lambda timer: timer.when)
            self.now_us = max(self.now_us, int(timer.when))
            function, timer.function = timer.function, None
            function()
        self.now_us = until


class Timekeeper:
    """A channel to a timekeeper whose clock is right, but for `offset_us`."""

    def __init__(self, host: ManualHost) -> None:
        self.host = host
        self.offset_us = 0
        self.up = True
        self.asked = 0

    def call(self, request: GetTime, deadline_seconds: float, done) -> None:
        self.asked += 1
        true = self.host.now_us + 50 + 1_000_000 + self.offset_us
        answer = Time(request.sent, true - 20, true + 20) if self.up else Failure(Cause.unavailable)
        self.host.later(0.0001, done, answer)


@pytest.fixture
def world():
    host = ManualHost()
    keepers = {name: Timekeeper(host) for name in "abc"}
    estimator = Estimator(list(keepers), 200)
    clock = EstimatedClock(estimator, lambda: host.now_us, 20_000)
    clients = {name: TimekeeperClient(keeper) for name, keeper in keepers.items()}
    sampler = Sampler(host, clients, estimator, clock, lambda: host.now_us, 2.0, 0.25)
    return host, keepers, estimator, clock, sampler


def test_fresh_process_has_the_time_after_one_trip_and_takes_a_few(world):
    host, keepers, _, clock, sampler = world
    sampler.start()
    host.move(0.00011)
    assert clock.ready
    host.move(0.05)
    assert {keeper.asked for keeper in keepers.values()} == {FIRST_TRIPS}
    assert clock.error_us() < 100
    now = clock.now()
    assert now.earliest <= host.now_us + 1_000_000 <= now.latest


def test_polls_are_rare_while_idle_and_frequent_while_in_use(world):
    host, keepers, _, clock, sampler = world
    sampler.start()
    host.move(1.0)
    before = keepers["a"].asked
    host.move(20.0)
    assert keepers["a"].asked - before == 10
    for number in range(120):
        if number == 40:  # the idle pause is over by now
            before = keepers["a"].asked
        clock.now()
        host.move(0.05)
    assert 15 <= keepers["a"].asked - before <= 17


def test_process_that_starts_first_is_ready_soon_after_the_timekeepers(world):
    host, keepers, _, clock, sampler = world
    for keeper in keepers.values():
        keeper.up = False
    sampler.start()
    host.move(0.1)
    assert not clock.ready
    for keeper in keepers.values():
        keeper.up = True
    host.move(0.07)
    assert clock.ready


def test_clock_runs_free_with_a_widening_bound_when_timekeepers_go(world):
    host, keepers, _, clock, sampler = world
    sampler.start()
    host.move(1.0)
    for keeper in keepers.values():
        keeper.up = False
    host.move(60.0)
    assert clock.ready
    assert 10_000 < clock.error_us() < 15_000
    host.move(60.0)
    assert not clock.ready
    keepers["b"].up = keepers["c"].up = True
    host.move(3.0)
    assert clock.ready


def test_falseticker_is_named_and_ignored(world):
    host, keepers, estimator, clock, sampler = world
    keepers["c"].offset_us = 700_000
    sampler.start()
    host.move(1.0)
    assert estimator.falsetickers == ["c"]
    now = clock.now()
    assert now.earliest <= host.now_us + 1_000_000 <= now.latest


def test_stopped_sampler_asks_no_more(world):
    host, keepers, _, _, sampler = world
    sampler.start()
    host.move(1.0)
    sampler.stop()
    before = keepers["a"].asked
    host.move(10.0)
    assert keepers["a"].asked == before


def test_timekeepers_come_and_go(world):
    host, keepers, estimator, clock, sampler = world
    sampler.start()
    host.move(1.0)
    keepers["d"] = Timekeeper(host)
    sampler.admit("d", TimekeeperClient(keepers["d"]))
    sampler.dismiss("a")
    before = keepers["a"].asked
    host.move(0.01)
    assert keepers["d"].asked == FIRST_TRIPS
    host.move(10.0)
    assert keepers["a"].asked == before
    assert keepers["d"].asked > FIRST_TRIPS
    assert clock.ready
    assert estimator.sources == 4  # before a left, there were so many
    moved = Timekeeper(host)
    sampler.admit("d", TimekeeperClient(moved))  # at another address
    before = keepers["d"].asked
    host.move(10.0)
    assert keepers["d"].asked == before
    assert moved.asked > FIRST_TRIPS
    host.move(60.0)
    assert estimator.sources == 3


def test_a_fleet_without_timekeepers_gets_its_first(world):
    host, keepers, *_ = world
    estimator = Estimator([], 200)
    clock = EstimatedClock(estimator, lambda: host.now_us, 20_000)
    sampler = Sampler(host, {}, estimator, clock, lambda: host.now_us, 2.0, 0.25)
    sampler.start()
    host.move(5.0)
    assert not clock.ready
    sampler.admit("a", TimekeeperClient(keepers["a"]))
    host.move(0.01)
    assert clock.ready


def test_after_sleep_everybody_is_asked_at_once_and_what_was_under_way_is_dropped(world):
    host, keepers, estimator, _, _ = world
    asleep = 0
    clock = EstimatedClock(estimator, lambda: host.now_us, 20_000, lambda: host.now_us, lambda: host.now_us + asleep)
    clients = {name: TimekeeperClient(keeper) for name, keeper in keepers.items()}
    sampler = Sampler(host, clients, estimator, clock, lambda: host.now_us, 2.0, 0.25)
    sampler.start()
    host.move(1.9)
    assert clock.ready
    sampler.dismiss("c")
    keepers["d"] = Timekeeper(host)
    sampler.admit("d", TimekeeperClient(keepers["d"]))
    host.move(0.00005)  # its answer is under way
    asleep = 3_600_000_000
    for keeper in keepers.values():
        keeper.offset_us = asleep
    assert not clock.ready
    host.move(0.00006)
    assert not clock.ready
    assert estimator.best("d", host.now_us) is None
    host.move(0.0005)
    now = clock.now()
    assert now.earliest <= host.now_us + 1_000_000 + asleep <= now.latest
