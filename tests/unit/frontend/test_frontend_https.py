"""SQL over HTTP on WebSocket's port, under TLS, beside WebSocket."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from frontend_known import FIRST, KEY, REGION, SECOND, TOKENS, key, known_clusters, token
from frontend_running import Running, until, with_frontend

from tausql.frontend.lobby import SUSPECT_FAILURES
from tausql.runtime import http_impatient

SETTINGS = {**TOKENS, "websocket_listen": "127.0.0.1:0"}
SECURE_ONLY = json.dumps(
    {
        "Statement": {
            "Effect": "Allow",
            "Action": "dsql:*",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        }
    }
)


def port(running: Running) -> int:
    address = running.service.websocket_address
    assert address is not None
    return int(address.rpartition(":")[2])


def context(running: Running) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(running.ca))


async def raw(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        "127.0.0.1", port(running), ssl=context(running), server_hostname=FIRST.hosts[0]
    )


def client(running: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"https://localhost:{port(running)}", verify=context(running))


def test_statements_under_tls(tmp_path: Path) -> None:
    secure = key("AKIASECURE", (SECURE_ONLY,))

    async def body(running: Running) -> None:
        async with client(running) as http:
            for record in (FIRST, SECOND):
                for auth in (("admin", token(record)), ("admin", token(record, secure))):
                    answer = await http.post("/v1/sql", json={"sql": "select 1"}, auth=auth)
                    assert (answer.status_code, answer.json()["rows"]) == (200, [[1]]), answer.text
            assert (await http.post("/v1/sql", json={"sql": "select 1"})).status_code == 401
            assert (await http.post("/status")).status_code == 404
            assert (await http.get("/metrics")).status_code == 404
            assert len(running.service._house.http) == 1
        assert [start.cluster for start in running.processor.starts] == [1, 1, 7, 7]
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters(keys=(KEY, secure)))


def test_boto3_takes_the_endpoint_as_it_is(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        def work() -> dict[str, Any]:
            rds = boto3.client(
                "rds-data",
                endpoint_url=f"https://localhost:{port(running)}",
                verify=str(running.ca),
                region_name=REGION,
                aws_access_key_id=KEY.access_key_id,
                aws_secret_access_key=KEY.secret,
                config=Config(retries={"total_max_attempts": 1}),
            )
            return rds.execute_statement(resourceArn=SECOND.arn, secretArn="arn:aws:none", sql="select 1")

        answer = await asyncio.to_thread(work)
        assert answer["records"] == [[{"longValue": 1}]]

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


def test_who_does_not_finish_a_head_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_impatient, "HEAD_SECONDS", 0.1)

    async def body(running: Running) -> None:
        for said in (b"P", b"POST /v1/sql HTTP/1.1\r\nhost: x\r\n", b"POST /v1/sql HTTP/1.1\r\nx: " + b"y" * 70_000):
            reader, writer = await raw(running)
            writer.write(said)
            async with asyncio.timeout(5):
                await reader.read()
            writer.close()
        await until(lambda: len(running.service._house.http) == 0)

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


def test_draining_finishes_what_is_asked_and_lets_go(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        async with client(running) as http, client(running) as other:
            auth = ("admin", token())
            assert (await other.post("/v1/sql", json={"sql": "select 1"}, auth=auth)).status_code == 200
            asleep = asyncio.ensure_future(http.post("/v1/sql", json={"sql": "sleep"}, auth=auth))
            await until(lambda: any(session.sleeping for session in running.processor.sessions.values()))
            await running.service.drain()
            await until(lambda: len(running.service._house.http) == 1)
            for session in running.processor.sessions.values():
                session.cancel()
            answer = await asleep
            assert answer.json()["error"]["sqlstate"] == "57014"
            await until(lambda: len(running.service._house.http) == 0)
            with pytest.raises(httpx.ConnectError):
                await other.post("/v1/sql", json={"sql": "select 1"}, auth=auth)

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


def test_garbage_is_answered_and_forgotten(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        for said in (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\r\n\r\n", b"POST\r\n\r\n", b"X" * 100):
            reader, writer = await raw(running)
            writer.write(said)
            writer.write_eof() if writer.can_write_eof() else writer.close()
            async with asyncio.timeout(15):
                await reader.read()
            writer.close()
        await until(lambda: len(running.service._house.http) == 0)
        async with client(running) as http:
            answer = await http.post("/v1/sql", json={"sql": "select 1"}, auth=("admin", token()))
            assert answer.status_code == 200

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


def test_http_makes_no_address_suspect_and_clears_none(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        suspects = running.service._lobby._suspects
        for _ in range(3):
            async with client(running) as http:
                await http.post("/v1/sql", json={"sql": "select 1"}, auth=("admin", token()))
        assert not suspects._failures
        for _ in range(SUSPECT_FAILURES):
            suspects.note("127.0.0.1", good=False)
        async with client(running) as http:
            await http.post("/v1/sql", json={"sql": "select 1"}, auth=("admin", token()))
        assert suspects.suspect("127.0.0.1")

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())


def test_a_large_answer_and_a_large_request_go_through(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        async with client(running) as http:
            auth = ("admin", token())
            answer = await http.post("/v1/sql", json={"sql": "rows 200"}, auth=auth)
            assert len(answer.json()["rows"]) == 3200
            answer = await http.post("/v1/sql", json={"sql": "select $1", "params": ["é" * 1_000_000]}, auth=auth)
            assert answer.json()["rows"] == [["é" * 1_000_000]]
            answer = await http.post("/v1/sql", json={"sql": "x" * 11_000_000}, auth=auth)
            assert answer.status_code == 413

    with_frontend(tmp_path, body, settings=SETTINGS, clusters=known_clusters())
