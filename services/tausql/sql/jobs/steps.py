"""One step of a background job, whichever kind it is of."""

from __future__ import annotations

from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.jobs import analyze
from tausql.sql.jobs.index_build import build_step
from tausql.sql.jobs.removal import removal_step
from tausql.sql.jobs.validation import JOB_TYPE as VALIDATION
from tausql.sql.jobs.validation import validation_step
from tausql.sql.tables import AccessCache


async def step(
    transaction: Transaction,
    snapshot: Snapshot,
    access: AccessCache,
    job: JobRecord,
    now: int,
    pause: analyze.Pause = analyze.nobody_waits,
) -> JobRecord | None:
    """A bounded piece of work. The job as its row now says: still `processing` (call again), or ended. None: the job is
    not this worker's any more. `now`: microseconds since 2000; `pause` lets others run in between."""
    if job.job_type == "INDEX_BUILD":
        return await build_step(transaction, snapshot, access, job, now)
    if job.job_type == analyze.JOB_TYPE:
        return await analyze.analyze_step(transaction, snapshot, job, now, pause)
    if job.job_type == VALIDATION:
        return await validation_step(transaction, snapshot, access, job, now)
    return await removal_step(transaction, snapshot, job, now)
