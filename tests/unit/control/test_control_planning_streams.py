"""Which stream judges what: first plans, steps, and where they end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.control.planned_world import World, even, middle, planner_of, run

from tausql.control.key_ranges import cover
from tausql.control.planner import PlanLimits
from tausql.control.planning_streams import (
    StreamLimits,
    assigned,
    default_for,
    first_placement,
    merged,
    next_step,
    observed,
    settled,
)
from tausql.control.reports import Judged, Reports, StreamReport
from tausql.protocol.fleet import Placed
from tausql.protocol.placing import default_placement

LIMITS = StreamLimits(ranges_max=32, gap_rate=10.0, cold_rate=1.0)


def holder(stream: int, *ranges: Judged, given: tuple[Placed, ...] = (), registered: int | None = None) -> StreamReport:
    told = None if registered is None else tuple(range(registered))
    return StreamReport(stream, f"adj-{stream}", (1, 1), ranges, given, told, None)


def reported(*streams: StreamReport) -> Reports:
    return Reports(0.0, {one.stream: one for one in streams})


def of(placement: tuple[Placed, ...], rate: float | None, registered: int) -> Reports:
    """Every range of `placement` is owned, with `rate` commits a second."""
    return reported(
        *(
            holder(
                stream,
                *(Judged(p.low, p.high, rate, middle(p.low, p.high)) for p in placement if p.stream == stream),
                registered=registered if stream == 0 else None,
            )
            for stream in range(registered)
        )
    )


# what is so


def test_nothing_is_known_before_all_keys_are_accounted_for():
    some = holder(0, Judged(b"", b"m", None, None), registered=2)
    assert observed(reported(some)) is None
    assert first_placement(reported(some), 2) is None
    rest = holder(1, Judged(b"m", b"", None, None))
    assert observed(reported(some, rest)) == (Placed(b"", b"m", 0), Placed(b"m", b"", 1))


def test_a_range_on_its_way_counts_for_who_is_to_have_it_and_nothing_is_settled():
    giver = holder(0, Judged(b"", b"m", None, None), given=(Placed(b"m", b"", 1),), registered=2)
    wanted = (Placed(b"", b"m", 0), Placed(b"m", b"", 1))
    assert observed(reported(giver, holder(1))) == wanted
    assert "on their way" in settled(wanted, reported(giver, holder(1)))
    taken = holder(1, Judged(b"m", b"", None, None))
    assert observed(reported(giver, taken)) == wanted  # said twice, for a moment


def test_at_genesis_the_default_is_wanted_and_later_what_is_so():
    genesis = reported(holder(0, Judged(b"", b"", None, None), registered=1))
    assert first_placement(genesis, 1) == default_placement(1)
    assert first_placement(genesis, 3) is None  # two are to be registered first
    ready = reported(holder(0, Judged(b"", b"", None, None), registered=3), holder(1), holder(2))
    assert first_placement(ready, 3) == default_placement(3)
    assert default_for((0, 4)) == tuple(replace(one, stream=4 * one.stream) for one in default_placement(2))
    moved = (Placed(b"", b"x", 1), Placed(b"x", b"", 0))
    assert first_placement(of(moved, None, 2), 2) == moved


def test_the_registry_must_be_known():
    assert first_placement(reported(holder(0, Judged(b"", b"", None, None))), 2) is None


# steps


def test_without_figures_nothing_moves():
    placement = default_placement(2)
    assert next_step(placement, range(2), of(placement, None, 2), LIMITS) is None


def test_a_busy_stream_gives_the_range_that_evens_them_out_best():
    placement = (Placed(b"", b"b", 0), Placed(b"b", b"c", 0), Placed(b"c", b"", 1))
    reports = reported(
        holder(0, Judged(b"", b"b", 70.0, None), Judged(b"b", b"c", 30.0, None), registered=2),
        holder(1, Judged(b"c", b"", 20.0, None)),
    )
    step = next_step(placement, range(2), reports, LIMITS)
    assert step is not None
    assert step.placement == (Placed(b"", b"b", 0), Placed(b"b", b"c", 1), Placed(b"c", b"", 1))
    assert not step.urgent


def test_a_range_that_is_too_much_alone_is_cut_where_its_holder_says():
    placement = (Placed(b"", b"m", 0), Placed(b"m", b"", 1))
    reports = reported(holder(0, Judged(b"", b"m", 100.0, b"e"), registered=2), holder(1, Judged(b"m", b"", 0.0, b"x")))
    step = next_step(placement, range(2), reports, LIMITS)
    assert step is not None
    assert step.placement == (Placed(b"", b"e", 0), Placed(b"e", b"m", 1), Placed(b"m", b"", 1))


def test_a_single_hot_key_is_not_thrown_to_and_fro():
    placement = (Placed(b"", b"e", 0), Placed(b"e", b"", 1))
    reports = reported(holder(0, Judged(b"", b"e", 0.0, None), registered=2), holder(1, Judged(b"e", b"", 100.0, b"e")))
    assert next_step(placement, range(2), reports, LIMITS) is None


def test_a_stream_that_has_nothing_gets_something():
    placement = default_placement(2)
    step = next_step(placement, range(3), of(placement, None, 3), LIMITS)
    assert step is not None
    assert step.urgent
    assert step.placement == default_placement(3)
    busy = next_step(placement, range(3), of(placement, 50.0, 3), LIMITS)
    assert busy is not None
    assert {one.stream for one in busy.placement} == {0, 1, 2}


def test_a_stream_that_is_not_wanted_gives_everything_away_step_by_step():
    placement = (Placed(b"", b"b", 2), Placed(b"b", b"c", 1), Placed(b"c", b"d", 0), Placed(b"d", b"", 2))
    steps = 0
    while (step := next_step(placement, range(2), of(placement, None, 3), LIMITS)) is not None:
        assert step.urgent
        assert sum(a != b for a, b in zip(placement, step.placement, strict=True)) == 1
        placement, steps = step.placement, steps + 1
    assert (steps, {one.stream for one in placement}) == (2, {0, 1})


def test_cold_neighbours_become_one_and_pinned_ranges_stay():
    placement = (Placed(b"", b"b", 0), Placed(b"b", b"c", 0), Placed(b"c", b"", 1))
    step = next_step(placement, range(2), of(placement, 0.1, 2), LIMITS)
    assert step is not None
    assert step.placement == (Placed(b"", b"c", 0), Placed(b"c", b"", 1))
    pin = Placed(b"b", b"c", 0)
    assert next_step(placement, range(2), of(placement, 0.1, 2), LIMITS, (pin,)) is None
    reports = reported(
        holder(0, Judged(b"", b"b", 0.0, None), Judged(b"b", b"c", 100.0, b"bb"), registered=2),
        holder(1, Judged(b"c", b"", 0.0, None)),
    )
    assert next_step(placement, range(2), reports, LIMITS, (pin,)) is None
    assert next_step(placement, range(2), reports, LIMITS) is not None


def test_ranges_counted_together_are_dealt_out_evenly():
    placement = (Placed(b"", b"b", 0), Placed(b"b", b"m", 0), Placed(b"m", b"", 1))
    reports = reported(holder(0, Judged(b"", b"m", 100.0, None), registered=2), holder(1, Judged(b"m", b"", 0.0, None)))
    step = next_step(placement, range(2), reports, LIMITS)
    assert step is not None
    assert sorted(one.stream for one in step.placement) == [0, 1, 1]


keys = st.binary(min_size=1, max_size=3)
ranges = st.tuples(keys, st.one_of(st.just(b""), keys)).filter(lambda pair: not pair[1] or pair[0] < pair[1])


@st.composite
def placements(draw: st.DrawFn, streams: int = 4) -> tuple[Placed, ...]:
    cuts = sorted(draw(st.sets(keys, max_size=12)))
    lows, highs = [b"", *cuts], [*cuts, b""]
    return tuple(Placed(low, high, draw(st.integers(0, streams - 1))) for low, high in zip(lows, highs, strict=True))


@given(placements(), ranges, st.integers(0, 3))
def test_an_assignment_covers_everything_and_changes_nothing_else(placement, where, stream):
    low, high = where
    made = assigned(placement, low, high, stream)
    assert cover(made)
    assert cover(merged(made))
    for probe in (b"", low, *(one.low for one in placement), *(one.low for one in made)):
        inside = low <= probe and (not high or probe < high)
        before = next(one.stream for one in placement if one.low <= probe and (not one.high or probe < one.high))
        after = next(one.stream for one in made if one.low <= probe and (not one.high or probe < one.high))
        assert after == (stream if inside else before)


@given(placements(), st.integers(1, 5), st.lists(st.floats(0, 500), min_size=13, max_size=13))
@settings(max_examples=150, deadline=None)
def test_every_step_is_one_step_and_there_is_an_end(placement, streams, rates):
    """From any start, with a load that stays where it is, steps end, and each covers everything."""
    loads = {one.low: rate for one, rate in zip(placement, rates, strict=False)}

    def reports_of(present: tuple[Placed, ...]) -> Reports:
        rows: dict[int, list[Judged]] = {stream: [] for stream in range(5)}
        for one in present:
            rate = sum(load for low, load in loads.items() if one.low <= low and (not one.high or low < one.high))
            inner = sorted(low for low in loads if one.low < low and (not one.high or low < one.high))
            rows[one.stream].append(Judged(one.low, one.high, rate, inner[len(inner) // 2] if inner else None))
        return reported(*(holder(stream, *found, registered=5) for stream, found in rows.items()))

    for _ in range(120):
        step = next_step(placement, range(streams), reports_of(placement), LIMITS)
        if step is None:
            break
        assert cover(step.placement)
        assert step.placement != placement
        assert abs(len(step.placement) - len(placement)) <= 1
        assert len(step.placement) <= max(LIMITS.ranges_max, len(placement))
        placement = step.placement
    else:
        raise AssertionError("no end")
    assert all(one.stream < streams for one in placement)


# over time


def test_from_genesis_to_as_many_streams_as_are_asked_for_and_back():
    world = World({"s-a": "a"}, load=even(1000.0))
    planner = planner_of(PlanLimits(streams=2))
    seen = run(world, planner, 60, 0.0)
    assert [one.streams for one in seen[:2]] == [2, 2]
    assert [one.placement for one in seen[:2]] == [(), default_placement(2)]  # once the second is registered
    totals = [sum(world.commits(p.low, p.high) for p in seen[-1].placement if p.stream == s) for s in (0, 1)]
    assert abs(totals[0] - totals[1]) <= 0.4 * max(totals)
    assert seen[-1] == seen[-8]  # and there it rests
    planner.ask_streams(4)
    seen = run(world, planner, 120, 1000.0)
    assert {one.stream for one in seen[-1].placement} == {0, 1, 2, 3}
    assert seen[-1] == seen[-8]
    planner.ask_streams(1)
    seen = run(world, planner, 30, 3000.0)
    assert {one.stream for one in seen[-1].placement} == {0}
    assert seen[-1].streams == 1
    planner.ask_streams(3)
    seen = run(world, planner, 60, 4000.0)
    assert {one.stream for one in seen[-1].placement} == {0, 4, 5}  # no number is given twice


def test_what_the_load_suggests_must_last():
    world = World({"s-a": "a"}, streams=2)
    planner = planner_of(PlanLimits(streams=2, sustain_seconds=20.0, step_seconds=0.0))
    calm = run(world, planner, 4, 0.0)[-1].placement
    world.commits = even(1000.0)
    assert run(world, planner, 3, 100.0)[-1].placement == calm  # 10 s of it
    world.commits = even(0.0)
    assert run(world, planner, 1, 115.0)[-1].placement == calm
    world.commits = even(1000.0)
    assert run(world, planner, 4, 120.0)[-1].placement == calm
    assert run(world, planner, 1, 140.0)[-1].placement != calm


def test_a_control_that_starts_anew_wants_what_is_so():
    world = World({"s-a": "a"}, streams=3)
    world.owners = (Placed(b"", b"k", 2), Placed(b"k", b"t", 0), Placed(b"t", b"", 1))
    planner = planner_of(PlanLimits(streams=2))
    wanted = run(world, planner, 3, 0.0)[0]
    assert wanted.placement == world.owners
    assert wanted.streams == 3  # that many there are: fewer must be asked for


def test_nothing_is_planned_while_a_holder_is_silent():
    world = World({"s-a": "a"}, streams=2)
    full = world.reports(0.0)
    del full.streams[0]
    planner = planner_of()
    assert planner.turn(world.fleet, full, 0.0).placement == ()
    assert planner.waits["streams"]
