"""ANALYZE: a sample of a table's rows, and what it says about each column.

The sample is of keys whose checksum is a multiple of a number: storage can leave the others out without reading what
they hold, any replica gives the same, and a number twice as large keeps half of what is there already. So one walk over
the table is enough, however many rows it turns out to have, and their count comes with it.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Final

from tausql.protocol.keys import prefix_end
from tausql.protocol.rows import decode_stored, encode_stored
from tausql.protocol.storage import Scan, sampled
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Column, Snapshot, Table
from tausql.sql.catalogue.stored_statistics import ColumnRow, TableRow, read_journal, write_statistics
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.jobs.rows import OPEN, all_jobs, finished, held, write_job
from tausql.sql.tables import AccessCache, TableAccess
from tausql.sql.types import type_by_oid
from tausql.sql.types.ordering import hash_key, is_orderable, sort_key
from tausql.sql.types.type import Type

JOB_TYPE: Final = "ANALYZE"
SAMPLE_ROWS: Final = 7_500  # at least so many, of a table that has them; at most twice as many
SAMPLE_BYTES_MAX: Final = 32 << 20
TARGET: Final = 100  # common values, and buckets of a histogram
WIDE_BYTES: Final = 1024  # values from here on are neither common nor bounds

Pause = Callable[[], Awaitable[None]]
Sample = tuple[list[tuple[bytes, bytes]], int]  # (key, row) pairs, and how many rows each stands for


async def nobody_waits() -> None:
    """A `Pause` where there is nobody to give way to."""


async def analyze_table(
    transaction: Transaction,
    snapshot: Snapshot,
    table: Table,
    wanted: Sequence[int],
    now: int,
    pause: Pause = nobody_waits,
) -> TableRow:
    """Samples the table and writes its statistics. `wanted`: attnums, () = all. `now`: microseconds since 2000.
    `pause` lets others run: a column takes some ten milliseconds."""
    access = AccessCache().of(snapshot, table)
    rows, stands_for = await sample(transaction, access)
    await pause()
    count = float(len(rows) * stands_for)
    width = round(sum(len(row) for _, row in rows) / len(rows)) if rows else 0
    whole = TableRow(count, width, now, len(rows))
    datums = [access.decode(row) for _, row in rows]
    stored = [decode_stored(row) for _, row in rows]
    columns: list[ColumnRow] = []
    for column in table.live_columns:
        if not wanted or column.position + 1 in wanted:
            await pause()
            found = [row[column.position] for row in datums]
            columns.append(column_row(column, found, _stored(stored, column.position), count))
    journal = await read_journal(transaction, snapshot.cluster)
    write_statistics(transaction, snapshot.cluster, table.oid, whole, columns, journal)
    return whole


def _stored(rows: list[list[Any]], position: int) -> list[Any]:
    return [row[position] if position < len(row) else None for row in rows]


async def sample(transaction: Transaction, access: TableAccess, wanted: int = SAMPLE_ROWS) -> Sample:
    low, high = access.prefix, prefix_end(access.prefix)
    kept: list[tuple[bytes, bytes]] = []
    size, one_in = 0, 1
    scanner = transaction.scan(access.oid, Scan(low, high))
    while page := await scanner.next_page():
        if one_in > 1:  # a replica of an older version leaves none out
            page = [(key, row) for key, row in page if sampled(key, one_in)]
        if not page:
            continue
        kept += page
        size += sum(len(row) for _, row in page)
        if len(kept) <= 2 * wanted and size <= SAMPLE_BYTES_MAX:
            continue
        low = page[-1][0] + b"\x00"
        while len(kept) > 2 * wanted or (size > SAMPLE_BYTES_MAX and len(kept) > TARGET):
            one_in *= 2
            kept = [(key, row) for key, row in kept if sampled(key, one_in)]
            size = sum(len(row) for _, row in kept)
        scanner = transaction.scan(access.oid, Scan(low, high, sample=one_in))
    return kept, one_in


def column_row(column: Column, datums: Sequence[Any], stored: Sequence[Any], rows: float) -> ColumnRow:
    """What the sample says about a column: `datums`, and the same `stored`. `rows` of the whole table."""
    type = type_by_oid(column.type_oid)
    there = [at for at, datum in enumerate(datums) if datum is not None]
    attnum = column.position + 1
    if not there:
        return ColumnRow(attnum, 1.0 if datums else 0.0, 0, 0.0, [], [], [], None)
    nulls = 1 - len(there) / len(datums)
    widths = [_width(type, datums[at], stored[at]) for at in there]
    made = ColumnRow(attnum, nulls, round(sum(widths) / len(widths)), -1.0, [], [], [], None)
    if not is_orderable(type):
        made.distinct = 0.0
        return made
    hash_of = hash_key(type)
    first: dict[Hashable, int] = {}
    counts: Counter[Hashable] = Counter()
    for at in there:
        mark = hash_of(datums[at])
        counts[mark] += 1
        first.setdefault(mark, at)
    made.distinct = _distinct(counts, len(there), len(datums), rows)
    wide = {at for at, width in zip(there, widths, strict=True) if width > WIDE_BYTES}
    common = _common(counts, len(there), first, wide)
    made.common = [stored[first[mark]] for mark in common]
    made.fractions = [counts[mark] / len(datums) for mark in common]
    key = sort_key(type)
    rest = sorted(
        (at for at in there if at not in wide and hash_of(datums[at]) not in common), key=lambda at: key(datums[at])
    )
    if len(rest) > 1 and len(counts) - len(common) > 1:
        bounds = min(len(rest), TARGET + 1)
        made.histogram = [stored[rest[at * (len(rest) - 1) // (bounds - 1)]] for at in range(bounds)]
    if len(there) > 1:
        made.correlation = _correlation(sorted(range(len(there)), key=lambda at: key(datums[there[at]])))
    return made


def _distinct(counts: Counter[Hashable], there: int, looked_at: int, rows: float) -> float:
    """An estimate by Haas and Stokes, as PostgreSQL's; a share of the rows where it seems to grow with them."""
    found = len(counts)
    once = sum(1 for count in counts.values() if count == 1)
    total = rows * there / looked_at
    if once == there:
        return -(there / looked_at)
    if there >= total or not once:
        estimate = float(found)
    else:
        estimate = there * found / ((there - once) + once * there / total)
        estimate = min(max(estimate, found), total)
    return -(estimate / rows) if estimate > rows * 0.1 else round(estimate)


def _common(counts: Counter[Hashable], there: int, first: dict[Hashable, int], wide: set[int]) -> dict[Hashable, None]:
    """The values that are noticeably more frequent than others, most frequent first; all of them, if they are few."""
    ranked = [(mark, count) for mark, count in counts.most_common(TARGET) if count > 1 and first[mark] not in wide]
    if len(counts) <= TARGET and len(ranked) == len(counts):
        return dict.fromkeys(mark for mark, _ in ranked)
    enough = max(2.0, 1.25 * there / len(counts))
    return dict.fromkeys(mark for mark, count in ranked if count >= enough)


def _correlation(places: Sequence[int]) -> float | None:
    """How well the order of values follows the order of rows: from -1 to 1. `places`: in the order of values."""
    count = len(places)
    sums = count * (count - 1) / 2
    squares = count * (count - 1) * (2 * count - 1) / 6
    products = float(sum(at * place for at, place in enumerate(places)))
    divisor = count * squares - sums * sums
    return (count * products - sums * sums) / divisor if divisor else None


def _width(type: Type, datum: Any, stored: Any) -> int:
    """Bytes as PostgreSQL would count them, about."""
    if type.length > 0:
        return type.length
    size = len(datum.encode()) if isinstance(datum, str) else len(encode_stored([stored])) - 1
    return size + (1 if size < 127 else 4)


async def enter_jobs(
    transaction: Transaction, snapshot: Snapshot, oids: Sequence[int], random_bytes: Callable[[int], bytes], now: int
) -> None:
    """A job for each of these tables that has none waiting."""
    waiting = {
        job.table_oid
        for job in await all_jobs(transaction, snapshot.cluster)
        if job.job_type == JOB_TYPE and job.status in OPEN
    }
    for oid in oids:
        table = snapshot.by_oid.get(oid)
        if table is None or oid in waiting:
            continue
        job = JobRecord(
            job_id=base64.b32encode(random_bytes(16)).decode().lower().rstrip("="),
            status="submitted",
            details="",
            job_type=JOB_TYPE,
            table_oid=oid,
            object_oid=oid,
            object_name=f"{table.schema}.{table.name}",
            start_time=now,
            update_time=now,
        )
        write_job(transaction, snapshot.cluster, job)


async def analyze_step(
    transaction: Transaction, snapshot: Snapshot, job: JobRecord, now: int, pause: Pause = nobody_waits
) -> JobRecord | None:
    """The whole of an automatic ANALYZE. Same answers as `build_step`."""
    current = await held(transaction, snapshot.cluster, job)
    if current is None:
        return None
    table = snapshot.by_oid.get(current.table_oid)
    if table is not None:
        await analyze_table(transaction, snapshot, table, (), now, pause)
    ended = finished(current, "completed", "", now)
    write_job(transaction, snapshot.cluster, ended)
    return ended
