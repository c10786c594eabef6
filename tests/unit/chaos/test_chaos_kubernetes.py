"""What is asked of the Kubernetes API, and when a fleet counts as whole again."""

from __future__ import annotations

import http.server
import itertools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kubernetes.client import ApiClient, Configuration

from tausql.chaos.faults import BackendError, Fault
from tausql.chaos.kubernetes_api import (
    COMPONENT,
    ZONE,
    Condition,
    KubernetesApi,
    Metadata,
    Node,
    Pod,
    PodSpec,
    Status,
    Workload,
    WorkloadSpec,
)
from tausql.chaos.kubernetes_backend import KubernetesBackend

READY = Status("Running", [Condition("Ready", "True")])
UNREADY = Status("Running", [Condition("Ready", "False")])
LABELS = {"app.kubernetes.io/name": "tausql", "app.kubernetes.io/instance": "demo"}


class Api:
    """As KubernetesApi. A pod deleted without grace is gone; another is ending until the test takes it away."""

    namespace = "ns"

    def __init__(self) -> None:
        self.uids = itertools.count()
        self.stored: dict[str, Pod] = {}
        self.sets: list[tuple[str, Workload]] = []
        self.node_objects = {
            f"node-{zone}": Node(Metadata(f"node-{zone}", labels={ZONE: f"zone-{zone}"}), READY) for zone in "abc"
        }
        self.calls: list[tuple[Any, ...]] = []
        self.statuses: dict[str, bytes] = {}
        self.refuses_deletes = False
        for component, zones in (("journal", "abc"), ("adjudicator", "ab"), ("frontend", "ab"), ("test", "a")):
            for zone in zones:
                self.add(f"{component}-{zone}", component, f"node-{zone}")
            workload = Workload(Metadata(component, labels={COMPONENT: component}), WorkloadSpec(len(zones)))
            self.sets.append(("stateful_set" if component == "journal" else "deployment", workload))

    def add(self, name: str, component: str, node: str, status: Status = READY) -> None:
        metadata = Metadata(name, f"uid-{next(self.uids)}", LABELS | {COMPONENT: component})
        self.stored[name] = Pod(metadata, PodSpec(node), status)

    def pods(self, labels: str) -> list[Pod]:
        wanted = dict(part.split("=") for part in labels.split(","))
        return [pod for pod in self.stored.values() if wanted.items() <= pod.metadata.labels.items()]

    def _workloads(self, kind: str, labels: str) -> list[Workload]:
        component = labels.rpartition("=")[2]
        return [one for known, one in self.sets if (known, one.metadata.name) == (kind, component)]

    def deployments(self, labels: str) -> list[Workload]:
        return self._workloads("deployment", labels)

    def stateful_sets(self, labels: str) -> list[Workload]:
        return self._workloads("stateful_set", labels)

    def delete_pod(self, pod: Pod, grace_seconds: int | None) -> None:
        if self.refuses_deletes:
            raise BackendError("Kubernetes answered 403 Forbidden")
        self.calls.append(("delete", pod.name, grace_seconds))
        if grace_seconds == 0:
            del self.stored[pod.name]
        else:
            metadata = msgspec.structs.replace(pod.metadata, deletion_timestamp="now")
            self.stored[pod.name] = msgspec.structs.replace(pod, metadata=metadata)

    def restart_deployment(self, name: str, at: str) -> None:
        self.calls.append(("deployment", name))

    def restart_stateful_set(self, name: str, at: str) -> None:
        self.calls.append(("statefulset", name))

    def node(self, name: str) -> Node:
        return self.node_objects[name]

    def set_node(self, name: str, status: Status) -> None:
        self.node_objects[name] = msgspec.structs.replace(self.node_objects[name], status=status)

    def set_schedulable(self, node: str, schedulable: bool) -> None:
        self.calls.append(("schedulable", node, schedulable))

    def ask_pod(self, pod: Pod, path: str) -> bytes:
        if pod.name not in self.statuses:
            raise BackendError("Kubernetes answered 403 Forbidden")
        return self.statuses[pod.name]


class Bench:
    def __init__(self, **commands: str) -> None:
        self.api = Api()
        self.told: list[str] = []
        api: Any = self.api
        self.backend = KubernetesBackend(api, "demo", self.told.append, **commands)


def test_what_runs_is_what_can_be_broken() -> None:
    offers = [str(fault) for fault in Bench().backend.offers()]
    services = ("journal", "adjudicator", "frontend")
    kinds = ("kill", "restart", "rollout")
    cordons = ("cordon", "cordon:node-a", "cordon:node-b", "cordon:node-c")
    assert offers == [*(f"{kind}:{service}" for kind in kinds for service in services), *cordons]
    assert "node" in [str(fault) for fault in Bench(node_kill_command="x").backend.offers()]


def test_a_killed_pod_is_gone_at_once_and_the_fleet_whole_with_its_replacement() -> None:
    bench = Bench()
    blow = bench.backend.strike(Fault("kill", "journal"), 4)
    assert bench.api.calls == [("delete", "journal-b", 0)]
    assert [victim.services for victim in blow.victims] == [("journal",)]
    assert blow.gone()
    assert not blow.ready()
    bench.api.add("journal-b", "journal", "node-b", UNREADY)
    assert not blow.ready()
    bench.api.add("journal-b", "journal", "node-b")
    assert blow.ready()


def test_a_restarted_pod_is_there_until_it_has_drained() -> None:
    bench = Bench()
    blow = bench.backend.strike(Fault("restart", "frontend"), 0)
    assert bench.api.calls == [("delete", "frontend-a", None)]
    assert not blow.gone()
    bench.api.add("frontend-x", "frontend", "node-c")
    assert not blow.ready()
    del bench.api.stored["frontend-a"]
    assert blow.ready()


def test_of_adjudicators_the_one_at_work_is_struck() -> None:
    bench = Bench()
    bench.api.statuses = {
        "adjudicator-a": b'{"adjudicator": {"streams": [{"held": false}]}}',
        "adjudicator-b": b'{"adjudicator": {"streams": [{"held": true}]}}',
    }
    assert bench.backend.strike(Fault("kill", "adjudicator"), 0).victims[0].name == "adjudicator-b"
    assert bench.told == []


def test_where_pods_cannot_be_asked_they_take_turns_and_the_user_is_told_once() -> None:
    bench = Bench()
    assert bench.backend.strike(Fault("kill", "adjudicator"), 1).victims[0].name == "adjudicator-b"
    assert bench.backend.moved_sessions() == {}
    (told,) = bench.told
    assert "pods/proxy" in told


def test_moved_sessions_come_from_the_frontends() -> None:
    bench = Bench()
    bench.api.statuses = {
        "frontend-a": b"tausql_frontend_sessions_moved_total 4.0\n",
        "frontend-b": b"tausql_frontend_sessions_total 4.0\n",
    }
    assert bench.backend.moved_sessions() == {"frontend-a": 4.0}


@pytest.mark.parametrize(("component", "kind"), [("journal", "statefulset"), ("frontend", "deployment")])
def test_a_rollout_is_asked_for_as_kubectl_does(component: str, kind: str) -> None:
    bench = Bench()
    blow = bench.backend.strike(Fault("rollout", component), 0)
    assert bench.api.calls == [(kind, component)]
    assert not blow.gone()
    for pod in bench.backend.pods(component):
        bench.api.add(pod.name, component, pod.spec.node_name)
    assert blow.ready()


def test_a_cordoned_node_is_emptied_and_made_schedulable_again() -> None:
    bench = Bench()
    blow = bench.backend.strike(Fault("cordon"), 2)
    assert bench.api.calls == [("schedulable", "node-c", False), ("delete", "journal-c", None)]
    assert blow.held
    assert not blow.gone()
    bench.api.add("journal-c", "journal", "node-a")
    assert blow.gone()
    blow.undo()
    assert bench.api.calls[-1] == ("schedulable", "node-c", True)
    assert blow.ready()


def test_a_node_is_ended_and_started_by_the_users_commands(tmp_path: Path) -> None:
    note = f"{sys.executable} -c \"open('{tmp_path}/{{node}}', 'a').write('%s {{zone}} ')\""
    bench = Bench(node_kill_command=note % "kill", node_start_command=note % "start")
    blow = bench.backend.strike(Fault("node", "node-a"), 5)
    assert blow.victims[0].services == ("adjudicator", "frontend", "journal")
    assert not blow.gone()
    bench.api.set_node("node-a", UNREADY)
    assert blow.gone()
    assert not blow.ready()
    blow.undo()
    assert (tmp_path / "node-a").read_text() == "kill zone-a start zone-a "
    bench.api.set_node("node-a", READY)
    assert blow.ready()


def test_a_command_that_fails_says_so() -> None:
    bench = Bench(node_kill_command=f"{sys.executable} -c 'import sys; sys.exit(\"no such {{node}}\")'")
    with pytest.raises(BackendError, match="no such node-a"):
        bench.backend.strike(Fault("node"), 0)


def test_a_node_that_cannot_be_emptied_is_not_left_cordoned() -> None:
    bench = Bench()
    bench.api.refuses_deletes = True
    with pytest.raises(BackendError, match="403"):
        bench.backend.strike(Fault("cordon", "node-c"), 0)
    assert bench.api.calls == [("schedulable", "node-c", False), ("schedulable", "node-c", True)]


class Wire(http.server.BaseHTTPRequestHandler):
    """An API server that notes requests and gives the next answer: (status, body)."""

    requests: list[tuple[str, str, Any]]
    answers: list[tuple[int, bytes]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.requests.append((self.command, self.path, msgspec.json.decode(body) if body else None))
        status, said = self.answers.pop(0)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_DELETE = do_PATCH = _answer

    def log_message(self, *_: object) -> None:
        return


class Line:
    """A KubernetesApi that talks to a `Wire`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.answers: list[tuple[int, bytes]] = []
        handler = type("Noted", (Wire,), {"requests": self.requests, "answers": self.answers})
        self.server = http.server.HTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        configuration = Configuration()
        configuration.host = f"http://127.0.0.1:{self.server.server_port}"
        configuration.retries = False
        self.api = KubernetesApi(ApiClient(configuration), "ns")

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def line() -> Iterator[Line]:
    opened = Line()
    yield opened
    opened.close()


POD = (
    b'{"metadata": {"name": "p-0", "uid": "u-1", "labels": {"app.kubernetes.io/component": "journal"}, "new": 1},'
    b' "spec": {"nodeName": "node-a"}, "status": {"phase": "Running", "conditions": [{"type": "Ready",'
    b' "status": "True", "lastProbeTime": null}]}}'
)


def test_pods_are_read_as_they_come(line: Line) -> None:
    line.answers += [(200, b'{"kind": "PodList", "items": [' + POD + b', {"metadata": {"name": "p-1"}}]}')]
    first, second = line.api.pods("a=b,c=d")
    assert (first.name, first.component, first.spec.node_name, first.ready) == ("p-0", "journal", "node-a", True)
    assert (second.ready, second.ending, second.spec.node_name) == (False, False, "")
    assert line.requests == [("GET", "/api/v1/namespaces/ns/pods?labelSelector=a%3Db%2Cc%3Dd", None)]


def test_exactly_one_pod_is_deleted_and_its_grace_is_stated(line: Line) -> None:
    pod = msgspec.json.decode(POD, type=Pod)
    line.answers += [(200, POD)] * 2
    line.api.delete_pod(pod, 0)
    line.api.delete_pod(pod, None)
    path = "/api/v1/namespaces/ns/pods/p-0"
    assert line.requests == [
        ("DELETE", path, {"preconditions": {"uid": "u-1"}, "gracePeriodSeconds": 0}),
        ("DELETE", path, {"preconditions": {"uid": "u-1"}}),
    ]


def test_changes_and_questions_go_where_they_should(line: Line) -> None:
    line.answers += [(200, b"{}")] * 3 + [(200, b"tausql_up 1\n")]
    line.api.restart_deployment("d", "now")
    line.api.restart_stateful_set("s", "now")
    line.api.set_schedulable("node-a", False)
    assert line.api.ask_pod(msgspec.json.decode(POD, type=Pod), "metrics") == b"tausql_up 1\n"
    restarted = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    assert line.requests == [
        ("PATCH", "/apis/apps/v1/namespaces/ns/deployments/d", restarted),
        ("PATCH", "/apis/apps/v1/namespaces/ns/statefulsets/s", restarted),
        ("PATCH", "/api/v1/nodes/node-a", {"spec": {"unschedulable": True}}),
        ("GET", "/api/v1/namespaces/ns/pods/p-0%3A8080/proxy/metrics", None),
    ]


def test_what_the_api_refuses_or_cannot_say_is_an_error_for_the_user(line: Line) -> None:
    line.answers += [(403, b"{}"), (200, b'{"items": 7}')]
    with pytest.raises(BackendError, match="answered 403"):
        line.api.pods("a=b")
    with pytest.raises(BackendError, match="answered what is no"):
        line.api.pods("a=b")
    line.server.server_close()
    with pytest.raises(BackendError, match="does not answer"):
        line.api.node("node-a")
