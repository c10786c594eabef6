"""The memory of a transaction: portals that wait for their next Execute hold their share of it."""

from __future__ import annotations

from functools import partial

import pytest
from processor_client import Client, add_table, errors, items, rows
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.sql.execution import run as execution_run
from tausql.sql.execution.run import Memory

LIMIT = 1 << 20
SORT = "SELECT g FROM generate_series(1, 3000) g ORDER BY g::text"  # between a third and a half of the limit


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(execution_run, "Memory", partial(Memory, LIMIT))
    fleet = TestFleet(processors=1)
    add_table(fleet, items())
    made = Client(fleet)
    made.query("BEGIN")
    return made


def suspend(session: Client, portal: str, sql: str = SORT) -> None:
    session.send(client.parse(sql, portal), client.bind([], portal, portal), client.execute(portal, 2), client.SYNC)


def told(session: Client) -> list[str]:
    return [code for code, *_ in errors(session.ready())]


def test_suspended_portals_share_the_memory_of_their_transaction(session: Client) -> None:
    for portal in ("a", "b"):
        suspend(session, portal)
        assert told(session) == []
    suspend(session, "c")
    assert told(session) == ["53200"]


def test_a_statement_counts_what_portals_hold(session: Client) -> None:
    session.query("SELECT count(*) FROM (SELECT g FROM generate_series(1, 3000) g ORDER BY g::text OFFSET 0) q")
    suspend(session, "a")
    assert told(session) == []
    big = "SELECT g FROM generate_series(1, 6000) g ORDER BY g::text OFFSET 5999"
    assert [code for code, *_ in errors(session.query(big))] == ["53200"]
    session.query("ROLLBACK")
    assert rows(session.query(big)) == [("999",)]


def test_a_portal_that_goes_on_counts_those_opened_meanwhile(session: Client) -> None:
    growing = f"SELECT g FROM generate_series(1, 2000) g UNION ALL ({SORT})"  # sorts when the first part is over
    suspend(session, "a", growing)
    assert told(session) == []
    for portal in ("b", "c"):
        suspend(session, portal)
        assert told(session) == []
    session.send(client.execute("a", 0), client.SYNC)
    assert told(session) == ["53200"]


def test_what_is_closed_or_read_to_its_end_gives_its_memory_back(session: Client) -> None:
    for portal in ("a", "b"):
        suspend(session, portal)
        assert told(session) == []
    session.send(client.close_portal("a"), client.execute("b", 0), client.SYNC)
    assert told(session) == []
    for portal in ("c", "d"):
        suspend(session, portal)
        assert told(session) == []
