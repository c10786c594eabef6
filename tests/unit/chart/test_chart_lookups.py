"""What the chart makes of what is there already: clocks of nodes, the password, the numbers that autoscalers chose."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.unit.chart.api_server import serving
from tests.unit.chart.rendering import Object, Refused, environment, of_kind, render


def node(name: str, boot: str, provider: str = "") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"providerID": provider} if provider else {},
        "status": {"nodeInfo": {"bootID": boot}},
    }


MINIKUBE = node("minikube", "1") | {"metadata": {"name": "minikube", "labels": {"minikube.k8s.io/name": "minikube"}}}


def sized(kind: str, name: str, replicas: int) -> Object:
    metadata = {"name": name, "namespace": "db"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"replicas": replicas}}


def rendered(there: list[Object], folder: Path, *flags: str) -> tuple[Object, ...]:
    with serving(there, folder) as config:
        return render("--dry-run=server", "--kubeconfig", config, *flags)


def assumed(objects: tuple[Object, ...]) -> str | None:
    variables = environment(of_kind(objects, "Deployment")["tausql-timekeeper"]["spec"]["template"])
    assert variables.get("TAUSQL_CLOCK_ASSUMED_ERROR_US") == variables.get("TAUSQL_TIMEKEEPER_ASSUMED_ERROR_US")
    return variables.get("TAUSQL_CLOCK_ASSUMED_ERROR_US")


@pytest.mark.parametrize(
    ("nodes", "error"),
    [
        ([node("a", "1"), node("b", "1"), node("c", "1")], "20"),  # containers on one kernel
        ([node("a", "1"), node("b", "2")], None),  # machines
        ([node("a", "1")], None),  # a lone machine, which others may join
        ([node("a", "1", "kind://docker/kind/kind-control-plane")], "20"),
        ([MINIKUBE], "20"),
        ([MINIKUBE, node("b", "2")], None),  # virtual machines
        ([], None),
    ],
)
def test_one_kernel_is_one_clock(nodes: list[Object], error: str | None, tmp_path: Path) -> None:
    assert assumed(rendered(nodes, tmp_path)) == error


@pytest.mark.parametrize(("wish", "error"), [("none", None), ("35", "35")])
def test_what_is_said_of_clocks_counts(wish: str, error: str | None, tmp_path: Path) -> None:
    alike = [node("a", "1"), node("b", "1")]
    assert assumed(rendered(alike, tmp_path, "--set", f"clock.assumedErrorMicros={wish}")) == error


def test_the_password_is_made_once(tmp_path: Path) -> None:
    fresh = of_kind(render(), "Secret")["tausql-admin"]["stringData"]["password"]
    assert len(fresh) == 32
    data = {"password": base64.b64encode(b"kept").decode()}
    there: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "data": data}
    there["metadata"] = {"name": "tausql-admin", "namespace": "db"}
    assert of_kind(rendered([there], tmp_path), "Secret")["tausql-admin"]["stringData"]["password"] == "kept"
    told = rendered([there], tmp_path, "--set", "auth.password=told")
    assert of_kind(told, "Secret")["tausql-admin"]["stringData"]["password"] == "told"


def test_a_given_secret_is_used_and_none_is_made() -> None:
    objects = render("--set", "auth.existingSecret=mine")
    assert not of_kind(objects, "Secret")
    volumes = of_kind(objects, "Deployment")["tausql-frontend"]["spec"]["template"]["spec"]["volumes"]
    assert next(one for one in volumes if one["name"] == "password")["secret"]["secretName"] == "mine"


def test_an_upgrade_leaves_what_others_have_scaled(tmp_path: Path) -> None:
    there = [
        sized("Deployment", "tausql-processor", 6),
        sized("Deployment", "tausql-frontend", 1),  # fewer than the least
        sized("Deployment", "tausql-timekeeper", 5),  # nobody scales it: values count
        sized("StatefulSet", "tausql-storage", 4),
    ]
    objects = rendered(there, tmp_path)
    deployments = of_kind(objects, "Deployment")
    assert deployments["tausql-processor"]["spec"]["replicas"] == 6
    assert deployments["tausql-frontend"]["spec"]["replicas"] == 2
    assert deployments["tausql-timekeeper"]["spec"]["replicas"] == 3
    assert of_kind(objects, "StatefulSet")["tausql-storage"]["spec"]["replicas"] == 4


def test_zones_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    nodes = [node(zone, zone) for zone in ("eu-1a", "eu-1b")]
    for one in nodes:
        one["metadata"]["labels"] = {"topology.kubernetes.io/zone": one["metadata"]["name"]}
    rendered(nodes, tmp_path, "--set", "storage.zones={eu-1a,eu-1b}")
    with pytest.raises(Refused, match="no node is in zone-a; there are eu-1a, eu-1b"):
        rendered(nodes, tmp_path, "--set", "storage.zones={zone-a,eu-1b}")


def test_the_journal_cannot_be_resized(tmp_path: Path) -> None:
    there = [sized("StatefulSet", "tausql-journal", 3)]
    with pytest.raises(Refused, match="this release has 3, fixed at its first start; values say 5"):
        rendered(there, tmp_path, "--set", "journal.replicas=5")
