"""What a backup consists of: files of bounded size, and a manifest that names each with its checksum.

The manifest comes last and replaces its predecessor at once, so a backup that was cut short is none, and one that goes
on following the cluster is whole at every moment. Files are MessagePack, compressed:

    pages   list of (key, value): what a scan found, every page at a moment of its own
    log     list of (tau, list of (key, value or nil)): committed transactions in order

What was there at a moment T is the pages and, over them, every transaction up to T, provided the log begins before the
first page was read and T is not before the last: a transaction that a page has already is put over it again and changes
nothing. So a scan may take longer than any version is kept.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec

from tausql.protocol.adjudicator import PostImage

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CHUNK_BYTES: Final = 4 << 20  # of keys and values, about: a page or a transaction more
UNPACKED_BYTES_MAX: Final = 64 << 20  # of one file; a file that claims more is none of ours
FILES_MAX: Final = 200_000
LEVEL: Final = 3  # of compression: a changefeed shares its processor with others

Pair = tuple[bytes, bytes]
Transaction = tuple[int, list[PostImage]]
Kind = Literal["pages", "log"]
Content = TypeVar("Content")


class Damaged(Exception):
    """This is no whole backup; the message says why."""


class File(msgspec.Struct, frozen=True):
    name: str
    kind: Kind
    sha256: str
    bytes: int
    items: int
    tau_first: int  # of the transactions in it, or of the moments its pages were read at
    tau_last: int


class Manifest(msgspec.Struct, frozen=True):
    """tau_first, tau_last: from and to when a cluster can be restored from it."""

    format: int
    job: str
    cluster: str  # the identifier of the cluster it is of
    number: int
    tau_first: int
    tau_last: int
    rows: int
    bytes: int
    files: tuple[File, ...]


_encode = msgspec.msgpack.Encoder().encode
_pages = msgspec.msgpack.Decoder(list[Pair])
_log = msgspec.msgpack.Decoder(list[Transaction])


def packed(name: str, kind: Kind, items: Sequence[Any], taus: tuple[int, int]) -> tuple[File, bytes]:
    body = zlib.compress(_encode(items), LEVEL)
    return File(name, kind, hashlib.sha256(body).hexdigest(), len(body), len(items), *taus), body


def pages_of(file: File, body: bytes) -> list[Pair]:
    """Raises Damaged."""
    return _unpacked(file, body, _pages)


def log_of(file: File, body: bytes) -> list[Transaction]:
    """Raises Damaged."""
    return _unpacked(file, body, _log)


def _unpacked(file: File, body: bytes, decoder: msgspec.msgpack.Decoder[list[Content]]) -> list[Content]:
    if len(body) != file.bytes or hashlib.sha256(body).hexdigest() != file.sha256:
        raise Damaged(f"{file.name} is not what the manifest says: its checksum differs")
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(body, UNPACKED_BYTES_MAX)
        if not inflater.eof:
            raise Damaged(f"{file.name} has more than {UNPACKED_BYTES_MAX} bytes, or ends before its end")
        items = decoder.decode(raw)
    except (zlib.error, msgspec.DecodeError) as error:
        raise Damaged(f"{file.name} cannot be read: {error}") from error
    if len(items) != file.items:
        raise Damaged(f"{file.name} has {len(items)} items, and the manifest says {file.items}")
    return items


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode_manifest(body: bytes) -> Manifest:
    """Raises Damaged."""
    try:
        version = msgspec.json.decode(body).get("format")
        if version != FORMAT:
            raise Damaged(f"the manifest is of format {version}, and this release reads {FORMAT}")
        return msgspec.json.decode(body, type=Manifest)
    except (msgspec.DecodeError, AttributeError) as error:
        raise Damaged(f"the manifest cannot be read: {error}") from error
