"""Breaks a fleet that `tausql up` runs in a folder: signals to its processes, which its supervisor starts again.

    kill      SIGKILL: nothing is finished, nothing is said
    restart   SIGTERM: it hands over, finishes, and ends
    stop      SIGSTOP, later SIGCONT: it is silent while its connections stay up, and wakes up believing the old time
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from pathlib import Path

from tausql.chaos.faults import BackendError, Blow, Fault, Victim
from tausql.chaos.observed import holds_stream, moved_sessions
from tausql.local.cluster import Cluster, ProcessEntry, alive, load
from tausql.local.watching import readiness

KINDS = {"kill": signal.SIGKILL, "restart": signal.SIGTERM, "stop": signal.SIGSTOP}
ASK_SECONDS = 1.0


class ProcessBackend:
    """`folder`: the fleet's, with its cluster.json."""

    def __init__(self, folder: Path) -> None:
        self.name = f"processes of {folder.name}"
        self._folder = folder

    def cluster(self) -> Cluster:
        """As it is now. Raises BackendError where no fleet runs."""
        try:
            cluster = load(self._folder)
        except ValueError as error:
            raise BackendError(str(error)) from error
        if cluster is None or not alive(cluster.supervisor):
            raise BackendError(f"no fleet runs in {self._folder}: start one with `tausql up`")
        return cluster

    def entry(self, name: str) -> ProcessEntry:
        return next(entry for entry in self.cluster().processes if entry.name == name)

    def offers(self) -> list[Fault]:
        components = dict.fromkeys(entry.service for entry in self.cluster().processes)
        return [Fault(kind, component) for kind in KINDS for component in components]

    def strike(self, fault: Fault, turn: int) -> Blow:
        cluster = self.cluster()
        entry = self._choose(cluster, fault, turn)
        _check_child(entry, cluster.supervisor)
        try:
            os.kill(entry.pid, KINDS[fault.kind])
        except ProcessLookupError as error:
            raise BackendError(f"{entry.name} ended by itself just now") from error
        return SignalBlow(self, entry, held=fault.kind == "stop")

    def _choose(self, cluster: Cluster, fault: Fault, turn: int) -> ProcessEntry:
        """Each in turn; but of adjudicators the one at work, if there is one."""
        running = [entry for entry in cluster.processes if entry.service == fault.component and alive(entry.pid)]
        if not running:
            raise BackendError(f"no process of {fault.component} runs")
        if "adjudicator" in fault.component.split("+"):
            for entry in running:
                if holds_stream(_ask(cluster.host, entry, "/status")):
                    return entry
        return running[turn % len(running)]

    def moved_sessions(self) -> dict[str, float]:
        cluster = self.cluster()
        counted = {
            entry.name: moved_sessions(_ask(cluster.host, entry, "/metrics").decode())
            for entry in cluster.processes
            if "frontend" in entry.service.split("+")
        }
        return {name: value for name, value in counted.items() if value is not None}


class SignalBlow:
    """One process was sent a signal."""

    heals = True

    def __init__(self, backend: ProcessBackend, entry: ProcessEntry, held: bool) -> None:
        self._backend = backend
        self._entry = entry
        self.held = held
        self.victims: tuple[Victim, ...] = (Victim(entry.name, tuple(entry.service.split("+"))),)

    def undo(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it, or the whole fleet, was ended meanwhile
            os.kill(self._entry.pid, signal.SIGCONT)

    def gone(self) -> bool:
        return not self.held and not alive(self._entry.pid)

    def ready(self) -> bool:
        now = self._backend.entry(self._entry.name)
        if not self.held and now.pid in (0, self._entry.pid):
            return False
        return readiness(self._backend.cluster().host, now)[0]


def _check_child(entry: ProcessEntry, supervisor: int) -> None:
    """Raises BackendError unless that process is the supervisor's: a stale file must not kill a stranger."""
    try:
        after_name = Path(f"/proc/{entry.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise BackendError(f"{entry.name} cannot be looked at: {error}") from error
    if int(after_name[1]) != supervisor:
        raise BackendError(f"process {entry.pid} is not {entry.name}: the fleet is being started or stopped")


def _ask(host: str, entry: ProcessEntry, path: str) -> bytes:
    """The body, empty where it does not answer: what is asked for here only makes a better choice or report."""
    connection = http.client.HTTPConnection(host, entry.http_port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
    return body if answer.status == 200 else b""
