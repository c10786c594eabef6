"""PostgreSQL's protocol over WebSocket, with a client of another make."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path
from typing import Any

import pytest
import websockets
from frontend_known import FIRST, SECOND, TOKENS, changed, known_clusters, token
from frontend_running import Raw, Running, until, with_frontend
from frontend_tokens import welcome
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from tausql.frontend.websocket import ROWS_BYTES_MAX, Piece, Pieces
from tausql.pgwire import backend, client

SETTINGS = {**TOKENS, "websocket_listen": "127.0.0.1:0"}
HOST = FIRST.hosts[0]


class Web:
    """A client, message by message."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @classmethod
    async def to(cls, running: Running, host: str = HOST) -> Web:
        address = running.service.websocket_address
        assert address is not None
        context = ssl.create_default_context(cafile=str(running.ca))
        return cls(await connect(f"wss://{host}/", host="127.0.0.1", port=int(address.rpartition(":")[2]), ssl=context))

    @classmethod
    async def session(cls, running: Running, record: Any = FIRST) -> Web:
        web = await cls.to(running, record.hosts[0])
        await web.socket.send(client.startup("admin", "postgres"))
        assert await web.next() == backend.AUTHENTICATION_CLEARTEXT_PASSWORD
        await web.socket.send(client.password(token(record)))
        while (await web.next())[:1] != b"Z":
            pass
        return web

    async def next(self) -> bytes:
        async with asyncio.timeout(5):
            message = await self.socket.recv()
        assert isinstance(message, bytes)
        return message

    async def answer(self) -> list[bytes]:
        """The messages up to a ReadyForQuery."""
        messages = [await self.next()]
        while messages[-1][:1] != b"Z":
            messages.append(await self.next())
        return messages

    async def error(self) -> dict[str, str]:
        (message,) = client.BackendReader().feed(await self.next())
        assert isinstance(message, client.ErrorResponse)
        with pytest.raises(websockets.ConnectionClosed):
            await self.next()
        return message.fields


def test_a_session_over_websocket_message_by_message(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        web = await Web.session(running, SECOND)
        assert running.processor.starts[0].cluster == 7
        assert running.processor.starts[0].encrypted
        await web.socket.send(client.query("select 1"))
        answer = await web.answer()
        assert [message[:1] for message in answer] == [b"T", b"D", b"C", b"Z"]  # what the connector's heartbeat needs
        pong = await web.socket.ping()
        await asyncio.wait_for(pong, 5)
        for half in (client.query("select 1")[:3], client.query("select 1")[3:]):
            await web.socket.send(half)
        assert len(await web.answer()) == 4
        # A message in fragments.
        await web.socket.send([client.query("select 1")[:7], client.query("select 1")[7:]])
        assert len(await web.answer()) == 4
        await web.socket.close()
        await until(lambda: running.service.metrics.clients == 0)

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())
    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters(), remote=1)


def test_large_results_come_whole_to_a_client_that_reads_slowly(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        web = await Web.session(running)
        await web.socket.send(client.query("rows 400"))  # 6.4 MB, beyond every buffer
        answer = await web.answer()
        rows = [message for message in client.BackendReader().feed(b"".join(answer)) if type(message) is client.DataRow]
        assert len(rows) == 400 * 16
        assert len(answer) < 1000  # rows share messages
        await web.socket.close()

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())
    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters(), remote=1)


def test_refusals_are_told_and_limits_are_the_same(tmp_path: Path) -> None:
    small = changed(FIRST, connections_max=1)

    async def body(running: Running) -> None:
        web = await Web.to(running)
        await web.socket.send(client.startup("admin", "postgres"))
        await web.next()
        await web.socket.send(client.password(token(SECOND)))
        assert (await web.error())["C"] == "08006"
        tcp = await welcome(running, HOST, token())
        web = await Web.to(running)
        await web.socket.send(client.startup("admin", "postgres"))
        await web.next()
        await web.socket.send(client.password(token()))
        assert (await web.error())["M"] == "Unable to accept connection, too many open connections."
        tcp.close()
        await until(lambda: running.service.metrics.clients == 0)
        web = await Web.session(running)
        await running.service.drain()
        assert (await web.error())["C"] == "57P01"

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters((small, SECOND)))


def test_cancel_requests_come_this_way_too(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        web = await Web.to(running)
        await web.socket.send(client.cancel_request(1, 2))
        with pytest.raises(websockets.ConnectionClosed):
            await web.next()
        assert running.service.metrics.cancels == 1

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 426 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 404 "),
        (client.startup("admin", "postgres") + b"\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET /" + b"x" * 20_000, b"HTTP/1.1 414 "),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n", b"HTTP/1.1 431 "),
    ],
)
def test_what_is_no_websocket_is_refused(tmp_path: Path, sent: bytes, answer: bytes) -> None:
    async def body(running: Running) -> None:
        raw = await tls_to(running)
        raw.send(sent)
        async with asyncio.timeout(5):
            assert (await raw.reader.read())[: len(answer) or 1] == answer
        raw.close()
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


async def tls_to(running: Running) -> Raw:
    port = int(str(running.service.websocket_address).rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(running.ca))
    context.set_alpn_protocols(["http/1.1"])
    raw = Raw(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST))
    assert raw.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    return raw


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.BINARY, b"x").serialize(mask=False), 1002),
        (Frame(Opcode.BINARY, b"x" * 100_000).serialize(mask=True), 1009),  # more than a stranger may say
        (b"\x82\xff" + b"\xff" * 8 + b"mask", 1009),
        (b"\x83\x80mask", 1002),
        (b"\x81\x81\0\0\0\0x", 1003),
    ],
)
def test_frames_that_break_the_rules_end_the_connection(tmp_path: Path, frame: bytes, code: int) -> None:
    async def body(running: Running) -> None:
        raw = await tls_to(running)
        raw.send(UPGRADE)
        async with asyncio.timeout(5):
            assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            raw.send(frame)
            answer = await raw.reader.read()
        assert answer[:1] == b"\x88"
        assert int.from_bytes(answer[2:4], "big") == code
        raw.close()
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


def test_silent_ones_are_dropped_in_every_stage(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        port = int(str(running.service.websocket_address).rpartition(":")[2])
        silent = Raw(*await asyncio.open_connection("127.0.0.1", port))
        plain = Raw(*await asyncio.open_connection("127.0.0.1", port))
        plain.send(b"\0")
        shaken = await tls_to(running)
        upgraded = await tls_to(running)
        upgraded.send(UPGRADE)
        with pytest.raises(ConnectionResetError):
            await plain.reader.read()
        plain.close()
        for raw in (silent, shaken):
            assert await raw.reader.read() == b""
            raw.close()
        assert (await upgraded.reader.read()).startswith(b"HTTP/1.1 101 ")
        upgraded.close()
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings={**SETTINGS, "authentication_seconds": 0.3}, clusters=known_clusters())


def test_pieces_begin_with_messages_and_lose_nothing() -> None:
    chance = random.Random(7)
    for chunk in (1, 3, 17, 4096, 100_000, 10_000_000):
        large = 200 if chunk < 100 else 40_000
        messages = [
            bytes((kind,)) + (4 + size).to_bytes(4, "big") + chance.randbytes(size)
            for kind, size in [(chance.choice(b"DDDDDDTZCd"), chance.choice((0, 3, 50, large))) for _ in range(200)]
        ]
        stream = b"".join(messages)
        pieces: list[Piece] = []
        closed, cutter = True, Pieces()
        for at in range(0, len(stream), chunk):
            pieces += cutter.cut(stream[at : at + chunk])
        assert b"".join(piece.data for piece in pieces) == stream
        whole: list[bytes] = []
        for piece in pieces:
            if piece.first:
                assert not whole or closed
                whole.append(b"")
            whole[-1] += piece.data
            closed = piece.last
        at = 0
        for one in whole:
            kinds = set()
            size = 0
            while size < len(one):
                kinds.add(messages[at][:1])
                size += len(messages[at])
                at += 1
            assert size == len(one)  # it begins and ends with messages
            assert size == len(messages[at - 1]) or (kinds in ({b"D"}, {b"d"}) and size <= ROWS_BYTES_MAX)
        assert at == len(messages)
