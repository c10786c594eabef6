"""Savepoints: what was written, set and failed since one is undone, and nothing else."""

from __future__ import annotations

import pytest
from processor_client import Client, add_table, errors, items, rows, status, tags
from processor_fleet import TestFleet


@pytest.fixture
def fleet() -> TestFleet:
    fleet = TestFleet(processors=2, extensions=True)
    add_table(fleet, items())
    return fleet


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    return Client(fleet)


def run(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(messages := session.query(sql)), (sql, errors(messages))


def test_back_to_a_savepoint_undoes_what_came_after_it(session: Client) -> None:
    run(session, "BEGIN", "INSERT INTO items VALUES (1, 1, 'a')", "SAVEPOINT s", "UPDATE items SET note = 'b'")
    run(session, "INSERT INTO items VALUES (2, 1, 'c')", "DELETE FROM items WHERE id = 1")
    assert rows(session.query("SELECT id, note FROM items")) == [("2", "c")]
    assert tags(session.query("ROLLBACK TO SAVEPOINT s")) == ["ROLLBACK"]
    assert rows(session.query("SELECT id, note FROM items")) == [("1", "a")]
    assert rows(session.query("SELECT id FROM items WHERE grp = 1")) == [("1",)]
    run(session, "INSERT INTO items VALUES (3, 1, 'd')", "COMMIT")
    assert rows(session.query("SELECT id FROM items ORDER BY id")) == [("1",), ("3",)]


def test_an_error_after_a_savepoint_is_forgotten_with_it(session: Client) -> None:
    run(session, "BEGIN", "INSERT INTO items VALUES (1, 1, 'a')", "SAVEPOINT s")
    assert errors(session.query("INSERT INTO items VALUES (2, 1, 'b'), (1, 2, 'c')"))[0][0] == "23505"
    assert errors(session.query("SELECT 1"))[0][0] == "25P02"
    assert errors(session.query("ROLLBACK TO nothing")) == [("3B001", 'savepoint "nothing" does not exist')]
    assert status(session.query("ROLLBACK TO s")) == "T"
    assert rows(session.query("SELECT id FROM items")) == [("1",)]
    assert tags(session.query("COMMIT")) == ["COMMIT"]
    assert rows(session.query("SELECT id FROM items")) == [("1",)]


def test_savepoints_of_one_name_hide_each_other_and_releasing_keeps_the_writes(session: Client) -> None:
    run(session, "BEGIN", "SAVEPOINT s", "INSERT INTO items VALUES (1, 1, 'a')", "SAVEPOINT s")
    run(session, "INSERT INTO items VALUES (2, 1, 'b')", "ROLLBACK TO s", "ROLLBACK TO s")
    assert rows(session.query("SELECT id FROM items")) == [("1",)]
    run(session, "RELEASE SAVEPOINT s")
    assert rows(session.query("SELECT id FROM items")) == [("1",)]
    run(session, "ROLLBACK WORK TO s")
    assert rows(session.query("SELECT id FROM items")) == []
    run(session, "RELEASE s")
    assert errors(session.query("RELEASE s"))[0][0] == "3B001"


def test_only_in_a_block(session: Client) -> None:
    for sql, command in (
        ("SAVEPOINT s", "SAVEPOINT"),
        ("RELEASE s", "RELEASE SAVEPOINT"),
        ("ROLLBACK TO s", "ROLLBACK TO SAVEPOINT"),
    ):
        assert errors(session.query(sql)) == [("25P01", f"{command} can only be used in transaction blocks")]


def test_settings_go_back_too(session: Client) -> None:
    run(session, "BEGIN", "SET extra_float_digits = 2", "SAVEPOINT s", "SET extra_float_digits = 3", "ROLLBACK TO s")
    assert rows(session.query("SHOW extra_float_digits")) == [("2",)]
    run(session, "COMMIT")
    assert rows(session.query("SHOW extra_float_digits")) == [("2",)]


def test_what_was_undone_conflicts_with_nobody_and_counts_for_nothing(fleet: TestFleet, session: Client) -> None:
    other = Client(fleet, 1)
    run(session, "INSERT INTO items VALUES (1, 1, 'a'), (2, 1, 'b')")
    run(session, "BEGIN", "UPDATE items SET note = 'x' WHERE id = 1", "SAVEPOINT s")
    run(session, "UPDATE items SET note = 'x' WHERE id = 2", "ROLLBACK TO s")
    run(session, "INSERT INTO items SELECT n, 1, 'many' FROM generate_series(10, 3000) AS n", "ROLLBACK TO s")
    run(other, "UPDATE items SET note = 'y' WHERE id = 2")
    run(session, "INSERT INTO items SELECT n, 1, 'many' FROM generate_series(10, 3000) AS n", "ROLLBACK TO s")
    assert tags(session.query("COMMIT")) == ["COMMIT"]
    assert rows(session.query("SELECT id, note FROM items ORDER BY id")) == [("1", "x"), ("2", "y")]


def test_schema_changes_go_back_too(session: Client) -> None:
    run(session, "BEGIN", "CREATE TABLE one (a int)", "SAVEPOINT s", "CREATE TABLE two (a int)")
    run(session, "INSERT INTO two VALUES (1)", "ROLLBACK TO s", "INSERT INTO one VALUES (7)")
    assert errors(session.query("SELECT * FROM two"))[0][0] == "42P01"
    run(session, "ROLLBACK TO s", "INSERT INTO one VALUES (8)", "COMMIT")
    assert rows(session.query("SELECT a FROM one")) == [("8",)]


def test_too_many(session: Client) -> None:
    run(session, "BEGIN", *["SAVEPOINT s"] * 1000)
    assert errors(session.query("SAVEPOINT s")) == [("54000", "too many savepoints in a transaction")]
