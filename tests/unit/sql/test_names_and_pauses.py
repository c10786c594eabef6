"""Long names, parameters close together, checks' names, and statements that let others run."""

from __future__ import annotations

from collections.abc import Awaitable, Generator

import pytest
from database import Database, table
from memory_transaction import run

from tausql.sql.ddl.limits import object_name
from tausql.sql.expressions import Context
from tausql.sql.expressions.parsing import parse
from tausql.sql.lexer import name_value, tokens

LONG = "a_table_with_a_name_that_goes_on_and_on_beyond_what_sixty_three_bytes_can_hold"


@pytest.mark.parametrize(
    ("close", "apart"),
    [
        ("INSERT INTO t VALUES ($1,$2)", "INSERT INTO t VALUES ($1, $2)"),
        ("UPDATE t SET a=$1,b=$2 WHERE c<$3", "UPDATE t SET a = $1, b = $2 WHERE c < $3"),
        ("SELECT '$1,$2',$1,$$a$1,$2$$", "SELECT '$1,$2', $1, $$a$1,$2$$"),
        ("SELECT ($1),-$2,x->$3,$4", "SELECT ($1), -$2, x -> $3, $4"),
    ],
)
def test_parameters_are_no_dollar_quotes(close: str, apart: str) -> None:
    assert parse(close) == parse(apart)


def test_long_names_are_cut_wherever_they_are_written() -> None:
    assert [name_value(token) for token in tokens(f'{LONG} "{LONG}"')] == [LONG[:63]] * 2
    db = Database(table(100, LONG[:63], ["id int4", f"{LONG[:63]} text"], ["id"]))
    db.execute(f"INSERT INTO {LONG} (id, {LONG}) VALUES (1, 'one')")
    assert db.rows(f'SELECT x.{LONG} FROM "{LONG}" x') == [["one"]]


def test_generated_names_keep_their_label() -> None:
    assert object_name("orders", "customer_id", "idx") == "orders_customer_id_idx"
    assert object_name("orders", "", "pkey") == "orders_pkey"
    first, second = (object_name(LONG, LONG, label) for label in ("idx", "idx1"))
    assert first != second
    assert (len(first), len(second)) == (63, 63)
    assert first.endswith("_idx")
    assert len(object_name("ü" * 40, "ä" * 40, "key").encode()) <= 63


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT count(*) FROM generate_series(1, 300) a, generate_series(1, 300) b", [[90_000]]),
        ("SELECT 1 FROM generate_series(1, 300) a JOIN generate_series(1, 300) b ON a.a + b.b < 0", []),
        ("SELECT count(*) FROM generate_series(1, 20000)", [[20_000]]),
        ("SELECT count(x) FROM (SELECT generate_series(1, 20000) AS x) s", [[20_000]]),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 50) SELECT max(n) FROM r", [[50]]),
        ("SELECT count(*) FROM generate_series(1, 9) a LEFT JOIN generate_series(5, 13) b ON a.a = b.b", [[9]]),
        ("SELECT count(b) FROM generate_series(1, 9) a FULL JOIN generate_series(5, 13) b ON a.a = b.b", [[9]]),
    ],
)
def test_work_without_end_pauses(query: str, rows: list[list[int]]) -> None:
    db = Database()
    paused = 0

    class Breath:
        def __await__(self) -> Generator[None, None, None]:
            nonlocal paused
            paused += 1
            return
            yield

    def pause() -> Awaitable[None]:
        return Breath()

    execution = db.prepare(query).open(db.store.statement(), Context(format=db.format, pause=pause))
    assert run(execution.fetch(0)) == rows
    assert paused > 1
