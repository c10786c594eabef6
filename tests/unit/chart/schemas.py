"""Kubernetes' own schemas, from the package kubernetes-validate.

Its `validate` reads and indexes all definitions of a version, some megabytes, for every object; a chart has hundreds.
Here that is done once for a version.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from tests.unit.chart.rendering import Object

# The schemas begin at 1.25. What was in beta at 1.20 has the same fields as what it became.
OLDEST = "1.25.0"
BETAS = {"autoscaling/v2beta2": "autoscaling/v2", "policy/v1beta1": "policy/v1", "batch/v1beta1": "batch/v1"}
FOREIGN = ("monitoring.coreos.com/v1", "cert-manager.io/v1", "keda.sh/v1alpha1")


def wrong(objects: tuple[Object, ...], version: str) -> Iterator[str]:
    """What these objects have that this version (or the oldest with a schema) does not take, strictly."""
    schemas = OLDEST if version.startswith("1.20") else version
    for item in objects:
        if item["apiVersion"] in FOREIGN:
            continue
        api = BETAS.get(item["apiVersion"], item["apiVersion"])
        for error in _validator(schemas, api, item["kind"]).iter_errors({**item, "apiVersion": api}):
            place = ".".join(str(part) for part in error.absolute_path)
            yield f"{item['kind']}/{item['metadata']['name']}: {place}: {error.message}"


@functools.cache
def _validator(version: str, api: str, kind: str) -> Draft202012Validator:
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)  # rbac.authorization.k8s.io/v1 -> rbac-v1
    schema = _read(version, f"{kind.lower()}-{short}.json")
    return Draft202012Validator(schema, registry=_registry(version).with_resource("", Resource.from_contents(schema)))


@functools.cache
def _registry(version: str) -> Registry[Any]:
    return (Resource.from_contents(_read(version, "_definitions.json")) @ Registry()).crawl()


def _read(version: str, name: str) -> Any:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    return json.loads((folder / name).read_text())
