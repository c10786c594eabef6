"""A TauSQL fleet of one's own, for a load test or a chaos test: started on free ports, in a fresh folder, and ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadtest.ports import free_port
from tausql.access.signatures import EXPIRES_SECONDS_MAX
from tausql.local.reached import Reached, reached
from tausql.local.tokens import endpoint_name, token_for

UP_SECONDS = 60.0
DOWN_SECONDS = 30.0


@dataclass(slots=True)
class Fleet:
    """A running fleet. `connection` is a libpq string."""

    folder: Path
    host: str
    pg_port: int
    http_port: int
    api_port: int
    process: subprocess.Popen[str]
    start_seconds: float

    @property
    def reached(self) -> Reached:
        """How to call its API, and what to sign with."""
        found = reached(self.folder, {})
        if found is None:
            raise RuntimeError(f"there is no fleet in {self.folder}")
        return found

    @property
    def endpoint(self) -> str:
        """The host name of its oldest cluster, which this machine need not know: connect to `host`."""
        found = self.reached
        return endpoint_name(found.identifier, found.region)

    @property
    def password(self) -> str:
        """A token of this moment for admin, good for a week."""
        return self.token()

    def token(self, user: str = "admin", seconds: int = EXPIRES_SECONDS_MAX) -> str:
        found = self.reached
        return token_for(found.key, endpoint_name(found.identifier, found.region), found.region, user, seconds)

    @property
    def connection(self) -> str:
        return (
            f"host={self.host} port={self.pg_port} user=admin password={self.password} dbname=postgres "
            "sslmode=disable connect_timeout=5"
        )

    @property
    def secure_connection(self) -> str:
        return self.connection.replace("sslmode=disable", "sslmode=require")

    @property
    def environment(self) -> dict[str, str]:
        """For psql and pgbench."""
        return os.environ | {
            "PGHOST": self.host,
            "PGPORT": str(self.pg_port),
            "PGUSER": "admin",
            "PGPASSWORD": self.password,
            "PGDATABASE": "postgres",
            "PGSSLMODE": "disable",
        }

    def processes(self) -> list[dict[str, object]]:
        """The processes of `cluster.json`: name, service, zone, pid, ..."""
        found: list[dict[str, object]] = msgspec.json.decode((self.folder / "cluster.json").read_bytes())["processes"]
        return found

    def pids(self) -> list[int]:
        return [int(str(entry["pid"])) for entry in self.processes()]


def start(folder: Path, shape: str, *options: str, plaintext: bool = True, **settings: str) -> Fleet:
    """Start a fleet on the data of `folder` and wait until it says that it is up. `settings`: of its processes, such as
    TAUSQL_CONTROL_CONNECTIONS_BURST. Raises RuntimeError."""
    pg_port, http_port, api_port = free_port(), free_port(), free_port()
    environment = os.environ | ({"TAUSQL_FRONTEND_TLS": "optional"} if plaintext else {}) | settings
    begun = time.monotonic()
    output = (folder.parent / f"{folder.name}.out").open("a+")
    given = {"--pg-port": pg_port, "--http-port": http_port, "--api-port": api_port, "--websocket-port": 0}
    ports = [word for option, port in given.items() for word in (option, str(port))]
    process = subprocess.Popen(
        [sys.executable, "-m", "tausql.local.command", "up", "--data", str(folder), "--shape", shape, *ports, *options],
        stdout=output,
        stderr=output,
        text=True,
        env=environment,
        start_new_session=True,
    )
    path = Path(output.name)
    seen = path.stat().st_size
    while "TauSQL is up" not in path.read_text()[seen:]:
        if process.poll() is not None or time.monotonic() - begun > UP_SECONDS:
            text = path.read_text()[seen:]
            stop_process(process)
            raise RuntimeError(f"the fleet did not start:\n{text}")
        time.sleep(0.01)
    output.close()
    return Fleet(folder, "127.0.0.1", pg_port, http_port, api_port, process, time.monotonic() - begun)


def stop_process(process: subprocess.Popen[str]) -> None:
    """SIGTERM to the supervisor, SIGKILL if it takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=DOWN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=DOWN_SECONDS)


@contextlib.contextmanager
def running_fleet(shape: str, *options: str, plaintext: bool = True, **settings: str) -> Iterator[Fleet]:
    """A fleet in a fresh folder, stopped and removed in the end."""
    parent = Path(tempfile.mkdtemp(prefix="tausql-fleet-"))
    fleet: Fleet | None = None
    try:
        fleet = start(parent / "data", shape, *options, plaintext=plaintext, **settings)
        yield fleet
    finally:
        if fleet is not None:
            stop_process(fleet.process)
        shutil.rmtree(parent, ignore_errors=True)
