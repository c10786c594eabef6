"""The session port over real sockets on loopback."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tausql.processor.listener import Listener
from tausql.protocol.processor import GREETING_BYTES_MAX, CancelSession, ClientOut, SessionIn, SessionStart
from tausql.runtime.loop import AsyncHost, run_on_host


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

    def attach(self, start: SessionStart, out: ClientOut) -> SessionIn:
        self.started.append(start)
        self.echoes.append(Echo(out))
        return self.echoes[-1]

    def cancel(self, process_id: int, secret: int) -> None:
        self.cancelled.append((process_id, secret))


def frame(greeting: SessionStart | CancelSession) -> bytes:
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
        assert await talk(listener, frame(CancelSession(7, 8))) == b""
        for echo in sessions.echoes:
            await echo.gone.wait()
        listener.close()

    run_on_host(body)
    assert sessions.started == [start, start]
    assert sessions.cancelled == [(7, 8)]


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
