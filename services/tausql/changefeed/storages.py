"""Reads of storage, by whoever serves the keys: which rows were there before, and what the catalogue was.

A processor routes reads the same way, for speed with hedges and parked sessions; a changefeed reads little and late, so
this asks one replica after the other and tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tausql.protocol.storage import (
    CheckpointPart,
    Read,
    Rows,
    Scan,
    Serving,
    StorageClient,
    TakeCheckpoint,
    TooOld,
)
from tausql.rpc.interface import Failure, Network
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import Host

ATTEMPTS_MAX = 20
RETRY_SECONDS = 0.25
GETS_MAX = 500  # keys asked for at once


class Unreadable(Exception):
    """No storage has answered."""


class Collected(Exception):
    """The versions of that tau are gone."""


class Storages:
    """What every feed of a process reads with."""

    def __init__(self, host: Host, network: Network, directory: Directory, seconds: float) -> None:
        self._host = host
        self._seconds = seconds
        self._serving: dict[str, tuple[tuple[bytes, bytes], ...]] = {}
        self._stopped = False
        self._all: Neighbours[StorageClient] = Neighbours(
            directory,
            "storage",
            host.zone,
            lambda address: StorageClient(network.connect(address, "storage")),
            joined=self._watch,
            left=self._forget,
        )
        for neighbour in self._all.all:
            self._watch(neighbour)

    def stop(self) -> None:
        self._stopped = True

    async def existed(self, tau: int, keys: Sequence[bytes]) -> set[bytes]:
        """Those of `keys` that had a row at `tau`. Raises Unreadable, Collected."""
        found: set[bytes] = set()
        for begin in range(0, len(keys), GETS_MAX):
            waiting = list(keys[begin : begin + GETS_MAX])
            while waiting:

                def request(one: Neighbour[StorageClient], left: list[bytes] = waiting) -> Read:
                    return Read(tau, (), [key for key in left if self._serves(one, key)], [])

                asked, rows = await self._read(waiting[0], request)
                answered = asked.gets[: len(rows.values)]
                found.update(key for key, value in zip(answered, rows.values, strict=True) if value is not None)
                done = set(answered)
                waiting = [key for key in waiting if key not in done]
        return found

    async def scan(self, tau: int, low: bytes, high: bytes) -> list[tuple[bytes, bytes]]:
        """The rows of [low, high) at `tau`. Raises Unreadable, Collected."""
        found: list[tuple[bytes, bytes]] = []
        at: bytes | None = low
        while at is not None:
            page, at = await self.page(tau, at, high)
            found += page
        return found

    async def page(self, tau: int, low: bytes, high: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        """The first rows of [low, high) at `tau`, and where the others begin. Raises Unreadable, Collected."""
        request = Read(tau, (), [], [Scan(low, high)])
        _, rows = await self._read(low, lambda _: request)
        page = rows.pages[0]
        found = [(key, value) for key, value in zip(page.keys, page.values, strict=True) if value is not None]
        return found, page.resume

    async def position(self, key: bytes) -> CheckpointPart:
        """Where a replica that serves `key` stands: its watermark and cursors. Raises Unreadable."""
        for turn in range(ATTEMPTS_MAX):
            chosen = await self._serving_of(key, turn)
            parts: asyncio.Future[CheckpointPart | None] = asyncio.get_running_loop().create_future()

            def settle(part: CheckpointPart | Failure | None, answer: asyncio.Future[Any] = parts) -> None:
                if not answer.done():
                    answer.set_result(part if isinstance(part, CheckpointPart) else None)

            stream = chosen.client.take_checkpoint(TakeCheckpoint(self._host.name, key, key + b"\0"), settle, settle)
            try:
                async with asyncio.timeout(self._seconds):
                    part = await parts
            except TimeoutError:
                part = None
            finally:
                stream.cancel()
            if part is not None and part.cursors:
                return part
            await asyncio.sleep(RETRY_SECONDS)
        raise Unreadable("no storage says where it stands")

    async def _read(self, key: bytes, request: Callable[[Neighbour[StorageClient]], Read]) -> tuple[Read, Rows]:
        """Ask whoever serves `key`, and others if need be: what was asked and the answer, which holds something."""
        why = ""
        for attempt in range(ATTEMPTS_MAX):
            chosen = await self._serving_of(key, attempt)
            asked = request(chosen)
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def settle(told: Any, waiting: asyncio.Future[Any] = answer) -> None:
                if not waiting.done():
                    waiting.set_result(told)

            chosen.client.read(asked, self._seconds, settle)
            told = await answer
            if isinstance(told, Rows) and (told.values or told.pages):
                return asked, told
            if isinstance(told, TooOld):
                raise Collected
            why = str(told)
            await asyncio.sleep(RETRY_SECONDS)
        raise Unreadable(f"no storage answers: {why}")

    async def _serving_of(self, key: bytes, turn: int = 0) -> Neighbour[StorageClient]:
        for _ in range(ATTEMPTS_MAX):
            able = [one for one in self._all.all if self._serves(one, key)]
            if able:
                return able[turn % len(able)]
            await asyncio.sleep(RETRY_SECONDS)
        raise Unreadable("no storage serves the key")

    def _serves(self, one: Neighbour[StorageClient], key: bytes) -> bool:
        return any(low <= key and (not high or key < high) for low, high in self._serving.get(one.member.name, ()))

    def _forget(self, neighbour: Neighbour[StorageClient]) -> None:
        self._serving.pop(neighbour.member.name, None)

    def _watch(self, neighbour: Neighbour[StorageClient]) -> None:
        name = neighbour.member.name

        def told(serving: Serving) -> None:
            self._serving[name] = serving.ranges

        def ended(failure: Failure | None) -> None:
            self._serving.pop(name, None)
            if not self._stopped and any(one.client is neighbour.client for one in self._all.all):
                self._host.later(RETRY_SECONDS, partial(self._watch, neighbour))

        neighbour.client.watch_serving(told, ended)
