"""`python -m tests.unit.chart.goldens`: what the templates make of each shape, written down so that a change is seen.

Kept short enough to be read: the default shape is there as a whole, less what is the same everywhere (labels, what all
pods share with the timekeeper's) and what has tests of its own (policies, dashboards); of other shapes, how they differ
from it. The test compares; this command, which is part of `make chart`, writes.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.unit.chart.rendering import SHAPES, Object, render, service_of

FOLDER = Path(__file__).parent / "goldens"
_LEFT_OUT = ("NetworkPolicy", "ServiceAccount", "RoleBinding", "ClusterRoleBinding", "PrometheusRule")
_UNSAID = ("labels", "matchLabels", "selector", "labelSelector", "namespace")


def path_of(shape: str) -> Path:
    return FOLDER / (f"{shape}.yaml" if shape == "default" else f"{shape}.diff")


def golden(shape: str) -> str:
    """The text of a shape's file."""
    texts = _texts(shape)
    if shape == "default":
        return "---\n".join(texts.values())
    default = _texts("default")
    parts = [f"- {name}\n" for name in default if name not in texts]
    for name, text in texts.items():
        before = default.get(name)
        if before is None:
            parts.append(f"+ {name}\n" + "".join(f"  {line}" for line in text.splitlines(keepends=True)))
        elif before != text:
            lines = difflib.ndiff(before.splitlines(keepends=True), text.splitlines(keepends=True))
            parts.append(f"~ {name}\n" + "".join(f"  {line}" for line in lines if line[0] in "+-"))
    return "".join(parts)


def _texts(shape: str) -> dict[str, str]:
    """The objects as text, by kind and name; a release of another name is told as if it had the usual one."""
    objects = [item for item in render(*SHAPES[shape]) if item["kind"] not in _LEFT_OUT and not _dashboard(item)]
    usual = next(item for item in objects if item["kind"] == "Deployment" and service_of(item) == "timekeeper")
    fullname = usual["metadata"]["name"].removesuffix("-timekeeper")
    told = {}
    for item in objects:
        short = _short(item)
        if item["metadata"]["name"] != usual["metadata"]["name"] and item["kind"] in ("Deployment", "StatefulSet"):
            _leave_out(short["spec"]["template"], _short(usual["spec"]["template"]))
        text = yaml.safe_dump(short, default_flow_style=None, width=120).replace(f"{fullname}-", "tausql-")
        told[f"{item['kind']} {item['metadata']['name'].replace(f'{fullname}-', 'tausql-')}"] = text
    return dict(sorted(told.items()))


def _dashboard(item: Object) -> bool:
    return "-dashboard-" in item["metadata"]["name"]


def _leave_out(item: Any, shared: Any) -> None:
    """Remove from maps what `shared` says too."""
    for key in [key for key in item if key in shared]:
        if item[key] == shared[key]:
            del item[key]
        elif isinstance(item[key], dict) and isinstance(shared[key], dict):
            _leave_out(item[key], shared[key])
        elif key == "containers":
            _leave_out(item[key][0], shared[key][0])
        elif key in ("env", "volumes", "volumeMounts"):
            item[key] = [one for one in item[key] if one not in shared[key]]


def _short(item: Any) -> Any:
    if isinstance(item, list):
        return [_short(one) for one in item]
    if not isinstance(item, dict):
        return item
    short = {key: _short(value) for key, value in item.items() if key not in _UNSAID}
    if item.get("kind") == "ConfigMap":
        short["data"] = sorted(key for key in item["data"] if not key.startswith("tausql"))
    if item.get("kind") == "Secret":
        short["stringData"] = sorted(item["stringData"])
    for key in ("volumeMounts", "volumes"):  # one for each dashboard
        if key in short:
            short[key] = [one for one in short[key] if "dashboard" not in str(one)]
    if "tausql.io/configuration" in short:
        short["tausql.io/configuration"] = "..."
    return short


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for shape in SHAPES:
        path = path_of(shape)
        text = golden(shape)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"wrote {path.name}\n")


if __name__ == "__main__":
    main()
