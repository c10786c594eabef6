"""Executions as the processor drives them: portals, tags, what a plan says of itself, limits, locks."""

from __future__ import annotations

from typing import Any

import pytest
from database import Database, table
from memory_transaction import run
from schema import database

from tausql.protocol.errors import SqlError
from tausql.sql.engine import prepare
from tausql.sql.execution import run as execution_run
from tausql.sql.plans import PlanCache
from tausql.sql.statements import parse_statements
from tausql.sql.types import type_by_name


def opened(db: Database, sql: str, *params: Any) -> Any:
    return db.prepare(sql).open(db.store.statement(), db.context(params))


def numbers(count: int) -> Database:
    db = Database(table(100, "t", ["a int4", "b text"], ["a"], [("t_b_idx", ["b"], False)]))
    for start in range(0, count, 1000):
        db.execute("insert into t select n, 'v' || n % 10 from generate_series($1::int, $2::int) n", start, start + 999)
    return db


def test_rows_come_in_the_portions_asked_for() -> None:
    db = numbers(2000)
    execution = opened(db, "select a from t order by a")
    assert run(execution.fetch(3)) == [[0], [1], [2]]
    assert not execution.done
    assert len(run(execution.fetch(1500))) == 1500
    rest = run(execution.fetch(0))
    assert rest[0] == [1503]
    assert execution.done
    assert execution.tag == "SELECT 2000"
    assert run(execution.fetch(0)) == []
    exact = opened(db, "select a from t where a < 5")
    assert len(run(exact.fetch(5))) == 5
    assert exact.done


def test_returning_rows_come_in_portions_after_all_work_is_done() -> None:
    db = numbers(1000)
    execution = opened(db, "delete from t where a < 10 returning a")
    assert len(run(execution.fetch(4))) == 4
    assert not execution.done
    assert db.rows("select count(*) from t") == [[990]]
    assert len(run(execution.fetch(0))) == 6
    assert execution.tag == "DELETE 10"


def test_a_limit_stops_reading() -> None:
    db = numbers(3000)
    db.store.round_trips = 0
    assert len(db.rows("select a from t limit 5")) == 5
    assert db.store.round_trips == 1


def test_a_plan_says_what_it_reads_and_whether_it_writes() -> None:
    db = database()
    plain = db.prepare("select 1")
    assert (plain.needs_snapshot, plain.writes, plain.reads_relations) == (False, False, ())
    reading = db.prepare("select * from orders o join customers c on c.id = o.customer")
    assert reading.needs_snapshot
    assert sorted(reading.reads_relations) == [(100, 100), (200, 200)]
    assert db.prepare("select id from orders for update").writes
    writing = db.prepare("update orders set note = $1 where id = $2 returning total")
    assert writing.writes
    assert [type.name for type in writing.parameter_types] == ["varchar", "int8"]
    assert writing.columns is not None
    assert (writing.columns[0].table_oid, writing.columns[0].attnum) == (200, 5)
    assert db.prepare("delete from orders").columns is None


def test_parameters_get_their_types_from_where_they_stand() -> None:
    db = database()
    names = [
        type.name
        for type in db.prepare(
            "select * from orders where created > $1 and total = $2 and status = $3 limit $4"
        ).parameter_types
    ]
    assert names == ["timestamptz", "numeric", "text", "int8"]
    (statement,) = parse_statements("select $1 + 1")
    prepared = prepare(statement, db.snapshot, declared=[type_by_name("float8")])
    assert prepared.columns is not None
    assert prepared.columns[0].type.name == "float8"


def test_for_update_and_key_share_lock_the_rows_returned() -> None:
    db = numbers(1000)
    db.rows("select b from t where a in (1, 2, 3) order by a limit 2 for update")
    assert [what for what, _ in db.store.locked] == ["update", "update"]
    db.store.locked.clear()
    db.rows("select x.b from t x, t y where x.a = 1 and y.a = 2 for key share of y")
    assert [what for what, _ in db.store.locked] == ["share"]
    with pytest.raises(SqlError, match="locking clauses other than FOR UPDATE/FOR KEY SHARE are not supported"):
        db.rows("select a from t for share")
    with pytest.raises(SqlError, match="locking clauses other than"):
        db.rows("select a from t for no key update")
    with pytest.raises(SqlError, match="FOR UPDATE is not allowed with DISTINCT clause"):
        db.rows("select distinct a from t for update")
    with pytest.raises(SqlError, match='relation "z" in FOR UPDATE clause not found in FROM clause'):
        db.rows("select a from t for update of z")


def test_statements_over_the_memory_budget_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_run.Memory.__init__, "__defaults__", (400_000,))
    db = numbers(4000)
    for sql in (
        "select * from t order by b",
        "select a, count(*) from t group by a",
        "select count(*) from t x join t y on x.b = y.b",
        "select distinct a from t",
        "with c as (select * from t) select count(*) from c, c d where c.a = 1 and d.a = 1",
    ):
        with pytest.raises(SqlError, match="query requires too much temp space, out of memory") as raised:
            db.rows(sql)
        assert raised.value.sqlstate == "53200"
    assert db.rows("select a from t order by b desc, a limit 1") == [[9]]
    assert db.rows("select count(*) from t") == [[4000]]


class Views:
    """pg_catalog with one view and one function."""

    schema = "pg_catalog"
    name = "pg_things"
    oid = 12000
    columns = (("oid", type_by_name("oid")), ("name", type_by_name("text")))

    def by_oid(self, oid: int) -> Views | None:
        return None

    def sequence(self, sequence: Any) -> Views:
        return self

    def matching(self, snapshot: Any, context: Any, column: int, value: Any) -> list[list[Any]] | None:
        return None

    def find(self, schema: str | None, name: str, search_path: tuple[str, ...]) -> Views | None:
        return self if name == "pg_things" and schema in (None, "pg_catalog") else None

    def function(self, schema: str | None, name: str, arguments: Any) -> Views | None:
        return self if name == "pg_list_things" else None

    async def rows(self, snapshot: Any, transaction: Any, context: Any, *arguments: Any) -> list[list[Any]]:
        return [[1, "one"], [2, "two"]] if not arguments else [[arguments[0], "argument"]]


def test_system_relations_are_scanned_joined_and_refused_for_writing() -> None:
    db = numbers(1000)

    def rows(sql: str) -> list[list[Any]]:
        (statement,) = parse_statements(sql)
        prepared = prepare(statement, db.snapshot, system=Views())
        assert prepared.system
        found: list[list[Any]] = run(prepared.open(db.store.statement(), db.context()).fetch(0))
        return found

    assert rows("select name from pg_things where oid = 2") == [["two"]]
    assert rows("select s.name, t.b from pg_catalog.pg_things s join t on t.a = s.oid order by 1") == [
        ["one", "v1"], ["two", "v2"],
    ]  # fmt: skip
    assert rows("select oid from pg_list_things(7)") == [[7]]
    with pytest.raises(SqlError, match="permission denied"):
        rows("delete from pg_things")


def test_errors_about_names_have_positions() -> None:
    db = database()
    for sql, position in (
        ("select * from nope", 15),
        ("select id, nope from orders", 12),
        ("select o.id from orders o where o.nope = 1", 33),
        ("select id from orders o join customers c on true", 8),
    ):
        with pytest.raises(SqlError) as raised:
            db.prepare(sql)
        assert raised.value.position == position, sql


def test_plans_are_shared_by_template_and_renewed_by_schema_version() -> None:
    db = numbers(1000)
    cache = PlanCache(capacity=3)
    plans = set()
    for n in range(5):
        found = cache.simple(f"select b from t where a = {n}", db.snapshot, ("public",), None, db.format)
        assert found is not None
        _, prepared, params = found
        plans.add(id(prepared))
        assert db.run(prepared, params)[1] == [[f"v{n}"]]
    assert len(plans) == 1
    assert (cache.hits, cache.misses) == (4, 1)
    for n in range(10):
        cache.prepare(cache.statements(f"select {n}")[0], db.snapshot)
    assert len(cache.plans) == 3
