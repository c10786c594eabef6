"""Columns and rows as bytes: the messages a server makes most of.

A row is put together in one growing `bytearray` whose first seven bytes are kept free for the header: measured against
joining a list of parts, formatting with `struct` and concatenating, it is the quickest in Python from one column to
twelve. Lengths below 1 KiB come from a table, because packing an integer costs more than looking it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

import msgspec

_COLUMN = Struct(">IhIhih")
_HEAD = Struct(">BIH")
_INT32 = Struct(">I")
_NULL = b"\xff\xff\xff\xff"
_TABLED = 1024
_LENGTHS = tuple(length.to_bytes(4, "big") for length in range(_TABLED))
_ROW = ord("D")
_EMPTY_HEAD = bytes(7)


class Column(msgspec.Struct, frozen=True, gc=False):
    """One field of a RowDescription."""

    name: str
    type_oid: int
    type_length: int = -1  # bytes, -1 = variable
    type_modifier: int = -1
    table_oid: int = 0  # 0 = not a plain column of a table
    attnum: int = 0
    format: int = 0  # 0 text, 1 binary


def row_description(columns: Sequence[Column]) -> bytes:
    """The `T` message. Callers keep it with the plan: it does not depend on the rows."""
    parts = [b""]
    for column in columns:
        parts.append(column.name.encode() + b"\0")
        parts.append(
            _COLUMN.pack(
                column.table_oid,
                column.attnum,
                column.type_oid,
                column.type_length,
                column.type_modifier,
                column.format,
            )
        )
    size = 6 + sum(map(len, parts))
    parts[0] = _HEAD.pack(ord("T"), size, len(columns))
    return b"".join(parts)


def data_row(values: Sequence[bytes | None]) -> bytes:
    """The `D` message of one row, `None` for NULL."""
    body = bytearray(_EMPTY_HEAD)
    for value in values:
        if value is None:
            body += _NULL
        else:
            length = len(value)
            body += _LENGTHS[length] if length < _TABLED else _INT32.pack(length)
            body += value
    _HEAD.pack_into(body, 0, _ROW, len(body) - 1, len(values))
    return bytes(body)


def data_rows(rows: Iterable[Sequence[bytes | None]]) -> bytes:
    """The `D` messages of many rows as one block: a write, and an allocation, for all of them."""
    body = bytearray()
    for values in rows:
        start = len(body)
        body += _EMPTY_HEAD
        for value in values:
            if value is None:
                body += _NULL
            else:
                length = len(value)
                body += _LENGTHS[length] if length < _TABLED else _INT32.pack(length)
                body += value
        _HEAD.pack_into(body, start, _ROW, len(body) - start - 1, len(values))
    return bytes(body)
