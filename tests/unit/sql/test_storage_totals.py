"""Aggregates that storage computes: which ones, and that they are what the processor would have computed."""

from __future__ import annotations

import pytest
from database import Database, table

QUERIES = [
    "select count(*) from things",
    "select count(*), count(n), sum(n), min(n), max(n), avg(n) from things",
    "select sum(amount), avg(amount), min(amount), max(amount) from things",
    "select bool_and(flag), bool_or(flag), every(flag) from things",
    "select min(name), max(name), min(day), max(day), min(ratio), max(ratio) from things",
    "select grp, count(*), sum(n) from things group by grp order by grp",
    "select grp, flag, count(*), max(name) from things group by 1, 2 order by 1, 2",
    "select count(*) from things where n > 10",
    "select count(*), sum(big) from things where id between 5 and 17",
    "select grp, count(*) from things where id in (1, 2, 3, 9) group by grp order by grp",
    "select count(*) from things where false or n is null",
    "select sum(n), count(*) from things where n = 123456",
    "select grp, sum(n) from things where n = 123456 group by grp",
    "select grp, count(*) from things group by grp having count(*) > 3 order by 2, 1",
    "select sum(big) * 2 + 1, count(*) filter (where true) from things",
    "select (select count(*) from things where things.grp = u.id) from things u where id < 4 order by id",
]


@pytest.fixture(scope="module")
def db() -> Database:
    made = Database(
        table(
            500,
            "things",
            ["id integer", "grp integer", "n integer", "big bigint", "amount numeric(12,2)", "flag boolean",
             "name text", "day date", "ratio double precision"],
            ["id"],
        )
    )  # fmt: skip
    for at in range(40):
        made.execute(
            "insert into things values ($1, $1 % 5, nullif($1 * 7 % 23, 3), 9223372036854775000 - $1, $1 * 1.25,"
            " $1 % 3 = 1, 'name ' || ($1 * 13 % 40), date '2024-01-01' + $1, $1 / 3.0)",
            at,
        )  # fmt: skip
    return made


@pytest.mark.parametrize("sql", QUERIES)
def test_the_answer_is_the_same_as_without(db: Database, sql: str) -> None:
    plain = sql.replace("from things", "from (select * from things order by id offset 0) things", 1)
    assert db.shown(sql) == db.shown(plain)


@pytest.mark.parametrize("sql", [*QUERIES[:9], *QUERIES[11:13]])
def test_no_rows_travel(db: Database, sql: str) -> None:
    db.store.scans.clear()
    db.rows(sql)
    assert db.store.scans
    assert all(scan.aggregation is not None for scan in db.store.scans)


@pytest.mark.parametrize(
    "sql",
    [
        "select count(distinct n) from things",
        "select count(*) filter (where n > 3) from things",
        "select sum(ratio) from things",
        "select sum(n + 1) from things",
        "select string_agg(name, ',') from things",
        "select amount, count(*) from things group by amount",
        "select count(*) from things where lower(name) = 'name 1'",
        "select count(*) from things where n > (select 1)",
        "select count(*) from (select * from things limit 3) t",
    ],
)
def test_the_rest_is_computed_over_rows(db: Database, sql: str) -> None:
    db.store.scans.clear()
    db.rows(sql)
    assert all(scan.aggregation is None for scan in db.store.scans)
