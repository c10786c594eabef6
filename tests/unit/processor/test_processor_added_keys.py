"""ADD PRIMARY KEY, UNIQUE, FOREIGN KEY, CHECK and CREATE INDEX of tables that have rows (extensions)."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet(processors=2, extensions=True)


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    return Client(fleet)


def run(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(messages := session.query(sql)), (sql, errors(messages))


def test_a_table_with_rows_gets_a_primary_key(fleet: TestFleet, session: Client) -> None:
    run(session, "CREATE TABLE t (id int, v text, UNIQUE (v))", "CREATE INDEX t_id ON t (id)")
    run(session, "INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 500) n")
    other = Client(fleet, 1)
    run(other, "BEGIN")
    assert rows(other.query("SELECT count(*) FROM t")) == [("500",)]
    run(session, "ALTER TABLE ONLY t ADD CONSTRAINT t_pkey PRIMARY KEY (id)")
    assert rows(other.query("SELECT count(*), count(v) FROM t WHERE v <> 'v1'")) == [("499", "499")]
    run(other, "COMMIT")
    assert rows(other.query("SELECT v FROM t WHERE id = 77")) == [("v77",)]
    assert rows(other.query("SELECT id FROM t WHERE v = 'v78'")) == [("78",)]
    assert errors(other.query("INSERT INTO t VALUES (77, 'new')"))[0][0] == "23505"
    assert errors(other.query("INSERT INTO t VALUES (777, 'v3')"))[0][0] == "23505"
    assert errors(other.query("INSERT INTO t VALUES (NULL, 'new')"))[0][0] == "23502"
    run(other, "UPDATE t SET v = 'x' WHERE id = 1", "DELETE FROM t WHERE id > 2", "INSERT INTO t VALUES (3, 'v3')")
    assert rows(session.query("SELECT * FROM t ORDER BY id")) == [("1", "x"), ("2", "v2"), ("3", "v3")]
    shown = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p'"
    )
    assert rows(session.query(shown)) == [("t_pkey", "PRIMARY KEY (id) INCLUDE (v)")]
    fleet.run(120)
    assert rows(session.query("SELECT DISTINCT status FROM sys.jobs WHERE job_type = 'DROP'")) == [("completed",)]
    assert rows(session.query("SELECT count(*) FROM t")) == [("3",)]


def test_what_is_against_a_primary_key(session: Client) -> None:
    run(session, "CREATE TABLE t (id int, v text)", "INSERT INTO t VALUES (1, 'a'), (1, 'b')")
    assert errors(session.query("ALTER TABLE t ADD PRIMARY KEY (id)")) == [
        ("23505", 'could not create unique index "t_pkey"')
    ]
    run(session, "UPDATE t SET id = NULL WHERE v = 'b'")
    assert errors(session.query("ALTER TABLE t ADD PRIMARY KEY (id)")) == [
        ("23502", 'column "id" of relation "t" contains null values')
    ]
    run(session, "DELETE FROM t WHERE v = 'b'", "ALTER TABLE t ADD PRIMARY KEY (id), ADD UNIQUE (v)")
    assert errors(session.query("ALTER TABLE t ADD PRIMARY KEY (v)")) == [
        ("42P16", 'multiple primary keys for table "t" are not allowed')
    ]
    assert rows(session.query("SELECT id FROM t WHERE v = 'a'")) == [("1",)]
    run(session, "CREATE TABLE large (id int)")
    for first in (0, 2000):
        run(session, f"INSERT INTO large SELECT n FROM generate_series({first}, {first + 1999}) n")
    assert errors(session.query("ALTER TABLE large ADD PRIMARY KEY (id)"))[0][0] == "54000"
    run(
        session,
        "BEGIN",
        "TRUNCATE large",
        "ALTER TABLE large ADD PRIMARY KEY (id)",
        "INSERT INTO large VALUES (1)",
        "COMMIT",
    )
    assert rows(session.query("SELECT id FROM large WHERE id = 1")) == [("1",)]


def test_other_constraints_look_at_the_rows(session: Client) -> None:
    run(session, "CREATE TABLE p (id int PRIMARY KEY)", "INSERT INTO p VALUES (1), (2)")
    run(session, "CREATE TABLE c (id int PRIMARY KEY, p int, n int)", "INSERT INTO c VALUES (1, 1, 5), (2, 3, 5)")
    assert errors(session.query("ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p (id)"))[0][0] == "23503"
    assert errors(session.query("ALTER TABLE c ADD CONSTRAINT small CHECK (n < 5)")) == [
        ("23514", 'check constraint "small" of relation "c" is violated by some row')
    ]
    assert errors(session.query("ALTER TABLE c ADD CONSTRAINT c_n UNIQUE (n)")) == [
        ("23505", 'could not create unique index "c_n"')
    ]
    run(session, "UPDATE c SET p = NULL, n = 4 WHERE id = 2", "ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p (id)")
    run(session, "ALTER TABLE c ADD CONSTRAINT c_n UNIQUE (n), ADD CONSTRAINT small CHECK (n < 6)")
    assert errors(session.query("DELETE FROM p WHERE id = 1"))[0][0] == "23503"
    assert errors(session.query("INSERT INTO c VALUES (3, 2, 4)"))[0][0] == "23505"
    valid = (
        "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'c'::regclass AND contype <> 'p' ORDER BY 1"
    )
    assert rows(session.query(valid)) == [("c_n", "t"), ("c_p_fkey", "t"), ("small", "t")]


def test_indexes_are_made_at_once(session: Client) -> None:
    run(session, "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 5), (2, 5), (3, 6)")
    run(session, "CREATE INDEX t_v ON t USING btree (v)", "CREATE UNIQUE INDEX ON t USING btree_index (v) WHERE v > 5")
    assert rows(session.query("SELECT id FROM t WHERE v = 5 ORDER BY id")) == [("1",), ("2",)]
    assert errors(session.query("CREATE UNIQUE INDEX ON t (v)"))[0] == (
        "23505",
        'could not create unique index "t_v_idx1"',
    )
    assert errors(session.query("INSERT INTO t VALUES (4, 6)"))[0][0] == "23505"
    assert errors(session.query("CREATE INDEX ON t USING gin (v)")) == [
        ("0A000", "USING not supported for CREATE INDEX")
    ]


def test_a_temporary_table_gets_a_primary_key(session: Client) -> None:
    run(session, "CREATE TEMP TABLE t (id int, v int UNIQUE)", "INSERT INTO t VALUES (2, 1), (1, 2)", "BEGIN")
    run(session, "ALTER TABLE t ADD PRIMARY KEY (id)")
    assert errors(session.query("INSERT INTO t VALUES (1, 3)"))[0][0] == "23505"
    run(session, "ROLLBACK", "ALTER TABLE t ADD PRIMARY KEY (id)", "INSERT INTO t VALUES (3, 3)")
    assert rows(session.query("SELECT id FROM t WHERE v IN (2, 3) ORDER BY id")) == [("1",), ("3",)]
    assert rows(session.query("SELECT count(*) FROM t")) == [("3",)]


def test_without_the_switch_they_are_refused() -> None:
    plain = Client(TestFleet())
    run(plain, "CREATE TABLE t (id int)")
    for action in ("PRIMARY KEY (id)", "UNIQUE (id)", "CHECK (id > 0)"):
        assert errors(plain.query(f"ALTER TABLE t ADD {action}")) == [
            ("0A000", "unsupported ALTER TABLE ADD CONSTRAINT statement")
        ]
