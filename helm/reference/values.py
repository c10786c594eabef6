"""`values.yaml` with its comments, which a YAML parser throws away.

Above a key, `# --` begins its sentence, which may go on over lines of `#`. `# @schema {...}` adds to what the
default's type says, `# @settings Name` makes its keys the fields of a settings class. Services have the same keys, so
what is said once, at the first service that has a key, holds for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

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

Path_ = tuple[str, ...]


@dataclass(slots=True)
class Value:
    """One key. `children` is empty for leaves, and for maps that are empty by default."""

    path: Path_
    default: Any
    description: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    settings: str = ""
    children: list[Value] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.path[-1]

    @property
    def free(self) -> bool:
        """A map whose keys are not ours to list: labels, resources, what Kubernetes says of a pod."""
        return "additionalProperties" in self.schema

    def leaves(self) -> Iterator[Value]:
        """This key if it is a leaf, else all leaves below it; a free map is a leaf."""
        if not self.children or self.free:
            yield self
        else:
            for child in self.children:
                yield from child.leaves()


def read(path: Path) -> list[Value]:
    """All keys of a values file, in order. Raises ValueError for a key that nothing describes."""
    text = path.read_text()
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"{path} holds no map")
    values = _children(root, (), text.splitlines(), yaml.safe_load(text))
    _inherit(values)
    for value in (leaf for top in values for leaf in top.leaves()):
        if not value.description:
            raise ValueError(f"{path}: nothing describes {'.'.join(value.path)}")
    return values


def _children(node: yaml.MappingNode, path: Path_, lines: list[str], defaults: dict[str, Any]) -> list[Value]:
    found = []
    for key, child in node.value:
        value = Value((*path, key.value), defaults[key.value])
        _annotate(value, _comment(lines, key.start_mark.line))
        if isinstance(child, yaml.MappingNode):
            value.children = _children(child, value.path, lines, value.default)
        found.append(value)
    return found


def _comment(lines: list[str], line: int) -> list[str]:
    """The lines of comment right above a line, without their `# `."""
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [text.lstrip()[1:].strip() for text in lines[first:line]]


def _annotate(value: Value, comment: list[str]) -> None:
    sentence: list[str] = []
    for line in comment:
        if line.startswith("@schema "):
            value.schema = json.loads(line.removeprefix("@schema "))
        elif line.startswith("@settings "):
            value.settings = line.removeprefix("@settings ")
        elif line.startswith("-- "):
            sentence = [line.removeprefix("-- ")]
        elif sentence:
            sentence.append(line)
    value.description = " ".join(sentence)


def _inherit(values: list[Value]) -> None:
    described: dict[Path_, Value] = {}

    def walk(value: Value) -> None:
        below = value.path[1:]
        first = described.setdefault(below, value)
        value.description = value.description or first.description
        value.schema = value.schema or first.schema
        for child in value.children:
            walk(child)

    for value in values:
        if value.key in SERVICES:
            for child in value.children:
                walk(child)
