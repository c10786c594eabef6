"""Clients in JavaScript and Java, unmodified."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import PROGRAMS, Runner
from .packages import node_packages, pgjdbc


@pytest.mark.parametrize("program", ["node_postgres", "postgres_js", "neon"])
def test_node(run: Runner, program: str) -> None:
    folder = node_packages()
    script = Path(shutil.copy(PROGRAMS / f"{program}.mjs", folder))
    assert "fine" in run("node", script.name, cwd=folder)


def test_pgjdbc(run: Runner) -> None:
    assert "fine" in run("java", "-cp", pgjdbc(), PROGRAMS / "Jdbc.java")
