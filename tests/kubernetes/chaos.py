"""`tausql chaos` against a release, as a user runs it, and what its report says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cluster
import msgspec
from conftest import Release

from tausql.chaos.report import Report

LAB = f"{sys.executable} {cluster.FOLDER / 'lab.py'}"
# The nodes of this cluster are called node-<zone's letter>; the zone's own name ends with that letter.
NODE_KILL = f"sh -c '{LAB} node-kill $(echo {{node}} | cut -c6-)'"
NODE_START = f"sh -c '{LAB} node-start $(echo {{node}} | cut -c6-)'"


class Chaos:
    """One run in the background; `report()` waits for its end."""

    def __init__(self, release: Release, *arguments: str, seconds: float) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "report.json"
        self._seconds = seconds
        command = [
            sys.executable,
            "-m",
            "tausql.chaos",
            "--kubernetes",
            *("--namespace", release.namespace, "--release", release.name),
            *("--endpoint", f"{release.address}:5432"),
            *("--seconds", str(seconds), "--report", str(self._path)),
            *arguments,
        ]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PGPASSWORD": release.token},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def report(self) -> Report:
        """Raises AssertionError with the whole report where anything was wrong."""
        with self._folder:
            try:
                told, _ = self._process.communicate(timeout=self._seconds + 120)
            finally:
                self._process.kill()
            print(told)
            assert self._process.returncode == 0, told
            return msgspec.json.decode(self._path.read_bytes(), type=Report)


def chaos(release: Release, *arguments: str, seconds: float) -> Report:
    return Chaos(release, *arguments, seconds=seconds).report()
