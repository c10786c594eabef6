from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tausql.runtime.clock import EstimatedClock, Estimator, FixedError, HostClock, Sample, sample_of
from tausql.runtime.host import ClockUnsure, Interval
from tausql.runtime.marzullo import Claim, agree, falsetickers

POINTS = st.integers(-1000, 1000)
CLAIMS = st.tuples(POINTS, st.integers(0, 500)).map(lambda pair: Claim(pair[0], pair[0] + pair[1]))


def brute_force(claims: list[Claim], sources: int) -> Claim | None:
    held = [at for at in range(-1000, 1501) if sum(claim.low <= at <= claim.high for claim in claims) > sources // 2]
    return Claim(held[0], held[-1]) if held else None


@given(st.lists(CLAIMS, max_size=5), st.integers(0, 2))
def test_agreement_is_the_hull_of_what_a_majority_holds(claims, silent):
    sources = len(claims) + silent
    assume(sources > 0)
    assert agree(claims, sources) == brute_force(claims, sources)


@given(st.integers(1, 3), st.data())
def test_truth_is_never_excluded_by_a_minority_of_liars(liars, data):
    truth = 0
    honest = [
        Claim(truth - data.draw(st.integers(0, 300)), truth + data.draw(st.integers(0, 300))) for _ in range(liars + 1)
    ]
    lies = [data.draw(CLAIMS) for _ in range(liars)]
    agreed = agree(honest + lies, 2 * liars + 1)
    assert agreed is not None
    assert agreed.low <= truth <= agreed.high


def test_falseticker_is_named():
    claims = {"a": Claim(0, 10), "b": Claim(5, 15), "c": Claim(900, 910)}
    agreed = agree(list(claims.values()), 3)
    assert agreed == Claim(5, 10)
    assert falsetickers(claims.items(), agreed) == ["c"]


def test_one_of_three_is_no_majority():
    assert agree([Claim(0, 10)], 3) is None
    assert agree([Claim(0, 10)], 1) == Claim(0, 10)


def test_answer_that_makes_no_sense_is_no_sample():
    assert sample_of(10, 9, 0, 1, 200) is None
    assert sample_of(10, 11, 5, 4, 200) is None
    assert sample_of(100, 200, 5000, 5010, 200) == Sample(200, 5000 - 200 - 1, 5010 - 100 + 1)


def test_samples_that_contradict_a_new_one_are_dropped():
    estimator = Estimator(["a"], 200)
    estimator.add("a", Sample(0, 100, 110))
    estimator.add("a", Sample(1000, 5100, 5110))
    assert estimator.best("a", 1000) == Claim(5099, 5111)


class World:
    """True time, an oscillator that drifts within bounds, and timekeepers that tell the truth or not."""

    def __init__(self, data: st.DataObject, sources: int, liars: int) -> None:
        self.true = 1_000_000_000
        self.raw = float(data.draw(st.integers(0, 1_000_000)))
        self.data = data
        names = [f"t{number}" for number in range(sources)]
        self.names = names
        self.liars = set(names[:liars])
        self.estimator = Estimator(names, 200)
        self.clock = EstimatedClock(self.estimator, lambda: int(self.raw), 20_000)

    def advance(self, microseconds: int) -> None:
        self.true += microseconds
        self.raw += microseconds / (1 + self.data.draw(st.integers(-200, 200)) / 1e6)

    def poll(self, name: str) -> None:
        sent = int(self.raw)
        self.advance(self.data.draw(st.integers(0, 3000)))
        offset = self.data.draw(st.integers(-(10**6), 10**6)) if name in self.liars else 0
        earliest = self.true + offset - self.data.draw(st.integers(0, 200))
        latest = self.true + offset + self.data.draw(st.integers(0, 200))
        self.advance(self.data.draw(st.integers(0, 3000)))
        sample = sample_of(sent, int(self.raw), earliest, latest, 200)
        assert sample is not None
        self.estimator.add(name, sample)


@given(st.data())
def test_interval_holds_true_time_and_never_steps_back_whatever_a_minority_says(data):
    world = World(data, sources=3, liars=data.draw(st.integers(0, 1)))
    for name in world.names:  # a source that is silent is one that can lie less
        world.poll(name)
    last = Interval(0, 0)
    for _ in range(data.draw(st.integers(1, 20))):
        world.advance(data.draw(st.integers(0, 5_000_000)))
        if data.draw(st.booleans()):
            world.poll(data.draw(st.sampled_from(world.names)))
        try:
            now = world.clock.now()
        except ClockUnsure:
            assert not world.clock.ready
            continue
        assert now.earliest <= world.true <= now.latest
        assert now.earliest >= last.earliest
        assert now.latest >= last.latest
        last = now


def test_clock_is_unsure_until_a_majority_answered_and_again_when_the_bound_is_too_wide():
    raw = 0
    estimator = Estimator(["a", "b", "c"], 200)
    clock = EstimatedClock(estimator, lambda: raw, 1_000)
    with pytest.raises(ClockUnsure, match="no source"):
        clock.now()
    estimator.add("a", Sample(0, 100, 120))
    with pytest.raises(ClockUnsure, match="1 of 3"):
        clock.now()
    estimator.add("b", Sample(0, 100, 120))
    assert clock.ready
    assert clock.now() == Interval(98, 122)
    raw = 4_000_000
    assert clock.now() == Interval(raw + 100 - 802, raw + 120 + 802)
    raw = 6_000_000
    assert not clock.ready
    with pytest.raises(ClockUnsure, match="more than 1000"):
        clock.now()


def test_estimate_that_falls_behind_holds_the_bounds_still():
    raw = 0
    estimator = Estimator(["a"], 200)
    clock = EstimatedClock(estimator, lambda: raw, 20_000)
    estimator.add("a", Sample(0, 10_000, 10_010))
    before = clock.now()
    raw = 100
    estimator.add("a", Sample(100, 5_000, 5_010))
    assert clock.now() == before
    assert clock.holds == 1


def test_host_clock_takes_its_bound_from_the_kernel_and_asks_again_after_a_while():
    wall, bound = 1_000_000, 50
    clock = HostClock(lambda: wall, lambda: bound, 100, refresh_us=1000)
    assert clock.now() == Interval(999_950, 1_000_050)
    bound = 80
    wall += 999
    assert clock.now() == Interval(wall - 50, wall + 50)
    wall += 1
    assert clock.now() == Interval(1_000_949, wall + 80)  # a wider bound takes nothing back
    wall -= 500_000  # set back
    assert clock.now() == Interval(1_000_949, 1_001_080)
    bound = 101
    wall += 2_000_000
    assert not clock.ready
    with pytest.raises(ClockUnsure, match="101 us, more than 100"):
        clock.now()


def test_a_clock_set_far_back_is_unsure_until_time_has_caught_up():
    wall = 50_000_000
    host_clock = HostClock(lambda: wall, lambda: 50, 100, refresh_us=1000)
    before = host_clock.now()
    wall -= 3_000_000
    assert not host_clock.ready
    with pytest.raises(ClockUnsure, match="set back"):
        host_clock.now()
    wall += 2_500_000
    assert host_clock.ready
    assert host_clock.now() == before

    estimator = Estimator(["a"], 200)
    clock = EstimatedClock(estimator, lambda: 0, 20_000)
    estimator.add("a", Sample(0, 5_000_000, 5_000_010))
    clock.now()
    estimator.add("a", Sample(0, 10, 20))
    assert not clock.ready
    with pytest.raises(ClockUnsure, match="set back"):
        clock.now()


def test_host_clock_without_a_bound_is_unsure():
    clock = HostClock(lambda: 5, lambda: None, 100)
    with pytest.raises(ClockUnsure, match="not synchronised"):
        clock.now()


def test_fixed_error_is_a_clock():
    assert FixedError(lambda: 100, 20).now() == Interval(80, 120)
