"""Commits are held back while storage is far behind, and only then."""

from __future__ import annotations

from types import SimpleNamespace

from tausql.adjudicator.pace import FORGET_SECONDS, Pace, PaceLimits
from tausql.protocol.adjudicator import Aborted, Lag, Reason


class Host:
    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list = []

    def later(self, seconds, function, *arguments):
        entry = (self.now + seconds, function, arguments)
        self.timers.append(entry)
        return SimpleNamespace(cancel=lambda: self.timers.remove(entry) if entry in self.timers else None)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((one for one in self.timers if one[0] <= end), key=lambda one: one[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1](*due[0][2])
        self.now = end


def pace_of() -> tuple[Host, Pace, list]:
    host, passed = Host(), []
    pace = Pace(host, PaceLimits(60.0, 1.0, 2), lambda request, reply: passed.append((request, host.now)))
    return host, pace, passed


def test_a_small_lag_slows_nothing_down():
    _, pace, _ = pace_of()
    pace.hear(Lag(60_000_000))
    assert not pace.slow


def test_the_farther_behind_the_longer_a_commit_is_held():
    host, pace, passed = pace_of()
    for seconds, pause in ((75, 0.25), (90, 0.5), (400, 1.0)):
        pace.hear(Lag(seconds * 1_000_000))
        assert pace.slow
        began = host.now
        pace.hold(seconds, None)
        host.run(2.0)
        assert passed[-1] == (seconds, began + pause)
    assert pace.held == 0


def test_what_no_crossbar_says_any_more_is_forgotten():
    host, pace, _ = pace_of()
    pace.hear(Lag(90_000_000))
    host.run(FORGET_SECONDS - 1)
    pace.hear(Lag(90_000_000))
    host.run(FORGET_SECONDS - 1)
    assert pace.slow
    host.run(2.0)
    assert not pace.slow
    assert pace.lag_seconds == 0.0


def test_there_is_room_for_so_many():
    _, pace, _ = pace_of()
    pace.hear(Lag(90_000_000))
    answers: list = []
    for _ in range(3):
        pace.hold("commit", SimpleNamespace(answer=answers.append))
    assert answers == [Aborted(Reason.overloaded)]
    assert pace.held == 2
