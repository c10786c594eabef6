"""Rows as values: a tuple that knows the names and types of its fields.

A plain tuple would do for storing them, but not for printing: 3 may be an integer, an oid or a date, and what it is
decides its text, its binary form and its place in an order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.arrays import record_text
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a row type: names, types and modifiers. name: of the composite type, '' for a plain row."""

    names: tuple[str, ...]
    types: tuple[Type, ...]
    typmods: tuple[int, ...]
    name: str = ""

    def index(self, field: str) -> int | None:
        return self.names.index(field) if field in self.names else None


def shape_of(columns: Sequence[tuple[str, Type, int]], name: str = "") -> Shape:
    """From (name, type, typmod) triples."""
    return Shape(tuple(c[0] for c in columns), tuple(c[1] for c in columns), tuple(c[2] for c in columns), name)


class Record(tuple[Any, ...]):
    """The datums of a row, with their shape. Equal and hashed as the tuple."""

    shape: Shape


def record(values: Sequence[Any], shape: Shape) -> Record:
    made = Record(values)
    made.shape = shape
    return made


class CompositeType(Type):
    """The row type of a table, or a row whose fields are known while binding."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape, oid: int = 2249, array_oid: int = 0) -> None:
        name = shape.name or "record"
        super().__init__(oid, name, name, "C", -1, array_oid, composite_codec(shape))
        self.shape = shape


def record_out(value: tuple[Any, ...], format: SessionFormat) -> str:
    if not isinstance(value, Record):
        raise SqlError(Code.internal_error, "a record without a shape")
    texts = [None if v is None else t.text_out(v, format) for v, t in zip(value, value.shape.types, strict=True)]
    return record_text(value, texts)


def record_binary_out(value: tuple[Any, ...]) -> bytes:
    """Count, then oid, length and bytes of each field."""
    if not isinstance(value, Record):
        raise SqlError(Code.internal_error, "a record without a shape")
    parts = [struct.pack("!i", len(value))]
    for item, type in zip(value, value.shape.types, strict=True):
        if item is None:
            parts.append(struct.pack("!Ii", type.oid, -1))
        else:
            data = type.binary_out(item)
            parts.append(struct.pack("!Ii", type.oid, len(data)) + data)
    return b"".join(parts)


def composite_codec(shape: Shape) -> Codec:
    """'(1,"a b",)' and the binary form, fields by the shape's types."""

    def text_in(text: str, format: SessionFormat, _typmod: int = -1) -> Record:
        fields = split_record(text)
        if len(fields) != len(shape.types):
            many = len(fields) > len(shape.types)
            raise _malformed(text, f"Too {'many' if many else 'few'} columns.")
        values = [
            None if field is None else type.text_in(field, format, typmod)
            for field, type, typmod in zip(fields, shape.types, shape.typmods, strict=True)
        ]
        return record(values, shape)

    def binary_in(data: bytes) -> Record:
        return record(_binary_fields(bytes(data), shape), shape)

    return text_in, record_out, binary_in, record_binary_out


def _binary_fields(data: bytes, shape: Shape) -> list[Any]:
    values: list[Any] = []
    try:
        (count,) = struct.unpack_from("!i", data)
        if count != len(shape.types):
            raise SqlError(Code.datatype_mismatch, f"wrong number of columns: {count}, expected {len(shape.types)}")
        at = 4
        for number, type in enumerate(shape.types, 1):
            oid, length = struct.unpack_from("!Ii", data, at)
            if oid != type.oid:
                raise SqlError(
                    Code.datatype_mismatch,
                    f"binary data has type {oid} instead of expected {type.oid} ({type.sql_name})"
                    f" in record column {number}",
                )
            at += 8
            values.append(None if length < 0 else type.binary_in(data[at : at + length]))
            at += max(length, 0)
    except struct.error as error:
        raise binary_length_error("insufficient data left in message") from error
    return values


def _malformed(text: str, detail: str) -> SqlError:
    return SqlError(Code.invalid_text_representation, f'malformed record literal: "{text}"', detail=detail)


def split_record(text: str) -> list[str | None]:
    """The fields of '(a,"b c",)'; an empty field is NULL."""
    body = text.lstrip()
    if not body.startswith("("):
        raise _malformed(text, "Missing left parenthesis.")
    fields: list[str | None] = []
    chars: list[str] = []
    at, quoted, some = 1, False, False
    while True:
        char = body[at : at + 1]
        if not char:
            raise _malformed(text, "Unexpected end of input.")
        at += 1
        if char == "\\":
            if not body[at : at + 1]:
                raise _malformed(text, "Unexpected end of input.")
            chars.append(body[at])
            at, some = at + 1, True
        elif char == '"':
            if quoted and body[at : at + 1] == '"':
                chars.append('"')
                at += 1
            else:
                quoted = not quoted
            some = True
        elif quoted or char not in ",)":
            chars.append(char)
            some = True
        else:
            fields.append("".join(chars) if some else None)
            chars, some = [], False
            if char == ")":
                break
    if body[at:].strip():
        raise _malformed(text, "Junk after right parenthesis.")
    return fields
