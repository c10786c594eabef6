"""Targets: what they send, and what each refusal is called."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx
import pytest

from tausql.access.sigv4 import Credentials
from tausql.changefeed.targets import (
    DENIED,
    INTERNAL,
    NOT_FOUND,
    OVERSIZE,
    THROUGHPUT,
    Appended,
    Kinesis,
    NoTarget,
    Posted,
    Refused,
    located,
)

ARN = "arn:aws:kinesis:eu-west-1:000000000000:stream/changes"


def answering(answer) -> tuple[httpx.AsyncClient, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.AsyncClient(transport=httpx.MockTransport(handle)), requests


def kinesis(answer) -> tuple[Kinesis, list[httpx.Request]]:
    client, requests = answering(answer)
    credentials = Credentials("AKIAEXAMPLE", "secret")
    return Kinesis(client, "http://kinesis:4566", ARN, credentials, lambda: 1_700_000_000.0, bytes), requests


def refusal(target, records=(b"{}",)) -> str:
    with pytest.raises(Refused) as told:
        asyncio.run(target.put(records))
    return told.value.code


def test_kinesis_gets_signed_records():
    target, requests = kinesis(httpx.Response(200, json={"FailedRecordCount": 0, "Records": []}))
    asyncio.run(target.put([b'{"a":1}', b'{"b":2}']))
    (request,) = requests
    assert request.headers["x-amz-target"] == "Kinesis_20131202.PutRecords"
    assert "AKIAEXAMPLE/20231114/eu-west-1/kinesis/aws4_request" in request.headers["authorization"]
    body = json.loads(request.content)
    assert body["StreamARN"] == ARN
    assert [base64.b64decode(one["Data"]) for one in body["Records"]] == [b'{"a":1}', b'{"b":2}']
    assert all(one["PartitionKey"] for one in body["Records"])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(400, json={"__type": "ResourceNotFoundException"}), NOT_FOUND),
        (httpx.Response(400, json={"__type": "com.amazon#AccessDeniedException"}), DENIED),
        (httpx.Response(413), OVERSIZE),
        (httpx.Response(500, text="oops"), INTERNAL),
        (httpx.ConnectError("nobody there"), INTERNAL),
        (
            httpx.Response(200, json={"Records": [{}, {"ErrorCode": "ProvisionedThroughputExceededException"}]}),
            THROUGHPUT,
        ),
    ],
)
def test_what_kinesis_refuses(answer, code):
    assert refusal(kinesis(answer)[0], (b"1", b"2")) == code


def test_a_url_gets_ndjson():
    client, requests = answering(httpx.Response(204))
    asyncio.run(located(client, "http://sink/changes", "id").put([b'{"a":1}', b'{"b":2}']))
    assert requests[0].content == b'{"a":1}\n{"b":2}\n'
    assert requests[0].headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize(("status", "code"), [(403, DENIED), (404, NOT_FOUND), (429, THROUGHPUT), (503, INTERNAL)])
def test_what_a_url_refuses(status, code):
    client, _ = answering(httpx.Response(status))
    assert refusal(Posted(client, "http://sink")) == code


def test_a_file_is_appended_to(tmp_path):
    client, _ = answering(httpx.Response(200))
    target = located(client, f"file://{tmp_path}/streams", "abc")
    asyncio.run(target.put([b"1", b"2"]))
    asyncio.run(target.put([b"3"]))
    assert (tmp_path / "streams" / "abc.ndjson").read_bytes() == b"1\n2\n3\n"
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert refusal(Appended(blocked / "x.ndjson")) == INTERNAL


def test_other_urls_and_none_at_all():
    client, _ = answering(httpx.Response(200))
    with pytest.raises(ValueError, match="not to 'ftp://x'"):
        located(client, "ftp://x", "abc")
    assert refusal(NoTarget(ARN)) == NOT_FOUND
