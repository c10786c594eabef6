"""COPY's binary format: a signature, then rows that say how many fields they have and how long each is.

There are no lines to count and no characters to escape, so this reader shares nothing with the text formats' but its
methods. Chunks may be cut anywhere, in the middle of a length too; what is not whole yet waits for the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tausql.pgwire.copy_fields import copy_error
from tausql.protocol.errors import Code, SqlError

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = SIGNATURE + bytes(8)  # no flags, nothing more in the header
TRAILER = b"\xff\xff"
ROW_BYTES_MAX = 10 * 1024 * 1024  # a transaction cannot write more
_OIDS_FLAG = 1 << 16
_CRITICAL_FLAGS = 0xFFFF0000
_INT2 = struct.Struct("!h")
_INT4 = struct.Struct("!i")

BinaryField = bytes | None


class BinaryReader:
    """COPY ... FROM STDIN (FORMAT binary). `feed` and `finish` raise SqlError 22P04, 54000; the reader is then of no
    more use. What follows the trailer is an error."""

    __slots__ = ("_begun", "_columns", "_ended", "_rest", "_table", "lines")

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._rest = b""
        self._begun = False
        self._ended = False
        self.lines = 0  # rows read so far

    def feed(self, data: bytes) -> list[list[BinaryField]]:
        """The rows that `data` completes."""
        buffer = self._rest + data
        at = 0
        if not self._begun:
            at = self._header(buffer)
            if not at:
                self._rest = buffer
                return []
        rows: list[list[BinaryField]] = []
        while not self._ended:
            made = self._row(buffer, at)
            if made is None:
                break
            fields, at = made
            if fields is not None:
                rows.append(fields)
        if self._ended and at < len(buffer):
            raise self._fail(copy_error("received copy data after EOF marker"))
        self._rest = buffer[at:]
        if len(self._rest) > ROW_BYTES_MAX:
            raise self._fail(SqlError(Code.program_limit_exceeded, "COPY row is too long"))
        return rows

    def finish(self) -> list[list[BinaryField]]:
        """Nothing is left over where the data is whole; the trailer may be missing."""
        if not self._begun:
            raise self._fail(copy_error("COPY file signature not recognized"))
        if self._rest:
            raise self._fail(copy_error("unexpected EOF in COPY data"))
        return []

    def _header(self, buffer: bytes) -> int:
        """Where rows begin, 0 if that has not come yet."""
        if not SIGNATURE.startswith(buffer[: len(SIGNATURE)]):
            raise self._fail(copy_error("COPY file signature not recognized"))
        if len(buffer) < len(HEADER):
            return 0
        flags: int
        extension: int
        flags, extension = struct.unpack_from("!Ii", buffer, len(SIGNATURE))
        if flags & _OIDS_FLAG:
            raise self._fail(copy_error("invalid COPY file header (WITH OIDS)"))
        if flags & _CRITICAL_FLAGS:
            raise self._fail(copy_error("unrecognized critical flags in COPY file header"))
        if extension < 0 or extension > ROW_BYTES_MAX:
            raise self._fail(copy_error("invalid COPY file header (wrong length)"))
        if len(buffer) < len(HEADER) + extension:
            return 0
        self._begun = True
        return len(HEADER) + extension

    def _row(self, buffer: bytes, at: int) -> tuple[list[BinaryField] | None, int] | None:
        """(fields, where the next row begins); no fields at the trailer; None if it is not whole yet."""
        size = len(buffer)
        if at + 2 > size:
            return None
        (count,) = _INT2.unpack_from(buffer, at)
        at += 2
        if count == -1:
            self._ended = True
            return None, at
        if count != len(self._columns):
            self.lines += 1
            raise self._fail(copy_error(f"row field count is {count}, expected {len(self._columns)}"))
        fields: list[BinaryField] = []
        for _ in range(count):
            if at + 4 > size:
                return None
            (length,) = _INT4.unpack_from(buffer, at)
            at += 4
            if length == -1:
                fields.append(None)
                continue
            if length < 0:
                self.lines += 1
                raise self._fail(copy_error("invalid field size"))
            if at + length > size:
                return None
            fields.append(buffer[at : at + length])
            at += length
        self.lines += 1
        return fields, at

    def _fail(self, error: SqlError) -> SqlError:
        self._ended = True
        error.where = f"COPY {self._table}, line {self.lines}" if self.lines else f"COPY {self._table}"
        return error


def binary_row(fields: Sequence[BinaryField]) -> bytes:
    """A row of COPY ... TO STDOUT (FORMAT binary)."""
    parts = [_INT2.pack(len(fields))]
    for field in fields:
        if field is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            parts.append(_INT4.pack(len(field)))
            parts.append(field)
    return b"".join(parts)
