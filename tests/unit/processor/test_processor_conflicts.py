"""Which two transactions that touch the same row are in conflict: the matrix, every pair in both orders.

Whoever commits second loses. What a column's change counts as depends on its indexes: a member of a unique index that
is neither partial nor on an expression is a key column, as is one of the primary key.
"""

from __future__ import annotations

import itertools

import pytest
from processor_client import Client, do, errors, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire.client import query
from tausql.protocol.adjudicator import Reason

SETUP = (
    "CREATE TABLE parent (id int PRIMARY KEY, code int UNIQUE, part int, lower_of text, note text)",
    "CREATE UNIQUE INDEX ASYNC parent_part ON parent (part) WHERE part > 0",
    "CREATE UNIQUE INDEX ASYNC parent_lower ON parent (lower(lower_of))",
    "CREATE INDEX ASYNC parent_note ON parent (note)",
    "CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent (id))",
)
ROW = "INSERT INTO parent VALUES (1, 1, 1, 'A', 'a')"

# Statement -> how it touches the row: as a whole ("key"), but for its key ("row"), or just its being there ("share").
TOUCHES = {
    "DELETE FROM parent WHERE id = 1": "key",
    "UPDATE parent SET id = {n} WHERE id = 1": "key",
    "UPDATE parent SET code = {n} WHERE id = 1": "key",
    "SELECT * FROM parent WHERE id = 1 FOR UPDATE": "key",
    "SELECT * FROM parent WHERE note = 'a' FOR UPDATE": "key",
    "UPDATE parent SET note = 'n{n}' WHERE id = 1": "row",
    "UPDATE parent SET part = {n} WHERE id = 1": "row",
    "UPDATE parent SET lower_of = 'L{n}' WHERE id = 1": "row",
    "UPDATE parent SET code = code, note = 'n{n}' WHERE id = 1": "row",
    "SELECT * FROM parent WHERE id = 1 FOR KEY SHARE": "share",
    "INSERT INTO child VALUES ({n}, 1)": "share",
}
HARMLESS = {frozenset(("row", "share")), frozenset(("share",))}


@pytest.fixture(scope="module")
def fleet() -> TestFleet:
    fleet = TestFleet(processors=2)
    session = Client(fleet)
    for sql in SETUP:
        answer = session.query(sql)
        assert not errors(answer), (sql, errors(answer))
        for (job,) in rows(answer):
            assert rows(session.query(f"CALL sys.wait_for_job('{job}')")) == [("t",)]
    return fleet


def begin(session: Client, sql: str) -> None:
    for statement in ("BEGIN", sql):
        answer = session.query(statement)
        assert not errors(answer), (statement, errors(answer))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(TOUCHES, TOUCHES)))
def test_the_matrix(fleet: TestFleet, first: str, second: str) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    for sql in ("DELETE FROM child", "DELETE FROM parent", ROW):
        assert not errors(one.query(sql)), sql
    begin(one, first.format(n=11))
    begin(other, second.format(n=12))
    assert tags(one.query("COMMIT")) == ["COMMIT"]
    answer = other.query("COMMIT")
    if frozenset((TOUCHES[first], TOUCHES[second])) in HARMLESS:
        assert tags(answer) == ["COMMIT"], errors(answer)
    else:
        assert errors(answer) == [("40001", "change conflicts with another transaction (OC000)")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("INSERT INTO parent VALUES (5, 50)", "INSERT INTO parent VALUES (5, 51)"),
        ("INSERT INTO parent VALUES (5, 50)", "INSERT INTO parent VALUES (6, 50)"),
        ("INSERT INTO parent VALUES (5, 50, 7)", "INSERT INTO parent VALUES (6, 51, 7)"),
        ("INSERT INTO parent VALUES (5, 50, NULL, 'X')", "INSERT INTO parent VALUES (6, 51, NULL, 'x')"),
        ("UPDATE parent SET code = 9 WHERE id = 1", "INSERT INTO parent VALUES (6, 9)"),
    ],
)
def test_two_that_take_the_same_value_of_a_unique_index(fleet: TestFleet, first: str, second: str) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    for sql in ("DELETE FROM child", "DELETE FROM parent", ROW):
        assert not errors(one.query(sql)), sql
    begin(one, first)
    begin(other, second)
    assert tags(other.query("COMMIT")) == ["COMMIT"]
    assert errors(one.query("COMMIT"))[0][1] == "change conflicts with another transaction (OC000)"


def test_readers_and_transactions_that_wrote_nothing_never_conflict(fleet: TestFleet) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    begin(one, "SELECT * FROM parent")
    begin(other, "UPDATE parent SET note = 'x' WHERE id = -1")
    assert not errors(Client(fleet).query("DELETE FROM child"))
    assert not errors(Client(fleet).query("DELETE FROM parent"))
    assert tags(one.query("COMMIT")) == ["COMMIT"]
    assert tags(other.query("COMMIT")) == ["COMMIT"]


def test_write_skew_is_permitted_unless_the_rows_read_are_locked(fleet: TestFleet) -> None:
    for lock, refused in (("", False), (" FOR UPDATE", True)):
        one, other = Client(fleet, 0), Client(fleet, 1)
        for sql in ("DELETE FROM parent", "INSERT INTO parent VALUES (1, 1), (2, 2)"):
            assert not errors(one.query(sql)), sql
        begin(one, f"SELECT * FROM parent{lock}")
        begin(other, f"SELECT * FROM parent{lock}")
        assert not errors(one.query("UPDATE parent SET note = 'x' WHERE id = 1"))
        assert not errors(other.query("UPDATE parent SET note = 'x' WHERE id = 2"))
        assert tags(one.query("COMMIT")) == ["COMMIT"]
        assert bool(errors(other.query("COMMIT"))) == refused


def test_ddl_on_other_tables_leaves_an_open_transaction_alone(fleet: TestFleet) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    assert not errors(other.query("DELETE FROM parent"))
    begin(one, "INSERT INTO parent VALUES (31, 31)")
    assert not errors(other.query("CREATE TABLE elsewhere (a int)"))
    assert not errors(one.query("UPDATE parent SET note = 'x' WHERE id = 31"))
    assert rows(one.query("SELECT note FROM parent")) == [("x",)]
    assert not errors(other.query("DROP TABLE elsewhere"))
    assert tags(one.query("COMMIT")) == ["COMMIT"]


@pytest.mark.parametrize("then", ["SELECT * FROM changing", "COMMIT"])
def test_ddl_on_a_table_it_uses_is_oc001(fleet: TestFleet, then: str) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    assert not errors(other.query("CREATE TABLE changing (id int PRIMARY KEY, a int)"))
    begin(one, "INSERT INTO changing VALUES (1, 1)")
    answer = other.query("CREATE INDEX ASYNC ON changing (a)")
    assert not errors(answer)
    if then != "COMMIT":
        one.query(then)  # at its snapshot the old schema still holds: it may go on reading
    assert errors(one.query("COMMIT")) == [("40001", "schema has been updated by another transaction (OC001)")]
    assert not errors(one.query("INSERT INTO changing VALUES (1, 1)"))
    assert not errors(other.query("DROP TABLE changing"))


def test_of_two_schema_changes_at_a_time_one_is_oc001(fleet: TestFleet) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    begin(one, "CREATE TABLE first (a int)")
    begin(other, "CREATE TABLE second (a int)")
    assert tags(other.query("COMMIT")) == ["COMMIT"]
    assert errors(one.query("COMMIT")) == [("40001", "schema has been updated by another transaction (OC001)")]
    assert not errors(other.query("DROP TABLE second"))


@pytest.mark.parametrize("ask", ["simple", "extended"])
def test_a_statement_alone_is_run_again_where_the_schema_has_changed_meanwhile(fleet: TestFleet, ask: str) -> None:
    one, other = Client(fleet, 0), Client(fleet, 1)
    run = one.query if ask == "simple" else one.execute
    assert not errors(other.query("CREATE TABLE busy (id int PRIMARY KEY)"))
    for sql, tag in (("CREATE TABLE alone (a int)", "CREATE TABLE"), ("INSERT INTO busy VALUES (7)", "INSERT 0 1")):
        raced: list[str] = []

        def race(raced: list[str] = raced) -> None:
            """A schema change commits between the first try's snapshot and its commit."""
            if not raced:
                raced.append("now")
                assert not errors(other.query("CREATE INDEX ASYNC ON busy (id)"))

        commits = fleet.processors[0]._commits
        original = commits._request
        commits._request = lambda *wanted, race=race, original=original: (race(), original(*wanted))[1]  # type: ignore[method-assign]
        try:
            answer = run(sql)
        finally:
            commits._request = original  # type: ignore[method-assign]
        assert raced
        assert tags(answer) == [tag], errors(answer)
    assert rows(one.query("SELECT id FROM busy")) == [("7",)]
    for table in ("alone", "busy"):
        assert not errors(other.query(f"DROP TABLE {table}"))


def moved_under(client: Client, sql: str) -> tuple[list[tuple[str, str]], int]:
    """Run `sql` while who judges it changes: errors, and commits that were sent."""
    (adjudicator,) = client.fleet.adjudicators[:1]
    before = len(adjudicator.requests)
    adjudicator.mood = Reason.floor
    client.send(query(sql))
    client.fleet.until(lambda: len(adjudicator.requests) > before, 10.0)
    adjudicator.mood = "judge"
    return errors(client.ready()), len(adjudicator.requests) - before


def test_a_statement_alone_is_run_again_where_others_judge_it_meanwhile() -> None:
    client = Client(TestFleet())
    do(client, "CREATE TABLE moving (id int PRIMARY KEY, v int)")
    assert moved_under(client, "INSERT INTO moving VALUES (1, 1)") == ([], 2)
    assert moved_under(client, "CREATE TABLE beside (id int PRIMARY KEY)") == ([], 2)
    assert rows(client.query("SELECT id, v FROM moving")) == [("1", "1")]
    ((code, message),), sent = moved_under(client, "INSERT INTO moving VALUES (2, 2) RETURNING id")
    assert (code, sent) == ("40001", 1), "its row has been told already"
    assert "cannot judge snapshots" in message
