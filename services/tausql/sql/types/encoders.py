"""Functions from datum to DataRow bytes and from parameter bytes to datum, chosen once per column.

Going through `text_out(...).encode()` costs a call, a string and a second call a value; the common types have a
direct way.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types import builtin
from tausql.sql.types.builtin import array_type
from tausql.sql.types.calendar import DAY_US, SECOND_US, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY, date_text
from tausql.sql.types.datetimes import time_text, timestamp_text, timestamptz_text
from tausql.sql.types.enums import EnumType, enum_type, in_session, is_enum_array_oid
from tausql.sql.types.scalars import decode_utf8
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import TextIn, Type
from tausql.sql.types.zones import offset_text

Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes], Any]


def encoder(type: Type, format_code: int, format: SessionFormat) -> Encoder:
    """datum (never NULL) -> bytes of a DataRow column. format_code: 0 text, 1 binary. Follows the session's zone."""
    if format_code == 1:
        return _with_labels(type, format).binary_out
    if format_code != 0:
        raise SqlError(Code.invalid_parameter_value, f"invalid format code: {format_code}")
    if type in (builtin.INT2, builtin.INT4, builtin.INT8, builtin.OID):
        return b"%d".__mod__
    if type in (builtin.TEXT, builtin.VARCHAR, builtin.BPCHAR, builtin.JSON, builtin.NAME):
        return str.encode
    if type is builtin.UUID:
        return _uuid_text
    if type is builtin.BOOL:
        return _bool_text
    if type is builtin.NUMERIC:
        return _numeric_text
    iso = format.date_style.startswith("ISO")
    if type is builtin.TIMESTAMP and iso:
        return lambda value: timestamp_text(value).encode()
    if type is builtin.TIMESTAMPTZ and iso:
        return _timestamptz_encoder(format)
    text_out = type.text_out
    return lambda value: text_out(value, format).encode()


def _with_labels(type: Type, format: SessionFormat) -> Type:
    """The type as it is, but enums and arrays of them as the session knows them."""
    if isinstance(type, EnumType):
        return in_session(type, format)
    if is_enum_array_oid(type.oid):
        return array_type(in_session(enum_type(type.element_oid), format))
    return type


def _numeric_text(value: Decimal) -> bytes:
    return format(value, "f").encode()


def _uuid_text(value: bytes) -> bytes:
    h = value.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}".encode()


def _bool_text(value: bool) -> bytes:
    return b"t" if value else b"f"


def _timestamptz_encoder(format: SessionFormat) -> Encoder:
    """Keeps the text of the last second: neighbouring rows share it."""
    last_key: tuple[int, object] = (-1, None)
    last_text = ""
    last_zone = "+00"

    def encode(us: int) -> bytes:
        nonlocal last_key, last_text, last_zone
        second, fraction = divmod(us, SECOND_US)
        key = (second, format.zone)
        if key != last_key:
            if us in (TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY):
                return timestamptz_text(us, format).encode()
            offset = format.zone.offset_at(us)
            local = (second + offset) * SECOND_US
            day, era = date_text(local // DAY_US)
            last_text = f"{day} {time_text(local % DAY_US)}"
            last_zone = offset_text(offset) + era
            last_key = key
        if fraction:
            return f"{last_text}.{f'{fraction:06d}'.rstrip('0')}{last_zone}".encode()
        return f"{last_text}{last_zone}".encode()

    return encode


def decoder(type: Type, format_code: int, format: SessionFormat) -> Decoder:
    """Bytes of a Bind parameter (never NULL) -> datum; bad values raise 22P02, 22P03, ..."""
    if format_code == 1:
        return _with_labels(type, format).binary_in
    if format_code != 0:
        raise SqlError(Code.invalid_parameter_value, f"invalid format code: {format_code}")
    if type in (builtin.TEXT, builtin.VARCHAR, builtin.UNKNOWN):
        return decode_utf8
    text_in = type.text_in
    if type in (builtin.INT4, builtin.INT8):
        return _integer_decoder(text_in, format)
    if type is builtin.UUID:
        return _uuid_decoder(text_in, format)
    return lambda data: text_in(decode_utf8(data), format, -1)


def _integer_decoder(text_in: TextIn, format: SessionFormat) -> Decoder:
    """Up to nine digits are in range and are nothing but digits: no text, no pattern."""

    def decode(data: bytes) -> int:
        if len(data) < 10 and data.isdigit():
            return int(data)
        value: int = text_in(decode_utf8(data), format, -1)
        return value

    return decode


def _uuid_decoder(text_in: TextIn, format: SessionFormat) -> Decoder:
    """The usual 36 characters without a pattern."""

    def decode(data: bytes) -> bytes:
        if len(data) == 36 and data[8] == data[13] == data[18] == data[23] == 0x2D:
            digits = bytes(data).replace(b"-", b"")
            if len(digits) == 32 and digits.isalnum():
                with suppress(ValueError):  # the general reader says what is wrong
                    return unhexlify(digits)
        value: bytes = text_in(decode_utf8(data), format, -1)
        return value

    return decode
