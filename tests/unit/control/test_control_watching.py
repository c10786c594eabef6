from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import NAMESPACE, node_json, pod_json

from tausql.control import kubernetes_api
from tausql.control.asking import Trouble
from tausql.control.cluster import GONE_MAX, Node, Objects, Pod, Zones, read_node, read_pod
from tausql.control.kubernetes_api import KubernetesApi
from tausql.control.lease import Lease
from tausql.control.warm_pool import Scale
from tausql.control.watcher import Changed, Failed, Listed, Report, Watcher

PATIENCE = 10.0


@pytest.fixture
def server():
    made = ApiServer()
    made.start()
    yield made
    made.stop()


def api_of(server: ApiServer) -> KubernetesApi:
    return KubernetesApi(server.url, NAMESPACE, "tausql")


class Heard:
    """What a watcher reports, as objects and one by one."""

    def __init__(self) -> None:
        self.objects: Objects[Any] = Objects()
        self.reports: asyncio.Queue[Report[Any]] = asyncio.Queue()
        self.lists = 0
        self.troubles: list[str] = []

    def take(self, report: Report[Any]) -> None:
        if isinstance(report, Listed):
            self.lists += 1
            self.objects.replace(report.things)
        elif isinstance(report, Changed):
            for event in report.events:
                if event.deleted:
                    self.objects.drop(event.thing)
                else:
                    self.objects.put(event.thing)
        else:
            assert isinstance(report, Failed), report
            self.troubles.append(str(report.trouble))
        self.reports.put_nowait(report)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await self.reports.get()

    def names(self, *wanted: str) -> Callable[[], bool]:
        return lambda: sorted(self.objects.by_name) == sorted(wanted)


def watching(server: ApiServer, resource: str, body: Callable[[Heard], Awaitable[None]]) -> None:
    async def main() -> None:
        api = api_of(server)
        heard = Heard()
        post = asyncio.get_running_loop().call_soon_threadsafe
        source: Any = api.pods(50) if resource == "pods" else api.nodes(50)
        watcher = Watcher(resource, source, post, heard.take)
        watcher.start()
        try:
            await body(heard)
        finally:
            watcher.stop()
            assert await asyncio.to_thread(watcher.join, PATIENCE)

    asyncio.run(main())


def test_objects_are_listed_page_by_page_and_then_followed(server):
    server.page = 2
    for number in range(5):
        server.put("pods", pod_json("frontend", f"f-{number}", ip=f"10.0.0.{number}"))

    async def body(heard: Heard) -> None:
        await heard.until(heard.names("f-0", "f-1", "f-2", "f-3", "f-4"))
        server.put("pods", pod_json("frontend", "f-5"))
        await heard.until(heard.names("f-0", "f-1", "f-2", "f-3", "f-4", "f-5"))
        server.put("pods", pod_json("frontend", "f-5", ip="10.0.0.9"))
        await heard.until(lambda: heard.objects.by_name["f-5"].ip == "10.0.0.9")
        server.delete("pods", "f-0")
        await heard.until(heard.names("f-1", "f-2", "f-3", "f-4", "f-5"))
        assert heard.lists == 1
        assert not heard.troubles

    watching(server, "pods", body)
    (query,) = (query for query in server.asked("GET", "/pods") if "watch" in query)
    assert query["allowWatchBookmarks"] == "true"
    assert query["timeoutSeconds"] == "50"
    assert query["labelSelector"] == "app.kubernetes.io/name=tausql,app.kubernetes.io/instance=tausql"
    assert [query.get("continue") for query in server.asked("GET", "/pods")[:3]] == [None, "2", "4"]
    assert "resourceVersion" not in server.asked("GET", "/pods")[0]  # of now, not of a cache


def test_of_nodes_only_the_metadata_is_asked_for(server):
    server.put("nodes", node_json("n1", "za"))

    async def body(heard: Heard) -> None:
        await heard.until(lambda: heard.lists == 1 and heard.reports.qsize() == 0)
        server.put("nodes", node_json("n2"))
        await heard.until(heard.names("n1", "n2"))
        assert heard.objects.by_name == {"n1": Node("n1", "uid-n1", "za"), "n2": Node("n2", "uid-n2", "n2")}

    watching(server, "nodes", body)
    accepted = [accept.partition(",")[0] for _, _, _, accept in server.requests]
    assert accepted[:2] == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]


def test_a_watch_that_breaks_is_taken_up_where_it_broke(server):
    server.put("pods", pod_json("frontend", "f-0"))

    async def body(heard: Heard) -> None:
        server.put("pods", pod_json("frontend", "f-1"))
        await heard.until(heard.names("f-0", "f-1"))
        await heard.until(lambda: bool(server.watching["pods"]))
        server.drop("pods")
        await heard.until(lambda: len(heard.troubles) == 1)
        server.put("pods", pod_json("frontend", "f-2"))
        server.delete("pods", "f-0")
        await heard.until(heard.names("f-1", "f-2"))
        assert heard.lists == 1

    watching(server, "pods", body)


def test_a_server_that_forgot_the_past_is_asked_for_everything_again(server):
    server.put("pods", pod_json("frontend", "f-0"))

    async def body(heard: Heard) -> None:
        await heard.until(lambda: heard.lists == 1)
        await heard.until(lambda: bool(server.watching["pods"]))
        server.put("pods", pod_json("frontend", "f-1"))
        await heard.until(heard.names("f-0", "f-1"))
        with server.lock:  # what happens while the watch is away is not told of
            server.drop("pods")
            server.delete("pods", "f-0")
            server.compact()
        await heard.until(heard.names("f-1"))
        assert heard.lists == 2
        server.put("pods", pod_json("frontend", "f-2"))
        await heard.until(heard.names("f-1", "f-2"))

    watching(server, "pods", body)


def test_a_refused_watch_is_tried_again_and_410_means_list_again(server):
    server.put("pods", pod_json("frontend", "f-0"))
    server.refusals = [503, 429]

    async def body(heard: Heard) -> None:
        await heard.until(heard.names("f-0"))
        assert heard.troubles == ["503 refused: 503", "429 refused: 429"]
        await heard.until(lambda: bool(server.watching["pods"]))
        with server.lock:
            server.refusals = [410]
            server.drop("pods")
        await heard.until(lambda: heard.lists == 2)
        server.put("pods", pod_json("frontend", "f-1"))
        await heard.until(heard.names("f-0", "f-1"))

    watching(server, "pods", body)


def test_a_server_that_is_away_is_waited_for(server):
    server.put("pods", pod_json("frontend", "f-0"))

    async def body(heard: Heard) -> None:
        await heard.until(heard.names("f-0"))
        server.stop()
        await heard.until(lambda: len(heard.troubles) >= 2)
        assert heard.names("f-0")()  # what was known stands
        server.put("pods", pod_json("frontend", "f-1"))
        server.start()
        await heard.until(heard.names("f-0", "f-1"))

    watching(server, "pods", body)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ADDED","object":{"metadata":{"name":7}}}\n',
        b"not JSON at all\n",
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"unable to decode"}}\n',
    ],
)
def test_an_event_that_cannot_be_read_means_list_again(server, line):
    server.put("pods", pod_json("frontend", "f-0"))
    server.garbage["pods"] = line

    async def body(heard: Heard) -> None:
        await heard.until(lambda: heard.lists == 2)
        server.put("pods", pod_json("frontend", "f-1"))
        await heard.until(heard.names("f-0", "f-1"))

    watching(server, "pods", body)


def test_a_bookmark_moves_the_place_to_go_on_from(server):
    server.garbage["pods"] = b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"150"}}}\n'

    async def body(heard: Heard) -> None:
        await heard.until(lambda: heard.lists == 1)
        await heard.until(lambda: bool(server.watching["pods"]))
        server.version = 160
        server.put("pods", pod_json("frontend", "f-0"))
        await heard.until(heard.names("f-0"))
        server.drop("pods")
        await heard.until(lambda: len(server.asked("GET", "/pods")) >= 3)

    watching(server, "pods", body)
    versions = [query["resourceVersion"] for query in server.asked("GET", "/pods") if "watch" in query]
    assert versions[:2] == ["100", "161"]


def test_the_loop_is_told_no_faster_than_it_listens(server):
    """The thread waits for the loop, rather than filling it up."""
    posted: list[tuple[Any, Any]] = []

    class Endless:
        told = 0

        def read_all(self) -> tuple[list[Pod], str]:
            return [], "1"

        def watch(self, version: str) -> Any:
            while True:
                Endless.told += 1
                yield type("Part", (), {"events": (), "version": version})

        def interrupt(self) -> None:
            pass

    full = asyncio.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def post(function: Any, argument: Any) -> None:
            posted.append((function, argument))
            if len(posted) == 256:
                loop.call_soon_threadsafe(full.set)

        heard: list[Any] = []
        watcher: Watcher[Pod] = Watcher("pods", Endless(), post, heard.append)
        watcher.start()
        async with asyncio.timeout(PATIENCE):
            await full.wait()
        function, argument = posted[0]
        function(argument)
        assert len(heard) == 1
        watcher.stop()
        assert await asyncio.to_thread(watcher.join, PATIENCE)
        assert len(posted) <= 257
        function(argument)
        assert len(heard) == 1  # nothing after the stop

    asyncio.run(main())


# objects


def test_a_pod_is_cut_down_to_what_matters():
    import json

    raw = json.dumps(pod_json("storage", "s-0", ip="10.0.0.1", subdomain="s", created=77, http=9090, deleting=True))
    assert read_pod(raw.encode())[0] == Pod(
        "s-0", "uid-s-0", "storage", "n1", "10.0.0.1", "Running", 77, True, "s-0.s", 7400, 9090, 7500
    )
    bare = read_pod(b'{"metadata":{"name":"x","labels":null},"spec":{"containers":null}}')
    assert bare == (Pod("x", ""), "")
    assert read_node(b'{"metadata":{"name":"n","labels":null}}')[0].zone == "n"


def test_a_late_goodbye_does_not_take_away_the_successor():
    objects: Objects[Pod] = Objects()
    assert objects.replace([])
    assert not objects.replace([])
    old, new = Pod("s-0", "1"), Pod("s-0", "2")
    assert objects.put(old)
    assert not objects.put(old)
    assert objects.put(new)
    assert not objects.drop(old)
    assert objects.by_name == {"s-0": new}
    assert objects.drop(new)
    assert not objects.drop(new)


def test_the_zone_of_a_node_outlives_the_node_but_not_for_ever():
    zones = Zones()
    assert zones.of([Node("n1", "1", "za")]) == {"n1": "za"}
    assert zones.of([]) == {"n1": "za"}
    assert zones.of([Node("n1", "2", "zb")]) == {"n1": "zb"}
    many = [Node(f"m{number}", "", "z") for number in range(GONE_MAX)]
    known = zones.of(many)
    assert len(known) == GONE_MAX
    assert "n1" not in known


# requests

SCALE = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/p/scale"
FLOOR = f"/apis/autoscaling/v1/namespaces/{NAMESPACE}/horizontalpodautoscalers/h"


def test_the_scale_is_read_and_written(server):
    api = api_of(server)
    server.records[SCALE] = {"metadata": {}, "spec": {"replicas": 3}, "status": {"replicas": 2}}
    server.records[FLOOR] = {"spec": {"maxReplicas": 9}}
    assert api.read_scale("p", "") == Scale(3)
    assert api.read_scale("p", "h") == Scale(3, 1, 9)
    api.write_replicas("p", 5)
    api.write_least("h", 4)
    assert api.read_scale("p", "h") == Scale(5, 4, 9)
    server.records[SCALE] = {"metadata": {}, "spec": {}}  # how the server writes 0
    assert api.read_scale("p", "").replicas == 0


def test_a_lease_is_made_renewed_and_lost_to_whoever_was_faster(server):
    api = api_of(server)
    assert api.read_lease("l") is None
    assert api.write_lease("l", None, "a", 15.0)
    assert not api.write_lease("l", None, "b", 15.0)
    first = api.read_lease("l")
    assert first == Lease("a", "101", 15.0, 0)
    assert api.write_lease("l", first, "a", 15.0)
    assert not api.write_lease("l", first, "b", 15.0)
    assert api.write_lease("l", api.read_lease("l"), "b", 15.0)
    assert api.read_lease("l") == Lease("b", "103", 15.0, 1)


def test_what_goes_wrong_is_told_in_the_servers_words(server):
    api = api_of(server)
    server.refusals = [403]
    with pytest.raises(Trouble, match="403 refused: 403") as caught:
        api.read_scale("p", "")
    assert caught.value.forbidden
    server.records[SCALE] = {"spec": {"replicas": "many"}}
    with pytest.raises(Trouble, match="replicas"):
        api.read_scale("p", "")
    server.stop()
    with pytest.raises(Trouble) as caught:
        api.read_scale("p", "")
    assert caught.value.status == 0
    server.start()


def test_without_kubernetes_it_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(LookupError, match=r"tausql up.*TAUSQL_CONTROL_KUBERNETES_URL"):
        KubernetesApi("", "", "tausql")
    monkeypatch.setattr(kubernetes_api, "NAMESPACE_FILE", tmp_path / "namespace")
    with pytest.raises(LookupError, match="TAUSQL_CONTROL_NAMESPACE"):
        KubernetesApi("http://127.0.0.1:1", "", "tausql")
    (tmp_path / "namespace").write_text("db\n")
    assert KubernetesApi("http://127.0.0.1:1", "", "tausql").namespace == "db"
