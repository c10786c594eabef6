"""Status pages of adjudicators and storages, served on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec


class Process:
    """One process's status page."""

    def __init__(self, **services: dict[str, Any]) -> None:
        self.status: dict[str, Any] = {"process": {"draining": False}, **services}
        self.asked = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = msgspec.json.encode(self.status)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()


def holder(stream: int, low: bytes, high: bytes, registered: list[int] | None = None) -> dict[str, Any]:
    ranges = [{"low": low.hex(), "high": high.hex(), "commits": 10, "split": None}]
    return {"stream": stream, "held": True, "epoch": [1, 1], "ranges": ranges, "registered": registered, "given": []}


def keeper(*rows: tuple[bytes, bytes], serving: bool = True) -> dict[str, Any]:
    return {
        "shards": [
            {"low": low.hex(), "high": high.hex(), "serving": serving, "bytes": 10, "reads": 0, "writes": 0}
            for low, high in rows
        ]
    }
