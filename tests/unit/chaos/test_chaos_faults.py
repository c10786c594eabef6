"""When faults strike, what is waited for, and what counts as a run that came apart."""

from __future__ import annotations

from itertools import islice

import pytest

from tausql.chaos.faults import BackendError, Fault, NotNow, Plan, Striker, Victim, parse_faults, schedule

OFFERS = [
    Fault("kill", "journal"),
    Fault("kill", "adjudicator+crossbar"),
    Fault("stop", "journal"),
    Fault("node"),
    Fault("node", "node-a"),
]


def test_a_kind_means_everything_and_a_service_is_found_where_it_shares_a_process() -> None:
    assert parse_faults("kill", OFFERS) == OFFERS[:2]
    assert parse_faults("kill:crossbar, stop:journal", OFFERS) == [OFFERS[1], OFFERS[2]]
    assert parse_faults("kill:journal,kill", OFFERS) == OFFERS[:2]
    assert parse_faults("node", OFFERS) == [OFFERS[3]]
    assert parse_faults("node:node-a", OFFERS) == [OFFERS[4]]
    assert parse_faults("none", OFFERS) == []


@pytest.mark.parametrize("text", ["melt", "kill:oven"])
def test_what_cannot_be_done_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(ValueError, match=r"there is: kill:journal, .*, node, node:node-a$"):
        parse_faults(text, OFFERS)


def test_faults_come_in_turn_for_so_many_rounds_or_without_end() -> None:
    assert list(schedule(OFFERS, Plan(rounds=2))) == OFFERS * 2
    assert list(islice(schedule(OFFERS, Plan()), 9)) == (OFFERS * 2)[:9]
    assert list(schedule([], Plan())) == []


def test_a_seed_repeats_its_order() -> None:
    once = list(schedule(OFFERS, Plan(rounds=5, shuffle=True, seed=7)))
    assert once == list(schedule(OFFERS, Plan(rounds=5, shuffle=True, seed=7)))
    assert once != OFFERS * 5
    assert sorted(once) == sorted(OFFERS * 5)


class Fleet:
    """A backend and the time. A victim is gone 0.3 s after it was struck, back after `heals_after`."""

    name = "a fleet"

    def __init__(self, heals_after: float = 2.0, stop_at: float = float("inf")) -> None:
        self.now = 100.0
        self.heals_after = heals_after
        self.stop_at = stop_at
        self.blows: list[FleetBlow] = []
        self.moved = 0.0
        self.broken = 0  # strikes that fail
        self.whole_at = 0.0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now = min(self.now + seconds, max(self.now, self.stop_at))
        return self.now >= self.stop_at

    def offers(self) -> list[Fault]:
        return OFFERS

    def strike(self, fault: Fault, turn: int) -> FleetBlow:
        if self.broken:
            self.broken -= 1
            raise BackendError("no such pod")
        if self.now < self.whole_at:
            raise NotNow("of 3 journal processes only 1 others are ready")
        blow = FleetBlow(self, fault, turn)
        self.blows.append(blow)
        self.moved = 3.0 if fault.component == "journal" else 0.0  # starts anew
        return blow

    def moved_sessions(self) -> dict[str, float]:
        return {"frontend-a": self.moved}


class FleetBlow:
    heals = True

    def __init__(self, fleet: Fleet, fault: Fault, turn: int) -> None:
        self.fleet = fleet
        self.fault = fault
        self.turn = turn
        self.at = fleet.now
        self.held = fault.kind == "stop"
        self.undone: float | None = None
        self.victims: tuple[Victim, ...] = (Victim("v", (fault.component,)),)

    def undo(self) -> None:
        self.undone = self.fleet.now

    def gone(self) -> bool:
        return self.fleet.now > self.at + 0.3

    def ready(self) -> bool:
        return self.fleet.now > self.at + self.fleet.heals_after


def strike(fleet: Fleet, faults: list[Fault], plan: Plan, seconds: float) -> Striker:
    striker = Striker(fleet, plan, fleet.clock, fleet.wait, lambda _: None)
    striker.run(faults, fleet.now + seconds)
    return striker


def test_a_fault_strikes_a_fleet_that_is_whole_again() -> None:
    fleet = Fleet(heals_after=4.0)
    striker = strike(fleet, OFFERS[:2], Plan(each_seconds=1.0, rounds=1), 60.0)
    first, second = striker.struck
    assert first.gone == pytest.approx(0.4)
    assert first.ready == pytest.approx(4.1)
    assert first.until == second.begun == pytest.approx(104.1)
    assert striker.problems == []
    assert [blow.turn for blow in fleet.blows] == [0, 0]


def test_faults_keep_their_distance_and_take_turns() -> None:
    fleet = Fleet()
    striker = strike(fleet, OFFERS[:1], Plan(each_seconds=10.0), 45.0)
    assert [one.begun for one in striker.struck] == pytest.approx([100.0, 110.0, 120.0, 130.0])
    assert [blow.turn for blow in fleet.blows] == [0, 1, 2, 3]


def test_overlapping_faults_do_not_wait() -> None:
    striker = strike(Fleet(heals_after=50.0), OFFERS[:2], Plan(each_seconds=2.0, overlap=True), 9.0)
    assert [one.begun for one in striker.struck] == pytest.approx([100.0, 102.0, 104.0, 106.0])
    assert [one.ready for one in striker.struck] == [None] * 4


def test_what_lasts_is_undone_in_time() -> None:
    fleet = Fleet()
    striker = strike(fleet, [OFFERS[2]], Plan(each_seconds=6.0, hold_seconds=3.0, rounds=1), 60.0)
    assert fleet.blows[0].undone == striker.struck[0].undone == pytest.approx(103.0)
    assert fleet.now == pytest.approx(106.0)


def test_what_lasts_is_undone_when_the_run_is_stopped() -> None:
    fleet = Fleet(stop_at=101.0)
    strike(fleet, [OFFERS[2]], Plan(hold_seconds=30.0), 600.0)
    assert fleet.blows[0].undone == 101.0


def test_a_fleet_that_does_not_heal_is_a_problem() -> None:
    striker = strike(Fleet(heals_after=1e9), OFFERS[:1], Plan(rounds=1), 1e6)
    assert striker.problems == ["kill:journal: not whole again after 180 s"]


def test_a_fault_that_cannot_be_inflicted_is_a_problem_and_the_next_one_comes() -> None:
    fleet = Fleet()
    fleet.broken = 1
    striker = strike(fleet, OFFERS[:2], Plan(rounds=1), 60.0)
    assert striker.problems == ["kill:journal: no such pod"]
    assert [one.fault for one in striker.struck] == [OFFERS[1]]


def test_moved_sessions_are_counted_over_restarts() -> None:
    striker = strike(Fleet(), OFFERS[:2], Plan(rounds=1), 60.0)
    assert [one.moved_sessions for one in striker.struck] == [3.0, 0.0]


def test_a_fault_that_would_be_too_much_waits_until_it_is_not() -> None:
    fleet = Fleet(heals_after=50.0)
    fleet.whole_at = 103.0
    striker = strike(fleet, OFFERS[:2], Plan(each_seconds=2.0, overlap=True), 9.0)
    assert striker.problems == []
    assert [one.begun for one in striker.struck] == pytest.approx([103.0, 105.0], abs=0.2)


def test_a_fault_that_stays_too_much_is_a_problem() -> None:
    fleet = Fleet()
    fleet.whole_at = 1e9
    striker = strike(fleet, OFFERS[:1], Plan(rounds=1), 60.0)
    assert striker.struck == []
    assert striker.problems == ["kill:journal: not possible for 180 s: of 3 journal processes only 1 others are ready"]


def test_all_is_everything_there_is() -> None:
    assert parse_faults("all", OFFERS) == OFFERS
