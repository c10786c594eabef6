"""values.schema.json: what `helm` refuses before it asks the cluster for anything.

Every map of ours takes the keys it has in values.yaml and no others, so that a typo is an error and not a default.
Settings take the fields of the settings classes with their types and bounds, less those that the chart itself sets.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from helm.reference.values import SERVICES, Value

_ELSEWHERE = {  # settings that make no sense in a pod of this chart, by class
    "Process": {"zone", "fleet"},
    "Frontend": {"listen_fd", "reuse_port", "certificate_directory", "certificate_names"},
    "Control": {"kubernetes_url"},
    "Changefeed": {"folder"},
}
_KEPT = ("description", "type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def schema_of(values: list[Value], chart: Path) -> dict[str, Any]:
    """The whole schema (draft 7, which is what helm reads)."""
    managed = managed_by(chart)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart tausql",
        "type": "object",
        "additionalProperties": False,
        # Helm puts `global` there by itself.
        "properties": {"global": {"type": "object"}, **{value.key: _of(value, managed) for value in values}},
    }


def managed_by(chart: Path) -> frozenset[str]:
    """The variables (`TAUSQL_...`) that the chart's templates set, which values therefore cannot."""
    text = (chart / "templates" / "_environment.tpl").read_text()
    return frozenset(re.findall(r"- name: (TAUSQL_[A-Z_]+)$", text, re.MULTILINE))


def settings_class(name: str) -> Any:
    """`Process` or a service's, capitalised: the settings class that reads the variables."""
    package = "runtime" if name == "Process" else name.lower()
    return getattr(importlib.import_module(f"tausql.{package}.settings"), f"{name}Settings")


def prefix_of(name: str) -> str:
    return "TAUSQL_" if name == "Process" else f"TAUSQL_{name.upper()}_"


def _of(value: Value, managed: frozenset[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": value.description} if value.description else {}
    if value.default is not None:
        made["type"] = _TYPES[type(value.default)]
    if value.settings:
        properties = _settings(value.settings, managed)
        return {**made, "additionalProperties": False, "properties": properties}
    if isinstance(value.default, dict) and not value.free:
        made["additionalProperties"] = False
        made["properties"] = {child.key: _of(child, managed) for child in value.children}
    return {**made, **value.schema}


def _settings(name: str, managed: frozenset[str]) -> dict[str, Any]:
    if name not in {"Process", *(service.capitalize() for service in SERVICES)}:
        raise ValueError(f"there are no settings {name!r}")
    told = settings_class(name).model_json_schema()["properties"]
    left_out = _ELSEWHERE.get(name, set())
    return {
        field: _plain(description)
        for field, description in sorted(told.items())
        if field not in left_out and f"{prefix_of(name)}{field.upper()}" not in managed
    }


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without what only newer drafts know."""
    made = {key: told[key] for key in _KEPT if key in told}
    if "anyOf" in told:
        made["anyOf"] = [{key: one[key] for key in _KEPT if key in one} for one in told["anyOf"]]
    return made
