"""What SQL costs: single statements in the processor, and scans, joins and counts of many rows, beside PostgreSQL.

The processor's session, plans and transactions and the storage's reader over RocksDB run in one process, which is
turned by hand, so that the figures are processor time and nothing else: no sockets, no waiting, no other processes.
PostgreSQL's are what its server took by its own EXPLAIN ANALYZE, on the same machine in the same minute.

    python -m loadtest.sql_speed [--rows 1000000] [--no-postgres]
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from loadtest.postgres import single_postgres
from loadtest.processor_statements import Answers, Out, Turns, prepared
from tausql.pgwire import client
from tausql.processor.service import ProcessorService
from tausql.processor.settings import ProcessorSettings
from tausql.protocol.adjudicator import Commit, Committed
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.keys import KeyKind, key_encoder, relation_prefix
from tausql.protocol.processor import SessionStart
from tausql.protocol.ranges import EVERYTHING
from tausql.protocol.rows import encode_stored
from tausql.protocol.storage import Read, SchemaVersions
from tausql.runtime.fleet import Directory
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.system import encode_table, system_keys
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.schema import SchemaHistory
from tausql.storage.store import RocksEngine
from tausql.storage.versions import ROW, version_key

MANY, HUNDRED, LEFT, RIGHT = range(30_000, 30_004)
NAMES = {MANY: "many", HUNDRED: "hundred", LEFT: "left_side", RIGHT: "right_side"}
BATCH = 2_000
TAU = 1_000
STATEMENTS = 2_000

WORK = (  # what, statement, seconds allowed
    ("count(*) of {many} rows", "SELECT count(*) FROM many", 3.0),
    ("sum and max of {many} rows", "SELECT sum(n), max(n) FROM many", None),
    ("count by group of {many} rows", "SELECT grp, count(*) FROM many GROUP BY grp", None),
    ("100,000 rows scanned, few pass", "SELECT id, note FROM hundred WHERE n = 77", 0.5),
    ("100,000 rows scanned, half pass", "SELECT id, note FROM hundred WHERE grp < 150", 0.5),
    ("100,000 rows scanned, tested here", "SELECT id FROM hundred WHERE lower(note) = 'note 5'", 0.5),
    ("10,000 by 10,000 rows joined", "SELECT l.id, r.note FROM left_side l JOIN right_side r ON r.id = l.n", 0.3),
    ("the same, grouped", "SELECT l.grp, sum(r.n) FROM left_side l JOIN right_side r ON r.id = l.n GROUP BY 1", 0.3),
    ("100,000 rows, first 10 by note", "SELECT id FROM hundred ORDER BY note LIMIT 10", None),
    ("100,000 rows sorted", "SELECT id FROM hundred ORDER BY note", None),
)


def row(number: int) -> list[Any]:
    return [number, number % 300, f"note {number}", number * 7919 % 10_000]


class Stored(Answers):
    """Storage as it is, over one store; an adjudicator that agrees to everything."""

    def __init__(self, host: Turns, engine: RocksEngine) -> None:
        super().__init__(host)
        self._reader = Reader(engine, SchemaHistory(), EVERYTHING, 0, PageLimits())

    def call(self, request: Any, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        if isinstance(request, Read):
            answer: Any = self._reader.read(Read(request.tau, (), request.gets, request.scans))
        elif isinstance(request, Commit):
            answer = Committed(request.tau_start + 1)
        else:
            answer = SchemaVersions(1, [(0, 1)])
        self._host.soon(done, answer)


def fill(engine: RocksEngine, sizes: dict[int, int]) -> None:
    columns = (
        Column("id", 23, -1, True, 0), Column("grp", 23, -1, False, 1), Column("note", 25, -1, False, 2),
        Column("n", 23, -1, False, 3),
    )  # fmt: skip
    for oid, rows in sizes.items():
        batch = engine.batch()
        table = Table(oid, "public", NAMES[oid], columns, (0,), f"{NAMES[oid]}_pkey")
        batch.put(version_key(system_keys(1).relation((oid,)), TAU), ROW + encode_table(table))
        key_of = key_encoder(relation_prefix(1, oid), [KeyKind.integer])
        for number in range(rows):
            batch.put(version_key(key_of([number]), TAU), ROW + encode_stored(row(number)))
            if number % BATCH == BATCH - 1:
                engine.write(batch)
                batch = engine.batch()
        engine.write(batch)
    engine.flush()


class Session:
    def __init__(self, engine: RocksEngine) -> None:
        self.host = Turns()
        member = (Member("one", "a", "dictionary:1"),)
        fleet = Directory(Fleet(storage=member, adjudicator=member))
        network: Any = Stored(self.host, engine)
        processor = ProcessorService(self.host, network, fleet, ProcessorSettings())  # type: ignore[arg-type]
        processor.begin()
        self.host.turn()
        self.out = Out()
        self.session = processor.attach(SessionStart("admin", "postgres", {}), self.out)

    def send(self, message: bytes) -> None:
        self.session.feed(message)
        self.host.turn()
        if b"SERROR" in self.out.written:
            raise SystemExit(repr(self.out.written))


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Processor time of one run: the best of `times`."""
    best = float("inf")
    for _ in range(times):
        gc.collect()
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def statements(session: Session) -> Iterator[tuple[str, float, float | None]]:
    """(what, microseconds, allowed)"""
    session.send(client.parse("SELECT id, grp, note FROM left_side WHERE id = $1", "get") + client.SYNC)
    names = [f"s{number}" for number in range(300)]
    runs: tuple[tuple[str, list[bytes], float | None], ...] = (
        ("point select, from the plan cache", [prepared("get", n) for n in range(STATEMENTS)], 60.0),
        (
            "point select, text with literals",
            [client.query(f"SELECT id, grp, note FROM left_side WHERE id = {n}") for n in range(STATEMENTS)],
            250.0,
        ),
        (
            "point select, unprepared",
            [
                client.parse("SELECT id, grp, note FROM left_side WHERE id = $1") + prepared("", n)
                for n in range(STATEMENTS)
            ],
            250.0,
        ),
        (
            "point select, never seen before",
            [client.query(f"SELECT id, grp, note AS {name} FROM left_side WHERE id = 7") for name in names],
            None,
        ),
    )
    for what, messages, allowed in runs:
        times = 1 if allowed is None else 3

        def run(messages: list[bytes] = messages) -> None:
            for message in messages:
                session.send(message)

        yield what, seconds_of(run, times) / len(messages) * 1e6, allowed


def of_postgres(sizes: dict[int, int]) -> dict[str, float]:
    """Seconds that PostgreSQL's executor takes, by statement."""
    found: dict[str, float] = {}
    with single_postgres() as port:
        where = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            for oid, rows in sizes.items():
                connection.execute(f"CREATE TABLE {NAMES[oid]} (id int PRIMARY KEY, grp int, note text, n int)")
                connection.execute(
                    f"INSERT INTO {NAMES[oid]} SELECT g, g % 300, 'note ' || g, g::bigint * 7919 % 10000"
                    f" FROM generate_series(0, {rows - 1}) g"
                )
            connection.execute("VACUUM ANALYZE")
            for _, sql, _ in WORK:
                plans = [connection.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}").fetchone()
                         for _ in range(3)]  # fmt: skip
                found[sql] = min(plan[0][0]["Execution Time"] for plan in plans if plan is not None) / 1000
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the largest table")
    parser.add_argument("--no-postgres", action="store_true", help="TauSQL alone")
    options = parser.parse_args()
    sizes = {MANY: options.rows, HUNDRED: 100_000, LEFT: 10_000, RIGHT: 10_000}
    beside = {} if options.no_postgres else of_postgres(sizes)
    with tempfile.TemporaryDirectory(prefix="tausql-speed-") as folder:
        engine = RocksEngine(Path(folder))
        fill(engine, sizes)
        session = Session(engine)
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)  # as in a process of the fleet
        for what, micros, allowed in statements(session):
            print(f"{what:36} {micros:9.1f} us" + (f"  (<= {allowed:g})" if allowed is not None else ""))
        for what, sql, allowed in WORK:
            taken = seconds_of(partial(session.send, client.query(sql)), 2)
            line = f"{what.format(many=f'{options.rows:,}'):36} {taken:9.3f} s "
            line += f"  (<= {allowed:g})" if allowed is not None else ""
            if sql in beside:
                line += f"  PostgreSQL {beside[sql]:.3f} s"
            print(line)
        engine.close()


if __name__ == "__main__":
    main()
