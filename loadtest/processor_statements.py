"""What a statement costs a processor, in microseconds of CPU: session, SQL engine and transaction, without the network.

Storage and the adjudicator answer from a dictionary in the next turn of a loop that is no event loop, so the figures
hold nothing but a processor's own work: pgwire in, plan, execute, one read, one commit, pgwire out.

    python loadtest/processor_statements.py [statements]
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tausql.pgwire import client
from tausql.processor.service import ProcessorService
from tausql.processor.settings import ProcessorSettings
from tausql.protocol.adjudicator import Commit, Committed, Holding
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.keys import KeyKind, entry_key, key_encoder, relation_prefix
from tausql.protocol.processor import SessionStart
from tausql.protocol.rows import encode_stored
from tausql.protocol.storage import Page, Read, Rows, SchemaVersions
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Interval
from tausql.sql.catalogue.descriptors import Column, Index, Table
from tausql.sql.catalogue.system import RELATIONS, encode_table, system_keys, system_range

TABLE, INDEX, GROUPS, ROWS = 30_000, 30_001, 300, 1_000
row_key = key_encoder(relation_prefix(1, TABLE), [KeyKind.integer])
group_key = key_encoder(relation_prefix(1, INDEX), [KeyKind.integer])


class Clock:
    ready = True

    def now(self) -> Interval:
        micros = time.time_ns() // 1000
        return Interval(micros - 20, micros + 20)


class Never:
    """A timer of a run that is too short for any to fire."""

    def cancel(self) -> None: ...


class Turns:
    """A `Host` whose loop is turned by hand."""

    name, zone = "processor", "a"
    random = random.Random(1)
    clock = Clock()
    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    def soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self._waiting.append((function, arguments))

    def later(self, delay_seconds: float, function: Callable[..., None], *arguments: Any) -> Never:
        return Never()

    def turn(self) -> None:
        waiting = self._waiting
        while waiting:
            function, arguments = waiting.popleft()
            function(*arguments)


class Answers:
    """A `Network` and its channels: storage with one table, an adjudicator that agrees to everything."""

    address, connected = "dictionary:1", True

    def __init__(self, host: Turns) -> None:
        self._host = host
        self._rows = {row_key([n]): encode_stored([n, n % GROUPS, f"note {n}"]) for n in range(ROWS)}
        table = Table(
            TABLE,
            "public",
            "items",
            (Column("id", 23, -1, True, 0), Column("grp", 23, -1, False, 1), Column("note", 25, -1, False, 2)),
            (0,),
            "items_pkey",
            (Index(INDEX, "items_grp_idx", (1,), False),),
        )
        catalogue = Page([system_keys(1).relation((TABLE,))], [encode_table(table)], [], None)
        self._pages = {system_range(1, RELATIONS)[0]: catalogue}  # by where a scan begins
        for number in range(ROWS):
            page = self._pages.setdefault(group_key([number % GROUPS]), Page([], [], [], None))
            key = row_key([number])
            page.keys.append(key)
            page.values.append(self._rows[key])
            page.entries.append(entry_key(group_key, [number % GROUPS], key, False))

    def serve(self, service: str, routes: Any) -> None: ...

    def connect(self, address: str, service: str) -> Answers:
        return self

    def stream(self, request: Any, on_item: Callable[[Any], None], on_end: Callable[[Any], None]) -> None:
        self._host.soon(on_item, Holding(0, (1, 1), True, 0, ((b"", b""),)))

    def call(self, request: Any, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        if isinstance(request, Read):
            pages = [self._pages.get(scan.low, Page([], [], [], None)) for scan in request.scans]
            answer: Any = Rows(1, [self._rows.get(key) for key in request.gets], pages)
        elif isinstance(request, Commit):
            answer = Committed(request.tau_start + 1)
        else:
            answer = SchemaVersions(1, [(0, 1)])
        self._host.soon(done, answer)


class Out:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written = data

    def close(self) -> None: ...

    def when_writable(self, function: Callable[[], None]) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def prepared(name: str, *values: object) -> bytes:
    parameters = [str(value).encode() for value in values]
    return client.bind(parameters, "", name) + client.describe_portal() + client.execute() + client.SYNC


def main(count: int) -> None:
    host = Turns()
    member = (Member("one", "a", "dictionary:1"),)
    fleet = Fleet(storage=member, adjudicator=member)
    processor = ProcessorService(host, Answers(host), Directory(fleet), ProcessorSettings())  # type: ignore[arg-type]
    processor.begin()
    host.turn()
    out = Out()
    session = processor.attach(SessionStart("admin", "postgres", {}), out)
    statements = {
        "get": "SELECT id, grp, note FROM items WHERE id = $1",
        "group": "SELECT id, note FROM items WHERE grp = $1",
        "insert": "INSERT INTO items VALUES ($1, $2, $3)",
        "update": "UPDATE items SET note = $1 WHERE id = $2",
    }
    for name, sql in statements.items():
        session.feed(client.parse(sql, name) + client.SYNC)
        host.turn()
    unnamed = client.parse(statements["get"])
    runs: dict[str, Callable[[int], bytes]] = {
        "point select, prepared": lambda n: prepared("get", n % ROWS),
        "point select, unnamed": lambda n: unnamed + prepared("", n % ROWS),
        "point select, simple": lambda n: client.query(f"SELECT id, grp, note FROM items WHERE id = {n % ROWS}"),
        "index select, prepared": lambda n: prepared("group", n % GROUPS),
        "insert, prepared": lambda n: prepared("insert", ROWS + n, 1, "x"),
        "insert, simple": lambda n: client.query(f"INSERT INTO items VALUES ({ROWS + n}, 1, 'x')"),
        "update, prepared": lambda n: prepared("update", "y", n % ROWS),
    }
    for name, make in runs.items():
        messages = [make(number) for number in range(count)]
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            for message in messages:
                session.feed(message)
                host.turn()
            best = min(best, (time.process_time() - began) / count)
        if b"ERROR" in out.written:
            raise SystemExit(f"{name}: {out.written!r}")
        print(f"{name:24} {best * 1e6:6.1f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
