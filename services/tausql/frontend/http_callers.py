"""Who asks over HTTP: by a connect token, or by a signature of the request itself.

    Authorization: Bearer {token}           as admin
    Authorization: Basic {user}:{token}
    Authorization: AWS4-HMAC-SHA256 ...     signed for `dsql`; `?user=` and `?cluster=` in the query, which is signed

A token names its cluster. A signed request names it by its Host, or by the identifier in the query.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib

from fastapi import Request

from tausql.access.actions import PREFIX
from tausql.access.arns import account_of
from tausql.access.connect_tokens import ADMIN, SERVICE, Admitted, access_denied, action_for, host_in
from tausql.access.signatures import SignatureRefused, Signatures, Signed, SignedRequest
from tausql.access.sigv4 import ALGORITHM
from tausql.frontend.entrance import House
from tausql.frontend.gate import Attempt, Guest, Refusal
from tausql.frontend.http_statements import Serving, Statements
from tausql.protocol.clusters import CONNECTABLE, ClusterRecord
from tausql.protocol.errors import SqlError


async def caller(statements: Statements, request: Request, serving: Serving) -> tuple[Guest, bytes]:
    """Who asks, and the request's body. Raises SqlError 08006 or what else the gate says, and RequestRefused."""
    await known(statements.house)
    header = request.headers.get("authorization", "")
    if statements.house.clusters is not None and header.startswith(ALGORITHM):
        guest, body = await _by_signature(statements, request)
        serving.of(guest)
        return guest, body
    user, password = _credentials(header, statements.house.settings.user)
    guest = by_token(statements, request, user, statements.house.settings.database, password)
    serving.of(guest)
    return guest, await statements.body(request)  # nobody's body is read before it is known whose it is


def by_token(statements: Statements, request: Request, user: str, database: str, password: bytes) -> Guest:
    """password: a connect token. Raises SqlError."""
    house = statements.house
    host, cluster = _host(request), request.query_params.get("cluster", "")
    if house.clusters is not None and house.clusters.by_host(host) is None and not host.endswith(".on.aws"):
        host = host_in(password) or host  # the name of a port or a proxy, which says nothing
    found = house.gate.check(Attempt(user, database, password, client_of(request), host, cluster, _secure(request)))
    if isinstance(found, SqlError):
        raise found
    return found


async def known(house: House) -> None:
    """Wait until control has told of clusters and keys; the gate bounds it."""
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    house.gate.when_known(lambda: None if told.done() else told.set_result(None))
    await told


async def signed_body(statements: Statements, request: Request) -> bytes:
    """The body of a request that says it is signed, by a key that is known: nobody else's is held in memory. Raises
    SignatureRefused, RequestRefused."""
    _signatures(statements).announced(_headers(request), statements.now())
    return await statements.unproven_body(request)


def signed_by(statements: Statements, request: Request, body: bytes, service: str, region: str) -> Signed:
    """Raises SignatureRefused."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    signed = SignedRequest(
        request.method,
        raw.partition(b"?")[0].decode("latin-1"),
        request.url.query,
        _headers(request),
        hashlib.sha256(body).hexdigest(),
    )
    return _signatures(statements).of_headers(signed, {(service, region)}, statements.now())


def authorized(statements: Statements, request: Request, signed: Signed, record: ClusterRecord, user: str) -> Guest:
    """Whether the one who signed may connect as `user`. Raises SqlError."""
    house, client = statements.house, client_of(request)
    assert house.tokens is not None
    key, action = signed.key, action_for(user)
    found = house.tokens.authorize(key, record, user, action, client, statements.now(), _secure(request))
    error: SqlError | None = None
    if not isinstance(found, Admitted):
        error = found.error
    elif record.status not in CONNECTABLE:
        error = access_denied(f"The cluster cannot be connected to: it is {record.status}.")
    if error is not None:
        refusal = Refusal(error, record.identifier, key.principal, key.access_key_id, action)
        raise house.gate.turn_away(refusal, user, client)
    mapped = "" if user == ADMIN else key.mapped or key.principal
    return Guest(record, user, client, key.principal, key.access_key_id, action, mapped)


def client_of(request: Request) -> str:
    return f"{request.client.host}:{request.client.port}" if request.client else ""


def region_of(record: ClusterRecord) -> str:
    return record.arn.split(":")[3] if account_of(record.arn) else ""


async def _by_signature(statements: Statements, request: Request) -> tuple[Guest, bytes]:
    house = statements.house
    user = request.query_params.get("user", house.settings.user)
    identifier = request.query_params.get("cluster", "")
    assert house.clusters is not None
    by_host = house.clusters.by_host(_host(request))
    record = house.clusters.by_identifier(identifier) if identifier else by_host
    client = client_of(request)
    if record is None or (by_host is not None and by_host is not record):
        hint = f"Name a cluster: by the host name of the request, or by ?cluster= for {PREFIX}DbConnect."
        raise house.gate.turn_away(Refusal(access_denied(hint)), user, client)
    try:
        body = await signed_body(statements, request)
        signed = signed_by(statements, request, body, SERVICE, region_of(record))
    except SignatureRefused as refused:
        principal = refused.key.principal if refused.key is not None else ""
        error = access_denied(refused.message.strip())
        refusal = Refusal(error, record.identifier, principal, refused.access_key_id, action_for(user))
        raise house.gate.turn_away(refusal, user, client) from None
    return authorized(statements, request, signed, record, user), body


def _signatures(statements: Statements) -> Signatures:
    signatures = statements.house.signatures
    if signatures is None:
        raise SignatureRefused("UnrecognizedClientException", "No access keys are known here.")
    return signatures


def _headers(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"])


def _host(request: Request) -> str:
    """Without its port; an IPv6 address keeps its brackets, as it is nobody's name anyway."""
    host = request.headers.get("host", "").lower()
    return host if host.startswith("[") else host.partition(":")[0]


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _credentials(header: str, user: str) -> tuple[str, bytes]:
    """User and password of an Authorization header; empty ones, which never match, where it holds none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return user, value.strip().encode()
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(value.strip(), validate=True).partition(b":")
            return name.decode(), password
        except (binascii.Error, UnicodeDecodeError):
            return "", b""
    return "", b""
