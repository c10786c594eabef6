"""Which storage keeps what: first plans, steps, and where they end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.control.planned_world import World, even, member, planner_of, run, zones_of

from tausql.control.key_ranges import cover
from tausql.control.planner import PlanLimits
from tausql.control.planning_shards import CUTS_MAX, Hints, ShardLimits, Storages, first_shards, next_step
from tausql.control.reports import Kept, Reports
from tausql.control.wanted import Wanted
from tausql.protocol.fleet import Shard

MIB = 1 << 20
LIMITS = ShardLimits(shard_bytes=100 * MIB, shard_load=1000.0)
THREE = {"s-a": "a", "s-b": "b", "s-c": "c"}
SIX = THREE | {"s-a-2": "a", "s-b-2": "b", "s-c-2": "c"}
ALL = (b"", b"")


def kept(low: bytes, high: bytes, size: int = 0, load: float = 0.0, *, serving: bool = True, **keys: bytes) -> Kept:
    return Kept(low, high, serving, size, load, keys.get("split"), keys.get("load_split"))


def reported(**storages: tuple[Kept, ...]) -> Reports:
    return Reports(0.0, {}, {name.replace("_", "-"): rows for name, rows in storages.items()})


# what is so


def test_nothing_is_known_before_every_storage_has_said_what_it_keeps():
    reports = reported(s_a=(kept(*ALL),), s_b=(kept(*ALL),))
    assert first_shards(reports, ["s-a", "s-b", "s-c"]) is None
    assert first_shards(reports, []) is None
    assert first_shards(reported(s_a=(kept(b"", b"m"),)), ["s-a"]) is None  # the rest is with nobody
    assert first_shards(reports, ["s-a", "s-b"]) == (Shard(b"", b"", ("s-a", "s-b")),)


def test_what_is_so_is_cut_wherever_anybody_has_it_cut():
    reports = reported(
        s_a=(kept(b"", b"m"), kept(b"m", b"", serving=False)),
        s_b=(kept(b"", b"t"), kept(b"t", b"")),
        s_c=(),
    )
    assert first_shards(reports, ["s-a", "s-b", "s-c"]) == (
        Shard(b"", b"m", ("s-a", "s-b")),
        Shard(b"m", b"t", ("s-a", "s-b")),  # being filled is something, too
        Shard(b"t", b"", ("s-a", "s-b")),
    )
    nobody = reported(s_a=(kept(*ALL, serving=False),), s_b=(kept(*ALL, serving=False),))
    assert first_shards(nobody, ["s-a", "s-b"]) == (Shard(b"", b"", ("s-a", "s-b")),)


# steps


def test_a_large_shard_is_cut_and_a_busy_one_only_if_it_stays_so():
    shards = (Shard(b"", b"", ("s-a",)),)
    place = Storages({"s-a": "a"})
    large = next_step(shards, place, reported(s_a=(kept(*ALL, 101 * MIB, split=b"m"),)), LIMITS)
    assert large is not None
    assert large.shards == (Shard(b"", b"m", ("s-a",)), Shard(b"m", b"", ("s-a",)))
    assert large.urgent
    busy = next_step(shards, place, reported(s_a=(kept(*ALL, 1, 1001.0, load_split=b"x"),)), LIMITS)
    assert busy is not None
    assert busy.shards[0].high == b"x"
    assert not busy.urgent
    assert next_step(shards, place, reported(s_a=(kept(*ALL, 101 * MIB),)), LIMITS) is None  # nobody knows where


def test_a_shard_that_is_cut_otherwise_is_left_alone_until_its_figures_come():
    shards = (Shard(b"", b"m", ("s-a",)), Shard(b"m", b"", ("s-a",)))
    reports = reported(s_a=(kept(*ALL, 500 * MIB, split=b"c"),))
    assert next_step(shards, Storages({"s-a": "a"}), reports, LIMITS) is None


def test_small_neighbours_become_one_unless_somebody_cut_them_or_others_keep_them():
    shards = (Shard(b"", b"m", ("s-a",)), Shard(b"m", b"", ("s-a",)))
    reports = reported(s_a=(kept(b"", b"m", 1), kept(b"m", b"", 1)))
    place = Storages({"s-a": "a"})
    step = next_step(shards, place, reports, LIMITS)
    assert step is not None
    assert step.shards == (Shard(b"", b"", ("s-a",)),)
    assert not step.urgent
    assert next_step(shards, place, reports, LIMITS, Hints(frozenset({b"m"}))) is None
    busy = reported(s_a=(kept(b"", b"m", 1, 900.0), kept(b"m", b"", 1)))
    assert next_step(shards, place, busy, LIMITS) is None


def test_a_zone_without_a_replica_gets_one_and_one_being_filled_is_not_sent_away():
    place = Storages(THREE)
    reports = reported(s_a=(kept(*ALL, 5),), s_b=(kept(*ALL, 5),), s_c=())
    step = next_step((Shard(b"", b"", ("s-a", "s-b")),), place, reports, LIMITS)
    assert step is not None
    assert step.shards == (Shard(b"", b"", ("s-a", "s-b", "s-c")),)
    assert next_step(step.shards, place, reports, LIMITS) is None


def test_of_two_in_a_zone_the_fuller_one_leaves_when_the_other_serves():
    place = Storages({"s-a": "a", "s-a-2": "a"})
    both, rest = Shard(b"", b"m", ("s-a", "s-a-2")), Shard(b"m", b"", ("s-a",))
    filling = reported(s_a=(kept(b"", b"m", 60), kept(b"m", b"", 60)), s_a_2=(kept(b"", b"m", serving=False),))
    assert next_step((both, rest), place, filling, LIMITS) is None
    filled = reported(s_a=(kept(b"", b"m", 60), kept(b"m", b"", 60)), s_a_2=(kept(b"", b"m", 60),))
    step = next_step((both, rest), place, filled, LIMITS)
    assert step is not None
    assert step.shards == (Shard(b"", b"m", ("s-a-2",)), rest)
    asked = next_step((both, rest), place, filled, LIMITS, Hints(leaving={(b"", b"m"): "s-a-2"}))
    assert asked is not None
    assert asked.shards[0].replicas == ("s-a",)


def test_one_that_is_gone_is_replaced_before_it_is_forgotten():
    zones = {"s-a": "a", "s-a-2": "a", "s-b": "b"}
    place = Storages(zones, gone={"s-a"})
    shards = (Shard(b"", b"", ("s-a", "s-b")),)
    reports = reported(s_a_2=(), s_b=(kept(*ALL, 5),))
    step = next_step(shards, place, reports, LIMITS)
    assert step is not None
    assert step.shards == (Shard(b"", b"", ("s-a", "s-a-2", "s-b")),)
    filled = reported(s_a_2=(kept(*ALL, 5),), s_b=(kept(*ALL, 5),))
    last = next_step(step.shards, place, filled, LIMITS)
    assert last is not None
    assert last.shards == (Shard(b"", b"", ("s-a-2", "s-b")),)


def test_without_another_process_in_its_zone_one_that_is_gone_stays_wanted():
    place = Storages(THREE, gone={"s-c"})
    shards = (Shard(b"", b"", ("s-a", "s-b", "s-c")),)
    assert next_step(shards, place, reported(s_a=(kept(*ALL, 5),), s_b=(kept(*ALL, 5),)), LIMITS) is None


def test_no_more_replicas_are_filled_at_once_than_allowed():
    shards = (Shard(b"", b"h", ("s-a", "s-b")), Shard(b"h", b"m", ("s-a", "s-b")), Shard(b"m", b"", ("s-a",)))
    reports = reported(s_a=(kept(*ALL),), s_b=())
    assert next_step(shards, Storages({"s-a": "a", "s-b": "b"}), reports, LIMITS) is None


# over time


def check(world: World, seen: list[Wanted]) -> None:
    """What holds after every turn."""
    zones = set(THREE.values())
    for before, after in pairwise(seen):
        for wanted in (before, after):
            assert cover(wanted.shards)
            for shard in wanted.shards:
                assert set(zones_of(world, shard.replicas)) == zones
                assert len(set(shard.replicas)) == len(shard.replicas)
        changed = set(before.shards) ^ set(after.shards)
        if {one.low for one in after.shards} <= {one.low for one in before.shards}:
            assert len(changed) <= 3  # a join, or one shard's replicas
        else:
            assert len(after.shards) - len(before.shards) <= CUTS_MAX
            assert _by_key(before.shards) >= _by_key(after.shards)  # cuts: nobody is to keep anything else


def _by_key(shards: tuple[Shard, ...]) -> set[tuple[int, tuple[str, ...]]]:
    """Who is to keep which of many keys."""
    probes = [number.to_bytes(2, "big") for number in range(0, 1 << 16, 97)]
    return {
        (number, next(one.replicas for one in shards if one.low <= key and (not one.high or key < one.high)))
        for number, key in enumerate(probes)
    }


def served_everywhere(world: World) -> None:
    """Every key has a replica that serves it in every zone."""
    for zone in set(THREE.values()):
        rows = [
            row
            for one in world.fleet.storage
            if one.zone == zone
            for row, serving in world.kept[one.name].items()
            if serving
        ]
        reached = b""
        while True:
            ends = [high for low, high in rows if low <= reached and (not high or high > reached)]
            assert ends, (zone, reached)
            if b"" in ends:
                break
            reached = max(ends)


@pytest.mark.parametrize("sizes", [10 * MIB, 3_000 * MIB])
def test_data_is_cut_and_spread_over_the_processes_of_every_zone_and_then_rests(sizes):
    world = World(SIX)
    world.bytes = even(sizes)
    planner = planner_of(PlanLimits(shard=LIMITS))
    seen: list[Wanted] = []
    now = 0.0
    for _ in range(400):
        seen += run(world, planner, 1, now)
        served_everywhere(world)
        now += 5.0
    check(world, seen)
    last = seen[-1].shards
    assert last == seen[-20].shards
    assert all(world.bytes(one.low, one.high) <= LIMITS.shard_bytes for one in last)
    assert all(len(one.replicas) == 3 for one in last)
    if sizes > 1_000 * MIB:
        for zone in "abc":
            full = [sum(world.bytes(*row) for row in world.kept[name]) for name in SIX if SIX[name] == zone]
            assert max(full) - min(full) <= 0.25 * sizes
    world.bytes = even(MIB)  # nearly all is deleted
    seen = run(world, planner, 400, now)
    check(world, seen)
    assert seen[-1] == seen[-20]
    assert len(seen[-1].shards) <= max(4, len(last) // 3)


def test_a_new_process_gets_shards_and_one_that_is_gone_for_long_is_replaced():
    world = World(THREE)
    world.bytes = even(1_000 * MIB)
    planner = planner_of(PlanLimits(shard=LIMITS, gone_seconds=600.0))
    run(world, planner, 100, 0.0)
    world.fleet = _with(world, "s-a-2", "a")
    world.kept["s-a-2"] = {}
    seen = run(world, planner, 200, 500.0)
    check(world, seen)
    mine = [one for one in seen[-1].shards if "s-a-2" in one.replicas]
    assert 0 < len(mine) < len(seen[-1].shards)
    world.down = {"s-a"}
    early = run(world, planner, 100, 1_500.0)
    assert early[-1].shards == early[0].shards  # it may come back
    late = run(world, planner, 200, 2_105.0)
    assert all("s-a-2" in one.replicas and "s-a" not in one.replicas for one in late[-1].shards)


def _with(world: World, name: str, zone: str):
    return replace(world.fleet, storage=(*world.fleet.storage, member(name, zone)))


def test_a_restarting_control_waits_for_the_storages_of_all_zones():
    world = World(THREE)
    fleet = world.fleet
    journal = tuple(member(f"j-{zone}", zone) for zone in "abc")
    world.fleet = replace(fleet, journal=journal, storage=fleet.storage[:2])
    planner = planner_of(PlanLimits(gone_seconds=600.0))
    assert run(world, planner, 10, 0.0)[-1].shards == ()
    assert planner.waits["shards"] == "a storage in zone c"
    world.fleet = replace(fleet, journal=journal)
    assert run(world, planner, 1, 60.0)[-1].shards == (Shard(b"", b"", ("s-a", "s-b", "s-c")),)


def test_what_the_load_suggests_must_last_and_what_follows_is_done_without_a_pause():
    world = World(THREE | {"s-a-2": "a"})
    world.kept["s-a-2"] = {}
    world.bytes = even(1_000 * MIB)
    world.kept |= {name: _cut(16) for name in THREE}
    planner = planner_of(PlanLimits(shard=ShardLimits(), sustain_seconds=20.0))
    waiting = run(world, planner, 4, 0.0, 5.0)
    assert len({one.shards for one in waiting}) == 1
    seen = run(world, planner, 40, 20.0, 1.0)
    moved = [one for one in seen[-1].shards if "s-a-2" in one.replicas]
    assert 6 <= len(moved) <= 8


def _cut(parts: int) -> dict[tuple[bytes, bytes], bool]:
    lows = [b"", *(bytes([256 // parts * number]) for number in range(1, parts))]
    return dict.fromkeys(zip(lows, [*lows[1:], b""], strict=True), True)


@st.composite
def starts(draw: st.DrawFn) -> World:
    """A world cut anyhow, with every piece in every zone at one process at least."""
    world = World(SIX)
    cuts = sorted(draw(st.sets(st.integers(1, 255), max_size=8)))
    lows = [b"", *(bytes([cut]) for cut in cuts)]
    pieces = list(zip(lows, [*lows[1:], b""], strict=True))
    world.kept = {name: {} for name in SIX}
    for piece in pieces:
        for zone in "abc":
            names = [name for name in SIX if SIX[name] == zone]
            for name in draw(st.sampled_from([names, names[:1], names[1:]])):
                world.kept[name][piece] = True
    world.bytes = even(draw(st.integers(0, 1_500)) * MIB)
    world.requests = even(draw(st.integers(0, 5_000)))
    return world


@given(starts())
@settings(max_examples=10, deadline=None)
def test_from_any_start_there_is_an_end_and_no_key_is_ever_without_a_zone(world):
    planner = planner_of(PlanLimits(shard=LIMITS, sustain_seconds=5.0))
    seen: list[Wanted] = []
    for turn in range(200):
        seen += run(world, planner, 1, turn * 5.0)
        served_everywhere(world)
    check(world, seen)
    assert seen[-1] == seen[-30]
