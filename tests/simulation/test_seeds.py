"""A few short runs with every guard in place: none may fail. `make sim` runs as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tausql.simulation.scenario import run_seed

FIXED = [(seed, 4.0, "") for seed in (11, 12, 13, 14, 15, 16)]


def found_before() -> list[tuple[int, float, str]]:
    lines = (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split(" ", 2) for line in lines if line and not line.startswith("#")]
    return [(int(seed), float(seconds), why) for seed, seconds, why in parts]


@pytest.mark.parametrize(("seed", "seconds", "why"), [*FIXED, *found_before()])
def test_a_seed_passes(seed, seconds, why):
    verdict = run_seed(seed, seconds)
    assert verdict.failure == ""
    assert verdict.acknowledged > 50


def test_without_faults_nothing_fails_either():
    verdict = run_seed(1, 2.0, faults=False)
    assert verdict.failure == ""
    assert not verdict.faults
    assert verdict.acknowledged > 100
