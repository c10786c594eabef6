"""What is kept of users, roles and keys. Secrets are kept sealed with the fleet's key, which is in no table."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tausql.control.system.state import Record


class User(Record, frozen=True):
    kind: ClassVar[str] = "user"

    user: str
    user_id: str
    path: str
    created_at: float
    policies: dict[str, str] = msgspec.field(default_factory=dict)  # inline: name -> document
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.user


class Role(Record, frozen=True):
    kind: ClassVar[str] = "role"

    role: str
    role_id: str
    path: str
    created_at: float
    trust: str  # document: who may act for it
    policies: dict[str, str] = msgspec.field(default_factory=dict)
    description: str = ""
    session_seconds_max: int = 3600
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.role


class Key(Record, frozen=True):
    """A user's access key."""

    kind: ClassVar[str] = "key"

    access_key_id: str
    user: str
    sealed: str  # the secret
    created_at: float
    active: bool = True

    @property
    def name(self) -> str:
        return self.access_key_id


class Session(Record, frozen=True):
    """Temporary credentials: of a role that somebody acts for, or of a user."""

    kind: ClassVar[str] = "session"

    access_key_id: str
    sealed: str  # secret and session token
    principal: str  # ARN: the session's, or the user's
    user: str  # whose; empty: a role's
    role: str
    expires_at: float
    boundary: str = ""

    @property
    def name(self) -> str:
        return self.access_key_id
