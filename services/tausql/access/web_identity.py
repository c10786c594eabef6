"""Tokens of another authority exchanged for a role: a Kubernetes ServiceAccount's, as on EKS.

Only what that authority signed with a key of its published set counts, and only algorithms with a public key: a token
that names an HMAC would be checked with a "secret" that everybody can read.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

CHARACTERS_MAX = 20_000  # what STS takes
KEYS_MAX = 64
LEEWAY_SECONDS = 60
RSA_BITS = range(2048, 8193)


class WebIdentityRefused(Exception):
    """message, and how STS names it: InvalidIdentityToken, ExpiredTokenException."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class WebIdentity(msgspec.Struct, frozen=True):
    issuer: str
    subject: str  # `system:serviceaccount:{namespace}:{name}`
    audience: str
    expires_at: int
    claims: dict[str, Any]


def verified(token: str, jwks: Mapping[str, Any], issuer: str, audiences: Collection[str], now: float) -> WebIdentity:
    """jwks: the issuer's key set, as published. Raises WebIdentityRefused."""
    if len(token) > CHARACTERS_MAX:
        raise _invalid("The token is too long.")
    parts = token.split(".")
    if len(parts) != 3:
        raise _invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    header, claims = _object(parts[0]), _object(parts[1])
    if "crit" in header:
        raise _invalid("The token asks for what is not understood: crit")
    signed = f"{parts[0]}.{parts[1]}".encode()
    _check_signature(header, signed, _raw(parts[2]), jwks)
    if claims.get("iss") != issuer:
        raise _invalid("The issuer of the token is not the one of the identity provider.")
    given = claims.get("aud")
    listed = given if isinstance(given, list) else [given]
    audience = next((name for name in listed if isinstance(name, str) and name in audiences), None)
    if audience is None:
        raise _invalid("Incorrect token audience")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _invalid("Missing a required claim: sub")
    ends, begins = _seconds(claims.get("exp")), _seconds(claims.get("nbf", 0))
    if ends is None or begins is None:
        raise _invalid("Missing a required claim: exp")
    if ends <= now:
        raise WebIdentityRefused("ExpiredTokenException", "Token expired: the web identity token is no longer valid")
    if begins > now + LEEWAY_SECONDS:
        raise _invalid("The token is not valid yet.")
    return WebIdentity(issuer, subject, audience, int(ends), claims)


def _check_signature(header: dict[str, Any], signed: bytes, signature: bytes, jwks: Mapping[str, Any]) -> None:
    algorithm, name = header.get("alg"), header.get("kid")
    if algorithm not in ("RS256", "ES256"):
        raise _invalid("The token's algorithm must be RS256 or ES256.")
    keys = jwks.get("keys")
    if not isinstance(keys, list):
        raise _invalid("The identity provider has published no keys.")
    for key in keys[:KEYS_MAX]:
        if not isinstance(key, dict) or key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            continue
        if name is not None and key.get("kid") not in (None, name):
            continue
        if (_by_rsa if algorithm == "RS256" else _by_ec)(key, signed, signature):
            return
    raise _invalid("Couldn't retrieve verification key from your identity provider, or the signature is wrong.")


def _by_rsa(key: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    if key.get("kty") != "RSA":
        return False
    try:
        numbers = rsa.RSAPublicNumbers(_number(key.get("e")), _number(key.get("n")))
        if numbers.n.bit_length() not in RSA_BITS:
            return False
        numbers.public_key().verify(signature, signed, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError, WebIdentityRefused):
        return False
    return True


def _by_ec(key: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    if key.get("kty") != "EC" or key.get("crv") != "P-256" or len(signature) != 64:
        return False
    try:
        public = ec.EllipticCurvePublicNumbers(
            _number(key.get("x")), _number(key.get("y")), ec.SECP256R1()
        ).public_key()
        encoded = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        public.verify(encoded, signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError, WebIdentityRefused):
        return False
    return True


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_raw(part))
    except (ValueError, RecursionError):
        raise _invalid("The ID Token provided is not a valid JWT.") from None
    if not isinstance(value, dict):
        raise _invalid("The ID Token provided is not a valid JWT.")
    return value


def _raw(part: Any) -> bytes:
    if not isinstance(part, str) or not part.isascii():
        raise _invalid("The ID Token provided is not a valid JWT.")
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("The ID Token provided is not a valid JWT.") from None


def _number(part: Any) -> int:
    return int.from_bytes(_raw(part), "big")


def _seconds(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return value if good else None


def _invalid(message: str) -> WebIdentityRefused:
    return WebIdentityRefused("InvalidIdentityToken", message)
