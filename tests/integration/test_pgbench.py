"""pgbench in every protocol mode: nothing fails but what a retry mends, and the tables agree with its counts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from loadtest.orders import schema
from loadtest.orders.bench import Target, prepare
from loadtest.postgres import programs
from loadtest.tausql_fleet import Fleet, running_fleet

pytestmark = pytest.mark.fleet

ORDERS = 500
SECONDS = 2


@pytest.fixture(scope="module")
def shop() -> Iterator[Fleet]:
    """A fleet with orders, their items and the indexes."""
    with running_fleet("packed") as fleet:
        statement = "CREATE INDEX ASYNC {name} ON {columns}"
        prepare(Target("TauSQL", fleet.connection, fleet.environment, fleet.pids, statement), ORDERS)
        yield fleet


def _orders(fleet: Fleet) -> int:
    with psycopg.connect(fleet.connection, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM orders").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("clients", [1, 16, 64])
@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_meets_no_error_but_conflicts(shop: Fleet, tmp_path: Path, mode: str, clients: int) -> None:
    (tmp_path / "create.sql").write_text(schema.PGBENCH_CREATE)
    (tmp_path / "get.sql").write_text(schema.PGBENCH_GET.format(orders=ORDERS))
    before = _orders(shop)
    files = ["-f", "create.sql", "-f", "get.sql"]
    how = ["-n", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(SECONDS), "--max-tries=10", "--failures-detailed"]
    done = subprocess.run(
        [str(programs() / "pgbench"), *how, *files],
        cwd=tmp_path,
        env=shop.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    print(_summary(done.stdout))
    assert done.returncode == 0, done.stderr[-2000:]
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "FATAL" in line or "aborted" in line]
    assert not [line for line in errors if "40001" not in line], errors[:5]
    created, got = (int(count) for count in re.findall(r"^ - (\d+) transactions", done.stdout, re.MULTILINE))
    assert created
    assert got
    # What a client of pgbench was doing when its time was up may be counted or not, and may be there or not.
    made = _orders(shop) - before
    assert abs(made - created) <= clients, (made, created)


def _summary(report: str) -> str:
    wanted = ("query mode", "number of clients", "failed transactions", "retried", "latency average", "tps", " - ")
    return "\n".join(line for line in report.splitlines() if any(word in line for word in wanted))


def test_every_order_has_its_items_afterwards(shop: Fleet) -> None:
    with psycopg.connect(shop.connection, autocommit=True) as connection:
        orders = {row[0] for row in connection.execute("SELECT id FROM orders")}
        counted = {
            row[0]: row[1] for row in connection.execute("SELECT order_id, count(*) FROM order_items GROUP BY order_id")
        }
        row = connection.execute("SELECT count(*) FROM order_items").fetchone()
    assert set(counted) == orders
    assert set(counted.values()) == {schema.ITEMS_PER_ORDER}
    assert row == (schema.ITEMS_PER_ORDER * len(orders),)
