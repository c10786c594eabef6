"""The system cluster's tables: made at the first start, and asked through one session that comes back by itself.

Everything control knows is one list of records, and every change of it has a number: whoever decides says from which
number it saw the world, and the change that comes second finds its number taken. So two controls can never both hand
out the last cluster of an account, without a lock that somebody might die with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tausql.control.system.session import Answered, Lost, Processors, Row, Session, Statement
from tausql.control.system.store import Batch, Change, Event, Missed, Put, Taken, Unavailable
from tausql.protocol.clusters import SYSTEM_CLUSTER
from tausql.protocol.processor import SessionStart
from tausql.runtime import logs
from tausql.runtime.host import Host

SECONDS = 10.0  # for one exchange; a commit takes milliseconds
TRIES = 4  # of what failed for want of a processor, or met another transaction
PAUSE_SECONDS = 0.1  # doubled each time
PAGE = 500
CHANGES_READ_MAX = 1_000
EVENTS_REMOVED_MAX = 1_000  # at once
_AGAIN = ("40001", "OC000", "OC001")
_TAKEN = "23505"

# One DDL statement a transaction. What a later version adds comes after these, and none is changed once released.
SCHEMA: tuple[str, ...] = (
    "CREATE SCHEMA IF NOT EXISTS control",
    "CREATE TABLE IF NOT EXISTS control.records (id text PRIMARY KEY, body text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS control.changes (change bigint PRIMARY KEY, writer text NOT NULL, body text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS control.events (id text PRIMARY KEY, body text NOT NULL)",
)
_TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'control'"

Found = TypeVar("Found")
log = logs.get("control")


class SqlStore:
    """`Store` over one session."""

    def __init__(self, host: Host, processors: Processors) -> None:
        self._host = host
        self._processors = processors
        self._session: Session | None = None
        self._lock = asyncio.Lock()
        self._made = False
        self._trouble = ""

    async def load(self) -> Batch:
        async with self._lock:
            return await self._again(self._load)

    async def after(self, change: int) -> list[Change]:
        columns = "change, writer, body"
        text = f"SELECT {columns} FROM control.changes WHERE change >= $1 ORDER BY change LIMIT {CHANGES_READ_MAX}"
        found = [_change(row) for row in await self._ask(text, str(change))]
        if change and (not found or found[0].number != change):
            raise Missed  # what was seen last is not on record any more
        return [one for one in found if one.number > change]

    async def append(self, change: int, writer: str, puts: Sequence[Put]) -> None:
        body = json.dumps(puts)
        text = "INSERT INTO control.changes (change, writer, body) VALUES ($1, $2, $3)"
        statements = [Statement(text, (str(change), writer, body)), *map(_put, puts)]

        async def write() -> None:
            try:
                await (await self._opened()).run(statements, SECONDS)
            except Answered as error:
                if error.sqlstate in (_TAKEN, *_AGAIN) and not await self._written(change, writer):
                    raise Taken from error
                if error.sqlstate not in (_TAKEN, *_AGAIN):
                    raise

        async with self._lock:
            await self._again(write)

    async def trim(self, before: int) -> None:
        text = "DELETE FROM control.changes WHERE change < $1 AND change >= $2"
        await self._ask(text, str(before), str(before - 2 * CHANGES_READ_MAX))

    async def record(self, events: Sequence[Event]) -> None:
        rows = ", ".join(f"(${2 * number + 1}, ${2 * number + 2})" for number in range(len(events)))
        values = (value for event in events for value in event)
        await self._ask(f"INSERT INTO control.events (id, body) VALUES {rows} ON CONFLICT (id) DO NOTHING", *values)

    async def events(self, before: str, since: str, count: int) -> list[Event]:
        text = "SELECT id, body FROM control.events WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3"
        return [Event(row[0] or "", row[1] or "") for row in await self._ask(text, before, since, str(count))]

    async def event_at(self, position: int) -> str:
        text = "SELECT id FROM control.events ORDER BY id DESC OFFSET $1 LIMIT 1"
        found = await self._ask(text, str(position))
        return found[0][0] or "" if found else ""

    async def forget_events(self, before: str) -> int:
        text = f"SELECT id FROM control.events WHERE id < $1 ORDER BY id LIMIT {EVENTS_REMOVED_MAX}"
        found = await self._ask(text, before)
        if found:
            await self._ask("DELETE FROM control.events WHERE id <= $1", found[-1][0])
        return len(found)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    # statements

    async def _load(self) -> Batch:
        """In pages, each a transaction of its own. What changes meanwhile is in `changes`, and is read again by
        `after`: a record may then be newer than `change` says, never older."""
        (newest,) = await self._once("SELECT max(change) FROM control.changes")
        records: list[Put] = []
        last: str | None = ""
        while True:
            text = f"SELECT id, body FROM control.records WHERE id > $1 ORDER BY id LIMIT {PAGE}"
            page = await self._once(text, last)
            records += [Put(row[0] or "", row[1] or "") for row in page]
            if len(page) < PAGE:
                return Batch(int(newest[0] or 0), tuple(records))
            last = page[-1][0]

    async def _written(self, change: int, writer: str) -> bool:
        """Whether that change is this writer's: its answer was lost, and it was written again."""
        found = await self._once("SELECT writer FROM control.changes WHERE change = $1", str(change))
        return bool(found) and found[0][0] == writer

    async def _ask(self, text: str, *values: str | None) -> list[Row]:
        async with self._lock:
            return await self._again(lambda: self._once(text, *values))

    async def _once(self, text: str, *values: str | None) -> list[Row]:
        (rows,) = await (await self._opened()).run([Statement(text, values)], SECONDS)
        return rows

    # the session

    async def _opened(self) -> Session:
        if self._session is None or not self._session.usable:
            start = SessionStart("admin", "postgres", {"application_name": "tausql control"}, cluster=SYSTEM_CLUSTER)
            self._session = await self._processors.open(start)
        if not self._made:
            await self._make()
        return self._session

    async def _make(self) -> None:
        assert self._session is not None
        ((found,),) = await self._session.run([Statement(_TABLES)], SECONDS)
        if int(found[0] or 0) < len(SCHEMA) - 1:
            for text in SCHEMA:
                await self._session.run([Statement(text)], SECONDS)
            log.info("the system cluster's tables are there")
        self._made = True

    async def _again(self, work: Callable[[], Awaitable[Found]]) -> Found:
        """What `work` gives, tried some times: it must be harmless to do twice. Raises Unavailable, and what is not
        the session's."""
        pause = PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            try:
                found = await work()
            except (Answered, Lost) as error:
                hopeless = isinstance(error, Answered) and not error.fatal and error.sqlstate not in _AGAIN
                if left == 0 or hopeless:
                    self._complain(str(error))
                    raise Unavailable(str(error)) from error
                await asyncio.sleep(pause * self._host.random.uniform(0.5, 1.0))
                pause *= 2
                continue
            self._complain("")
            return found
        raise AssertionError("the last try returns or raises")

    def _complain(self, trouble: str) -> None:
        if trouble and not self._trouble:
            log.warning("the system cluster does not answer", why=trouble)
        elif self._trouble and not trouble:
            log.info("the system cluster answers again")
        self._trouble = trouble


def _change(row: Row) -> Change:
    number, writer, body = row
    return Change(int(number or 0), writer or "", tuple(Put(*put) for put in json.loads(body or "[]")))


def _put(put: Put) -> Statement:
    if put.body is None:
        return Statement("DELETE FROM control.records WHERE id = $1", (put.id,))
    text = "INSERT INTO control.records (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
    return Statement(text, (put.id, put.body))
