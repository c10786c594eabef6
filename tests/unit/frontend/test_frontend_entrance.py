"""What strangers send before there is a session, byte by byte."""

from __future__ import annotations

import asyncio
from pathlib import Path
from struct import pack

import pytest
from frontend_running import Raw, Running, until, with_frontend

from tausql.pgwire import client


def test_gss_is_declined_and_tls_accepted_after_it(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        raw.send(client.gss_request())
        assert await raw.reader.readexactly(1) == b"N"
        raw.send(client.ssl_request())
        assert await raw.reader.readexactly(1) == b"S"
        await raw.writer.start_tls(running.tls(), server_hostname="localhost")
        connection = raw.writer.get_extra_info("ssl_object")
        assert connection.selected_alpn_protocol() == "postgresql"
        assert connection.version() == "TLSv1.3"
        raw.send(client.startup("admin", "postgres"))
        assert await raw.next() == client.Authentication(3)
        raw.close()

    with_frontend(tmp_path, body)


def test_tls_without_alpn_is_accepted_after_a_request_but_not_directly(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        raw.send(client.ssl_request())
        assert await raw.reader.readexactly(1) == b"S"
        await raw.writer.start_tls(running.tls(alpn=False), server_hostname="localhost")
        raw.send(client.startup("admin", "postgres"))
        assert await raw.next() == client.Authentication(3)
        raw.close()
        direct = await Raw.direct(running, alpn=False)
        assert await direct.refusal() == (
            "FATAL",
            "08P01",
            "received direct SSL connection request without ALPN protocol negotiation extension",
        )

    with_frontend(tmp_path, body)


def test_request_split_into_single_bytes_is_understood(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        for byte in client.ssl_request():
            raw.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert await raw.reader.readexactly(1) == b"S"
        raw.close()

    with_frontend(tmp_path, body)


def test_plaintext_behind_the_tls_request_is_never_read_as_encrypted(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        raw.send(client.ssl_request() + client.startup("admin", "postgres"))
        assert await raw.reader.readexactly(1) == b"S"
        rest = await raw.reader.read()
        assert b"R\0\0\0\x08" not in rest
        assert running.service.metrics.tls_failures == 1
        raw.close()

    with_frontend(tmp_path, body)


@pytest.mark.parametrize(
    ("sent", "sqlstate", "message"),
    [
        (client.startup("admin", "postgres"), "08006", "unable to accept connection, access denied"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "08P01", "invalid length of startup packet"),
        (pack(">II", 10_001, 3 << 16), "08P01", "invalid length of startup packet"),
        (
            pack(">II", 9, 2 << 16) + b"\0",
            "0A000",
            "unsupported frontend protocol 2.0: server supports 3.0 to 3.0",
        ),
        (
            pack(">II", 14, 3 << 16) + b"user\0x",
            "08P01",
            "invalid startup packet layout: expected terminator as last byte",
        ),
    ],
)
def test_refusal_in_plaintext_says_why(tmp_path: Path, sent: bytes, sqlstate: str, message: str) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        raw.send(sent)
        assert await raw.refusal() == ("FATAL", sqlstate, message)
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (client.query("select 1"), f"expected password response, got message type {ord('Q')}"),
        (pack(">BI", ord("p"), 1 << 20), "invalid message length"),
    ],
)
def test_anything_but_a_password_is_refused(tmp_path: Path, sent: bytes, message: str) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.direct(running)
        raw.send(client.startup("admin", "postgres"))
        assert await raw.next() == client.Authentication(3)
        raw.send(sent)
        assert await raw.refusal() == ("FATAL", "08P01", message)
        assert running.service.metrics.protocol_violations == 1

    with_frontend(tmp_path, body)


def test_silent_stranger_is_dropped_in_every_stage(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        silent = await Raw.plain(running)
        cut = await Raw.plain(running)
        cut.send(client.ssl_request()[:5])
        handshake = await Raw.plain(running)
        handshake.send(client.ssl_request())
        asked = await Raw.direct(running)
        asked.send(client.startup("admin", "postgres"))
        assert await asked.next() == client.Authentication(3)
        assert await asked.refusal() == ("FATAL", "57014", "canceling authentication due to timeout")
        assert await silent.reader.read() == b""
        assert await cut.reader.read() == b""
        assert await handshake.reader.read() == b"S"
        for raw in (silent, cut, handshake):
            raw.close()
        await until(lambda: running.service.metrics.startups == 0)
        assert running.service.metrics.timeouts == 3

    with_frontend(tmp_path, body, settings={"authentication_seconds": 0.2})


def test_what_comes_with_the_password_is_the_sessions_first_bytes(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.direct(running)
        raw.send(client.startup("admin", "postgres"))
        await raw.until(client.Authentication)
        raw.send(client.password(running.password) + client.query("select 1"))
        assert await raw.until(client.DataRow) == client.DataRow((b"1",))
        raw.close()

    with_frontend(tmp_path, body)
    with_frontend(tmp_path, body, remote=1)


def test_cancel_in_plaintext_and_with_a_wrong_secret(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        session = await Raw.direct(running)
        session.send(client.startup("admin", "postgres"))
        await session.until(client.Authentication)
        session.send(client.password(running.password))
        key = await session.until(client.BackendKeyData)
        session.send(client.query("sleep"))
        await until(lambda: any(each.sleeping for each in running.processor.sessions.values()))
        for secret in (key.secret ^ 1, key.secret):
            raw = await Raw.plain(running)
            raw.send(client.cancel_request(key.process_id, secret))
            assert await raw.reader.read() == b""
            raw.close()
        error = await session.until(client.ErrorResponse)
        assert error.fields["C"] == "57014"
        session.close()
        assert running.service.metrics.cancels == 2

    with_frontend(tmp_path, body)
    with_frontend(tmp_path, body, remote=2)


def test_connections_above_the_limit_are_told_so(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        first = await Raw.session(running)
        second = await Raw.direct(running)
        second.send(client.startup("admin", "postgres"))
        await second.until(client.Authentication)
        second.send(client.password(running.password))
        assert await second.refusal() == (
            "FATAL",
            "53300",
            "Unable to accept connection, too many open connections.",
        )
        first.close()
        await until(lambda: running.service.metrics.clients == 0)
        (await Raw.session(running)).close()

    with_frontend(tmp_path, body, settings={"connections_max": 1})
