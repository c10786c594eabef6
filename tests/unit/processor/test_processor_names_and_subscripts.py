"""What sqlglot takes for something of its own: subscripts of anything but a column, functions called as in other
databases."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet


@pytest.fixture
def session() -> Client:
    return Client(TestFleet())


def do(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(session.query(sql)), (sql, errors(session.query(sql)))


def found(session: Client, sql: str) -> list[tuple[str | None, ...]]:
    answer = session.query(sql)
    assert not errors(answer), (sql, errors(answer))
    return rows(answer)


def test_subscripts_of_parameters(session: Client) -> None:
    answer = session.execute(
        "SELECT $1[1], $1[2:3], $1[1 + 1], $2[1][2]", b"{7,8,9}", b"{{1,2},{3,4}}", types=(1007, 1007)
    )
    assert rows(answer) == [("7", "{8,9}", "8", "2")]
    do(session, "CREATE FUNCTION f(int[]) RETURNS int LANGUAGE sql AS 'SELECT $1[1] * 10 + $1[2]'")
    assert found(session, "SELECT f(ARRAY[5, 6])") == [("56",)]


def test_subscripts_of_columns_called_like_types(session: Client) -> None:
    values = "('{1,2}'::int[], '{3,4}'::int[], '{5,6,7}'::int[])"
    sql = f"SELECT date[1], name[2], s.text[3] FROM (VALUES {values}) AS s(date, name, text)"
    assert found(session, sql) == [("1", "4", "7")]


def test_a_view_and_a_default_keep_their_subscripts(session: Client) -> None:
    do(
        session,
        "CREATE VIEW v AS SELECT ('{7,8,9}'::int[])[1] AS a, (ARRAY[1, 2, 3])[2] AS b, ((ARRAY[1, 2, 3])[2:3])[2] AS c,"
        " (ARRAY[[1, 2], [3, 4]])[2][1] AS d, (ARRAY[1, 2])[1 + 1] AS e",
        "CREATE TABLE t (k int PRIMARY KEY, j jsonb CHECK (j['a'][1] IS NOT NULL),"
        " word text DEFAULT ('{x,y}'::text[])[2])",
        """INSERT INTO t VALUES (1, '{"a": [1, 2]}')""",
    )
    assert found(session, "SELECT * FROM v") == [("7", "2", "3", "3", "2")]
    assert found(session, "SELECT word, j['a'][0] FROM t") == [("y", "1")]
    assert errors(session.query("""INSERT INTO t VALUES (2, '{"a": [1]}')""")) == [
        ("23514", 'new row for relation "t" violates check constraint "t_j_check"')
    ]


def test_functions_called_as_in_other_databases(session: Client) -> None:
    do(
        session,
        "CREATE FUNCTION agg() RETURNS int LANGUAGE sql AS 'SELECT 7'",
        "CREATE FUNCTION day(d date) RETURNS int LANGUAGE sql AS 'SELECT extract(day FROM d)::int'",
        "CREATE FUNCTION contains(a text, b text DEFAULT 'x') RETURNS bool LANGUAGE sql AS 'SELECT strpos(a, b) > 0'",
        "CREATE FUNCTION split(a text) RETURNS SETOF text LANGUAGE sql AS $$ SELECT string_to_table(a, ',') $$",
        "CREATE FUNCTION try_cast(text) RETURNS int LANGUAGE sql AS 'SELECT $1::int'",
        "CREATE VIEW v AS SELECT agg() AS a, day('2026-05-30') AS d",
    )
    sql = "SELECT agg(), AGG() + 1, public.agg(), day('2026-05-31'), contains('axe'), contains(b => 'q', a => 'aq')"
    assert found(session, sql) == [("7", "8", "7", "31", "t", "t")]
    assert found(session, "SELECT x, try_cast('5') FROM split('a,b') AS s(x)") == [("a", "5"), ("b", "5")]
    assert found(session, "SELECT * FROM v") == [("7", "30")]
    assert errors(session.query("SELECT year(1)")) == [("42883", "function year(integer) does not exist")]


def test_such_names_are_names_of_everything_else_too(session: Client) -> None:
    sql = "WITH agg(a) AS (SELECT 1), day(d) AS MATERIALIZED (VALUES (2)) SELECT a, d FROM agg, day"
    assert found(session, sql) == [("1", "2")]
    sql = "WITH RECURSIVE search(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM search WHERE n < 3) SELECT n FROM search"
    assert found(session, sql) == [("1",), ("2",), ("3",)]
    sources = "(VALUES (1, 2)) AS stack(a, b), (VALUES (3)) flatten(c), h hex(reduce)"
    sql = f"SELECT stack.a, flatten.c, hex.reduce FROM {sources}"
    do(session, "CREATE TABLE h (last int PRIMARY KEY)", "INSERT INTO h (last) VALUES (4)")
    assert found(session, sql) == [("1", "3", "4")]
    do(session, "CREATE TABLE space (last int PRIMARY KEY)", "INSERT INTO space (last) VALUES (5)")
    assert found(session, "SELECT space.last FROM space ORDER BY last") == [("5",)]
