"""skaffold.yaml, clusters for kind, and their values files: what they name is there, and the chart takes it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.chart import tools

ROOT = Path(__file__).resolve().parents[3]
SKAFFOLD: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
PROFILES: dict[str, dict[str, Any]] = {profile["name"]: profile for profile in SKAFFOLD["profiles"]}
WITHOUT_PROFILE: dict[str, Any] = {"name": "(none)"}
RELEASE_KEYS = {"name", "chartPath", "namespace", "createNamespace", "wait", "valuesFiles", "setValues"}
PLACE = {"image.repository": "{{.IMAGE_REPO_tausql_tausql}}", "image.tag": "{{.IMAGE_TAG_tausql_tausql}}"}


def effective(profile: dict[str, Any]) -> dict[str, Any]:
    """The sections a profile ends up with: those it names replace the defaults, lists whole."""
    helm = profile.get("deploy", {}).get("helm", SKAFFOLD["deploy"]["helm"])
    return {"helm": helm, "portForward": profile.get("portForward", SKAFFOLD["portForward"])}


def template(release: dict[str, Any]) -> list[dict[str, Any]]:
    """What helm makes of a release, the image's name filled in as skaffold does."""
    command = [tools.helm(), "template", release["name"], str(ROOT / release["chartPath"])]
    command += ["--namespace", release["namespace"]]
    for path in release.get("valuesFiles", ()):
        command += ["--values", str(ROOT / path)]
    given = {"image.repository": "registry.example/tausql", "image.tag": "abc"}
    for key, value in {**given, **release.get("setValues", {})}.items():
        command += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.load_all(done.stdout, yaml.CSafeLoader) if item]


def test_the_profiles_are_those_promised() -> None:
    assert list(PROFILES) == ["dev", "three-zones", "multi-region", "chaos"]


def test_skaffold_builds_the_image_that_the_chart_runs() -> None:
    (artifact,) = SKAFFOLD["build"]["artifacts"]
    assert (ROOT / artifact["docker"]["dockerfile"]).exists()
    values = yaml.safe_load((ROOT / "helm/tausql/values.yaml").read_text())
    assert artifact["image"] == values["image"]["repository"]
    assert re.sub(r"\W", "_", artifact["image"]) in PLACE["image.tag"]
    assert SKAFFOLD["build"]["local"]["useBuildkit"]  # the Dockerfile mounts a file while it runs a step


@pytest.mark.parametrize("profile", [WITHOUT_PROFILE, *PROFILES.values()], ids=lambda profile: profile["name"])
def test_the_chart_takes_what_a_profile_sets(profile: dict[str, Any]) -> None:
    sections = effective(profile)
    services = set()
    for release in sections["helm"]["releases"]:
        assert set(release) - {"setValueTemplates"} <= RELEASE_KEYS
        assert release["setValueTemplates"] == PLACE
        for item in template(release):
            if item["kind"] == "Service":
                for port in item["spec"]["ports"]:
                    services.add((item["metadata"]["namespace"], item["metadata"]["name"], port["port"]))
            if item["kind"] == "Deployment" and "tausql" in str(item["spec"]["template"]["spec"]["containers"]):
                images = [one["image"] for one in item["spec"]["template"]["spec"]["containers"]]
                assert all(one == "registry.example/tausql:abc" or "prom" in one or "grafana" in one for one in images)
    for forward in sections["portForward"]:
        assert (forward["namespace"], forward["resourceName"], forward["port"]) in services
    ports = [forward["localPort"] for forward in sections["portForward"]]
    assert len(set(ports)) == len(ports)


def test_files_and_programs_that_profiles_name_are_there() -> None:
    for profile in PROFILES.values():
        for path in profile.get("manifests", {}).get("rawYaml", ()):
            assert list(ROOT.glob(path)), path
        for hook in profile.get("deploy", {}).get("helm", {}).get("hooks", {}).get("before", ()):
            assert os.access(ROOT / hook["host"]["command"][0], os.X_OK)


def nodes(name: str) -> list[dict[str, Any]]:
    cluster = yaml.safe_load((ROOT / "k8s" / name).read_text())
    assert (cluster["kind"], cluster["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    found: list[dict[str, Any]] = cluster["nodes"]
    assert [node["role"] for node in found].count("control-plane") == 1
    return found


def labels(name: str, label: str) -> list[str]:
    return [node["labels"][f"topology.kubernetes.io/{label}"] for node in nodes(name) if node["role"] == "worker"]


def test_kind_has_three_zones_and_the_port_that_its_values_open() -> None:
    assert labels("kind.yaml", "zone") == ["zone-a", "zone-b", "zone-c"]
    (mapping,) = nodes("kind.yaml")[0]["extraPortMappings"]
    values = yaml.safe_load((ROOT / "k8s/values/kind.yaml").read_text())
    assert mapping["containerPort"] == values["frontend"]["service"]["nodePort"]
    assert mapping["hostPort"] == 5432
    assert mapping["listenAddress"] == "127.0.0.1"


def test_kind_with_regions_has_two_zones_in_full_ones_and_a_witness() -> None:
    assert labels("kind-regions.yaml", "region") == ["east", "east", "west", "west", "witness"]
    zones = labels("kind-regions.yaml", "zone")
    assert len(set(zones)) == len(zones)


def test_values_for_kind_open_the_frontend_on_every_node() -> None:
    release = {
        "name": "tausql",
        "chartPath": "helm/tausql",
        "namespace": "tausql",
        "valuesFiles": ["k8s/values/kind.yaml"],
    }
    (service,) = [
        item
        for item in template(release)
        if item["kind"] == "Service" and item["metadata"]["name"] == "tausql-frontend"
    ]
    assert service["spec"]["type"] == "NodePort"
    assert 30432 in [port.get("nodePort") for port in service["spec"]["ports"]]
