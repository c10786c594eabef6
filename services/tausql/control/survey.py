"""Every pod of the region, asked for its status, now.

For people who want to see the whole fleet at once. Pods that do not answer are part of the picture: they are in it,
with the reason. One survey at a time: whoever asks meanwhile gets the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import msgspec

from tausql.control.cluster import Pod

ANSWER_BYTES_MAX = 1 << 20
ROUNDS_MAX = 4  # times `seconds`, for all of them together


class Survey:
    """seconds: for one pod. at_once: pods asked at a time."""

    def __init__(self, seconds: float, at_once: int, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._seconds = seconds
        self._at_once = at_once
        self._transport = transport
        self._running: asyncio.Future[list[dict[str, Any]]] | None = None

    async def ask(self, pods: Iterable[Pod]) -> dict[str, Any]:
        """`{"complete", "asked", "answered", "pods": [{"name", ..., "status" or "error"}]}`, by service and name."""
        running = self._running
        if running is None or running.done():
            listed = sorted(pods, key=lambda pod: (pod.service, pod.name))
            running = self._running = asyncio.ensure_future(self._ask_all(listed))
        rows = await asyncio.shield(running)
        answered = sum("status" in row for row in rows)
        return {"complete": answered == len(rows), "asked": len(rows), "answered": answered, "pods": rows}

    async def _ask_all(self, pods: list[Pod]) -> list[dict[str, Any]]:
        room = asyncio.Semaphore(self._at_once)
        rows = [described(pod) for pod in pods]
        limits = httpx.Limits(max_connections=self._at_once)
        async with httpx.AsyncClient(
            timeout=self._seconds, limits=limits, trust_env=False, transport=self._transport
        ) as client:
            asked = [self._ask_one(client, room, pod, row) for pod, row in zip(pods, rows, strict=True)]
            try:
                async with asyncio.timeout(self._seconds * ROUNDS_MAX):
                    await asyncio.gather(*asked)
            except TimeoutError:
                for row in rows:
                    if "status" not in row:
                        row.setdefault("error", "not asked in time")
        return rows

    async def _ask_one(self, client: httpx.AsyncClient, room: asyncio.Semaphore, pod: Pod, row: dict[str, Any]) -> None:
        if not pod.ip or pod.over:
            row["error"] = f"not running: {pod.phase or 'no phase'}"
            return
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        async with room:
            try:
                async with asyncio.timeout(self._seconds):
                    row["status"] = await _status(client, f"http://{host}:{pod.http}/status")
            except TimeoutError:
                row["error"] = f"no answer in {self._seconds:g} s"
            except (httpx.HTTPError, msgspec.DecodeError, ValueError) as error:
                row["error"] = f"{type(error).__name__}: {error}"


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


async def _status(client: httpx.AsyncClient, url: str) -> Any:
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise ValueError(f"a status of more than {ANSWER_BYTES_MAX} bytes")
    return msgspec.json.decode(body)
