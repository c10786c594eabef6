"""Whatever clients send: the right SQLSTATE for them, and no harm to anybody, themselves included."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet

from tausql.pgwire import client

from .raw_wire import errors, message, raw_connection, raw_session
from .sessions import Session, session, sqlstate

pytestmark = pytest.mark.fleet

STATEMENTS = (
    ("SELECT 1/0", "22012"),
    ("SELECT 2147483647 + 1", "22003"),
    ("SELECT 99999999999999999999::bigint", "22003"),
    ("SELECT 'x'::integer", "22P02"),
    ("SELECT '2026-02-30'::date", "22008"),
    ("SELECT * FROM nowhere", "42P01"),
    ("SELECT nothing", "42703"),
    ("SELECT nothing()", "42883"),
    ("SELECT nowhere.nothing()", "3F000"),
    ("SELEKT 1", "42601"),
    ("SELECT 'unterminated", "42601"),
    ("SELECT (((1)", "42601"),
    ("SELECT 1 LIMIT -1", "2201W"),
    ("SELECT '{'::json", "22P02"),
    ("SELECT $1", "42P02"),
    ("TRUNCATE TABLE x", "0A000"),
    ("CREATE TEMP TABLE x (a int)", "0A000"),
    ("CREATE EXTENSION pgcrypto", "0A000"),
    ("SAVEPOINT a", "0A000"),
    ("LISTEN a", "0A000"),
    ("VACUUM", "0A000"),
    ("DECLARE c CURSOR FOR SELECT 1", "0A000"),
    ("BEGIN ISOLATION LEVEL SERIALIZABLE", "0A000"),
    ("CREATE TABLE x (a int[])", "0A000"),
    ("SET statement_timeout = 1", "0A000"),
)


@pytest.mark.parametrize(("statement", "expected"), STATEMENTS)
def test_bad_statement_gets_its_sqlstate_and_the_session_goes_on(
    connection: Session, statement: str, expected: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    assert sqlstate(caught.value) == expected
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_values_that_do_not_fit_their_columns(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, s smallint, v varchar(3), n numeric(4,2))")
    connection.execute(f"INSERT INTO {table} VALUES (1)")
    for values, expected in (
        ("1", "23505"),
        ("NULL", "23502"),
        ("2, 40000", "22003"),
        ("2, 1, 'long'", "22001"),
        ("2, 1, 'a', 123.4", "22003"),
        ("2147483648", "22003"),
        ("2, 1, 'a', 1, 5", "42601"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(f"INSERT INTO {table} VALUES ({values})")
        assert sqlstate(caught.value) == expected, values
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_statement_of_a_million_bytes(connection: Session) -> None:
    text = "x" * 1_000_000
    with connection.cursor() as cursor:
        try:
            found: Any = cursor.execute(f"SELECT length('{text}')").fetchone()
        except psycopg.errors.ProgramLimitExceeded:
            found = (1_000_000,)
    assert found == (1_000_000,)
    numbers = ", ".join(["1"] * 300_000)
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(f"SELECT 1 WHERE 1 IN ({numbers})")
    assert sqlstate(caught.value) in ("54000", "54001")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def _told(connection: Session, statement: str) -> str:
    """The SQLSTATE of a statement."""
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return sqlstate(error)
    return "00000"


@pytest.mark.parametrize("depth", [500, 5000, 100_000])
def test_deep_nesting_is_refused(connection: Session, depth: int) -> None:
    for statement in (
        "SELECT " + "(" * depth + "1" + ")" * depth,
        "SELECT " + "-(" * depth + "1" + ")" * depth,
        "SELECT 1" + " + 1" * depth,
        "SELECT * FROM " + "(SELECT * FROM " * depth + "x" + ") y" * depth,
        "SELECT " + "NOT " * depth + "true",
        "SELECT " + "CASE WHEN true THEN " * depth + "1" + " END" * depth,
        "SELECT 1" + " UNION SELECT 1" * depth,
    ):
        assert _told(connection, statement) in ("00000", "54001", "54000", "42P01"), statement[:30]
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_bad_tokens_and_plaintext_and_unknown_database(fleet: Fleet) -> None:
    denied = "unable to accept connection, access denied"
    other = fleet.token("app")  # signed for DbConnect
    for wrong in ("wrong", fleet.password[:-1], fleet.password.replace("us-east-1%2F", "us-east-2%2F"), other):
        with pytest.raises(psycopg.OperationalError, match=denied):
            psycopg.connect(fleet.secure_connection, password=wrong)
    with pytest.raises(
        psycopg.OperationalError, match=r"Wrong user to action mapping\. user: admin, action: DbC"
    ):
        psycopg.connect(fleet.secure_connection, password=other)
    with pytest.raises(psycopg.OperationalError, match="unable to accept connection, access denied"):
        psycopg.connect(fleet.connection)
    with pytest.raises(psycopg.OperationalError, match='database "other" does not exist'):
        psycopg.connect(fleet.secure_connection.replace("dbname=postgres", "dbname=other"))
    with pytest.raises(psycopg.OperationalError, match=r'"search_pat" not supported'):
        psycopg.connect(fleet.secure_connection, options="-c search_pat=x")
    with session(fleet) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_text_that_is_not_utf8(fleet: Fleet) -> None:
    with raw_session(fleet) as wire:
        wire.send(message(b"Q", b"SELECT '\xff\xfe'\0"))
        assert errors(wire.until_ready()) == ["22021"]
        wire.send(client.parse("SELECT $1::text") + client.bind([b"\xc3\x28"]) + client.execute() + client.SYNC)
        assert errors(wire.until_ready()) == ["22021"]
        wire.send(client.parse("SELECT $1::text") + client.bind([b"a\0b"]) + client.execute() + client.SYNC)
        assert errors(wire.until_ready()) == ["22021"]
        wire.send(client.query("SELECT 1"))
        assert errors(wire.until_ready()) == []


def test_extended_protocol_misused(fleet: Fleet) -> None:
    with raw_session(fleet) as wire:
        for sent, expected in (
            (client.bind([], statement="nobody"), "26000"),
            (client.execute("nobody"), "34000"),
            (client.describe_statement("nobody"), "26000"),
            (client.parse("SELECT $1::int") + client.bind([]), "08P01"),
            (client.parse("SELECT $1::int") + client.bind([b"abc"]), "22P02"),
            (client.parse("SELECT $1::int") + client.bind([b"abc"], parameter_formats=(1,)), "22P03"),
            (client.parse("SELECT 1; SELECT 2"), "42601"),
            (client.parse("SELECT $1::int", statement="twice") + client.parse("SELECT 1", statement="twice"), "42P05"),
            (client.parse("SELECT $70000"), "42P02"),
        ):
            wire.send(sent + client.SYNC)
            assert errors(wire.until_ready()) == [expected], sent[:40]
        wire.send(client.query("SELECT 1"))
        assert errors(wire.until_ready()) == []


def test_too_many_parameters(connection: Session) -> None:
    marks = ", ".join(["%s"] * 65_536)
    with pytest.raises(psycopg.OperationalError, match="number of parameters"):
        connection.execute(f"SELECT 1 WHERE 1 IN ({marks})", [1] * 65_536)
    some = 5_000
    marks = ", ".join(["%s"] * some)
    assert connection.execute(f"SELECT 1 WHERE 1 IN ({marks})", [1] * some).fetchone() == (1,)


@pytest.mark.parametrize(
    "sent",
    [
        message(b"Q", b"SELECT 1\0", length=2**31 - 1),
        message(b"Q", b"SELECT 1\0", length=3),
        message(b"Q", b"SELECT 1\0", length=-1),
        message(b"!", b"what is this"),
        b"\0" * 64,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["too long", "too short", "negative", "unknown type", "zeros", "http"],
)
def test_broken_framing_ends_the_session_and_no_other(fleet: Fleet, connection: Session, sent: bytes) -> None:
    with raw_session(fleet) as wire:
        wire.send(sent)
        assert errors(wire.until_end()) == ["08P01"]
    assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "sent",
    [b"\0\0\0\x04", b"\x7f\xff\xff\xff" + b"x" * 100, b"\0\0\0\x08\0\x02\0\0", b"junk" * 9],
    ids=["too short", "too long", "protocol 2", "junk"],
)
def test_broken_startup_is_refused(fleet: Fleet, connection: Session, sent: bytes) -> None:
    with raw_connection(fleet) as wire:
        wire.send(sent)
        told = errors(wire.until_end())
    assert told in (["08P01"], ["0A000"])
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_message_that_holds_less_than_it_says(fleet: Fleet) -> None:
    with raw_session(fleet) as wire:
        wire.send(message(b"B", b"\0\0\0\1\0\1\0\5\0\0\0\xffshort") + client.SYNC)
        assert errors(wire.until_ready()) == ["08P01"]
        wire.send(client.query("SELECT 1"))
        assert errors(wire.until_ready()) == []


def test_client_that_leaves_in_the_middle_leaves_nothing(fleet: Fleet, connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    for last in (b"", message(b"Q", b"COMMIT", length=100), client.query("SELECT 1/0")):
        with raw_session(fleet) as wire:
            wire.send(client.query(f"BEGIN; INSERT INTO {table} VALUES (1)"))
            wire.until_ready()
            wire.send(last)
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert connection.execute(f"INSERT INTO {table} VALUES (1)").statusmessage == "INSERT 0 1"


def test_rows_and_keys_beyond_the_limits(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id text PRIMARY KEY, a text, b text, c text)")
    for sizes, text in (
        ((2_000, 1, 1, 1), "key size too large"),
        ((1, 1_100_000, 1, 1), "maximum column size exceeded"),
        ((1, 1_000_000, 1_000_000, 1_000_000), "maximum row size exceeded"),
    ):
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match=text):
            connection.execute(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", ["x" * size for size in sizes])
    connection.execute("BEGIN")
    insert = f"INSERT INTO {table} VALUES (%s, %s)"
    for number in range(10):
        connection.execute(insert, (str(number), "x" * 1_000_000))
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="transaction size limit 10mb exceeded"):
        connection.execute(insert, ("10", "x" * 1_000_000))
    connection.execute("ROLLBACK")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
