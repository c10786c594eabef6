"""What a fleet's processes hold of the machine's memory.

Growth is told by what a process has for itself alone: the proportional size (PSS), which is right for what a process
costs in all, also changes when other programs that use the same libraries start and end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from loadtest.tausql_fleet import Fleet


class Held(NamedTuple):
    """One process's memory, in bytes."""

    service: str
    own: int
    pss: int
    rss: int


def held_by(pid: int) -> tuple[int, int, int]:
    """(own, PSS, RSS) in bytes."""
    sizes = dict.fromkeys(("Pss:", "Rss:", "Private_Clean:", "Private_Dirty:"), 0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, *rest = line.split()
        if name in sizes:
            sizes[name] = int(rest[0]) * 1024
    return sizes["Private_Clean:"] + sizes["Private_Dirty:"], sizes["Pss:"], sizes["Rss:"]


def memory(fleet: Fleet) -> dict[str, Held]:
    """By process."""
    found: dict[str, Held] = {}
    for entry in fleet.processes():
        with contextlib.suppress(OSError):
            found[str(entry["name"])] = Held(str(entry["service"]), *held_by(int(str(entry["pid"]))))
    return found


def grown(before: dict[str, Held], after: dict[str, Held], services: Iterable[str]) -> int:
    """By how many bytes the processes that run any of `services` have grown, together."""
    wanted = set(services)
    return sum(
        after[name].own - held.own
        for name, held in before.items()
        if name in after and wanted & set(held.service.split("+"))
    )
