"""The chart's README: `introduction.md`, and below it every value with its default and its sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helm.reference.values import SERVICES, Value

_WIDE = 60  # characters of a default that a table's cell still shows


def readme_of(values: list[Value]) -> str:
    parts = [(Path(__file__).parent / "introduction.md").read_text().rstrip()]
    parts.append("## Values of the release")
    parts.append(_table([leaf for value in values if value.key not in SERVICES for leaf in value.leaves()]))
    services = {value.key: value for value in values if value.key in SERVICES}
    shared = _shared(services)
    parts.append("## Values of every service")
    parts.append(
        "Each of " + ", ".join(f"`{name}`" for name in SERVICES) + " has these keys. Defaults are the frontend's; "
        "where the others differ, the next table says how."
    )
    parts.append(_table([leaf for leaf in services["frontend"].leaves() if leaf.path[1:] in shared], 1))
    parts.append(_differences(services, shared))
    parts.append("## Values of one service")
    parts.append(
        _table([leaf for service in services.values() for leaf in service.leaves() if leaf.path[1:] not in shared])
    )
    return "\n\n".join(parts) + "\n"


def _shared(services: dict[str, Value]) -> set[tuple[str, ...]]:
    paths = [{leaf.path[1:] for leaf in service.leaves()} for service in services.values()]
    return set.intersection(*paths)


def _table(leaves: list[Value], skip: int = 0) -> str:
    rows = ["| key | default | what it is |", "| --- | --- | --- |"]
    for leaf in leaves:
        name = ".".join(leaf.path[skip:])
        rows.append(f"| `{name}` | {_shown(leaf.default)} | {leaf.description.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _differences(services: dict[str, Value], shared: set[tuple[str, ...]]) -> str:
    rows = ["| key | " + " | ".join(services) + " |", "| --- |" + " --- |" * len(services)]
    leaves = {name: {leaf.path[1:]: leaf.default for leaf in service.leaves()} for name, service in services.items()}
    for path in leaves["frontend"]:
        if path not in shared:
            continue
        defaults = [leaves[name][path] for name in services]
        if any(default != defaults[0] for default in defaults):
            cells = " | ".join(_cell(default) for default in defaults)
            rows.append(f"| `{'.'.join(path)}` | {cells} |")
    return "\n".join(rows)


def _cell(default: Any) -> str:
    if isinstance(default, dict):
        return "<br>".join(f"{key}: {_cell(value)}" for key, value in default.items()) or "none"
    return str(default).lower() if isinstance(default, bool) else str(default) or "none"


def _shown(default: Any) -> str:
    text = json.dumps(default)
    if default in ("", None):
        return "none"
    return f"`{text}`" if len(text) <= _WIDE else "see values.yaml"
