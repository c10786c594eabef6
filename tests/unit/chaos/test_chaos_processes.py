"""Signals go to the right process, and to nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tausql.chaos.faults import BackendError, Fault, NotNow
from tausql.chaos.observed import holds_stream, moved_sessions
from tausql.chaos.process_backend import ProcessBackend
from tausql.chaos.process_blows import CutBlow
from tausql.local.cluster import LINKS, Cluster, ProcessEntry
from tausql.rpc.links import Rule

SERVICES = {
    "journal-a": "journal",
    "journal-b": "journal",
    "journal-c": "journal",
    "order-a": "adjudicator+crossbar",
}


@pytest.fixture
def children() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    started = {name: subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) for name in SERVICES}
    yield started
    for child in started.values():
        child.kill()
        child.wait()


def cluster_in(
    folder: Path, pids: dict[str, int], supervisor: int, away: tuple[str, ...] = (), zones: int = 3, links: bool = False
) -> ProcessBackend:
    entries = [
        ProcessEntry(name, service, name[-1], 0, pids[name], port=ord(name[-1]), http_port=1)
        for name, service in SERVICES.items()
    ]
    Cluster("packed", zones, "127.0.0.1", 5432, 8080, supervisor, entries, links=links).save(folder)
    return ProcessBackend(folder, lambda _, entry: (entry.name not in away, "told so"))


@pytest.fixture
def backend(tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]) -> ProcessBackend:
    return cluster_in(tmp_path, {name: child.pid for name, child in children.items()}, os.getpid())


def test_every_kind_of_every_process_is_offered_once(backend: ProcessBackend) -> None:
    assert [str(fault) for fault in backend.offers()] == [
        *(
            f"{kind}:{service}"
            for kind in ("kill", "restart", "stop")
            for service in ("journal", "adjudicator+crossbar")
        ),
        "wipe:journal",
        "outage",
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


def test_a_stopped_process_is_woken_up(backend: ProcessBackend, children: dict[str, subprocess.Popen[bytes]]) -> None:
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


def pids_of(children: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    return {name: child.pid for name, child in children.items()}


def test_no_majority_is_taken_away(tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]) -> None:
    backend = cluster_in(tmp_path, pids_of(children), os.getpid(), away=("journal-c",))
    with pytest.raises(NotNow, match="only 1 others are ready"):
        backend.strike(Fault("kill", "journal"), 0)
    assert backend.strike(Fault("kill", "journal"), 2).victims[0].name == "journal-c"
    assert backend.strike(Fault("kill", "adjudicator+crossbar"), 0).victims[0].name == "order-a"  # there is one only


def test_a_disk_is_wiped_only_while_all_others_are_there(
    tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]
) -> None:
    disks = {name: tmp_path / name for name in SERVICES}
    for disk in disks.values():
        disk.mkdir()
        (disk / "log").write_text("acknowledged")
    backend = cluster_in(tmp_path, pids_of(children), os.getpid(), away=("journal-b",))
    with pytest.raises(NotNow):
        backend.strike(Fault("wipe", "journal"), 0)
    backend = cluster_in(tmp_path, pids_of(children), os.getpid())
    blow = backend.strike(Fault("wipe", "journal"), 0)
    assert children["journal-a"].wait() == -9
    assert blow.gone()
    assert not blow.held
    assert not disks["journal-a"].exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.json", "journal-b", "journal-c", "order-a"]


def test_a_process_without_a_disk_is_not_wiped(tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]) -> None:
    backend = cluster_in(tmp_path, pids_of(children), os.getpid())
    with pytest.raises(BackendError, match="no data of journal-a"):
        backend.strike(Fault("wipe", "journal"), 0)
    assert children["journal-a"].poll() is None


def test_an_outage_takes_all_at_once(backend: ProcessBackend, children: dict[str, subprocess.Popen[bytes]]) -> None:
    blow = backend.strike(Fault("outage"), 0)
    assert {victim.name for victim in blow.victims} == set(SERVICES)
    assert {child.wait() for child in children.values()} == {-9}
    assert blow.gone()
    assert not blow.ready()


@pytest.mark.parametrize(
    ("kind", "ways", "delay"),
    [
        ("cut", [("a", "bc"), ("bc", "a")], None),
        ("cut-out", [("a", "bc")], None),
        ("cut-in", [("bc", "a")], None),
        ("slow", [("a", "bc"), ("bc", "a")], 0.1),
    ],
)
def test_links_of_a_zone_are_cut_by_rules(
    kind: str,
    ways: list[tuple[str, str]],
    delay: float | None,
    tmp_path: Path,
    children: dict[str, subprocess.Popen[bytes]],
) -> None:
    backend = cluster_in(tmp_path, pids_of(children), os.getpid(), links=True)
    assert Fault(kind, "zone-a") in backend.offers()
    blow = backend.strike(Fault(kind, "zone-a"), 0)
    assert isinstance(blow, CutBlow)
    assert [victim.name for victim in blow.victims] == ["journal-a", "order-a"]

    def ports(zones: str) -> set[str]:
        return {f"127.0.0.1:{ord(zone)}" for zone in zones}

    rules = msgspec.json.decode((tmp_path / LINKS).read_bytes(), type=list[Rule])
    assert [(set(rule.sources), set(rule.targets)) for rule in rules] == [(ports(a), ports(b)) for a, b in ways]
    assert {rule.delay_seconds for rule in rules} == {delay}
    assert not blow.gone()
    blow.undo()
    assert (tmp_path / LINKS).read_bytes() == b"[]"
    assert blow.ready()


def test_links_are_cut_only_where_the_fleet_listens_and_the_rest_is_whole(
    tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]
) -> None:
    without = cluster_in(tmp_path, pids_of(children), os.getpid())
    assert not {"cut", "cut-in", "cut-out", "slow"} & {fault.kind for fault in without.offers()}
    backend = cluster_in(tmp_path, pids_of(children), os.getpid(), away=("journal-b",), links=True)
    with pytest.raises(NotNow, match="journal-b"):
        backend.strike(Fault("cut", "zone-a"), 0)
