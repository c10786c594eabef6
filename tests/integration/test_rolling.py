"""Every process of a fleet is restarted in good order, one after the other, as an upgrade does it, under load.

What a process says when it leaves (a handover, a drain, a closed stream) is there so that nobody notices: the clients
may be told 40001 for what was under way, and nothing else but by a frontend that ends its own connections. Between
processes everything is encrypted, as it is between pods.
"""

from __future__ import annotations

import datetime
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from loadtest.tausql_fleet import Fleet, running_fleet

from tausql.runtime.issuing import issue, issue_authority

from .under_load import Load, pid_of, ready, under_load
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

RETRY = "40001"
PARTING = {"57P01", "08006", "OperationalError"}  # of a frontend: a session ended, a connection not taken any more
WRITE_GAP_SECONDS_MAX = 3.0  # the aims are 0.2 s and 0.2 s on a quiet machine; these only tell outages from hiccups
READ_GAP_SECONDS_MAX = 2.0


@pytest.fixture
def _encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority = issue_authority("fleet", now, 1)
    member = issue(authority, "member", [], now, 1, client=True)
    (tmp_path / "ca.crt").write_bytes(authority.pem())
    (tmp_path / "tls.crt").write_bytes(member.pem())
    (tmp_path / "tls.key").write_bytes(member.key_pem())
    monkeypatch.setenv("TAUSQL_TLS_DIR", str(tmp_path))


@pytest.mark.usefixtures("_encrypted")
def test_rolling_restart_shows_clients_nothing_but_retries() -> None:
    with running_fleet("separate") as fleet, under_load(fleet) as load:
        seen: dict[str, Counter[str]] = {}
        for entry in fleet.processes():
            name = str(entry["name"])
            before = _errors(load)
            load.lists.reset_gaps()
            _restart(fleet, name)
            load.await_progress()
            load.note_gap(f"SIGTERM {name}")
            seen[name] = _errors(load) - before
        load.check()
        restarts = {str(entry["name"]): entry["restarts"] for entry in fleet.processes()}
    for name, errors in seen.items():
        print(f"{name}: {dict(errors)}")
    assert set(restarts.values()) == {1}, restarts
    odd = {name: dict(errors) for name, errors in seen.items() if set(errors) - _allowed(name)}
    assert not odd
    assert max(gap.write_seconds for gap in load.gaps) < WRITE_GAP_SECONDS_MAX
    assert max(gap.read_seconds for gap in load.gaps) < READ_GAP_SECONDS_MAX


def _allowed(name: str) -> set[str]:
    return {RETRY} | (PARTING if name.startswith("frontend") else set())


def _errors(load: Load) -> Counter[str]:
    return load.lists.errors + load.orders.errors


def _restart(fleet: Fleet, name: str) -> None:
    """SIGTERM, and back when the supervisor has started it again and it is ready."""
    before = pid_of(fleet, name)
    os.kill(before, signal.SIGTERM)
    until(lambda: pid_of(fleet, name) not in (0, before), f"{name} started again")
    until(lambda: ready(fleet, name), f"{name} ready again")
