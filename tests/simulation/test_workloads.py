"""Each workload over SQL: without faults it gets where it should, with them nothing is lost, torn or told wrongly."""

from __future__ import annotations

import pytest

from tausql.simulation.scenario import run_seed
from tausql.simulation.workloads import OFFERS

NAMES = [offer.name for offer in OFFERS]
SEEDS = (3, 4)
REACHED = {
    "write skew": {"write skew without a lock", "a lock kept write skew away"},
    "indexed": {"an index was entered under load", "an index was built under load"},
    "schema changes": {"a transaction across a schema change was refused", "OC001 under load"},
    "long fork": {"a reader saw one of two concurrent writes"},
    "bank": {"a long transaction read again"},
}


@pytest.mark.parametrize("name", NAMES)
def test_without_faults(name):
    verdict = run_seed(1, 4.0, faults=False, workloads=name)
    assert verdict.failure == ""
    assert not verdict.faults
    assert verdict.workloads[name] > 15
    missing = REACHED.get(name, set()) - set(verdict.marks)
    assert not missing


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_with_faults(name, seed):
    verdict = run_seed(seed, 3.0, workloads=name)
    assert verdict.failure == ""


def test_several_workloads_share_processors_and_frontends():
    verdict = run_seed(5, 3.0, faults=False, workloads="bank,inserts,lists")
    assert verdict.failure == ""
    assert set(verdict.workloads) == {"bank", "inserts", "lists"}
    assert all(count > 5 for count in verdict.workloads.values())
