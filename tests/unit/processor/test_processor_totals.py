"""Aggregates computed by storage: own writes counted in, over several shards, and with replicas that cannot."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows, shape
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.processor.coroutines import Resolved
from tausql.processor.partial_totals import StoredTotals
from tausql.protocol.keys import relation_prefix
from tausql.protocol.placing import FIRST_CLUSTER, FIRST_RELATION
from tausql.protocol.rows import decode_stored, encode_stored
from tausql.protocol.storage import Page, Scan
from tausql.protocol.totals import Aggregation, Total, TotalKind

TOTALS = "SELECT count(*), sum(n), min(n), max(n) FROM things WHERE n < 5000"


def done(session: Client, sql: str) -> None:
    answer = session.query(sql)
    assert not errors(answer), errors(answer)


def filled(fleet: TestFleet) -> Client:
    session = Client(fleet)
    done(session, "CREATE TABLE things (id int PRIMARY KEY, grp int, n int)")
    values = ", ".join(f"({at}, {at % 3}, {at * 2})" for at in range(200))
    done(session, f"INSERT INTO things VALUES {values}")
    return session


def test_own_writes_count() -> None:
    session = filled(TestFleet(1))
    assert rows(session.query(TOTALS)) == [("200", str(199 * 200), "0", "398")]
    done(session, "BEGIN")
    done(session, "INSERT INTO things VALUES (1000, 1, 7), (1001, 1, 90000)")
    done(session, "UPDATE things SET n = -4 WHERE id = 10")
    done(session, "DELETE FROM things WHERE id = 199")
    expected = [("200", str(199 * 200 + 7 - 24 - 398), "-4", "396")]
    assert rows(session.query(TOTALS)) == expected
    grouped = rows(session.query("SELECT grp, count(*) FROM things GROUP BY grp ORDER BY grp"))
    assert grouped == [("0", "67"), ("1", "68"), ("2", "66")]
    done(session, "ROLLBACK")
    assert rows(session.query(TOTALS)) == [("200", str(199 * 200), "0", "398")]


@pytest.mark.parametrize("seed", range(2))
def test_over_several_shards_and_slices(seed: int) -> None:
    fleet = TestFleet(seed, storages="aaabb")
    for storage in fleet.storages:
        storage.page_rows_max = 40
    session = filled(fleet)
    cut = relation_prefix(FIRST_CLUSTER, FIRST_RELATION) + b"\x01\x80\x00\x00\x00\x00\x00\x00\x50"
    fleet.storages[0].serve((b"", cut))
    fleet.storages[1].serve((cut, b""))
    fleet.storages[2].serve((cut, b""))
    fleet.storages[3].serve((b"", cut))
    fleet.storages[4].serve((cut, b""))
    fleet.run(0.1)
    assert rows(session.query(TOTALS)) == [("200", str(199 * 200), "0", "398")]
    assert rows(session.query("SELECT grp, sum(n) FROM things GROUP BY grp ORDER BY 1")) == [
        ("0", str(sum(at * 2 for at in range(0, 200, 3)))),
        ("1", str(sum(at * 2 for at in range(1, 200, 3)))),
        ("2", str(sum(at * 2 for at in range(2, 200, 3)))),
    ]


def test_a_long_aggregation_is_many_short_reads() -> None:
    fleet = TestFleet(1)
    session = filled(fleet)
    for storage in fleet.storages:
        storage.page_rows_max = 20
    fleet.data.reads.clear()
    assert rows(session.query(TOTALS)) == [("200", str(199 * 200), "0", "398")]
    scans = [scan for _, request in fleet.data.reads for scan in request.scans]
    assert len(scans) >= 10
    assert all(scan.aggregation is not None for scan in scans)


def test_a_portal_with_a_row_limit_reads_no_further_than_it_is_asked() -> None:
    fleet = TestFleet(1)
    session = filled(fleet)
    for storage in fleet.storages:
        storage.page_rows_max = 20
    fleet.data.reads.clear()

    def pages() -> int:
        return sum(len(request.scans) for _, request in fleet.data.reads)

    session.send(
        client.query("BEGIN"),
        client.parse("SELECT id FROM things WHERE n >= 0 ORDER BY id", "s"),
        client.bind([], "p", "s"),
        client.execute("p", 10),
        client.SYNC,
    )
    answer = session.ready(2)
    assert shape(answer)[-2:] == ["portal_suspended", "ReadyForQuery"]
    assert pages() <= 2
    session.send(client.execute("p", 100), client.SYNC)
    assert len(rows(session.ready())) == 100
    assert pages() <= 8
    session.send(client.execute("p"), client.SYNC)
    assert len(rows(session.ready())) == 90


def test_an_index_alone_shows_own_writes() -> None:
    session = filled(TestFleet(1))
    done(session, "CREATE INDEX ASYNC things_n ON things (n)")
    ((job,),) = rows(session.query("SELECT job_id FROM sys.jobs WHERE job_type = 'INDEX_BUILD'"))
    done(session, f"CALL sys.wait_for_job('{job}')")
    asked = "SELECT n, id FROM things WHERE n BETWEEN 10 AND 20 ORDER BY n"
    assert "Index Only Scan using things_n" in str(rows(session.query(f"EXPLAIN {asked}"))[0])
    before = [(str(2 * at), str(at)) for at in range(5, 11)]
    assert rows(session.query(asked)) == before
    done(session, "BEGIN")
    done(session, "INSERT INTO things VALUES (900, 1, 15)")
    done(session, "UPDATE things SET n = 13 WHERE id = 100")
    done(session, "UPDATE things SET n = 1 WHERE id = 8")
    done(session, "DELETE FROM things WHERE id = 5")
    done(session, "UPDATE things SET grp = 77 WHERE id = 10")
    expected = [("12", "6"), ("13", "100"), ("14", "7"), ("15", "900"), ("18", "9"), ("20", "10")]
    assert rows(session.query(asked)) == expected
    assert rows(session.query("SELECT max(n), min(n) FROM things WHERE n < 16")) == [("15", "0")]
    assert rows(session.query("SELECT max(n) FROM things WHERE n < 16")) == [("15",)]
    done(session, "ROLLBACK")
    assert rows(session.query(asked)) == before


class PlainRows:
    """A replica that knows no aggregations: two pages of rows."""

    def page(self, scan: Scan) -> Resolved[Page]:
        if scan.low == b"a":
            return Resolved(Page([b"a", b"b"], [encode_stored([1]), encode_stored([2])], [], b"c"))
        assert scan.aggregation is not None
        return Resolved(Page([b"c"], [encode_stored([4])], [], None))

    def values(self, keys: list[bytes]) -> Resolved[list[bytes | None]]:
        raise AssertionError(keys)


def test_rows_of_a_replica_that_knows_no_aggregations_are_folded_here() -> None:
    aggregation = Aggregation((Total(TotalKind.count_rows), Total(TotalKind.sum, 0)))
    scanner = StoredTotals(PlainRows(), Scan(b"a", b"z", aggregation=aggregation), aggregation)
    found = []

    async def read() -> None:
        while page := await scanner.next_page():
            found.extend((key, decode_stored(value)) for key, value in page)

    with pytest.raises(StopIteration):
        read().send(None)
    assert found == [(b"", [2, "3"]), (b"", [1, "4"])]
