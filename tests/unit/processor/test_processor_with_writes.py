"""Statements whose WITH queries write: over the real transaction, whose own writes a statement must not meet."""

from __future__ import annotations

import pytest
from processor_client import Client, add_table, errors, items, rows, tags
from processor_fleet import TestFleet


@pytest.fixture
def session() -> Client:
    fleet = TestFleet(processors=1)
    add_table(fleet, items())
    client = Client(fleet)
    client.query("INSERT INTO items VALUES (1, 7, 'one'), (2, 7, 'two'), (3, 8, 'three')")
    return client


@pytest.mark.parametrize("block", [False, True], ids=["alone", "in a block"])
def test_parts_read_what_was_there_before_the_statement(session: Client, block: bool) -> None:
    if block:
        session.query("BEGIN")
        session.query("UPDATE items SET note = 'ONE' WHERE id = 1")
    answer = session.query(
        "WITH gone AS (DELETE FROM items WHERE grp = 7 RETURNING id, note),"
        " fresh AS (INSERT INTO items SELECT id + 10, grp, note FROM items RETURNING id),"
        " changed AS (UPDATE items SET grp = 9 RETURNING id)"
        " SELECT (SELECT count(*) FROM items), (SELECT max(note) FROM gone WHERE id = 1),"
        " (SELECT count(*) FROM fresh), (SELECT count(*) FROM changed)"
    )
    # The deleted rows are not changed as well: each row is touched once.
    assert rows(answer) == [("3", "ONE" if block else "one", "3", "1")]
    if block:
        session.query("COMMIT")
    left = rows(session.query("SELECT id, grp FROM items ORDER BY id"))
    assert left == [("3", "9"), ("11", "7"), ("12", "7"), ("13", "8")]


def test_a_row_can_be_moved_to_its_own_key(session: Client) -> None:
    answer = session.query(
        "WITH gone AS (DELETE FROM items WHERE id = 1 RETURNING *)"
        " INSERT INTO items SELECT id, grp, note || '!' FROM gone RETURNING note"
    )
    assert rows(answer) == [("one!",)]
    assert tags(answer) == ["INSERT 0 1"]


def test_two_parts_cannot_insert_the_same_key(session: Client) -> None:
    answer = session.query(
        "WITH a AS (INSERT INTO items VALUES (5, 1, 'a')), b AS (INSERT INTO items VALUES (5, 1, 'b')) SELECT 1"
    )
    assert errors(answer) == [("23505", 'duplicate key value violates unique constraint "items_pkey"')]
    assert rows(session.query("SELECT count(*) FROM items")) == [("3",)]


def test_what_nobody_reads_is_done_all_the_same(session: Client) -> None:
    answer = session.query("WITH a AS (DELETE FROM items RETURNING id) SELECT id FROM a ORDER BY id LIMIT 1")
    assert rows(answer) == [("1",)]
    assert rows(session.query("SELECT count(*) FROM items")) == [("0",)]
    session.query("WITH a AS (INSERT INTO items VALUES (1, 1, 'x')) DELETE FROM items WHERE id = 99")
    assert rows(session.query("SELECT note FROM items")) == [("x",)]


def test_rows_of_joins_are_locked_and_counted(session: Client) -> None:
    session.query("BEGIN")
    session.query("SELECT a.id FROM items a JOIN items b ON b.grp = a.grp WHERE a.id = 3 FOR UPDATE")
    other = Client(session.fleet)
    other.query("UPDATE items SET note = 'mine' WHERE id = 3")
    session.query("INSERT INTO items VALUES (9, 9, 'n')")
    assert errors(session.query("COMMIT"))[0][0] == "40001"


def test_locks_count_to_the_rows_of_a_transaction(session: Client) -> None:
    session.query("BEGIN")
    for first in range(100, 3100, 1000):
        session.query(f"INSERT INTO items SELECT g, 1, 'x' FROM generate_series({first}, {first + 998}) g")
    assert errors(session.query("SELECT id FROM items WHERE id <= 3 FOR UPDATE")) == []
    assert errors(session.query("SELECT id FROM items WHERE id = 100 FOR UPDATE")) == []
    answer = session.query("INSERT INTO items VALUES (5000, 1, 'x')")
    assert errors(answer) == [("54000", "transaction row limit exceeded")]


def test_a_read_only_transaction_takes_no_parts_that_write(session: Client) -> None:
    session.query("BEGIN READ ONLY")
    answer = session.query("WITH a AS (DELETE FROM items RETURNING id) SELECT id FROM a")
    assert errors(answer) == [("25006", "cannot execute SELECT in a read-only transaction")]
