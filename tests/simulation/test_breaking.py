"""Guards taken out are missed, soon. `python -m tausql.simulation.mutations` takes out all of them."""

from __future__ import annotations

import pytest

from tausql.simulation.breaking import GUARDS
from tausql.simulation.scenario import Choices, run
from tausql.simulation.search import find

QUICK = {
    "journal-sync": ("I2", "I3", "I12"),
    "adjudicator-conflict": ("I6",),
    "adjudicator-in-flight": ("I5",),
    "storage-watermark": ("Anomaly",),
}


@pytest.mark.parametrize("guard", QUICK)
def test_a_guard_is_missed(guard):
    found = find(guard, seeds_max=8, seconds=3.0)
    assert found.seed, f"{guard} was taken out and nothing failed in {found.seeds} seeds"
    assert any(word in found.failure for word in QUICK[guard])


@pytest.mark.parametrize("hint", sorted({guard.hint for guard in GUARDS.values() if guard.hint.faults}, key=repr))
def test_a_hint_asks_for_what_a_seed_may_draw(hint):
    choices = Choices(0.01, workloads=hint.workloads, kinds=hint.faults, shape=hint.shape, points=hint.points)
    assert "no such kind" not in run(1, choices).failure
