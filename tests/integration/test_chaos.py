"""`tausql chaos` as a user runs it, on a real fleet: an adjudicator killed, a storage stopped, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import psycopg
import pytest
from loadtest.tausql_fleet import running_fleet

from tausql.chaos.report import Report

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

OPTIONS = "--faults kill:adjudicator,stop:storage --rounds 1 --seconds 90 --each-seconds 5 --hold-seconds 2 --clients 4"


def test_chaos_finds_nothing_wrong_and_says_how_long_it_was_felt(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with running_fleet("separate", plaintext=False) as fleet:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tausql.local.command", "chaos", "--data", str(fleet.folder)),
                *OPTIONS.split(),
                *("--rate", "50", "--report", str(path)),
            ],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout)
        with psycopg.connect(fleet.secure_connection) as connection:
            left = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'chaos%'").fetchall()
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    assert left == []
    assert report.passed
    assert all(load.acknowledged > 50 for load in report.loads)
    killed, stopped = report.faults
    assert (killed.fault, killed.times) == ("kill:adjudicator", 1)
    assert (stopped.fault, stopped.times) == ("stop:storage", 1)
    assert killed.ready is not None
    assert stopped.ready is not None
