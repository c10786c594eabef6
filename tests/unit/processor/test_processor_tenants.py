"""Many clusters on one processor: they come, they go, and each is as if it were alone."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet

from tausql.pgwire.client import ReadyForQuery
from tausql.processor.usage import OTHERS, Usages
from tausql.protocol.processor import Restore, SessionStart


def start(cluster: int, *switches: str, user: str = "admin", restore: Restore | None = None) -> SessionStart:
    return SessionStart(user, "postgres", {}, restore=restore, cluster=cluster, switches=switches)


def session(fleet: TestFleet, cluster: int, *switches: str, at: int = 0) -> Client:
    return Client(fleet, at, start=start(cluster, *switches))


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2, tenant_seconds=60.0)


def test_each_cluster_has_its_own_rows_under_the_same_names(fleet: TestFleet) -> None:
    for cluster in (1, 2, 0, 4_000_000_000):
        one = session(fleet, cluster)
        assert not errors(one.query("CREATE TABLE t (id int PRIMARY KEY, v text)"))
        assert not errors(one.query(f"INSERT INTO t VALUES (1, 'of {cluster}')"))
    for cluster in (1, 2, 0, 4_000_000_000):
        assert rows(session(fleet, cluster, at=1).query("SELECT * FROM t")) == [("1", f"of {cluster}")]


def test_a_cluster_is_let_go_when_unused_and_comes_back_as_it_was(fleet: TestFleet) -> None:
    one = session(fleet, 2)
    one.query("CREATE TABLE t (id int PRIMARY KEY)")
    one.query("INSERT INTO t VALUES (7)")
    fleet.run(120.0)
    assert len(fleet.processor.tenants) == 2, "a session keeps its cluster here"
    one.session.lost()
    fleet.run(90.0)
    assert len(fleet.processor.tenants) == 1
    assert rows(session(fleet, 2).query("SELECT * FROM t")) == [("7",)]


def test_the_first_cluster_stays_and_is_what_readiness_asks_for(fleet: TestFleet) -> None:
    fleet.run(200.0)
    assert len(fleet.processor.tenants) == 1
    assert fleet.processor.ready() == (True, "")
    assert fleet.processor.status()["clusters"] == 1


def test_beyond_the_limit_the_least_recently_used_goes_first_and_then_nobody_comes() -> None:
    fleet = TestFleet(tenants_max=3)
    second, third = session(fleet, 2), session(fleet, 3)
    fourth = session(fleet, 4)
    assert errors(fourth.greeting) == [("53300", "Unable to accept connection, too many open connections.")]
    second.session.lost()
    fleet.run(1.0)
    third.session.lost()
    fleet.run(1.0)
    assert isinstance(session(fleet, 4).greeting[-1], ReadyForQuery)
    assert sorted(fleet.processor.tenants.numbers()) == [1, 3, 4]


def test_switches_are_those_of_the_session_and_of_the_fleet(fleet: TestFleet) -> None:
    plain, extended = session(fleet, 2), session(fleet, 2, "extensions")
    assert errors(plain.query("SAVEPOINT a"))[0][0] == "0A000"
    extended.query("BEGIN")
    assert not errors(extended.query("SAVEPOINT a"))
    assert errors(plain.query("SAVEPOINT a"))[0][0] == "0A000", "the switch is on for new sessions only"
    assert errors(session(fleet, 3).query("SAVEPOINT a"))[0][0] == "0A000"


def test_what_the_fleet_lets_all_clients_do_is_not_for_the_system_cluster() -> None:
    fleet = TestFleet(testing=True, fail_commits_share=1.0)
    assert not errors(session(fleet, 0).query("CREATE TABLE t (id int PRIMARY KEY)"))
    assert errors(session(fleet, 2).query("CREATE TABLE t (id int PRIMARY KEY)"))[0][0] == "40001"


def test_a_restored_session_is_of_its_cluster(fleet: TestFleet) -> None:
    for cluster in (1, 2):
        one = session(fleet, cluster)
        one.query("CREATE TABLE t (id int PRIMARY KEY)")
        one.query(f"INSERT INTO t VALUES ({cluster})")
    restored = Client(fleet, 1, start=start(2, restore=Restore(77, 88, 1.0, {}, [])))
    assert rows(restored.query("SELECT * FROM t")) == [("2",)]


def test_usage_is_counted_by_cluster_and_the_labels_are_bounded(fleet: TestFleet) -> None:
    usages = Usages(labels_max=2)
    first, second = usages.of(1), usages.of(2)
    assert usages.of(3).label == usages.of(4).label == OTHERS
    usages.let_go(1)
    assert usages.of(5).label == "5"
    assert usages.of(2) is second
    assert usages.of(1) is not first
    one = session(fleet, 2)
    one.query("CREATE TABLE t (id int PRIMARY KEY)")
    counts = fleet.processor.metrics.usages
    before = counts.of(2).total_transactions, counts.of(3).total_transactions
    one.query("INSERT INTO t VALUES (1)")
    assert (counts.of(2).total_transactions, counts.of(3).total_transactions) == (before[0] + 1, before[1])
    samples = [
        sample.labels["cluster_id"]
        for family in fleet.processor.metrics.collect()
        for sample in family.samples
        if sample.name == "tausql_dsql_total_transactions_total"
    ]
    assert sorted(samples) == ["1", "2", "3"]
