"""`make bench`: the ordering application on TauSQL and, in the same run, on PostgreSQL with two synchronous standbys.

Machines are shared and noisy: only ratios of the same minutes mean something. So the systems take turns, run by run,
and medians are compared. Both are asked over plain TCP on loopback, by the same pgbench with the same scripts.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from loadtest.measures import Run, cpu_seconds, median, memory_mib, percentile
from loadtest.orders import schema
from loadtest.postgres import processes_of, programs, quorum_postgres
from loadtest.tausql_fleet import Fleet, running_fleet

CUT_ATTEMPTS = 60  # control plans nothing in the first seconds
BATCH = 500  # orders a loading transaction: 1,500 rows, within the limit of 3,000
LOAD_ATTEMPTS_MAX = 10


@dataclass(slots=True)
class Target:
    """A system under test."""

    name: str
    connection: str
    environment: dict[str, str]
    pids: Callable[[], list[int]]
    index_statement: str
    results: dict[str, list[Run]] = field(default_factory=dict)

    def connect(self, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.connection, autocommit=autocommit)


def prepare(target: Target, orders: int) -> None:
    """Tables, data, indexes."""
    chance = random.Random(7)
    with target.connect() as connection:
        for statement in schema.TABLES:
            connection.execute(statement)
        for start in range(1, orders + 1, BATCH):
            numbers = range(start, min(start + BATCH, orders + 1))
            orders_rows = [schema.order_row(number, chance) for number in numbers]
            item_rows = [row for number in numbers for row in schema.item_rows(number, chance)]
            load(connection, {"orders": orders_rows, "order_items": item_rows})
        for name, columns in schema.INDEXES:
            made = connection.execute(target.index_statement.format(name=name, columns=columns))
            job = made.fetchone() if made.description is not None else None  # TauSQL builds it in the background
            if job is not None:
                connection.execute(f"CALL sys.wait_for_job('{job[0]}')")
        connection.execute("ANALYZE")


def load(connection: psycopg.Connection[Any], tables: dict[str, list[Any]]) -> None:
    """All rows in one transaction, again at 40001: a fleet that has just come up still deals out keys."""
    for attempt in range(LOAD_ATTEMPTS_MAX):
        try:
            with connection.transaction():
                for table, rows in tables.items():
                    with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)
            return
        except psycopg.errors.SerializationFailure:
            if attempt == LOAD_ATTEMPTS_MAX - 1:
                raise
            time.sleep(0.1 * (attempt + 1))


def pgbench(target: Target, script: str, clients: int, seconds: int) -> Run:
    """One run of a script, every transaction's latency logged."""
    with tempfile.TemporaryDirectory(prefix="tausql-pgbench-") as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script)
        pids = target.pids()
        before = cpu_seconds(pids)
        how = ["-n", "-M", "prepared", "-f", "script.sql", "-c", str(clients), "-j", "1", "-T", str(seconds)]
        done = subprocess.run(
            [str(programs() / "pgbench"), *how, "-l", "--max-tries=20"],
            cwd=folder,
            env=target.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        used = cpu_seconds(pids) - before
        if done.returncode:
            raise RuntimeError(f"pgbench on {target.name}: {done.stderr[-2000:]}")
        latencies = sorted(
            int(line.split()[2]) / 1000
            for log in folder.glob("pgbench_log.*")
            for line in log.read_text().splitlines()
            if line.split()[2].isdigit()
        )
    retried = re.search(r"number of transactions retried: (\d+)", done.stdout)
    failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
    count = len(latencies)
    return Run(
        count,
        seconds,
        percentile(latencies, 0.5),
        percentile(latencies, 0.9),
        percentile(latencies, 0.99),
        used / max(count, 1) * 1e6,
        int(retried[1]) if retried else 0,
        int(failed[1]) if failed else 0,
    )


def date_range(target: Target, orders: int, one_transaction: bool, rounds: int) -> Run:
    """100 orders of a day, then the items of each: 101 selects."""
    chance = random.Random(11)
    latencies: list[float] = []
    pids = target.pids()
    with target.connect(autocommit=not one_transaction) as connection:
        before = cpu_seconds(pids)
        begun = time.perf_counter()
        for _ in range(rounds):
            day = schema.created(chance.randrange(1, orders) // schema.ORDERS_PER_DAY * schema.ORDERS_PER_DAY)
            start = time.perf_counter()
            days = (day, day.replace(hour=23))
            found = connection.execute(schema.SELECT_RANGE.format("%s", "%s"), days, prepare=True)
            for row in found.fetchall():
                connection.execute(schema.SELECT_ITEMS.format("%s"), (row[0],), prepare=True).fetchall()
            if one_transaction:
                connection.rollback()
            latencies.append((time.perf_counter() - start) * 1000)
        seconds = time.perf_counter() - begun
    latencies.sort()
    used = cpu_seconds(pids) - before
    p50, p90, p99 = (percentile(latencies, fraction) for fraction in (0.5, 0.9, 0.99))
    return Run(rounds, seconds, p50, p90, p99, used / rounds * 1e6)


def idle(fleet: Fleet, seconds: float) -> tuple[float, float]:
    """(CPU of the idle fleet in % of a core, first statement after it in ms)."""
    with psycopg.connect(fleet.connection, autocommit=True) as connection:
        connection.execute(schema.SELECT_ORDER.format("%s"), (1,)).fetchall()
        pids = fleet.pids()
        before = cpu_seconds(pids)
        time.sleep(seconds)
        share = (cpu_seconds(pids) - before) / seconds * 100
        start = time.perf_counter()
        connection.execute(schema.SELECT_ORDER.format("%s"), (2,)).fetchall()
        return share, (time.perf_counter() - start) * 1000


def report(postgres: Target, others: list[Target]) -> None:
    heads = ("workload", "system", "p50 ms", "p90 ms", "p99 ms", "tx/s", "CPU us/tx", "p50 ratio", "rate ratio")
    print("\n| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for workload, base in postgres.results.items():
        for target in (postgres, *others):
            runs = target.results[workload]
            figures = [f"{median(runs, field):.3f}" for field in ("p50", "p90", "p99")]
            figures += [f"{median(runs, 'rate'):.0f}", f"{median(runs, 'cpu_us'):.0f}"]
            figures += [f"{median(runs, 'p50') / median(base, 'p50'):.2f}"]
            figures += [f"{median(runs, 'rate') / median(base, 'rate'):.2f}"]
            print(f"| {workload} | {target.name} | " + " | ".join(figures) + " |")
    for target in others:
        retries = sum(run.retries for runs in target.results.values() for run in runs)
        failures = sum(run.failures for runs in target.results.values() for run in runs)
        print(f"\n{target.name}: {retries} transactions retried, {failures} failed")


def measure(targets: list[Target], orders: int, runs: int, seconds: int) -> None:
    get = schema.PGBENCH_GET.format(orders=orders)
    work: list[tuple[str, Callable[[Target], Run]]] = [
        ("create order, 1 client", lambda target: pgbench(target, schema.PGBENCH_CREATE, 1, seconds)),
        ("create order, 16 clients", lambda target: pgbench(target, schema.PGBENCH_CREATE, 16, seconds)),
        ("get order, 1 client", lambda target: pgbench(target, get, 1, seconds)),
        ("get order, 16 clients", lambda target: pgbench(target, get, 16, seconds)),
        ("date range, autocommit", lambda target: date_range(target, orders, False, 20)),
        ("date range, one transaction", lambda target: date_range(target, orders, True, 20)),
    ]
    for workload, once in work:
        for number in range(runs):
            for target in targets:
                run = once(target)
                target.results.setdefault(workload, []).append(run)
                said = f"{workload}, run {number + 1}, {target.name}"
                print(f"{said}: p50 {run.p50:.3f} ms, {run.rate:.0f}/s", flush=True)


def target_of(fleet: Fleet, name: str) -> Target:
    statement = "CREATE INDEX ASYNC {name} ON {columns}"
    return Target(name, fleet.connection, fleet.environment, fleet.pids, statement)


def cut(fleet: Fleet, shards: int) -> None:
    """Cut the rows into so many storage shards, and wait until every replica has it so."""
    control = next(entry for entry in fleet.processes() if "control" in str(entry["service"]))
    page = f"http://{fleet.host}:{control['http_port']}/v1"
    for key in schema.cuts(shards):
        for _ in range(CUT_ATTEMPTS):
            if httpx.post(f"{page}/shards/split", json={"key": key.hex()}, timeout=5.0).is_success:
                break
            time.sleep(0.5)
        else:
            raise RuntimeError(f"control does not cut at {key.hex()}")
    time.sleep(2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=("packed", "separate", "both"), default="both")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="length of one pgbench run")
    parser.add_argument("--orders", type=int, default=5000, help="orders loaded before")
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1, help="storage shards the rows are cut into")
    parser.add_argument("--beside-one", action="store_true", help="take turns with a fleet of one stream and one shard")
    options = parser.parse_args()
    with quorum_postgres() as port:
        connection = f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable"
        environment = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        postgres = Target(
            "PostgreSQL", connection, environment, lambda: processes_of(port), "CREATE INDEX {name} ON {columns}"
        )
        prepare(postgres, options.orders)
        for shape in ("packed", "separate") if options.shape == "both" else (options.shape,):
            postgres.results.clear()
            with contextlib.ExitStack() as fleets:
                fleet = fleets.enter_context(running_fleet(shape, "--streams", str(options.streams)))
                target = target_of(fleet, f"TauSQL {shape}")
                prepare(target, options.orders)
                cut(fleet, options.shards)
                targets = [target]
                if options.beside_one:
                    one = fleets.enter_context(running_fleet(shape, "--streams", "1"))
                    targets.append(target_of(one, f"TauSQL {shape}, one stream, one shard"))
                    prepare(targets[1], options.orders)
                measure([postgres, *targets], options.orders, options.runs, options.seconds)
                report(postgres, targets)
                share, first = idle(fleet, options.idle_seconds)
                print(f"\n{target.name}: start {fleet.start_seconds:.1f} s, idle CPU {share:.2f} % of a core, ", end="")
                print(f"first statement after {options.idle_seconds:.0f} s idle {first:.1f} ms")
                for entry in fleet.processes():
                    print(f"  {entry['name']}: {memory_mib(int(str(entry['pid']))):.0f} MiB (PSS)")


if __name__ == "__main__":
    main()
