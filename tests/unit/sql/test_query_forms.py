"""Forms that sqlglot reads otherwise than PostgreSQL, parameters in every clause, and what prepared queries know."""

from __future__ import annotations

import pytest
from database import Database
from schema import database

from tausql.protocol.errors import SqlError
from tausql.sql.statements import parse_statements


@pytest.fixture
def db() -> Database:
    made = database()
    made.execute("INSERT INTO loose VALUES (1, 'a'), (2, ''), (3, 'c')")
    return made


@pytest.mark.parametrize(
    ("sql", "params", "rows"),
    [
        ("SELECT $1::integer FROM loose WHERE v = ''", (7,), [[7]]),
        ("SELECT k FROM loose WHERE v = '' AND k = $1", (2,), [[2]]),
        ("SELECT k FROM loose WHERE k = $1 OR k=$2 ORDER BY k", (1, 3), [[1], [3]]),
        ("SELECT lag(k, $1) OVER (ORDER BY k) FROM loose ORDER BY k", (2,), [[None], [None], [1]]),
        ("SELECT sum(k) OVER (ORDER BY k ROWS $1 PRECEDING) FROM loose ORDER BY k", (1,), [[1], [3], [5]]),
        ("SELECT k FROM loose ORDER BY v FETCH FIRST $1 ROWS WITH TIES", (1,), [[2]]),
        ("WITH a AS (DELETE FROM loose WHERE k > $1 RETURNING k) SELECT count(*) FROM a", (1,), [[2]]),
        ("SELECT percentile_disc($1) WITHIN GROUP (ORDER BY k) FROM loose", (0.5,), [[2]]),
    ],
)
def test_parameters_stand_in_every_clause(db: Database, sql: str, params: tuple[object, ...], rows: object) -> None:
    assert db.rows(sql, *params) == rows


@pytest.mark.parametrize(
    ("sql", "near"),
    [
        ("WITH q (SELECT 1) SELECT * FROM q", "SELECT"),
        ("WITH q AS (DELETE FROM loose RETURNING *) INSERT loose SELECT * FROM q", "loose"),
        ("WITH q AS (DELETE loose RETURNING *) SELECT * FROM q", "loose"),
        ("SELECT k FROM loose WHERE v NOT NULL", "NOT"),
        ("INSERT INTO loose VALUES (1) ON CONFLICT UPDATE SET k = 1", "UPDATE"),
        ("SELECT lag(k) IGNORE NULLS OVER () FROM loose", "ignore"),
    ],
)
def test_other_dialects_forms_are_syntax_errors(db: Database, sql: str, near: str) -> None:
    with pytest.raises(SqlError) as raised:
        db.rows(sql)
    assert raised.value.sqlstate == "42601"
    assert raised.value.message == f'syntax error at or near "{near}"'


def test_a_query_that_writes_in_with_is_known_to_write(db: Database) -> None:
    prepared = db.prepare("WITH a AS (UPDATE loose SET v = 'x' RETURNING k) SELECT k FROM a")
    assert prepared.writes
    assert prepared.kind == "query"
    assert [column.name for column in prepared.columns or ()] == ["k"]
    assert not db.prepare("WITH a AS (SELECT k FROM loose) SELECT k FROM a").writes


def test_locking_queries_lock_the_rows_they_return(db: Database) -> None:
    db.rows("SELECT k FROM loose WHERE k > 1 ORDER BY k LIMIT 1 FOR UPDATE")
    assert [how for how, _ in db.store.locked] == ["update"]
    db.store.locked.clear()
    db.rows("SELECT * FROM (SELECT k FROM loose WHERE k < 3) q, loose l WHERE l.k = q.k FOR KEY SHARE OF l")
    assert [how for how, _ in db.store.locked] == ["share"] * 2


@pytest.mark.parametrize("clause", ["FOR SHARE", "FOR NO KEY UPDATE"])
def test_other_locks_are_refused_in_dsql_s_words(db: Database, clause: str) -> None:
    with pytest.raises(SqlError) as raised:
        db.rows(f"SELECT k FROM loose {clause}")
    assert raised.value.sqlstate == "0A000"
    assert raised.value.message == "locking clauses other than FOR UPDATE/FOR KEY SHARE are not supported"


def test_statements_are_told_apart() -> None:
    (statement,) = parse_statements("WITH a AS (INSERT INTO loose VALUES (1) RETURNING k) UPDATE loose SET k = 2")
    assert statement.kind == "update"
