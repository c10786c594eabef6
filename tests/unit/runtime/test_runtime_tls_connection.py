"""TLS on a bare transport, on a real loop: bytes arrive whole and in order, strangers not at all."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
from pathlib import Path

import pytest

from tausql.runtime.issuing import Issued, issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Pair, load_pair
from tausql.runtime.tls_connection import TlsConnection

NOW = datetime.datetime.now(datetime.UTC)


class Echoing:
    """Sends back what comes; `pause` bytes in, it stops reading until told."""

    def __init__(self) -> None:
        self.transport: TlsConnection | None = None
        self.begun = asyncio.Event()
        self.lost = asyncio.Event()
        self.got = 0
        self.pause_at: int | None = None
        self.writing_paused = 0

    def begin(self, transport: TlsConnection, socket: asyncio.Transport) -> None:
        assert not self.begun.is_set()
        self.transport, self.socket = transport, socket
        transport.set_write_buffer_limits(1 << 16)
        self.begun.set()

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.got += len(data)
        self.transport.write(data)
        if self.pause_at is not None and self.got >= self.pause_at:
            self.pause_at = None
            self.transport.pause_reading()

    def eof_received(self) -> None:
        assert self.transport is not None
        self.transport.close()

    def pause_writing(self) -> None:
        self.writing_paused += 1

    def resume_writing(self) -> None:
        pass

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()


def pair_of(folder: Path, signer: Issued) -> Pair:
    folder.mkdir()
    leaf = issue(signer, "member", [], NOW, 10, client=True)
    (folder / "ca.crt").write_bytes(signer.pem())
    (folder / "tls.crt").write_bytes(leaf.pem())
    (folder / "tls.key").write_bytes(leaf.key_pem())
    return load_pair(folder)


async def serve(
    pair: Pair, seconds: float = 5.0, linger_seconds: float = 0.0, reasons: list[str] | None = None
) -> tuple[asyncio.Server, int, list[Echoing]]:
    inners: list[Echoing] = []
    reasons = [] if reasons is None else reasons

    def made() -> TlsConnection:
        inners.append(Echoing())
        return TlsConnection(inners[-1], pair.server, seconds, inners[-1].begin, reasons.append, linger_seconds)

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], inners


@pytest.mark.parametrize("size", [1, 16_384, 3_000_000])
def test_bytes_go_there_and_back(tmp_path: Path, size: int) -> None:
    pair = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))
    sent = bytes(number * 7 % 251 for number in range(size))

    async def body(host: AsyncHost) -> None:
        server, port, inners = await serve(pair)
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=pair.client)
            writer.write(sent)
            assert await reader.readexactly(size) == sent
            writer.close()
            await inners[-1].lost.wait()
        server.close()

    run_on_host(body)


def test_reading_stops_where_it_is_told_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pair = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))

    async def body(host: AsyncHost) -> None:
        server, port, inners = await serve(pair)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=pair.client)
        async with asyncio.timeout(5):
            while not inners:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await inners[0].begun.wait()
        inners[0].pause_at = 1
        for number in range(200):
            writer.write(b"%099d\n" % number)
        first = await reader.readexactly(100)
        paused_at = inners[0].got
        assert paused_at < 20_000
        assert inners[0].transport is not None
        inners[0].transport.resume_reading()
        rest = await reader.readexactly(19_900)
        assert first + rest == b"".join(b"%099d\n" % number for number in range(200))
        inners[0].transport.close()
        assert await reader.read() == b""
        writer.close()
        server.close()

    run_on_host(body)


def test_strangers_get_nowhere(tmp_path: Path) -> None:
    ours = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))
    theirs = pair_of(tmp_path / "theirs", issue_authority("other", NOW, 10))
    nameless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nameless.check_hostname, nameless.verify_mode = False, ssl.CERT_NONE

    async def body(host: AsyncHost) -> None:
        server, port, inners = await serve(ours)
        for context in (theirs.client, nameless, None):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                writer.write(b"Q\0\0\0\4" * 100)
                assert b"Q" not in await reader.read(1000)
                writer.close()
            except OSError:
                continue
        assert not any(inner.begun.is_set() or inner.got for inner in inners)
        server.close()

    run_on_host(body)


def test_a_handshake_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    ours = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))

    async def body(host: AsyncHost) -> None:
        reasons: list[str] = []
        server, port, inners = await serve(ours, seconds=0.01, reasons=reasons)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
        assert not inners[0].begun.is_set()
        assert reasons == ["the handshake takes too long"]
        writer.close()
        server.close()

    run_on_host(body)


class Parting(Echoing):
    """Says goodbye to whatever comes first, and hangs up."""

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"goodbye")
        self.transport.close()
        self.transport.write(b"never")


def test_last_words_reach_a_client_that_goes_on_talking(tmp_path: Path) -> None:
    pair = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))

    async def body(host: AsyncHost) -> None:
        parting = Parting()
        made = TlsConnection(parting, pair.server, 5.0, parting.begin, pytest.fail, 5.0)
        server = await asyncio.get_running_loop().create_server(lambda: made, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=pair.client)
        for _ in range(100):  # what is not read when the socket is closed would take the goodbye back
            writer.write(b"x" * 16_384)
        assert await reader.read() == b"goodbye"
        assert made.is_closing()
        assert not parting.lost.is_set() or made.get_extra_info("ssl_object") is None
        writer.close()
        async with asyncio.timeout(5):
            await parting.lost.wait()
        server.close()

    run_on_host(body)


def test_one_that_does_not_leave_is_closed_when_the_time_is_over(tmp_path: Path) -> None:
    pair = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))

    async def body(host: AsyncHost) -> None:
        server, port, inners = await serve(pair, linger_seconds=0.02)
        with socket.create_connection(("127.0.0.1", port)) as stays:  # sees the end of the stream and does nothing
            context = pair.client
            secured = context.wrap_socket(stays, do_handshake_on_connect=False)
            await asyncio.to_thread(secured.do_handshake)
            async with asyncio.timeout(5):
                await inners[0].begun.wait()
                assert inners[0].transport is not None
                inners[0].transport.close()
                await inners[0].lost.wait()
            secured.close()
        server.close()

    run_on_host(body)


class Asking(asyncio.Protocol):
    """Sends so many bytes once it is connected, and keeps what comes back."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent
        self.got = bytearray()
        self.whole = asyncio.Event()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def begin(self, transport: TlsConnection, socket: asyncio.Transport) -> None:
        self.transport, self.socket = transport, socket
        transport.write(self.sent)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if len(self.got) >= len(self.sent):
            self.whole.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


async def ask(port: int, pair: Pair, sent: bytes, reasons: list[str]) -> Asking:
    asking = Asking(sent)
    connection = TlsConnection(asking, pair.client, 5.0, asking.begin, reasons.append, client=True)
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
    return asking


def test_both_sides_are_ours(tmp_path: Path) -> None:
    pair = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))
    sent = bytes(number * 7 % 251 for number in range(300_000))

    async def body(host: AsyncHost) -> None:
        server, port, inners = await serve(pair)
        reasons: list[str] = []
        async with asyncio.timeout(5):
            first = await ask(port, pair, sent, reasons)
            await first.whole.wait()
            assert first.got == sent
            assert inners[0].transport is not None
            inners[0].transport.close()
            assert await first.lost is None  # a good end

            second = await ask(port, pair, b"x", reasons)
            await second.whole.wait()
            inners[1].socket.write(b"\x17\x03\x03\x00\x05wrong")
            error = await second.lost
            assert isinstance(error, ssl.SSLError)  # no good end
        assert reasons == []
        server.close()

    run_on_host(body)


def test_a_client_is_told_why_it_has_no_connection(tmp_path: Path) -> None:
    ours = pair_of(tmp_path / "ours", issue_authority("fleet", NOW, 10))
    theirs = pair_of(tmp_path / "theirs", issue_authority("other", NOW, 10))

    async def body(host: AsyncHost) -> None:
        server, port, inners = await serve(ours)
        reasons: list[str] = []
        async with asyncio.timeout(5):
            await ask(port, theirs, b"x", reasons)
            while not reasons:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert "certificate verify failed" in reasons[0]
        assert not any(inner.got for inner in inners)
        server.close()

    run_on_host(body)
