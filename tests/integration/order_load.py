"""Customers who order: each order and its two items in one transaction, and a note of what they were told.

Afterwards the notes and the tables must agree: nothing acknowledged is missing, nothing refused is there, no order is
half there.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg
from loadtest.orders import schema

CLIENT_SPAN = 1_000_000  # order numbers of a client


@dataclass(repr=False)
class OrderLoad:
    """Clients that create orders until `stop` is set. `connection` is a libpq string and may be replaced meanwhile."""

    connection: str
    clients: int = 2
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __repr__(self) -> str:
        told = ", ".join(
            f"{len(orders)} {name}"
            for name, orders in (
                ("acknowledged", self.acknowledged),
                ("refused", self.refused),
                ("unknown", self.unknown),
            )
        )
        return f"{told}, errors {dict(self.errors)}"

    def prepare(self) -> None:
        with psycopg.connect(self.connection, autocommit=True) as connection:
            for statement in schema.TABLES:
                connection.execute(statement)

    def start(self) -> None:
        for number in range(self.clients):
            thread = threading.Thread(target=self._client, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self) -> None:
        """Stop the clients and wait for them. Raises RuntimeError for one that hangs."""
        self.stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            if thread.is_alive():
                raise RuntimeError("an ordering client hangs")

    def _client(self, number: int) -> None:
        connection: psycopg.Connection[Any] | None = None
        order = number * CLIENT_SPAN
        while not self.stop.is_set():
            order += 1
            try:
                if connection is None:
                    connection = psycopg.connect(self.connection)
                self._create(connection, order)
            except psycopg.Error as error:
                self.errors[error.sqlstate or type(error).__name__] += 1
                if connection is None or connection.closed or connection.broken:
                    connection = None
                    self.stop.wait(0.02)
                else:
                    connection.rollback()
        if connection is not None:
            connection.close()

    def _create(self, connection: psycopg.Connection[Any], order: int) -> None:
        committing = False
        try:
            values = (order, order % 100, "new", "42.50", schema.created(order))
            connection.execute(schema.INSERT_ORDER.format(*["%s"] * 5), values)
            for line in range(schema.ITEMS_PER_ORDER):
                item = (order * schema.ITEMS_PER_ORDER + line, order, "apples", 3, "4.25")
                connection.execute(schema.INSERT_ITEM.format(*["%s"] * 5), item)
            committing = True
            connection.commit()
            self.acknowledged.add(order)
        except psycopg.Error as error:
            if committing and not certain(error.sqlstate):
                self.unknown.add(order)
            else:
                self.refused.add(order)
            raise


def certain(sqlstate: str | None) -> bool:
    """Whether an error at COMMIT says that nothing happened."""
    return sqlstate is not None and sqlstate != "40003" and not sqlstate.startswith(("08", "57", "XX"))


def check_orders(connection: str, load: OrderLoad) -> None:
    """Raises AssertionError where the tables contradict what the clients were told."""
    with psycopg.connect(connection) as reading:
        orders = {row[0] for row in reading.execute("SELECT id FROM orders")}
        items = Counter(row[0] for row in reading.execute("SELECT order_id FROM order_items"))
    assert not load.acknowledged - orders, f"acknowledged and missing: {sorted(load.acknowledged - orders)[:10]}"
    assert not load.refused & orders, f"refused and there: {sorted(load.refused & orders)[:10]}"
    assert orders <= load.acknowledged | load.unknown
    assert set(items) == orders, f"items without order or order without items: {sorted(set(items) ^ orders)[:10]}"
    halves = [order for order, count in items.items() if count != schema.ITEMS_PER_ORDER]
    assert not halves, f"half there: {halves[:10]}"
