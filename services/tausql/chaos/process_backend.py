"""Breaks a fleet that `tausql up` runs in a folder: signals to its processes, which its supervisor starts again.

    kill      SIGKILL: nothing is finished, nothing is said
    restart   SIGTERM: it hands over, finishes, and ends
    stop      SIGSTOP, later SIGCONT: it is silent while its connections stay up, and wakes up believing the old time
    wipe      its disk is gone: it comes back with an empty folder (journal, storage)
    outage    SIGKILL to all processes at once
    cut       a zone and the others do not hear each other (`cut-out`, `cut-in`: one way); `slow`: they hear late

Links can be cut where the fleet was started with `tausql up --links`. Never is more broken than a fleet survives: a
journal replica is not killed while another is away, and no disk is wiped before all the others of its kind are there.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tausql.chaos.faults import BackendError, Blow, Fault, NotNow
from tausql.chaos.observed import ask, holds_stream, moved_sessions
from tausql.chaos.process_blows import CutBlow, SignalBlow, wipe
from tausql.local.cluster import LINKS, Cluster, ProcessEntry, alive, load
from tausql.local.watching import readiness

SIGNALS = {"kill": signal.SIGKILL, "restart": signal.SIGTERM, "stop": signal.SIGSTOP}
DISKS = ("journal", "storage")
CUTS = ("cut", "cut-out", "cut-in", "slow")
ZONES_MIN = 3  # with fewer a cut takes the majority


class ProcessBackend:
    """`folder`: the fleet's, with its cluster.json. `ready`: whether a process on a host is, and why not."""

    def __init__(self, folder: Path, ready: Callable[[str, ProcessEntry], tuple[bool, str]] = readiness) -> None:
        self.name = f"processes of {folder.name}"
        self.ready = ready
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
        cluster = self.cluster()
        components = dict.fromkeys(entry.service for entry in cluster.processes)
        offered = [Fault(kind, component) for kind in SIGNALS for component in components]
        if cluster.zones >= ZONES_MIN:
            offered += [Fault("wipe", component) for component in components if _disks_in(component)]
            offered += [Fault(kind, f"zone-{zone}") for kind in CUTS if cluster.links for zone in _zones(cluster)]
        return [*offered, Fault("outage")]

    def strike(self, fault: Fault, turn: int) -> Blow:
        cluster = self.cluster()
        if fault.kind == "outage":
            return self._outage(cluster)
        if fault.kind in CUTS:
            return self._cut(cluster, fault)
        entry = self._choose(cluster, fault, turn)
        _check_child(entry, cluster.supervisor)
        self._check_survivable(cluster, entry, fault)
        if fault.kind == "wipe":
            wipe(self._folder, entry, [service for service in entry.service.split("+") if service in DISKS])
        else:
            _signal(entry, SIGNALS[fault.kind])
        return SignalBlow(self, [entry], held=fault.kind == "stop")

    def _outage(self, cluster: Cluster) -> Blow:
        entries = [entry for entry in cluster.processes if alive(entry.pid)]
        for entry in entries:
            _check_child(entry, cluster.supervisor)
        for entry in entries:
            with contextlib.suppress(ProcessLookupError):
                os.kill(entry.pid, signal.SIGKILL)
        return SignalBlow(self, entries, held=False)

    def _cut(self, cluster: Cluster, fault: Fault) -> Blow:
        entries = [entry for entry in cluster.processes if fault.component == f"zone-{entry.zone}"]
        others = [entry for entry in cluster.processes if entry not in entries]
        away = [entry.name for entry in others if not self.ready(cluster.host, entry)[0]]
        if away:
            raise NotNow(f"{', '.join(away)} of the other zones is not ready")
        return CutBlow(self, self._folder / LINKS, fault.kind, cluster.host, entries, others)

    def _choose(self, cluster: Cluster, fault: Fault, turn: int) -> ProcessEntry:
        """Each in turn; but of adjudicators the one at work, if there is one."""
        running = [entry for entry in cluster.processes if entry.service == fault.component and alive(entry.pid)]
        if not running:
            raise NotNow(f"no process of {fault.component} runs")
        if "adjudicator" in fault.component.split("+"):
            at_work = [entry for entry in running if holds_stream(ask(cluster.host, entry, "/status"))]
            running = at_work or running
        return running[turn % len(running)]

    def _check_survivable(self, cluster: Cluster, victim: ProcessEntry, fault: Fault) -> None:
        """Raises NotNow where too few of a kind would be left: a majority of journals, one of all others; with a wiped
        disk all others of its kind. The only one there is may be struck all the same, but not wiped."""
        for service in victim.service.split("+"):
            kind = [entry for entry in cluster.processes if service in entry.service.split("+")]
            needed = len(kind) // 2 + 1 if service == "journal" else 1
            if fault.kind == "wipe" and service in DISKS:
                needed = len(kind) - 1
                if len(kind) < ZONES_MIN:
                    raise BackendError(f"there are too few {service} replicas to wipe one")
            elif len(kind) == 1:
                continue
            ready = [entry for entry in kind if entry is not victim and self.ready(cluster.host, entry)[0]]
            if len(ready) < needed:
                raise NotNow(f"of {len(kind)} {service} processes only {len(ready)} others are ready")

    def moved_sessions(self) -> dict[str, float]:
        cluster = self.cluster()
        counted = {
            entry.name: moved_sessions(ask(cluster.host, entry, "/metrics").decode())
            for entry in cluster.processes
            if "frontend" in entry.service.split("+")
        }
        return {name: value for name, value in counted.items() if value is not None}


def _zones(cluster: Cluster) -> list[str]:
    return sorted({entry.zone for entry in cluster.processes})


def _disks_in(component: str) -> bool:
    return any(service in DISKS for service in component.split("+"))


def _check_child(entry: ProcessEntry, supervisor: int) -> None:
    """Raises BackendError unless that process is the supervisor's: a stale file must not kill a stranger."""
    try:
        after_name = Path(f"/proc/{entry.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise NotNow(f"{entry.name} cannot be looked at: {error}") from error
    if int(after_name[1]) != supervisor:
        raise BackendError(f"process {entry.pid} is not {entry.name}: the fleet is being started or stopped")


def _signal(entry: ProcessEntry, number: signal.Signals) -> None:
    try:
        os.kill(entry.pid, number)
    except ProcessLookupError as error:
        raise NotNow(f"{entry.name} ended by itself just now") from error
