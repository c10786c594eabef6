"""What control needs of the system cluster, and a store in memory that promises the same, for tests.

records     id -> JSON; what there is
changes     number -> who wrote it, and the records it put or removed; some thousand newest
events      id -> JSON; the audit log, ids ascending in time
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Put(NamedTuple):
    id: str
    body: str | None  # JSON; None: remove it


class Change(NamedTuple):
    number: int
    writer: str
    puts: tuple[Put, ...]


class Batch(NamedTuple):
    """All records, after that change."""

    change: int
    records: tuple[Put, ...]


class Event(NamedTuple):
    id: str
    body: str


class Taken(Exception):
    """Another change has that number: look again, and decide again."""


class Missed(Exception):
    """So much has changed meanwhile that everything has to be read anew."""


class Unavailable(Exception):
    """The system cluster does not answer. What was to be written may be written or not."""


class Store(Protocol):
    """Raises Unavailable, whatever is asked."""

    async def load(self) -> Batch: ...

    async def after(self, change: int) -> list[Change]:
        """The changes since, in order. Raises Missed."""
        ...

    async def append(self, change: int, writer: str, puts: Sequence[Put]) -> None:
        """Write change number `change`. Raises Taken."""
        ...

    async def trim(self, before: int) -> None: ...

    async def record(self, events: Sequence[Event]) -> None: ...

    async def events(self, before: str, since: str, count: int) -> list[Event]: ...

    async def event_at(self, position: int) -> str:
        """The id of the event so many places behind the newest; empty: there are not so many."""
        ...

    async def forget_events(self, before: str) -> int: ...

    def close(self) -> None: ...


class MemoryStore:
    """`Store` for tests: several controls may share one. `away`: it does not answer."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.changes: dict[int, Change] = {}
        self.log: dict[str, str] = {}
        self.away = False
        self.newest = 0

    async def load(self) -> Batch:
        self._reach()
        return Batch(self.newest, tuple(Put(*item) for item in self.records.items()))

    async def after(self, change: int) -> list[Change]:
        self._reach()
        if change < self.newest and change + 1 not in self.changes:
            raise Missed
        return [self.changes[number] for number in range(change + 1, self.newest + 1)]

    async def append(self, change: int, writer: str, puts: Sequence[Put]) -> None:
        self._reach()
        if change <= self.newest:
            raise Taken
        self.newest = change
        self.changes[change] = Change(change, writer, tuple(puts))
        for put in puts:
            if put.body is None:
                self.records.pop(put.id, None)
            else:
                self.records[put.id] = put.body

    async def trim(self, before: int) -> None:
        self._reach()
        self.changes = {number: change for number, change in self.changes.items() if number >= before}

    async def record(self, events: Sequence[Event]) -> None:
        self._reach()
        self.log |= {event.id: event.body for event in events}

    async def events(self, before: str, since: str, count: int) -> list[Event]:
        self._reach()
        found = sorted((item for item in self.log.items() if since <= item[0] < before), reverse=True)
        return [Event(*item) for item in found[:count]]

    async def event_at(self, position: int) -> str:
        self._reach()
        ids = sorted(self.log, reverse=True)
        return ids[position] if position < len(ids) else ""

    async def forget_events(self, before: str) -> int:
        self._reach()
        old = [id for id in self.log if id < before]
        for id in old:
            del self.log[id]
        return len(old)

    def close(self) -> None:
        """Nothing is open."""

    def _reach(self) -> None:
        if self.away:
            raise Unavailable("away")
