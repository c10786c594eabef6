"""Writes events into the system cluster, many at once, and removes old ones.

An event is worth a row, not a transaction of its own: a second's worth is one statement. Where more come than can be
written, the newest are left out and counted: whoever attacks the door must not bring down what watches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tausql.control.events.shape import place_of
from tausql.control.system.store import Event, Store, Unavailable
from tausql.runtime import logs

WAITING_MAX = 20_000
AT_ONCE = 200
PAUSE_SECONDS = 0.5
AGAIN_SECONDS = 2.0
TIDY_SECONDS = 600.0
REMOVALS_MAX = 500  # of a thousand events each, at one tidying

log = logs.get("audit")


class _Waiting(NamedTuple):
    events: list[Event]
    stored: Callable[[], None]


class EventLog:
    """`run` is to be spawned. days, rows: what is older, and what is beyond so many, is removed."""

    def __init__(self, store: Store, days: float, rows: int, now: Callable[[], float]) -> None:
        self._store = store
        self._seconds = days * 86_400
        self._rows = rows
        self._now = now
        self._waiting: list[_Waiting] = []
        self._count = 0
        self._wanted = asyncio.Event()
        self.written = 0
        self.lost = 0

    def add(self, events: list[Event], stored: Callable[[], None] = lambda: None) -> None:
        """`stored`: called when they are in the tables, or lost."""
        for event in events:
            log.info("event", **msgspec.json.decode(event.body))
        room = max(0, WAITING_MAX - self._count)
        self.lost += len(events) - len(events[:room])
        self._waiting.append(_Waiting(events[:room], stored))
        self._count += len(events[:room])
        self._wanted.set()

    async def run(self) -> None:
        tidied = float("-inf")
        while True:
            await self._wanted.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            self._wanted.clear()
            try:
                await self._write()
                if self._now() - tidied >= TIDY_SECONDS:
                    tidied = self._now()
                    await self._tidy()
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)
                self._wanted.set()

    async def read(self, since: float, before: float, after_id: str, count: int) -> list[Event]:
        """Newest first, of since <= time < before; those below `after_id`, where it is not empty. Raises
        Unavailable."""
        return await self._store.events(after_id or place_of(before), place_of(since), count)

    async def _write(self) -> None:
        while self._waiting:
            waiting = list(self._waiting)
            events = [event for one in waiting for event in one.events]
            for start in range(0, len(events), AT_ONCE):
                await self._store.record(events[start : start + AT_ONCE])
            del self._waiting[: len(waiting)]
            self._count -= len(events)
            self.written += len(events)
            for one in waiting:
                one.stored()

    async def _tidy(self) -> None:
        before = max(place_of(self._now() - self._seconds), await self._store.event_at(self._rows))
        for _ in range(REMOVALS_MAX):
            if not await self._store.forget_events(before):
                return
