"""The Kubernetes API as control uses it: pods and nodes, one Lease, two numbers to read and write.

All functions block: they are called in threads. What they raise is `Trouble`.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from kubernetes.client import (
    ApiClient,
    AppsV1Api,
    AuthenticationV1Api,
    AutoscalingV1Api,
    Configuration,
    CoordinationV1Api,
    CoreV1Api,
)
from kubernetes.config import ConfigException, load_incluster_config

from tausql.control.asking import Trouble, asked
from tausql.control.cluster import INSTANCE_LABEL, NAME_LABEL, Node, Pod, read_node, read_pod
from tausql.control.identities.web_identity import Reviewed
from tausql.control.lease import Lease
from tausql.control.listing import Source
from tausql.control.warm_pool import Scale

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
ALONE = (
    "control reads the fleet from Kubernetes, and this process is in no pod of one ({why}). On a laptop, `tausql up` "
    "runs a fleet without Kubernetes; or give TAUSQL_CONTROL_KUBERNETES_URL (of `kubectl proxy`) and "
    "TAUSQL_CONTROL_NAMESPACE"
)
MERGE = "application/merge-patch+json"
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]


class _ScaleObject(msgspec.Struct):
    class Spec(msgspec.Struct):
        replicas: int = 0

    spec: Spec


class _Autoscaler(msgspec.Struct):
    class Spec(msgspec.Struct):
        maxReplicas: int
        minReplicas: int = 1

    spec: Spec


class _TokenReview(msgspec.Struct):
    class User(msgspec.Struct):
        username: str = ""

    class Status(msgspec.Struct):
        user: _TokenReview.User
        authenticated: bool = False
        error: str = ""
        audiences: list[str] = []

    status: Status


class _LeaseObject(msgspec.Struct):
    class Meta(msgspec.Struct):
        resourceVersion: str

    class Spec(msgspec.Struct):
        holderIdentity: str | None = None
        leaseDurationSeconds: int | None = None
        leaseTransitions: int | None = None

    metadata: Meta
    spec: Spec = msgspec.field(default_factory=Spec)


class KubernetesApi:
    """One namespace of one cluster. Raises LookupError where there is no Kubernetes.

    url, namespace: empty for those of the pod that this process runs in.
    """

    def __init__(self, url: str, namespace: str, release: str) -> None:
        self._configuration = configuration_of(url)
        self.namespace = namespace or own_namespace()
        self._selector = f"{NAME_LABEL}=tausql,{INSTANCE_LABEL}={release}"
        client = ApiClient(self._configuration)
        self._apps = AppsV1Api(client)
        self._autoscaling = AutoscalingV1Api(client)
        self._coordination = CoordinationV1Api(client)
        self._authentication = AuthenticationV1Api(client)

    # lists and watches

    def pods(self, watch_seconds: int) -> Source[Pod]:
        """The release's pods."""
        client = ApiClient(self._configuration)
        listing = CoreV1Api(client).list_namespaced_pod
        selection = {"namespace": self.namespace, "label_selector": self._selector}
        return Source(client, listing, selection, read_pod, watch_seconds)

    def nodes(self, watch_seconds: int) -> Source[Node]:
        """All nodes: their names and labels, where the server can tell those alone."""
        client = ApiClient(self._configuration)
        return Source(client, CoreV1Api(client).list_node, {}, read_node, watch_seconds, lean=True)

    # the processors' number

    def read_scale(self, deployment: str, autoscaler: str) -> Scale:
        """How many there should be. `autoscaler` "": there is none."""
        found = asked(_ScaleObject, self._apps.read_namespaced_deployment_scale, deployment, self.namespace)
        if not autoscaler:
            return Scale(found.spec.replicas)
        floor = asked(
            _Autoscaler,
            self._autoscaling.read_namespaced_horizontal_pod_autoscaler,
            autoscaler,
            self.namespace,
        )
        return Scale(found.spec.replicas, floor.spec.minReplicas, floor.spec.maxReplicas)

    def write_replicas(self, deployment: str, replicas: int) -> None:
        asked(
            None,
            self._apps.patch_namespaced_deployment_scale,
            deployment,
            self.namespace,
            {"spec": {"replicas": replicas}},
            _content_type=MERGE,
        )

    def write_least(self, autoscaler: str, least: int) -> None:
        """Set minReplicas. By autoscaling/v1, which every Kubernetes serves, whatever version the chart wrote."""
        asked(
            None,
            self._autoscaling.patch_namespaced_horizontal_pod_autoscaler,
            autoscaler,
            self.namespace,
            {"spec": {"minReplicas": least}},
            _content_type=MERGE,
        )

    # who a pod is

    def review_token(self, token: str, audience: str) -> Reviewed:
        """What the server says of a ServiceAccount's token."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        status = asked(_TokenReview, self._authentication.create_token_review, body).status
        return Reviewed(status.authenticated and not status.error, status.user.username, tuple(status.audiences))

    # the lease

    def read_lease(self, name: str) -> Lease | None:
        try:
            found = asked(_LeaseObject, self._coordination.read_namespaced_lease, name, self.namespace)
        except Trouble as trouble:
            if trouble.status == 404:
                return None
            raise
        spec = found.spec
        seconds = float(spec.leaseDurationSeconds or 0)
        return Lease(spec.holderIdentity or "", found.metadata.resourceVersion, seconds, spec.leaseTransitions or 0)

    def write_lease(self, name: str, before: Lease | None, holder: str, seconds: float) -> bool:
        """Make the record say `holder`. False: somebody else wrote it since `before` was read."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changes = 0 if before is None else before.transitions + (before.holder != holder)
        body: dict[str, Any] = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(seconds)),
                "renewTime": now,
                "leaseTransitions": changes,
            },
        }
        try:
            if before is None:
                asked(None, self._coordination.create_namespaced_lease, self.namespace, body)
            else:
                body["metadata"]["resourceVersion"] = before.version
                asked(None, self._coordination.replace_namespaced_lease, name, self.namespace, body)
        except Trouble as trouble:
            if trouble.status == 409:
                return False
            raise
        return True


def configuration_of(url: str) -> Configuration:
    configuration = Configuration()
    if url:
        configuration.host = url.rstrip("/")
    else:
        try:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise LookupError(ALONE.format(why=error)) from error
    configuration.socket_options = _SOCKET_OPTIONS
    configuration.retries = False  # whoever asks decides when to ask again
    configuration.proxy = None
    return configuration


def own_namespace() -> str:
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError as error:
        raise LookupError(ALONE.format(why=error)) from error
