"""The backups and restores that are this process's to do: begun when control names them, told to it until it knows.

A job that another process left half done begins again from its start (see `protocol.backup`). Whatever goes wrong ends
a job as FAILED, with a message for its owner: trying again is his decision, as only he knows whether that backup is
still the one he wants.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from tausql.changefeed.backup_format import Damaged, Manifest
from tausql.changefeed.backup_loading import FleetLoader
from tausql.changefeed.backup_restoring import RestoreFailed, Restoring
from tausql.changefeed.backup_stores import StoreFailed, Stores
from tausql.changefeed.backup_taking import BackupFailed, Taking
from tausql.changefeed.feed import Crossbars, Trimmed
from tausql.changefeed.settings import ChangefeedSettings
from tausql.changefeed.storages import Storages, Unreadable
from tausql.protocol.backup import (
    BACKUP,
    COMPLETED,
    FAILED,
    RUNNING,
    Job,
    JobReport,
    Jobs,
    JobsClient,
    JobsReported,
    LoadClient,
    ReportJobs,
)
from tausql.protocol.changefeed import SERVICE, deliverer
from tausql.protocol.control import SERVICE as CONTROL
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import ClockUnsure, Host, Timer
from tausql.runtime.tasks import spawn

AGAIN_SECONDS = 0.5
ANSWER_SECONDS = 5.0
MESSAGE_MAX = 1_000

log = logs.get("changefeed")


class _Doing:
    """One job here. `report` is the newest; `told` what control has taken."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.report = JobReport(job.identifier, RUNNING)
        self.told: JobReport | None = None
        self.task: asyncio.Task[None] | None = None


class BackupJobs:
    """All of one process. name: what the fleet's map calls it."""

    def __init__(
        self,
        host: Host,
        network: Network,
        directory: Directory,
        settings: ChangefeedSettings,
        storages: Storages,
        crossbars: Crossbars,
        stores: Stores,
        name: str,
    ) -> None:
        self._host = host
        self._directory = directory
        self._settings = settings
        self._storages = storages
        self._crossbars = crossbars
        self._stores = stores
        self._name = name
        self._controls: Neighbours[JobsClient] = Neighbours(
            directory, CONTROL, host.zone, lambda address: JobsClient(network.connect(address, CONTROL))
        )
        self._processors: Neighbours[LoadClient] = Neighbours(
            directory, "processor", host.zone, lambda address: LoadClient(network.connect(address, "processor"))
        )
        self._jobs: dict[str, Job] = {}
        self._doing: dict[str, _Doing] = {}
        self._stream: Stream | None = None
        self._watch_timer: Timer | None = None
        self._report_timer: Timer | None = None
        self._reporting = False
        self._draining = False
        self._turn = 0

    def start(self) -> None:
        self._directory.watch(self._deal)
        self._watch()
        self._report()

    def drain(self) -> None:
        """Somebody else begins again what is under way."""
        self._draining = True
        self._deal()

    def stop(self) -> None:
        self.drain()
        if self._stream is not None:
            self._stream.cancel()
        for timer in (self._watch_timer, self._report_timer):
            if timer is not None:
                timer.cancel()

    def status(self) -> dict[str, Any]:
        return {
            identifier: {"kind": one.job.kind, "cluster": one.job.cluster, "status": one.report.status}
            for identifier, one in self._doing.items()
        }

    # --- which ones ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        controls = self._controls.all
        if not controls:
            self._watch_timer = self._host.later(AGAIN_SECONDS, self._watch)
            return
        self._watch_timer = None
        self._stream = controls[self._turn % len(controls)].client.watch(self._host.name, self._heard, self._ended)

    def _heard(self, told: Jobs) -> None:
        if told.full:
            self._jobs = {}
        self._jobs |= {job.identifier: job for job in told.changed}
        for identifier in told.removed:
            self._jobs.pop(identifier, None)
        self._deal()

    def _ended(self, failure: Failure | None) -> None:
        self._stream = None
        self._turn += 1
        if not self._draining:
            self._watch_timer = self._host.later(AGAIN_SECONDS, self._watch)

    def _deal(self) -> None:
        """Begin what is ours, end what is not any more."""
        members = [member.name for member in self._directory.fleet.of(SERVICE)]
        mine = {
            identifier: job
            for identifier, job in self._jobs.items()
            if not self._draining and deliverer(identifier, members) == self._name
        }
        for identifier in [one for one in self._doing if one not in mine]:
            task = self._doing.pop(identifier).task
            if task is not None:
                task.cancel()
        for identifier, job in mine.items():
            if identifier not in self._doing and len(self._doing) < self._settings.backup_jobs_max:
                doing = self._doing[identifier] = _Doing(job)
                doing.task = spawn(f"{job.kind}-{identifier}", self._do(doing))

    # --- doing them ----------------------------------------------------------------------------------------------

    async def _do(self, doing: _Doing) -> None:
        job = doing.job
        log.info("a job begins", kind=job.kind, job=job.identifier, cluster=job.cluster, location=job.location)
        try:
            doing.report = await (self._backup(doing) if job.kind == BACKUP else self._restore(doing))
            log.info("a job is done", kind=job.kind, job=job.identifier, rows=doing.report.rows)
        except (BackupFailed, RestoreFailed, StoreFailed, Unreadable, ClockUnsure) as error:
            self._failed(doing, str(error))
        except Damaged as error:
            self._failed(doing, f"the backup is damaged: {error}")
        except Trimmed:
            self._failed(doing, "the journal has gone on without it")
        except Exception as error:
            # Ending the process would begin the job anew in the next one, and that would end, too.
            log.error("a job met a mistake of ours", kind=job.kind, job=job.identifier, error=error)
            self._failed(doing, "an internal error; the changefeed's log tells more")

    def _failed(self, doing: _Doing, why: str) -> None:
        log.error("a job has failed", kind=doing.job.kind, job=doing.job.identifier, why=why)
        doing.report = JobReport(doing.job.identifier, FAILED, why[:MESSAGE_MAX])

    async def _backup(self, doing: _Doing) -> JobReport:
        job = doing.job

        def report(status: str, manifest: Manifest) -> JobReport:
            return JobReport(
                job.identifier, status, "", manifest.rows, manifest.bytes, manifest.tau_first, manifest.tau_last
            )

        def told(manifest: Manifest) -> None:
            doing.report = report(RUNNING, manifest)

        taking = Taking(
            self._host,
            self._storages,
            self._crossbars,
            self._stores.at(job.location),
            job,
            secrets.token_hex(4),
            self._settings.buffer_bytes_max,
            told,
        )
        return report(COMPLETED, await taking.run())

    async def _restore(self, doing: _Doing) -> JobReport:
        job = doing.job
        loader = FleetLoader(self._host, self._processors, job.number, secrets.token_hex(8))
        restoring = Restoring(self._stores.at(job.location), loader, job)
        tau = await restoring.run()
        return JobReport(job.identifier, COMPLETED, "", restoring.rows, restoring.bytes, tau, tau)

    # --- what control is told ------------------------------------------------------------------------------------

    def _report(self) -> None:
        self._report_timer = self._host.later(self._settings.report_seconds, self._report)
        controls = self._controls.all
        rows = [one.report for one in self._doing.values() if one.report != one.told]
        if self._reporting or not controls or not rows:
            return
        self._reporting = True
        request = ReportJobs(self._host.name, tuple(rows))
        controls[self._turn % len(controls)].client.report(request, ANSWER_SECONDS, self._answered(rows))

    def _answered(self, rows: list[JobReport]) -> Callable[[Any], None]:
        def done(answer: Any) -> None:
            self._reporting = False
            if not isinstance(answer, JobsReported):
                return
            for row in rows:
                doing = self._doing.get(row.identifier)
                if doing is not None:
                    doing.told = row

        return done
