"""Sessions at a processor: what comes between the messages, and every way to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from tausql.control.clusters.removal import RemovalFailed, SqlRemover
from tausql.control.system.database import SqlStore
from tausql.control.system.session import Answered, Lost, Processors, Statement
from tausql.control.system.store import Put, Taken, Unavailable
from tausql.pgwire import notes
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.processor import Changed, MoveAway, SessionStart
from tausql.runtime.fleet import Directory
from tausql.runtime.loop import AsyncHost, run_on_host

START = SessionStart("admin", "postgres", {}, cluster=0)


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + (len(body) + 4).to_bytes(4, "big") + body


READY = message("Z", b"I")
GREETED = message("R", b"\0\0\0\0") + message("S", b"TimeZone\0UTC\0") + READY
NOTE = notes.frame(msgspec.msgpack.encode(Changed({"TimeZone": "UTC"})))
LEAVING = notes.frame(msgspec.msgpack.encode(MoveAway()))


def row(*values: str | None) -> bytes:
    body = len(values).to_bytes(2, "big")
    for value in values:
        raw = b"" if value is None else value.encode()
        body += (b"\xff\xff\xff\xff" if value is None else len(raw).to_bytes(4, "big")) + raw
    return message("D", body)


def answer(*rows: bytes) -> bytes:
    return message("1") + message("2") + b"".join(rows) + message("C", b"SELECT 1\0")


def error(sqlstate: str, severity: str = "ERROR") -> bytes:
    return message("E", f"S{severity}\0V{severity}\0C{sqlstate}\0Mno\0\0".encode())


class Processor:
    """Answers each exchange with what `says` gives for the statement's texts; None: closes the connection."""

    def __init__(self, says: Callable[[list[str]], bytes | None]) -> None:
        self.says = says
        self.greetings: list[SessionStart] = []
        self.asked: list[list[str]] = []
        self.open: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(asyncio.current_task())
        size = int.from_bytes(await reader.readexactly(4), "big")
        self.greetings.append(msgspec.msgpack.decode(await reader.readexactly(size), type=SessionStart))
        writer.write(GREETED)
        texts: list[str] = []
        try:
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
                if head[:1] == b"P":
                    texts.append(body[1:].partition(b"\0")[0].decode())
                if head[:1] == b"S":
                    self.asked.append(texts)
                    said = self.says(texts)
                    texts = []
                    if said is None:
                        break
                    for at in range(0, len(said), 7):
                        writer.write(said[at : at + 7])
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def processors_of(host: AsyncHost, *served: Processor) -> AsyncIterator[Processors]:
    servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in served]
    members = tuple(
        Member(f"p-{number}", "a", "x:1", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for number, server in enumerate(servers)
    )
    try:
        yield Processors(Directory(Fleet(processor=members)), "a", None, 2.0)
    finally:
        for server in servers:
            server.close()
        tasks = [task for one in served for task in one.open if task is not None]
        if tasks:  # their clients have gone: they come to their end by themselves
            await asyncio.wait(tasks, timeout=5)


def test_rows_come_whole_and_notes_in_between_are_nobodys():
    async def body(host: AsyncHost) -> None:
        one = Processor(lambda _: NOTE + answer(row("1", None)) + NOTE + answer() + NOTE + READY)
        async with processors_of(host, one) as processors:
            session = await processors.open(START)
            found = await session.run([Statement("SELECT $1", ("1",)), Statement("DELETE")], 2.0)
            assert found == [[("1", None)], []]
            assert one.greetings[0].cluster == 0
            session.close()
            with pytest.raises(Lost):
                await session.run([Statement("SELECT 1")], 2.0)

    run_on_host(body)


def test_an_error_leaves_the_session_of_use_and_a_fatal_one_does_not():
    async def body(host: AsyncHost) -> None:
        said = [error("22012") + READY, answer() + READY, error("57P01", "FATAL"), None]
        one = Processor(lambda _: said.pop(0))
        async with processors_of(host, one) as processors:
            session = await processors.open(START)
            with pytest.raises(Answered, match="22012"):
                await session.run([Statement("a")], 2.0)
            assert await session.run([Statement("b")], 2.0) == [[]]
            with pytest.raises(Answered, match="57P01"):
                await session.run([Statement("c")], 2.0)
            assert not session.usable
            session = await processors.open(START)
            with pytest.raises(Lost):
                await session.run([Statement("d")], 2.0)

    run_on_host(body)


def test_a_session_leaves_a_processor_that_stops_when_its_answer_is_whole():
    async def body(host: AsyncHost) -> None:
        one = Processor(lambda _: LEAVING + answer(row("1")) + READY)
        async with processors_of(host, one) as processors:
            session = await processors.open(START)
            assert await session.run([Statement("SELECT 1")], 2.0) == [[("1",)]]
            assert not session.usable

    run_on_host(body)


def test_a_processor_that_cannot_be_reached_is_passed_over():
    async def body(host: AsyncHost) -> None:
        one = Processor(lambda _: answer() + READY)
        async with processors_of(host, one) as processors:
            there = processors._directory.fleet.processor[0]
            gone = Member("p-gone", "a", "x:1", "127.0.0.1:1")
            processors._directory.replace(Fleet(processor=(gone, there)))
            session = await processors.open(START)
            assert session.usable
            session.close()
            processors._directory.replace(Fleet(processor=(gone,)))
            with pytest.raises(Lost, match="p-gone"):
                await processors.open(START)

    run_on_host(body)


def store_says(texts: list[str], writes: list[bytes | None]) -> bytes | None:
    if "information_schema" in texts[0]:
        return answer(row("3")) + READY
    if texts[0].startswith("INSERT INTO control.changes"):
        return writes.pop(0)
    if texts[0].startswith("SELECT writer"):
        return answer(row("me")) + READY
    return answer() + READY


def test_a_commit_whose_answer_was_lost_is_found_done_and_is_not_done_twice():
    async def body(host: AsyncHost) -> None:
        writes: list[bytes | None] = [None, error("23505") + READY, error("40001") + READY]
        one = Processor(lambda texts: store_says(texts, writes))
        async with processors_of(host, one) as processors:
            store = SqlStore(host, processors)
            await store.append(1, "me", [Put("cluster/a", "{}")])
            assert len(one.greetings) == 2
            with pytest.raises(Taken):
                await store.append(1, "another", [Put("cluster/a", "{}")])
            store.close()

    run_on_host(body)


def test_what_nobody_can_answer_is_unavailable():
    async def body(host: AsyncHost) -> None:
        one = Processor(lambda texts: store_says(texts, [error("53100") + READY]))
        async with processors_of(host, one) as processors:
            store = SqlStore(host, processors)
            with pytest.raises(Unavailable, match="53100"):
                await store.append(1, "me", [])
            store.close()
        with pytest.raises(Unavailable):
            await SqlStore(host, Processors(Directory(Fleet()), "a", None, 0.1)).load()

    run_on_host(body)


def test_data_is_removed_call_by_call_in_a_session_of_that_cluster():
    async def body(host: AsyncHost) -> None:
        said = [answer(row("3000", "f")) + READY, answer(row("12", "t")) + READY, error("40001") + READY]
        one = Processor(lambda _: said.pop(0))
        async with processors_of(host, one) as processors:
            assert await SqlRemover(processors).remove(9) == 3_012
            assert (one.greetings[0].cluster, one.greetings[0].switches) == (9, ("removal",))
            with pytest.raises(RemovalFailed):
                await SqlRemover(processors).remove(9)

    run_on_host(body)
