"""Backups and restores: what control asks a changefeed for, what that tells it, and how rows come into a new cluster.

A job belongs to the changefeed that the fleet's map gives it to, as a change stream does. Where two believe it is
theirs, or one begins again what another left half done, nothing may be mixed up: a backup's files carry the name of the
attempt that wrote them, and what a restore writes is numbered, so that a processor takes each batch of the newest
attempt once, in order, and refuses everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tausql.rpc.interface import Channel, Failure, Stream

BACKUP, RESTORE = "backup", "restore"
RUNNING, COMPLETED, FAILED = "RUNNING", "COMPLETED", "FAILED"


class Job(msgspec.Struct, frozen=True, array_like=True):
    """A backup or a restore that is to be done."""

    identifier: str  # 26 characters
    kind: str  # BACKUP or RESTORE
    cluster: str  # the identifier of the cluster that is read, or filled
    number: int  # that cluster's
    location: str  # a folder or s3://bucket/prefix
    follow_seconds: int = 0  # a backup: so long it takes along what is committed after it began
    tau: int = 0  # a restore: as it was then; 0: as late as the backup goes


class WatchJobs(msgspec.Struct, tag="watch_backup_jobs", array_like=True, gc=False):
    """Stream request: all that are running now, and what changes from then on."""

    name: str  # who asks


class Jobs(msgspec.Struct, tag="backup_jobs", array_like=True):
    """full: forget all that was told before."""

    full: bool
    changed: tuple[Job, ...]
    removed: tuple[str, ...] = ()  # identifiers


class JobReport(msgspec.Struct, frozen=True, array_like=True):
    """How a job does. tau_first, tau_last: from and to when a restore from this backup can be had; of a restore, the
    moment that was restored. Both 0: there is none yet."""

    identifier: str
    status: str
    message: str = ""  # why it failed
    rows: int = 0  # index entries are rows as well
    bytes: int = 0
    tau_first: int = 0
    tau_last: int = 0


class ReportJobs(msgspec.Struct, tag="report_backup_jobs", array_like=True):
    """Request, while there is anything to say."""

    name: str
    rows: tuple[JobReport, ...]


class JobsReported(msgspec.Struct, tag="backup_jobs_reported", array_like=True, gc=False):
    """Answer: control has it in its tables."""


class LoadPairs(msgspec.Struct, tag="load_pairs", array_like=True):
    """Call, to a processor: put these into a cluster that is being restored, in one transaction. Batch 0 of an attempt
    begins it; each further one is taken if the one before was, and is answered again if it was taken already. `last`:
    the catalogue is whole with this one, nothing may follow."""

    cluster: int
    attempt: str
    batch: int
    pairs: tuple[tuple[bytes, bytes | None], ...] = ()
    last: bool = False


class Loaded(msgspec.Struct, tag="pairs_loaded", array_like=True, gc=False):
    """It is committed. finished: the cluster had been restored to the end before."""

    finished: bool = False


class JobsClient:
    """Typed calls to control, about jobs."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def watch(self, name: str, on_change: Callable[[Jobs], None], on_end: Callable[[Failure | None], None]) -> Stream:
        return self.channel.stream(WatchJobs(name), on_change, on_end)

    def report(self, report: ReportJobs, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(report, deadline_seconds, done)


class LoadClient:
    """Typed calls to a processor, about rows of a cluster that is being restored."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def load(self, request: LoadPairs, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)


MESSAGES = WatchJobs | Jobs | ReportJobs | JobsReported | LoadPairs | Loaded
