"""Everything about clusters and keys in one control: what is known, who is told, and what is done by itself.

Both controls, the one on Kubernetes and the one of `tausql up`, have one of these.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from tausql.control.cluster_metrics import ClusterMetrics
from tausql.control.clusters import backups, delivery, life, sizes, tending
from tausql.control.clusters.records import Cluster, Founded, Leftover, Limits, Numbers, Status, Stream, Token, told
from tausql.control.clusters.removal import RemovalFailed, Remover
from tausql.control.events.log import EventLog
from tausql.control.events.shape import of_connection
from tausql.control.identities import people
from tausql.control.identities.keyring import Keyring
from tausql.control.identities.records import Key, Role, Session, User
from tausql.control.reports import Kept
from tausql.control.system.state import Decision, Image, Record, State
from tausql.control.system.store import Store, Unavailable
from tausql.control.telling import Teller
from tausql.protocol.backup import Jobs, JobsReported, ReportJobs, WatchJobs
from tausql.protocol.changefeed import ChangeStreams, ProgressReported, ReportProgress, WatchChangeStreams
from tausql.protocol.clusters import Clusters, Keys, ReportUse, UseReported, WatchClusters, WatchKeys
from tausql.rpc.interface import Cause, Reply, Routes
from tausql.runtime import logs
from tausql.runtime.file_watch import FileWatch
from tausql.runtime.host import Host
from tausql.runtime.tasks import spawn

FORMS: tuple[type[Record], ...] = (
    Cluster,
    Stream,
    Numbers,
    Founded,
    Token,
    Leftover,
    User,
    Role,
    Key,
    Session,
    backups.BackupJob,
)
STREAM_FORMS = tuple(form.kind + "/" for form in (Cluster, Stream))
JOB_FORMS = tuple(form.kind + "/" for form in (Cluster, backups.BackupJob))
FOLLOWERS_MAX = 1_000
REPORTS_MAX = 100  # of progress, being stored
USERS_MAX = 100_000  # clusters whose use is remembered
TEND_SECONDS = 10.0
FORGET_SECONDS = 60.0
SETTLE_SECONDS = 0.02
PAUSE_SECONDS_MAX = 0.5
REMOVAL_WAIT_SECONDS = 1.0  # by then every frontend has heard that nobody is let in any more
REMOVAL_AGAIN_SECONDS = 5.0

Answer = TypeVar("Answer")
log = logs.get("control")


class TenancySettings(NamedTuple):
    region: str
    regions: tuple[str, ...]  # whose clusters are told to the data plane, the own one among them
    account: str
    quotas: life.Quotas
    switches: tuple[str, ...]
    sleep: tending.Sleep
    poll_seconds: float
    event_days: float
    event_rows: int
    limits: Limits = Limits()


class Tenancy:
    """`alone`: there is no other control. `now`: seconds since 1970."""

    def __init__(
        self,
        host: Host,
        store: Store,
        events: Store,
        remover: Remover,
        keyring: Keyring,
        settings: TenancySettings,
        *,
        alone: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.host, self.keyring, self.settings, self.now = host, keyring, settings, now
        self.state = State(store, FORMS, alone=alone)
        self.events = EventLog(events, settings.event_days, settings.event_rows, now)
        self.clusters = Teller(_clusters, FOLLOWERS_MAX)
        self.keys = Teller(_keys, FOLLOWERS_MAX)
        self.streams = Teller(_streams, FOLLOWERS_MAX, delivery.differ)
        self.jobs = Teller(_jobs, FOLLOWERS_MAX)
        self.metrics = ClusterMetrics()
        self.use_lost = 0
        self.kept: Callable[[], Iterable[Iterable[Kept]] | None] = lambda: None  # what storages keep, if that is known
        self._stores = (store, events)
        self._remover = remover
        self._used: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = False  # by use: somebody is at a cluster that was asleep
        self._done: dict[str, float] = {}  # when it was done last
        self._removing = False
        self._reports = 0
        self._watch: FileWatch | None = None
        self.state.watch(self._changed)
        self._watch_figures()

    @property
    def image(self) -> Image:
        return self.state.image

    def place(self, region: str = "") -> life.Place:
        return life.Place(region or self.settings.region, self.settings.account)

    def routes(self) -> Routes:
        """What the data plane asks."""
        return Routes(
            calls={ReportUse: self._reported, ReportProgress: self._progressed, ReportJobs: self._jobs_reported},
            streams={
                WatchClusters: self.clusters.follow,
                WatchKeys: self.keys.follow,
                WatchChangeStreams: self.streams.follow,
                WatchJobs: self.jobs.follow,
            },
        )

    def start(self) -> None:
        """Raises OSError and ValueError where the files of keys cannot be read."""
        self.keyring.read_files()
        self.keyring.rebuild(self.image)  # the first key counts before the tables have been read
        self._watch = FileWatch(self.host, self.keyring.files, self._files_changed)
        self._watch.start()
        self._tasks = [spawn("clusters", self._run()), spawn("audit log", self.events.run())]

    def drain(self) -> None:
        """Let go of the processors: whoever still asks opens a session anew."""
        for store in self._stores:
            store.close()

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        self.clusters.end()
        self.keys.end()
        self.streams.end()
        self.jobs.end()
        for store in self._stores:
            store.close()

    async def change(self, decide: Callable[[Image], Decision[Answer]]) -> Answer:
        """See `State.change`."""
        before = self.image.change
        try:
            found = await self.state.change(decide)
        except Unavailable:
            self.metrics.failures += 1
            raise
        self.metrics.changes += self.image.change > before
        return found

    def status(self) -> dict[str, Any]:
        return {
            "loaded": self.state.loaded,
            "change": self.image.change,
            "clusters": self._counted(),
            "keys": len(self.keyring.records),
            "followers": {"clusters": self.clusters.followers, "keys": self.keys.followers},
            "removed_rows": self.metrics.removed_rows,
            "events": {"written": self.events.written, "lost": self.events.lost},
        }

    def _counted(self) -> dict[str, int]:
        return dict(Counter(cluster.status.value for cluster in self.image.of(Cluster).values()))

    def _watch_figures(self) -> None:
        self.metrics.clusters = self._counted
        self.metrics.keys = lambda: len(self.keyring.records)
        self.metrics.removals = lambda: len(tending.unwanted(self.image, self.now()))
        self.metrics.events = lambda: (self.events.written, self.events.lost + self.use_lost)

    # what is done by itself

    async def _run(self) -> None:
        await self._patiently(self._begin)
        while True:
            await self._patiently(self._tend)
            try:
                async with asyncio.timeout(TEND_SECONDS if self.state.alone else self.settings.poll_seconds):
                    await self._wake.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it has been done: the system cluster may be away for a while."""
        pause = 0.1
        while True:
            try:
                await work()
                return
            except Unavailable:
                await asyncio.sleep(pause * self.host.random.uniform(0.5, 1.0))
                pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _begin(self) -> None:
        await self.state.refresh()
        settings = self.settings
        await self.change(lambda image: life.first(image, self.place(), settings.switches, self.now()))
        await self.change(lambda image: people.first(image, self.now()))

    async def _tend(self) -> None:
        await self.state.refresh()
        now = self.now()
        await self.change(tending.settle)
        await self.change(tending.shared)
        await self.change(lambda image: backups.orphaned(image, now))
        if self._woken or self._due(TEND_SECONDS, "sleep"):
            self._woken = False
            await self.change(lambda image: tending.sleep(image, self._used, now, self.settings.sleep))
            await self._fill()
        if self._due(FORGET_SECONDS, "forget"):
            await self.change(lambda image: tending.forget(image, now))
        if not self._removing and tending.unwanted(self.image, now):
            self._removing = True
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks.append(spawn("remove data of clusters", self._remove()))

    async def _fill(self) -> None:
        known = self.kept()
        if known is not None:
            held = sizes.bytes_by_number(known)
            await self.change(lambda image: sizes.filled(image, held, self.settings.limits.storage_bytes_max))

    def _due(self, seconds: float, what: str) -> bool:
        now = self.host.monotonic()
        if now - self._done.get(what, float("-inf")) < seconds:
            return False
        self._done[what] = now
        return True

    async def _remove(self) -> None:
        """One number after the other."""
        try:
            await asyncio.sleep(REMOVAL_WAIT_SECONDS)
            while numbers := tending.unwanted(self.image, self.now()):
                done = [await self._remove_one(number) for number in numbers]
                if not all(done):
                    await asyncio.sleep(REMOVAL_AGAIN_SECONDS)
        finally:
            self._removing = False

    async def _remove_one(self, number: int) -> bool:
        try:
            rows = await self._remover.remove(number)
            await self.change(lambda image: tending.removed(image, number, self.now()))
        except (RemovalFailed, Unavailable) as error:
            log.warning("a cluster's data cannot be removed now", number=number, why=str(error))
            return False
        self.metrics.removed_rows += rows
        log.info("a cluster's data is removed", number=number, rows=rows)
        return True

    # who is told

    def _changed(self, ids: Sequence[str] | None) -> None:
        if ids is None or any(id.startswith(Cluster.kind + "/") for id in ids):
            regions = self.settings.regions
            clusters = self.image.of(Cluster).values()
            self.clusters.tell(
                {one.identifier: told(one, self.settings.limits) for one in clusters if one.region in regions}
            )
            self._wake.set()
        if ids is None or any(id.startswith(STREAM_FORMS) for id in ids):
            self.streams.tell(delivery.told(self.image, self.settings.regions))
        if ids is None or any(id.startswith(JOB_FORMS) for id in ids):
            self.jobs.tell(backups.to_do(self.image, self.settings.regions))
        if self.keyring.update(self.image, ids):
            self.keys.tell(self.keyring.records)

    def _files_changed(self) -> None:
        try:
            self.keyring.read_files()
        except (OSError, ValueError) as error:
            log.error("the first access key cannot be read", why=str(error))
            return
        self.keyring.rebuild(self.image)
        if self.state.known:
            self.keys.tell(self.keyring.records)

    # what the frontends say

    def _reported(self, report: ReportUse, reply: Reply) -> None:
        known = self.image.of(Cluster)
        for use in report.uses:
            cluster = known.get(use.cluster)
            if cluster is None or len(self._used) >= USERS_MAX:
                continue
            at = self.now() if use.connections else use.used_at_us / 1e6
            self._used[use.cluster] = max(at, self._used.get(use.cluster, 0.0))
            if cluster.status in (Status.idle, Status.inactive):
                self._woken = True
                self._wake.set()
        self.use_lost += report.events_lost
        if not report.events:
            reply.answer(UseReported())
            return
        if not self.state.known:
            reply.fail(Cause.unavailable, "the system cluster is not there yet")
            return
        settings = self.settings
        arns = {event.cluster: known[event.cluster].arn for event in report.events if event.cluster in known}
        self.events.add(
            [
                of_connection(event, arns.get(event.cluster, ""), settings.region, settings.account)
                for event in report.events
            ],
            lambda: reply.answer(UseReported()),
        )

    def _progressed(self, report: ReportProgress, reply: Reply) -> None:
        self._store(lambda image: delivery.reported(image, report.rows, self.now()), ProgressReported(), reply)

    def _jobs_reported(self, report: ReportJobs, reply: Reply) -> None:
        self._store(lambda image: backups.reported(image, report.rows, self.now()), JobsReported(), reply)

    def _store(self, decide: Callable[[Image], Decision[None]], answer: Struct, reply: Reply) -> None:
        if self._reports >= REPORTS_MAX:
            reply.fail(Cause.overloaded, f"{REPORTS_MAX} reports of progress are being stored")
            return
        self._reports += 1
        spawn("store progress", self._store_progress(decide, answer, reply))

    async def _store_progress(self, decide: Callable[[Image], Decision[None]], answer: Struct, reply: Reply) -> None:
        try:
            await self.change(decide)
            reply.answer(answer)
        except Unavailable as error:
            reply.fail(Cause.unavailable, str(error))
        finally:
            self._reports -= 1


def _streams(full: bool, changed: tuple[Any, ...], removed: tuple[str, ...]) -> ChangeStreams:
    return ChangeStreams(full, changed, removed)


def _clusters(full: bool, changed: tuple[Any, ...], removed: tuple[str, ...]) -> Clusters:
    return Clusters(full, changed, removed)


def _keys(full: bool, changed: tuple[Any, ...], removed: tuple[str, ...]) -> Keys:
    return Keys(full, changed, removed)


def _jobs(full: bool, changed: tuple[Any, ...], removed: tuple[str, ...]) -> Jobs:
    return Jobs(full, changed, removed)
