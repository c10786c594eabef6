from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tausql.control.warm_pool import Plan, PoolLimits, Scale, WarmPool, need, plan

LIMITS = PoolLimits(target_sessions=10, warm_processors=1, warm_sessions=0, least=2, most=8, scale_in_seconds=120.0)
ROOMY = PoolLimits(target_sessions=10, warm_processors=0, warm_sessions=15, least=1, most=8, scale_in_seconds=120.0)


@pytest.mark.parametrize(
    ("limits", "sessions", "wanted"),
    [
        (LIMITS, 0, 2),
        (LIMITS, 1, 2),
        (LIMITS, 10, 2),
        (LIMITS, 11, 3),
        (LIMITS, 20, 3),
        (LIMITS, 21, 4),
        (LIMITS, 70, 8),
        (LIMITS, 71, 8),
        (LIMITS, 100_000, 8),
        (ROOMY, 0, 2),
        (ROOMY, 5, 2),
        (ROOMY, 6, 3),
        (ROOMY, 65, 8),
        (ROOMY, 66, 8),
    ],
)
def test_need_counts_sessions_and_those_about_to_come(limits, sessions, wanted):
    assert need(sessions, limits) == wanted


def test_the_wish_rises_at_once_and_falls_after_a_while():
    pool = WarmPool(LIMITS, 2, 0.0)
    assert pool.wish(1.0, 5) == 2
    assert pool.wish(2.0, 45) == 6
    assert pool.wish(60.0, 25) == 6
    assert pool.wish(121.0, 5) == 6
    assert pool.wish(122.0, 5) == 4  # what was needed at 60 s
    assert pool.wish(179.9, 5) == 4
    assert pool.wish(180.0, 5) == 2


def test_a_need_that_lasts_is_as_young_as_its_last_mention():
    pool = WarmPool(LIMITS, 2, 0.0)
    for second in range(0, 1000, 5):
        assert pool.wish(float(second), 45) == 6
    assert pool.wish(1114.0, 0) == 6
    assert pool.wish(1115.0, 0) == 2


def test_a_control_that_takes_over_takes_nothing_away_at_first():
    pool = WarmPool(LIMITS, 7, 50.0)
    assert pool.wish(50.0, 0) == 7
    assert pool.wish(169.0, 0) == 7
    assert pool.wish(170.0, 0) == 2


def test_not_knowing_changes_nothing_for_as_long_as_it_lasts():
    pool = WarmPool(LIMITS, 2, 0.0)
    assert pool.wish(1.0, 45) == 6
    for second in range(5, 1000, 5):
        assert pool.wish(float(second), None) == 6
    assert pool.wish(1000.0, 0) == 6
    assert pool.wish(1116.0, 0) == 2


def test_somebody_elses_raise_is_kept_for_a_while():
    pool = WarmPool(LIMITS, 2, 0.0)
    assert pool.wish(10.0, 0) == 2
    pool.seen(10.0, 5)
    assert pool.wish(10.0, 0) == 5
    pool.seen(15.0, 5)
    assert pool.wish(129.0, 0) == 5
    assert pool.wish(130.0, 0) == 2


def test_ones_own_raise_is_nobody_elses():
    pool = WarmPool(LIMITS, 2, 0.0)
    assert pool.wish(10.0, 45) == 6
    pool.wrote(6)
    pool.seen(15.0, 6)
    assert pool.wish(15.0, 0) == 6
    assert pool.wish(130.0, 0) == 2


@given(st.lists(st.tuples(st.floats(0, 60), st.none() | st.integers(0, 200)), max_size=80), st.integers(0, 20))
def test_the_wish_is_within_its_bounds_and_never_below_the_need(steps, replicas):
    pool = WarmPool(LIMITS, replicas, 0.0)
    now = 0.0
    needs: list[tuple[float, int]] = []
    for pause, sessions in steps:
        now += pause
        wish = pool.wish(now, sessions)
        assert wish <= LIMITS.most
        if sessions is not None:
            needs.append((now, need(sessions, LIMITS)))
            assert wish >= max(value for at, value in needs if at > now - LIMITS.scale_in_seconds)
        assert len(pool._window) <= LIMITS.most + 1


@pytest.mark.parametrize(
    ("wish", "scale", "written"),
    [
        # without an autoscaler, control says how many
        (3, Scale(3), Plan()),
        (4, Scale(3), Plan(replicas=4)),
        (2, Scale(3), Plan(replicas=2)),
        (2, Scale(0), Plan()),  # turned off
        # with one, control moves its floor, and raises at once
        (3, Scale(3, 3, 9), Plan()),
        (5, Scale(3, 3, 9), Plan(replicas=5, least=5)),
        (5, Scale(7, 3, 9), Plan(least=5)),  # it wants more itself
        (2, Scale(5, 5, 9), Plan(least=2)),  # it takes away, when it thinks fit
        (8, Scale(3, 3, 6), Plan(replicas=6, least=6)),  # its maximum holds
        (8, Scale(6, 6, 6), Plan()),
        (8, Scale(0, 3, 6), Plan()),
        # an upgrade wrote the chart's values over ours
        (5, Scale(5, 1, 9), Plan(least=5)),
        (5, Scale(1, 1, 9), Plan(replicas=5, least=5)),
    ],
)
def test_what_is_written(wish, scale, written):
    assert plan(wish, scale) == written
