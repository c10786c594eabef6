"""A fleet on the ports that clients of Aurora DSQL take for granted: 5432 and 443, and names that resolve.

Its own loopback address keeps it apart from whatever else runs on this machine. The names go into /etc/hosts for as
long as it runs, which takes root: some clients know no other way to find a server, and nothing of them is patched.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "127.0.0.9"
HTTP_PORT, API_PORT = 18080, 18081
START_SECONDS = 90.0
TAUSQL = Path(sys.executable).with_name("tausql")


class LocalFleet:
    """A running one. `variables`: what `tausql env` says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = self._variables()

    def tausql(self, *arguments: str) -> str:
        """What a command prints. Raises CalledProcessError."""
        command, *rest = arguments
        return subprocess.run(
            [str(TAUSQL), command, "--data", str(self.folder), *rest],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            env=_clean(),
        ).stdout

    def environment(self) -> dict[str, str]:
        """Of a client: nothing but the path and what `tausql env` says."""
        return _clean() | self.variables

    def _variables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self.tausql("env").splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name != "PATH":
                (found[name],) = shlex.split(value) or [""]
        return found


def _clean() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


@contextmanager
def local_fleet(folder: Path) -> Iterator[LocalFleet]:
    """Start one; end it, and take its names out again. Raises RuntimeError where it does not come up."""
    log = folder.with_suffix(".log")
    ports = ["--http-port", str(HTTP_PORT), "--api-port", str(API_PORT), "--websocket-port", "443"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(TAUSQL), "up", "--shape", "single", "--data", str(folder), "--host", ADDRESS, *ports],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_clean(),
        )
    try:
        _wait(process, log)
        fleet = LocalFleet(folder)
        fleet.tausql("hosts", "--install")
        try:
            yield fleet
        finally:
            fleet.tausql("hosts", "--remove")
    finally:
        process.terminate()
        process.wait(60)


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while "TauSQL is up" not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the fleet did not come up:\n{log.read_text()}")
        time.sleep(0.1)
