"""Temporary tables (an extension): one session's own, with everything that tables can do, and gone with it."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire import client


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2, extensions=True)


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    return Client(fleet)


def run(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(messages := session.query(sql)), (sql, errors(messages))


def test_they_are_the_sessions_own_and_end_with_it(fleet: TestFleet, session: Client) -> None:
    stored = len(fleet.data.at(1 << 62))
    run(session, "CREATE TEMP TABLE t (id int PRIMARY KEY, v text UNIQUE)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    assert rows(session.query("SELECT * FROM t ORDER BY id DESC")) == [("2", "b"), ("1", "a")]
    assert rows(session.query("SELECT id FROM pg_temp.t WHERE v = 'b'")) == [("2",)]
    assert errors(session.query("INSERT INTO t VALUES (1, 'c')"))[0][0] == "23505"
    assert errors(session.query("INSERT INTO t VALUES (3, 'a')"))[0][0] == "23505"
    assert len(fleet.data.at(1 << 62)) == stored, "nothing of it is anybody else's business"
    other = Client(fleet, 0)
    assert errors(other.query("SELECT * FROM t"))[0][0] == "42P01"
    run(other, "CREATE TEMPORARY TABLE t (id int)", "INSERT INTO t VALUES (7)")
    assert rows(other.query("SELECT * FROM t")) == [("7",)]
    assert rows(session.query("SELECT count(*), sum(id) FROM t")) == [("2", "3")]


def test_they_come_before_tables_of_the_same_name(session: Client) -> None:
    run(session, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    session.send(client.parse("SELECT id FROM t", "named"), client.SYNC)
    session.ready()
    run(session, "CREATE TEMP TABLE t AS SELECT id + 10 AS id FROM t", "INSERT INTO t VALUES (12)")
    assert rows(session.query("SELECT id FROM t ORDER BY 1")) == [("11",), ("12",)]
    session.send(client.bind([], statement="named"), client.execute(), client.SYNC)
    assert sorted(rows(session.ready())) == [("11",), ("12",)]
    assert rows(session.query("SELECT id FROM public.t")) == [("1",)]
    assert rows(session.query("SELECT o.id, t.id FROM public.t AS o JOIN t ON t.id = o.id + 10")) == [("1", "11")]
    run(session, "DROP TABLE t")
    assert rows(session.query("SELECT id FROM t")) == [("1",)]
    assert errors(session.query("SELECT id FROM pg_temp.t"))[0][0] == "42P01"


def test_a_rollback_undoes_what_was_done_to_them(session: Client) -> None:
    run(session, "CREATE TEMP TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    run(session, "BEGIN", "UPDATE t SET v = v + 10", "DELETE FROM t WHERE id = 2", "CREATE TEMP TABLE u (id int)")
    run(session, "CREATE INDEX t_v ON t (v)")
    assert rows(session.query("SELECT * FROM t WHERE v = 11")) == [("1", "11")]
    run(session, "ROLLBACK")
    assert rows(session.query("SELECT * FROM t ORDER BY id")) == [("1", "1"), ("2", "2")]
    assert errors(session.query("SELECT * FROM u"))[0][0] == "42P01"
    run(session, "BEGIN", "INSERT INTO t VALUES (3, 3)", "SAVEPOINT s", "TRUNCATE t", "INSERT INTO t VALUES (9, 9)")
    assert rows(session.query("SELECT id FROM t")) == [("9",)]
    run(session, "ROLLBACK TO s", "COMMIT")
    assert rows(session.query("SELECT id FROM t ORDER BY 1")) == [("1",), ("2",), ("3",)]
    run(session, "BEGIN", "DELETE FROM t")
    assert errors(session.query("SELECT 1 / 0"))[0][0] == "22012"
    run(session, "COMMIT")
    assert rows(session.query("SELECT count(*) FROM t")) == [("3",)]


def test_a_savepoint_from_before_the_first_of_them(session: Client) -> None:
    run(session, "BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE t (id int)", "INSERT INTO t VALUES (1)", "ROLLBACK TO s")
    assert errors(session.query("SELECT * FROM t"))[0][0] == "42P01"
    run(session, "ROLLBACK", "CREATE TEMP TABLE t (id int)")
    assert rows(session.query("SELECT * FROM t")) == []


def test_a_statement_does_not_see_what_it_writes(session: Client) -> None:
    run(
        session,
        "CREATE TEMP TABLE t (id int PRIMARY KEY, v int)",
        "INSERT INTO t SELECT n, n FROM generate_series(1, 50) n",
    )
    run(session, "BEGIN", "INSERT INTO t SELECT id + 50, v FROM t", "UPDATE t SET id = id + 1", "COMMIT")
    assert rows(session.query("SELECT count(*), min(id), max(id) FROM t")) == [("100", "2", "101")]


def test_on_commit(session: Client) -> None:
    run(session, "CREATE TEMP TABLE kept (id int) ON COMMIT PRESERVE ROWS")
    run(session, "CREATE TEMP TABLE emptied (id int PRIMARY KEY, v int UNIQUE) ON COMMIT DELETE ROWS", "BEGIN")
    run(session, "CREATE TEMP TABLE dropped ON COMMIT DROP AS SELECT 1 AS id", "INSERT INTO kept VALUES (1)")
    run(session, "INSERT INTO emptied VALUES (1, 1)")
    assert rows(session.query("SELECT * FROM kept, emptied, dropped")) == [("1", "1", "1", "1")]
    run(session, "COMMIT", "INSERT INTO emptied VALUES (1, 1)")
    assert rows(session.query("SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM emptied)")) == [("1", "0")]
    assert errors(session.query("SELECT * FROM dropped"))[0][0] == "42P01"
    assert errors(session.query("CREATE TABLE t (id int) ON COMMIT DROP"))[0][0] == "0A000"


def test_more_rows_than_a_transaction_may_write(session: Client) -> None:
    run(session, "CREATE TEMP TABLE t (id int PRIMARY KEY, v int)", "CREATE INDEX ON t (v)")
    run(session, "INSERT INTO t SELECT n, n % 10 FROM generate_series(1, 5000) n")
    assert rows(session.query("SELECT count(*) FROM t WHERE v = 3")) == [("500",)]
    assert rows(session.query("SELECT id FROM t WHERE v = 3 ORDER BY id LIMIT 2")) == [("3",), ("13",)]


def test_too_much_is_53200_and_undone(session: Client) -> None:
    run(session, "CREATE TEMP TABLE t (id int, v text)", "INSERT INTO t VALUES (0, 'x')")
    for _ in range(20):
        found = errors(session.query("INSERT INTO t SELECT n, repeat('x', 1000000) FROM generate_series(1, 12) n"))
        if found:
            break
    assert found == [("53200", "temporary tables require too much space, out of memory.")]
    run(
        session,
        "DELETE FROM t WHERE id > 0",
        "INSERT INTO t SELECT n, repeat('x', 1000000) FROM generate_series(1, 12) n",
    )
    assert rows(session.query("SELECT count(*) FROM t")) == [("13",)]


def test_serial_columns_and_defaults(session: Client) -> None:
    run(session, "CREATE TEMP TABLE t (id serial PRIMARY KEY, v int DEFAULT 5, CHECK (v > 0))")
    assert rows(session.query("INSERT INTO t (v) VALUES (1), (2) RETURNING id")) == [("1",), ("2",)]
    run(session, "BEGIN", "INSERT INTO t DEFAULT VALUES", "ROLLBACK", "INSERT INTO t DEFAULT VALUES")
    assert rows(session.query("SELECT id, v FROM t ORDER BY id")) == [("1", "1"), ("2", "2"), ("4", "5")]
    assert errors(session.query("INSERT INTO t (v) VALUES (-1)"))[0][0] == "23514"
    assert rows(session.query("SELECT setval('t_id_seq', 100), nextval('pg_temp.t_id_seq')")) == [("100", "101")]
    run(session, "TRUNCATE t RESTART IDENTITY")
    assert rows(session.query("INSERT INTO t (v) VALUES (1) RETURNING id")) == [("1",)]


def test_schema_changes_of_them(session: Client) -> None:
    run(session, "CREATE TEMP TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1), (2, 1)")
    run(session, "ALTER TABLE t ADD COLUMN w text DEFAULT 'new'", "ALTER TABLE t RENAME COLUMN v TO x")
    assert rows(session.query("SELECT * FROM t ORDER BY id")) == [("1", "1", "new"), ("2", "1", "new")]
    found = session.query("CREATE UNIQUE INDEX t_x ON t (x)")
    assert errors(found) == [("23505", 'could not create unique index "t_x"')]
    run(session, "CREATE UNIQUE INDEX ASYNC t_ix ON t (id, x)", "ALTER TABLE t RENAME TO s", "DROP INDEX t_ix")
    assert errors(session.query("CREATE TEMP TABLE s (id int)"))[0][0] == "42P07"
    run(session, "CREATE TEMP TABLE IF NOT EXISTS s (id int)", "CREATE TABLE pg_temp.c (id int REFERENCES s (id))")
    assert errors(session.query("INSERT INTO c VALUES (3)"))[0][0] == "23503"
    run(session, "INSERT INTO c VALUES (2)")
    assert errors(session.query("DELETE FROM s"))[0][0] == "23503"
    run(session, "DROP TABLE s CASCADE", "COPY (SELECT 1) TO STDOUT")


@pytest.mark.parametrize(
    ("sql", "state", "message"),
    [
        ("CREATE TEMP TABLE public.x (id int)", "42P16", "cannot create temporary relation in non-temporary schema"),
        (
            "CREATE TABLE x (id int REFERENCES t (id))",
            "42P16",
            "constraints on permanent tables may reference only permanent tables",
        ),
        (
            "CREATE TEMP TABLE x (id int REFERENCES p (id))",
            "42P16",
            "constraints on temporary tables may reference only temporary tables",
        ),
        (
            "CREATE VIEW x AS SELECT * FROM t",
            "0A000",
            "views, functions and statistics of temporary tables are not supported",
        ),
        ("ALTER TABLE t SET SCHEMA public", "0A000", "cannot move objects into or out of temporary schemas"),
        ("ALTER TABLE p SET SCHEMA pg_temp", "0A000", "cannot move objects into or out of temporary schemas"),
        ("COMMENT ON TABLE t IS 'mine'", "0A000", "comments of temporary tables are not supported"),
        ("CREATE SEQUENCE pg_temp.s CACHE 1", "0A000", "only tables can be temporary"),
    ],
)
def test_what_they_cannot_be(session: Client, sql: str, state: str, message: str) -> None:
    run(session, "CREATE TABLE p (id int PRIMARY KEY)", "CREATE TEMP TABLE t (id int PRIMARY KEY)")
    assert errors(session.query(sql)) == [(state, message)]
    run(session, "INSERT INTO p VALUES (1)", "INSERT INTO t VALUES (1)")


def test_the_catalogue_shows_them_to_their_session(fleet: TestFleet, session: Client) -> None:
    assert rows(session.query("SELECT pg_my_temp_schema()::int8")) == [("0",)]
    run(session, "CREATE TEMP TABLE t (id serial PRIMARY KEY)", "CREATE TABLE p (id int PRIMARY KEY)")
    shown = "SELECT relname, relkind, nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
    shown += " WHERE relpersistence = 't' ORDER BY 1"
    assert rows(session.query(shown)) == [
        ("t", "r", "pg_temp"),
        ("t_id_seq", "S", "pg_temp"),
        ("t_pkey", "i", "pg_temp"),
    ]
    assert rows(Client(fleet, 0).query(shown)) == []
    assert rows(session.query("SELECT pg_table_is_visible('t'::regclass), 't'::regclass")) == [("t", "t")]
    assert rows(session.query("SELECT current_schema(), current_schemas(true)")) == [
        ("public", "{pg_temp,pg_catalog,public}")
    ]
    kinds = "SELECT table_schema, table_type FROM information_schema.tables WHERE table_name IN ('t', 'p') ORDER BY 1"
    assert rows(session.query(kinds)) == [("pg_temp", "LOCAL TEMPORARY"), ("public", "BASE TABLE")]
    run(session, "ANALYZE t", "SET search_path = pg_temp, public", "CREATE TABLE u (id int)")
    assert rows(
        session.query("SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relname = 'u'")
    ) == [("pg_temp",)]


def test_without_the_switch_they_are_refused() -> None:
    plain = Client(TestFleet())
    assert errors(plain.query("CREATE TEMP TABLE t (id int)")) == [
        ("0A000", "TEMPORARY or TEMP table not supported for CREATE TABLE")
    ]
    assert errors(plain.query("CREATE TEMP TABLE t AS SELECT 1"))[0][0] == "0A000"
    assert errors(plain.query("CREATE TABLE pg_temp.t (id int)"))[0][0] == "3F000"


def test_discard() -> None:
    session = Client(TestFleet(extensions=True, lenient=True))
    run(session, "CREATE TEMP TABLE t (id int)", "INSERT INTO t VALUES (1)", "BEGIN", "DISCARD TEMP", "ROLLBACK")
    assert rows(session.query("SELECT * FROM t")) == [("1",)]
    assert tags(session.query("DISCARD ALL")) == ["DISCARD ALL"]
    assert errors(session.query("SELECT * FROM t"))[0][0] == "42P01"
