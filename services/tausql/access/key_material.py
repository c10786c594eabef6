"""Access keys: how they look, and how their secrets are kept.

A secret has to be readable by whoever checks signatures with it, so a hash is no use; it is encrypted with a key of the
fleet that is nowhere in the database. The id of the access key is bound to it: a secret copied to another row of the
table does not decrypt.
"""

from __future__ import annotations

import base64

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PERMANENT = "AKIA"
TEMPORARY = "ASIA"
ID_RANDOM_BYTES = 10
SECRET_RANDOM_BYTES = 30
SESSION_TOKEN_RANDOM_BYTES = 48
FLEET_KEY_BYTES = 32
NONCE_BYTES = 12

_FORMAT = b"\x01"  # AES-256-GCM: this byte, the nonce, the text and its tag


class SecretUnreadable(Exception):
    """A stored secret was not encrypted with this key, or not for this access key id, or is damaged."""


class NewKey(msgspec.Struct, frozen=True):
    access_key_id: str
    secret: str
    session_token: str = ""

    def __repr__(self) -> str:
        """Without what must not be in a log."""
        return f"NewKey({self.access_key_id!r})"


def permanent_key(random: bytes) -> NewKey:
    """random: `ID_RANDOM_BYTES` + `SECRET_RANDOM_BYTES` bytes."""
    return NewKey(_id(PERMANENT, random[:ID_RANDOM_BYTES]), _secret(random[ID_RANDOM_BYTES:]))


def temporary_key(random: bytes) -> NewKey:
    """random: `ID_RANDOM_BYTES` + `SECRET_RANDOM_BYTES` + `SESSION_TOKEN_RANDOM_BYTES` bytes."""
    end = ID_RANDOM_BYTES + SECRET_RANDOM_BYTES
    token = random[end:]
    if len(token) != SESSION_TOKEN_RANDOM_BYTES:
        raise ValueError(f"a session token is made of {SESSION_TOKEN_RANDOM_BYTES} random bytes")
    return NewKey(
        _id(TEMPORARY, random[:ID_RANDOM_BYTES]),
        _secret(random[ID_RANDOM_BYTES:end]),
        base64.b64encode(token).decode(),
    )


def is_access_key_id(text: str) -> bool:
    return (
        len(text) == 20
        and text[:4] in (PERMANENT, TEMPORARY)
        and text.isascii()
        and text.isalnum()
        and text == text.upper()
    )


def fleet_key(text: str) -> bytes:
    """The key in a file: base64 of 32 bytes. Raises ValueError."""
    key = base64.b64decode(text.strip(), validate=True)
    if len(key) != FLEET_KEY_BYTES:
        raise ValueError(f"a fleet key has {FLEET_KEY_BYTES} bytes, not {len(key)}")
    return key


def sealed(secret: str, access_key_id: str, key: bytes, nonce: bytes) -> str:
    """The secret as it is stored, base64. nonce: `NONCE_BYTES` random bytes, never the same again."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    box = AESGCM(key).encrypt(nonce, secret.encode(), access_key_id.encode())
    return base64.b64encode(_FORMAT + nonce + box).decode()


def opened(stored: str, access_key_id: str, key: bytes) -> str:
    """Raises SecretUnreadable."""
    try:
        raw = base64.b64decode(stored, validate=True)
        if raw[:1] != _FORMAT:
            raise SecretUnreadable(f"the secret of {access_key_id} is stored in an unknown format")
        nonce, box = raw[1 : 1 + NONCE_BYTES], raw[1 + NONCE_BYTES :]
        return AESGCM(key).decrypt(nonce, box, access_key_id.encode()).decode()
    except (InvalidTag, ValueError):
        raise SecretUnreadable(f"the secret of {access_key_id} does not decrypt with this fleet's key") from None


def _id(prefix: str, random: bytes) -> str:
    if len(random) != ID_RANDOM_BYTES:
        raise ValueError(f"an access key id is made of {ID_RANDOM_BYTES} random bytes")
    return prefix + base64.b32encode(random).decode()


def _secret(random: bytes) -> str:
    if len(random) != SECRET_RANDOM_BYTES:
        raise ValueError(f"a secret is made of {SECRET_RANDOM_BYTES} random bytes")
    return base64.b64encode(random).decode()
