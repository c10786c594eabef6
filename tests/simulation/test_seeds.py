"""A few short runs with every guard in place: none may fail. `make sim` runs as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tausql.simulation.scenario import OFFERS, run_seed

FIXED = [(seed, 0.0, "") for seed in (11, 12, 13, 14, 15, 16)]


def found_before() -> list[tuple[int, float, str]]:
    lines = (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split(" ", 2) for line in lines if line and not line.startswith("#")]
    return [(int(seed), float(seconds), why) for seed, seconds, why in parts]


@pytest.mark.parametrize(("seed", "seconds", "why"), [*FIXED, *found_before()])
def test_a_seed_passes(seed, seconds, why):
    verdict = run_seed(seed, seconds, regions="mixed")
    assert verdict.failure == ""
    assert verdict.acknowledged > 0


@pytest.mark.parametrize("workload", [offer.name for offer in OFFERS])
def test_without_faults_nothing_fails_either(workload):
    verdict = run_seed(1, 2.0, faults=False, workloads=workload)
    assert verdict.failure == ""
    assert not verdict.faults
    assert list(verdict.workloads) == [workload]
    assert verdict.acknowledged > 0


def test_a_slow_life_passes():
    """Real settings: the window of 360 s is passed, and the log is trimmed after it."""
    verdict = run_seed(1, 900.0, pace="slow", workloads="lists")
    assert verdict.failure == ""
    assert verdict.virtual_seconds > 900.0
    assert "the log was trimmed" in verdict.marks
