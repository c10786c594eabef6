"""How entries lie in a segment file: one block a flush, written by one append and made durable by one sync.

    block  = header (24 bytes) + frames          header = magic, payload length, sequence, crc of frame heads, own crc
    frame  = length, crc32 of the body, body      body   = MessagePack of one entry

A block, not an entry, is what a crash can tear: everything before it was synced before it was written. So only the very
last block of the very last file may be damaged; damage anywhere else means that the disk lied, and the replica must not
go on. An entry on its own stays checkable, so that reading one back costs no more than that entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from zlib import crc32

from tausql.runtime.disk import DiskFailed

MAGIC = b"tauJ"
_HEADER = struct.Struct("<4sIQII")
_HEADER_CRC = struct.Struct("<4sIQI")
_HEAD = struct.Struct("<II")
HEADER_BYTES = _HEADER.size
HEAD_BYTES = _HEAD.size
BODY_BYTES_MAX = 1 << 30


def head_of(body: bytes) -> tuple[bytes, int]:
    """The head of a frame, and its checksum."""
    checksum = crc32(body)
    return _HEAD.pack(len(body), checksum), checksum


def header_of(heads: bytes, payload_bytes: int, sequence: int) -> bytes:
    """The header of the block with frames of these heads (joined)."""
    checksum = crc32(heads)
    own = crc32(_HEADER_CRC.pack(MAGIC, payload_bytes, sequence, checksum))
    return _HEADER.pack(MAGIC, payload_bytes, sequence, checksum, own)


def parse_header(data: bytes, offset: int) -> tuple[int, int, int] | None:
    """(payload length, sequence, crc of the heads) of a whole and undamaged header at `offset`, else None."""
    if offset + HEADER_BYTES > len(data):
        return None
    magic, length, sequence, checksum, own = _HEADER.unpack_from(data, offset)
    if magic != MAGIC or own != crc32(data[offset : offset + HEADER_BYTES - 4]):
        return None
    return length, sequence, checksum


def parse_frames(data: bytes, start: int, end: int, checksum: int) -> list[tuple[int, int, int]] | None:
    """(offset of the body, length, crc) of every frame in data[start:end], None if anything is damaged."""
    frames = []
    heads = 0
    while start < end:
        if start + HEAD_BYTES > end:
            return None
        length, body_checksum = _HEAD.unpack_from(data, start)
        heads = crc32(data[start : start + HEAD_BYTES], heads)
        start += HEAD_BYTES
        if start + length > end or crc32(data[start : start + length]) != body_checksum:
            return None
        frames.append((start, length, body_checksum))
        start += length
    return frames if heads == checksum else None


class Block:
    """An undamaged block: where its frames lie and where it ends."""

    __slots__ = ("end", "frames", "sequence")

    def __init__(self, sequence: int, frames: list[tuple[int, int, int]], end: int) -> None:
        self.sequence = sequence
        self.frames = frames
        self.end = end


def scan(data: bytes, name: str, sequence: int | None, last: bool) -> Iterator[Block]:
    """The blocks of a file. `sequence` is that of the first (None = any); `last`: a torn end is where it stops.

    Raises DiskFailed for damage anywhere else."""
    offset = 0
    while offset < len(data):
        header = parse_header(data, offset)
        frames = None
        after = offset + 1  # where the next block can begin, should this one be damaged
        if header is not None:
            length, found, checksum = header
            end = after = offset + HEADER_BYTES + length  # what looks like a block before that is what a client stored
            if sequence is not None and found != sequence:
                raise DiskFailed(f"{name}: block {found} at byte {offset} where {sequence} belongs")
            if end <= len(data):
                frames = parse_frames(data, offset + HEADER_BYTES, end, checksum)
        if header is None or frames is None:
            if not last or _later_block(data, after):
                raise DiskFailed(f"{name}: bad checksum at byte {offset}, inside the log")
            return
        yield Block(found, frames, end)
        sequence = found + 1
        offset = end


def _later_block(data: bytes, offset: int) -> bool:
    """Whether a block begins anywhere from `offset` on: then what lies before it is no torn end."""
    while True:
        offset = data.find(MAGIC, offset)
        if offset < 0:
            return False
        if parse_header(data, offset) is not None:
            return True
        offset += 1


def verified(body: bytes, length: int, checksum: int, name: str, offset: int) -> bytes:
    """`body` as read back from `name` at `offset`. Raises DiskFailed when it is not what was written."""
    if len(body) != length or crc32(body) != checksum:
        raise DiskFailed(f"{name}: bad checksum at byte {offset}, inside the log")
    return body
