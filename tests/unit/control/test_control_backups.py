"""Backups and restores in control: asked for over the API, told to changefeeds, and what becomes of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.control.control_api_running import KEY_ID, SECRET, Running, api_of, ask
from tests.unit.control.control_running import node_of

from tausql.access.sigv4 import Credentials
from tausql.control.clusters import backups
from tausql.control.clusters.records import Cluster
from tausql.control.system.state import Decision
from tausql.local.api import Api, ApiError
from tausql.protocol.backup import Job, JobReport, Jobs, JobsClient, JobsReported, ReportJobs
from tausql.protocol.tau import opening
from tausql.runtime.loop import AsyncHost, run_on_host

PATIENCE = 10.0


class Feed:
    """A changefeed, to control."""

    def __init__(self, client: JobsClient) -> None:
        self.client = client
        self.jobs: dict[str, Job] = {}
        self._news = asyncio.Event()
        self.stream = client.watch("changefeed", self._told, lambda _: None)

    def _told(self, told: Jobs) -> None:
        if told.full:
            self.jobs = {}
        self.jobs |= {one.identifier: one for one in told.changed}
        for name in told.removed:
            self.jobs.pop(name, None)
        self._news.set()

    async def has(self, *identifiers: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while set(self.jobs) != set(identifiers):
                await self._news.wait()
                self._news.clear()

    async def report(self, *rows: JobReport) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.client.report(ReportJobs("changefeed", rows), PATIENCE, answer.set_result)
        assert await answer == JobsReported()


def api(running: Running) -> Any:
    found = Api(f"http://{running.address}", Credentials(KEY_ID, SECRET), "us-east-1")

    async def call(method: str, path: str, **body: Any) -> dict[str, Any]:
        return await ask(found.call, method=method, path=path, body=body or None)

    return call


def first(running: Running) -> Cluster:
    return next(iter(running.tenancy.image.of(Cluster).values()))


def on(tmp_path: Path, body: Any) -> None:
    async def whole(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, node_of(host) as node:
            node.serve("control", running.tenancy.routes())
            await body(running, Feed(JobsClient(node.connect(node.address, "control"))), api(running))

    run_on_host(whole)


def test_a_backup_is_told_to_changefeeds_until_it_is_over(tmp_path: Path):
    async def body(running: Running, feed: Feed, call: Any) -> None:
        await feed.has()
        cluster = first(running)
        path = f"/backup/{cluster.identifier}"
        asked = {"location": "nightly", "followSeconds": 60, "clientToken": "t"}
        made = await call("POST", path, **asked)
        assert (await call("POST", path, **asked)) == made, "the same token, the same job"
        name = made["jobIdentifier"]
        await feed.has(name)
        assert feed.jobs[name] == Job(name, "backup", cluster.identifier, 1, "nightly", 60)
        begun = opening(1_700_000_000_000_000) - 1
        await feed.report(JobReport(name, "RUNNING", "", 5, 6, begun, begun + opening(1_500_000)))
        await feed.has(name)
        now = await call("GET", f"{path}/{name}")
        assert (now["status"], now["rows"], now["bytes"]) == ("RUNNING", 5, 6)
        assert (now["earliestRestorableTime"], now["latestRestorableTime"]) == (1_700_000_000.0, 1_700_000_001.5)
        await feed.report(JobReport(name, "COMPLETED", "", 7, 8, begun, begun))
        await feed.has()
        await feed.report(JobReport(name, "FAILED", "late"))
        (listed,) = (await call("GET", path))["jobs"]
        assert (listed["status"], listed["rows"], "completionTime" in listed) == ("COMPLETED", 7, True)

    on(tmp_path, body)


def test_a_restored_cluster_is_creating_until_all_of_it_is_there(tmp_path: Path):
    async def body(running: Running, feed: Feed, call: Any) -> None:
        made = await call("POST", "/restore", location="nightly", restoreTime=1_700_000_000.25, tags={"a": "b"})
        name, cluster = made["jobIdentifier"], made["clusterIdentifier"]
        await feed.has(name)
        # what was committed before that moment, and nothing else
        assert feed.jobs[name].tau == opening(1_700_000_000_250_000) - 1
        assert (feed.jobs[name].kind, feed.jobs[name].number) == ("restore", 2)
        other = await call("POST", "/cluster")
        await until_not(call, f"/cluster/{other['identifier']}", "CREATING")
        assert (await call("GET", f"/cluster/{cluster}"))["status"] == "CREATING"
        with pytest.raises(ApiError, match="must be ACTIVE"):
            await call("POST", f"/backup/{cluster}", location="x")
        await feed.report(JobReport(name, "COMPLETED", "", 1, 1, 9, 9))
        found = await call("GET", f"/cluster/{cluster}")
        assert (found["status"], found["tags"]) == ("ACTIVE", {"a": "b"})
        assert (await call("GET", f"/restore/{name}"))["status"] == "COMPLETED"
        await feed.has()

    on(tmp_path, body)


def test_a_failed_restore_leaves_a_failed_cluster_that_can_be_deleted(tmp_path: Path):
    async def body(running: Running, feed: Feed, call: Any) -> None:
        made = await call("POST", "/restore", location="nightly", deletionProtectionEnabled=False)
        name, cluster = made["jobIdentifier"], made["clusterIdentifier"]
        await feed.has(name)
        await feed.report(JobReport(name, "FAILED", "the backup is damaged"))
        assert (await call("GET", f"/cluster/{cluster}"))["status"] == "FAILED"
        told = await call("GET", f"/restore/{name}")
        assert (told["status"], told["statusMessage"]) == ("FAILED", "the backup is damaged")
        await call("DELETE", f"/cluster/{cluster}")

    on(tmp_path, body)


def test_a_cluster_deleted_meanwhile_ends_its_jobs(tmp_path: Path):
    async def body(running: Running, feed: Feed, call: Any) -> None:
        made = await call("POST", "/restore", location="nightly", deletionProtectionEnabled=False)
        await feed.has(made["jobIdentifier"])
        await call("DELETE", f"/cluster/{made['clusterIdentifier']}")
        await feed.has()
        told = await until_not(call, f"/restore/{made['jobIdentifier']}", "RUNNING")
        assert (told["status"], told["statusMessage"]) == ("FAILED", "the cluster has been deleted")

    on(tmp_path, body)


def test_requests_that_make_no_sense_are_refused(tmp_path: Path):
    async def body(running: Running, feed: Feed, call: Any) -> None:
        path = f"/backup/{first(running).identifier}"
        for wrong in (
            {"location": ""},
            {"location": "a\nb"},
            {"location": "a", "followSeconds": -1},
            {"location": "a", "followSeconds": 10**7},
            {"location": "a", "unknown": 1},
        ):
            with pytest.raises(ApiError, match="ValidationException"):
                await call("POST", path, **wrong)
        for moment in (-1, 0, "now", 1e300):
            with pytest.raises(ApiError, match="ValidationException"):
                await call("POST", "/restore", location="a", restoreTime=moment)
        for missing in (f"{path}/{'x' * 26}", f"/restore/{'x' * 26}"):
            with pytest.raises(ApiError, match="ResourceNotFoundException"):
                await call("GET", missing)
        with pytest.raises(ApiError, match="ResourceNotFoundException"):
            await call("POST", f"/backup/{'x' * 26}", location="a")
        for number in range(backups.RUNNING_MAX):
            await call("POST", path, location=f"place {number}")
        with pytest.raises(ApiError, match="ServiceQuotaExceededException"):
            await call("POST", path, location="one more")

    on(tmp_path, body)


def test_what_became_of_jobs_is_forgotten_after_a_while(tmp_path: Path):
    async def body(running: Running, feed: Feed, call: Any) -> None:
        made = await call("POST", f"/backup/{first(running).identifier}", location="a")
        await feed.has(made["jobIdentifier"])
        await feed.report(JobReport(made["jobIdentifier"], "FAILED", "why"))
        image = running.tenancy.image
        assert backups.orphaned(image, time.time()) == Decision(None, [], [])
        (job,) = image.of(backups.BackupJob).values()
        later = time.time() + backups.KEPT_SECONDS + 1
        assert backups.orphaned(image, later).removed == [replace(job)]

    on(tmp_path, body)


async def until_not(call: Any, path: str, status: str) -> dict[str, Any]:
    """What the API says once it says something else; each question takes a while of its own."""
    async with asyncio.timeout(PATIENCE):
        told = await call("GET", path)
        while told["status"] == status:
            told = await call("GET", path)
    return told
