"""Tokens of other authorities: whose they are, and what is none."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from access_keys import NOW
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from tausql.access.web_identity import WebIdentityRefused, verified

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:shop:orders"
CLAIMS = {"iss": ISSUER, "aud": [AUDIENCE], "sub": SUBJECT, "exp": int(NOW) + 600, "nbf": int(NOW)}


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value, length):
    return encoded(value.to_bytes(length, "big"))


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def jwks(rsa_key, ec_key):
    one, two = rsa_key.public_key().public_numbers(), ec_key.public_key().public_numbers()
    return {
        "keys": [
            {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": number(one.n, 256), "e": number(one.e, 3)},
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": number(two.x, 32), "y": number(two.y, 32)},
        ]
    }


def made(key, claims=None, **header):
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    header = {"alg": algorithm, "kid": algorithm[:2].replace("RS", "rsa").replace("ES", "ec"), **header}
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims or CLAIMS).encode())}"
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    else:
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{signed}.{encoded(signature)}"


def refusal(token, jwks, issuer=ISSUER, audiences=(AUDIENCE,), now=NOW):
    with pytest.raises(WebIdentityRefused) as caught:
        verified(token, jwks, issuer, audiences, now)
    return caught.value


def test_a_service_accounts_token_says_who_it_is(rsa_key, ec_key, jwks):
    for key in (rsa_key, ec_key):
        identity = verified(made(key), jwks, ISSUER, {AUDIENCE, "other"}, NOW)
        assert (identity.subject, identity.audience, identity.expires_at) == (SUBJECT, AUDIENCE, int(NOW) + 600)
    nameless = made(rsa_key, kid=None)
    assert verified(nameless, jwks, ISSUER, {AUDIENCE}, NOW).claims == CLAIMS


def test_other_keys_are_refused(jwks):
    for stranger in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())):
        assert "the signature is wrong" in refusal(made(stranger), jwks).message


def test_algorithms_with_a_shared_secret_are_refused(rsa_key, jwks):
    for algorithm in ("none", "HS256", None, "RS512"):
        assert "must be RS256 or ES256" in refusal(made(rsa_key, alg=algorithm), jwks).message
    header, claims, _ = made(rsa_key, alg="HS256").split(".")
    forged = hmac.new(jwks["keys"][0]["n"].encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert "must be RS256 or ES256" in refusal(f"{header}.{claims}.{encoded(forged)}", jwks).message
    assert "signature is wrong" in refusal(made(rsa_key, alg="ES256", kid=None), jwks).message
    assert "crit" in refusal(made(rsa_key, crit=["x"]), jwks).message


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"iss": "https://elsewhere"}, "issuer"),
        ({"aud": "other"}, "Incorrect token audience"),
        ({"aud": None}, "Incorrect token audience"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": True}, "exp"),
        ({"nbf": int(NOW) + 61}, "not valid yet"),
    ],
)
def test_claims_have_to_fit(rsa_key, jwks, changed, word):
    error = refusal(made(rsa_key, {**CLAIMS, **changed}), jwks)
    assert (error.code, word in error.message) == ("InvalidIdentityToken", True)


def test_expired_tokens_are_called_that(rsa_key, jwks):
    assert refusal(made(rsa_key), jwks, now=NOW + 600).code == "ExpiredTokenException"


def test_weak_and_broken_keys_are_passed_over(rsa_key, jwks):
    for broken in (
        {},
        {"keys": "x"},
        {"keys": [None, {}, {"kty": "RSA", "n": "x", "e": 3}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
        {"keys": [{**jwks["keys"][0], "use": "enc"}]},
        {"keys": [{**jwks["keys"][0], "kid": "other"}]},
    ):
        refusal(made(rsa_key), broken)


@given(st.text(max_size=60) | st.text("abc._-=", max_size=60))
def test_garbage_is_refused(text):
    assert refusal(text, {"keys": []}).code == "InvalidIdentityToken"


def test_altered_claims_break_the_signature(ec_key, jwks):
    header, _, signature = made(ec_key).split(".")
    claims = encoded(json.dumps({**CLAIMS, "sub": "system:serviceaccount:kube-system:admin"}).encode())
    assert "signature is wrong" in refusal(f"{header}.{claims}.{signature}", jwks).message
    assert "too long" in refusal("x" * 20_001, jwks).message
