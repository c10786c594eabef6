"""The session port's TLS on a real loop: bytes arrive whole and in order, strangers not at all."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from pathlib import Path

import pytest

from tausql.processor.secured import TlsConnection
from tausql.runtime.issuing import Issued, issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Pair, load_pair

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


async def serve(pair: Pair, seconds: float = 5.0) -> tuple[asyncio.Server, int, list[Echoing]]:
    inners: list[Echoing] = []

    def made() -> TlsConnection:
        inners.append(Echoing())
        return TlsConnection(inners[-1], pair.server, seconds)

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
        server, port, inners = await serve(ours, seconds=0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
        assert not inners[0].begun.is_set()
        writer.close()
        server.close()

    run_on_host(body)
