"""Building an index under traffic: read rows at a snapshot, share their R keys, write their entries.

The index has been write-only since the schema change that entered it: whoever writes a row writes its entry too, and
conflicts with a batch that shares that row. So each row's entry is written by the batch or by the row's own writer, in
either order, and the index equals its table when the last batch has committed. Only then may plans read it.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import SqlError
from tausql.protocol.keys import prefix_end, row_key_of
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Index, IndexState, Snapshot, Table
from tausql.sql.catalogue.store import CatalogueWriter
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.jobs.rows import finished, held, renewed, write_job
from tausql.sql.tables import KEY_BYTES_MAX, AccessCache, TableAccess, check_key

DUPLICATE = "Found duplicate key while validating index for UCVs"


def _target(snapshot: Snapshot, job: JobRecord) -> tuple[Table, Index] | None:
    table = snapshot.by_oid.get(job.table_oid)
    for index in table.indexes if table is not None else ():
        if index.oid == job.object_oid and table is not None:
            return table, index
    return None


async def build_step(
    transaction: Transaction, snapshot: Snapshot, access: AccessCache, job: JobRecord, now: int
) -> JobRecord | None:
    """One batch. Returns the job as its row now says: still `processing` (call again), or ended. None: the job is not
    this worker's any more. `now`: microseconds since 2000."""
    current = await held(transaction, snapshot.cluster, job)
    if current is None:
        return None
    target = _target(snapshot, current)
    if target is None:
        ended = finished(current, "completed", f'relation "{current.object_name}" does not exist', now)
        write_job(transaction, snapshot.cluster, ended)
        return ended
    table, index = target
    path = access.of(snapshot, table)
    low = current.progress or path.prefix
    batch = job.batch_rows
    page = await transaction.scan(
        table.oid, Scan(low, prefix_end(path.prefix), limit=batch, page_rows=batch)
    ).next_page()
    if not page:
        return await _end(transaction, snapshot, table, index, current, IndexState.ready, now)
    wrong = await _write_entries(transaction, path, index, page)
    if wrong:
        return await _end(transaction, snapshot, table, index, current, IndexState.failed, now, wrong)
    moved = msgspec.structs.replace(renewed(current, now), progress=page[-1][0] + b"\x00")
    write_job(transaction, snapshot.cluster, moved)
    return moved


async def _write_entries(
    transaction: Transaction, path: TableAccess, index: Index, page: list[tuple[bytes, bytes]]
) -> str:
    """Why the index cannot be built: two rows want the same entry of a unique one, an expression fails for a row, a key
    is too large. Nothing has been written then. Else ""."""
    table = path.table
    access = path.index_access(index)
    entries: dict[bytes, bytes] = {}
    values: list[bytes] = []
    for row_key, value in page:
        datums = path.decode(value)
        try:
            entry = access.entry(datums, row_key)
            if entry is not None and len(entry) > KEY_BYTES_MAX:
                check_key(access.values(datums))
        except SqlError as error:
            return error.message
        if entry is not None and entries.setdefault(entry, row_key) != row_key:
            return DUPLICATE
        if entry is not None:
            values.append(access.entry_value(datums, row_key))
    there = await transaction.get(table.oid, list(entries)) if entries else []
    owners = [None if old is None else row_key_of(old) for old in there]
    if index.unique and any(old is not None and old != row for old, row in zip(owners, entries.values(), strict=True)):
        return DUPLICATE
    for row_key, _ in page:
        transaction.share_row(table.oid, row_key)
    for entry, value, old in zip(entries, values, there, strict=True):
        if old != value:
            transaction.put_entry(table.oid, entry, value, index.unique)
    return ""


async def _end(
    transaction: Transaction,
    snapshot: Snapshot,
    table: Table,
    index: Index,
    job: JobRecord,
    state: IndexState,
    now: int,
    wrong: str = "",
) -> JobRecord:
    """The schema change that makes the index readable, or marks it failed (it stays maintained until it is dropped)."""
    indexes = tuple(
        msgspec.structs.replace(other, state=state) if other.oid == index.oid else other for other in table.indexes
    )
    CatalogueWriter(transaction, snapshot).replace_table(msgspec.structs.replace(table, indexes=indexes))
    ended = finished(job, "failed" if state is IndexState.failed else "completed", wrong, now)
    write_job(transaction, snapshot.cluster, ended)
    return ended
