"""Tables, data and statements of the ordering application, the same for TauSQL and for PostgreSQL.

Keys are random 63-bit integers: what Aurora DSQL advises, so that inserts spread over key ranges. The orders loaded at
the start have the numbers 1 to `orders`, so that readers find them.
"""

from __future__ import annotations

import random
import string
from datetime import UTC, datetime, timedelta

from tausql.protocol.keys import KeyKind, key_encoder, relation_prefix
from tausql.protocol.placing import FIRST_CLUSTER, FIRST_RELATION

TABLES = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, status varchar(20) NOT NULL,"
    " total numeric(12,2) NOT NULL, created timestamptz NOT NULL)",
    "CREATE TABLE order_items (id bigint PRIMARY KEY, order_id bigint NOT NULL, product text NOT NULL,"
    " quantity integer NOT NULL, price numeric(10,2) NOT NULL)",
)
INDEXES = (("order_items_order_id_idx", "order_items (order_id)"), ("orders_created_idx", "orders (created)"))

INSERT_ORDER = "INSERT INTO orders (id, customer_id, status, total, created) VALUES ({}, {}, {}, {}, {})"
INSERT_ITEM = "INSERT INTO order_items (id, order_id, product, quantity, price) VALUES ({}, {}, {}, {}, {})"
SELECT_ORDER = "SELECT id, customer_id, status, total, created FROM orders WHERE id = {}"
SELECT_ITEMS = "SELECT id, order_id, product, quantity, price FROM order_items WHERE order_id = {}"
SELECT_RANGE = (
    "SELECT id, customer_id, status, total, created FROM orders WHERE created >= {} AND created < {}"
    " ORDER BY created LIMIT 100"
)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ITEMS_PER_ORDER = 2
ORDERS_PER_DAY = 100

PGBENCH_CREATE = "\n".join(
    (
        r"\set id random(1000000000, 9000000000000000000)",
        r"\set one random(1000000000, 9000000000000000000)",
        r"\set two random(1000000000, 9000000000000000000)",
        r"\set customer random(1, 10000)",
        "BEGIN;",
        INSERT_ORDER.format(":id", ":customer", "'new'", "42.50", "now()") + ";",
        INSERT_ITEM.format(":one", ":id", "'apples'", "3", "4.25") + ";",
        INSERT_ITEM.format(":two", ":id", "'pears'", "7", "1.99") + ";",
        "END;",
    )
)
PGBENCH_GET = "\n".join(
    (
        r"\set id random(1, {orders})",
        SELECT_ORDER.format(":id") + ";",
        SELECT_ITEMS.format(":id") + ";",
    )
)


def created(number: int) -> datetime:
    return BEGINNING + timedelta(days=number // ORDERS_PER_DAY, seconds=number % ORDERS_PER_DAY)


def order_row(number: int, chance: random.Random) -> tuple[object, ...]:
    status = chance.choice(("new", "paid", "sent"))
    return number, chance.randrange(10_000), status, f"{chance.randrange(100_000) / 100:.2f}", created(number)


def item_rows(number: int, chance: random.Random) -> list[tuple[object, ...]]:
    return [
        (
            number * ITEMS_PER_ORDER + line,
            number,
            "".join(chance.choices(string.ascii_lowercase, k=12)),
            chance.randrange(1, 10),
            f"{chance.randrange(10_000) / 100:.2f}",
        )
        for line in range(ITEMS_PER_ORDER)
    ]


def cuts(shards: int) -> list[bytes]:
    """Keys that cut the rows into `shards` shards (1 to 4): between the two tables, then in the middle of each."""

    def middle(relation: int) -> bytes:
        return key_encoder(relation_prefix(FIRST_CLUSTER, relation), [KeyKind.integer])([1 << 62])

    items = FIRST_RELATION + 1
    return [relation_prefix(FIRST_CLUSTER, items), middle(items), middle(FIRST_RELATION)][: shards - 1]
