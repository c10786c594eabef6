"""The few calls to Kubernetes that chaos makes, and the few fields it reads of what comes back.

Answers are read as they are, not into the client's models: those check every field against the newest API, and a fleet
may run on an older one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import urllib3
from kubernetes import client, config

from tausql.chaos.faults import BackendError

COMPONENT = "app.kubernetes.io/component"
ZONE = "topology.kubernetes.io/zone"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
HTTP_PORT = 8080  # the container port `http`
CALL_SECONDS = 10.0

T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    uid: str = ""
    labels: dict[str, str] = {}
    deletion_timestamp: str | None = None


class Condition(msgspec.Struct, frozen=True):
    type: str
    status: str


class Status(msgspec.Struct, frozen=True):
    phase: str = ""
    conditions: list[Condition] = []

    @property
    def ready(self) -> bool:
        return any(one.type == "Ready" and one.status == "True" for one in self.conditions)


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""


class Pod(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: Status = Status()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def component(self) -> str:
        return self.metadata.labels.get(COMPONENT, "")

    @property
    def ending(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def ready(self) -> bool:
        return self.status.ready and not self.ending


class Node(msgspec.Struct, frozen=True):
    metadata: Metadata
    status: Status = Status()

    @property
    def zone(self) -> str:
        return self.metadata.labels.get(ZONE, self.metadata.name)


class WorkloadSpec(msgspec.Struct, frozen=True):
    replicas: int = 1


class Workload(msgspec.Struct, frozen=True):
    """A Deployment or a StatefulSet."""

    metadata: Metadata
    spec: WorkloadSpec = WorkloadSpec()


class _Listed(msgspec.Struct):
    items: list[msgspec.Raw]


class KubernetesApi:
    """One namespace. Every call raises BackendError."""

    def __init__(self, api_client: Any, namespace: str) -> None:
        self._core = client.CoreV1Api(api_client)
        self._apps = client.AppsV1Api(api_client)
        self.namespace = namespace

    def pods(self, labels: str) -> list[Pod]:
        return self._list(Pod, self._core.list_namespaced_pod, labels)

    def deployments(self, labels: str) -> list[Workload]:
        return self._list(Workload, self._apps.list_namespaced_deployment, labels)

    def stateful_sets(self, labels: str) -> list[Workload]:
        return self._list(Workload, self._apps.list_namespaced_stateful_set, labels)

    def _list(self, kind: type[T], call: Callable[..., Any], labels: str) -> list[T]:
        listed = _decoded(_Listed, _called(call, self.namespace, label_selector=labels))
        return [_decoded(kind, bytes(item)) for item in listed.items]

    def delete_pod(self, pod: Pod, grace_seconds: int | None) -> None:
        """`grace_seconds` None: its own. Only this very pod: not one of its name that has taken its place."""
        body: dict[str, Any] = {"preconditions": {"uid": pod.metadata.uid}}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        _called(self._core.delete_namespaced_pod, pod.name, self.namespace, body=body)

    def restart_deployment(self, name: str, at: str) -> None:
        _called(self._apps.patch_namespaced_deployment, name, self.namespace, _restarted(at))

    def restart_stateful_set(self, name: str, at: str) -> None:
        _called(self._apps.patch_namespaced_stateful_set, name, self.namespace, _restarted(at))

    def node(self, name: str) -> Node:
        return _decoded(Node, _called(self._core.read_node, name))

    def set_schedulable(self, node: str, schedulable: bool) -> None:
        _called(self._core.patch_node, node, {"spec": {"unschedulable": not schedulable}})

    def ask_pod(self, pod: Pod, path: str) -> bytes:
        """GET on its `http` port, through the API server: that works from outside the cluster, too."""
        call = self._core.connect_get_namespaced_pod_proxy_with_path
        return _called(call, f"{pod.name}:{HTTP_PORT}", self.namespace, path)


def connect(namespace: str, context: str | None) -> KubernetesApi:
    """As a pod where this is one, else as kubectl would. Raises BackendError."""
    try:
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config(context=context)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise BackendError(f"no way to reach Kubernetes: {error}") from error
    return KubernetesApi(client.ApiClient(), namespace)


def _restarted(at: str) -> dict[str, Any]:
    return {"spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}}


def _called(call: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
    try:
        answer = call(*arguments, _preload_content=False, _request_timeout=CALL_SECONDS, **options)
        return bytes(answer.data)
    except client.ApiException as error:
        raise BackendError(f"Kubernetes answered {error.status} {error.reason}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BackendError(f"Kubernetes does not answer: {error}") from error


def _decoded(kind: type[T], data: bytes) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BackendError(f"Kubernetes answered what is no {kind.__name__}: {error}") from error
