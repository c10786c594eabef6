from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tausql.runtime.clock import (
    REMEMBERED_US,
    SLEEP_US_MIN,
    EstimatedClock,
    Estimator,
    FixedError,
    HostClock,
    Sample,
    sample_of,
)
from tausql.runtime.host import ClockUnsure, Interval
from tausql.runtime.marzullo import Claim, agree, falsetickers

POINTS = st.integers(-1000, 1000)
CLAIMS = st.tuples(POINTS, st.integers(0, 500)).map(lambda pair: Claim(pair[0], pair[0] + pair[1]))


def brute_force(claims: list[Claim], sources: int) -> Claim | None:
    wrong_max = (sources - 1) // 2
    if len(claims) <= wrong_max:
        return None
    needed = len(claims) - wrong_max
    held = [at for at in range(-1000, 1501) if sum(claim.low <= at <= claim.high for claim in claims) >= needed]
    return Claim(held[0], held[-1]) if held else None


@given(st.lists(CLAIMS, max_size=5), st.integers(0, 2))
def test_agreement_is_the_hull_of_what_all_but_a_minority_hold(claims, silent):
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
    silent = data.draw(st.integers(0, liars))  # of the honest ones
    agreed = agree(honest[silent:] + lies, 2 * liars + 1)
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


def told(estimator: Estimator, names: str, raw: int, low: int, high: int) -> None:
    for name in names:
        estimator.add(name, Sample(raw, low, high))


def test_a_list_of_one_does_not_make_a_liar_the_majority():
    estimator = Estimator(["a", "b", "c"], 200)
    told(estimator, "bc", 0, 100, 120)
    told(estimator, "a", 0, 900, 920)
    assert estimator.falsetickers == ["a"]
    estimator.dismiss("b")
    estimator.dismiss("c")
    told(estimator, "a", 1_000_000, 900, 920)
    assert estimator.agreed == Sample(0, 99, 121), "what was agreed stands, and only gets older"
    told(estimator, "a", REMEMBERED_US, 900, 920)
    assert estimator.agreed == Sample(0, 99, 121)
    assert estimator.sources == 3
    estimator.admit("b")
    estimator.admit("c")
    told(estimator, "b", 2_000_000, 100, 120)
    told(estimator, "c", 2_000_000, 100, 120)
    assert estimator.agreed == Sample(2_000_000, 99, 121)


def test_a_list_of_one_right_at_the_start_does_not_make_it_the_majority_either():
    estimator = Estimator(["a", "b", "c"], 200)
    told(estimator, "a", 0, 900, 920)
    estimator.dismiss("b")  # they have not answered yet
    estimator.dismiss("c")
    told(estimator, "a", 1, 900, 920)
    told(estimator, "a", REMEMBERED_US, 900, 920)
    assert estimator.agreed is None
    told(estimator, "a", REMEMBERED_US + 1, 900, 920)  # for a minute now the map has said that there is no other
    assert estimator.agreed is not None
    cautious = Estimator(["a"], 200, sources_min=3)
    told(cautious, "a", 10 * REMEMBERED_US, 900, 920)
    assert cautious.agreed is None
    assert cautious.reason.startswith("1 of 3")


def test_all_sources_are_replaced_one_after_the_other():
    estimator = Estimator(["a", "b", "c"], 200)
    told(estimator, "abc", 0, 100, 120)
    raw, names = 0, "abc"
    for old, new in zip("abc", "def", strict=True):
        estimator.dismiss(old)
        estimator.admit(new)
        names = names.replace(old, new)
        assert estimator.agreed is not None  # also while the new one has not said anything
        assert estimator.sources == 3
        raw += 1_000_000
        told(estimator, names, raw, 100, 120)
    told(estimator, "a", raw, 5, 6)  # too late an answer
    assert estimator.falsetickers == []
    assert estimator.agreed == Sample(raw, 99, 121)


def test_a_small_lie_whose_teller_is_replaced_does_not_count_twice():
    estimator = Estimator(["a", "b", "c"], 200)
    told(estimator, "bc", 0, 100, 120)
    told(estimator, "a", 0, 118, 138)  # near enough not to be found out
    estimator.dismiss("a")
    estimator.admit("d")  # on the same machine, under another name
    told(estimator, "d", 1, 118, 138)
    told(estimator, "bc", 1, 100, 120)
    assert estimator.agreed is not None
    assert estimator.agreed.low <= 100


def test_a_silent_source_does_not_give_a_liar_a_say():
    estimator = Estimator(["a", "b", "c"], 200)
    told(estimator, "b", 0, 100, 120)
    assert estimator.agreed is None
    told(estimator, "a", 0, 118, 138)  # a lie: the truth is 110
    assert estimator.agreed == Sample(0, 99, 139)
    told(estimator, "c", 0, 100, 120)
    assert estimator.agreed == Sample(0, 99, 121)
    told(estimator, "a", 10, 5000, 5020)
    assert estimator.falsetickers == ["a"]
    assert estimator.agreed.high < 125


def test_what_was_agreed_stands_while_it_says_more_and_is_not_contradicted():
    estimator = Estimator(["a"], 200)
    told(estimator, "a", 0, 100, 120)
    assert estimator.agreed == Sample(0, 99, 121)
    estimator.dismiss("a")
    estimator.admit("a")  # its samples are gone, what came of them is not
    told(estimator, "a", 10, 80, 140)
    assert estimator.agreed == Sample(0, 99, 121)
    told(estimator, "a", 1_000_000, 300, 800)
    assert estimator.agreed == Sample(0, 99, 121)  # by now -102 to 322, and still no contradiction
    told(estimator, "a", 1_000_010, 900, 1900)
    assert estimator.agreed == Sample(1_000_010, 899, 1901)


def test_ghosts_do_not_outnumber_the_living():
    estimator = Estimator(["a", "b", "c"], 200)
    told(estimator, "abc", 0, 100, 120)
    for number in range(1000):
        estimator.admit(f"ghost-{number}")
        told(estimator, "abc", number, 100, 120)
        estimator.dismiss(f"ghost-{number}")
    told(estimator, "abc", 1000, 100, 120)
    assert estimator.sources == 4
    assert estimator.agreed == Sample(1000, 99, 121)


@given(st.data())
def test_true_time_is_never_excluded_while_sources_come_and_go(data):
    """At any time one of at least three that are admitted may lie, and all are asked before the next change."""
    world = World(data, sources=3, liars=data.draw(st.integers(0, 1)))
    for name in world.names:
        world.poll(name)
    for number in range(data.draw(st.integers(1, 8))):
        world.advance(data.draw(st.integers(0, 20_000_000)))
        name = data.draw(st.sampled_from(world.names))
        if data.draw(st.booleans()) and len(world.names) > 3:
            world.names.remove(name)
            world.estimator.dismiss(name)
        else:
            new = f"n{number}"
            world.names.append(new)
            world.estimator.admit(new)
            for honest in world.names:
                world.poll(honest)
        for name in world.names:
            if name not in world.liars:
                world.poll(name)
        try:
            now = world.clock.now()
        except ClockUnsure:
            continue
        assert now.earliest <= world.true <= now.latest


class Machine:
    """An oscillator, and the two clocks of a machine that may sleep."""

    def __init__(self) -> None:
        self.raw = 5_000_000
        self.awake = 7_000_000
        self.asleep = 40_000_000

    def clock(self, estimator: Estimator) -> EstimatedClock:
        return EstimatedClock(estimator, lambda: self.raw, 20_000, lambda: self.awake, lambda: self.awake + self.asleep)

    def move(self, microseconds: int, ppm: int = 0) -> None:
        self.raw += microseconds
        self.awake += microseconds + microseconds * ppm // 1_000_000


def test_a_machine_that_slept_knows_no_time_until_it_has_asked_again():
    machine = Machine()
    estimator = Estimator(["a", "b", "c"], 200)
    asked: list[int] = []
    estimator.forgotten = lambda: asked.append(machine.raw)
    clock = machine.clock(estimator)
    told(estimator, "abc", machine.raw, 100, 120)
    clock.now()
    machine.move(50)
    machine.asleep += 5_000_000
    with pytest.raises(ClockUnsure, match="slept for 5000000 us"):
        clock.now()
    assert asked == [machine.raw]
    assert not clock.ready
    told(estimator, "ab", machine.raw, 5_000_100, 5_000_120)
    assert clock.now() == Interval(machine.raw + 5_000_098, machine.raw + 5_000_122)
    assert clock.sleeps == 1


def test_a_clock_that_is_steered_fast_is_not_taken_for_sleep():
    machine = Machine()
    estimator = Estimator(["a"], 200)
    clock = machine.clock(estimator)
    for _ in range(20):
        told(estimator, "a", machine.raw, 100, 120)
        machine.move(2_000_000, ppm=83_333)  # as fast as a daemon is known to steer
        clock.now()
    assert clock.sleeps == 0
    machine.asleep += 2 * SLEEP_US_MIN
    assert not clock.ready
