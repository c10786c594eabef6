"""AWS Signature Version 4: what exactly is signed, and signing it.

Both sides build the same text from a request (`canonical_request`) and sign its hash; nothing of it travels but the
signature. So a difference of one byte in the text is a wrong signature, and whoever builds it has to undo what a client
may write in more than one way: order of parameters, blanks in headers, letters written as %41.

The key that signs is derived from the secret, the day, the region and the service, so that it is of use nowhere else.
Four HMACs make it; `SigningKeys` keeps the last ones, because a client connects more than once a day.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_UNRESERVED = "-_.~"
_PLAIN = re.compile(r"[A-Za-z0-9\-_.~]*")

Pairs = Sequence[tuple[str, str]]


class Credentials(msgspec.Struct, frozen=True):
    """What a client signs with."""

    access_key_id: str
    secret: str
    session_token: str = ""  # beside a temporary key

    def __repr__(self) -> str:
        """Without what must not be in a log."""
        return f"Credentials({self.access_key_id!r})"


class Scope(msgspec.Struct, frozen=True):
    """What a derived key is good for: `{access key id}/{day}/{region}/{service}/aws4_request`."""

    access_key_id: str
    day: str  # yyyymmdd
    region: str
    service: str

    @property
    def credential(self) -> str:
        return f"{self.access_key_id}/{self.text}"

    @property
    def text(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/{TERMINATOR}"


def scope_of(credential: str) -> Scope | None:
    """None where the text is no such thing."""
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != TERMINATOR or not all(parts):
        return None
    return Scope(*parts[:4])


class SigningKeys:
    """Derived keys, the most recently used ones kept."""

    __slots__ = ("_kept", "_kept_max")

    def __init__(self, kept_max: int = 1024) -> None:
        self._kept: dict[tuple[str, str, str, str], bytes] = {}
        self._kept_max = kept_max

    def key(self, secret: str, scope: Scope) -> bytes:
        name = (secret, scope.day, scope.region, scope.service)
        key = self._kept.pop(name, None)
        if key is None:
            key = signing_key(secret, scope)
            if len(self._kept) >= self._kept_max:
                del self._kept[next(iter(self._kept))]  # a dict keeps its order: the one used longest ago
        self._kept[name] = key
        return key

    def __len__(self) -> int:
        return len(self._kept)


def signing_key(secret: str, scope: Scope) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (scope.day, scope.region, scope.service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, date: str, scope: Scope, canonical: str) -> str:
    hashed = hashlib.sha256(canonical.encode(errors="surrogateescape")).hexdigest()
    return hmac.digest(key, f"{ALGORITHM}\n{date}\n{scope.text}\n{hashed}".encode(), "sha256").hex()


def canonical_request(
    method: str, path: str, parameters: Pairs, headers: Mapping[str, str], signed: Sequence[str], body_sha256: str
) -> str:
    """path: as it is on the wire. parameters: decoded. headers: by lower-case name; each of `signed` is there."""
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed)
    query = canonical_query(parameters)
    return f"{method}\n{canonical_path(path)}\n{query}\n{lines}\n{';'.join(signed)}\n{body_sha256}"


def canonical_path(path: str) -> str:
    """Without `.`, `..` and empty segments, and encoded once more than on the wire, as all services but S3 have it."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment and segment != ".":
            segments.append(segment)
    if not segments:
        return "/"
    whole = f"/{'/'.join(segments)}{'/' if path.endswith('/') else ''}"
    return quote(whole, safe="/" + _UNRESERVED, errors="surrogateescape")


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted((_encoded(n), _encoded(v)) for n, v in parameters))


def parameters_of(query: str) -> list[tuple[str, str]]:
    """A query string's parameters, decoded; bytes that are no UTF-8 survive as surrogates."""
    pairs: list[tuple[str, str]] = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def headers_by_name(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Several of one name become one, with commas, as the signature sees them."""
    joined: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        value = value.strip()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def date_of(seconds: float) -> str:
    """`20261123T220000Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y%m%dT%H%M%SZ")


def seconds_of(date: str) -> int | None:
    """The moment such a text tells, in seconds since 1970; None where it is none."""
    if len(date) != 16 or not date.isascii() or date[8] != "T" or date[15] != "Z":
        return None
    digits = date[:8] + date[9:15]
    if not digits.isdigit():
        return None
    try:
        moment = datetime(
            int(date[:4]), int(date[4:6]), int(date[6:8]), int(date[9:11]), int(date[11:13]), int(date[13:15]), 0, UTC
        )
    except ValueError:
        return None
    return int(moment.timestamp())


def signed_headers(
    credentials: Credentials,
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    service: str,
    region: str,
    now: float,
) -> dict[str, str]:
    """The headers to add to a request. `headers`, among them `host`, are signed, all of them."""
    date = date_of(now)
    added = {"x-amz-date": date}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    by_name = headers_by_name(headers) | added
    names = sorted(by_name)
    scope = Scope(credentials.access_key_id, date[:8], region, service)
    hashed = hashlib.sha256(body).hexdigest()
    canonical = canonical_request(method, path, parameters_of(query), by_name, names, hashed)
    signed = signature(signing_key(credentials.secret, scope), date, scope, canonical)
    added["authorization"] = (
        f"{ALGORITHM} Credential={scope.credential}, SignedHeaders={';'.join(names)}, Signature={signed}"
    )
    return added


def presigned_query(
    credentials: Credentials,
    method: str,
    host: str,
    path: str,
    parameters: Pairs,
    service: str,
    region: str,
    now: float,
    expires_seconds: int,
) -> str:
    """The whole query of a request that needs no headers; `parameters` come first in it."""
    date = date_of(now)
    scope = Scope(credentials.access_key_id, date[:8], region, service)
    pairs = [
        *parameters,
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", scope.credential),
        ("X-Amz-Date", date),
        ("X-Amz-Expires", str(expires_seconds)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    if credentials.session_token:
        pairs.append(("X-Amz-Security-Token", credentials.session_token))
    canonical = canonical_request(method, path, pairs, {"host": host}, ("host",), EMPTY_SHA256)
    pairs.append(("X-Amz-Signature", signature(signing_key(credentials.secret, scope), date, scope, canonical)))
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)


def _encoded(text: str) -> str:
    if _PLAIN.fullmatch(text):  # nearly all of it, and `quote` would look at every byte
        return text
    return quote(text, safe=_UNRESERVED, errors="surrogateescape")


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape") if "%" in text else text
