"""A transaction over a dictionary: what the statement side is tested against.

Each statement gets its own view: it sees what was there when it began, not what it writes itself. Awaitables are ready
when they are made, so `run` can drive a statement's coroutine to its end without a loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Sequence
from typing import Any

from sortedcontainers import SortedDict

from tausql.processor.partial_totals import as_rows
from tausql.protocol.keys import row_key_of
from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Scan, sampled
from tausql.protocol.totals import Folding
from tausql.sql.catalogue.system import FIRST_USER_OID
from tausql.sql.execution.referential import Deferred

Entry = tuple[bytes, bytes]


class Ready:
    """An awaitable whose value is there."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self.value
        yield


def run(coroutine: Any) -> Any:
    """Drives a coroutine that never has to wait."""
    if isinstance(coroutine, Ready):
        return coroutine.value
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the statement waits for something that is not there")


class MemoryStore:
    """The committed state, and counters of what was asked."""

    def __init__(self) -> None:
        self.entries: SortedDict = SortedDict()
        self.gets = 0
        self.read_bytes = 0
        self.written_bytes = 0
        self.scans: list[Scan] = []
        self.round_trips = 0
        self.locked: list[tuple[str, bytes]] = []
        self.schema_changes: list[int] = []
        self.deferred = Deferred()

    def statement(self) -> MemoryTransaction:
        return MemoryTransaction(self, SortedDict(self.entries))


class MemoryTransaction:
    def __init__(self, store: MemoryStore, snapshot: SortedDict) -> None:
        self.store = store
        self.snapshot = snapshot

    def get(self, relation: int, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        self.store.gets += 1
        self.store.round_trips += 1
        return Ready([self.snapshot.get(key) for key in keys])

    def usage(self) -> tuple[int, int]:
        return self.store.read_bytes, self.store.written_bytes

    def scan(self, relation: int, scan: Scan) -> MemoryScanner:
        self.store.scans.append(scan)
        return MemoryScanner(self, scan)

    def scan_many(self, relation: int, scans: Sequence[Scan]) -> Awaitable[list[list[Entry]]]:
        self.store.round_trips += 1
        self.store.scans.extend(scans)
        return Ready([self.rows(scan) for scan in scans])

    def rows(self, scan: Scan) -> list[Entry]:
        if scan.aggregation is not None:
            folding = Folding(scan.aggregation)
            folding.add([decode_stored(value) for _, value in self.rows(as_rows(scan))])
            return [(b"", value) for value in folding.partials()]
        keys = list(self.snapshot.irange(scan.low, scan.high or None, (True, False), scan.reverse))
        passes = compile_tests(scan.tests)
        project = compile_projection(scan.projection) if scan.projection is not None else None
        found: list[Entry] = []
        for key in keys:
            value = self.snapshot[key]
            if scan.fetch:
                key = row_key_of(value)
                value = self.snapshot[key]
            stored = decode_stored(value) if scan.tests or project is not None else []  # entries are no arrays
            if passes(stored) and (not scan.sample or sampled(key, scan.sample)):
                found.append((key, value if project is None else project(stored)))
                if scan.limit and len(found) >= scan.limit:
                    break
        return found

    def insert_row(self, relation: int, key: bytes, value: bytes) -> None:
        self.store.entries[key] = value
        self.store.written_bytes += max(len(value), 128)

    def update_row(self, relation: int, key: bytes, value: bytes, key_columns_changed: bool) -> None:
        assert key in self.store.entries or relation < FIRST_USER_OID  # a built-in schema's first row, a comment
        self.store.entries[key] = value

    def delete_row(self, relation: int, key: bytes) -> None:
        self.store.entries.pop(key, None)

    def lock_row(self, relation: int, key: bytes) -> None:
        self.store.locked.append(("update", key))

    def share_key(self, relation: int, key: bytes) -> None:
        self.store.locked.append(("share", key))

    def share_row(self, relation: int, key: bytes) -> None:
        self.store.locked.append(("row", key))

    def put_entry(self, relation: int, key: bytes, value: bytes, unique: bool) -> None:
        self.store.entries[key] = value

    def delete_entry(self, relation: int, key: bytes, unique: bool) -> None:
        self.store.entries.pop(key, None)

    def beside(self) -> MemoryTransaction:
        return self.store.statement()

    def later(self) -> MemoryTransaction:
        return self.store.statement()

    def deferred(self) -> Deferred:
        return self.store.deferred

    def change_schema(self, relation: int) -> None:
        self.store.schema_changes.append(relation)


class MemoryScanner:
    def __init__(self, transaction: MemoryTransaction, scan: Scan) -> None:
        self.transaction = transaction
        self.scan = scan
        self.rows: list[Entry] | None = None
        self.examined = 0

    def next_page(self) -> Awaitable[list[Entry]]:
        self.transaction.store.round_trips += 1
        if self.rows is None:
            self.rows = self.transaction.rows(self.scan)
            self.examined = len(list(self.transaction.snapshot.irange(self.scan.low, self.scan.high, (True, False))))
            self.transaction.store.read_bytes += sum(len(key) + len(value) for key, value in self.rows)
        page, self.rows = self.rows[: self.scan.page_rows], self.rows[self.scan.page_rows :]
        return Ready(page)
