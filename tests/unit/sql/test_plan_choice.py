"""Which index reads a table, what is pushed to storage, how joins read, and how much they read."""

from __future__ import annotations

import pytest
from database import Database
from schema import database


def filled() -> Database:
    db = database()
    for n in range(1, 60):
        db.execute(
            "insert into orders (id, customer, created, status, total) "
            "values ($1, $2, timestamptz '2024-01-01' + $1 * interval '1 day', $3, $1)",
            n, n % 7, "paid" if n % 2 else "new",
        )  # fmt: skip
        db.execute("insert into order_items values ($1, 1, 'a', 1, 1), ($1, 2, 'b', 2, 2)", n)
    db.store.scans.clear()
    db.store.gets = 0
    db.store.round_trips = 0
    return db


@pytest.fixture(scope="module")
def shared() -> Database:
    return filled()


def text(db: Database, sql: str) -> str:
    return "\n".join(db.plan(sql))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from orders where id = 5", "Index Only Scan using orders_pkey"),
        ("select * from orders where id = 5", "Index Cond: (id = 5)"),
        ("select * from orders where id in (1, 2)", "Index Only Scan using orders_pkey"),
        ("select * from orders where customer = 5", "Index Scan using orders_customer"),
        ("select * from orders where created > '2024-02-01'", "Index Scan using orders_created_idx"),
        ("select * from orders where customer = 1 order by created desc limit 3",
         "Index Scan Backward using orders_customer_created_idx"),
        ("select * from orders order by created limit 3", "Index Scan using orders_created_idx"),
        ("select * from orders order by id desc limit 3", "Index Only Scan Backward using orders_pkey"),
        ("select * from orders where status = 'paid'", "Filters: (status = 'paid'::text)"),
        ("select * from orders where total > 5", "Filters: (total > (5)::numeric)"),
        ("select * from order_items where order_id = 4", "Index Cond: (order_id = 4)"),
        ("select * from order_items where sku = 'a'", "Index Scan using order_items_sku_idx"),
        ("select * from customers where email = 'x'", "Index Scan using customers_email_key"),
        ("select * from loose where k = 1", "Full Scan (btree-table) on loose"),
        ("select c1 from wide where c9 = 1", "Projections: c1\n"),
        ("select * from orders o join order_items i on i.order_id = o.id where o.customer = 3",
         "Nested Loop (Batched Join)"),
        ("select * from orders o join customers c on c.id = o.customer where o.id = 3", "Nested Loop (Batched Join)"),
        ("select * from orders o left join order_items i on i.order_id = o.id where o.id = 3",
         "Join Type: Left"),
        ("select * from wide a join wide b on a.c9 = b.c9", "Hash Join"),
        ("select * from customers c where exists (select 1 from orders o where o.customer = c.id)", "Hash Semi Join"),
        ("select * from customers c where id = 1 and exists (select 1 from orders o where o.customer = c.id)",
         "Join Type: Semi"),
        ("select * from customers c where not exists (select 1 from orders o where o.customer = c.id)",
         "Hash Anti Join"),
        ("select * from orders where id in (select order_id from order_items where sku = 'a')",
         "Index Cond: (SubPlan 1)"),
        ("select * from orders where false", "One-Time Filter: false"),
        ("update orders set note = 'x' where id = 1", "Update on orders"),
        ("delete from orders where customer = 1", "Index Scan using orders_customer"),
    ],
)  # fmt: skip
def test_plans(shared: Database, sql: str, expected: str) -> None:
    assert expected in text(shared, sql) + "\n"


def test_an_order_an_index_gives_needs_no_sort(shared: Database) -> None:
    assert "Sort" not in text(shared, "select * from orders where customer = 1 order by created")
    assert "Sort" not in text(shared, "select * from order_items where order_id = 1 order by line desc")
    assert "Sort" not in text(shared, "select * from order_items order by order_id, line")
    assert "Sort" in text(shared, "select * from order_items order by order_id, line desc")
    assert "Sort" not in text(shared, "select * from orders where id = 3 order by id, status")
    assert "Sort" in text(shared, "select * from loose order by k")


def test_limit_reaches_the_scan() -> None:
    db = filled()
    assert [row[0] for row in db.rows("select id from orders order by created desc limit 4 offset 1")] == [
        58,
        57,
        56,
        55,
    ]
    (scan,) = db.store.scans
    assert (scan.limit, scan.reverse, scan.fetch) == (5, True, False)  # the entries have all that is asked for
    db.store.scans.clear()
    db.rows("select id from orders where lower(status) = 'new' order by id limit 1")
    (scan,) = db.store.scans
    assert scan.limit == 0
    assert scan.page_rows < 1000


def test_point_reads_are_one_round_trip() -> None:
    db = filled()
    assert db.rows("select status from orders where id = 7") == [["paid"]]
    assert (db.store.gets, db.store.round_trips, db.store.scans) == (1, 1, [])
    db.rows("select * from orders where id in (1, 2, 3, 4, 5)")
    assert db.store.gets == 2


def test_joins_read_the_inner_table_in_batches() -> None:
    db = filled()
    rows = db.rows("select o.id, i.line from orders o join order_items i on i.order_id = o.id where o.customer = 3")
    assert len(rows) == 18
    assert db.store.round_trips <= 4
    db.store.round_trips = 0
    rows = db.rows(
        "select i.order_id, o.status from order_items i join orders o on o.id = i.order_id where i.sku = 'a'"
    )
    assert len(rows) == 59
    assert db.store.round_trips <= 4


def test_comparing_across_types_keeps_the_right_rows(shared: Database) -> None:
    """Only comparisons within a family of types become key ranges."""
    assert shared.rows("select id from orders where id = 3.0") == [[3]]
    assert shared.rows("select id from orders where id < 2.5 order by id") == [[1], [2]]
    assert shared.rows("select id from orders where id = 3::int2") == [[3]]
    assert shared.rows("select count(*) from orders where created >= date '2024-02-01'") == [[29]]
    assert shared.rows("select count(*) from orders where created < timestamp '2024-01-03'") == [[1]]
    assert shared.rows("select id from orders where id = null") == []
    assert shared.rows("select id from orders where id in (1, null, 2) order by id") == [[1], [2]]
    assert shared.rows("select id from orders where id > 5 and id > 57 order by id") == [[58], [59]]
    assert shared.rows("select id from orders where id = 5 and id = 6") == []


def test_parameters_reach_keys_and_limits(shared: Database) -> None:
    assert shared.rows("select id from orders where id = $1", 9) == [[9]]
    assert shared.rows("select id from orders where id = any($1) order by id", [3, 1, None, 3]) == [[1], [3]]
    assert shared.rows("select id from orders where id > $1 order by id limit $2", 10, 2) == [[11], [12]]
    assert shared.rows("select id from orders where id = $1", None) == []


def test_explain_analyze_counts_rows_and_runs_writes() -> None:
    db = filled()
    lines = db.plan("analyze select * from orders where customer = 1")
    assert "rows=9 loops=1)" in lines[0]
    before = db.rows("select count(*) from orders")
    db.plan("delete from orders where id = 1")
    assert db.rows("select count(*) from orders") == before
    db.plan("analyze delete from orders where id = 1")
    assert db.rows("select count(*) from orders") == [[before[0][0] - 1]]
    assert db.rows("explain (format json) select 1")[0][0].startswith("[")
