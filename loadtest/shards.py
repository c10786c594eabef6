"""A million rows: shards split by themselves, a storage replica loses its disk, and everybody goes on meanwhile.

    python -m loadtest.shards [--rows 1000000] [--shard-bytes 16777216] [--loaders 4] [--report shards.md]

Starts a fleet of its own, loads rows with COPY (3,000 a transaction) while one client reads and one writes every few
milliseconds, waits until control has cut the rows into shards, wipes the storage replica of one zone under the same
traffic, waits until it serves everything again, and compares what the replicas hold, by content, at one tau.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from loadtest.tausql_fleet import Fleet, running_fleet
from tausql.chaos.process_blows import wipe
from tausql.local import cluster
from tausql.local.cluster import ProcessEntry
from tausql.protocol import storage
from tausql.rpc.interface import Failure
from tausql.rpc.node import Node, ask
from tausql.runtime.loop import AsyncHost, run_on_host

ROWS_A_TRANSACTION = 3_000  # DSQL's limit
PROBE_SECONDS = 0.005
SETTLED_SECONDS = 30.0  # no new shard for so long: splitting is over
WAIT_SECONDS_MAX = 600.0
TABLE = "CREATE TABLE readings (id bigint PRIMARY KEY, sensor integer NOT NULL, value double precision, note text)"


@dataclass(slots=True)
class Probe:
    """One client that does one thing again and again. `longest`: the longest time without a success, by phase."""

    name: str
    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)
    last: float = 0.0
    phase: str = "load"

    def success(self) -> None:
        now = time.monotonic()
        self.note(now)
        self.last = now
        self.done += 1

    def note(self, now: float) -> None:
        if self.last:
            self.longest[self.phase] = max(self.longest.get(self.phase, 0.0), now - self.last)

    def run(self, connection: str, statement: Callable[[int], str], stop: threading.Event) -> None:
        client: psycopg.Connection[Any] | None = None
        number = 0
        while not stop.is_set():
            number += 1
            try:
                if client is None:
                    client = psycopg.connect(connection, autocommit=True)
                client.execute(statement(number).encode())
                self.success()
            except psycopg.Error as error:
                code = error.sqlstate or "connection"
                self.errors[code] = self.errors.get(code, 0) + 1
                if client is None or client.closed:
                    client = None
                self.note(time.monotonic())
            time.sleep(PROBE_SECONDS)
        if client is not None:
            client.close()


def load(connection: str, first: int, rows: int, failures: list[str]) -> None:
    """Rows `first` to `first + rows`, spread over the key space as random keys would be."""
    with psycopg.connect(connection, autocommit=True) as client:
        for start in range(first, first + rows, ROWS_A_TRANSACTION):
            count = min(ROWS_A_TRANSACTION, first + rows - start)
            for attempt in range(20):
                try:
                    with client.cursor().copy("COPY readings FROM STDIN") as copy:
                        for number in range(start, start + count):
                            copy.write_row((spread(number), number % 1000, number / 7, f"reading {number} of a sensor"))
                    break
                except psycopg.errors.SerializationFailure as error:
                    if attempt == 19:
                        failures.append(str(error))
                        return
                except psycopg.Error as error:
                    failures.append(f"{error.sqlstate}: {error}")
                    return


def spread(number: int) -> int:
    """A bijection of 63-bit numbers that leaves no order behind."""
    return number * 6_364_136_223_846_793_005 % (1 << 63)


def storages(fleet: Fleet) -> list[ProcessEntry]:
    found = cluster.load(fleet.folder)
    return [one for one in found.processes if "storage" in one.service.split("+")] if found is not None else []


def status(fleet: Fleet, entry: ProcessEntry) -> dict[str, Any]:
    """What a storage process says of itself; {} while it cannot be asked."""
    try:
        answer: dict[str, Any] = httpx.get(f"http://{fleet.host}:{entry.http_port}/status", timeout=5.0).json()
    except (httpx.HTTPError, ValueError):
        return {}
    found: dict[str, Any] = answer.get("storage", {})
    return found


def shards_of(fleet: Fleet) -> dict[str, list[dict[str, Any]]]:
    return {entry.name: status(fleet, entry).get("shards", []) for entry in storages(fleet)}


def wait_until_cut(fleet: Fleet) -> int:
    """How many shards there are once no more come."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    count, since = 0, time.monotonic()
    while time.monotonic() < end:
        now = max(len(shards) for shards in shards_of(fleet).values())
        if now != count:
            count, since = now, time.monotonic()
        elif count > 1 and time.monotonic() - since > SETTLED_SECONDS:
            return count
        time.sleep(0.5)
    raise RuntimeError(f"{count} shards after {WAIT_SECONDS_MAX:.0f} s")


def wait_until_whole(fleet: Fleet, name: str) -> float:
    """Seconds until the replica serves everything again."""
    begun = time.monotonic()
    while time.monotonic() - begun < WAIT_SECONDS_MAX:
        entry = next(one for one in storages(fleet) if one.name == name)
        if status(fleet, entry).get("serving") == [["", ""]]:
            return time.monotonic() - begun
        time.sleep(0.1)
    raise RuntimeError(f"{name} does not serve everything after {WAIT_SECONDS_MAX:.0f} s")


def digests(fleet: Fleet) -> dict[str, tuple[int, int]]:
    """Rows and content hash of every replica, at one tau."""
    entries = storages(fleet)
    tau = min(int(status(fleet, entry)["watermark"]) for entry in entries)
    found: dict[str, tuple[int, int]] = {}

    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", storage.MESSAGES)
        await node.start()
        for entry in entries:
            channel = node.connect(f"{fleet.host}:{entry.port}", "storage")
            rows = total = 0
            low: bytes | None = b""
            while low is not None:
                answer = await ask(channel, storage.Digest(low, b"", tau), 30.0)
                if isinstance(answer, Failure) or not isinstance(answer, storage.Digested):
                    raise RuntimeError(f"{entry.name} cannot tell: {answer}")
                rows, total, low = rows + answer.rows, (total + answer.state_hash) % (1 << 64), answer.resume
            found[entry.name] = (rows, total)
        await node.close()

    run_on_host(body, name="shards")
    return found


def measure(options: argparse.Namespace) -> tuple[list[str], bool]:
    """Lines of the report, and whether all went well."""
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with running_fleet(options.shape, "--shard-bytes", str(options.shard_bytes)) as fleet:
        with psycopg.connect(fleet.connection, autocommit=True) as client:
            client.execute(TABLE)
            client.execute("CREATE TABLE beats (id bigint PRIMARY KEY, at timestamptz)")
            client.execute("INSERT INTO readings VALUES (-1, 0, 0, 'the first')")
        stop = threading.Event()
        reader, writer = Probe("reads"), Probe("writes")
        probes = (reader, writer)
        threads = [
            threading.Thread(
                target=reader.run,
                args=(fleet.connection, lambda _: "SELECT value FROM readings WHERE id = -1", stop),
            ),
            threading.Thread(
                target=writer.run,
                args=(fleet.connection, lambda number: f"INSERT INTO beats VALUES ({number}, now())", stop),
            ),
        ]
        for thread in threads:
            thread.start()
        failures: list[str] = []
        begun = time.monotonic()
        share = -(-options.rows // options.loaders)
        loaders = [
            threading.Thread(
                target=load,
                args=(fleet.connection, at * share, min(share, options.rows - at * share), failures),
            )
            for at in range(options.loaders)
        ]
        for loader in loaders:
            loader.start()
        for loader in loaders:
            loader.join()
        seconds = time.monotonic() - begun
        tell(
            f"{options.rows} rows in {seconds:.0f} s ({options.rows / seconds:.0f} a second), {options.loaders} clients"
        )
        for one in probes:
            one.phase = "splitting"
        tell(f"{wait_until_cut(fleet)} shards, {time.monotonic() - begun - seconds:.0f} s after the load")
        for one in probes:
            one.phase = "wiped"
        victim = storages(fleet)[-1]
        wipe(fleet.folder, victim, ["storage"])
        time.sleep(1.0)
        tell(f"{victim.name} wiped: serves everything again after {wait_until_whole(fleet, victim.name) + 1.0:.1f} s")
        for one in probes:
            one.phase = "after"
        time.sleep(2.0)
        stop.set()
        for thread in threads:
            thread.join()
        with psycopg.connect(fleet.connection, autocommit=True) as client:
            row = client.execute("SELECT count(*) FROM readings").fetchone()
        assert row is not None
        counted = row[0]
        found = digests(fleet)
        tell(f"rows counted: {counted}; digests at one tau: " + ", ".join(
            f"{name} {rows} rows {total:016x}" for name, (rows, total) in sorted(found.items())))  # fmt: skip
        for one in probes:
            gaps = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in one.longest.items())
            tell(f"{one.name}: {one.done} done, errors {one.errors or 'none'}; longest pause: {gaps}")
        tell("failures while loading: " + ("; ".join(failures) or "none"))
        well = not failures and counted == options.rows + 1 and len(set(found.values())) == 1
        tell("equal on every replica, nothing missing" if well else "NOT AS IT SHOULD BE")
    return lines, well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shard-bytes", type=int, default=16 << 20)
    parser.add_argument("--loaders", type=int, default=4)
    parser.add_argument("--shape", default="packed", choices=("packed", "separate"))
    parser.add_argument("--report", type=Path, default=None)
    options = parser.parse_args()
    lines, well = measure(options)
    if options.report is not None:
        options.report.write_text("\n".join(lines) + "\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
