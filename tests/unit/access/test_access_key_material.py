"""Access keys and how their secrets are kept."""

from __future__ import annotations

import base64
import secrets

import pytest

from tausql.access.key_material import (
    ID_RANDOM_BYTES,
    NONCE_BYTES,
    SECRET_RANDOM_BYTES,
    SESSION_TOKEN_RANDOM_BYTES,
    NewKey,
    SecretUnreadable,
    fleet_key,
    is_access_key_id,
    opened,
    permanent_key,
    sealed,
    temporary_key,
)
from tausql.access.sigv4 import Credentials
from tausql.protocol.clusters import KeyRecord

PERMANENT_BYTES = ID_RANDOM_BYTES + SECRET_RANDOM_BYTES
FLEET_KEY = bytes(range(32))


def test_keys_look_like_awss():
    key = permanent_key(secrets.token_bytes(PERMANENT_BYTES))
    assert (key.access_key_id[:4], len(key.access_key_id), len(key.secret)) == ("AKIA", 20, 40)
    assert is_access_key_id(key.access_key_id)
    assert not key.session_token
    session = temporary_key(secrets.token_bytes(PERMANENT_BYTES + SESSION_TOKEN_RANDOM_BYTES))
    assert (session.access_key_id[:4], len(session.secret)) == ("ASIA", 40)
    assert session.session_token
    for text in ("", "AKIA", key.access_key_id.lower(), key.access_key_id + "A", "XXXX" + key.access_key_id[4:]):
        assert not is_access_key_id(text)


@pytest.mark.parametrize("count", [0, PERMANENT_BYTES - 1, PERMANENT_BYTES + 1])
def test_too_few_random_bytes_make_no_key(count):
    with pytest.raises(ValueError, match="random bytes"):
        permanent_key(bytes(count))
    with pytest.raises(ValueError, match="random bytes"):
        temporary_key(bytes(count))


def test_a_sealed_secret_opens_for_its_own_key_only():
    nonce = secrets.token_bytes(NONCE_BYTES)
    stored = sealed("secret", "AKIA1", FLEET_KEY, nonce)
    assert "secret" not in base64.b64decode(stored).decode("latin-1")
    assert opened(stored, "AKIA1", FLEET_KEY) == "secret"
    for box, name, key in (
        (stored, "AKIA2", FLEET_KEY),
        (stored, "AKIA1", bytes(32)),
        (stored[:-4] + "AAAA", "AKIA1", FLEET_KEY),
        ("", "AKIA1", FLEET_KEY),
        ("not base64!", "AKIA1", FLEET_KEY),
        (base64.b64encode(b"\x02" + base64.b64decode(stored)[1:]).decode(), "AKIA1", FLEET_KEY),
    ):
        with pytest.raises(SecretUnreadable):
            opened(box, name, key)
    with pytest.raises(ValueError, match="nonce"):
        sealed("secret", "AKIA1", FLEET_KEY, b"short")


def test_a_fleet_key_is_a_line_of_base64():
    assert fleet_key(base64.b64encode(FLEET_KEY).decode() + "\n") == FLEET_KEY
    for text in ("", "x", base64.b64encode(b"short").decode()):
        with pytest.raises(ValueError, match=r"bytes|padding|base64|length"):
            fleet_key(text)


def test_what_is_printed_of_a_key_has_no_secret() -> None:
    """An error or a log line may hold any of these."""
    for one in (
        NewKey("AKIAEXAMPLE", "hush", "hush-token"),
        Credentials("AKIAEXAMPLE", "hush", "hush-token"),
        KeyRecord("AKIAEXAMPLE", "hush", "arn:p", "arn:p", session_token="hush-token"),
    ):
        assert "hush" not in repr(one) + str(one) + f"{(one,)}"
        assert "AKIAEXAMPLE" in repr(one)
