"""Processes of the region, asked for their status, now.

For people who want to see the whole fleet at once, and for the planner. Those that do not answer are part of the
picture: they are in it, with the reason. One survey at a time: whoever asks meanwhile gets the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tausql.control.cluster import Pod
from tausql.control.status_pages import fetch

ROUNDS_MAX = 4  # times `seconds`, for all of them together


class Target(NamedTuple):
    """One process to ask."""

    row: Mapping[str, Any]  # what is known of it anyway
    host: str = ""
    port: int = 0
    missing: str = ""  # why it cannot be asked


class Survey:
    """seconds: for one process. at_once: processes asked at a time."""

    def __init__(self, seconds: float, at_once: int) -> None:
        self._seconds = seconds
        self._at_once = at_once
        self._running: asyncio.Future[list[dict[str, Any]]] | None = None

    async def ask(self, targets: Iterable[Target]) -> dict[str, Any]:
        """`{"complete", "asked", "answered", "pods": [{"name", ..., "status" or "error"}]}`, in the order given."""
        running = self._running
        if running is None or running.done():
            running = self._running = asyncio.ensure_future(self.rows(list(targets)))
        rows = await asyncio.shield(running)
        answered = sum("status" in row for row in rows)
        return {"complete": answered == len(rows), "asked": len(rows), "answered": answered, "pods": rows}

    async def rows(self, targets: list[Target]) -> list[dict[str, Any]]:
        """The targets' rows, each with "status" or "error"."""
        room = asyncio.Semaphore(self._at_once)
        rows = [dict(target.row) for target in targets]
        asked = [self._ask_one(room, target, row) for target, row in zip(targets, rows, strict=True)]
        try:
            async with asyncio.timeout(self._seconds * ROUNDS_MAX):
                await asyncio.gather(*asked)
        except TimeoutError:
            for row in rows:
                if "status" not in row:
                    row.setdefault("error", "not asked in time")
        return rows

    async def _ask_one(self, room: asyncio.Semaphore, target: Target, row: dict[str, Any]) -> None:
        if target.missing:
            row["error"] = target.missing
            return
        async with room:
            try:
                async with asyncio.timeout(self._seconds):
                    row["status"] = await fetch(target.host, target.port)
            except TimeoutError:
                row["error"] = f"no answer in {self._seconds:g} s"
            except (OSError, ValueError) as error:
                row["error"] = f"{type(error).__name__}: {error}"


def target_of(pod: Pod) -> Target:
    """A pod, as it is asked."""
    missing = f"not running: {pod.phase or 'no phase'}" if not pod.ip or pod.over else ""
    return Target(described(pod), pod.ip, pod.http, missing)


def described(pod: Pod) -> dict[str, Any]:
    """A pod as status pages show it."""
    return {
        "name": pod.name,
        "service": pod.service,
        "node": pod.node,
        "ip": pod.ip,
        "phase": pod.phase,
        "terminating": pod.terminating,
        "created": pod.created,
    }
