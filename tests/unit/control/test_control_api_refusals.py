"""What nobody signed, what is malformed, what is too much: DSQL's errors, and nothing falls over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.control.control_api_running import KEY_ID, SECRET, Running, api_of, tenancy_of

from tausql.access.sigv4 import Credentials, signed_headers
from tausql.control.api.app import create_api
from tausql.control.api.buckets import Buckets
from tausql.control.api.guard import BODY_BYTES_MAX
from tausql.control.api.server import ApiServer
from tausql.control.identities.web_identity import WebIdentities
from tausql.control.system.store import MemoryStore
from tausql.runtime.http_impatient import HEAD_BYTES_MAX
from tausql.runtime.loop import AsyncHost, run_on_host

GOOD = Credentials(KEY_ID, SECRET)


async def send(
    client: httpx.AsyncClient,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    credentials: Credentials = GOOD,
    region: str = "us-east-1",
    service: str = "dsql",
    now: float | None = None,
    headers: dict[str, str] | None = None,
    sent: bytes | None = None,
) -> httpx.Response:
    """Signed as said; `sent`: another body than was signed."""
    path, _, query = target.partition("?")
    all_headers = {"host": "control", "content-type": "application/json", **(headers or {})}
    now = time.time() if now is None else now
    added = signed_headers(credentials, method, path, query, all_headers.items(), body, service, region, now)
    content = body if sent is None else sent
    return await client.request(method, target, content=content, headers={**all_headers, **added})


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["x-amzn-requestid"]
    assert "message" in answer.json()
    return answer.status_code, answer.headers["x-amzn-errortype"]


def client_of(running: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{running.address}", timeout=20)


def test_only_a_good_signature_gets_in(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, client_of(running) as client:
            assert (await send(client, "GET", "/cluster")).status_code == 200
            missing = await client.get("/cluster")
            assert told(missing) == (403, "MissingAuthenticationTokenException")
            wrong: list[tuple[dict[str, Any], tuple[int, str]]] = [
                ({"credentials": Credentials(KEY_ID, "x" * 40)}, (403, "InvalidSignatureException")),
                ({"credentials": Credentials("AKIA" + "B" * 16, SECRET)}, (403, "UnrecognizedClientException")),
                ({"credentials": Credentials(KEY_ID, SECRET, "token")}, (403, "UnrecognizedClientException")),
                ({"region": "eu-west-1"}, (403, "InvalidSignatureException")),
                ({"service": "s3"}, (403, "InvalidSignatureException")),
                ({"now": time.time() - 3_600}, (403, "InvalidSignatureException")),
                ({"body": b"{}", "sent": b'{"deletionProtectionEnabled": false}'}, (403, "InvalidSignatureException")),
            ]
            for options, expected in wrong:
                method = "POST" if "body" in options else "GET"
                assert told(await send(client, method, "/cluster", **options)) == expected, options
            assert (await client.get("/ping")).json() == {"healthy": True}

    run_on_host(body)


def test_what_is_malformed_is_told_by_field(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, client_of(running) as client:
            cases: list[tuple[str, str, bytes, str, str]] = [
                ("POST", "/cluster", b"{", "cannotParse", ""),
                ("POST", "/cluster", b"[" * 100_000, "cannotParse", ""),
                ("POST", "/cluster", b"[]", "fieldValidationFailed", "body"),
                ("POST", "/cluster", b'{"deletionProtectionEnabled": "no"}', "fieldValidationFailed", "deletionProt"),
                ("POST", "/cluster", b'{"tags": {"a": 1}}', "fieldValidationFailed", "tags.a"),
                ("POST", "/cluster", b'{"tags": {"aws:a": "1"}}', "fieldValidationFailed", "tags"),
                ("POST", "/cluster", b'{"clientToken": ""}', "fieldValidationFailed", "clientToken"),
                ("POST", "/cluster", b'{"kmsEncryptionKey": "alias/x"}', "fieldValidationFailed", "kmsEncryptionKey"),
                ("POST", "/cluster", b'{"metricGroups": [{"metricGroup": "X"}]}', "fieldValidationFailed", "metricG"),
                ("GET", "/cluster?max-results=0", b"", "fieldValidationFailed", "max-results"),
                ("GET", "/cluster?max-results=x", b"", "fieldValidationFailed", "max-results"),
                ("GET", "/cluster/UPPER", b"", "fieldValidationFailed", "identifier"),
                ("GET", "/tags/arn%3Aaws%3As3%3A%3A%3Abucket", b"", "fieldValidationFailed", "resourceArn"),
                ("GET", "/clusters", b"", "unknownOperation", ""),
                ("PATCH", "/cluster", b"", "unknownOperation", ""),
                ("GET", "/" + "a" * 9_000, b"", "cannotParse", ""),
            ]
            for method, target, sent, reason, field in cases:
                answer = await send(client, method, target, sent)
                assert told(answer) == (400, "ValidationException"), (target, answer.text)
                assert answer.json()["reason"] == reason, (target, sent[:50], answer.text)
                names = [one["name"] for one in answer.json().get("fieldList", [])]
                assert any(name.startswith(field) for name in names) or not field, answer.text
            large = await send(client, "POST", "/cluster", b'{"x": "' + b"a" * BODY_BYTES_MAX + b'"}')
            assert told(large) == (413, "RequestEntityTooLargeException")
            fat = await send(client, "GET", "/cluster", headers={"x-fat": "a" * 20_000})
            assert told(fat) == (400, "ValidationException")
            assert (await send(client, "GET", "/cluster")).status_code == 200

    run_on_host(body)


def test_other_protocols_are_refused_in_their_own_words(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, client_of(running) as client:
            form = {"content-type": "application/x-www-form-urlencoded"}
            for sent, code in (
                (b"Action=Nothing", "InvalidAction"),
                (b"", "ValidationError"),
                (b"Action=GetUser&Action=GetUser", "ValidationError"),
                (b"Action=CreateUser&UserName=%ff", "ValidationError"),
                (b"Action=GetUser&UserName=%3Cb%3E%00", "NoSuchEntity"),
            ):
                answer = await send(client, "POST", "/", sent, service="iam", headers=form)
                assert f"<Code>{code}</Code>" in answer.text, (sent, answer.text)
                assert "\x00" not in answer.text
            trail = await send(client, "POST", "/", b"{}", service="cloudtrail")
            assert trail.json()["__type"] == "UnknownOperationException"

    run_on_host(body)


def test_who_asks_too_often_is_throttled_and_others_are_not(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        tenancy = tenancy_of(host, tmp_path)
        api = create_api(tenancy, WebIdentities(None, None, tenancy.now), 0.001, 3.0)
        tenancy.start()
        transport = httpx.ASGITransport(app=api)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
                answers = [await send(client, "GET", "/cluster") for _ in range(5)]
                assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
                assert told(answers[-1]) == (429, "ThrottlingException")
                assert answers[-1].headers["retry-after"] == "1"
                unknown = Credentials("AKIA" + "B" * 16, "x" * 40)
                for _ in range(300):
                    bad = await send(client, "GET", "/cluster", credentials=unknown)
                    if bad.status_code == 429:
                        break
                assert told(bad) == (429, "ThrottlingException")
                wrong = await send(client, "GET", "/cluster", credentials=Credentials(KEY_ID, "x" * 40))
                assert told(wrong) == (403, "InvalidSignatureException")
        finally:
            await tenancy.stop()

    run_on_host(body)


def test_a_bucket_fills_up_evenly_and_the_quietest_is_forgotten():
    now = [0.0]
    buckets = Buckets(2.0, 3.0, lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [True, False]
    assert buckets.take("b")


def test_heads_of_requests_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tausql.runtime.http_impatient.HEAD_SECONDS", 0.2)

    async def body(host: AsyncHost) -> None:
        async with api_of(host, tmp_path) as running, client_of(running) as client:
            name, _, port = running.address.rpartition(":")
            slow, slow_out = await asyncio.open_connection(name, int(port))
            fat, fat_out = await asyncio.open_connection(name, int(port))
            slow_out.write(b"GET /ping HTTP/1.1\r\n")
            fat_out.write(b"GET /ping HTTP/1.1\r\nx: " + b"a" * (2 * HEAD_BYTES_MAX))
            async with asyncio.timeout(10):
                assert await slow.read() == b""
                with contextlib.suppress(ConnectionResetError):
                    assert b"200" not in await fat.read()
            for out in (slow_out, fat_out):
                out.close()
            assert (await client.get("/ping")).status_code == 200

    run_on_host(body)


def test_errors_while_the_system_cluster_is_away_can_be_tried_again(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        store = MemoryStore()
        async with api_of(host, tmp_path, store) as running, client_of(running) as client:
            assert (await send(client, "GET", "/cluster")).status_code == 200
            store.away = True
            assert (await send(client, "GET", "/cluster")).status_code == 200
            answer = await send(client, "POST", "/cluster", b"{}")
            assert told(answer) == (500, "InternalServerException")
            assert answer.headers["retry-after"] == "1"
            store.away = False
            made = await send(client, "POST", "/cluster", b"{}")
            assert json.loads(made.content)["status"] == "CREATING"

    run_on_host(body)


def test_two_controls_answer_as_one(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        store = MemoryStore()
        async with (
            api_of(host, tmp_path, store, alone=False) as one,
            api_of(host, tmp_path, store, alone=False) as other,
            client_of(one) as first,
            client_of(other) as second,
        ):
            made = (await send(first, "POST", "/cluster", b'{"clientToken": "t"}')).json()
            again = (await send(second, "POST", "/cluster", b'{"clientToken": "t"}')).json()
            assert again["identifier"] == made["identifier"]
            assert (await send(second, "GET", f"/cluster/{made['identifier']}")).status_code == 200
            form = {"content-type": "application/x-www-form-urlencoded"}
            key = await send(first, "POST", "/", b"Action=CreateAccessKey", service="iam", headers=form)
            identifier = key.text.partition("<AccessKeyId>")[2].partition("<")[0]
            secret = key.text.partition("<SecretAccessKey>")[2].partition("<")[0]
            answer = await send(second, "GET", "/cluster", credentials=Credentials(identifier, secret))
            assert answer.status_code == 200

    run_on_host(body)


def test_a_port_that_is_taken_is_an_error_at_the_start(tmp_path: Path):
    async def body(host: AsyncHost) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            tenancy = tenancy_of(host, tmp_path)
            api = create_api(tenancy, WebIdentities(None, None, tenancy.now), 1.0, 1.0)
            server = ApiServer(host, api, f"127.0.0.1:{taken.getsockname()[1]}", "")
            with pytest.raises(OSError, match="in use"):
                await server.start()

    run_on_host(body)
