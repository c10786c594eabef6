"""Blows to processes of one machine: how they are dealt, undone, and seen to have healed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tausql.chaos.faults import BackendError, NotNow, Victim
from tausql.local.cluster import Cluster, ProcessEntry, alive
from tausql.rpc.links import Rule, write_rules

CUT_SECONDS_MAX = 120.0  # a cut heals by itself, should this tool be killed
SLOW_SECONDS = 0.1  # each way
STOPPED_SECONDS_MAX = 2.0
POLL_SECONDS = 0.002


class Fleet(Protocol):
    """What a blow asks about its fleet. May raise BackendError."""

    ready: Callable[[str, ProcessEntry], tuple[bool, str]]

    def cluster(self) -> Cluster: ...


def _victims(entries: Sequence[ProcessEntry]) -> tuple[Victim, ...]:
    return tuple(Victim(entry.name, tuple(entry.service.split("+"))) for entry in entries)


def _now(fleet: Fleet, entries: Sequence[ProcessEntry]) -> list[ProcessEntry]:
    names = {entry.name for entry in entries}
    return [entry for entry in fleet.cluster().processes if entry.name in names]


class SignalBlow:
    """Processes were sent a signal. `held`: they are stopped, and woken up again."""

    heals = True

    def __init__(self, fleet: Fleet, entries: Sequence[ProcessEntry], held: bool) -> None:
        self._fleet = fleet
        self._entries = entries
        self.held = held
        self.victims = _victims(entries)

    def undo(self) -> None:
        for entry in self._entries:
            with contextlib.suppress(ProcessLookupError):  # it, or the whole fleet, was ended meanwhile
                os.kill(entry.pid, signal.SIGCONT)

    def gone(self) -> bool:
        return not self.held and not any(alive(entry.pid) for entry in self._entries)

    def ready(self) -> bool:
        before = {entry.name: entry.pid for entry in self._entries}
        cluster = self._fleet.cluster()
        for entry in _now(self._fleet, self._entries):
            if not self.held and entry.pid in (0, before[entry.name]):
                return False
            if not self._fleet.ready(cluster.host, entry)[0]:
                return False
        return True


class CutBlow:
    """The links between a zone and the others are cut or slow. `path`: where processes find the rules."""

    heals = True
    held = True

    def __init__(
        self,
        fleet: Fleet,
        path: Path,
        kind: str,
        host: str,
        zone: Sequence[ProcessEntry],
        others: Sequence[ProcessEntry],
    ) -> None:
        self._fleet = fleet
        self._path = path
        self._everybody = [*zone, *others]
        self.victims = _victims(zone)
        here = tuple(f"{host}:{entry.port}" for entry in zone)
        there = tuple(f"{host}:{entry.port}" for entry in others)
        delay = SLOW_SECONDS if kind == "slow" else None
        until = time.monotonic() + CUT_SECONDS_MAX
        out, into = Rule(here, there, delay, until), Rule(there, here, delay, until)
        write_rules(path, [rule for rule, without in ((out, "cut-in"), (into, "cut-out")) if kind != without])

    def undo(self) -> None:
        write_rules(self._path, [])

    def gone(self) -> bool:
        return False

    def ready(self) -> bool:
        host = self._fleet.cluster().host
        return all(self._fleet.ready(host, entry)[0] for entry in _now(self._fleet, self._everybody))


def wipe(folder: Path, entry: ProcessEntry, services: Sequence[str]) -> None:
    """End a process without a word, and take its disk away before its supervisor can start it again. Raises
    BackendError."""
    disks = [path for service in services if (path := _disk_of(folder, entry, service)).is_dir()]
    if not disks:
        raise BackendError(f"no data of {entry.name} found in {folder}")
    try:
        os.kill(entry.pid, signal.SIGSTOP)
    except ProcessLookupError as error:
        raise NotNow(f"{entry.name} ended by itself just now") from error
    try:
        _await_stopped(entry)
        aside = []
        for disk in disks:
            aside.append(disk.with_name(f".{disk.name}.wiped-{entry.pid}"))
            disk.rename(aside[-1])
    except BaseException:
        os.kill(entry.pid, signal.SIGCONT)
        raise
    os.kill(entry.pid, signal.SIGKILL)
    for path in aside:
        shutil.rmtree(path, ignore_errors=True)


def _disk_of(folder: Path, entry: ProcessEntry, service: str) -> Path:
    """A process that is called after its service has the folder of its name; those that share one, `service-zone`."""
    return folder / (entry.name if entry.name.startswith(f"{service}-") else f"{service}-{entry.zone}")


def _await_stopped(entry: ProcessEntry) -> None:
    end = time.monotonic() + STOPPED_SECONDS_MAX
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{entry.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError as error:
            raise BackendError(f"{entry.name} cannot be looked at: {error}") from error
        if state == "T":
            return
        time.sleep(POLL_SECONDS)
    raise BackendError(f"{entry.name} does not stop")
