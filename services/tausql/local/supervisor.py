"""Starts, watches and restarts the processes of a fleet on one machine.

The supervisor imports everything once and forks: a process is up in tens of milliseconds instead of a second of
imports, and they share the memory of the code. For that it must stay what a process can safely fork from: one thread,
no event loop, no connection. It sleeps until a child ends or a signal comes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tausql.local.cluster import Cluster, ProcessEntry
from tausql.local.shapes import Place, Ports

BACKOFF_SECONDS = (0.0, 0.2, 1.0, 3.0, 10.0)  # before the first, second ... restart in a row
CALM_SECONDS = 20.0  # a process that ran for so long starts again without delay
STOP_SECONDS = 15.0  # between SIGTERM and SIGKILL


@dataclass(slots=True)
class Child:
    """One process as the supervisor sees it."""

    place: Place
    ports: Ports
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    restart_at: float | None = None
    restarts: int = 0


class Supervisor:
    """Runs the processes of one fleet until it is told to stop. `run_place` is called in each child and does not
    return before that process is to end; `environment` is what it finds in `os.environ` besides. `lock` is the
    descriptor that says this fleet runs: it must not live on in the children when the supervisor is killed."""

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        places: list[Place],
        ports: dict[str, Ports],
        environment: Callable[[Place], dict[str, str]],
        run_place: Callable[[Place], None],
        lock: int,
    ) -> None:
        self._lock = lock
        self._folder = folder
        self._cluster = cluster
        self._environment = environment
        self._run_place = run_place
        self._children = [Child(place, ports[place.name]) for place in places]
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def start_all(self) -> None:
        """Fork every process. The code's memory is frozen first, so that the children keep sharing it."""
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop_signal)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for child in self._children:
            self._start(child)
        self._save()

    def _on_stop_signal(self, number: int, frame: object) -> None:
        self._stopping = True

    def _start(self, child: Child) -> None:
        log = self._folder / "logs" / f"{child.place.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become(child, log)
        child.pid = pid
        child.started = time.monotonic()
        child.restart_at = None

    def _become(self, child: Child, log: Path) -> None:
        """In the child: never returns."""
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()  # a Ctrl-C at the terminal is the supervisor's to pass on
            os.close(self._wake_read)
            os.close(self._wake_write)
            os.close(self._lock)
            target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(target, 1)
            os.dup2(target, 2)
            os.close(target)
            os.environ.update(self._environment(child.place))
            self._run_place(child.place)
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 70
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(OSError):
                sys.stderr.flush()
            os._exit(status)

    def _save(self) -> None:
        self._cluster.processes = [
            ProcessEntry(
                name=child.place.name,
                service="+".join(child.place.services),
                zone=child.place.zone,
                index=number,
                pid=child.pid,
                port=child.ports.rpc,
                http_port=child.ports.http,
                session_port=child.ports.session,
                restarts=child.restarts,
            )
            for number, child in enumerate(self._children)
        ]
        self._cluster.save(self._folder)

    def step(self, wait_seconds: float | None) -> bool:
        """Sleep until something happens (at most `wait_seconds`), restart what has ended. False: told to stop."""
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        now = time.monotonic()
        if due:
            next_due = max(0.0, min(due) - now)
            wait_seconds = next_due if wait_seconds is None else min(wait_seconds, next_due)
        select.select([self._wake_read], [], [], wait_seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self._stopping:
            return False
        if self._reap() | self._restart_due():
            self._save()
        return True

    def _reap(self) -> bool:
        ended = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            for child in self._children:
                if child.pid == pid:
                    ended = True
                    self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        now = time.monotonic()
        child.failures = 1 if now - child.started > CALM_SECONDS else child.failures + 1
        delay = BACKOFF_SECONDS[min(child.failures - 1, len(BACKOFF_SECONDS) - 1)]
        child.restart_at = now + delay
        child.restarts += 1
        child.pid = 0
        how = f"signal {-code}" if (code := os.waitstatus_to_exitcode(status)) < 0 else f"status {code}"
        print(f"{child.place.name} ended with {how}; restarting it in {delay:g} s", file=sys.stderr, flush=True)

    def _restart_due(self) -> bool:
        started = False
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= now:
                self._start(child)
                started = True
        return started

    def stop_all(self) -> None:
        """SIGTERM to all, frontends first in their own time; SIGKILL to what is left after a while."""
        self._signal(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        while any(child.pid for child in self._children) and time.monotonic() < end:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                select.select([self._wake_read], [], [], 0.05)
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                continue
            for child in self._children:
                if child.pid == pid:
                    child.pid = 0
        self._signal(signal.SIGKILL)
        for child in self._children:
            child.pid = 0
        self._cluster.supervisor = 0
        self._save()

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, number)
