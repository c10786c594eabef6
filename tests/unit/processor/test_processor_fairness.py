"""A processor's time, dealt out to clusters: by a clock that only work moves on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from processor_client import rows
from processor_fleet import TestFleet
from test_processor_tenants import session

from tausql.processor.coroutines import start
from tausql.processor.fairness import WINDOW_SECONDS, Share, Turns


class Loop:
    """As much of a `Host` as turns need: time passes where work says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ready: deque[Callable[[], None]] = deque()
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self.ready.append(lambda: function(*arguments))

    def later(self, seconds: float, function: Callable[..., None], *arguments: Any) -> None:
        self.timers.append((self.now + seconds, lambda: function(*arguments)))

    def turn(self) -> None:
        """What was ready at its beginning, and timers that are due."""
        for _ in range(len(self.ready)):
            self.ready.popleft()()
        due = [one for one in self.timers if one[0] <= self.now]
        self.timers = [one for one in self.timers if one[0] > self.now]
        for _, function in due:
            function()

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.turn()


class Work:
    """Requests that take so long each; `done`: which cluster's ended when."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.turns = Turns(self.loop)  # type: ignore[arg-type]
        self.done: list[tuple[str, float]] = []

    def request(self, share: Share, name: str, seconds: float) -> None:
        async def body() -> None:
            self.loop.now += seconds

        def begin() -> None:
            start(body(), lambda value, error: self.done.append((name, self.loop.now)), share)

        if share.may_run():
            begin()
        else:
            share.wait(begin)

    def statement(self, share: Share, name: str, pieces: int, seconds: float) -> None:
        """One that gives way after each piece."""

        async def body() -> None:
            for _ in range(pieces):
                self.loop.now += seconds
                await share.turn()

        start(body(), lambda value, error: self.done.append((name, self.loop.now)), share)

    def until_done(self) -> None:
        while self.loop.ready:
            self.loop.turn()


def test_alone_nothing_waits_and_nothing_is_measured() -> None:
    work = Work()
    alone = Share(work.turns)
    for _ in range(1_000):
        work.request(alone, "alone", 0.001)
    assert len(work.done) == 1_000
    assert not work.turns.shared
    assert alone.credit > 0


def test_a_thousand_requests_of_one_do_not_stand_before_one_of_another() -> None:
    work = Work()
    busy, other = Share(work.turns), Share(work.turns)
    work.request(busy, "busy", 0.001)
    work.request(other, "other", 0.001)
    work.done.clear()
    began = work.loop.now
    for _ in range(1_000):
        work.request(busy, "busy", 0.001)
    work.request(other, "other", 0.001)
    work.until_done()
    assert len(work.done) == 1_001
    (at,) = [when for name, when in work.done if name == "other"]
    assert at - began < 0.01


def test_two_that_have_more_than_enough_get_the_same_time_whatever_a_request_costs() -> None:
    work = Work()
    cheap, dear = Share(work.turns), Share(work.turns)
    work.request(cheap, "cheap", 0.0001)
    work.request(dear, "dear", 0.004)
    began = work.loop.now
    for _ in range(10_000):
        work.request(cheap, "cheap", 0.0001)
    for _ in range(250):
        work.request(dear, "dear", 0.004)
    while work.loop.now < began + 1.0:
        work.loop.turn()
    spent = {name: sum(one == name for one, _ in work.done) for name in ("cheap", "dear")}
    assert 0.4 < spent["cheap"] * 0.0001 < 0.6
    assert 0.4 < spent["dear"] * 0.004 < 0.6


def test_long_statements_of_one_let_another_in_after_a_piece() -> None:
    work = Work()
    heavy, light = Share(work.turns), Share(work.turns)
    heavy.may_run()
    work.request(light, "light", 0.0001)
    work.done.clear()
    for _ in range(50):
        work.statement(heavy, "heavy", 20, 0.01)
    for _ in range(20):
        began = work.loop.now
        work.loop.turn()
        work.request(light, "light", 0.0001)
        assert work.done[-1][0] == "light"
        assert work.loop.now - began < 0.011 + 0.001, "one piece at a time, not one of each statement"
    work.until_done()
    assert len(work.done) == 70


def test_it_is_over_once_the_other_has_been_away_for_a_while() -> None:
    work = Work()
    one, other = Share(work.turns), Share(work.turns)
    work.request(one, "one", 0.001)
    work.request(other, "other", 0.001)
    assert work.turns.shared
    for _ in range(3):
        work.loop.pass_by(WINDOW_SECONDS + 0.01)
    assert not work.turns.shared
    for _ in range(100):
        work.request(other, "other", 0.001)
    assert len(work.done) == 102


def test_a_session_that_waits_for_its_turn_gets_its_answer_or_goes_in_peace() -> None:
    fleet = TestFleet()
    one, other, lost = session(fleet, 2), session(fleet, 3), session(fleet, 2)
    assert rows(one.query("SELECT 1")) == rows(other.query("SELECT 1")) == [("1",)]
    share = fleet.processor.tenants.of(2, ())
    assert share is not None
    share.share.credit = -0.1
    one.send(b"Q\x00\x00\x00\x0dSELECT 2\x00")
    lost.send(b"Q\x00\x00\x00\x0dSELECT 2\x00")
    lost.session.lost()
    assert one.out.messages == []
    assert rows(one.ready()) == [("2",)]
    assert lost.take() == []
