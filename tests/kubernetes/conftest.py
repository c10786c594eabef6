"""The release under test, and connections to it. Tests run in the order of their files: each finds the release as the
one before it left it, since an install takes longer than most tests."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path

import cluster
import psycopg
import pytest

from tausql.access.sigv4 import Credentials
from tausql.local.api import oldest_cluster
from tausql.local.reached import Reached
from tausql.local.tokens import endpoint_name, token_for

KEY_PARTS = ("access_key_id", "secret_access_key")
VALUES = Path(__file__).with_name("values.yaml")
CHART = cluster.ROOT / "helm" / "tausql"
READY_SECONDS = 60.0


class Release:
    """An installed release. `ready_seconds`: from `helm install` until every pod was ready."""

    def __init__(self, name: str, namespace: str, region: str = "us-east-1") -> None:
        self.name = name
        self.namespace = namespace
        self.region = region
        self.ready_seconds = 0.0

    def install(self, *arguments: str, values: Path = VALUES) -> None:
        began = time.monotonic()
        cluster.helm(
            "install", self.name, str(CHART), "-n", self.namespace, "--create-namespace", "-f", str(values), *arguments
        )
        self.wait_until_whole()
        self.ready_seconds = time.monotonic() - began

    def wait_until_whole(self, seconds: float = 120.0) -> float:
        def whole() -> bool:
            found = self.pods()
            return len(found) >= 3 and all(map(cluster.ready, found))

        return cluster.wait("every pod ready", whole, seconds, every=0.25)

    def pods(self, component: str = "") -> list[dict]:
        """Those that are meant to run: Jobs' pods are not among them."""
        found = cluster.pods(component, namespace=self.namespace, release=self.name)
        return [pod for pod in found if pod["spec"].get("restartPolicy") == "Always"]

    @property
    def address(self) -> str:
        return cluster.cluster_ip(f"{self.name}-frontend", namespace=self.namespace)

    @functools.cached_property
    def reached(self) -> Reached:
        """The API and the first access key. The key's Secret may be one that several regions share."""
        (volume,) = [one for one in self.pods("control")[0]["spec"]["volumes"] if one["name"] == "credentials"]
        name = volume["secret"]["secretName"]
        key = [cluster.secret(name, part, namespace=self.namespace).decode() for part in KEY_PARTS]
        api = cluster.cluster_ip(f"{self.name}-api", namespace=self.namespace)
        return Reached(
            region=self.region, key=Credentials(*key), api=f"http://{api}:8081", http="", address="", pg_port=5432
        )

    @functools.cached_property
    def endpoint(self) -> str:
        """The name of the first cluster's endpoint in this region."""
        return endpoint_name(oldest_cluster(self.reached), self.region)

    @property
    def token(self) -> str:
        return token_for(self.reached.key, self.endpoint, self.region, "admin")

    def connect(self, address: str = "", **options: object) -> psycopg.Connection:
        """`address`: a pod's; the Service's unless given."""
        return psycopg.connect(
            host=self.endpoint,
            hostaddr=address or self.address,
            port=5432,
            user="admin",
            dbname="postgres",
            password=self.token,
            sslmode="require",
            autocommit=True,
            **{"connect_timeout": 10, **options},
        )


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    """One region over three zones, as `helm install` makes it."""
    made = Release(cluster.RELEASE, "default")
    listed = cluster.helm("list", "-q", "-n", made.namespace).split()
    if made.name not in listed:
        made.install()
    return made
