"""Functions in LANGUAGE sql and domains: what they compute, who may call them, what is refused at their creation."""

from __future__ import annotations

import pytest
from processor_client import Client, do, error, errors, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire.client import NoticeResponse
from tausql.protocol.processor import SessionStart


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet()


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    client = Client(fleet)
    do(
        client,
        "CREATE TABLE b (id int PRIMARY KEY, v text, n int)",
        "INSERT INTO b VALUES (1, 'one', 7), (2, 'two', 8), (3, NULL, 9)",
    )
    return client


def told(session: Client, sql: str) -> list[str]:
    return [m.fields["M"] for m in session.query(sql) if isinstance(m, NoticeResponse)]


def shown(session: Client, sql: str) -> list[tuple[str | None, ...]]:
    answer = session.query(sql)
    assert not errors(answer), errors(answer)
    return rows(answer)


def test_scalar_functions(session: Client) -> None:
    do(
        session,
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'",
        "CREATE FUNCTION plus(a int, b int DEFAULT 5) RETURNS int LANGUAGE sql AS $$ SELECT $1 + plus.b $$",
        "CREATE FUNCTION of(key int) RETURNS text LANGUAGE sql RETURN (SELECT v FROM b WHERE id = key)",
        "CREATE FUNCTION squared(x numeric) RETURNS numeric STRICT LANGUAGE sql BEGIN ATOMIC SELECT x * x; END",
    )
    assert shown(session, "SELECT twice(4), twice(n) FROM b WHERE id = 1") == [("8", "14")]
    assert shown(session, "SELECT plus(1), plus(1, 2), plus(b => 3, a => 4), plus(1, b := 9)") == [
        ("6", "3", "7", "10")
    ]
    assert shown(session, "SELECT id, of(id) FROM b WHERE of(id) IS NOT NULL ORDER BY of(id)") == [
        ("1", "one"),
        ("2", "two"),
    ]
    do(session, "CREATE FUNCTION none() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT id FROM b WHERE false'")
    assert shown(session, "SELECT none(), n.* FROM none() AS n") == [(None, None)]
    assert shown(session, "SELECT squared(1.5), squared(NULL), twice((SELECT max(id) FROM b))") == [("2.25", None, "6")]
    assert shown(session, "SELECT of((SELECT max(id) - 1 FROM b)), of(twice(1))") == [("two", "two")]


def test_functions_in_from(session: Client) -> None:
    do(
        session,
        "CREATE FUNCTION upto(most int) RETURNS SETOF b LANGUAGE sql AS 'SELECT * FROM b WHERE id <= most'",
        "CREATE FUNCTION pairs(most int) RETURNS TABLE (key int, label text) LANGUAGE sql"
        " AS 'SELECT id, v FROM b WHERE id <= most ORDER BY id DESC'",
        "CREATE FUNCTION outs(OUT x int, OUT y text) LANGUAGE sql AS 'SELECT 1, ''q'''",
        "CREATE FUNCTION total(VARIADIC items int[]) RETURNS bigint LANGUAGE sql"
        " AS 'SELECT sum(i) FROM unnest(items) i'",
    )
    assert shown(session, "SELECT * FROM upto(2) ORDER BY id") == [("1", "one", "7"), ("2", "two", "8")]
    assert shown(session, "SELECT label FROM pairs(2)") == [("two",), ("one",)]
    assert shown(session, "SELECT b.id, p.key FROM b, pairs(b.id) AS p WHERE b.id = 2 ORDER BY 2") == [
        ("2", "1"),
        ("2", "2"),
    ]
    assert shown(session, "SELECT * FROM outs()") == [("1", "q")]
    assert shown(session, "SELECT total(1, 2, 3), total(VARIADIC ARRAY[4, 5]), t FROM total(7) t") == [("6", "9", "7")]


def test_views_over_functions_in_from(session: Client) -> None:
    do(
        session,
        "CREATE SCHEMA s",
        "CREATE FUNCTION s.upto(most int) RETURNS TABLE (k int) LANGUAGE sql"
        " AS 'SELECT id FROM public.b WHERE id <= most'",
        "SET search_path = s, public",
        "CREATE VIEW public.w AS SELECT b.id, u.k, upto.k AS one FROM b, upto(b.id) AS u, upto(1)",
        "SET search_path = public",
    )
    assert shown(session, "SELECT * FROM w ORDER BY 1, 2") == [
        (str(at), str(k), "1") for at in range(1, 4) for k in range(1, at + 1)
    ]


def test_functions_that_write(session: Client) -> None:
    do(
        session,
        "CREATE FUNCTION put(key int, label text DEFAULT 'none') RETURNS int LANGUAGE sql"
        " AS 'INSERT INTO b (id, v) VALUES (key, label) RETURNING id'",
        "CREATE FUNCTION bump(key int, step int) RETURNS SETOF b LANGUAGE sql"
        " AS 'UPDATE b SET n = n + step WHERE id <= $1 RETURNING *'",
        "CREATE FUNCTION clear(id int) RETURNS void LANGUAGE sql AS 'DELETE FROM b WHERE b.id = clear.id'",
    )
    assert shown(session, "SELECT put(10, 'ten')") == [("10",)]
    assert shown(session, "SELECT put(11) AS made") == [("11",)]
    assert rows(session.execute("SELECT put($1, $2)", b"12", b"twelve")) == [("12",)]
    assert shown(session, "SELECT * FROM bump(2, 100)") == [("1", "one", "107"), ("2", "two", "108")]
    do(session, "SELECT clear(3)")
    assert shown(session, "SELECT id, v FROM b ORDER BY id") == [
        ("1", "one"),
        ("2", "two"),
        ("10", "ten"),
        ("11", "none"),
        ("12", "twelve"),
    ]
    assert error(session, "SELECT put(id) FROM b")[0] == "0A000"


def test_functions_in_views_and_their_end(session: Client) -> None:
    do(
        session,
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'",
        "CREATE VIEW w AS SELECT twice(id) AS d FROM b",
        "SET search_path = pg_catalog",
    )
    assert shown(session, "SELECT max(d) FROM public.w") == [("6",)]
    do(session, "SET search_path = public")
    assert error(session, "DROP FUNCTION twice(int)") == (
        "2BP01", "cannot drop function twice(integer) because other objects depend on it",
    )  # fmt: skip
    do(session, "ALTER FUNCTION twice RENAME TO doubled", "ALTER ROUTINE doubled(int) IMMUTABLE STRICT")
    assert shown(session, "SELECT max(d) FROM w") == [("6",)]
    assert told(session, "DROP ROUTINE doubled CASCADE") == ["drop cascades to view w"]
    assert error(session, "SELECT doubled(1)")[0] == "42883"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'x'",
            ("0A000", "CREATE FUNCTION with language plpgsql not supported"),
        ),
        (
            "CREATE FUNCTION known(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ("42723", 'function "known" already exists with same argument types'),
        ),
        (
            "CREATE OR REPLACE FUNCTION known(a int) RETURNS text LANGUAGE sql AS 'SELECT ''a'''",
            ("42P13", "cannot change return type of existing function"),
        ),
        (
            "CREATE OR REPLACE FUNCTION known(x int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ("42P13", 'cannot change name of input parameter "a"'),
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT ''a''::text'",
            ("42P13", "return type mismatch in function declared to return integer"),
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1, 2'",
            ("42P13", "return type mismatch in function declared to return integer"),
        ),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql", ("42P13", "no function body specified")),
        ("CREATE FUNCTION f() RETURNS int AS 'SELECT 1'", ("42P13", "no language specified")),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT zz'", ("42703", 'column "zz" does not exist')),
        (
            "CREATE FUNCTION f(a int, a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ("42P13", 'parameter name "a" used more than once'),
        ),
        (
            "CREATE FUNCTION f(a int DEFAULT 1, b int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ("42P13", "input parameters after one with a default value must also have defaults"),
        ),
        (
            "CREATE FUNCTION f(OUT a int) RETURNS text LANGUAGE sql AS 'SELECT 1'",
            ("42P13", "function result type must be integer because of OUT parameters"),
        ),
        ("SELECT known()", ("42883", "function known() does not exist")),
        ("SELECT known(1, 2)", ("42883", "function known(integer, integer) does not exist")),
        ("SELECT known(c => 3)", ("42883", "function known(c => integer) does not exist")),
        ("SELECT s1.nothing(1)", ("3F000", 'schema "s1" does not exist')),
        ("SELECT public.nothing(1)", ("42883", "function public.nothing(integer) does not exist")),
        (
            "CREATE FUNCTION f(anyelement) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ("0A000", "CREATE FUNCTION with a polymorphic type not supported"),
        ),
        ("DROP FUNCTION known(text)", ("42883", "function known(text) does not exist")),
        ("DROP FUNCTION nothing", ("42883", 'could not find a function named "nothing"')),
        ("COMMENT ON FUNCTION known(text) IS 'x'", ("42883", "function known(text) does not exist")),
    ],
)
def test_refusals(session: Client, sql: str, expected: tuple[str, str]) -> None:
    do(session, "CREATE FUNCTION known(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert error(session, sql) == expected


def test_who_may_call(fleet: TestFleet, session: Client) -> None:
    do(
        session,
        "CREATE ROLE r LOGIN",
        "CREATE FUNCTION mine() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM b'",
        "CREATE FUNCTION ours() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM b'",
    )
    other = Client(fleet, start=SessionStart("r", "postgres", {}))
    assert error(other, "SELECT mine()") == ("42501", "permission denied for table b")
    assert shown(other, "SELECT ours()") == [("3",)]
    do(session, "REVOKE EXECUTE ON FUNCTION ours() FROM PUBLIC")
    assert error(other, "SELECT ours()") == ("42501", "permission denied for function ours")
    do(session, "CREATE VIEW w AS SELECT ours() AS n, (SELECT count(*) FROM b) AS m", "GRANT SELECT ON w TO r")
    assert error(other, "SELECT n FROM w") == ("42501", "permission denied for function ours")
    do(session, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO r")
    assert shown(other, "SELECT n, m FROM w") == [("3", "3")]
    assert shown(other, "SELECT ours()") == [("3",)]


def test_a_function_is_not_put_into_itself_for_ever(session: Client) -> None:
    do(
        session,
        "CREATE FUNCTION f(n int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION f(n int) RETURNS int LANGUAGE sql AS 'SELECT CASE WHEN n < 2 THEN 1 ELSE n END'",
    )
    assert shown(session, "SELECT f(5)") == [("5",)]
    assert error(
        session, "CREATE OR REPLACE FUNCTION f(n int) RETURNS int LANGUAGE sql AS 'SELECT f2(n)'"
    )[0] == "42883"  # fmt: skip


def test_other_processors_learn_of_a_new_body() -> None:
    fleet = TestFleet(processors=2)
    first, second = Client(fleet), Client(fleet, 1)
    do(first, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert shown(second, "SELECT f()") == [("1",)]
    do(first, "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'")
    assert shown(second, "SELECT f()") == [("2",)]


def test_domains(session: Client) -> None:
    do(
        session,
        "CREATE DOMAIN positive AS int DEFAULT 5 NOT NULL CHECK (VALUE > 0)",
        "CREATE TABLE t (x positive, y int)",
        "INSERT INTO t (y) VALUES (1)",
        "INSERT INTO t VALUES (7)",
    )
    assert shown(session, "SELECT x + 1, 3::positive FROM t ORDER BY 1") == [("6", "3"), ("8", "3")]
    checked = ("23514", 'value for domain positive violates check constraint "positive_check"')
    assert error(session, "SELECT 0::positive") == checked
    assert error(session, "INSERT INTO t VALUES (0)") == checked
    assert error(session, "UPDATE t SET x = x - 7") == checked
    assert error(session, "INSERT INTO t VALUES (NULL)") == ("23502", "domain positive does not allow null values")
    do(session, "ALTER DOMAIN positive DROP NOT NULL", "INSERT INTO t VALUES (NULL)")
    do(session, "ALTER DOMAIN positive DROP CONSTRAINT positive_check", "INSERT INTO t VALUES (0)")
    assert error(session, "DROP DOMAIN positive") == (
        "2BP01", "cannot drop type positive because other objects depend on it",
    )  # fmt: skip
    assert told(session, "DROP DOMAIN positive CASCADE") == ["drop cascades to column x of table t"]
    assert error(session, "ALTER DOMAIN positive DROP DEFAULT") == ("42704", 'type "positive" does not exist')


def test_statistics(session: Client) -> None:
    do(
        session,
        "CREATE STATISTICS s1 (ndistinct) ON id, v FROM b",
        "CREATE STATISTICS ON id, n FROM b",
        "CREATE STATISTICS s3 ON (n + 1) FROM b",
        "CREATE STATISTICS s4 ON id, v, n FROM b",
        "CREATE STATISTICS s5 ON v, n FROM b",
        "ALTER STATISTICS s5 SET STATISTICS 100",
        "COMMENT ON STATISTICS s5 IS 'five'",
    )
    assert error(session, "CREATE STATISTICS s6 ON id, n FROM b") == (
        "54000", "more than 5 extended statistics per table are not allowed",
    )  # fmt: skip
    do(session, "DROP STATISTICS b_id_n_stat, s4")
    for sql, expected in (
        ("CREATE STATISTICS s1 ON id, v FROM b", ("42710", 'statistics object "s1" already exists')),
        ("CREATE STATISTICS s9 ON id FROM b", ("42P17", "extended statistics require at least 2 columns")),
        ("CREATE STATISTICS s9 (foo) ON id, n FROM b", ("42601", 'unrecognized statistics kind "foo"')),
        ("CREATE STATISTICS s9 ON id, id FROM b", ("42701", "duplicate column name in statistics definition")),
        ("CREATE STATISTICS s9 ON zz, id FROM b", ("42703", 'column "zz" does not exist')),
        ("DROP STATISTICS nothing", ("42704", 'statistics object "nothing" does not exist')),
    ):
        assert error(session, sql) == expected


def test_comments(session: Client) -> None:
    do(
        session,
        "CREATE SCHEMA s",
        "COMMENT ON TABLE b IS 'a table'",
        "COMMENT ON COLUMN b.id IS 'its key'",
        "COMMENT ON COLUMN public.b.id IS NULL",
        "COMMENT ON SCHEMA s IS 'a schema'",
        "COMMENT ON CONSTRAINT b_pkey ON b IS 'x'",
        "COMMENT ON ROLE admin IS 'x'",
    )
    for sql, expected in (
        ("COMMENT ON TABLE nothing IS 'x'", ("42P01", 'relation "nothing" does not exist')),
        ("COMMENT ON COLUMN b.zz IS 'x'", ("42703", 'column "zz" of relation "b" does not exist')),
        ("COMMENT ON VIEW b IS 'x'", ("42809", '"b" is not a view')),
        ("COMMENT ON CONSTRAINT c ON b IS 'x'", ("42704", 'constraint "c" for table "b" does not exist')),
        ("COMMENT ON SCHEMA nothing IS 'x'", ("3F000", 'schema "nothing" does not exist')),
    ):
        assert error(session, sql) == expected


def test_schemas(session: Client) -> None:
    do(
        session,
        "CREATE SCHEMA s CREATE VIEW v AS SELECT a FROM t CREATE TABLE t (a int PRIMARY KEY)"
        " CREATE SEQUENCE q CACHE 1 GRANT SELECT ON t TO PUBLIC",
        "INSERT INTO s.t VALUES (1)",
    )
    assert shown(session, "SELECT a, nextval('s.q') FROM s.v") == [("1", "1")]
    refused = session.query("DROP SCHEMA s")
    assert errors(refused) == [("2BP01", "cannot drop schema s because other objects depend on it")]
    do(session, "SET search_path = nothing, s, public", "CREATE TABLE first (a int)")
    assert shown(session, "SELECT count(*) FROM s.first") == [("0",)]
    for sql, expected in (
        ("CREATE SCHEMA s", ("42P06", 'schema "s" already exists')),
        ("CREATE SCHEMA pg_x", ("42939", 'unacceptable schema name "pg_x"')),
        ("DROP SCHEMA nothing", ("3F000", 'schema "nothing" does not exist')),
        (
            "CREATE SCHEMA z CREATE TABLE y.t (a int)",
            ("42P15", "CREATE specifies a schema (y) different from the one being created (z)"),
        ),
    ):
        assert error(session, sql) == expected
    do(session, *(f"CREATE SCHEMA s{at}" for at in range(8)))
    assert error(session, "CREATE SCHEMA eleventh") == ("54000", "more than 10 schemas not allowed")
    assert tags(session.query("DROP SCHEMA s CASCADE")) == ["DROP SCHEMA"]
    assert error(session, "SELECT 1 FROM s.t") == ("42P01", 'relation "s.t" does not exist')
