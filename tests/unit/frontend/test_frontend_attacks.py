"""What a stranger might try besides guessing: vouching for himself, clearing his name, taking all the room."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import httpx
import pytest
from frontend_known import FIRST, KEY, TOKENS, cluster, key, known_clusters, token
from frontend_running import Raw, Running, until, with_frontend
from frontend_tokens import refused, welcome

from tausql.frontend import http_door
from tausql.frontend.app import create_app
from tausql.frontend.lobby import SUSPECT_FAILURES
from tausql.pgwire import client
from tausql.protocol.clusters import ClusterRecord
from tausql.runtime.http import HttpServer

HOST = FIRST.hosts[0]
ELSEWHERE = (
    '{"Statement":{"Effect":"Allow","Action":"dsql:*","Resource":"*",'
    '"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}}'
)
SECURE = (
    '{"Statement":{"Effect":"Allow","Action":"dsql:*","Resource":"*",'
    '"Condition":{"Bool":{"aws:SecureTransport":"true"}}}}'
)


async def cancelled(running: Running) -> None:
    raw = await Raw.plain(running)
    raw.send(client.cancel_request(1, 2))
    assert await raw.next() is None
    raw.close()
    await until(lambda: running.service.metrics.startups == 0)


@pytest.mark.parametrize("policy", [ELSEWHERE, SECURE])
def test_nobody_vouches_for_himself_over_http(tmp_path: Path, policy: str) -> None:
    """A proxy's headers are worth nothing from somebody who might not be a proxy."""
    limited = key("AKIALIMITED", (policy,))
    forged = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https", "forwarded": "for=192.0.2.1;proto=https"}

    async def body(running: Running) -> None:
        server = HttpServer(create_app(running.service), "127.0.0.1:0")
        await server.start()
        try:
            async with httpx.AsyncClient(base_url=f"http://{server.address}") as http:
                for headers in ({}, forged):
                    answer = await http.post(
                        "/v1/sql", json={"sql": "select 1"}, auth=("admin", token(by=limited)), headers=headers
                    )
                    assert answer.status_code == 401, answer.text
                answer = await http.post("/v1/sql", json={"sql": "select 1"}, auth=("admin", token()), headers=forged)
                assert answer.status_code == 200
        finally:
            await server.stop()

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters(keys=(KEY, limited)))


def test_a_cancel_request_clears_nobodys_name(tmp_path: Path) -> None:
    """Anybody may send one: it proves nothing, and is no failure either."""

    async def body(running: Running) -> None:
        suspects = running.service._lobby._suspects
        await cancelled(running)
        assert not suspects._failures
        for _ in range(SUSPECT_FAILURES):
            suspects.note("127.0.0.1", good=False)
        await cancelled(running)
        assert suspects.suspect("127.0.0.1")
        (await welcome(running, HOST, token())).close()
        await until(lambda: not suspects.suspect("127.0.0.1") and running.service.metrics.clients == 0)

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


def test_connections_of_http_are_only_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is known to speak HTTP is no stranger any more, and has proven nothing."""
    monkeypatch.setattr(http_door, "CONNECTIONS_MAX", 3)

    async def body(running: Running) -> None:
        address = running.service.websocket_address
        assert address is not None
        trust = ssl.create_default_context(cafile=str(running.ca))
        opened = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(address.rpartition(":")[2]), ssl=trust, server_hostname=HOST
            )
            writer.write(b"POST /v1/sql HTTP/1.1\r\n")
            opened.append((reader, writer))
        assert await asyncio.wait_for(opened[3][0].read(), 5) == b""
        http = running.service._house.http
        assert http is not None
        assert len(http) == 3
        (await welcome(running, HOST, token())).close()
        for _, writer in opened:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        await until(lambda: len(http) == 0 and running.service.metrics.clients == 0)

    settings = {**TOKENS, "websocket_listen": "127.0.0.1:0"}
    with_frontend(tmp_path, body, settings=settings, clusters=known_clusters())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amzn-cluster-id", "b" * 26),
        ("AMZN-CLUSTER-ID", "b" * 26),
        ("options", f"-c amzn-cluster-id={'b' * 26}"),
        ("options", f"-c amzn-cluster-id={'a' * 26} -c amzn-cluster-id={'b' * 26}"),
        ("options", f"-camzn-cluster\\-id={'b' * 26}"),
        ("options", f"-c amzn-cluster-id={'a' * 25}\\"),
        ("options", f"-c amzn-cluster-id={FIRST.arn}"),
        ("options", "-c amzn-cluster-id=0"),
    ],
)
def test_no_name_beside_sni_leads_elsewhere(tmp_path: Path, name: str, value: str) -> None:
    second: ClusterRecord = cluster("b", 7)

    async def body(running: Running) -> None:
        found = await refused(running, HOST, token(), parameters={name: value})
        assert found[:2] == ("08006", "unable to accept connection, access denied")

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters((FIRST, second)))
