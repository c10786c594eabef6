"""Guards taken out are missed, soon. `python -m tausql.simulation.mutations` takes out all of them."""

from __future__ import annotations

import pytest

from tausql.simulation.search import find

QUICK = {
    "journal-sync": ("I2", "I12"),
    "adjudicator-conflict": ("Anomaly",),
    "adjudicator-in-flight": ("I5",),
    "storage-watermark": ("Anomaly",),
}


@pytest.mark.parametrize("guard", QUICK)
def test_a_guard_is_missed(guard):
    found = find(guard, seeds_max=8, seconds=3.0)
    assert found.seed, f"{guard} was taken out and nothing failed in {found.seeds} seeds"
    assert any(word in found.failure for word in QUICK[guard])
