"""The adjudicator and the journal service together, under faults."""

from __future__ import annotations

import logging

import pytest
from adjudicator_faults import Faults
from adjudicator_fleet import AdjudicatorFleet, Client
from real_journal import RealJournal


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
