"""Removing a cluster: everything of it, in bounded pieces, and nothing of any other."""

from __future__ import annotations

from processor_client import Client, errors, rows
from processor_fleet import TestFleet
from test_processor_tenants import session, start

from tausql.processor.removal import BATCH_KEYS
from tausql.protocol.keys import cluster_range

CALL = "CALL sys.remove_cluster_data()"


def filled(fleet: TestFleet, cluster: int, count: int = 20) -> Client:
    one = session(fleet, cluster)
    for statement in (
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "CREATE SEQUENCE s CACHE 1",
        "CREATE VIEW w AS SELECT * FROM t",
        "CREATE INDEX ASYNC ON t (v)",
        f"INSERT INTO t SELECT n, 'a' || n FROM generate_series(1, {count}) n",
        "SELECT nextval('s')",
        "ANALYZE t",
    ):
        assert not errors(one.query(statement)), statement
    fleet.run(1.0)
    return one


def keys_of(fleet: TestFleet, cluster: int) -> list[bytes]:
    low, high = cluster_range(cluster)
    return [key for key in fleet.data.at(1 << 63) if low <= key < high]


def remove(fleet: TestFleet, cluster: int) -> list[int]:
    """Keys that went, call by call."""
    one = Client(fleet, start=start(cluster, "removal"))
    counts: list[int] = []
    while True:
        (row,) = rows(one.query(CALL))
        if row[1] == "t":
            assert row[0] == "0"
            return counts
        counts.append(int(row[0]))


def test_all_of_a_cluster_goes_and_nothing_of_its_neighbours() -> None:
    fleet = TestFleet()
    for cluster in (1, 2, 3):
        filled(fleet, cluster).session.lost()
    before = keys_of(fleet, 1), keys_of(fleet, 3)
    assert sum(remove(fleet, 2)) == len(keys_of(fleet, 1)) > 40
    assert keys_of(fleet, 2) == []
    assert (keys_of(fleet, 1), keys_of(fleet, 3)) == before
    one = session(fleet, 2)
    assert errors(one.query("SELECT * FROM t")) == [("42P01", 'relation "t" does not exist')]
    assert not errors(one.query("CREATE TABLE t (id int PRIMARY KEY)"))


def test_a_large_one_goes_in_pieces() -> None:
    fleet = TestFleet()
    one = filled(fleet, 2, 2_000)
    one.query("INSERT INTO t SELECT n, 'b' FROM generate_series(3001, 5000) n")
    counts = remove(fleet, 2)
    assert len(counts) > 2
    assert max(counts) <= BATCH_KEYS


def test_who_still_writes_is_refused_from_the_first_piece_on() -> None:
    fleet = TestFleet()
    straggler = filled(fleet, 2)
    straggler.query("BEGIN")
    assert not errors(straggler.query("INSERT INTO t VALUES (100, 'late')"))
    Client(fleet, start=start(2, "removal")).query(CALL)
    assert errors(straggler.query("COMMIT"))[0][0] == "40001"
    remove(fleet, 2)
    assert keys_of(fleet, 2) == []


def test_only_control_may_and_never_the_system_cluster() -> None:
    fleet = TestFleet()
    assert errors(session(fleet, 2).query(CALL))[0][0] == "42883"
    assert errors(session(fleet, 2, "extensions", "testing", "lenient").query(CALL))[0][0] == "42883"
    assert errors(Client(fleet, start=start(0, "removal")).query(CALL))[0][0] == "42501"
