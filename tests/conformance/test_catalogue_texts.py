"""Conditions and defaults as the catalogue shows them, beside PostgreSQL's own deparser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tausql.sql.catalogue.deparsing import default_shown, expression_shown
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.types import type_by_name

sys.path.insert(0, str(Path(__file__).parent))

from record import local_server

COLUMNS = (
    "a integer", "b bigint", "n numeric", "f double precision", "t text", "v varchar(20)", "d date",
    "ts timestamptz", "flag boolean", "u uuid", "j jsonb", "s smallint",
)  # fmt: skip
CONDITIONS = (
    "a > 0", "a > -1", "b >= 10", "n > 0", "n < 1.5", "f <> 0.5", "t = 'x'", "v = 'x'", "v <> ''",
    "a > 0 AND b < 5", "a > 0 OR b < 5 AND t IS NULL", "NOT flag", "flag", "flag IS TRUE", "flag IS NOT FALSE",
    "a IS NOT NULL", "a BETWEEN 1 AND 5", "a NOT BETWEEN 1 AND 5", "a IN (1, 2, 3)", "t IN ('x', 'y')",
    "v IN ('x', 'y')", "t NOT IN ('x', 'y')", "t LIKE 'a%'", "v LIKE 'a%'", "t NOT LIKE 'a%'", "t ILIKE 'a%'",
    "t ~ '^x'", "length(t) > 3", "lower(v) = v", "upper(t) = t AND length(v) < 10", "a + b > 10",
    "a + 1 * 2 > 3", "(a + 1) * 2 > 3", "a - (b - 1) > 0", "a % 2 = 0", "-a < 5", "coalesce(t, v) = 'q'",
    "greatest(a, 5) > 3", "nullif(a, 0) > 1", "a IS DISTINCT FROM b", "a = b", "d > '2020-01-01'",
    "CASE WHEN a > 0 THEN true ELSE false END", "t::integer > 5", "a::text = 'x'", "a::numeric(5,2) > 1",
    "u IS NULL OR t <> 'it''s'", "j ->> 'k' = 'v'", "j ? 'k'", "a > 0 AND (b > 0 OR n > 0)",
    "s = 1", "a = s", "n = a", "f > a", "t || v = 'xy'", "a <= 2147483648",
    "t IN ('x')", "a = ANY (ARRAY[1, 2])", "d IN ('2020-01-01', '2020-01-02')", "extract(year FROM d) > 2000",
    "substring(t FROM 1 FOR 2) = 'x'", "trim(t) <> ''", "t SIMILAR TO 'a%'", "position('x' IN t) > 0",
    "a <> ALL (ARRAY[1])",
    "abs(a) > 1", "round(n, 2) = n", "date_trunc('day', ts) = ts", "d + 1 > '2020-01-01'",
    "ts > now() - interval '1 day'", "j @> '{\"a\": 1}'", "jsonb_typeof(j) = 'object'", "t = ''", "char_length(v) = 3",
    "a::bigint > b", "cast(t AS date) > d", "NOT (a > 0 OR flag)", "(a > 0) = flag", "f = 1e10",
    "n = 100000000000000000000",
    "v IN ('x') OR v IS NULL", "a & 1 = 1", "a ^ 2 > 4", "t ~* 'x' AND t !~ 'y'", "ltrim(t, 'x') = btrim(v)",
)  # fmt: skip
DEFAULTS = (
    ("a", "5"), ("a", "-1"), ("b", "5"), ("n", "0"), ("n", "1.50"), ("f", "0"), ("t", "'x'"), ("v", "'x'"),
    ("d", "'2020-01-01'"), ("d", "CURRENT_DATE"), ("ts", "now()"), ("ts", "CURRENT_TIMESTAMP"), ("flag", "true"),
    ("u", "gen_random_uuid()"), ("j", "'{}'"), ("t", "NULL"), ("t", "upper('x')"), ("a", "1 + 2"), ("t", "'a' || 'b'"),
    ("s", "3"), ("v", "lower('X')"), ("t", "'x'::text"), ("n", "5::numeric"), ("t", "CURRENT_USER"),
)  # fmt: skip


def table() -> Table:
    made: list[Column] = []
    for position, text in enumerate(COLUMNS):
        name, _, kind = text.partition(" ")
        bare, _, modifier = kind.partition("(")
        typmod = int(modifier[:-1]) + 4 if modifier else -1
        made.append(Column(name, type_by_name(bare).oid, typmod, False, position))
    return Table(1, "public", "x", tuple(made), (), "")


@pytest.fixture(scope="module")
def oracle() -> Iterator[psycopg.Connection[tuple[str, ...]]]:
    with local_server() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("condition", CONDITIONS)
def test_condition(oracle: psycopg.Connection[tuple[str, ...]], condition: str) -> None:
    oracle.execute("DROP TABLE IF EXISTS x")
    oracle.execute(f"CREATE TABLE x ({', '.join(COLUMNS)}, CONSTRAINT c CHECK ({condition}))".encode())
    row = oracle.execute(
        "SELECT pg_get_constraintdef(oid), pg_get_constraintdef(oid, true) FROM pg_constraint WHERE conname = 'c'"
    ).fetchone()
    ours = tuple(f"CHECK ({expression_shown(table(), condition, pretty)})" for pretty in (False, True))
    assert ours == row


@pytest.mark.parametrize(("column", "default"), DEFAULTS)
def test_default(oracle: psycopg.Connection[tuple[str, ...]], column: str, default: str) -> None:
    oracle.execute("DROP TABLE IF EXISTS x")
    kind = next(text for text in COLUMNS if text.startswith(column + " "))
    oracle.execute(f"CREATE TABLE x ({kind} DEFAULT {default})".encode())
    row = oracle.execute("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'x'::regclass").fetchone()
    found = table().column(column)
    assert found is not None
    assert row is None or row == (default_shown(table(), default, found),)
