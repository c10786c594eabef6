"""The manifests of k8s/chaos name what is there: services, labels, settings, permissions that the code needs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tausql.chaos import command
from tausql.chaos.kubernetes_backend import SERVICES

FOLDER = Path(__file__).parents[3] / "k8s" / "chaos"
MESH = ("pod-kill.yaml", "zone-cut.yaml", "clock-skew.yaml", "slow-disk.yaml")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def selectors(node: Any) -> Iterator[dict[str, Any]]:
    """Everything that Chaos Mesh selects pods by."""
    if isinstance(node, dict):
        if "labelSelectors" in node:
            yield node
        for value in node.values():
            yield from selectors(value)
    elif isinstance(node, list):
        for value in node:
            yield from selectors(value)


@pytest.mark.parametrize("name", MESH)
def test_experiments_select_pods_of_one_release_by_its_labels(name: str) -> None:
    found = list(selectors(documents(name)))
    assert found
    for selector in found:
        labels = dict(selector["labelSelectors"])
        assert selector["namespaces"] == ["tausql"]
        assert labels.pop("app.kubernetes.io/name") == "tausql"
        assert labels.pop("app.kubernetes.io/instance") == "tausql"
        assert set(labels) <= {"app.kubernetes.io/component"}
        assert set(labels.values()) <= set(SERVICES)


def test_every_service_is_killed_in_turn() -> None:
    (workflow,) = documents("pod-kill.yaml")
    first, *templates = workflow["spec"]["templates"]
    assert first["children"][0::2] == list(SERVICES)
    by_name = {template["name"]: template for template in templates}
    assert set(first["children"]) == set(by_name)
    for service in SERVICES:
        labels = by_name[service]["podChaos"]["selector"]["labelSelectors"]
        assert labels["app.kubernetes.io/component"] == service


@pytest.mark.parametrize("name", ["clock-skew.yaml", "slow-disk.yaml"])
def test_containers_are_called_after_their_service(name: str) -> None:
    for experiment in documents(name):
        spec = experiment["spec"]
        assert spec["containerNames"] == [spec["selector"]["labelSelectors"]["app.kubernetes.io/component"]]


def test_the_job_sets_only_what_there_is() -> None:
    (job,) = [one for one in documents("job.yaml") if one["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    shell, script = container["command"][1:]
    assert (shell, script.rpartition(" && ")[2]) == ("-c", "exec python -m tausql.chaos")
    assert "PGPASSWORD=$(python -m tausql.local.command token --expires 604800)" in script
    known = {
        variable
        for parameter in inspect.signature(command.chaos, eval_str=True).parameters.values()
        for option in parameter.annotation.__metadata__
        for variable in [option.envvar]
    }
    # What a token is made with, where there is no folder of a fleet.
    reached = {"AWS_ENDPOINT_URL_DSQL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert {variable["name"] for variable in container["env"]} <= known | reached
    assert reached <= {variable["name"] for variable in container["env"]}


def test_the_job_may_do_what_it_does_and_no_more() -> None:
    (role,) = [one for one in documents("job.yaml") if one["kind"] == "Role"]
    allowed = {(name, verb) for rule in role["rules"] for name in rule["resources"] for verb in rule["verbs"]}
    assert allowed == {
        ("pods", "list"),
        ("pods", "delete"),
        ("pods/proxy", "get"),
        *((kind, verb) for kind in ("deployments", "statefulsets") for verb in ("list", "patch")),
    }
    binding, account = documents("nodes-rbac.yaml")[1], documents("job.yaml")[0]
    subject = {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "tausql"}
    assert binding["subjects"] == [subject]
