"""Whether a request was signed by whom it says, with a key that is known and still good.

Texts and exception names of refusals are AWS's: SDKs look at the names (`ExpiredTokenException` makes them fetch new
credentials), people at the texts. What is refused says why only as far as the one who signed could know it himself.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from tausql.access.sigv4 import (
    ALGORITHM,
    EMPTY_SHA256,
    Pairs,
    Scope,
    SigningKeys,
    canonical_request,
    date_of,
    headers_by_name,
    parameters_of,
    scope_of,
    seconds_of,
    signature,
)
from tausql.protocol.clusters import KeyRecord

SKEW_SECONDS = 300
EXPIRES_SECONDS_MAX = 604_800
HEADER_CHARACTERS_MAX = 16 * 1024

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_INVALID_TOKEN = "The security token included in the request is invalid."

KeyLookup = Callable[[str], KeyRecord | None]


class SignatureRefused(Exception):
    """message, and how APIs of AWS name it: an exception's name and an HTTP status.

    key: whose signature it was; None where that is not proven. access_key_id: what the request says."""

    def __init__(
        self, code: str, message: str, status: int = 403, access_key_id: str = "", key: KeyRecord | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.access_key_id = access_key_id
        self.key = key


class SignedRequest(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    path: str  # as on the wire, still encoded
    query: str  # without `?`
    headers: tuple[tuple[str, str], ...]
    body_sha256: str  # of the body that came, in hexadecimal


class Signed(msgspec.Struct, frozen=True):
    """Whose request it is."""

    key: KeyRecord
    scope: Scope


class Signatures:
    """Checks signatures against the keys that `lookup` knows."""

    __slots__ = ("_derived", "_lookup")

    def __init__(self, lookup: KeyLookup) -> None:
        self._lookup = lookup
        self._derived = SigningKeys()

    def announced(self, headers: Iterable[tuple[str, str]], now: float) -> KeyRecord:
        """The key that a request says it is signed with, before anything is proven: a reason to read its body. Raises
        SignatureRefused, so that strangers cannot make anybody hold bodies."""
        by_name = headers_by_name(headers)
        scope, _, _ = _authorization(by_name.get("authorization", ""))
        _timely(_signed_at(by_name), now)
        return self._key(scope)

    def of_headers(self, request: SignedRequest, scopes: Collection[tuple[str, str]], now: float) -> Signed:
        """scopes: (service, region) that the signature may be for. Raises SignatureRefused."""
        headers = headers_by_name(request.headers)
        scope, names, given = _authorization(headers.get("authorization", ""))
        signed_at, date = _signed_at(headers), headers.get("x-amz-date", "")
        _scoped(scope, scopes, date)
        _timely(signed_at, now)
        if "host" not in names or any(name not in headers for name in names):
            raise SignatureRefused(
                "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
            )
        said = headers.get("x-amz-content-sha256", request.body_sha256)
        key = self._key(scope)
        canonical = canonical_request(
            request.method, request.path, parameters_of(request.query), headers, names, request.body_sha256
        )
        self._proven(key, date, scope, canonical, given)
        if not hmac.compare_digest(said.encode(), request.body_sha256.encode()):
            raise SignatureRefused("InvalidSignatureException", _MISMATCH, 403, scope.access_key_id, key)
        _living(key, headers.get("x-amz-security-token", ""), now)
        return Signed(key, scope)

    def of_query(
        self, method: str, host: str, path: str, parameters: Pairs, scopes: Collection[tuple[str, str]], now: float
    ) -> Signed:
        """A presigned request, of which only `host` is signed beside the query. Raises SignatureRefused."""
        by_name = dict(parameters)
        if len(by_name) != len(parameters):
            raise SignatureRefused("IncompleteSignatureException", "A query parameter was given more than once.", 400)
        missing = [name for name in _PRESIGNED if not by_name.get(name)]
        if missing:
            raise SignatureRefused(
                "IncompleteSignatureException",
                f"AWS query-string parameters must include {_listed(_PRESIGNED)}. Missing: {_listed(missing)}.",
                400,
            )
        scope = scope_of(by_name["X-Amz-Credential"])
        if by_name["X-Amz-Algorithm"] != ALGORITHM or scope is None:
            raise SignatureRefused(
                "IncompleteSignatureException",
                f"Unsupported AWS 'algorithm' or 'credential'; expected {ALGORITHM}.",
                400,
            )
        if by_name["X-Amz-SignedHeaders"] != "host":
            raise SignatureRefused("InvalidSignatureException", "X-Amz-SignedHeaders must be 'host'.")
        date = by_name["X-Amz-Date"]
        _scoped(scope, scopes, date)
        key = self._key(scope)
        unsigned = [pair for pair in parameters if pair[0] != "X-Amz-Signature"]
        canonical = canonical_request(method, path, unsigned, {"host": host}, ("host",), EMPTY_SHA256)
        self._proven(key, date, scope, canonical, by_name["X-Amz-Signature"])
        _unexpired(date, by_name["X-Amz-Expires"], key, now)
        _living(key, by_name.get("X-Amz-Security-Token", ""), now)
        return Signed(key, scope)

    def _key(self, scope: Scope) -> KeyRecord:
        key = self._lookup(scope.access_key_id)
        if key is None:
            raise SignatureRefused("UnrecognizedClientException", _INVALID_TOKEN, 403, scope.access_key_id)
        return key

    def _proven(self, key: KeyRecord, date: str, scope: Scope, canonical: str, given: str) -> None:
        expected = signature(self._derived.key(key.secret, scope), date, scope, canonical)
        if not hmac.compare_digest(expected.encode(), given.encode(errors="surrogateescape")):
            raise SignatureRefused("InvalidSignatureException", _MISMATCH, 403, scope.access_key_id)


_PRESIGNED = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)


def _authorization(header: str) -> tuple[Scope, tuple[str, ...], str]:
    """Scope, names of the signed headers and signature. Raises SignatureRefused."""
    if not header:
        raise SignatureRefused("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = header[:HEADER_CHARACTERS_MAX].partition(" ")
    if algorithm != ALGORITHM:
        raise SignatureRefused(
            "IncompleteSignatureException", f"Unsupported AWS 'algorithm': expected {ALGORITHM}.", 400
        )
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in parts:
            raise SignatureRefused(
                "IncompleteSignatureException", f"Authorization header has more than one '{name[:32]}'.", 400
            )
        parts[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise SignatureRefused(
                "IncompleteSignatureException", f"Authorization header requires '{name}' parameter.", 400
            )
    scope = scope_of(parts["Credential"])
    if scope is None:
        raise SignatureRefused(
            "IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            400,
        )
    return scope, tuple(parts["SignedHeaders"].split(";")), parts["Signature"]


def _signed_at(headers: Mapping[str, str]) -> int:
    signed_at = seconds_of(headers.get("x-amz-date", ""))
    if signed_at is None:
        raise SignatureRefused(
            "IncompleteSignatureException", "Authorization header requires existence of a 'X-Amz-Date' header.", 400
        )
    return signed_at


def _scoped(scope: Scope, scopes: Collection[tuple[str, str]], date: str) -> None:
    """The derived key is one for here and that day."""
    if (scope.service, scope.region) not in scopes:
        services = sorted({service for service, _ in scopes})
        reason = (
            "Credential should be scoped to a valid region. "
            if scope.service in services
            else f"Credential should be scoped to correct service: {_listed(services)}. "
        )
        raise SignatureRefused("InvalidSignatureException", reason, 403, scope.access_key_id)
    if not date.startswith(scope.day) or len(scope.day) != 8:
        raise SignatureRefused(
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.",
            403,
            scope.access_key_id,
        )


def _timely(signed_at: int, now: float) -> None:
    reason = ""
    if signed_at < now - SKEW_SECONDS:
        reason = f"Signature expired: {date_of(signed_at)} is now earlier than {date_of(now - SKEW_SECONDS)}"
        reason += f" ({date_of(now)} - 5 min.)"
    elif signed_at > now + SKEW_SECONDS:
        reason = f"Signature not yet current: {date_of(signed_at)} is still later than {date_of(now + SKEW_SECONDS)}"
        reason += f" ({date_of(now)} + 5 min.)"
    if reason:
        raise SignatureRefused("InvalidSignatureException", reason)


def _unexpired(date: str, expires: str, key: KeyRecord, now: float) -> None:
    def refused(reason: str) -> SignatureRefused:
        return SignatureRefused("InvalidSignatureException", reason, 403, key.access_key_id, key)

    signed_at = seconds_of(date)
    if signed_at is None:
        raise refused("X-Amz-Date must be in ISO-8601 basic format, e.g. 20260102T030405Z")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 10):
        raise refused("X-Amz-Expires should be a number")
    if int(expires) > EXPIRES_SECONDS_MAX:
        raise refused("X-Amz-Expires must be less than a week (in seconds)")
    if signed_at > now + SKEW_SECONDS:
        raise refused(
            f"Signature not yet current: {date} is still later than {date_of(now + SKEW_SECONDS)}"
            f" ({date_of(now)} + 5 min.)"
        )
    ends = signed_at + int(expires)
    if ends <= now:
        raise refused(
            f"Signature expired: {date_of(ends)} is now earlier than {date_of(now)} ({date_of(now)} - 0 min.)"
        )


def _living(key: KeyRecord, session_token: str, now: float) -> None:
    if not hmac.compare_digest(key.session_token.encode(), session_token.encode(errors="surrogateescape")):
        raise SignatureRefused("UnrecognizedClientException", _INVALID_TOKEN, 403, key.access_key_id, key)
    if key.expires_at and key.expires_at <= now:
        raise SignatureRefused(
            "ExpiredTokenException",
            "The security token included in the request has expired",
            403,
            key.access_key_id,
            key,
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
