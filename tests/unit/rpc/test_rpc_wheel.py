from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tausql.rpc.wheel import SLOTS_PER_SECOND, DeadlineWheel

TICK = 1 / SLOTS_PER_SECOND


class ManualTimer:
    def __init__(self, when, function) -> None:
        self.when = when
        self.function = function

    def cancel(self) -> None:
        self.function = None


class ManualHost:
    """Time stands still until it is moved; timers may be late, never early."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[ManualTimer] = []

    def monotonic(self) -> float:
        return self.now

    def later(self, delay_seconds, function) -> ManualTimer:
        timer = ManualTimer(self.now + delay_seconds, function)
        self.timers.append(timer)
        return timer

    @property
    def wanted(self) -> list[ManualTimer]:
        return [timer for timer in self.timers if timer.function is not None]

    def move(self, seconds: float) -> None:
        self.now += seconds
        while due := [timer for timer in self.wanted if timer.when <= self.now]:
            timer = min(due, key=lambda timer: timer.when)
            function, timer.function = timer.function, None
            function()


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans(), st.floats(0, 0.3)), max_size=40))
def test_everything_not_taken_out_expires_once_and_in_time(plan):
    host = ManualHost()
    expired: dict[int, float] = {}

    def on_expired(number, due) -> None:
        assert number not in expired
        assert host.now >= due
        expired[number] = host.now

    wheel = DeadlineWheel(host, on_expired)
    dues: dict[int, float] = {}
    for number, (seconds, answered, pause) in enumerate(plan):
        slot = wheel.put(number, host.now + seconds, seconds)
        if answered:
            slot.pop(number)
        else:
            dues[number] = host.now + seconds
        host.move(pause)
        assert len(host.wanted) <= 1
    for _ in range(1200):
        host.move(TICK)
        for number, due in dues.items():
            assert number in expired or host.now <= due + 2 * TICK
    assert expired.keys() == dues.keys()
    assert host.wanted == []


def test_idle_wheel_has_no_timer():
    host = ManualHost()
    wheel = DeadlineWheel(host, lambda number, thing: None)
    assert host.wanted == []
    wheel.put(1, "x", 1.0).pop(1)
    host.move(1.1)
    assert host.wanted == []
    wheel.put(2, "x", 1.0).pop(2)
    wheel.release()
    assert host.wanted == []
