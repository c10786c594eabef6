"""The service over the simulated network and a reference journal: takeover, handover, limits, watchers."""

from __future__ import annotations

import asyncio
import logging

import pytest
from adjudicator_fleet import AdjudicatorFleet, Client

from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.protocol.adjudicator import (
    Aborted,
    Beat,
    Commit,
    Committed,
    Holding,
    Nudge,
    Outcome,
    Reason,
    Undecided,
    Unresolved,
)
from tausql.protocol.journal import EpochEnd, Kind
from tausql.protocol.tau import closing, micros_of


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def fleet():
    fleet = AdjudicatorFleet(1)
    fleet.run_until(fleet.holders, 1.0)
    fleet.world.run(0.05)
    return fleet


class Asking:
    """Calls as a processor would make them."""

    def __init__(self, fleet):
        self.fleet = fleet
        (self.process, self.tenure) = fleet.holders()[0]
        self.channel = fleet.channels[fleet.adjudicators.index(self.process)]
        self.count = 0

    def request(self, key=b"k", tau_start=None, ahead_seconds=5.0, body=b"", epoch=None, deadline=None):
        self.count += 1
        latest = self.fleet.client_process.clock.now().latest
        return Commit(
            b"%016d" % self.count,
            tau_start or closing(latest),
            deadline or closing(latest + int(ahead_seconds * 1e6)),
            0,
            epoch or self.tenure.epoch,
            [key],
            [],
            [1],
            [],
            b"a",
            b"b",
            body,
        )

    def commit(self, request, seconds=3.0):
        answers = self.send(request)
        self.fleet.run_until(lambda: answers, seconds)
        return answers[0]

    def send(self, request):
        answers = []
        self.channel.commit(request, 10.0, answers.append)
        return answers

    def outcome(self, request, channel=None):
        answers = []
        question = Outcome(request.txn, request.tau_start, request.deadline, request.stream, request.epoch)
        (channel or self.channel).outcome(question, 1.0, answers.append)
        self.fleet.run_until(lambda: answers, 2.0)
        return answers[0]


def test_a_fresh_fleet_gets_its_preferred_holder_and_commits():
    fleet = AdjudicatorFleet(1)
    fleet.run_until(fleet.holders, 1.0)
    assert fleet.holders()[0][0].name == "adjudicator-0"
    clients = [Client(fleet, 30) for _ in range(4)]
    fleet.world.run(5.0)
    log, transactions = fleet.check()
    assert sum(record.kind == Kind.epoch_start for record in log) == 1
    assert len(transactions) > 30
    assert sum(len(client.told) for client in clients) == 120


def test_streams_are_spread_over_the_adjudicators(fleet):
    ranks = [process.services.candidates[0].rank for process in fleet.adjudicators]
    assert ranks == [0, 1, 2]


def test_takeover_after_a_death_is_quick_and_the_floor_protects(fleet):
    asking = Asking(fleet)
    before = asking.request(b"before")
    assert isinstance(asking.commit(before), Committed)
    asking.process.kill()
    died = fleet.world.now
    fleet.run_until(fleet.holders, 1.0)
    assert fleet.world.now - died < 0.4
    after = Asking(fleet)
    assert after.tenure.epoch > asking.tenure.epoch
    old = after.request(b"other", tau_start=before.tau_start)
    refused = after.commit(old)
    assert refused == Aborted(Reason.floor, after.tenure.floor)
    after.count = 100
    again = after.request(b"other", tau_start=closing(micros_of(refused.floor) + 1))
    assert isinstance(after.commit(again), Committed)


def test_the_next_holder_tells_the_truth_about_the_last_ones_commits(fleet):
    asking = Asking(fleet)
    done = asking.request(b"a")
    assert isinstance(asking.commit(done), Committed)
    never = asking.request(b"b")
    asking.process.kill()
    fleet.run_until(fleet.holders, 1.0)
    after = Asking(fleet)
    fleet.world.run(1.2)
    assert isinstance(after.outcome(done), Committed)
    verdict = after.outcome(never)
    assert isinstance(verdict, Aborted)
    standby = next(p for p in fleet.adjudicators if p.alive and p is not after.process)
    fleet.world.run(0.3)
    elsewhere = after.outcome(done, fleet.channels[fleet.adjudicators.index(standby)])
    assert elsewhere == Undecided(after.process.name)


def test_an_outcome_that_overtakes_its_commit_decides_against_it(fleet):
    asking = Asking(fleet)
    request = asking.request()
    assert isinstance(asking.outcome(request), Aborted)
    assert isinstance(asking.commit(request), Aborted)
    assert isinstance(asking.outcome(request), Aborted)


def test_a_commit_sent_twice_is_judged_once(fleet):
    asking = Asking(fleet)
    request = asking.request()
    first, second = asking.send(request), asking.send(request)
    fleet.run_until(lambda: first and second, 2.0)
    assert sorted(type(answers[0]).__name__ for answers in (first, second)) == ["Committed", "Unresolved"]
    assert isinstance(asking.outcome(request), Committed)


def test_a_planned_handover_ends_the_epoch_where_it_is(fleet):
    asking = Asking(fleet)
    waiting = asking.send(asking.request())
    fleet.world.run(0.002)
    asking.process.services.hand_over()
    refused = asking.commit(asking.request())
    assert refused == Aborted(Reason.not_holder)
    fleet.run_until(lambda: not asking.process.services.tenures, 1.0)
    assert isinstance(waiting[0], Committed)
    asking.process.kill("exits")
    ended = fleet.world.now
    fleet.run_until(fleet.holders, 1.0)
    after = Asking(fleet)
    after.count = 50
    end = next(record for record in fleet.journal.disks[0].log if record.kind == Kind.epoch_end)
    assert after.tenure.floor == end.tau
    assert isinstance(after.commit(after.request(b"n", tau_start=closing(micros_of(end.tau) + 1))), Committed)
    assert fleet.world.now - ended < 0.6, "no limit has to be waited out"
    assert EpochEnd(end.tau).high == after.tenure.floor


def test_a_commit_above_the_limit_waits_for_it(fleet):
    asking = Asking(fleet)
    future = closing(fleet.client_process.clock.now().latest + 1_500_000)
    answers = asking.send(asking.request(tau_start=future))
    fleet.world.run(0.3)
    assert answers == []
    fleet.run_until(lambda: answers, 3.0)
    assert answers[0].tau > future
    assert asking.tenure.proposer.appends < 150, "who waits for a limit does not make the journal spin"
    late = asking.request(b"z", tau_start=closing(micros_of(future) + 60_000_000), deadline=future)
    assert asking.commit(late) == Aborted(Reason.deadline)


def test_another_epoch_or_stream_is_never_judged(fleet):
    asking = Asking(fleet)
    assert asking.commit(asking.request(epoch=(99, 1))) == Aborted(Reason.not_holder)
    elsewhere = asking.request()
    elsewhere.stream = 7
    assert asking.commit(elsewhere) == Aborted(Reason.not_holder)


def test_what_would_not_fit_into_a_message_is_refused(fleet):
    asking = Asking(fleet)
    assert asking.commit(asking.request(body=b"x" * (16 << 20))) == Aborted(Reason.overloaded)


def test_without_a_majority_commits_are_refused_once_the_queue_is_full_then_unresolved():
    settings = AdjudicatorSettings(uncommitted_max=3)
    fleet = AdjudicatorFleet(1, settings=settings)
    fleet.run_until(fleet.holders, 1.0)
    fleet.world.run(0.3)
    asking = Asking(fleet)
    for process in fleet.journal.processes[:2]:
        process.kill()
    sent = [asking.request(b"%d" % number) for number in range(5)]
    answers = [asking.send(request) for request in sent]
    fleet.world.run(3.0)
    kinds = sorted(type(one[0]).__name__ for one in answers)
    assert kinds == ["Aborted"] * 2 + ["Unresolved"] * 3
    assert not fleet.holders(), "who cannot close time resigns"
    for process in fleet.journal.processes:
        process.start()
    fleet.run_until(fleet.holders, 5.0)
    fleet.world.run(1.5)
    after = Asking(fleet)
    for request, one in zip(sent, answers, strict=True):
        outcome = after.outcome(request)
        assert not isinstance(outcome, Undecided)
        if isinstance(one[0], Aborted):
            assert isinstance(outcome, Aborted)


def test_full_disks_refuse_new_commits_and_settle_the_old_ones(fleet):
    asking = Asking(fleet)
    for disk in fleet.journal.disks:
        disk.full = True
    first = asking.send(asking.request(b"1"))
    fleet.world.run(0.05)
    assert asking.commit(asking.request(b"2")) == Aborted(Reason.full)
    for disk in fleet.journal.disks:
        disk.full = False
    fleet.run_until(lambda: first, 2.0)
    assert isinstance(first[0], Committed)
    assert isinstance(asking.commit(asking.request(b"3")), Committed)


def test_a_zombie_is_fenced_and_leaves_its_commits_unresolved(fleet):
    asking = Asking(fleet)
    asking.process.pause(4.0)
    answers = asking.send(asking.request())
    fleet.run_until(lambda: any(process is not asking.process for process, _ in fleet.holders()), 5.0)
    fleet.world.run(4.0)
    assert [process for process, _ in fleet.holders()] != [asking.process]
    assert len(fleet.holders()) == 1
    assert isinstance(answers[0], Unresolved | Aborted)


def test_watchers_hear_of_holdings_and_beats(fleet):
    holdings, beats, ends = [], [], []
    for channel in fleet.channels:
        channel.watch_holdings(holdings.append, ends.append)
        channel.watch_beats(beats.append, ends.append)
    fleet.world.run(0.01)
    asking = Asking(fleet)
    assert holdings == [Holding(0, asking.tenure.epoch, True, 0, ((b"", b""),), (0,), (0,))]
    assert isinstance(beats[0], Beat)
    assert isinstance(asking.commit(asking.request()), Committed)
    record = fleet.journal.disks[0].log[-1]
    assert any(beat.commit_seq == record.seq and beat.tau >= record.tau for beat in beats)
    asking.process.services.hand_over()
    fleet.world.run(0.1)
    (*_, last) = (holding for holding in holdings if holding.epoch == asking.tenure.epoch)
    assert not last.held
    assert holdings[-1].held
    assert holdings[-1].epoch > asking.tenure.epoch


def test_idle_beats_are_a_second_apart_and_a_nudge_is_answered_at_once(fleet):
    fleet.world.run(1.0)
    fleet.beats.clear()
    fleet.world.run(5.0)
    assert 4 <= len(fleet.beats) <= 6
    asking = Asking(fleet)
    wanted = closing(fleet.client_process.clock.now().latest)
    asking.channel.nudge(Nudge(0, wanted))
    fleet.run_until(lambda: fleet.beats[-1].tau >= wanted, 0.02)
    mad = closing(fleet.client_process.clock.now().latest + 3_600_000_000)
    asking.channel.nudge(Nudge(0, mad))
    fleet.world.run(0.05)
    ahead = micros_of(fleet.beats[-1].tau) - fleet.world.micros()
    assert ahead < 1_100_000, "a clock gone astray pushes time to the limit at most"
    fleet.world.run(3.0)
    assert micros_of(fleet.beats[-1].tau) - fleet.world.micros() < 100_000, "and not for ever"


def test_a_process_whose_clock_is_unsure_gives_out_nothing(fleet):
    asking = Asking(fleet)
    asking.process.clock.lost = True
    assert not asking.process.services.ready()[0]
    assert asking.commit(asking.request()) == Aborted(Reason.overloaded)
    fleet.run_until(lambda: [process for process, _ in fleet.holders()] not in ([], [asking.process]), 3.0)


def test_draining_returns_when_nothing_is_held_any_more(fleet):
    (process, _) = fleet.holders()[0]
    service = process.services
    service.hand_over()
    assert service.tenures, "EpochEnd is on its way"
    fleet.world.run(0.1)
    asyncio.run(service.drain())
    assert not service.tenures
    assert service.ready() == (False, "draining")


def test_status_and_metrics_can_be_read(fleet):
    asking = Asking(fleet)
    asking.commit(asking.request())
    service = asking.process.services
    assert service.status()["streams"][0]["held"] is True
    names = {family.name for family in service.metrics.collect()}
    assert "tausql_adjudicator_commits" in names
    counts = service.metrics
    assert counts.commits == counts.judge_seconds.count == 1
    assert counts.held == {0: True}
    assert counts.epochs == {0: service.tenures[0].epoch[0]}
    assert 0.0 < counts.limit_remaining_seconds[0] < 2.0
    assert set(counts.acknowledging.values()) == {True}
    assert set(counts.behind_records.values()) == {0}
    assert counts.majority == len(counts.acknowledging) // 2 + 1
    assert counts.appends == service.tenures[0].proposer.appends > 0
    assert service.ready() == (True, "")
    service.stop()
    assert service.tenures == {}


def _handed_over(fleet, leave):
    """Seconds from `leave(process)` until somebody else holds the stream."""
    (process, tenure) = fleet.holders()[0]
    began = fleet.world.now
    leave(process)
    fleet.run_until(lambda: any(one.epoch > tenure.epoch for _, one in fleet.holders()), 2.0)
    return fleet.world.now - began


@pytest.mark.parametrize("seed", range(5))
def test_a_planned_handover_takes_no_longer_than_a_few_appends(seed):
    fleet = AdjudicatorFleet(seed)
    fleet.run_until(fleet.holders, 1.0)
    fleet.world.run(1.0 + 0.07 * seed)
    for _ in range(2):  # the second one goes to the least preferred
        (leaving, _) = fleet.holders()[0]
        assert _handed_over(fleet, lambda process: process.services.hand_over()) < 0.03
        fleet.world.run(0.01)
        leaving.kill()
        fleet.world.run(0.01)
    fleet.check()


def test_commits_of_the_last_moment_are_answered_though_the_next_holder_is_there(fleet):
    clients = [Client(fleet, 60, pause=0.002) for _ in range(6)]
    fleet.world.run(0.2)
    _handed_over(fleet, lambda process: process.services.hand_over())
    fleet.world.run(2.0)
    fleet.check()
    assert sum(len(client.told) for client in clients) == 360
    assert "unresolved" not in fleet.world.marks


@pytest.mark.parametrize("seed", range(5))
def test_a_death_is_noticed_by_its_broken_connection(seed):
    fleet = AdjudicatorFleet(seed)
    fleet.run_until(fleet.holders, 1.0)
    fleet.world.run(1.0 + 0.07 * seed)
    assert _handed_over(fleet, lambda process: process.kill()) < 0.08
    fleet.check()


def test_whoever_does_not_answer_is_not_waited_for(fleet):
    fleet.adjudicators[1].kill()
    fleet.world.run(1.0)
    assert _handed_over(fleet, lambda process: process.services.hand_over()) < 0.03
    assert fleet.holders()[0][0].name == "adjudicator-2"
