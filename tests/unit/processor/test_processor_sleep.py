"""pg_sleep: the statement waits, its processor does not, and neither a client nor a transaction is bound by it."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire import client


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet()


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    return Client(fleet)


def seconds_of(session: Client, sql: str) -> tuple[float, list[tuple[str | None, ...]]]:
    """How long a query takes, and its rows."""
    began = session.fleet.world.now
    answer = session.query(sql)
    assert not errors(answer), errors(answer)
    return session.fleet.world.now - began, rows(answer)


@pytest.mark.parametrize(
    ("sql", "seconds", "expected"),
    [
        ("SELECT pg_sleep(2)", 2, [("",)]),
        ("SELECT * FROM pg_sleep(2)", 2, [("",)]),
        ("SELECT pg_catalog.pg_sleep(0.5), 7", 0.5, [("", "7")]),
        ("SELECT pg_sleep(0), pg_sleep(-3), pg_sleep('NaN')", 0, [("", "", "")]),
        ("SELECT pg_sleep(NULL)", 0, [(None,)]),
        ("SELECT g, pg_sleep(1) FROM generate_series(1, 3) AS g", 3, [("1", ""), ("2", ""), ("3", "")]),
        ("SELECT pg_sleep_for('1 second 500 milliseconds')", 1.5, [("",)]),
        ("SELECT pg_sleep_until(clock_timestamp() + interval '4 seconds')", 4, [("",)]),
        ("SELECT pg_sleep_until('yesterday')", 0, [("",)]),
    ],
)
def test_a_statement_sleeps(session: Client, sql: str, seconds: float, expected: list[tuple[str | None, ...]]) -> None:
    took, found = seconds_of(session, sql)
    assert found == expected
    assert took == pytest.approx(seconds, abs=0.1)


def test_others_run_meanwhile(fleet: TestFleet, session: Client) -> None:
    session.send(client.query("SELECT pg_sleep(10)"))
    took, found = seconds_of(Client(fleet), "SELECT 1")
    assert found == [("1",)]
    assert took < 1
    assert not session.out.messages
    assert rows(session.ready()) == [("",)]


def test_a_sleep_can_be_cancelled(fleet: TestFleet, session: Client) -> None:
    session.send(client.query("SELECT pg_sleep(100)"))
    fleet.run(1.0)
    session.processor.cancel(session.session.process_id, session.session.secret)
    assert errors(session.ready()) == [("57014", "canceling statement due to user request")]
    assert rows(session.query("SELECT 1")) == [("1",)]


def test_a_transaction_sleeps_no_longer_than_it_may_last(session: Client) -> None:
    session.query("BEGIN")
    began = session.fleet.world.now
    session.send(client.query("SELECT pg_sleep(4000)"))
    assert errors(session.ready(seconds=400.0)) == [("54000", "transaction age limit of 300s exceeded")]
    assert session.fleet.world.now - began == pytest.approx(300, abs=0.1)


def test_what_is_written_after_a_sleep_is_written_once(session: Client) -> None:
    session.query("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.query("CREATE SEQUENCE q CACHE 1")
    took, _ = seconds_of(session, "INSERT INTO t SELECT nextval('q'), pg_sleep(1)::text FROM generate_series(1, 3)")
    assert took == pytest.approx(3, abs=0.2)
    assert rows(session.query("SELECT a FROM t ORDER BY a")) == [("1",), ("2",), ("3",)]
    assert tags(session.query("UPDATE t SET a = a + 10 WHERE pg_sleep(0.1)::text = ''")) == ["UPDATE 3"]
    assert rows(session.query("SELECT a FROM t ORDER BY a")) == [("11",), ("12",), ("13",)]
    assert errors(session.query("DELETE FROM t RETURNING pg_sleep(1)")) == [
        ("0A000", "nextval, setval and pg_sleep in RETURNING are not supported")
    ]


def test_a_portal_sleeps_once_for_each_row(session: Client) -> None:
    session.query("BEGIN")
    began = session.fleet.world.now
    session.send(client.parse("SELECT g, pg_sleep(1) FROM generate_series(1, 5) AS g"), client.bind([], "p"))
    for number in ("1", "2", "3", "4", "5"):
        session.send(client.execute("p", 1), client.SYNC)
        assert rows(session.ready()) == [(number, "")]
    assert session.fleet.world.now - began == pytest.approx(5, abs=0.1)
