"""Statistics as rows of the system's `statistics` table.

What is there: (oid, 0) holds a `TableRow`, (oid, attnum) a `ColumnRow`, (0, 0) the `Journal` by
which processors notice that there is something new.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.statistics import ColumnStatistics, TableStatistics
from tausql.sql.catalogue.system import STATISTICS, encode_row, system_keys
from tausql.sql.tables import AccessCache

JOURNAL_MAX = 20_000  # tables it tells of


class ColumnRow(msgspec.Struct, array_like=True, gc=False):
    """One column. `distinct` as in pg_stats.n_distinct: a number, or, negative, a share of the rows. Values are as
    stored in rows; `fractions` of all rows, NULLs included."""

    attnum: int
    null_fraction: float
    width: int  # bytes on average
    distinct: float
    common: list[Any]
    fractions: list[float]
    histogram: list[Any]  # bounds of equally full buckets of what is not in `common`
    correlation: float | None


class TableRow(msgspec.Struct, array_like=True, gc=False):
    rows: float
    width: int
    analyzed: int  # microseconds since 2000
    sampled: int  # rows looked at


class Journal(msgspec.Struct, array_like=True, gc=False):
    """`tables`: when each was analysed last."""

    tables: dict[int, int]


_decode_table = msgspec.msgpack.Decoder(TableRow).decode
_decode_column = msgspec.msgpack.Decoder(ColumnRow).decode
_decode_journal = msgspec.msgpack.Decoder(Journal).decode


async def read_journal(transaction: Transaction, cluster: int) -> Journal:
    (value,) = await transaction.get(STATISTICS, [system_keys(cluster).statistics((0, 0))])
    return _decode_journal(value) if value is not None else Journal({})


async def read_statistics(transaction: Transaction, snapshot: Snapshot, table: Table) -> TableStatistics | None:
    """None: never analysed."""
    key = system_keys(snapshot.cluster).statistics
    scanner = transaction.scan(STATISTICS, Scan(key((table.oid, 0)), key((table.oid + 1, 0))))
    whole: TableRow | None = None
    columns: dict[int, ColumnStatistics] = {}
    codec = AccessCache().of(snapshot, table).codec
    while page := await scanner.next_page():
        for row_key, value in page:
            if row_key == key((table.oid, 0)):
                whole = _decode_table(value)
                continue
            row = _decode_column(value)
            load = codec.projected([row.attnum - 1]).from_stored
            columns[row.attnum] = ColumnStatistics(
                row.null_fraction,
                row.width,
                row.distinct,
                tuple(load([stored])[0] for stored in row.common),
                tuple(row.fractions),
                tuple(load([stored])[0] for stored in row.histogram),
                row.correlation,
            )
    return None if whole is None else TableStatistics(whole.rows, whole.width, whole.analyzed, columns)


def write_statistics(
    transaction: Transaction, cluster: int, oid: int, whole: TableRow, columns: list[ColumnRow], journal: Journal
) -> None:
    """In place of what there was of these columns. `journal`: as read in this transaction."""
    key = system_keys(cluster).statistics
    transaction.insert_row(STATISTICS, key((oid, 0)), encode_row(whole))
    for column in columns:
        transaction.insert_row(STATISTICS, key((oid, column.attnum)), encode_row(column))
    tables = {**journal.tables, oid: whole.analyzed}
    while len(tables) > JOURNAL_MAX:
        tables.pop(min(tables, key=tables.__getitem__))
    transaction.insert_row(STATISTICS, key((0, 0)), encode_row(Journal(tables)))
