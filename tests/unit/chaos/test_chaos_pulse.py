"""A pulse feels what holds it up."""

from __future__ import annotations

import threading
from pathlib import Path

from tausql.chaos.pulse import BEAT_SECONDS, Pulse


class Jumpy:
    """A clock that jumps once by three seconds, and says when it has been asked often after that."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.enough = threading.Event()

    def __call__(self) -> float:
        self.asked += 1
        self.now += 3.0 if self.asked == 20 else BEAT_SECONDS
        if self.asked > 60:
            self.enough.set()
        return self.now


def test_the_longest_delay_is_told() -> None:
    clock = Jumpy()
    pulse = Pulse(clock)
    pulse.start()
    assert clock.enough.wait(20)
    pulse.stop()
    assert 2.9 < pulse.longest < 3.1


def test_syncs_are_felt_and_leave_nothing_behind(tmp_path: Path) -> None:
    pulse = Pulse(folder=tmp_path)
    pulse.start()
    until_synced = threading.Event()
    while not pulse.longest_sync:
        assert not until_synced.wait(0.01)
    pulse.stop()
    assert list(tmp_path.iterdir()) == []
