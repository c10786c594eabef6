"""Clocks that lie, and who is excused for it."""

from __future__ import annotations

import pytest

from tausql.runtime.host import ClockUnsure
from tausql.simulation.world import EXCUSED_AFTER_SECONDS, EXCUSED_BEFORE_SECONDS, Process, World


def fleet_of(*names: str) -> tuple[World, list[Process]]:
    world = World(3)
    processes = [world.add(name, "a", lambda process: None) for name in names]
    for process in processes:
        process.start()
    world.run(100.0)
    return world, processes


def test_a_clock_that_jumps_ahead_stands_still_when_it_comes_back():
    world, (process,) = fleet_of("one")
    process.clock.jump(500_000)
    said = process.clock.now().earliest
    assert said > world.micros()
    process.clock.come_back()
    world.run(0.2)
    assert process.clock.now().earliest == said
    world.run(0.5)
    assert process.clock.now().earliest <= world.micros() <= process.clock.now().latest


def test_a_clock_that_jumps_far_back_gives_no_time():
    world, (process,) = fleet_of("one")
    process.clock.now()
    process.clock.jump(-5_000_000)
    with pytest.raises(ClockUnsure):
        process.clock.now()
    world.run(4.5)
    process.clock.now()


def test_a_clock_that_runs_away_is_further_off_by_and_by():
    world, (process,) = fleet_of("one")
    process.clock.run_away(100_000.0)
    world.run(1.0)
    assert process.clock.now().earliest > world.micros() + 90_000
    world.run(1.0)
    assert process.clock.now().earliest > world.micros() + 190_000


def test_a_clock_has_lied_until_true_time_has_caught_up():
    world, (process,) = fleet_of("one")
    before = world.now
    assert not process.clock.lied_after(0.0)
    process.clock.jump(1_000_000)
    process.clock.now()
    assert process.clock.lied_after(world.now)
    process.clock.come_back()
    assert process.clock.lied_after(before)
    assert process.clock.lied_after(before + 0.9)
    assert not process.clock.lied_after(before + 1.1)


def test_a_lie_excuses_those_who_rely_on_it_and_nobody_else():
    world, (client, holder, other) = fleet_of("client", "holder", "other")
    holder.answers = True
    other.clock.jump(1_000_000)
    assert world.instants(client, 99.0) == (99.0, 100.0)
    holder.clock.jump(1_000_000)
    assert world.instants(client, 99.0) == (99.0 - EXCUSED_BEFORE_SECONDS, 100.0 + EXCUSED_AFTER_SECONDS)


def test_a_wandering_clock_that_lies_goes_on_lying():
    _, (process,) = fleet_of("one")
    process.clock.jump(1_000_000)
    offset = process.clock.offset_micros
    process.clock.drift()
    assert process.clock.offset_micros == offset
