"""The first access key of a fleet, and the key that its control keeps other keys' secrets with.

There is no password to begin with and nobody who could be asked for one, so the first access key is made beside the
data before control starts, and is valid as long as it is in this file. All further keys are made by control and kept in
the fleet itself, encrypted with the fleet's key. Both files are for the owner's eyes: 0600, and there at once or not at
all.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from pathlib import Path

import msgspec

from tausql.access.key_material import FLEET_KEY_BYTES, ID_RANDOM_BYTES, SECRET_RANDOM_BYTES, permanent_key
from tausql.access.sigv4 import Credentials

FILE = "credentials.json"
FLEET_KEY_FILE = "fleet.key"


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `credentials.json` holds."""

    access_key_id: str
    secret_access_key: str


def credentials_file(folder: Path) -> Path:
    return folder / FILE


def fleet_key_file(folder: Path) -> Path:
    return folder / FLEET_KEY_FILE


def ensure_credentials(folder: Path) -> Credentials:
    """The first access key of the fleet in `folder`, made where there is none. Raises OSError, and ValueError for a
    file that holds no key."""
    path = credentials_file(folder)
    if not path.exists():
        made = permanent_key(secrets.token_bytes(ID_RANDOM_BYTES + SECRET_RANDOM_BYTES))
        fresh = _Written(made.access_key_id, made.secret)
        _write_once(path, msgspec.json.format(msgspec.json.encode(fresh), indent=2) + b"\n")
    return read_credentials(folder)


def read_credentials(folder: Path) -> Credentials:
    """Raises FileNotFoundError before the first start, and ValueError for a file that holds no key."""
    return read_credentials_file(credentials_file(folder))


def read_credentials_file(path: Path) -> Credentials:
    """The same of any file in that form."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Written)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} holds no access key: {error}") from error
    if not found.access_key_id or not found.secret_access_key:
        raise ValueError(f"{path} holds an empty access key")
    return Credentials(found.access_key_id, found.secret_access_key)


def ensure_fleet_key(folder: Path) -> Path:
    """The file of the key that secrets are encrypted with, made where there is none. Raises OSError."""
    path = fleet_key_file(folder)
    if not path.exists():
        _write_once(path, base64.b64encode(secrets.token_bytes(FLEET_KEY_BYTES)) + b"\n")
    return path


def _write_once(path: Path, content: bytes) -> None:
    """Two that do this at once: the file appears whole, and holds what the quicker one wrote."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)  # unlike a rename, it fails where another was quicker
    finally:
        aside.unlink()
