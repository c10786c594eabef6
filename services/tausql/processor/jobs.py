"""Background jobs: this processor's worker, and `CALL sys.wait_for_job`.

A processor works on the jobs its own sessions entered as soon as they commit, and looks now and then for those that
others left behind. One step at a time, each a transaction of its own: a job never stands in the way of statements for
longer than a batch, and a batch that loses a race against an update is halved and tried again.
"""

from __future__ import annotations

from functools import partial

import msgspec

from tausql.processor.coroutines import sleep, start
from tausql.processor.fairness import Share
from tausql.processor.held_jobs import HeldJobs, JobsHeld
from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.processor.metrics import ProcessorMetrics
from tausql.protocol.errors import Code, SqlError
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.jobs import rows, steps
from tausql.sql.tables import AccessCache

LOOK_SECONDS = 30.0  # between looks for jobs of others: a lease lasts as long
RETRY_SECONDS = 1.0
HELD_SECONDS = 0.2  # between looks whether held jobs may go on
CONFLICTS_IN_A_ROW_MAX = 1000
BATCH_ROWS_MIN, BATCH_ROWS_MAX = 10, 1000
WAIT_SECONDS_FIRST, WAIT_SECONDS_MAX = 0.005, 0.25  # between two looks at a job somebody waits for

log = logs.get("processor.jobs")


class Jobs:
    """Works off the background jobs of a cluster, one at a time. `worker` is this processor's name; `held` may hold
    them all."""

    def __init__(
        self,
        host: Host,
        internal: InternalTransactions,
        worker: str,
        metrics: ProcessorMetrics,
        share: Share,
    ) -> None:
        self._host = host
        self._share = share
        self.held: HeldJobs | None = None
        self._internal = internal
        self._worker = worker
        self._metrics = metrics
        self._access = AccessCache()
        self._working = False
        self._again = False
        self._stopped = False

    def start(self) -> None:
        """Look for jobs now and every 30 s."""
        self.poke()
        self._host.later(LOOK_SECONDS * (0.8 + 0.4 * self._host.random.random()), self._look)

    def stop(self) -> None:
        """Begin no further step."""
        self._stopped = True

    @property
    def working(self) -> bool:
        return self._working

    def poke(self) -> None:
        """There may be a job."""
        if self._working:
            self._again = True
        elif not self._stopped:
            self._working = True
            start(self._work(), self._worked, self._share)

    def _look(self) -> None:
        if not self._stopped:
            self.start()

    def _worked(self, value: object, error: Exception | None) -> None:
        self._working = False
        if isinstance(error, JobsHeld) and not self._stopped:
            self._host.later(HELD_SECONDS, self.poke)
        elif error is not None and not self._stopped:
            log.warning("a look at the jobs failed and is tried again", why=str(error))
            self._host.later(RETRY_SECONDS, self.poke)
        elif self._again:
            self._again = False
            self.poke()

    async def _work(self) -> None:
        for job_id in await self._internal.run(_open_jobs):
            if self._stopped:
                return
            job = await self._internal.run(partial(self._claim, job_id))
            if job is not None:
                await self._finish(job)

    async def _claim(self, job_id: str, within: InternalTransaction) -> JobRecord | None:
        if self.held is not None:
            await self.held.check(within)
        cluster = within.snapshot.cluster
        return await rows.claim(within.transaction, cluster, job_id, self._worker, within.now_us)

    async def _finish(self, job: JobRecord) -> None:
        """Step by step to the end, or until another holds the job."""
        conflicts = 0
        current: JobRecord | None = job
        while current is not None and current.status in rows.OPEN and not self._stopped:
            batch = max(BATCH_ROWS_MIN, min(current.batch_rows, BATCH_ROWS_MAX) >> conflicts)
            held = msgspec.structs.replace(current, batch_rows=batch)
            try:
                current = await self._internal.run(partial(self._step, held), attempts_max=1)
            except SqlError as error:
                if error.code is not Code.serialization_failure or conflicts >= CONFLICTS_IN_A_ROW_MAX:
                    raise
                conflicts += 1
                self._metrics.job_conflicts += 1
                await sleep(self._host, 0.01 * self._host.random.random())
            else:
                conflicts = 0
                self._metrics.job_steps += 1
        if current is not None:
            log.info("job ended", job=current.job_id, kind=current.job_type, status=current.status, why=current.details)

    async def _step(self, job: JobRecord, within: InternalTransaction) -> JobRecord | None:
        if self.held is not None:
            await self.held.check(within)
        pause = self._share.turn
        return await steps.step(within.transaction, within.snapshot, self._access, job, within.now_us, pause)


async def _open_jobs(within: InternalTransaction) -> list[str]:
    found = await rows.all_jobs(within.transaction, within.snapshot.cluster)
    return [job.job_id for job in found if job.status in rows.OPEN]


async def wait_for_job(host: Host, internal: InternalTransactions, text: str) -> bool:
    """True once the job has completed, False once it has failed. Raises 22P02 for what is no job id, 42704 for a job
    that is not there (long finished ones are forgotten)."""
    job_id = rows.checked_job_id(text)
    pause = WAIT_SECONDS_FIRST
    while True:
        job = await internal.run(lambda within: rows.read_job(within.transaction, within.snapshot.cluster, job_id))
        if job is None:
            raise SqlError(Code.undefined_object, f'job "{job_id}" does not exist')
        if job.status not in rows.OPEN:
            return job.status == "completed"
        await sleep(host, pause)
        pause = min(pause * 1.5, WAIT_SECONDS_MAX)
