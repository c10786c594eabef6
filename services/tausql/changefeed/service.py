"""The changefeed's shell: a task for each change stream that is this process's to deliver, and reports to control."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tausql.access.sigv4 import Credentials
from tausql.changefeed.backup_jobs import BackupJobs
from tausql.changefeed.backup_stores import Stores
from tausql.changefeed.feed import Feed
from tausql.changefeed.metrics import ChangefeedMetrics
from tausql.changefeed.reporting import Reporting
from tausql.changefeed.settings import ChangefeedSettings
from tausql.changefeed.storages import Storages
from tausql.changefeed.targets import Appended, Kinesis, NoTarget, Target, located
from tausql.protocol.changefeed import SERVICE, ChangeStream, Progress, deliverer
from tausql.protocol.crossbar import CrossbarClient
from tausql.protocol.tau import micros_of
from tausql.rpc.interface import Network
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import ClockUnsure, Host, Timer
from tausql.runtime.process import Process
from tausql.runtime.tasks import spawn

IDLE_REPORT_SECONDS = 30.0  # a stream without changes: how far it need not read again after a restart

log = logs.get("changefeed")


class _Running(NamedTuple):
    feed: Feed
    task: asyncio.Task[None]


class _Told(NamedTuple):
    """What control has last taken of a stream."""

    status: str
    error: str
    at: float


class ChangefeedService:
    """One changefeed process. `name`: what the fleet's map calls it. Raises ValueError for a target URL or a
    credentials file that is none."""

    def __init__(
        self, host: Host, network: Network, directory: Directory, settings: ChangefeedSettings, name: str
    ) -> None:
        self._host = host
        self._directory = directory
        self._settings = settings
        self._name = name
        self._credentials = _credentials(settings.credentials_file)
        self._client = httpx.AsyncClient(timeout=settings.request_seconds, trust_env=False)
        for url in settings.targets.values():
            located(self._client, url, "")
        self._storages = Storages(host, network, directory, settings.read_seconds)
        self._crossbars: Neighbours[CrossbarClient] = Neighbours(
            directory, "crossbar", host.zone, lambda address: CrossbarClient(network.connect(address, "crossbar"))
        )
        self._reporting = Reporting(host, network, directory, self._deal)
        stores = Stores(
            self._client,
            settings.backup_folder,
            settings.backup_s3_endpoint,
            settings.backup_s3_region,
            _credentials(settings.backup_s3_credentials_file),
            lambda: host.clock.now().latest / 1e6,
        )
        self._jobs = BackupJobs(host, network, directory, settings, self._storages, self._crossbars, stores, name)
        self._running: dict[str, _Running] = {}
        self._told: dict[str, _Told] = {}
        self._timer: Timer | None = None
        self._draining = False
        self.metrics = ChangefeedMetrics()
        self.metrics.sample = self._sample

    def start(self) -> None:
        self._directory.watch(self._deal)
        self._reporting.start()
        self._jobs.start()
        self._report()

    def drain(self) -> None:
        """Somebody else delivers from here on; what is under way may arrive twice."""
        self._draining = True
        self._deal()
        self._jobs.drain()

    async def stop(self) -> None:
        self._draining = True
        self._deal()
        self._reporting.stop()
        self._jobs.stop()
        self._storages.stop()
        if self._timer is not None:
            self._timer.cancel()
        await self._client.aclose()

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        return True, ""

    def status(self) -> dict[str, Any]:
        return {
            "streams": {
                identifier: {"cluster": one.feed.stream.cluster, "status": one.feed.status, "error": one.feed.error}
                for identifier, one in self._running.items()
            },
            "jobs": self._jobs.status(),
            "told": self._reporting.known,
            "known": len(self._reporting.streams),
            "records": self.metrics.records + sum(one.feed.delivered for one in self._running.values()),
        }

    def _deal(self) -> None:
        """Begin what is ours to deliver, end what is not any more."""
        members = [member.name for member in self._directory.fleet.of(SERVICE)]
        mine = {
            identifier: stream
            for identifier, stream in sorted(self._reporting.streams.items())
            if not self._draining and deliverer(identifier, members) == self._name
        }
        for identifier in [one for one in self._running if one not in mine]:
            self._end(identifier)
        for identifier, stream in mine.items():
            if identifier not in self._running and len(self._running) < self._settings.streams_max:
                self._begin(stream)

    def _begin(self, stream: ChangeStream) -> None:
        log.info("a change stream begins", stream=stream.identifier, cluster=stream.cluster, target=stream.target)
        feed = Feed(
            self._host,
            stream,
            self._storages,
            self._crossbars,
            self._target(stream),
            self._settings,
            lambda: self._host.clock.now().latest,
        )
        self._running[stream.identifier] = _Running(feed, spawn(f"feed-{stream.identifier}", feed.run()))

    def _end(self, identifier: str) -> None:
        ended = self._running.pop(identifier)
        self._told.pop(identifier, None)
        self.metrics.records += ended.feed.delivered
        ended.task.cancel()

    def _target(self, stream: ChangeStream) -> Target:
        settings = self._settings
        url = settings.targets.get(stream.target)
        if url is not None:
            return located(self._client, url, stream.identifier)
        if settings.kinesis_endpoint and self._credentials is not None:
            return Kinesis(
                self._client,
                settings.kinesis_endpoint,
                stream.target,
                self._credentials,
                lambda: self._host.clock.now().latest / 1e6,
                self._host.random.randbytes,
            )
        if settings.folder:
            return Appended(Path(settings.folder) / f"{stream.identifier}.ndjson")
        return NoTarget(stream.target)

    def _report(self) -> None:
        """Tell control what is new. That time goes by is told now and then only: each report is a commit there."""
        self._timer = self._host.later(self._settings.report_seconds, self._report)
        now = self._host.monotonic()
        rows: list[Progress] = []
        for identifier, running in self._running.items():
            one, told = running.feed.progress(), self._told.get(identifier)
            if one.status == "CREATING":
                continue
            changed = told is None or one.records or (one.status, one.error) != (told.status, told.error)
            if changed or told is None or now - told.at >= IDLE_REPORT_SECONDS:
                rows.append(one)
        if rows:
            self._reporting.report(tuple(rows), lambda: self._reported(rows))

    def _reported(self, rows: list[Progress]) -> None:
        for one in rows:
            running = self._running.get(one.identifier)
            if running is not None:
                running.feed.reported += one.records
                self._told[one.identifier] = _Told(one.status, one.error, self._host.monotonic())

    def _sample(self) -> None:
        metrics = self.metrics
        metrics.delivering = sum(one.feed.delivered for one in self._running.values())
        metrics.statuses = Counter(one.feed.status for one in self._running.values())
        try:
            now = self._host.clock.now().earliest
        except ClockUnsure:
            return
        lags = [now - micros_of(one.feed.progress().watermark) for one in self._running.values()]
        metrics.lag_seconds = max([0, *lags]) / 1e6


def _credentials(file: str) -> Credentials | None:
    if not file:
        return None
    try:
        told = json.loads(Path(file).read_text())
        return Credentials(told["access_key_id"], told["secret_access_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from error


def build(process: Process) -> ChangefeedService:
    """The service of a process, as `runtime.process` starts it."""
    name = process.member(SERVICE).name
    return ChangefeedService(process.host, process.network, process.fleet, ChangefeedSettings(), name)
