"""The budget of a statement: whatever piles up is counted, and what has gone is not."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from functools import partial

import pytest
from database import Database
from memory_transaction import run
from schema import database

from tausql.protocol.errors import SqlError
from tausql.sql.execution import run as execution_run
from tausql.sql.execution.run import Batch, Cursor, Memory, Node, Run, batch_bytes
from tausql.sql.execution.sorting import Sort
from tausql.sql.expressions import Context

LIMIT = 1 << 20
WIDE = "(SELECT g, repeat('x', 10000) || g AS v FROM generate_series(1, 300) g) q"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(execution_run, "Memory", partial(Memory, LIMIT))
    return database()


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT v FROM {WIDE} ORDER BY v",
        f"SELECT row_number() OVER (ORDER BY g), v FROM {WIDE}",
        f"SELECT count(v) OVER (PARTITION BY g) FROM {WIDE}",
        f"SELECT DISTINCT v FROM {WIDE}",
        f"SELECT array_agg(v) FROM {WIDE}",
        f"SELECT string_agg(v, ',' ORDER BY g) FROM {WIDE}",
        f"SELECT json_object_agg(g, v) FROM {WIDE}",
        f"SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY v) FROM {WIDE}",
        f"SELECT count(*) FROM {WIDE} JOIN {WIDE.removesuffix('q')} p ON p.v = q.v",
        f"SELECT 1 EXCEPT SELECT length(v) FROM {WIDE} UNION SELECT v::text::int FROM {WIDE} WHERE false"
        f" UNION SELECT g FROM (SELECT v, g FROM {WIDE} ORDER BY v) r",
        f"(SELECT v FROM {WIDE}) INTERSECT (SELECT v FROM {WIDE})",
        f"SELECT (SELECT array_length(ARRAY(SELECT v FROM {WIDE}), 1))",
        f"WITH w AS MATERIALIZED (SELECT v FROM {WIDE}) SELECT count(*) FROM w a, w b WHERE a.v = b.v",
        "WITH RECURSIVE t(n, v) AS (SELECT 1, repeat('x', 10000) UNION ALL SELECT n + 1, v || n FROM t WHERE n < 300)"
        " SELECT count(*) FROM t",
        "SELECT count(DISTINCT g) FROM generate_series(1, 20000) g",
        f"WITH w AS (INSERT INTO loose SELECT g, v FROM {WIDE} RETURNING v) SELECT count(*) FROM w",
    ],
)
def test_a_statement_beyond_its_budget_fails(small: Database, query: str) -> None:
    with pytest.raises(SqlError) as raised:
        small.rows(query)
    assert raised.value.sqlstate == "53200"
    assert raised.value.message == "query requires too much temp space, out of memory."


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (f"SELECT count(*) FROM {WIDE} WHERE v LIKE 'x%'", [[300]]),
        (f"SELECT max(v) LIKE 'x%' FROM {WIDE}", [[True]]),
        # The sort of each row's subquery is gone when the next begins.
        (
            "SELECT count(*) FROM generate_series(1, 60) o WHERE o = (SELECT i FROM generate_series(1, 300) i"
            " WHERE i >= o ORDER BY i + 0 LIMIT 1)",
            [[60]],
        ),
        # Rounds of a recursion that keeps nothing but its last row.
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3000) SELECT max(n) FROM t",
            [[3000]],
        ),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 2", [[1], [2]]),
    ],
)
def test_what_has_gone_does_not_count(small: Database, query: str, rows: list[list[object]]) -> None:
    assert small.rows(query) == rows


def test_sizes_count_what_is_inside() -> None:
    small = [[1, "a"]] * 100
    assert batch_bytes(small) < 100 * 300
    assert batch_bytes([[1, "a" * 10_000]] * 100) > 100 * 10_000
    assert batch_bytes([[["a" * 1000] * 10]] * 100) > 100 * 10_000
    assert batch_bytes([[1]] * 50 + [["a" * 10_000]] * 50) > 50 * 5_000


class Cancelled(Exception):
    pass


class _Cancel:
    def __await__(self) -> Generator[None, None, None]:
        raise Cancelled
        yield


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(g) OVER (ORDER BY g ROWS BETWEEN 5000 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)"
        " FROM generate_series(1, 100000) g",
        "SELECT array_agg(g) OVER (ORDER BY g ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
        " FROM generate_series(1, 100000) g",
        "SELECT g, count(*) FROM generate_series(1, 100000000) g GROUP BY g",
        "SELECT count(*) FROM generate_series(1, 100000000) g",
        "SELECT count(*) FROM generate_series(1, 100000000) g GROUP BY CUBE (g)",
        "SELECT 1 EXCEPT SELECT g FROM generate_series(1, 100000000) g",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT count(*) FROM generate_series(1, 9999) a LEFT JOIN generate_series(1, 9999) b"
        " ON a <> b AND (SELECT true)",
        "SELECT g FROM generate_series(1, 100000000) g ORDER BY g FETCH FIRST 1 ROW WITH TIES",
    ],
)
def test_a_statement_can_be_cancelled_while_it_works(query: str) -> None:
    db = database()
    asked = 0

    def pause() -> Awaitable[None] | None:
        nonlocal asked
        asked += 1
        return _Cancel() if asked == 20 else None

    execution = db.prepare(query).open(db.store.statement(), Context(format=db.format, pause=pause))
    with pytest.raises(Cancelled):
        run(execution.fetch(0))


class _Growing(Node):
    """Holds 1,000 bytes of its own with its first rows, and never gives them back."""

    def start(self, run: Run) -> Cursor:
        return _GrowingCursor(run)


class _GrowingCursor:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.batches = 5

    async def next(self) -> Batch:
        if self.batches == 5:
            self.run.memory.grow(1_000)
        self.batches -= 1
        return [[number] for number in range(1_000)] if self.batches >= 0 else []


def test_a_sort_that_keeps_few_rows_gives_back_its_own_memory_only() -> None:
    base = database()
    state = Run(base.store.statement(), base.context(), base.snapshot)
    sort = Sort(_Growing(1.0), lambda row: row[0], "n")
    sort.limit = lambda row, context: 3
    assert run(sort.open(state).next()) == [[0], [0], [0]]
    assert state.memory.used == 1_000 + batch_bytes([[0], [0], [0]])
