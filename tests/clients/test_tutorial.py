"""docs/tutorial.md, run as it stands: its program is made of its blocks, its output is held against what it prints."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from tests.compatibility.environments import environment

from tausql.local.environment import psql_program

from .conftest import Runner
from .test_python_clients import AWS

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
TAUSQL = Path(__file__).parents[2] / ".venv" / "bin"


class Block(NamedTuple):
    language: str
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def test_the_tutorial_is_what_happens(run: Runner, tmp_path: Path) -> None:
    python = environment("clients-aws", *AWS).python
    psql = psql_program()
    assert psql is not None
    path = os.pathsep.join(str(one) for one in (python.parent, Path(psql).parent, TAUSQL, os.environ["PATH"]))
    found = blocks()
    program = tmp_path / "shop.py"
    ran = 0
    for number, (language, text) in enumerate(found):
        if language == "python":
            assert text.startswith("# shop.py\n")
            with program.open("a") as file:
                file.write(f"\n\n{text.removeprefix('# shop.py')}")
        elif language == "sh":
            expected = found[number + 1]
            assert expected.language == "text", text
            said = run("bash", "-euc", text, cwd=tmp_path, PATH=path, TAUSQL_DATA=str(run.fleet.folder))
            assert said == expected.text, text
            ran += 1
    assert ran >= 6
