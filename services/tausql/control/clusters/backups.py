"""Backups and restores, as control keeps them: what is to be done by whom is for changefeeds to settle.

A restore makes its cluster, which is CREATING until all of it is there: nobody is let in before. Where that fails the
cluster is FAILED, and there is nothing in it but to be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace

from tausql.control.clusters import life
from tausql.control.clusters.records import USABLE, Cluster, Status, new_identifier
from tausql.control.faults import invalid, not_found, over_quota
from tausql.control.system.state import Decision, Image, Record
from tausql.protocol.backup import BACKUP, COMPLETED, FAILED, RESTORE, RUNNING, Job, JobReport
from tausql.protocol.tau import micros_of, opening

RUNNING_MAX = 20
KEPT_SECONDS = 90 * 86_400.0  # what became of a job is told so long
KEPT_MAX = 5_000
Answer = dict[str, Any]


class BackupJob(Record, frozen=True):
    """A backup or a restore. tau_first, tau_last: the moments there are; of a restore the one it is to be, or was."""

    kind: ClassVar[str] = "backup"

    identifier: str
    what: str  # BACKUP or RESTORE
    cluster: str  # the one that is read, or made
    region: str
    location: str
    created_at: float
    status: str = RUNNING
    message: str = ""
    follow_seconds: int = 0
    tau: int = 0
    rows: int = 0
    bytes: int = 0
    tau_first: int = 0
    tau_last: int = 0
    ended_at: float = 0.0

    @property
    def name(self) -> str:
        return self.identifier


def find(image: Image, what: str, identifier: str, region: str) -> BackupJob:
    """Raises ResourceNotFoundException."""
    job = image.of(BackupJob).get(identifier)
    if job is None or job.what != what or job.region != region:
        raise not_found(f"{what} job", identifier)
    return job


def of_cluster(image: Image, cluster: Cluster) -> list[BackupJob]:
    return [job for job in image.of(BackupJob).values() if job.cluster == cluster.identifier and job.what == BACKUP]


def start_backup(image: Image, cluster: Cluster, location: str, follow_seconds: int, now: float) -> Decision[Answer]:
    if cluster.status not in USABLE:
        raise invalid(f"Cluster {cluster.identifier} must be ACTIVE, and is {cluster.status.value}", "other")
    _check_room(image)
    job = BackupJob(
        new_identifier(), BACKUP, cluster.identifier, cluster.region, location, now, follow_seconds=follow_seconds
    )
    return Decision(told_of(job), (job,))


def start_restore(
    image: Image,
    place: life.Place,
    ask: life.Ask,
    quotas: life.Quotas,
    always: tuple[str, ...],
    now: float,
    location: str,
    moment: float | None,
) -> Decision[Answer]:
    """ask: what the new cluster is to be. moment: seconds since 1970; None: as late as the backup goes."""
    _check_room(image)
    made = life.create(image, place, ask, quotas, always, now)
    identifier = str(made.answer["identifier"])
    tau = 0 if moment is None else _before(moment)
    job = BackupJob(new_identifier(), RESTORE, identifier, place.region, location, now, tau=tau)
    return Decision({**told_of(job), "cluster": made.answer}, (*made.puts, job))


def _before(moment: float) -> int:
    """The highest tau of what was committed before that moment."""
    return opening(round(moment * 1e6)) - 1


def _check_room(image: Image) -> None:
    running = [job for job in image.of(BackupJob).values() if job.status == RUNNING]
    if len(running) >= RUNNING_MAX:
        raise over_quota(f"{RUNNING_MAX} backups and restores are running.", "backup", "", "running-jobs")


def told_of(job: BackupJob) -> Answer:
    """As the API tells it. Times are seconds since 1970: what was committed before is in."""
    answer: Answer = {
        "jobIdentifier": job.identifier,
        "clusterIdentifier": job.cluster,
        "status": job.status,
        "location": job.location,
        "creationTime": round(job.created_at, 3),
        "rows": job.rows,
        "bytes": job.bytes,
    }
    if job.follow_seconds:
        answer["followSeconds"] = job.follow_seconds
    if job.tau_last and job.what == BACKUP:
        answer["earliestRestorableTime"] = -(-(job.tau_first + 1) // opening(1)) / 1e6
    if job.tau_last:
        answer["latestRestorableTime" if job.what == BACKUP else "restoredTime"] = micros_of(job.tau_last + 1) / 1e6
    if job.ended_at:
        answer["completionTime"] = round(job.ended_at, 3)
    if job.message:
        answer["statusMessage"] = job.message
    return answer


def to_do(image: Image, regions: Iterable[str]) -> dict[str, Job]:
    """What changefeeds are told, by identifier."""
    clusters = image.of(Cluster)
    found: dict[str, Job] = {}
    for job in image.of(BackupJob).values():
        cluster = clusters.get(job.cluster)
        if job.status != RUNNING or cluster is None or cluster.region not in regions:
            continue
        if cluster.status in USABLE if job.what == BACKUP else cluster.status is Status.creating:
            found[job.identifier] = Job(
                job.identifier, job.what, job.cluster, cluster.number, job.location, job.follow_seconds, job.tau
            )
    return found


def restoring(image: Image) -> set[str]:
    """Clusters that are not ready yet."""
    jobs = image.of(BackupJob).values()
    return {job.cluster for job in jobs if job.what == RESTORE and job.status == RUNNING}


def reported(image: Image, rows: Iterable[JobReport], now: float) -> Decision[None]:
    """What has ended stays so."""
    puts: list[Record] = []
    for row in rows:
        job = image.of(BackupJob).get(row.identifier)
        if job is None or job.status != RUNNING or row.status not in (RUNNING, COMPLETED, FAILED):
            continue
        if row.status == FAILED:
            changed = replace(job, status=FAILED, message=row.message, ended_at=now)
        else:
            changed = replace(
                job,
                status=row.status,
                rows=row.rows,
                bytes=row.bytes,
                tau_first=row.tau_first,
                tau_last=row.tau_last,
                ended_at=now if row.status == COMPLETED else 0.0,
            )
        if changed == job:
            continue
        puts.append(changed)
        cluster = image.of(Cluster).get(job.cluster)
        if job.what == RESTORE and cluster is not None and cluster.status is Status.creating and row.status != RUNNING:
            status = Status.active if row.status == COMPLETED else Status.failed
            puts.append(replace(cluster, status=status, used_at=now))
    return Decision(None, puts)


def orphaned(image: Image, now: float) -> Decision[None]:
    """Jobs whose cluster is not there any more, or is about to go, have failed; what is long over is forgotten."""
    jobs = sorted(image.of(BackupJob).values(), key=lambda job: job.created_at)
    clusters = image.of(Cluster)
    puts: list[Record] = []
    for job in jobs:
        if job.status == RUNNING:
            cluster = clusters.get(job.cluster)
            if cluster is None or cluster.status in (Status.deleting, Status.pending_delete):
                puts.append(replace(job, status=FAILED, message="the cluster has been deleted", ended_at=now))
    over = [job for job in jobs if job.status != RUNNING]
    surplus = max(0, len(over) - KEPT_MAX)
    gone = [job for number, job in enumerate(over) if number < surplus or job.ended_at <= now - KEPT_SECONDS]
    return Decision(None, puts[:100], gone[:100])
