"""What a person reads after the install: how to connect, in commands that can be copied."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.unit.chart import tools
from tests.unit.chart.rendering import CHART, SHAPES

# `helm template` shows no notes; a copy of the chart shows them as an object's data.
SHOW = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  text: |
    {{- include (print $.Template.BasePath "/NOTES.txt") . | nindent 4 }}
"""


def notes(folder: Path, *flags: str) -> str:
    copy = folder / "tausql"
    shutil.copytree(CHART, copy)
    (copy / "templates" / "notes.yaml").write_text(SHOW)
    command = [tools.helm(), "template", "tausql", str(copy), "-n", "db", "-s", "templates/notes.yaml", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return str(yaml.safe_load(done.stdout)["data"]["text"])


def test_notes_say_how_to_connect(tmp_path: Path) -> None:
    text = notes(tmp_path)
    assert "kubectl -n db port-forward service/tausql-api 8081:8081 &" in text
    assert "kubectl -n db port-forward service/tausql-frontend 5432:5432 &" in text
    assert (
        'eval "$(kubectl -n db exec deployment/tausql-control -- python -m tausql.local.command env)"\n  psql' in text
    )
    assert "kubectl -n db get secret tausql-edge -o jsonpath='{.data.ca\\.crt}' | base64 -d > tausql-ca.pem" in text
    assert "helm test tausql -n db" in text
    assert "kernels" in text  # nothing is known of the nodes here


@pytest.mark.parametrize(("kind", "words"), [("LoadBalancer", "ingress[0]"), ("NodePort", "nodePort")])
def test_notes_say_where_the_service_is(kind: str, words: str, tmp_path: Path) -> None:
    text = notes(tmp_path, "--set", f"frontend.service.type={kind}")
    assert words in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize("shape", SHAPES)
def test_notes_of_every_shape_read_well(shape: str, tmp_path: Path) -> None:
    text = notes(tmp_path, *SHAPES[shape])
    assert "<no value>" not in text
    assert "\n\n\n" not in text
    assert ("witness" in text) is (shape == "witness")
