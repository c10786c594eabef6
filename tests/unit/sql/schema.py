"""The conformance schema (tests/conformance/sql/schema.sql) as descriptors."""

from __future__ import annotations

from database import Database, table

from tausql.sql.catalogue.descriptors import Table


def tables() -> list[Table]:
    return [
        table(
            100, "customers", ["id int8", "email text not null", "name varchar(30)", "city text"], ["id"],
            [("customers_email_key", ["email"], True)],
        ),
        table(
            200, "orders",
            ["id int8", "customer int8 not null", "created timestamptz not null", "status text default 'new'",
             "total numeric(12,2)", "note varchar(10)"],
            ["id"],
            [("orders_customer_idx", ["customer"], False), ("orders_created_idx", ["created"], False),
             ("orders_customer_created_idx", ["customer", "created"], False)],
            [("orders_total_check", "total >= 0")],
        ),
        table(
            300, "order_items",
            ["order_id int8", "line int4", "sku text not null", "quantity int4 not null default 1",
             "price numeric(10,2)"],
            ["order_id", "line"], [("order_items_sku_idx", ["sku"], False)],
        ),
        table(
            400, "products",
            ["sku text", "title text not null", "price numeric(10,2)", "tags text default 'none'",
             "active bool default true"],
            ["sku"],
        ),
        table(
            500, "things",
            ["id uuid", "a int2", "b int4", "c int8", "d float8", "e bpchar(5)", "f date", "g bool", "h numeric"],
            ["id"], [("things_b_idx", ["b"], False)],
        ),
        table(600, "loose", ["k int4", "v text"]),
        table(700, "tree", ["id int4", "parent int4", "label text"], ["id"], [("tree_parent_idx", ["parent"], False)]),
        table(800, "pairs", ["a int4", "b int4", "c int4"], [], [("pairs_a_b_key", ["a", "b"], True)]),
        table(
            900, "wide",
            ["id int4", *(f"c{n} text" for n in range(1, 6)), *(f"c{n} int4" for n in range(6, 10))], ["id"],
        ),
    ]  # fmt: skip


def database() -> Database:
    return Database(*tables())
