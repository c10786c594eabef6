"""ANALYZE over the wire: what plans know after it, on this processor and on others, and tables that come due."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet


def done(client: Client, sql: str) -> None:
    answer = client.query(sql)
    assert not errors(answer), errors(answer)


def filled(fleet: TestFleet, count: int = 200) -> Client:
    client = Client(fleet)
    done(client, "CREATE TABLE things (id int PRIMARY KEY, grp int, n int)")
    for low in range(0, count, 1000):
        values = ", ".join(f"({at}, {at % 3}, {at * 2})" for at in range(low, min(low + 1000, count)))
        done(client, f"INSERT INTO things VALUES {values}")
    return client


def known(fleet: TestFleet) -> dict[str, float]:
    snapshot = fleet.processor.tenants.first.catalogue.shared
    assert snapshot is not None
    return {snapshot.by_oid[oid].name: found.rows for oid, found in snapshot.statistics.items()}


@pytest.mark.parametrize("sql", ["ANALYZE", "ANALYZE things", "analyze (verbose) public.things (id, grp)"])
def test_analyze_is_known_at_once(sql: str) -> None:
    fleet = TestFleet(1)
    client = filled(fleet)
    assert known(fleet) == {}
    done(client, sql)
    assert known(fleet) == {"things": 200}
    done(client, "CREATE TABLE others (id int PRIMARY KEY)")
    assert rows(client.query("SELECT count(*) FROM things")) == [("200",)]
    assert known(fleet) == {"things": 200}


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("ANALYZE nothing", ("42P01", 'relation "nothing" does not exist')),
        ("ANALYZE things (id, x)", ("42703", 'column "x" of relation "things" does not exist')),
        ("ANALYZE things (id, id)", ("42701", 'column "id" of relation "things" appears more than once')),
        ("ANALYZE things what", ("42601", 'syntax error at or near "what"')),
    ],
)
def test_what_analyze_refuses(sql: str, error: tuple[str, str]) -> None:
    client = filled(TestFleet(1), 3)
    assert errors(client.query(sql)) == [error]


def test_not_in_a_block() -> None:
    client = filled(TestFleet(1), 3)
    done(client, "BEGIN")
    assert errors(client.query("ANALYZE")) == [("25001", "ANALYZE cannot run inside a transaction block")]


def test_a_table_that_has_changed_much_is_analysed_by_a_job() -> None:
    fleet = TestFleet(1)
    client = filled(fleet, 2000)
    fleet.run(100.0)
    assert known(fleet) == {"things": 2000}
    assert rows(client.query("SELECT job_type, status FROM sys.jobs")) == [("ANALYZE", "completed")]
    done(client, "UPDATE things SET n = 1 WHERE id < 500")
    fleet.run(100.0)
    assert len(rows(client.query("SELECT job_id FROM sys.jobs"))) == 1


def test_planner_settings_count_for_the_session_at_once() -> None:
    fleet = TestFleet(1)
    client, other = filled(fleet), Client(fleet)
    sql = "EXPLAIN SELECT * FROM things a JOIN things b ON a.n = b.grp"

    def plan(session: Client) -> str:
        return str(rows(session.query(sql)))

    assert "Hash Join" in plan(client)
    done(client, "SET enable_hashjoin = off")
    assert "Merge Join" in plan(client)
    assert "Hash Join" in plan(other)
    done(client, "SET enable_mergejoin TO off")
    assert "Nested Loop" in plan(client)
    done(client, "RESET ALL")
    assert "Hash Join" in plan(client)


def test_explain_analyze_verbose_says_what_a_statement_costs() -> None:
    session = filled(TestFleet(1))
    lines = [line for (line,) in rows(session.query("EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM things WHERE n < 100"))]
    assert lines[0] is not None
    assert lines[0].startswith("Index Only Scan using things_pkey on public.things  (cost=")
    assert "rows=50 loops=1)" in lines[0]
    text = "\n".join(str(line) for line in lines)
    assert "Planning Time: " in text
    assert "Statement DPU Estimate:" in text
    assert "Transaction minimum: 0.00375" in text
    done(session, "BEGIN")
    text = str(rows(session.query("EXPLAIN (ANALYZE, VERBOSE) UPDATE things SET n = 1 WHERE id < 20")))
    assert "Write: 0.12500 DPU" in text  # twenty rows, 128 bytes each at least
    assert rows(session.query("SELECT count(*) FROM things WHERE n = 1")) == [("20",)]
    done(session, "ROLLBACK")
