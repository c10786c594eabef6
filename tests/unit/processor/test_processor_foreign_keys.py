"""Foreign keys in transactions: deferred checks and SET CONSTRAINTS, conflicts over parents, what cascades count."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, notices, rows, status, tags
from processor_fleet import TestFleet


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2)


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    session = Client(fleet)
    for sql in (
        "CREATE TABLE p (id int PRIMARY KEY, u int UNIQUE, v int)",
        "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE DEFERRABLE)",
        "CREATE TABLE d (id int PRIMARY KEY, p int CONSTRAINT dfk REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO p VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
    ):
        assert not errors(session.query(sql))
    return session


MISSING = ("23503", 'insert or update on table "d" violates foreign key constraint "dfk"')


def test_what_is_deferred_is_checked_by_the_commit(session: Client) -> None:
    session.query("BEGIN; INSERT INTO d VALUES (1, 9)")
    answer = session.query("COMMIT")
    assert (errors(answer), status(answer)) == ([MISSING], "I")
    assert rows(session.query("SELECT count(*) FROM d")) == [("0",)]
    answer = session.query("BEGIN; INSERT INTO d VALUES (1, 9); INSERT INTO p VALUES (9); COMMIT")
    assert tags(answer) == ["BEGIN", "INSERT 0 1", "INSERT 0 1", "COMMIT"]
    assert errors(session.query("INSERT INTO d VALUES (2, 99)")) == [MISSING]


def test_set_constraints(session: Client) -> None:
    answer = session.query("BEGIN; SET CONSTRAINTS dfk IMMEDIATE; INSERT INTO d VALUES (1, 9)")
    assert (errors(answer), status(answer)) == ([MISSING], "E")
    session.query("ROLLBACK")
    answer = session.query("BEGIN; SET CONSTRAINTS c_p_fkey DEFERRED; INSERT INTO c VALUES (1, 9)")
    assert tags(answer) == ["BEGIN", "SET CONSTRAINTS", "INSERT 0 1"]
    assert errors(session.query("SET CONSTRAINTS ALL IMMEDIATE"))[0][0] == "23503"
    assert errors(session.query("SELECT 1"))[0][0] == "25P02"
    session.query("ROLLBACK")
    session.query("BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO c VALUES (1, 9); DELETE FROM c")
    assert tags(session.query("COMMIT")) == ["COMMIT"]
    assert errors(session.query("BEGIN; SET CONSTRAINTS nope DEFERRED")) == [
        ("42704", 'constraint "nope" does not exist')
    ]
    session.query("ROLLBACK")
    assert errors(session.query("BEGIN; SET CONSTRAINTS p_u_key DEFERRED")) == [
        ("42809", 'constraint "p_u_key" is not deferrable')
    ]
    session.query("ROLLBACK")
    assert notices(session.query("SET CONSTRAINTS ALL DEFERRED")) == [("WARNING", "25P01")]


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ("INSERT INTO c VALUES (1, 1)", "DELETE FROM p WHERE id = 1", True),
        ("DELETE FROM p WHERE id = 1", "INSERT INTO c VALUES (1, 1)", True),
        ("INSERT INTO c VALUES (1, 1)", "UPDATE p SET u = 11 WHERE id = 1", True),
        ("INSERT INTO c VALUES (1, 1)", "UPDATE p SET v = 11 WHERE id = 1", False),
        ("INSERT INTO c VALUES (1, 1)", "INSERT INTO c VALUES (2, 1)", False),
        ("INSERT INTO c VALUES (1, 1)", "DELETE FROM p WHERE id = 2", False),
    ],
)
def test_a_child_shares_its_parents_key(
    fleet: TestFleet, session: Client, first: str, second: str, conflict: bool
) -> None:
    other = Client(fleet, 1)
    for client in (session, other):
        client.query("BEGIN; SELECT * FROM p")
    assert not errors(session.query(first))
    assert not errors(other.query(second))
    assert tags(session.query("COMMIT")) == ["COMMIT"]
    assert [state for state, _ in errors(other.query("COMMIT"))] == (["40001"] if conflict else [])


def test_cascades_count_among_the_3000_rows(session: Client) -> None:
    session.query("INSERT INTO c SELECT g, 1 FROM generate_series(1, 3000) g")
    assert errors(session.query("DELETE FROM p WHERE id = 1")) == [("54000", "transaction row limit exceeded")]
    session.query("DELETE FROM c WHERE id = 3000")
    assert tags(session.query("DELETE FROM p WHERE id = 1")) == ["DELETE 1"]
    assert rows(session.query("SELECT count(*) FROM c")) == [("0",)]


def test_a_cascade_is_seen_by_what_follows_in_the_transaction(session: Client) -> None:
    session.query("INSERT INTO c VALUES (1, 1), (2, 2)")
    session.query("BEGIN; DELETE FROM p WHERE id = 1")
    assert rows(session.query("SELECT id FROM c")) == [("2",)]
    assert errors(session.query("INSERT INTO c VALUES (3, 1)"))[0][0] == "23503"
    session.query("ROLLBACK")
    assert rows(session.query("SELECT count(*) FROM c")) == [("2",)]


def test_a_constraint_made_meanwhile_is_not_overlooked(fleet: TestFleet, session: Client) -> None:
    other = Client(fleet, 1)
    session.query("CREATE TABLE late (id int PRIMARY KEY, p int)")
    other.query("BEGIN; INSERT INTO late VALUES (1, 77)")
    session.query("ALTER TABLE late ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES p NOT VALID")
    assert [state for state, _ in errors(other.query("COMMIT"))] == ["40001"]
    assert errors(other.query("INSERT INTO late VALUES (1, 77)"))[0][0] == "23503"
