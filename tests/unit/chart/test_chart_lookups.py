"""What the chart makes of what is there already: clocks of nodes, the first access key, what autoscalers chose."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.chart.api_server import serving
from tests.unit.chart.rendering import SHAPES, Object, Refused, environment, of_kind, pods, render

from tausql.access.key_material import fleet_key, is_access_key_id
from tausql.local.credentials import read_credentials


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


def first_key(objects: tuple[Object, ...]) -> dict[str, str]:
    data: dict[str, str] = of_kind(objects, "Secret")["tausql-credentials"]["stringData"]
    key = {name: data[name] for name in ("access_key_id", "secret_access_key")}
    assert json.loads(data["credentials.json"]) == key
    return data


def test_the_first_access_key_is_made_once(tmp_path: Path) -> None:
    """By the same rules as everywhere: control takes it from the very file that the Secret holds."""
    fresh = first_key(render())
    assert is_access_key_id(fresh["access_key_id"])
    assert len(fresh["secret_access_key"]) == 40
    assert len(fleet_key(fresh["fleet.key"])) == 32
    (tmp_path / "credentials.json").write_text(fresh["credentials.json"])
    assert read_credentials(tmp_path).access_key_id == fresh["access_key_id"]
    there: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret"}
    there["data"] = {name: base64.b64encode(text.encode()).decode() for name, text in fresh.items()}
    there["metadata"] = {"name": "tausql-credentials", "namespace": "db"}
    assert first_key(rendered([there], tmp_path)) == fresh
    told = {"accessKeyId": "AKIA" + "T" * 16, "secretAccessKey": "told" * 10}
    flags = [word for name, value in told.items() for word in ("--set", f"auth.{name}={value}")]
    replaced = first_key(rendered([there], tmp_path, *flags))
    assert (replaced["access_key_id"], replaced["secret_access_key"]) == tuple(told.values())
    assert replaced["fleet.key"] == fresh["fleet.key"]  # what lies in the database is encrypted with it


@pytest.mark.parametrize(
    "wrong", ["accessKeyId=AKIAshort", "accessKeyId=ASIAAAAAAAAAAAAAAAAA", "secretAccessKey=short"]
)
def test_a_key_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(Refused, match=wrong.partition("=")[0]):
        render("--set", f"auth.{wrong}")


def test_a_given_secret_is_used_and_none_is_made() -> None:
    objects = render("--set", "auth.existingSecret=mine")
    assert not of_kind(objects, "Secret")
    volumes = of_kind(objects, "Deployment")["tausql-control"]["spec"]["template"]["spec"]["volumes"]
    assert next(one for one in volumes if one["name"] == "credentials")["secret"]["secretName"] == "mine"
    (test,) = of_kind(objects, "Pod").values()
    assert "mine" in [volume.get("secret", {}).get("secretName") for volume in test["spec"]["volumes"]]


def test_only_control_and_the_test_see_the_access_key() -> None:
    found = {name for name, pod in pods(render()).items() if "tausql-credentials" in str(pod)}
    assert found == {"Deployment/tausql-control", "Pod/tausql-test"}
    assert "tausql-credentials" not in str(render(*SHAPES["witness"]))


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
