"""What transactions see of each other: snapshot isolation, first committer wins, and nobody ever reads the past."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet
from psycopg.pq import TransactionStatus

from .sessions import Session, session, sessions_by_processor

pytestmark = pytest.mark.fleet

ZONES = ("zone-a", "zone-b")


@pytest.fixture
def two(fleet: Fleet) -> Iterator[tuple[Session, Session]]:
    """Two sessions with transactions, one in each zone."""
    with sessions_by_processor(fleet, ZONES, autocommit=False) as (first, second):
        yield first, second
        for one in (first, second):
            one.rollback()


@pytest.fixture
def doctors(table: str, connection: Session) -> str:
    """A table of two doctors, both on call."""
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, on_call boolean NOT NULL, note text)")
    connection.execute(f"INSERT INTO {table} VALUES (1, true, ''), (2, true, '')")
    return table


def _on_call(one: Session, table: str) -> int:
    row = one.execute(f"SELECT count(*) FROM {table} WHERE on_call").fetchone()
    assert row is not None
    return int(row[0])


def test_second_writer_of_a_row_fails_at_commit(two: tuple[Session, Session], doctors: str) -> None:
    first, second = two
    for one, note in ((first, "first"), (second, "second")):
        one.execute(f"UPDATE {doctors} SET note = %s WHERE id = 1", (note,))
    first.commit()
    with pytest.raises(psycopg.errors.SerializationFailure) as caught:
        second.commit()
    assert caught.value.diag.message_primary == "change conflicts with another transaction (OC000)"
    assert second.execute(f"SELECT note FROM {doctors} WHERE id = 1").fetchone() == ("first",)


def test_two_inserts_of_one_key_conflict_then_duplicate(two: tuple[Session, Session], doctors: str) -> None:
    first, second = two
    for one in two:
        one.execute(f"INSERT INTO {doctors} VALUES (3, false, '')")
    second.commit()
    with pytest.raises(psycopg.errors.SerializationFailure, match="OC000"):
        first.commit()
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        first.execute(f"INSERT INTO {doctors} VALUES (3, false, '')")
    assert caught.value.diag.constraint_name == f"{doctors}_pkey"


def test_write_skew_is_possible_with_plain_reads(two: tuple[Session, Session], doctors: str) -> None:
    first, second = two
    assert [_on_call(one, doctors) for one in two] == [2, 2]
    first.execute(f"UPDATE {doctors} SET on_call = false WHERE id = 1")
    second.execute(f"UPDATE {doctors} SET on_call = false WHERE id = 2")
    first.commit()
    second.commit()
    assert _on_call(first, doctors) == 0


def test_for_update_makes_write_skew_impossible(two: tuple[Session, Session], doctors: str) -> None:
    first, second = two
    for one in two:
        assert len(one.execute(f"SELECT id FROM {doctors} WHERE on_call FOR UPDATE").fetchall()) == 2
    first.execute(f"UPDATE {doctors} SET on_call = false WHERE id = 1")
    second.execute(f"UPDATE {doctors} SET on_call = false WHERE id = 2")
    first.commit()
    with pytest.raises(psycopg.errors.SerializationFailure, match="OC000"):
        second.commit()
    assert _on_call(first, doctors) == 1


def test_transaction_sees_one_snapshot(two: tuple[Session, Session], doctors: str) -> None:
    reader, writer = two
    reader.execute("SET TIME ZONE 'UTC'")  # no snapshot yet
    assert _on_call(reader, doctors) == 2
    for number in range(3, 6):
        writer.execute(f"INSERT INTO {doctors} VALUES (%s, true, '')", (number,))
        writer.execute(f"UPDATE {doctors} SET note = 'new' WHERE id = 1")
        writer.commit()
        assert _on_call(reader, doctors) == 2
        assert reader.execute(f"SELECT note FROM {doctors} WHERE id = 1").fetchone() == ("",)
    reader.commit()
    assert _on_call(reader, doctors) == 5


def test_what_is_acknowledged_is_seen_at_once_everywhere(fleet: Fleet, doctors: str) -> None:
    with sessions_by_processor(fleet, ZONES) as (first, second):
        for number in range(1000):
            writer, reader = (first, second) if number % 2 else (second, first)
            writer.execute(f"UPDATE {doctors} SET note = %s WHERE id = %s", (str(number), number % 2 + 1))
            seen = reader.execute(f"SELECT note FROM {doctors} WHERE id = %s", (number % 2 + 1,)).fetchone()
            assert seen == (str(number),)


def test_own_writes_are_seen_before_commit_and_by_nobody_else(two: tuple[Session, Session], doctors: str) -> None:
    first, second = two
    first.execute(f"INSERT INTO {doctors} VALUES (7, true, 'mine')")
    first.execute(f"UPDATE {doctors} SET on_call = false WHERE id = 1")
    first.execute(f"DELETE FROM {doctors} WHERE id = 2")
    rows = first.execute(f"SELECT id, on_call FROM {doctors} ORDER BY id").fetchall()
    assert rows == [(1, False), (7, True)]
    assert first.execute(f"SELECT id FROM {doctors} WHERE on_call AND note = 'mine'").fetchall() == [(7,)]
    assert first.execute(f"SELECT max(id), count(*) FROM {doctors}").fetchone() == (7, 2)
    assert second.execute(f"SELECT id, on_call FROM {doctors} ORDER BY id").fetchall() == [(1, True), (2, True)]
    first.rollback()
    assert first.execute(f"SELECT count(*) FROM {doctors}").fetchone() == (2,)


def _state(connection: Session) -> TransactionStatus:
    return connection.info.transaction_status


def test_failed_transaction_takes_nothing_but_its_end(connection: Session, doctors: str) -> None:
    connection.execute("BEGIN")
    connection.execute(f"INSERT INTO {doctors} VALUES (8, true, '')")
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1/0")
    assert _state(connection) == TransactionStatus.INERROR
    for statement in ("SELECT 1", "SAVEPOINT a", "TRUNCATE x", "SELEKT"):
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)
        assert caught.value.sqlstate == ("42601" if statement == "SELEKT" else "25P02"), statement
    assert connection.execute("COMMIT").statusmessage == "ROLLBACK"
    assert _state(connection) == TransactionStatus.IDLE
    assert connection.execute(f"SELECT count(*) FROM {doctors}").fetchone() == (2,)


def test_read_only_transaction_refuses_writes(connection: Session, doctors: str) -> None:
    connection.execute("BEGIN TRANSACTION READ ONLY")
    assert _on_call(connection, doctors) == 2
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute(f"DELETE FROM {doctors}")
    connection.execute("ROLLBACK")


def test_transaction_of_more_than_3000_rows_is_refused(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    connection.execute("BEGIN")
    assert connection.execute(f"INSERT INTO {table} SELECT generate_series(1, 3000)").rowcount == 3000
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="transaction row limit exceeded"):
        connection.execute(f"INSERT INTO {table} VALUES (3001)")
    connection.execute("ROLLBACK")
    assert connection.execute(f"INSERT INTO {table} SELECT generate_series(1, 3000)").rowcount == 3000
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="transaction row limit exceeded"):
        connection.execute(f"INSERT INTO {table} SELECT generate_series(3001, 6001)")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (3000,)


def test_sessions_of_both_zones_are_of_one_database(fleet: Fleet, connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    with session(fleet) as other:
        other.execute(f"INSERT INTO {table} VALUES (1)")
    assert connection.execute(f"SELECT id FROM {table}").fetchall() == [(1,)]
