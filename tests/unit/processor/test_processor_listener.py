"""The session port over real sockets on loopback."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import msgspec
import pytest

from tausql.processor.carrying import NoteOut
from tausql.processor.listener import Listener
from tausql.protocol.processor import (
    CANCEL_KNOWN,
    CANCEL_UNKNOWN,
    GREETING_BYTES_MAX,
    WITNESS_READY,
    WITNESSED,
    CancelSession,
    ClientOut,
    SessionIn,
    SessionStart,
    Witness,
)
from tausql.runtime.issuing import issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Tls


class Echo:
    """A session that says everything back."""

    def __init__(self, out: ClientOut) -> None:
        self.out = out
        self.gone = asyncio.Event()
        out.write(b"hello ")

    def feed(self, data: bytes) -> None:
        self.out.write(data)
        if data.endswith(b"bye"):
            self.out.close()

    def lost(self) -> None:
        self.gone.set()


class Sessions:
    def __init__(self) -> None:
        self.started: list[SessionStart] = []
        self.cancelled: list[tuple[int, int]] = []
        self.echoes: list[Echo] = []

    def attach(self, start: SessionStart, out: ClientOut, notes: NoteOut | None = None) -> SessionIn:
        self.started.append(start)
        self.echoes.append(Echo(out))
        return self.echoes[-1]

    def cancel(self, process_id: int, secret: int) -> bool:
        self.cancelled.append((process_id, secret))
        return secret == 8


def frame(greeting: SessionStart | CancelSession | Witness) -> bytes:
    packed = msgspec.msgpack.encode(greeting)
    return len(packed).to_bytes(4, "big") + packed


async def talk(listener: Listener, *pieces: bytes) -> bytes:
    """Send the pieces, one by one, and read to the end."""
    name, _, port = listener.address.rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    writer.close()
    return answer


def test_sessions_and_cancels_by_their_greeting() -> None:
    sessions = Sessions()
    start = SessionStart("admin", "postgres", {"application_name": "x"}, "127.0.0.1", True)

    async def body(host: AsyncHost) -> None:
        listener = Listener()
        await listener.start("127.0.0.1:0", sessions, 5.0)
        greeting = frame(start)
        assert await talk(listener, greeting + b"and bye") == b"hello and bye"
        assert await talk(listener, *(bytes([byte]) for byte in greeting), b"bye") == b"hello bye"
        assert await talk(listener, frame(CancelSession(7, 8))) == CANCEL_KNOWN
        assert await talk(listener, frame(CancelSession(7, 9))) == CANCEL_UNKNOWN
        for echo in sessions.echoes:
            await echo.gone.wait()
        listener.close()

    run_on_host(body)
    assert sessions.started == [start, start]
    assert sessions.cancelled == [(7, 8), (7, 9)]


@pytest.mark.parametrize(
    "nonsense",
    [(GREETING_BYTES_MAX + 1).to_bytes(4, "big"), b"\0\0\0\3abc", b"\0\0\0\1\xc0", b"GET / HTTP/1.1\r\n\r\n"],
)
def test_nonsense_is_cut_off(nonsense: bytes) -> None:
    sessions = Sessions()

    async def body(host: AsyncHost) -> None:
        listener = Listener()
        await listener.start("127.0.0.1:0", sessions, 5.0)
        assert await talk(listener, nonsense) == b""
        listener.close()

    run_on_host(body)
    assert not sessions.started


def test_whoever_does_not_say_what_for_is_cut_off() -> None:
    async def body(host: AsyncHost) -> None:
        listener = Listener()
        await listener.start("127.0.0.1:0", Sessions(), 0.01)
        assert await talk(listener, b"\0\0") == b""
        listener.close()

    run_on_host(body)


def test_a_slow_reader_is_waited_for() -> None:
    sessions = Sessions()

    async def body(host: AsyncHost) -> None:
        listener = Listener()
        await listener.start("127.0.0.1:0", sessions, 5.0)
        name, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(port), limit=1024)
        writer.write(frame(SessionStart("admin", "postgres", {})))
        assert await reader.readexactly(6) == b"hello "
        out = sessions.echoes[0].out
        writable = asyncio.Event()
        sent = 0
        while out.when_writable(writable.set):
            out.write(bytes(100_000))
            sent += 100_000
        assert not writable.is_set()
        await reader.readexactly(sent)
        await writable.wait()
        writer.close()
        await sessions.echoes[0].gone.wait()
        listener.close()

    run_on_host(body)


class Announcing(Echo):
    """A session that announces a commit for every byte it gets."""

    def __init__(self, out: ClientOut, notes: NoteOut) -> None:
        super().__init__(out)
        self.notes = notes
        self.taken: list[bool] = []
        self.later: list[bool] = []
        notes.know(7, 8)

    def feed(self, data: bytes) -> None:
        for byte in data:
            self.taken.append(self.notes.push(b"note", byte))
            if not self.taken[-1]:
                self.notes.when_pushed(self.later.append)


class AnnouncingSessions(Sessions):
    def attach(self, start: SessionStart, out: ClientOut, notes: NoteOut | None = None) -> SessionIn:
        assert notes is not None
        self.echoes.append(Announcing(out, notes))
        return self.echoes[-1]


def tls_of(host: AsyncHost, folder: Path) -> Tls:
    now = datetime.datetime.now(datetime.UTC)
    authority = issue_authority("a fleet", now, 1)
    issued = issue(authority, "a process", ["process"], now, 1, client=True)
    (folder / "ca.crt").write_bytes(authority.pem())
    (folder / "tls.crt").write_bytes(issued.pem())
    (folder / "tls.key").write_bytes(issued.key_pem())
    return Tls(host, folder)


@pytest.mark.parametrize("encrypted", [False, True])
def test_no_commit_is_announced_without_its_witness(tmp_path: Path, encrypted: bool) -> None:
    sessions = AnnouncingSessions()

    async def body(host: AsyncHost) -> None:
        tls = tls_of(host, tmp_path) if encrypted else None
        context = tls.client() if tls is not None else None
        listener = Listener()
        await listener.start("127.0.0.1:0", sessions, 5.0, tls)
        name, _, port = listener.address.rpartition(":")

        async def connect(greeting: SessionStart | Witness) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(
                name, int(port), ssl=context, server_hostname="" if context is not None else None
            )
            writer.write(frame(greeting))
            return reader, writer

        told, witness = await connect(Witness(b"w" * 16))
        assert await told.readexactly(1) == WITNESS_READY
        reader, writer = await connect(SessionStart("admin", "postgres", {}, witness=b"w" * 16))
        assert await reader.readexactly(6) == b"hello "
        writer.write(b"\x01\x02")
        assert await reader.readexactly(8) == b"notenote"
        records = await told.readexactly(2 * WITNESSED.size)
        assert list(WITNESSED.iter_unpack(records)) == [(7, 8, 1), (7, 8, 2)]
        (session,) = sessions.echoes
        assert isinstance(session, Announcing)
        assert session.taken == [True, True]
        witness.close()
        await witness.wait_closed()
        async with asyncio.timeout(5):
            while not session.later:
                writer.write(b"\x03")
                await asyncio.sleep(0.01)
        assert session.taken[-1] is False
        assert set(session.later) == {False}
        writer.close()
        await session.gone.wait()
        listener.close()

    run_on_host(body)
