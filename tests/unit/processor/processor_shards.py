"""Rows and index entries kept by several storage replicas, and what one replica with all of it would say."""

from __future__ import annotations

from typing import Any

from processor_fleet import TestFleet
from test_processor_transactions import TABLE, begin, run

from tausql.processor.transaction import StatementView
from tausql.protocol.keys import KeyKind, key_encoder, relation_prefix
from tausql.protocol.rows import encode_stored
from tausql.protocol.storage import Scan
from tausql.simulation.world import EPOCH_MICROS
from tausql.sql.access import Entry

INDEX = TABLE + 1
row_key = key_encoder(relation_prefix(1, TABLE), [KeyKind.integer])
entry_key = key_encoder(relation_prefix(1, INDEX), [KeyKind.integer, KeyKind.integer])  # (grp, id)
LOW, HIGH = relation_prefix(1, TABLE), relation_prefix(1, INDEX)  # of the rows
LAST = relation_prefix(1, INDEX + 1)  # of the entries: [HIGH, LAST)


def row_of(number: int, groups: int) -> bytes:
    return encode_stored([number, number % groups, f"row {number}"])


def load(fleet: TestFleet, count: int, groups: int = 7) -> None:
    """Rows 0 to `count` - 1 (id, grp, note) and their entries, by (grp, id), as committed long ago."""
    tau = EPOCH_MICROS - 1_000_000 << 10
    versions = fleet.data.versions
    for number in range(count):
        key = row_key([number])
        versions[key] = [(tau, row_of(number, groups))]
        versions[entry_key([number % groups, number])] = [(tau, key)]


def view(fleet: TestFleet) -> StatementView:
    return begin(fleet).statement(((TABLE, 0),), False)


async def scanned(statement: StatementView, scan: Scan) -> list[Entry]:
    scanner = statement.scan(TABLE, scan)
    rows: list[Entry] = []
    while page := await scanner.next_page():
        rows.extend(page)
    return rows


def scan_all(fleet: TestFleet, scan: Scan) -> list[Entry]:
    found: list[Entry] = run(fleet, scanned(view(fleet), scan))
    return found


def get(fleet: TestFleet, *keys: bytes) -> list[bytes | None]:
    async def body() -> Any:
        return await view(fleet).get(TABLE, list(keys))

    found: list[bytes | None] = run(fleet, body())
    return found


def asked(fleet: TestFleet) -> list[str]:
    """Who was asked since this was called last."""
    names = [name for name, _ in fleet.data.reads]
    fleet.data.reads.clear()
    return names
