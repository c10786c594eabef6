"""The adjudicator and the journal service together, under faults."""

from __future__ import annotations

import logging
from functools import partial

import pytest
from adjudicator_faults import Faults
from adjudicator_fleet import AdjudicatorFleet, Client
from real_journal import RealJournal

from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.protocol.adjudicator import Aborted, Outcome, Undecided
from tausql.protocol.journal import Trim
from tausql.protocol.tau import closing


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_no_promise_is_broken_over_the_real_journal():
    committed = epochs = 0
    for seed in range(25):
        fleet = AdjudicatorFleet(seed, journal=RealJournal)
        faults = Faults(fleet)
        faults.kinds = tuple(kind for kind in faults.kinds if kind != faults.fill_disk)
        for _ in range(4):
            Client(fleet, 40, pause=0.03)
        fleet.world.run(4.5)
        log, transactions = fleet.check()
        committed += len(transactions)
        epochs += len({record.epoch for record in log})
    assert committed > 25 * 40
    assert epochs > 25 * 3


def held_above(fleet, epoch):
    return any(tenure.epoch > epoch for _, tenure in fleet.holders())


class PatientJournal(RealJournal):
    """Its replicas are as reluctant as those of a real fleet."""

    def __init__(self, world):
        super().__init__(world)
        self.settings = self.settings.model_copy(update={"reluctance_seconds": 1.5})


def test_a_handover_by_a_process_that_lives_on_takes_no_reluctance():
    for seed in range(10):
        fleet = AdjudicatorFleet(seed, journal=PatientJournal)
        fleet.run_until(fleet.holders, 5.0)
        fleet.world.run(1.0 + 0.1 * seed)
        (process, tenure) = fleet.holders()[0]
        began = fleet.world.now
        process.services.hand_over()
        fleet.run_until(partial(held_above, fleet, tenure.epoch), 5.0)
        assert fleet.world.now - began < 0.5
        floor = fleet.holders()[0][1].floor
        assert floor < closing(fleet.world.micros() + 50_000), "the end of the epoch, not its limit"


class TrimmedJournal(RealJournal):
    def __init__(self, world):
        super().__init__(world)
        self.settings = self.settings.model_copy(update={"segment_bytes_max": 300})


def test_a_log_that_is_trimmed_but_for_what_is_owned_still_proves_absence():
    fleet = AdjudicatorFleet(3, journal=TrimmedJournal, settings=AdjudicatorSettings(ownership_seconds=2.0))
    fleet.run_until(fleet.holders, 5.0)
    client = Client(fleet, 5)
    fleet.run_until(lambda: client.done, 5.0)
    fleet.world.run(3.0)  # nothing but limits: the records' segments are not written to any more
    (process, tenure) = fleet.holders()[0]
    last = tenure.proposer.log.last_seq
    fleet_id = tenure._host.services.roster.fleet
    for channel in fleet.journal.clients:
        channel.trim(Trim(fleet_id, 0, tenure.epoch, last), 1.0, lambda _: None)
    fleet.world.run(0.5)
    assert last > 6, "what is owned is said again"
    assert {one.services.status()["streams"]["0"]["trim_seq"] for one in fleet.journal.processes} == {last - 1}
    never = client.make(tenure)
    process.kill()
    fleet.run_until(partial(held_above, fleet, tenure.epoch), 5.0)
    fleet.world.run(0.2)
    at = fleet.adjudicators.index(fleet.holders()[0][0])
    answers = []
    question = Outcome(never.txn, never.tau_start, never.deadline, never.stream, never.epoch)
    fleet.channels[at].outcome(question, 1.0, answers.append)
    fleet.world.run(1.0)
    assert isinstance(answers[0], Aborted)
    old = Outcome(never.txn, 1 << 10, never.deadline, never.stream, never.epoch)
    fleet.channels[at].outcome(old, 1.0, answers.append)
    fleet.world.run(1.0)
    assert isinstance(answers[1], Undecided), "what was trimmed above that snapshot is not known"
