"""Which adjudicator is to hold which stream."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.control.planned_world import member

from tausql.control.planning_preferred import REGION_BITS, prefer, preferred_zone
from tausql.protocol.fleet import Fleet, Member

A, B, C = member("adj-a", "a", 0), member("adj-b", "b", 1), member("adj-c", "c", 2)
FAR = 1 << REGION_BITS


def heads(orders: dict[int, tuple[str, ...]]) -> dict[int, str]:
    return {stream: order[0] for stream, order in orders.items()}


def settle(streams: range, members: list[Member], before: dict[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
    for _ in range(64):
        after = prefer(streams, members, before)
        if after == before:
            return after
        before = after
    raise AssertionError("no end")


def test_streams_are_spread_and_everybody_is_in_every_order():
    orders = prefer(range(4), [A, B], {})
    assert heads(orders) == {0: "adj-a", 1: "adj-b", 2: "adj-a", 3: "adj-b"}
    assert all(set(order) == {"adj-a", "adj-b"} for order in orders.values())
    assert prefer(range(2), [], {}) == {}


def test_who_has_a_stream_keeps_it_and_one_at_a_time_moves():
    before = dict.fromkeys(range(4), ("adj-a",))
    after = prefer(range(4), [A, B], before)
    assert heads(after) == {0: "adj-a", 1: "adj-a", 2: "adj-a", 3: "adj-b"}
    assert sorted(Counter(heads(settle(range(4), [A, B], after)).values()).values()) == [2, 2]
    two = {0: ("adj-a",), 1: ("adj-b",)}
    assert heads(prefer(range(2), [A, B, C], two)) == {0: "adj-a", 1: "adj-b"}  # a third gains nothing


def test_one_that_leaves_loses_its_streams_and_the_others_keep_theirs():
    before = {0: ("adj-a",), 1: ("adj-b",), 2: ("adj-a",)}
    after = prefer(range(3), [A, B, C], before, away={"adj-a"})
    assert heads(after) == {0: "adj-c", 1: "adj-b", 2: "adj-b"}
    assert all(order[-1] == "adj-a" for order in after.values())  # better than nobody
    assert heads(prefer(range(2), [A], {}, away={"adj-a"})) == {0: "adj-a", 1: "adj-a"}


def test_a_zone_can_be_preferred_and_other_regions_come_last():
    west = member("adj-w", "w", FAR, "west")
    orders = prefer(range(3), [west, A, B], {}, zone="b")
    assert set(heads(orders).values()) == {"adj-b"}
    assert orders[0] == ("adj-b", "adj-a", "adj-w")
    assert set(heads(prefer(range(3), [west, A, B], {}, zone="nowhere")).values()) == {"adj-a", "adj-b"}
    fleet = Fleet(processor=(member("p-1", "b"), member("p-2", "b"), member("p-3", "a"), member("p-4", "w", 0, "west")))
    assert [preferred_zone(fleet, setting) for setting in ("auto", "a", "")] == ["b", "a", ""]
    assert preferred_zone(Fleet(), "auto") == ""


members = st.lists(
    st.builds(
        lambda name, zone, age, far: member(f"adj-{name}", zone, age + far * FAR, "far" if far else ""),
        st.integers(0, 9),
        st.sampled_from("abc"),
        st.integers(0, 5),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.name,
)


@given(members, members, st.integers(1, 8))
def test_any_change_of_members_ends_evenly_and_then_nothing_moves(before, after, streams):
    orders = settle(range(streams), after, settle(range(streams), before, {}))
    names = {one.name for one in after}
    assert set(orders) == set(range(streams))
    assert all(set(order) == names and len(order) == len(names) for order in orders.values())
    best = min(one.index >> REGION_BITS for one in after)
    first = [one.name for one in after if one.index >> REGION_BITS == best]
    counts = Counter(dict.fromkeys(first, 0))
    counts.update(heads(orders).values())
    assert set(counts) == set(first)
    assert max(counts.values()) - min(counts.values()) <= 1
