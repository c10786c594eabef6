"""Signals go to the right process, and to nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tausql.chaos.faults import BackendError, Fault
from tausql.chaos.observed import holds_stream, moved_sessions
from tausql.chaos.process_backend import ProcessBackend
from tausql.local.cluster import Cluster, ProcessEntry

SERVICES = {"journal-a": "journal", "journal-b": "journal", "order-a": "adjudicator+crossbar"}


@pytest.fixture
def children() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    started = {
        name: subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) for name in SERVICES
    }
    yield started
    for child in started.values():
        child.kill()
        child.wait()


def cluster_in(folder: Path, pids: dict[str, int], supervisor: int) -> ProcessBackend:
    entries = [
        ProcessEntry(name, service, "a", 0, pids[name], port=1, http_port=1) for name, service in SERVICES.items()
    ]
    Cluster("packed", 1, "127.0.0.1", 5432, 8080, supervisor, entries).save(folder)
    return ProcessBackend(folder)


@pytest.fixture
def backend(tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]) -> ProcessBackend:
    return cluster_in(tmp_path, {name: child.pid for name, child in children.items()}, os.getpid())


def test_every_kind_of_every_process_is_offered_once(backend: ProcessBackend) -> None:
    assert [str(fault) for fault in backend.offers()] == [
        f"{kind}:{service}" for kind in ("kill", "restart", "stop") for service in ("journal", "adjudicator+crossbar")
    ]


def test_victims_take_turns_and_are_gone_until_they_run_again(
    backend: ProcessBackend, children: dict[str, subprocess.Popen[bytes]]
) -> None:
    blow = backend.strike(Fault("kill", "journal"), 1)
    assert [victim.name for victim in blow.victims] == ["journal-b"]
    assert children["journal-b"].wait() == -9
    assert children["journal-a"].poll() is None
    assert blow.gone()
    assert not blow.ready()


def test_a_process_that_shares_is_a_victim_with_all_its_services(backend: ProcessBackend) -> None:
    blow = backend.strike(Fault("restart", "adjudicator+crossbar"), 0)
    assert blow.victims[0].services == ("adjudicator", "crossbar")


def test_a_stopped_process_is_woken_up(
    backend: ProcessBackend, children: dict[str, subprocess.Popen[bytes]]
) -> None:
    blow = backend.strike(Fault("stop", "journal"), 0)
    _, status = os.waitpid(children["journal-a"].pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert blow.held
    assert not blow.gone()
    blow.undo()
    _, status = os.waitpid(children["journal-a"].pid, os.WCONTINUED)
    assert os.WIFCONTINUED(status)


def test_a_stranger_with_the_same_pid_is_left_alone(
    tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]
) -> None:
    pids = {name: child.pid for name, child in children.items()}
    backend = cluster_in(tmp_path, pids | {"journal-a": os.getppid()}, os.getpid())
    with pytest.raises(BackendError, match="is not journal-a"):
        backend.strike(Fault("stop", "journal"), 0)


def test_a_fleet_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no fleet runs in"):
        ProcessBackend(tmp_path).offers()
    (tmp_path / "cluster.json").write_text("{}")
    with pytest.raises(BackendError, match="not a cluster file"):
        ProcessBackend(tmp_path).offers()


def test_who_decides_commits_is_seen_in_its_status() -> None:
    assert holds_stream(b'{"adjudicator": {"streams": [{"held": false}, {"held": true}]}}')
    assert not holds_stream(b'{"adjudicator": {"streams": [{"held": false}]}}')
    for strange in (b"", b"[]", b'{"adjudicator": 7}', b'{"adjudicator": {"streams": [1]}}'):
        assert not holds_stream(strange)


def test_moved_sessions_are_summed_over_their_reasons() -> None:
    text = (
        "# TYPE tausql_frontend_sessions_moved_total counter\n"
        'tausql_frontend_sessions_moved_total{reason="lost"} 2.0\n'
        'tausql_frontend_sessions_moved_total{reason="drained"} 3.0\n'
        "tausql_frontend_sessions_total 9.0\n"
    )
    assert moved_sessions(text) == 5.0
    assert moved_sessions("tausql_frontend_sessions_total 9.0\n") is None
