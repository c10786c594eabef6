"""Schema changes and index builds while everybody goes on working."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet

from .sessions import Session, session, sessions_by_processor, sqlstate
from .waiting import until

pytestmark = pytest.mark.fleet

ROWS = 2_500


class Changes:
    """Sessions that insert, update and delete rows of a table until `stop` is called; conflicts are retried."""

    def __init__(self, fleet: Fleet, table: str, clients: int = 2) -> None:
        self._fleet = fleet
        self._table = table
        self._stop = threading.Event()
        self.done = 0
        self.errors: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._client, args=(number,), daemon=True) for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive()

    def _client(self, number: int) -> None:
        chance = random.Random(number)
        with session(self._fleet) as connection:
            while not self._stop.is_set():
                key, value = chance.randrange(ROWS + 500), chance.randrange(50)
                statement: str = chance.choice(
                    (
                        "INSERT INTO {} VALUES (%(key)s, %(value)s, 'new') ON CONFLICT (id) DO NOTHING",
                        "UPDATE {} SET color = %(value)s WHERE id = %(key)s",
                        "UPDATE {} SET note = note || '.' WHERE id = %(key)s",
                        "DELETE FROM {} WHERE id = %(key)s",
                    )
                )
                try:
                    connection.execute(statement.format(self._table), {"key": key, "value": value})
                    self.done += 1
                except psycopg.Error as error:
                    self.errors[sqlstate(error)] += 1


def _filled(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, color int, note text)")
    connection.execute(f"INSERT INTO {table} SELECT g, g % 50, '' FROM generate_series(1, {ROWS}) g")


def _wait_for(connection: Session, job: str) -> tuple[str, str]:
    """(status, details) of a job that has ended."""
    connection.execute(f"CALL sys.wait_for_job('{job}')")
    row = connection.execute("SELECT status, details FROM sys.jobs WHERE job_id = %s", (job,)).fetchone()
    assert row is not None
    return row


def _job(connection: Session, statement: str) -> str:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return str(row[0])


def _valid(connection: Session, index: str) -> bool | None:
    row = connection.execute(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = %s", (index,)
    ).fetchone()
    return None if row is None else bool(row[0])


def _explained(connection: Session, query: str) -> str:
    return "\n".join(str(row[0]) for row in connection.execute(f"EXPLAIN {query}"))


def test_index_built_under_traffic_equals_its_table(fleet: Fleet, connection: Session, table: str) -> None:
    _filled(connection, table)
    changes = Changes(fleet, table)
    try:
        until(lambda: changes.done > 20, "changes")
        before = changes.done
        job = _job(connection, f"CREATE INDEX ASYNC ON {table} (color)")
        assert _wait_for(connection, job) == ("completed", "")
        after = changes.done
        until(lambda: changes.done > after + 20, "changes after the index")
    finally:
        changes.stop()
    print(f"{after - before} changes while it was built, errors {dict(changes.errors)}")
    assert set(changes.errors) <= {"40001"}, changes.errors
    index = f"{table}_color_idx"
    assert index in _explained(connection, f"SELECT id, note FROM {table} WHERE color = 7")
    everything = connection.execute(f"SELECT id, color, note FROM {table}").fetchall()
    for color in range(50):
        found = connection.execute(f"SELECT id, color, note FROM {table} WHERE color = %s", (color,)).fetchall()
        assert sorted(found) == sorted(row for row in everything if row[1] == color), color
    ordered = connection.execute(f"SELECT id FROM {table} WHERE color > 40 ORDER BY color, id").fetchall()
    assert ordered == [(row[0],) for row in sorted(everything, key=lambda row: (row[1], row[0])) if row[1] > 40]


def test_unique_index_over_duplicates_fails_and_can_be_dropped(connection: Session, table: str) -> None:
    _filled(connection, table)
    index = f"{table}_unique"
    job = _job(connection, f"CREATE UNIQUE INDEX ASYNC {index} ON {table} (color)")
    status, details = _wait_for(connection, job)
    assert status == "failed"
    assert "duplicate key" in details
    assert _valid(connection, index) is False
    assert index not in _explained(connection, f"SELECT id FROM {table} WHERE color = 7")
    assert connection.execute(f"SELECT count(*) FROM {table} WHERE color = 7").fetchone() == (ROWS // 50,)
    connection.execute(f"DROP INDEX {index}")
    assert _valid(connection, index) is None
    connection.execute(f"UPDATE {table} SET color = 1 WHERE id < 10")
    assert connection.execute(f"SELECT count(*) FROM {table} WHERE id < 10 AND color = 1").fetchone() == (9,)


def test_unique_index_is_enforced_and_serves_lookups(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, email text, note text)")
    connection.execute(f"INSERT INTO {table} SELECT g, 'user' || g, '' FROM generate_series(1, 1500) g")
    connection.execute(f"INSERT INTO {table} VALUES (9001, NULL), (9002, NULL)")
    job = _job(connection, f"CREATE UNIQUE INDEX ASYNC {table}_email ON {table} (email)")
    assert _wait_for(connection, job) == ("completed", "")
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        connection.execute(f"INSERT INTO {table} VALUES (2001, 'user7')")
    assert caught.value.diag.constraint_name == f"{table}_email"
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(f"UPDATE {table} SET email = 'user7' WHERE id = 8")
    assert connection.execute(f"SELECT id FROM {table} WHERE email = 'user7'").fetchall() == [(7,)]
    connection.execute(f"UPDATE {table} SET email = 'moved' WHERE id = 7")
    connection.execute(f"INSERT INTO {table} VALUES (2001, 'user7')")
    assert connection.execute(f"SELECT id FROM {table} WHERE email = 'user7'").fetchall() == [(2001,)]


def test_dropped_table_is_gone_and_its_name_free(connection: Session, table: str) -> None:
    _filled(connection, table)
    (oid,) = connection.execute(f"SELECT '{table}'::regclass::oid").fetchone() or (0,)
    connection.execute(f"DROP TABLE {table}")
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute(f"SELECT * FROM {table}")
    connection.execute(f"CREATE TABLE {table} (id text PRIMARY KEY)")
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == []
    removal = until(
        lambda: connection.execute(
            "SELECT job_id FROM sys.jobs WHERE job_type = 'DROP' AND object_id = %s AND object_name IS NULL", (oid,)
        ).fetchone(),
        "the removal's job",
    )
    assert removal is not None
    assert _wait_for(connection, removal[0])[0] == "completed"


def _changed(connection: Session, statement: str) -> bool:
    """Whether a schema change was committed; another of the same moment (a build that ends) makes it fail."""
    try:
        connection.execute(statement)
        connection.commit()
    except psycopg.errors.SerializationFailure:
        connection.rollback()
        return False
    return True


def test_one_of_two_concurrent_schema_changes_fails(fleet: Fleet, connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, a int, b int)")
    with sessions_by_processor(fleet, ("zone-a", "zone-b"), autocommit=False) as (first, second):
        first.execute(f"CREATE INDEX ASYNC ON {table} (a)")
        second.execute(f"CREATE INDEX ASYNC ON {table} (b)")
        first.commit()
        with pytest.raises(psycopg.errors.SerializationFailure, match="OC00"):
            second.commit()
        until(lambda: _changed(second, f"CREATE INDEX ASYNC ON {table} (b)"), "the other index")
    indexes = [f"{table}_{column}_idx" for column in "ab"]
    until(lambda: all(_valid(connection, index) for index in indexes), "both indexes")


def test_schema_change_and_data_do_not_mix(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    for first, second, text in (
        (f"INSERT INTO {table} VALUES (1)", f"CREATE INDEX ASYNC ON {table} (id)", "ddl and dml are not supported"),
        ("CREATE TABLE other_a (id int)", "CREATE TABLE other_b (id int)", "multiple ddl statements not supported"),
    ):
        connection.execute("BEGIN")
        connection.execute(first)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match=text):
            connection.execute(second)
        connection.execute("ROLLBACK")


def test_old_plans_of_other_sessions_never_give_wrong_rows(fleet: Fleet, connection: Session, table: str) -> None:
    """A prepared statement meets a table that was dropped and made again, and an index that came and went."""
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, a int)")
    connection.execute(f"INSERT INTO {table} SELECT g, g % 10 FROM generate_series(1, 100) g")
    query = f"SELECT id FROM {table} WHERE a = %s ORDER BY id"
    expected = [(number,) for number in range(3, 101, 10)]
    with sessions_by_processor(fleet, ("zone-a", "zone-b")) as others:

        def asked() -> list[Any]:
            return [_retried(other, query, 3) for other in others]

        assert asked() == [expected] * 2
        job = _job(connection, f"CREATE INDEX ASYNC by_a ON {table} (a)")
        assert asked() == [expected] * 2
        assert _wait_for(connection, job)[0] == "completed"
        assert asked() == [expected] * 2
        connection.execute("DROP INDEX by_a")
        assert asked() == [expected] * 2
        connection.execute(f"DROP TABLE {table}")
        assert asked() == ["42P01"] * 2
        connection.execute(f"CREATE TABLE {table} (a int PRIMARY KEY, id int)")
        connection.execute(f"INSERT INTO {table} VALUES (3, 33)")
        assert asked() == [[(33,)]] * 2


def _retried(connection: Session, query: str, value: int) -> Any:
    """The rows, or the SQLSTATE; schema conflicts are retried, as clients must."""
    for _ in range(10):
        try:
            return connection.execute(query, (value,), prepare=True).fetchall()
        except psycopg.errors.SerializationFailure:
            continue
        except psycopg.Error as error:
            return sqlstate(error)
    raise AssertionError("40001 ten times in a row")


def test_transaction_that_spans_a_schema_change_sees_it_or_fails(fleet: Fleet, connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, a int)")
    connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    with session(fleet, autocommit=False) as other:
        assert other.execute(f"SELECT a FROM {table}").fetchone() == (1,)
        other.execute(f"UPDATE {table} SET a = 2 WHERE id = 1")
        job = _job(connection, f"CREATE INDEX ASYNC on_a ON {table} (a)")
        with pytest.raises(psycopg.errors.SerializationFailure, match="OC001"):
            other.commit()
    assert _wait_for(connection, job)[0] == "completed"
    assert connection.execute(f"SELECT id FROM {table} WHERE a = 1").fetchall() == [(1,)]
    connection.execute("DROP INDEX on_a")
