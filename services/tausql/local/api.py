"""The API of a local fleet, called as any AWS SDK would: a signed request, JSON both ways.

Nothing here that boto3 could not do; but a newcomer has no boto3, and what `tausql` needs of it is one function.
"""

from __future__ import annotations

import html
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tausql.access.sigv4 import Credentials, signed_headers
from tausql.local.reached import Reached

CALL_SECONDS = 20.0
PAGE = 100
PAGES_MAX = 1_000  # of a list: an answer that never ends must not keep us


class ApiError(Exception):
    """What the API answered instead, or why it did not; the message is for the user."""

    def __init__(self, message: str, status: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.status = status  # 0: no answer at all
        self.kind = kind  # such as ResourceNotFoundException


class Api:
    """Calls to one fleet's control. `url`: without a path."""

    def __init__(self, url: str, credentials: Credentials, region: str, seconds: float = CALL_SECONDS) -> None:
        self._url = url
        self._seconds = seconds
        self._credentials = credentials
        self._region = region

    def call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """The answer of an operation of DSQL's API. `path` as it is before encoding. Raises ApiError."""
        content = b"" if body is None else msgspec.json.encode(body)
        kinds = {} if body is None else {"content-type": "application/json"}
        raw = self._send("dsql", method, urllib.parse.quote(path, safe="/"), query, kinds, content)
        try:
            answer = msgspec.json.decode(raw) if raw else {}
        except msgspec.DecodeError as error:
            raise ApiError(f"the answer is no JSON: {error}") from error
        if not isinstance(answer, dict):
            raise ApiError("the answer is no object")
        return answer

    def form(self, service: str, fields: Mapping[str, str]) -> bytes:
        """The answer of a query-protocol service (IAM, STS) to `fields`: XML. Raises ApiError."""
        kinds = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        return self._send(service, "POST", "/", (), kinds, urllib.parse.urlencode(fields).encode())

    def listed(self) -> Iterator[dict[str, Any]]:
        """Every cluster as lists have them, oldest first. Raises ApiError."""
        query = [("max-results", str(PAGE))]
        for _ in range(PAGES_MAX):
            page = self.call("GET", "/cluster", query)
            yield from page.get("clusters", ())
            if not page.get("nextToken"):
                return
            query = [("max-results", str(PAGE)), ("next-token", page["nextToken"])]

    def _send(
        self,
        service: str,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        content: bytes,
    ) -> bytes:
        import httpx  # a tenth of a second that `tausql env` need not pay

        parameters = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        named = {"host": urllib.parse.urlsplit(self._url).netloc, **headers}
        added = signed_headers(
            self._credentials, method, path, parameters, named.items(), content, service, self._region, time.time()
        )
        target = f"{self._url}{path}{'?' if parameters else ''}{parameters}"
        try:
            # Never through a proxy of the user's: this is the fleet beside us.
            with httpx.Client(timeout=self._seconds, trust_env=False) as client:
                answer = client.request(method, target, headers=named | added, content=content)
        except httpx.HTTPError as error:
            raise ApiError(f"no answer from {self._url}: {error}") from error
        if answer.status_code == 200:
            return answer.content
        raise _refusal(answer.status_code, answer.headers.get("x-amzn-errortype", ""), answer.content)


def _refusal(status: int, kind: str, content: bytes) -> ApiError:
    """What the body of a failed call says, whatever its shape."""
    text = content.decode(errors="replace").strip()
    if text.startswith("<"):  # IAM's kin answer in XML
        return ApiError(f"{_element(text, 'Code')}: {_element(text, 'Message')}", status, _element(text, "Code"))
    try:
        body = msgspec.json.decode(content)
    except msgspec.DecodeError:
        body = None
    if isinstance(body, dict):
        kind = kind or str(body.get("__type", body.get("code", "")))
        text = str(body.get("message", body.get("Message", text)))
    kind = kind.partition(":")[0].rpartition("#")[2]
    return ApiError(f"{kind or f'HTTP {status}'}: {text}", status, kind)


def _element(text: str, name: str) -> str:
    """What the first element of that name holds."""
    found = text.partition(f"<{name}>")[2].partition(f"</{name}>")[0]
    return html.unescape(found)


def api_of(fleet: Reached, seconds: float = CALL_SECONDS) -> Api:
    """With the key by which the fleet is reached. `seconds`: for one answer."""
    return Api(fleet.api, fleet.key, fleet.region, seconds)


def oldest_cluster(fleet: Reached, seconds: float = CALL_SECONDS) -> str:
    """The identifier of the cluster that commands mean where none is named; empty: there are none. Raises ApiError."""
    page = api_of(fleet, seconds).call("GET", "/cluster", [("max-results", "1")])
    found = page.get("clusters") or [{}]
    return str(found[0].get("identifier", ""))
