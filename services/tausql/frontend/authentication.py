"""Who may connect, and as whom.

One password is enough to keep strangers out, and is all there is today; `Authenticator` is what signed tokens will
implement next. Whoever has the password is the owner, and may also connect as a role of less right: which roles there
are, and which of them may log in, is in the catalogue, so the processor that takes the session looks at that.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import Protocol

import msgspec

from tausql.protocol.errors import Code, SqlError

PASSWORD_RANDOM_BYTES = 24


class Attempt(msgspec.Struct, frozen=True):
    """What a client says of itself."""

    user: str
    database: str
    password: bytes
    client: str = ""  # address, for logs


class Authenticator(Protocol):
    def authenticate(self, attempt: Attempt) -> SqlError | None:
        """None lets the client in; otherwise the FATAL error it is told."""
        ...


class PasswordAuthenticator:
    """One database, and one password for every role."""

    __slots__ = ("_database", "_password")

    def __init__(self, database: str, password: str) -> None:
        self._database = database
        self._password = password.encode()

    def authenticate(self, attempt: Attempt) -> SqlError | None:
        if not attempt.user or not hmac.compare_digest(attempt.password, self._password):
            return SqlError(
                Code.invalid_password, f'password authentication failed for user "{attempt.user}"', severity="FATAL"
            )
        if attempt.database != self._database:
            return SqlError(
                Code.invalid_catalog_name, f'database "{attempt.database}" does not exist', severity="FATAL"
            )
        return None


def ensure_password_file(path: Path) -> str:
    """The password in `path`; a random one is written there first (0600) if there is none.

    Two processes may do this at once: the file appears whole or not at all, and both return what it then holds.
    Raises OSError, and ValueError for an empty file.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(PASSWORD_RANDOM_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # unlike a rename, it fails where another was quicker
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    password = path.read_text().strip()
    if not password:
        raise ValueError(f"the password file {path} is empty")
    return password
