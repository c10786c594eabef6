"""The fleet that all client tests use, and how a client is run: in its own environment, with nothing of ours in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fleet import LocalFleet, local_fleet

PROGRAMS = Path(__file__).with_name("programs")
CLIENT_SECONDS = 100.0


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFleet]:
    with local_fleet(tmp_path_factory.mktemp("clients") / "fleet") as running:
        yield running


class Runner:
    """Runs a client's program; its output if it ends well, else the test fails with all it said."""

    def __init__(self, fleet: LocalFleet) -> None:
        self.fleet = fleet

    def __call__(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> str:
        ended = subprocess.run(
            [str(part) for part in command],
            env=self.fleet.environment() | variables,
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CLIENT_SECONDS,
        )
        if ended.returncode:
            pytest.fail(f"{command} exited with {ended.returncode}:\n{ended.stdout[-8000:]}")
        return ended.stdout


@pytest.fixture
def run(fleet: LocalFleet) -> Runner:
    return Runner(fleet)
