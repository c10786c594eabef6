"""Secrets of one namespace, written only as long as nobody else did meanwhile."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from kubernetes.client import ApiClient, CoreV1Api

from tausql.control.asking import Trouble, asked
from tausql.control.kubernetes_api import configuration_of, own_namespace

Data = Mapping[str, bytes]


class Secret(msgspec.Struct, frozen=True):
    """`whole`: the object as the API server gave it; None: there is none yet."""

    name: str
    data: dict[str, bytes]
    whole: dict[str, Any] | None = None


class Secrets(Protocol):
    """Where Secrets lie. Both raise `Trouble`."""

    def read(self, name: str) -> Secret: ...

    def write(self, secret: Secret, data: Data) -> bool:
        """Put `data` in place of what `secret` held when it was read. False: somebody else changed it since."""
        ...


class KubernetesSecrets:
    """In Kubernetes. Raises LookupError where there is none.

    url, namespace: empty for those of the pod that this runs in. labels: of Secrets that are made.
    """

    def __init__(self, url: str, namespace: str, labels: Mapping[str, str]) -> None:
        self._core = CoreV1Api(ApiClient(configuration_of(url)))
        self._namespace = namespace or own_namespace()
        self._labels = dict(labels)

    def read(self, name: str) -> Secret:
        try:
            whole = asked(dict[str, Any], self._core.read_namespaced_secret, name, self._namespace)
        except Trouble as trouble:
            if trouble.status == 404:
                return Secret(name, {})
            raise
        encoded: dict[str, str] = whole.get("data") or {}
        return Secret(name, {key: b64decode(value) for key, value in encoded.items()}, whole)

    def write(self, secret: Secret, data: Data) -> bool:
        encoded = {key: b64encode(value).decode() for key, value in data.items()}
        try:
            if secret.whole is None:
                body: dict[str, Any] = {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "kubernetes.io/tls",
                    "metadata": {"name": secret.name, "namespace": self._namespace, "labels": self._labels},
                    "data": encoded,
                }
                asked(None, self._core.create_namespaced_secret, self._namespace, body)
            else:
                body = {**secret.whole, "data": encoded}  # its resourceVersion makes a later change a conflict
                asked(None, self._core.replace_namespaced_secret, secret.name, self._namespace, body)
        except Trouble as trouble:
            if trouble.status == 409:
                return False
            raise
        return True
