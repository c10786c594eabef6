"""Where records go: Kinesis (or what speaks its API), a URL that takes NDJSON, a file.

A target takes a batch whole or says why not; `Refused` names the reason as the API of change streams does, so that the
owner of a stream reads it in its status.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from tausql.access.sigv4 import Credentials, signed_headers

OVERSIZE: Final = "KINESIS_OVERSIZE_RECORD"
DENIED: Final = "KINESIS_ACCESS_DENIED"
NOT_FOUND: Final = "KINESIS_STREAM_NOT_FOUND"
THROUGHPUT: Final = "KINESIS_THROUGHPUT_EXCEEDED"
INTERNAL: Final = "INTERNAL_ERROR"

_CODES: Final = {
    "ResourceNotFoundException": NOT_FOUND,
    "AccessDeniedException": DENIED,
    "UnrecognizedClientException": DENIED,
    "InvalidSignatureException": DENIED,
    "IncompleteSignatureException": DENIED,
    "ProvisionedThroughputExceededException": THROUGHPUT,
    "LimitExceededException": THROUGHPUT,
    "KMSAccessDeniedException": "KINESIS_KMS_ACCESS_DENIED",
}


class Refused(Exception):
    """The batch has not been taken, or not all of it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Target(Protocol):
    async def put(self, records: Sequence[bytes]) -> None:
        """Deliver a batch. Raises Refused; some of it may have arrived even so."""
        ...


class NoTarget:
    """Nobody has said where records of this ARN go."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    async def put(self, records: Sequence[bytes]) -> None:
        raise Refused(NOT_FOUND, f"there is neither an endpoint of Kinesis nor a target for {self._arn}")


class Kinesis:
    """PutRecords of the Kinesis API, version 2013-12-02. `random_bytes` makes partition keys: spread, as there is no
    order to keep."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        endpoint: str,
        arn: str,
        credentials: Credentials,
        now: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._client = client
        self._url = endpoint.rstrip("/") + "/"
        self._arn = arn
        self._region = arn.split(":")[3]
        self._credentials = credentials
        self._now = now
        self._random_bytes = random_bytes

    async def put(self, records: Sequence[bytes]) -> None:
        left = list(records)
        answer = await self._request(
            "PutRecords",
            {
                "StreamARN": self._arn,
                "Records": [
                    {"Data": b64encode(record).decode(), "PartitionKey": self._random_bytes(16).hex()}
                    for record in left
                ],
            },
        )
        failed = [one for one in answer.get("Records", ()) if one.get("ErrorCode")]
        if failed:
            first = failed[0]
            code = _CODES.get(first["ErrorCode"], INTERNAL)
            raise Refused(
                code, f"{len(failed)} of {len(left)} records: {first.get('ErrorMessage', first['ErrorCode'])}"
            )

    async def _request(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        content = msgspec.json.encode(body)
        headers = {
            "host": urlsplit(self._url).netloc,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"Kinesis_20131202.{operation}",
        }
        headers |= signed_headers(
            self._credentials, "POST", "/", "", headers.items(), content, "kinesis", self._region, self._now()
        )
        response = await _post(self._client, self._url, content, headers)
        if response.status_code == httpx.codes.OK:
            told: dict[str, Any] = _decoded(response)
            return told
        kind = str(_decoded(response).get("__type", "")).rpartition("#")[2]
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise Refused(OVERSIZE, "the request is larger than Kinesis takes")
        raise Refused(_CODES.get(kind, INTERNAL), f"{response.status_code} {kind}: {response.text[:500]}")


class Posted:
    """An HTTP server that takes NDJSON; any 2xx means that it has it."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def put(self, records: Sequence[bytes]) -> None:
        body = b"\n".join(records) + b"\n"
        response = await _post(self._client, self._url, body, {"content-type": "application/x-ndjson"})
        if response.status_code in (401, 403):
            raise Refused(DENIED, f"{response.status_code} from {self._url}")
        if response.status_code == 404:
            raise Refused(NOT_FOUND, f"404 from {self._url}")
        if response.status_code == 429:
            raise Refused(THROUGHPUT, f"429 from {self._url}")
        if not response.is_success:
            raise Refused(INTERNAL, f"{response.status_code} from {self._url}: {response.text[:500]}")


class Appended:
    """A file of NDJSON; on its disk when `put` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, records: Sequence[bytes]) -> None:
        try:
            await asyncio.to_thread(self._append, b"\n".join(records) + b"\n")
        except OSError as error:
            raise Refused(INTERNAL, f"{self._path}: {error.strerror}") from error

    def _append(self, body: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("ab") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())


def located(client: httpx.AsyncClient, url: str, identifier: str) -> Target:
    """The target a URL means: `http(s)://...`, or `file:///folder`. Raises ValueError for another."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return Posted(client, url)
    if parts.scheme == "file" and parts.path:
        return Appended(Path(unquote(parts.path)) / f"{identifier}.ndjson")
    raise ValueError(f"records can go to http:, https: and file: URLs, not to {url!r}")


async def _post(client: httpx.AsyncClient, url: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    try:
        return await client.post(url, content=content, headers=headers)
    except httpx.HTTPError as error:
        raise Refused(INTERNAL, f"{url}: {error or type(error).__name__}") from error


def _decoded(response: httpx.Response) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return {}
    return told if isinstance(told, dict) else {}
