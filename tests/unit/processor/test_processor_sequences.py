"""Sequences and identity columns: values that no rollback gives back, and the statements that make and change them."""

from __future__ import annotations

from typing import Any

import pytest
from processor_client import Client, errors, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire.client import NoticeResponse
from tausql.processor.sequences import SequenceStore


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2)


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    return Client(fleet)


def one(session: Client, sql: str) -> str | None:
    answer = session.query(sql)
    assert not errors(answer), errors(answer)
    ((value,),) = rows(answer)
    return value


def told(messages: list[object]) -> list[str]:
    return [m.fields["M"] for m in messages if isinstance(m, NoticeResponse)]


def test_values_come_in_order_and_are_not_given_back(session: Client) -> None:
    assert tags(session.query("CREATE SEQUENCE q CACHE 1")) == ["CREATE SEQUENCE"]
    assert one(session, "SELECT nextval('q')") == "1"
    session.query("BEGIN")
    assert one(session, "SELECT nextval('q')") == "2"
    session.query("ROLLBACK")
    assert one(session, "SELECT nextval('q')") == "3"
    assert one(session, "SELECT currval('q')") == "3"


def test_rows_of_one_statement_take_no_more_than_they_need(session: Client) -> None:
    session.query("CREATE SEQUENCE q CACHE 1 INCREMENT 2")
    answer = session.query("SELECT nextval('q'), g FROM generate_series(1, 2500) AS g")
    found = rows(answer)
    assert len(found) == 2500
    assert [int(value or 0) for value, _ in found] == list(range(1, 5000, 2))
    assert one(session, "SELECT nextval('q')") == "5001"


@pytest.mark.parametrize("again", [False, True])
def test_values_go_back_only_to_what_they_were_taken_of(
    fleet: TestFleet, session: Client, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """A setval to the value that the statement had come to, or values taken up to it again, are not undone."""
    session.query("CREATE SEQUENCE q CACHE 1")
    original = SequenceStore.give_back
    came_to: list[int] = []

    async def give_back(self: SequenceStore, oid: int, first: int, last: int, *more: Any) -> None:
        came_to.append(last)
        if again:
            await self.set(oid, 1, False)
            while (await self.take(oid, 1)).first < last:
                pass
        else:
            await self.set(oid, last, True)
        await original(self, oid, first, last, *more)

    monkeypatch.setattr(SequenceStore, "give_back", give_back)
    assert len(rows(session.query("SELECT nextval('q') FROM generate_series(1, 5)"))) == 5
    (last,) = came_to
    assert last > 5
    assert one(Client(fleet), "SELECT nextval('q')") == str(last + 1)


def test_setval_and_its_limits(session: Client) -> None:
    session.query("CREATE SEQUENCE q CACHE 1 MAXVALUE 10")
    assert one(session, "SELECT setval('q', 7)") == "7"
    assert one(session, "SELECT nextval('q')") == "8"
    assert one(session, "SELECT setval('q', 10, false)") == "10"
    assert one(session, "SELECT nextval('q')") == "10"
    assert errors(session.query("SELECT nextval('q')")) == [
        ("2200H", 'nextval: reached maximum value of sequence "q" (10)')
    ]
    assert errors(session.query("SELECT setval('q', 11)")) == [
        ("22003", 'setval: value 11 is out of bounds for sequence "q" (1..10)')
    ]


def test_lastval_is_of_this_transaction(session: Client) -> None:
    session.query("CREATE SEQUENCE q CACHE 65536")
    assert errors(session.query("SELECT lastval()")) == [("55000", "lastval is not yet defined in this session")]
    session.query("BEGIN")
    session.query("SELECT nextval('q')")
    assert one(session, "SELECT lastval()") == "1"
    session.query("COMMIT")
    assert errors(session.query("SELECT lastval()")) == [("55000", "lastval is not yet defined in this session")]


def test_a_session_takes_a_block_where_cache_is_large(fleet: TestFleet) -> None:
    first, second = Client(fleet), Client(fleet)
    first.query("CREATE SEQUENCE q CACHE 65536")
    assert one(first, "SELECT nextval('q')") == "1"
    assert one(second, "SELECT nextval('q')") == "65537"
    assert one(first, "SELECT nextval('q')") == "2"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (
            "CREATE SEQUENCE q",
            (
                "0A000",
                "CREATE SEQUENCE is not supported without an explicit cache size. please define CACHE greater than or "
                "equal to 65536 or equal to 1",
            ),
        ),
        ("CREATE SEQUENCE q CACHE 0", ("22023", "CACHE (0) must be greater than zero")),
        ("CREATE SEQUENCE q CACHE 1 INCREMENT 0", ("22023", "INCREMENT must not be zero")),
        (
            "CREATE SEQUENCE q CACHE 1 MINVALUE 5 MAXVALUE 4",
            ("22023", "MINVALUE (5) must be less than MAXVALUE (4)"),
        ),
        ("CREATE SEQUENCE q CACHE 1 AS text", ("22023", "sequence type must be bigint")),
        ("CREATE SEQUENCE q CACHE 1 CYCLE CYCLE", ("42601", "conflicting or redundant options")),
        ("CREATE SEQUENCE q CACHE 1 OWNED BY no.x", ("42P01", 'relation "no" does not exist')),
        ("CREATE SEQUENCE s1.q CACHE 1", ("3F000", 'schema "s1" does not exist')),
        ("SELECT nextval('no')", ("42P01", 'relation "no" does not exist')),
        ("DROP SEQUENCE no", ("42P01", 'sequence "no" does not exist')),
        ("ALTER SEQUENCE no RESTART", ("42P01", 'relation "no" does not exist')),
    ],
)
def test_refusals(session: Client, sql: str, error: tuple[str, str]) -> None:
    assert errors(session.query(sql)) == [error]


def test_alter_restart_rename_and_drop(session: Client) -> None:
    session.query("CREATE SEQUENCE q CACHE 1")
    session.query("SELECT nextval('q')")
    assert tags(session.query("ALTER SEQUENCE q RESTART WITH 50 INCREMENT BY 5")) == ["ALTER SEQUENCE"]
    assert one(session, "SELECT nextval('q')") == "50"
    assert one(session, "SELECT nextval('q')") == "55"
    session.query("ALTER SEQUENCE q RENAME TO r")
    assert one(session, "SELECT nextval('r')") == "60"
    assert errors(session.query("SELECT nextval('q')")) == [("42P01", 'relation "q" does not exist')]
    assert tags(session.query("DROP SEQUENCE r")) == ["DROP SEQUENCE"]
    assert errors(session.query("SELECT nextval('r')")) == [("42P01", 'relation "r" does not exist')]
    assert told(session.query("DROP SEQUENCE IF EXISTS r"))[0] == 'sequence "r" does not exist, skipping'


def test_defaults_take_values_and_hold_the_sequence(session: Client) -> None:
    session.query("CREATE SEQUENCE q CACHE 1")
    assert not errors(session.query("CREATE TABLE t (id bigint DEFAULT nextval('q') PRIMARY KEY, v text)"))
    assert not errors(session.query("INSERT INTO t (v) VALUES ('a'), ('b'), ('c')"))
    assert rows(session.query("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 5) RETURNING id")) == [
        (str(at),) for at in range(4, 9)
    ]
    assert one(session, "SELECT nextval('q')") == "9"
    refused = session.query("DROP SEQUENCE q")
    assert errors(refused) == [("2BP01", "cannot drop sequence q because other objects depend on it")]
    assert (
        told(session.query("DROP SEQUENCE q CASCADE"))[0] == "drop cascades to default value for column id of table t"
    )


def test_a_default_follows_its_sequence(session: Client) -> None:
    for sql in (
        "CREATE SCHEMA s",
        "CREATE SEQUENCE s.q CACHE 1",
        "CREATE TABLE t (id bigint DEFAULT nextval('s.q') PRIMARY KEY, v text)",
        "ALTER SEQUENCE s.q RENAME TO r",
        "ALTER SCHEMA s RENAME TO s2",
        "INSERT INTO t (v) VALUES ('x')",
    ):
        assert not errors(session.query(sql)), sql
    assert rows(session.query("SELECT id FROM t")) == [("1",)]


def test_identity_columns(session: Client) -> None:
    assert not errors(
        session.query("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY, v text)")
    )
    assert rows(session.query("INSERT INTO t (v) VALUES ('a'), ('b') RETURNING id")) == [("1",), ("2",)]
    assert rows(session.query("INSERT INTO t VALUES (DEFAULT, 'c') RETURNING id")) == [("3",)]
    always = 'cannot insert a non-DEFAULT value into column "id"'
    assert errors(session.query("INSERT INTO t VALUES (9, 'x')")) == [("428C9", always)]
    assert errors(session.query("INSERT INTO t SELECT 9, 'x'")) == [("428C9", always)]
    system = session.query("INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (9, 'x') RETURNING id")
    assert rows(system) == [("9",)]
    assert rows(session.query("INSERT INTO t OVERRIDING USER VALUE VALUES (90, 'x') RETURNING id")) == [("4",)]
    assert errors(session.query("UPDATE t SET id = 5")) == [("428C9", 'column "id" can only be updated to DEFAULT')]
    assert errors(session.query("DROP SEQUENCE t_id_seq")) == [
        ("2BP01", "cannot drop sequence t_id_seq because column id of table t requires it")
    ]
    session.query("DROP TABLE t")
    assert errors(session.query("SELECT nextval('t_id_seq')"))[0][0] == "42P01"


def test_a_schema_change_after_planning_does_not_hide_the_sequence(session: Client) -> None:
    session.query("CREATE SEQUENCE later CACHE 65536")
    assert one(session, "SELECT nextval('later')") == "1"
    session.processor.tenants.first.catalogue.changed(1 << 62)  # told of one that storage does not show yet
    assert one(session, "SELECT nextval('later')") == "2"


def test_a_sequence_of_this_transaction_is_there_for_it() -> None:
    session = Client(TestFleet(extensions=True))
    session.query("BEGIN")
    made = session.query("CREATE TABLE own (i bigint GENERATED BY DEFAULT AS IDENTITY (CACHE 1), x text)")
    assert not errors(made), errors(made)
    assert rows(session.query("INSERT INTO own (x) VALUES ('a'), ('b') RETURNING i")) == [("1",), ("2",)]
    assert rows(session.query("INSERT INTO own (x) VALUES ('c') RETURNING i")) == [("3",)]
    assert tags(session.query("COMMIT")) == ["COMMIT"]
    assert rows(session.query("INSERT INTO own (x) VALUES ('d') RETURNING i")) == [("4",)]
