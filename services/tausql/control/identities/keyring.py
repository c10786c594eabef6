"""All keys that may sign, with their secrets readable: for control's own checks, and for the frontends to be told.

The first key comes from a file and is in no table: it is what makes all others, and works while the tables cannot be
read. Whoever can write that file owns the fleet anyway.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tausql.access.arns import role_arn, user_arn
from tausql.access.key_material import (
    ID_RANDOM_BYTES,
    NONCE_BYTES,
    SECRET_RANDOM_BYTES,
    SESSION_TOKEN_RANDOM_BYTES,
    NewKey,
    SecretUnreadable,
    fleet_key,
    opened,
    permanent_key,
    sealed,
    temporary_key,
)
from tausql.control.identities.records import Key, Role, Session, User
from tausql.control.system.state import Image
from tausql.protocol.clusters import KeyRecord
from tausql.runtime import logs

FIRST_USER = "admin"
OPENED_SPARE = 1_000  # secrets of keys that are gone, kept until somebody cleans up
_OWNERS = tuple(form.kind + "/" for form in (User, Role))
_KEYS = tuple(form.kind + "/" for form in (Key, Session))
ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})

log = logs.get("control")


class Sealed(msgspec.Struct):
    """What is sealed of temporary credentials."""

    secret: str
    token: str


class Credentials(msgspec.Struct):
    """The file of the first key."""

    access_key_id: str
    secret_access_key: str


class NoFleetKey(Exception):
    """There is no key to keep secrets with."""


class Keyring:
    """credentials_file, key_file: paths, or empty."""

    def __init__(self, account: str, credentials_file: str, key_file: str) -> None:
        self._account = account
        self._credentials_file = Path(credentials_file) if credentials_file else None
        self._key_file = Path(key_file) if key_file else None
        self._key: bytes | None = None
        self._opened: dict[str, str] = {}
        self._first: KeyRecord | None = None
        self._complained: set[str] = set()
        self.records: dict[str, KeyRecord] = {}

    def read_files(self) -> None:
        """Raises OSError and ValueError."""
        if self._key_file is not None:
            self._key = fleet_key(self._key_file.read_text())
        if self._credentials_file is not None:
            found = msgspec.json.decode(self._credentials_file.read_bytes(), type=Credentials)
            principal = user_arn(self._account, FIRST_USER)
            self._first = KeyRecord(found.access_key_id, found.secret_access_key, principal, principal, (ALLOW_ALL,))

    @property
    def files(self) -> list[Path]:
        return [path for path in (self._credentials_file, self._key_file) if path is not None]

    def update(self, image: Image, ids: Sequence[str] | None) -> bool:
        """After a change of these records; None: of any. False: it was none of keys."""
        if ids is None or any(id.startswith(_OWNERS) for id in ids):
            self.rebuild(image)
            return True
        names = [id.partition("/")[2] for id in ids if id.startswith(_KEYS)]
        for name in names:
            record = self._record(image, name)
            if record is not None:
                self.records[name] = record
            else:
                self.records.pop(name, None)
        if len(self._opened) > 2 * len(self.records) + OPENED_SPARE:
            self._forget(image)
        return bool(names)

    def rebuild(self, image: Image) -> None:
        """`records` as of now."""
        records: dict[str, KeyRecord] = {}
        for name in (*image.of(Key), *image.of(Session)):
            record = self._record(image, name)
            if record is not None:
                records[name] = record
        if self._first is not None:
            records[self._first.access_key_id] = self._first
        self.records = records
        self._forget(image)

    def _forget(self, image: Image) -> None:
        """Secrets of keys that are gone."""
        known = {key.sealed for key in image.of(Key).values()} | {one.sealed for one in image.of(Session).values()}
        self._opened = {text: secret for text, secret in self._opened.items() if text in known}

    def _record(self, image: Image, name: str) -> KeyRecord | None:
        if self._first is not None and name == self._first.access_key_id:
            return self._first
        session = image.of(Session).get(name)
        if session is not None:
            return self._session(image, session)
        key = image.of(Key).get(name)
        user = image.of(User).get(key.user) if key is not None else None
        if key is None or user is None or not key.active:
            return None
        secret = self._open(key.sealed, name)
        principal = user_arn(self._account, user.user, user.path)
        return KeyRecord(name, secret, principal, principal, tuple(user.policies.values())) if secret else None

    def _session(self, image: Image, session: Session) -> KeyRecord | None:
        policies: tuple[str, ...]
        if session.user:
            user = image.of(User).get(session.user)
            if user is None:
                return None
            mapped, policies = user_arn(self._account, user.user, user.path), tuple(user.policies.values())
        else:
            role = image.of(Role).get(session.role)
            if role is None:
                return None
            mapped, policies = role_arn(self._account, role.role, role.path), tuple(role.policies.values())
        text = self._open(session.sealed, session.access_key_id)
        if not text:
            return None
        both = msgspec.json.decode(text, type=Sealed)
        return KeyRecord(
            session.access_key_id,
            both.secret,
            session.principal,
            mapped,
            policies,
            both.token,
            int(session.expires_at),
            session.boundary,
        )

    def new_key(self) -> tuple[NewKey, str]:
        """A key, and its secret as it is to be kept. Raises NoFleetKey."""
        key = permanent_key(secrets.token_bytes(ID_RANDOM_BYTES + SECRET_RANDOM_BYTES))
        return key, self._seal(key.secret, key.access_key_id)

    def new_session(self) -> tuple[NewKey, str]:
        """Temporary credentials, and what is to be kept of them. Raises NoFleetKey."""
        key = temporary_key(secrets.token_bytes(ID_RANDOM_BYTES + SECRET_RANDOM_BYTES + SESSION_TOKEN_RANDOM_BYTES))
        kept = msgspec.json.encode(Sealed(key.secret, key.session_token)).decode()
        return key, self._seal(kept, key.access_key_id)

    def _seal(self, text: str, access_key_id: str) -> str:
        if self._key is None:
            raise NoFleetKey
        return sealed(text, access_key_id, self._key, secrets.token_bytes(NONCE_BYTES))

    def _open(self, text: str, access_key_id: str) -> str:
        """Empty where it cannot be read: that key is of no use, the others are."""
        known = self._opened.get(text)
        if known is not None:
            return known
        if self._key is None:
            return ""
        try:
            secret = opened(text, access_key_id, self._key)
        except SecretUnreadable as error:
            if access_key_id not in self._complained:
                self._complained.add(access_key_id)
                log.error("a stored key cannot be read", access_key_id=access_key_id, why=str(error))
            return ""
        self._opened[text] = secret
        return secret
