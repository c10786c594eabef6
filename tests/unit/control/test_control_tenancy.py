"""What frontends and changefeeds hear of clusters and keys, and what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from tests.unit.control.control_api_running import KEY_ID, Removals, api_of, ask, files, tenancy_of
from tests.unit.control.control_running import node_of

from tausql.control.clusters import life
from tausql.control.clusters.records import Cluster, Status, Stream
from tausql.control.clusters.tending import Sleep
from tausql.control.system.state import Decision
from tausql.control.system.store import MemoryStore
from tausql.protocol.changefeed import ChangefeedClient, ChangeStreams, Progress, ReportProgress
from tausql.protocol.clusters import (
    ClusterRecord,
    Clusters,
    ClustersClient,
    ClusterUse,
    ConnectEvent,
    KeyRecord,
    Keys,
    ReportUse,
    UseReported,
)
from tausql.protocol.crossbar import Cursor
from tausql.runtime.loop import AsyncHost, run_on_host

PATIENCE = 10.0


class Heard:
    """What a process that follows knows."""

    def __init__(self) -> None:
        self.clusters: dict[str, ClusterRecord] = {}
        self.keys: dict[str, KeyRecord] = {}
        self.streams: list[ChangeStreams] = []
        self._news = asyncio.Event()

    def on_clusters(self, told: Clusters) -> None:
        if told.full:
            self.clusters = {}
        self.clusters |= {one.identifier: one for one in told.changed}
        for name in told.removed:
            self.clusters.pop(name, None)
        self._news.set()

    def on_keys(self, told: Keys) -> None:
        if told.full:
            self.keys = {}
        self.keys |= {one.access_key_id: one for one in told.changed}
        for name in told.removed:
            self.keys.pop(name, None)
        self._news.set()

    def on_streams(self, told: ChangeStreams) -> None:
        self.streams.append(told)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await self._news.wait()
                self._news.clear()


async def called(call: Callable[..., None], report: Any) -> Any:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    call(report, PATIENCE, answer.set_result)
    return await answer


def test_frontends_hear_of_clusters_and_keys_as_they_come_and_go(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, node_of(host) as node:
            node.serve("control", running.tenancy.routes())
            heard, client = Heard(), ClustersClient(node.connect(node.address, "control"))
            streams = [
                client.watch_clusters("f", heard.on_clusters, lambda _: None),
                client.watch_keys("f", heard.on_keys, lambda _: None),
            ]
            await heard.until(lambda: len(heard.clusters) == 1 and KEY_ID in heard.keys)
            dsql, iam = running.client(), running.client("iam")
            made = await ask(dsql.create_cluster, tags={"a": "1", "tausql:switches": "lenient"})
            await heard.until(lambda: heard.clusters.get(made["identifier"], None) is not None)
            await heard.until(lambda: heard.clusters[made["identifier"]].status == "ACTIVE")
            record = heard.clusters[made["identifier"]]
            assert (record.number, record.hosts[0], record.switches) == (2, made["endpoint"], ("lenient",))
            assert record.tags["a"] == "1"
            await ask(iam.create_user, UserName="reader")
            key = (await ask(iam.create_access_key, UserName="reader"))["AccessKey"]
            await heard.until(lambda: key["AccessKeyId"] in heard.keys)
            assert heard.keys[key["AccessKeyId"]].secret == key["SecretAccessKey"]
            policy = json.dumps({"Version": "2012-10-17", "Statement": []})
            policy = policy.replace("[]", '[{"Effect": "Allow", "Action": "dsql:*", "Resource": "*"}]')
            await ask(iam.put_user_policy, UserName="reader", PolicyName="p", PolicyDocument=policy)
            await heard.until(lambda: heard.keys[key["AccessKeyId"]].policies == (policy,))
            await ask(iam.delete_access_key, UserName="reader", AccessKeyId=key["AccessKeyId"])
            await heard.until(lambda: key["AccessKeyId"] not in heard.keys)
            identifier = made["identifier"]
            await ask(dsql.update_cluster, identifier=identifier, deletionProtectionEnabled=False)
            await ask(dsql.delete_cluster, identifier=identifier)
            await heard.until(lambda: identifier not in heard.clusters)
            for stream in streams:
                stream.cancel()

    run_on_host(body)


def test_a_cluster_that_sleeps_is_woken_by_its_use_and_connections_are_in_the_log(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        store = MemoryStore()
        async with api_of(host, tmp_path, store, sleep=Sleep(60.0, 600.0)) as running, node_of(host) as node:
            tenancy = running.tenancy
            node.serve("control", tenancy.routes())
            heard, client = Heard(), ClustersClient(node.connect(node.address, "control"))
            stream = client.watch_clusters("f", heard.on_clusters, lambda _: None)
            await heard.until(lambda: len(heard.clusters) == 1)
            (identifier,) = heard.clusters

            def asleep(image: Any) -> Decision[None]:
                cluster = image.of(Cluster)[identifier]
                return Decision(None, (msgspec.structs.replace(cluster, status=Status.idle, used_at=1.0),))

            await tenancy.change(asleep)
            await heard.until(lambda: heard.clusters[identifier].status == "IDLE")
            at = round(tenancy.now() * 1e6)
            event = ConnectEvent(at, identifier, "", "AKIA", "DbConnect", "app", "10.0.0.1", "denied")
            use = ReportUse("f", (ClusterUse(identifier, 1, 0), ClusterUse("unknown", 1, 0)), (event,), 3)
            assert isinstance(await called(client.report_use, use), UseReported)
            await heard.until(lambda: heard.clusters[identifier].status == "ACTIVE")
            (told,) = [json.loads(body) for id, body in store.log.items() if id.startswith(f"{at:017d}")]
            assert (told["eventName"], told["errorMessage"]) == ("DbConnect", "denied")
            assert told["resources"][0]["ARN"].endswith(identifier)
            assert tenancy.metrics.events() == (tenancy.events.written, 3)
            stream.cancel()

    run_on_host(body)


def test_streams_are_told_and_progress_never_goes_back(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, node_of(host) as node:
            tenancy = running.tenancy
            node.serve("control", tenancy.routes())
            heard, client = Heard(), ChangefeedClient(node.connect(node.address, "control"))
            following = client.watch("c", heard.on_streams, lambda _: None)
            await heard.until(lambda: bool(heard.streams))
            (cluster,) = tenancy.image.of(Cluster).values()
            stream = Stream("s" * 26, cluster.identifier, "CREATING", 0.0, "target", "role")
            await tenancy.change(lambda _: Decision(None, (stream,)))
            await heard.until(lambda: len(heard.streams) == 2)
            assert [one.number for one in heard.streams[1].changed] == [1]

            async def report(*row: Any) -> Stream:
                await called(client.report, ReportProgress("c", (Progress(*row),)))
                return tenancy.image.of(Stream)[stream.identifier]

            cursors = (Cursor(0, (1, 2), 3),)
            kept = await report(stream.identifier, "ACTIVE", 10, cursors)
            assert (kept.status, kept.watermark) == ("ACTIVE", 10)
            kept = await report(stream.identifier, "IMPAIRED", 5, (), "KINESIS_STREAM_NOT_FOUND")
            assert (kept.status, kept.watermark, kept.error) == ("IMPAIRED", 10, "KINESIS_STREAM_NOT_FOUND")
            await report(stream.identifier, "FAILED", 5, (), "INTERNAL_ERROR")
            await heard.until(lambda: heard.streams[-1].removed == (stream.identifier,))
            assert (await report(stream.identifier, "ACTIVE", 20, ())).status == "FAILED"
            assert len(heard.streams) == 3
            following.cancel()

    run_on_host(body)


def test_data_that_cannot_be_removed_now_is_removed_later(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("tausql.control.tenancy.REMOVAL_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("tausql.control.tenancy.REMOVAL_WAIT_SECONDS", 0.01)

    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running:
            tenancy, dsql = running.tenancy, running.client()
            running.removals.trouble = True
            made = await ask(dsql.create_cluster, deletionProtectionEnabled=False)
            await ask(dsql.delete_cluster, identifier=made["identifier"])
            gone = asyncio.Event()
            tenancy.state.watch(lambda _: made["identifier"] in tenancy.image.of(Cluster) or gone.set())
            assert (await ask(dsql.get_cluster, identifier=made["identifier"]))["status"] == "DELETING"
            running.removals.trouble = False
            async with asyncio.timeout(PATIENCE):
                await gone.wait()
            assert running.removals.numbers == [2]

    run_on_host(body)


def test_the_first_key_is_replaced_with_its_file(tmp_path: Path):
    credentials = Path(files(tmp_path)[0])

    async def body(host: AsyncHost) -> None:
        tenancy = tenancy_of(host, tmp_path, removals=Removals())
        tenancy.start()
        try:
            assert set(tenancy.keyring.records) == {KEY_ID}
            await tenancy.change(lambda image: life.first(image, tenancy.place(), (), 0.0))
            other = json.dumps({"access_key_id": "OTHER", "secret_access_key": "x"})
            await asyncio.to_thread(credentials.write_text, other)
            tenancy._files_changed()
            assert set(tenancy.keys.known) == {"OTHER"}
        finally:
            await tenancy.stop()

    run_on_host(body)
