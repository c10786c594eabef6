"""The limits of a transaction and of what a database may hold, each one step beyond it."""

from __future__ import annotations

import pytest
from processor_client import Client, add_table, errors, items, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire.client import ErrorResponse


@pytest.fixture
def session() -> Client:
    fleet = TestFleet()
    add_table(fleet, items())
    return Client(fleet)


def run(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(messages := session.query(sql)), (sql, errors(messages))


def test_three_thousand_rows_pass_and_one_more_does_not(session: Client) -> None:
    run(session, "INSERT INTO items SELECT n, 1, 'x' FROM generate_series(1, 3000) AS n")
    run(session, "BEGIN", "UPDATE items SET note = 'y'")
    assert errors(session.query("INSERT INTO items VALUES (3001)")) == [("54000", "transaction row limit exceeded")]
    assert errors(session.query("SELECT 1"))[0][0] == "25P02"
    assert tags(session.query("COMMIT")) == ["ROLLBACK"]
    run(session, "BEGIN", "SELECT id FROM items FOR UPDATE", "UPDATE items SET note = 'z' WHERE id = 1", "COMMIT")
    assert rows(session.query("SELECT note FROM items WHERE id = 1")) == [("z",)]


def test_ten_mebibytes(session: Client) -> None:
    run(session, "BEGIN")
    for number in range(10):
        run(session, f"INSERT INTO items VALUES ({number}, 1, repeat('x', 1000000))")
    answer = session.query("INSERT INTO items VALUES (10, 1, repeat('x', 1000000))")
    (error,) = [message for message in answer if isinstance(message, ErrorResponse)]
    assert (error.fields["C"], error.fields["M"]) == ("54000", "transaction size limit 10mb exceeded")
    assert error.fields["D"] == "Current transaction size 11mb 10mb"


def test_128_mebibytes_of_a_query(session: Client) -> None:
    wide = "SELECT repeat('x', 1000000) || n AS v FROM generate_series(1, {}) n"
    query = f"SELECT sum(length(v)) FROM ({wide} ORDER BY v) w"
    assert rows(session.query(query.format(100))) == [("100000192",)]
    run(session, "BEGIN")
    assert errors(session.query(query.format(140))) == [("53200", "query requires too much temp space, out of memory.")]
    assert errors(session.query("SELECT 1"))[0][0] == "25P02"
    assert tags(session.query("COMMIT")) == ["ROLLBACK"]


@pytest.mark.parametrize("sql", ["SELECT * FROM items", "INSERT INTO items VALUES (1)", "CREATE TABLE t (a int)"])
def test_three_hundred_seconds(session: Client, sql: str) -> None:
    run(session, "BEGIN", "SELECT * FROM items")
    session.fleet.run(299)
    run(session, "SELECT * FROM items")
    session.fleet.run(2)
    assert errors(session.query(sql)) == [("54000", "transaction age limit of 300s exceeded")]
    assert errors(session.query("SELECT 1"))[0][0] == "25P02"


def test_a_commit_that_comes_too_late(session: Client) -> None:
    run(session, "BEGIN", "INSERT INTO items VALUES (1)")
    session.fleet.run(301)
    assert errors(session.query("COMMIT")) == [("54000", "transaction age limit of 300s exceeded")]
    assert rows(session.query("SELECT * FROM items")) == []


def test_columns_and_indexes_of_a_table(session: Client) -> None:
    columns = ", ".join(f"c{number} int" for number in range(255))
    run(session, f"CREATE TABLE wide ({columns})")
    told = [("54011", "tables can have at most 255 columns")]
    assert errors(session.query(f"CREATE TABLE wider ({columns}, more int)")) == told
    assert errors(session.query("ALTER TABLE wide ADD COLUMN more int")) == told
    run(session, "CREATE TABLE indexed (id int PRIMARY KEY, a int)")
    run(session, *[f"CREATE INDEX ASYNC i{number} ON indexed (a)" for number in range(23)])
    assert errors(session.query("CREATE INDEX ASYNC i23 ON indexed (a)")) == [
        ("54000", "more than 24 indexes per table are not allowed")
    ]


def test_schemas_and_statistics(session: Client) -> None:
    taken = 0
    while not (answer := errors(session.query(f"CREATE SCHEMA s{taken}"))):
        taken += 1
        assert taken < 20
    assert answer == [("54000", "more than 10 schemas not allowed")]
    run(session, "CREATE TABLE t (a int, b int)", *[f"CREATE STATISTICS st{n} ON a, b FROM t" for n in range(5)])
    assert errors(session.query("CREATE STATISTICS st5 ON a, b FROM t")) == [
        ("54000", "more than 5 extended statistics per table are not allowed")
    ]


def test_what_a_startup_packet_may_not_bring() -> None:
    fleet = TestFleet()
    for parameters in ({"statement_timeout": "0"}, {"options": "-c statement_timeout=0"}):
        client = Client(fleet, 0, parameters)
        (error,) = [message for message in client.greeting if isinstance(message, ErrorResponse)]
        assert (error.fields["S"], error.fields["C"]) == ("FATAL", "0A000")
        assert error.fields["M"] == 'setting configuration parameter "statement_timeout" not supported'
        assert client.out.closed
    taken = {"client_encoding": "'utf-8'", "DateStyle": "ISO", "TimeZone": "UTC", "extra_float_digits": "2"}
    client = Client(fleet, 0, {**taken, "application_name": "x", "options": "-c search_path=a,b"})
    assert rows(client.query("SHOW search_path")) == [("a, b",)]


def test_half_a_date_style_leaves_the_other_half() -> None:
    session = Client(TestFleet(), 0, {"DateStyle": "SQL", "options": "-c DateStyle=DMY"})

    def shown(*statements: str) -> str | None:
        for sql in statements:
            assert not errors(session.query(sql)), sql
        return rows(session.query("SHOW DateStyle"))[0][0]

    assert shown() == "SQL, DMY"
    assert rows(session.query("SELECT date '2026-05-31'")) == [("31/05/2026",)]
    assert shown("SET DateStyle = 'Postgres'") == "Postgres, DMY"
    assert shown("SET DateStyle = MDY") == "Postgres, MDY"
    assert shown("BEGIN", "SET LOCAL DateStyle = 'ISO'", "SET LOCAL DateStyle = 'YMD'") == "ISO, YMD"
    assert shown("ROLLBACK") == "Postgres, MDY"
    assert shown("SELECT set_config('datestyle', 'dmy', false)") == "Postgres, DMY"
    assert shown("SET DateStyle = ISO, MDY") == "ISO, MDY"
    assert shown("RESET DateStyle") == "SQL, DMY"
