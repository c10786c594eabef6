"""What control says of clusters, and what a processor does about it."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet
from test_processor_tenants import session, start

from tausql.protocol.clusters import ClusterRecord

FULL = [("53100", "Current cluster size exceeds cluster size limit.")]


def record(number: int, status: str = "ACTIVE", full: bool = False) -> ClusterRecord:
    return ClusterRecord(f"{number:026d}", number, status, "arn", (), full=full)


@pytest.fixture
def fleet() -> TestFleet:
    fleet = TestFleet(processors=2, control=True)
    fleet.controls[0].tell(record(1), record(2), record(3))
    fleet.run(2.0)
    return fleet


def test_a_full_cluster_does_not_grow_until_it_has_room_again(fleet: TestFleet) -> None:
    one, other = session(fleet, 2), session(fleet, 3)
    for client in (one, other):
        client.query("CREATE TABLE t (id int PRIMARY KEY)")
        client.query("INSERT INTO t VALUES (1)")
    fleet.controls[0].tell(record(2, full=True))
    fleet.run(1.0)
    for statement in ("INSERT INTO t VALUES (2)", "UPDATE t SET id = 3", "COPY t FROM STDIN"):
        assert errors(one.query(statement)) == FULL, statement
    assert errors(session(fleet, 2, at=1).query("INSERT INTO t VALUES (2)")) == FULL, "made after it was told"
    assert rows(one.query("SELECT * FROM t")) == [("1",)]
    assert not errors(other.query("INSERT INTO t VALUES (2)"))
    assert not errors(one.query("DELETE FROM t")), "how else would it get room"
    fleet.controls[0].tell(record(2))
    fleet.run(1.0)
    assert not errors(one.query("INSERT INTO t VALUES (2)"))


def test_jobs_of_a_cluster_that_nobody_connects_to_go_on(fleet: TestFleet) -> None:
    one = session(fleet, 2)
    one.query("CREATE TABLE t (id int PRIMARY KEY, v int)")
    one.query("INSERT INTO t SELECT n, n FROM generate_series(1, 100) n")
    fleet.run(1.0)
    one.send(b"Q\x00\x00\x00\x22CREATE INDEX ASYNC i ON t (v)\x00")
    fleet.until(lambda: bool(one.out.messages))
    fleet.processors[0].stop()
    fleet.run(700.0)
    assert jobs_done(fleet)


def jobs_done(fleet: TestFleet) -> bool:
    return rows(session(fleet, 2, at=1).query("SELECT status FROM sys.jobs")) in ([("completed",)], [])


@pytest.mark.parametrize("removed", [False, True])
def test_a_cluster_that_is_deleted_loses_its_sessions_but_controls_own(fleet: TestFleet, removed: bool) -> None:
    one, other = session(fleet, 2), session(fleet, 3)
    controls = Client(fleet, start=start(2, "removal"))
    if removed:
        fleet.controls[0].tell(removed=(record(2).identifier,))
    else:
        fleet.controls[0].tell(record(2, "DELETING"))
    fleet.run(1.0)
    assert one.out.closed
    assert errors(one.take())[0][0] == "57P01"
    assert not other.out.closed
    assert not controls.out.closed


def test_control_that_goes_away_changes_nothing(fleet: TestFleet) -> None:
    one = session(fleet, 2)
    fleet.world.processes["control-a"].kill("gone")
    fleet.run(30.0)
    assert not errors(one.query("CREATE TABLE t (id int PRIMARY KEY)"))
    fleet.world.processes["control-a"].start()
    fleet.controls[-1].tell(record(2, full=True))
    fleet.run(5.0)
    assert errors(one.query("INSERT INTO t VALUES (1)")) == FULL
