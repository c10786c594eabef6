"""The chart as Kubernetes would get it: `helm template`, as Python values."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.unit.chart import tools

CHART = Path(__file__).parents[3] / "helm" / "tausql"
VERSIONS = ("1.20.2", "1.27.0", "1.33.0")  # the oldest, one in between that knows most fields, a recent one
NAMESPACE = "db"
SERVICES = (
    "frontend",
    "processor",
    "adjudicator",
    "journal",
    "crossbar",
    "storage",
    "timekeeper",
    "control",
    "changefeed",
)
OPERATORS = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")

Object = dict[str, Any]

# What is rendered in most tests: values files by name, relative to the chart, and flags.
SHAPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "three-zones": ("-f", str(CHART / "values-three-zones.yaml")),
    "witness": ("-f", str(Path(__file__).parent / "values" / "witness.yaml")),
    "region": ("-f", str(Path(__file__).parent / "values" / "region.yaml")),
    "everything": ("-f", str(Path(__file__).parent / "values" / "everything.yaml")),
}


class Refused(Exception):
    """helm's own words."""


@functools.cache
def render(*flags: str, version: str = "1.33.0", operators: bool = False) -> tuple[Object, ...]:
    """All objects, in helm's order. Raises Refused."""
    command = [tools.helm(), "template", "tausql", str(CHART), "--namespace", NAMESPACE, "--kube-version", version]
    for api in OPERATORS if operators else ():
        command += ["--api-versions", api]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return tuple(item for item in yaml.load_all(done.stdout, yaml.CSafeLoader) if item)


def of_kind(objects: tuple[Object, ...], kind: str) -> dict[str, Object]:
    """By name."""
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def service_of(item: Object) -> str:
    return str(item["metadata"]["labels"]["app.kubernetes.io/component"])


def workloads(objects: tuple[Object, ...]) -> list[Object]:
    """Deployments and StatefulSets of the services."""
    return [one for one in objects if one["kind"] in ("Deployment", "StatefulSet") and service_of(one) in SERVICES]


def pods(objects: tuple[Object, ...]) -> dict[str, Object]:
    """Every pod template, of whatever kind of object, by `kind/name`."""
    found = {}
    for item in objects:
        spec = item.get("spec") or {}
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            found[f"{item['kind']}/{item['metadata']['name']}"] = template
        elif item["kind"] == "Pod":
            found[f"Pod/{item['metadata']['name']}"] = item
    return found


def environment(template: Object) -> dict[str, str]:
    """Variables of the first container as its process would see them."""
    known = {"POD_NAME": "tausql-pod-0", "POD_IP": "10.1.2.3"}
    for variable in template["spec"]["containers"][0].get("env", ()):
        value = variable.get("value")
        if value is None:
            continue
        for name, meant in known.items():
            value = value.replace(f"$({name})", meant)
        known[variable["name"]] = value
    return known
