"""helm itself has nothing to say against the chart."""

from __future__ import annotations

import subprocess

import pytest
from tests.unit.chart import tools
from tests.unit.chart.rendering import CHART, SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_helm_lints_every_shape(shape: str) -> None:
    command = [tools.helm(), "lint", "--strict", "--quiet", str(CHART), "--namespace", "db", *SHAPES[shape]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
