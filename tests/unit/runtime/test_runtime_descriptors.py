"""Limits of open files: raised as far as they go, and no more promised than they allow."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from tausql.runtime import descriptors

RAISE = """
import resource
from tausql.runtime.descriptors import raise_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
print(raise_limit(), raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True)
    first, second, now = map(int, done.stdout.split())
    assert first == second
    assert now in (hard, 65_536) or hard == resource.RLIM_INFINITY
    assert now > 200


@pytest.mark.parametrize(
    ("limit", "wanted", "each", "possible"),
    [(20_000, 10_000, 1, 10_000), (20_000, 10_000, 2, 9_744), (1_024, 10_000, 1, 512), (100, 10_000, 2, 1)],
)
def test_no_more_is_promised_than_there_are_descriptors_for(
    monkeypatch: pytest.MonkeyPatch, limit: int, wanted: int, each: int, possible: int
) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: limit)
    assert descriptors.affordable("connections", wanted, each) == possible
