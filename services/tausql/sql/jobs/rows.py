"""The rows of the `jobs` table: reading, claiming, ending."""

from __future__ import annotations

import base64
import binascii

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.system import JOBS, JobRecord, decode_job, encode_row, system_keys, system_range

LEASE_MICROS = 30_000_000
KEPT_MICROS = 30 * 60 * 1_000_000  # finished jobs older than that go when a new one runs, as in Aurora DSQL
OPEN = ("submitted", "processing")


def checked_job_id(text: str) -> str:
    """A job id as a client wrote it. Raises 22P02 where it is none."""
    try:
        raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 16:
        raise SqlError(Code.invalid_text_representation, "Unable to convert text to UUID")
    return text.lower()


async def read_job(transaction: Transaction, cluster: int, job_id: str) -> JobRecord | None:
    (value,) = await transaction.get(JOBS, [system_keys(cluster).job((job_id,))])
    return decode_job(value) if value is not None else None


async def all_jobs(transaction: Transaction, cluster: int) -> list[JobRecord]:
    low, high = system_range(cluster, JOBS)
    scanner = transaction.scan(JOBS, Scan(low, high))
    found: list[JobRecord] = []
    while page := await scanner.next_page():
        found += [decode_job(value) for _, value in page]
    return found


def write_job(transaction: Transaction, cluster: int, job: JobRecord) -> None:
    transaction.update_row(JOBS, system_keys(cluster).job((job.job_id,)), encode_row(job), False)


async def claim(transaction: Transaction, cluster: int, job_id: str, worker: str, now: int) -> JobRecord | None:
    """Take an open job nobody else works on, and sweep out those long finished. None: nothing to do."""
    job = await read_job(transaction, cluster, job_id)
    if job is None or job.status not in OPEN or (job.worker not in ("", worker) and job.lease > now):
        return None
    for old in await all_jobs(transaction, cluster):
        if old.status not in OPEN and old.update_time < now - KEPT_MICROS:
            transaction.delete_row(JOBS, system_keys(cluster).job((old.job_id,)))
    job = renewed(msgspec.structs.replace(job, worker=worker, status="processing"), now)
    write_job(transaction, cluster, job)
    return job


async def held(transaction: Transaction, cluster: int, job: JobRecord) -> JobRecord | None:
    """The job's row as it is now, if `job.worker` still holds it."""
    current = await read_job(transaction, cluster, job.job_id)
    if current is None or current.status != "processing" or current.worker != job.worker:
        return None
    return current


def renewed(job: JobRecord, now: int) -> JobRecord:
    return msgspec.structs.replace(job, lease=now + LEASE_MICROS, update_time=now)


def finished(job: JobRecord, status: str, details: str, now: int) -> JobRecord:
    return msgspec.structs.replace(job, status=status, details=details, update_time=now, worker="", lease=0)
