"""A Dockerfile as data: stages of instructions, continuation lines joined, comments gone, exec forms as lists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

FLAG = re.compile(r"--([a-z-]+)=(\S+)\s+")


class Instruction(NamedTuple):
    name: str
    flags: dict[str, str]
    value: Any  # str, or list[str] where it is written in exec form


class Stage(NamedTuple):
    name: str
    base: str
    instructions: list[Instruction]

    def last(self, name: str) -> Instruction:
        """The instruction that counts. Raises IndexError where there is none."""
        return [one for one in self.instructions if one.name == name][-1]

    def all(self, name: str) -> list[Instruction]:
        return [one for one in self.instructions if one.name == name]

    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for one in self.all("ENV") for pair in one.value.split())


def instruction(line: str) -> Instruction:
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    flags = {}
    while found := FLAG.match(rest):
        flags[found[1]] = found[2]
        rest = rest[found.end() :]
    if name == "HEALTHCHECK":
        rest = rest.removeprefix("CMD").strip()
    value = json.loads(rest) if rest.startswith("[") else re.sub(r"\s+", " ", rest)
    return Instruction(name, flags, value)


def read(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """Global arguments with their defaults, and the stages in order."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in joined.splitlines():
        if not line.strip():
            continue
        one = instruction(line.strip())
        if one.name == "FROM":
            base, _, name = one.value.partition(" AS ")
            stages.append(Stage(name, base, []))
        elif stages:
            stages[-1].instructions.append(one)
        else:
            key, _, default = one.value.partition("=")
            arguments[key] = default
    return arguments, stages
