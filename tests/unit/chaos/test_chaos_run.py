"""A whole run on a database in memory, its report and its exit status."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import msgspec
import pytest
import typer
from chaos_memory import LOST, MemoryDatabase
from typer.testing import CliRunner

from tausql.chaos import command
from tausql.chaos.faults import Fault, Plan, Victim
from tausql.chaos.report import Report, as_json, as_markdown, as_text, write_report
from tausql.chaos.run import Run, Work
from tausql.chaos.sessions import ClientError

WORK = Work(clients=2, rate=400.0, keys=4, probes=1, probe_rate=200.0, deadline_seconds=5.0)
PLAN = Plan(each_seconds=0.1, rounds=1)


class Breaker:
    """Strikes by making the database misbehave: two commits end in lost connections, or all are forgotten. Whole again
    when that has come about."""

    name = "a database in memory"
    held = False
    heals = True

    def __init__(self, database: MemoryDatabase, service: str = "journal", forgets: bool = False) -> None:
        self._database = database
        self._forgets = forgets
        self._done = 0
        self.victims: tuple[Victim, ...] = (Victim(f"{service}-a", (service,)),)

    def offers(self) -> list[Fault]:
        return [Fault("kill", "journal")]

    def strike(self, fault: Fault, turn: int) -> Breaker:
        if self._forgets:
            self._database.forgets = self._forget
        else:
            self._database.at_commit = self._lose
        return self

    def _forget(self) -> bool:
        self._done += 1
        return True

    def _lose(self) -> tuple[ClientError | None, bool]:
        self._done += 1
        return (LOST, self._done == 1) if self._done <= 2 else (None, True)

    def undo(self) -> None:
        raise AssertionError("nothing is held")

    def gone(self) -> bool:
        return True

    def ready(self) -> bool:
        return self._done > 100

    def moved_sessions(self) -> dict[str, float]:
        return {}


def run(database: MemoryDatabase, breaker: Breaker | None, faults: list[Fault], endpoints: int = 1) -> Report:
    told: list[str] = []
    made = Run(database.dial, endpoints, breaker, WORK, threading.Event(), told.append)
    return made.execute(faults, PLAN, 0.4)


KILL = [Fault("kill", "journal")]


def test_a_sound_database_passes_and_its_tables_are_dropped() -> None:
    database = MemoryDatabase()
    report = run(database, Breaker(database, "frontend"), KILL, endpoints=2)
    assert report.passed, as_text(report)
    assert [fault.fault for fault in report.faults] == ["kill:journal"]
    assert sum(fault.errors.get("lost", 0) for fault in report.faults) == 2
    assert database.tables == {}
    assert {load.load: load.acknowledged > 0 for load in report.loads} == {
        "lists": True, "inserts": True, "reads": True
    }  # fmt: skip


def test_a_database_that_loses_commits_fails_and_its_tables_are_kept() -> None:
    database = MemoryDatabase()
    report = run(database, Breaker(database, forgets=True), KILL)
    assert not report.passed
    assert any("acknowledged inserts are not there" in text for text in report.judgement.violations)
    assert any("did not find an insert" in text for text in report.judgement.violations)
    assert len(report.judgement.violations) == 3  # and the checker's
    assert len(database.tables) == 2


def test_connections_lost_while_no_frontend_was_struck_fail_the_run() -> None:
    database = MemoryDatabase()
    report = run(database, Breaker(database, "journal"), KILL)
    assert not report.passed
    assert {one.code for one in report.judgement.unexpected} == {"lost"}
    assert report.judgement.violations == []


def test_a_run_without_faults_only_watches() -> None:
    report = run(MemoryDatabase(), None, [])
    assert report.passed
    assert report.faults == report.strikes == []


def test_silence_proves_nothing() -> None:
    database = MemoryDatabase()
    database.at_commit = lambda: (LOST, False)
    report = run(database, None, [])
    assert "no inserts were acknowledged, so nothing is proven" in report.judgement.problems


@pytest.fixture
def report() -> Report:
    database = MemoryDatabase()
    return run(database, Breaker(database), KILL)


def test_a_report_is_told_in_three_ways(report: Report, tmp_path: Path) -> None:
    text, page, data = as_text(report), as_markdown(report), json.loads(as_json(report))
    for telling in (text, page):
        assert "kill:journal" in telling
        assert "FAILED" in telling
        assert "told to" in telling
    assert "| kill:journal | 1 |" in page
    assert data["passed"] is False
    assert data["strikes"][0]["victims"] == [{"name": "journal-a", "services": ["journal"]}]
    assert msgspec.json.decode(as_json(report), type=Report) == report
    for name, told in (("r.json", as_json(report)), ("r.md", page), ("r.txt", text)):
        write_report(report, tmp_path / name)
        assert (tmp_path / name).read_text() == told


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_is_the_verdict(
    report: Report, passed: bool, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.passed = passed
    asked: list[object] = []

    def execute(*options: object) -> tuple[Report, object]:
        asked.extend(options)
        return report, object()

    monkeypatch.setattr(command, "_execute", execute)
    monkeypatch.setattr(command, "_kubernetes", lambda *_: object())
    app = typer.Typer()
    app.command()(command.chaos)
    options = ["--kubernetes", "--seconds", "30", "--report", str(tmp_path / "r.md")]
    environment = {"TAUSQL_CHAOS_ENDPOINT": "east:5432 west:5432", "TAUSQL_CHAOS_FAULTS": "kill", "PGPASSWORD": "p"}
    done = CliRunner().invoke(app, options, env=environment)
    assert done.exit_code == status, done.output
    assert (tmp_path / "r.md").read_text() == as_markdown(report)
    target = asked[0]
    assert (target.endpoints, target.token) == (("east:5432", "west:5432"), "p")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "/nonexistent"], "no fleet runs in"),
        (["--rate", "1000", "--seconds", "5000"], "too many to check"),
    ],
)
def test_a_run_that_cannot_begin_says_why(options: list[str], said: str) -> None:
    app = typer.Typer()
    app.command()(command.chaos)
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 2
    assert said in done.output


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tausql.chaos.driver", None)
    app = typer.Typer()
    app.command()(command.chaos)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2
    assert "tausql[chaos]" in done.output
