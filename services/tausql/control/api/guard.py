"""What every request passes before anybody looks at what it wants: limits, then its signature, then its rate.

As ASGI middleware below the framework, because the signature covers the body as it came: after parsing it would be too
late, and bodies that nobody signed are never parsed at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from tausql.access.decisions import Policies
from tausql.access.signatures import SignatureRefused, Signatures, SignedRequest
from tausql.control.api.buckets import Buckets
from tausql.control.api.exchange import Exchange
from tausql.control.api.formats import error_for
from tausql.control.events.shape import of_call
from tausql.control.faults import Fault, invalid, throttled
from tausql.control.system.store import Unavailable
from tausql.control.tenancy import Tenancy
from tausql.runtime import logs

BODY_BYTES_MAX = 256 * 1024
HEADER_BYTES_MAX = 16 * 1024
TARGET_BYTES_MAX = 8 * 1024
BODY_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.5
OPEN_PATHS = ("/ping", "/openapi.json")
QUERIED = ("iam", "sts", "cloudtrail")  # services that are asked at `POST /`
GLOBAL_REGION = "us-east-1"  # what SDKs sign for where a service has no regions
UNSIGNED_ACTIONS = ("AssumeRoleWithWebIdentity",)
FAILURES_A_SECOND, FAILURES_AT_ONCE = 20.0, 200.0  # bad signatures for one key from one address

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logs.get("control")


class Guard:
    """An ASGI app around another. rate, burst: requests of one principal."""

    def __init__(self, app: App, tenancy: Tenancy, rate: float, burst: float) -> None:
        self._app = app
        self._tenancy = tenancy
        self._policies = Policies()
        self._signatures = Signatures(lambda access_key_id: tenancy.keyring.records.get(access_key_id))
        monotonic = tenancy.host.monotonic
        self._requests = Buckets(rate, burst, monotonic)
        self._failures = Buckets(FAILURES_A_SECOND, FAILURES_AT_ONCE, monotonic)
        self._looked_at = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = self._exchange(scope)
        begun = self._tenancy.host.monotonic()
        if scope["path"] in OPEN_PATHS:
            scope.setdefault("state", {})["exchange"] = exchange
            await self._app(scope, receive, send)
            return
        send = _with_request_id(send, exchange)
        try:
            exchange.body = await _body(scope, receive)
            await self._admit(scope, exchange)
        except Fault as fault:
            exchange.fault = fault
            await error_for(exchange, fault)(scope, receive, send)
            self._log(exchange, begun)
            return
        except ConnectionResetError:
            return
        scope.setdefault("state", {})["exchange"] = exchange
        try:
            await self._app(scope, _again(exchange.body, receive), send)
        finally:
            self._log(exchange, begun)

    def _exchange(self, scope: Scope) -> Exchange:
        client = scope.get("client") or ("", 0)
        headers = {name: value for name, value in scope["headers"] if name in (b"user-agent",)}
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        exchange = Exchange(self._tenancy, self._policies, str(uuid.uuid4()), str(client[0]), agent)
        exchange.secure = scope.get("scheme") == "https"
        return exchange

    async def _admit(self, scope: Scope, exchange: Exchange) -> None:
        who = self._claimed(scope, exchange)
        if self._failures.empty(who):
            raise throttled()
        if _unsigned(scope, exchange.body):
            exchange.service = "sts"
            if not self._requests.take("unsigned " + exchange.client):
                raise throttled()
            return
        try:
            await self._verify(scope, exchange)
        except SignatureRefused as refusal:
            self._failures.take(who)
            raise Fault(refusal.code, refusal.status, refusal.message) from refusal
        if not self._requests.take(exchange.key.principal):
            raise throttled()

    def _claimed(self, scope: Scope, exchange: Exchange) -> str:
        """Whose bad signatures count against whom: many clients may share an address, so those that name a key that
        exists are counted for it, and all others together."""
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        name = header.partition(b"Credential=")[2].partition(b"/")[0].decode("latin-1")
        return f"{exchange.client} {name if name in self._tenancy.keyring.records else ''}"

    async def _verify(self, scope: Scope, exchange: Exchange) -> None:
        tenancy = self._tenancy
        request = SignedRequest(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
            hashlib.sha256(exchange.body).hexdigest(),
        )
        regions = tenancy.settings.regions
        if scope["path"] == "/" and scope["method"] == "POST":
            scopes = {(service, region) for service in QUERIED for region in (*regions, GLOBAL_REGION)}
        else:
            scopes = {("dsql", region) for region in regions}
        try:
            signed = self._signatures.of_headers(request, scopes, tenancy.now())
        except SignatureRefused as refusal:
            if refusal.code != "UnrecognizedClientException" or not await self._look():
                raise
            signed = self._signatures.of_headers(request, scopes, tenancy.now())
        exchange.key = signed.key
        exchange.region = signed.scope.region
        exchange.service = signed.scope.service

    async def _look(self) -> bool:
        """An unknown key may be another control's newest: look, but not for everybody who makes one up."""
        now = self._tenancy.host.monotonic()
        if self._tenancy.state.alone or now - self._looked_at < LOOK_AGAIN_SECONDS:
            return False
        self._looked_at = now
        try:
            await self._tenancy.state.refresh()
        except Unavailable:
            return False
        return True

    def _log(self, exchange: Exchange, begun: float) -> None:
        seconds = self._tenancy.host.monotonic() - begun
        self._tenancy.metrics.answered(exchange.service, exchange.status, seconds)
        if exchange.operation or exchange.key.principal:
            self._tenancy.events.add([of_call(exchange.told())])


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Raises Fault, ConnectionResetError."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES_MAX:
        raise invalid("The headers of the request are too large", "cannotParse")
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX:
        raise invalid("The URI of the request is too long", "cannotParse")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ConnectionResetError
                part = message.get("body", b"")
                size += len(part)
                if size > BODY_BYTES_MAX:
                    raise Fault("RequestEntityTooLargeException", 413, "Request size exceeded the limit")
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise invalid("The body of the request did not come in time", "cannotParse") from None


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the framework."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _unsigned(scope: Scope, body: bytes) -> bool:
    if (
        scope["path"] != "/"
        or scope["method"] != "POST"
        or any(name == b"authorization" for name, _ in scope["headers"])
    ):
        return False
    try:
        form = parse_qs(body.decode("ascii"), max_num_fields=50)
    except ValueError:
        return False
    return form.get("Action", [""])[0] in UNSIGNED_ACTIONS


def _with_request_id(send: Send, exchange: Exchange) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-amzn-requestid", exchange.request_id.encode())]
        await send(message)

    return sending
