"""Which indexes the planner uses: by statistics, for their columns alone, partial ones, ones over expressions."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from database import Database, snapshot, table
from memory_transaction import run

from tausql.sql.catalogue.descriptors import Index
from tausql.sql.catalogue.statistics import TableStatistics
from tausql.sql.catalogue.stored_statistics import read_statistics
from tausql.sql.jobs.analyze import analyze_table
from tausql.sql.planning import merging
from tausql.sql.plans import PlanCache
from tausql.sql.types.session_format import SessionFormat


def filled() -> Database:
    things = table(
        500,
        "things",
        ["id integer", "grp integer", "state text", "name text", "score integer", "amount numeric(10,2)"],
        ["id"],
        [("things_grp_idx", ["grp", "name"], False), ("things_state_idx", ["state"], False)],
    )
    indexes = (
        *things.indexes,
        Index(510, "things_open_idx", (4,), False, predicate="state = 'open' AND score > 10"),
        Index(511, "things_lower_idx", (-1,), False, expressions=("lower(name)",)),
        Index(512, "things_score_idx", (4,), False, nulls_first=(True,), predicate="amount IS NOT NULL"),
    )
    things = msgspec.structs.replace(things, indexes=indexes)
    other = table(600, "other", ["id integer", "thing integer", "note text"], ["id"],
                  [("other_thing_idx", ["thing"], False)])  # fmt: skip
    few = table(700, "few", ["id integer", "label text"], ["id"])
    db = Database(things, other, few)
    for at in range(300):
        db.execute(
            "insert into things values ($1, $1 % 30, case when $1 % 50 = 0 then 'open' else 'done' end, 'Name ' || $1,"
            " nullif($1 % 40, 7), case when $1 % 5 > 0 then $1 * 0.5 end)",
            at,
        )  # fmt: skip
        db.execute("insert into other values ($1, $1 / 3, 'note ' || $1)", at)
    for at in range(5):
        db.execute("insert into few values ($1, 'label ' || $1)", at)
    return db


def analyzed(db: Database) -> Database:
    statistics: dict[int, TableStatistics] = {}
    for oid, one in db.snapshot.by_oid.items():
        run(analyze_table(db.store.statement(), db.snapshot, one, (), 1))
        found = run(read_statistics(db.store.statement(), db.snapshot, one))
        assert found is not None
        statistics[oid] = found
    made = Database()
    made.store = db.store
    known: Mapping[int, TableStatistics] = statistics
    made.snapshot = msgspec.structs.replace(snapshot(list(db.snapshot.by_oid.values())), statistics=known)
    return made


@pytest.fixture(scope="module")
def plain() -> Database:
    return filled()


@pytest.fixture(scope="module")
def db(plain: Database) -> Database:
    return analyzed(plain)


def plan(db: Database, sql: str) -> str:
    return "\n".join(db.plan(sql))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select grp, name from things where grp = 3", "Index Only Scan using things_grp_idx"),
        ("select id, name from things where grp = 3 and name > 'Name 2'", "Index Only Scan using things_grp_idx"),
        ("select id from things where grp = 3 and lower(name) = 'name 3'", "Filter: (lower(name) = 'name 3'::text)"),
        ("select * from things where grp = 3", "Index Scan using things_grp_idx"),
        ("select * from things where lower(name) = 'name 7'", "Index Scan using things_lower_idx"),
        ("select * from things where lower(name) in ('name 7', 'name 8')", "Index Scan using things_lower_idx"),
        ("select id, score from things where state = 'open' and score > 20", "things_open_idx"),
        ("select id, score from things where score = 25 and state = 'open'", "things_open_idx"),
        ("select * from things where score = 38 and amount > 10", "Index Scan using things_score_idx"),
        ("select * from things where score < 1 and amount > 10", "Index Scan using things_score_idx"),
        # 98 of 100 rows are done: reading them one by one through the index would cost more than the whole table.
        ("select * from things where state = 'done'", "Index Only Scan using things_pkey"),
        ("select * from things where state = 'open'", "Index Scan using things_state_idx"),
    ],
)
def test_the_index_is_used(db: Database, sql: str, expected: str) -> None:
    assert expected in plan(db, sql)


@pytest.mark.parametrize(
    ("sql", "unwanted"),
    [
        ("select id, score from things where state = 'open' and score > 5", "things_open_idx"),
        ("select id, score from things where state = 'done' and score > 20", "things_open_idx"),
        ("select id, score from things where score > 20", "things_open_idx"),
        ("select id, score from things where score = 20", "things_score_idx"),
        ("select * from things where upper(name) = 'NAME 7'", "things_lower_idx"),
        ("select id, amount from things where grp = 3", "Index Only Scan"),
    ],
)
def test_the_index_is_not_used(db: Database, sql: str, unwanted: str) -> None:
    assert unwanted not in plan(db, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select grp, name from things where grp = 3",
        "select id, name from things where grp = 3 and name > 'Name 2'",
        "select id from things where grp between 3 and 9 order by grp, name",
        "select * from things where lower(name) = 'name 7'",
        "select id, score from things where state = 'open' and score > 20",
        "select id, score from things where score < 3 and amount is not null order by score",
        "select id, score from things where amount is not null order by score nulls first, id limit 20",
        "select id, score from things where amount is not null order by score desc nulls last, id limit 20",
        "select t.id, o.note from things t join other o on o.thing = t.id where t.grp = 4",
        "select count(*) from things t join other o on o.thing = t.id join few f on f.id = t.grp",
        "select t.id, f.label from few f left join things t on t.grp = f.id and t.state = 'open'",
        "select id from things t where exists (select 1 from other o where o.thing = t.id and o.id > 100)",
        "select id from few f where not exists (select 1 from things t where t.grp = f.id and t.score = 3)",
    ],
)
def test_rows_are_the_same_whatever_is_used(plain: Database, db: Database, sql: str) -> None:
    expected = sorted(map(repr, plain.rows(sql)))
    assert sorted(map(repr, db.rows(sql))) == expected
    for off in (["indexscan"], ["indexonlyscan"], ["seqscan"], ["hashjoin"], ["nestloop"], ["batched_nestloop"],
                ["hashjoin", "nestloop"], ["hashjoin", "mergejoin", "nestloop"]):  # fmt: skip
        prepared = db.prepare(sql, frozenset(off))
        assert sorted(map(repr, db.run(prepared)[1])) == expected


def test_settings_turn_joins_off(db: Database) -> None:
    sql = "explain select * from things t join other o on o.thing = t.id where t.id = 4"

    def shown(*off: str) -> str:
        return "\n".join(row[0] for row in db.run(db.prepare(sql, frozenset(off)))[1])

    assert "Nested Loop (Batched Join)" in shown()
    assert "Hash Join" in shown("batched_nestloop")
    assert "Hash Join" in shown("nestloop")
    sql = "explain select * from things t join other o on o.id = t.score"
    assert "Hash Join" in shown()
    assert "Merge Join" in shown("hashjoin", "nestloop")
    assert "Nested Loop" in shown("hashjoin", "mergejoin")


def test_joins_begin_with_what_is_small(db: Database) -> None:
    """Four relations in an unhelpful order: the five rows come first, and all else is found by indexes from there."""
    sql = (
        "select * from other o, things t, few f, things u "
        "where o.thing = t.id and t.grp = f.id and u.id = o.id and f.label = 'label 3'"
    )
    lines = [line.strip() for line in db.plan(sql) if "using" in line]
    assert "few_pkey on few f" in lines[0]
    assert "things_grp_idx on things t" in lines[1]
    assert "other_thing_idx on other o" in lines[2]
    assert "things_pkey on things u" in lines[3]


def test_estimates_come_from_statistics(db: Database) -> None:
    def rows(sql: str) -> int:
        return int(db.plan(sql)[0].partition("rows=")[2].partition(" ")[0])

    assert rows("select * from things") == 300
    assert rows("select * from things where state = 'open'") == 6
    assert rows("select * from things where state = 'done'") == 294
    assert rows("select * from things where score < 20") == pytest.approx(150, rel=0.2)
    assert rows("select * from things where score >= 10 and score < 20") == pytest.approx(75, rel=0.3)
    assert rows("select * from things where amount is null") == 60
    assert rows("select * from things t join other o on o.thing = t.id") == pytest.approx(300, rel=0.2)


def test_a_statement_with_literals_is_planned_with_them_where_that_matters(db: Database) -> None:
    """Its template's parameter would imply no partial index."""
    cache = PlanCache()
    sql = "select id, score from things where state = 'open' and score > 20"
    assert cache.simple(sql, db.snapshot, ("public",), None, SessionFormat()) is None
    assert cache.simple("select * from few where id = 3", db.snapshot, ("public",), None, SessionFormat()) is not None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select max(id) from things", "Index Only Scan Backward using things_pkey"),
        ("select min(id) from things where id > 17", "Index Only Scan using things_pkey"),
        ("select max(grp) + 1 from things", "Backward using things_grp_idx"),
        ("select min(name) from things where grp = 4", "Index Only Scan using things_grp_idx"),
        ("select max(thing) from other where thing < 50 and note like '%5'", "other_thing_idx"),
    ],
)
def test_the_least_and_the_greatest_are_the_first_of_an_index(
    plain: Database, db: Database, sql: str, expected: str
) -> None:
    assert expected in plan(db, sql)
    assert "Limit" in plan(db, sql)
    db.store.scans.clear()
    (row,) = db.rows(sql)
    assert sum(scan.limit or 1 for scan in db.store.scans) == 1
    column = sql.partition("(")[2].partition(")")[0]
    table = sql.partition(" from ")[2].partition(" where ")
    tail = f" where {table[2]}" if table[2] else ""
    values = [value for (value,) in plain.rows(f"select {column} from {table[0]}{tail}") if value is not None]
    best = max(values) if "max" in sql else min(values)
    assert row[0] == (best + 1 if "+ 1" in sql else best)


def test_the_extreme_of_nothing_is_null(db: Database) -> None:
    assert db.rows("select max(id) from things where id > 100000") == [[None]]
    assert db.rows("select min(score), max(score), count(*) from things where id < 0") == [[None, None, 0]]


def test_large_tables_in_key_order_are_merged(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "select t.id, o.note from things t join other o on o.id = t.id where o.note <> 'note 5' and t.score > 3"
    expected = sorted(map(repr, db.rows(sql)))
    assert "Hash Join" in plan(db, sql)
    monkeypatch.setattr(merging, "HASHED_BYTES_MAX", 1 << 10)
    assert "Merge Join" in plan(db, sql)
    assert "Sort" not in plan(db, sql)
    assert sorted(map(repr, db.rows(sql))) == expected
    left = sql.replace("join other", "left join other").replace("where", "and")
    assert "Merge Left Join" in plan(db, left)
    assert len(db.rows(left)) == 300


def test_an_order_that_merging_has_undone_is_made_again(db: Database) -> None:
    sql = "select id from things t where exists (select 1 from other o where o.thing = t.grp and o.id > 51) order by id"
    off = frozenset(("hashjoin", "nestloop"))
    assert "Merge Semi Join" in str(db.run(db.prepare(f"explain {sql}", off))[1])
    assert db.run(db.prepare(sql, off))[1] == sorted(db.rows(sql))


def test_merging_duplicates_and_nulls() -> None:
    columns = ["id integer", "k integer"]
    db = Database(table(900, "a", columns, ["id"]), table(950, "b", columns, ["id"]))
    for at in range(60):
        db.execute("insert into a values ($1, nullif($1 % 7, 3))", at)
        db.execute("insert into b values ($1, nullif($1 % 11, 3))", at)
    for sql in (
        "select a.id, b.id from a join b on a.k = b.k",
        "select a.id, b.id from a left join b on a.k = b.k and b.id > a.id",
        "select a.id from a where exists (select 1 from b where b.k = a.k and b.id < 5)",
        "select a.id from a where not exists (select 1 from b where b.k = a.k)",
    ):
        prepared = db.prepare(sql, frozenset(("hashjoin", "nestloop")))
        assert sorted(map(repr, db.run(prepared)[1])) == sorted(map(repr, db.rows(sql)))
