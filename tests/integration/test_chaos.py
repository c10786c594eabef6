"""`tausql chaos` as a user runs it, on a real fleet: killed, stopped, cut off, wiped, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import psycopg
import pytest
from loadtest.tausql_fleet import running_fleet

from tausql.chaos.report import Report
from tausql.chaos.workloads import NAMES

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

FAULTS = ("kill:adjudicator", "stop:storage", "wipe:journal", "wipe:storage", "cut-in:zone-a")
OPTIONS = "--rounds 1 --seconds 90 --every 3 --hold-seconds 2 --clients 8 --rate 60"


def test_chaos_finds_nothing_wrong_and_says_how_long_it_was_felt(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with running_fleet("separate", "--links", plaintext=False) as fleet:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tausql.local.command", "chaos", "--data", str(fleet.folder)),
                *("--faults", ",".join(FAULTS), *OPTIONS.split(), "--report", str(path)),
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
    assert [load.load for load in report.loads] == [*NAMES, "inserts", "reads"]
    assert all(load.acknowledged > 50 for load in report.loads)
    assert [(found.fault, found.times) for found in report.faults] == [(fault, 1) for fault in FAULTS]
    assert all(found.ready is not None for found in report.faults)
    assert [aim.verdict for aim in report.aims[:2]] == ["ok", "ok"]
