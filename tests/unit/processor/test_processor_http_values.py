"""Values over HTTP: what JSON can hold exactly as JSON, everything else in the very text a PostgreSQL client gets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet
from processor_http import Http, refusal

from tausql.frontend.http_values import type_name
from tausql.sql.types.registry import all_types

DIGITS = "12345678901234567890.1234567890"


@pytest.fixture(scope="module")
def fleet() -> TestFleet:
    fleet = TestFleet()
    http = Http(fleet)
    http.rows("CREATE TABLE t (id int PRIMARY KEY, n numeric(30,10), j jsonb, s text)")
    return fleet


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("null::int", "integer", None),
        ("'32767'::smallint", "smallint", 32767),
        ("2147483647", "integer", 2147483647),
        ("-9007199254740992", "bigint", -9007199254740992),
        ("9007199254740993", "bigint", "9007199254740993"),
        ("1.5::real", "real", 1.5),
        ("0.1::float8", "double precision", 0.1),
        ("1e300::float8", "double precision", 1e300),
        ("'NaN'::float8", "double precision", "NaN"),
        ("'-Infinity'::real", "real", "-Infinity"),
        ("1.50", "numeric", "1.50"),
        (f"{DIGITS}", "numeric", DIGITS),
        ("'NaN'::numeric", "numeric", "NaN"),
        ("true", "boolean", True),
        ("'x'::char(3)", "character", "x  "),
        ("E'\\u00e9\"\\\\\\n'", "text", 'é"\\\n'),
        ("timestamp '2026-11-23 05:01:00.25'", "timestamp without time zone", "2026-11-23T05:01:00.25"),
        ("timestamptz '2026-11-23 05:01:00+02'", "timestamp with time zone", "2026-11-23T03:01:00+00:00"),
        ("timestamp 'infinity'", "timestamp without time zone", "infinity"),
        ('\'{"b": [1, null, 1.5], "a": "é"}\'::jsonb', "jsonb", {"a": "é", "b": [1, None, 1.5]}),
        ('\'{"b": 1,  "a": 2}\'::json', "json", {"b": 1, "a": 2}),
        ("'null'::jsonb", "jsonb", None),
        ("array[1, null, 3]", "integer[]", [1, None, 3]),
        ("array[]::int[]", "integer[]", []),
        ("null::int[]", "integer[]", None),
        ("array[['a', 'b'], ['c,\"', 'NULL']]", "text[]", [["a", "b"], ['c,"', "NULL"]]),
        ("array[1.50, 2]", "numeric[]", ["1.50", "2"]),
        ("array[9007199254740993]", "bigint[]", ["9007199254740993"]),
        ("array['{\"a\": 1}'::jsonb]", "jsonb[]", [{"a": 1}]),
        ("array[true, false]", "boolean[]", [True, False]),
        ("array[int4range(1, 3), 'empty']", "int4range[]", ["[1,3)", "empty"]),
    ],
)
def test_as_json(fleet: TestFleet, value: str, kind: str, expected: Any) -> None:
    answer = Http(fleet).sql(f"SELECT {value} AS v").json()
    assert answer == {
        "columns": [{"name": "v", "type": kind}],
        "rows": [[expected]],
        "rowCount": 1,
        "command": "SELECT",
    }


@pytest.mark.parametrize(
    "value",
    [
        "'\\xdeadbeef'::bytea",
        "date '2026-11-23'",
        "date '-infinity'",
        "time '12:34:56.7'",
        "timetz '12:34:56+02'",
        "timestamp '0044-03-15 BC'",
        "interval '1 year 2 days 03:04:05'",
        "'00000000-0000-0000-0000-000000000001'::uuid",
        "row(1, 'x', null)",
        "int4range(1, 5)",
        "'127.0.0.1'::inet",
        "'pg_class'::regclass",
        "to_tsvector('simple', 'a b')",
        "'$.a'::jsonpath",
        "current_user",
        "B'101'",
        "repeat('x', 1000000)",
    ],
)
def test_as_text(fleet: TestFleet, value: str) -> None:
    ((expected,),) = rows(Client(fleet).query(f"SELECT {value}"))
    assert Http(fleet).rows(f"SELECT {value}") == [[expected]]


def test_digits_of_json_are_not_rounded(fleet: TestFleet) -> None:
    answer = Http(fleet).sql(f"SELECT '[{DIGITS}, 1.50]'::jsonb")
    assert f"[{DIGITS}, 1.50]" in answer.text


def test_every_type_has_its_name() -> None:
    for one in all_types():
        if not one.sql_name.strip('"').startswith("any"):  # nothing is of such a type
            assert type_name(one.oid) == one.sql_name


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT $1::int + 1", ["x"]),
        ("SELECT $1::int", [3000000000]),
        ("SELECT $1::int", [1.5]),
        ("SELECT $1::int[]", [[1, 2]]),
        ("SELECT $1::jsonb", ["{"]),
        ("SELECT $1::boolean", ["maybe"]),
        ("SELECT $2::int", [1, 2]),
        ("SELECT $1", []),
        ("INSERT INTO t VALUES ($1)", [None]),
        ("INSERT INTO t (id, n) VALUES (1, $1)", ["1e20"]),
        ("SELECT 1 / $1", [0]),
        ("SELECT * FROM nowhere WHERE id = $1", [1]),
    ],
)
def test_parameters_fail_in_the_same_words(fleet: TestFleet, sql: str, params: list[Any]) -> None:
    raw = [
        None if one is None else (one if isinstance(one, str) else msgspec.json.encode(one).decode()).encode()
        for one in params
    ]
    (told,) = errors(Client(fleet).execute(sql, *raw))
    assert refusal(Http(fleet).sql(sql, *params)) == told


def test_what_is_written_comes_back(fleet: TestFleet) -> None:
    http = Http(fleet)
    document = {"a": [1, None, "é"], "b": {}}
    answer = http.sql(
        "INSERT INTO t VALUES ($1, $2, $3, $4), (2, NULL, NULL, NULL) RETURNING *", 1, DIGITS, document, ""
    )
    assert answer.json() == {
        "columns": [
            {"name": "id", "type": "integer"},
            {"name": "n", "type": "numeric"},
            {"name": "j", "type": "jsonb"},
            {"name": "s", "type": "text"},
        ],
        "rows": [[1, DIGITS, document, ""], [2, None, None, None]],
        "rowCount": 2,
        "command": "INSERT",
    }
    assert http.sql("UPDATE t SET n = n + 0.5 WHERE id = 2 RETURNING n, n IS NULL AS none").json()["rows"] == [
        [None, True]
    ]
    answer = http.sql("UPDATE t SET s = 'x' WHERE id < 9").json()
    assert (answer["rows"], answer["rowCount"], answer["command"]) == ([], 2, "UPDATE")
    answer = http.sql("WITH gone AS (DELETE FROM t RETURNING id) SELECT sum(id) FROM gone").json()
    assert (answer["rows"], answer["command"]) == ([[3]], "SELECT")
    assert refusal(http.sql("SELECT * FROM t WHERE id = $1", None)) == ("ok", "SELECT")


def test_large_results_come_whole_or_change_nothing(fleet: TestFleet) -> None:
    http = Http(fleet, http_rows_max=2000, http_result_bytes_max=3_000_000)
    assert http.rows("SELECT g FROM generate_series(1, 2000) g") == [[g] for g in range(1, 2001)]
    assert refusal(http.sql("SELECT g FROM generate_series(1, 2001) g"))[0] == "54000"
    assert (
        http.rows("SELECT length(v), v FROM (SELECT repeat('x', 1000000) AS v) w, generate_series(1, 2) g")
        == [[1_000_000, "x" * 1_000_000]] * 2
    )
    assert refusal(http.sql("SELECT repeat('x', 1000000), g FROM generate_series(1, 3) g")) == (
        "54000",
        "the result is larger than 3000000 bytes",
    )
    sql = "INSERT INTO t (id) SELECT g FROM generate_series(100, {}) g RETURNING id"
    assert refusal(http.sql(sql.format(2100))) == ("54000", "the result has more than 2000 rows")
    assert http.rows("SELECT count(*) FROM t WHERE id >= 100") == [[0]]
    assert len(http.rows(sql.format(2099))) == 2000
    assert http.sql("DELETE FROM t").json()["rowCount"] == 2000
    assert refusal(http.sql("INSERT INTO t (id) SELECT g FROM generate_series(1, 3001) g")) == (
        "54000",
        "transaction row limit exceeded",
    )
