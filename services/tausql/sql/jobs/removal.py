"""Removing what was dropped: every key with one prefix, a batch a transaction."""

from __future__ import annotations

import msgspec

from tausql.protocol.keys import prefix_end
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.jobs.rows import finished, held, renewed, write_job


async def removal_step(transaction: Transaction, snapshot: Snapshot, job: JobRecord, now: int) -> JobRecord | None:
    """One batch. Same answers as `build_step`. Nobody can reach these keys any more: no conflicts, no versions."""
    current = await held(transaction, snapshot.cluster, job)
    if current is None:
        return None
    low = current.progress or current.prefix
    batch = job.batch_rows
    scan = Scan(low, prefix_end(current.prefix), limit=batch, page_rows=batch)
    page = await transaction.scan(0, scan).next_page()
    if not page:
        ended = finished(current, "completed", "", now)
        write_job(transaction, snapshot.cluster, ended)
        return ended
    for key, _ in page:
        transaction.delete_entry(0, key, False)
    moved = msgspec.structs.replace(renewed(current, now), progress=page[-1][0] + b"\x00")
    write_job(transaction, snapshot.cluster, moved)
    return moved
