"""Text and binary forms of booleans, integers, strings, bytea, uuid, void and unknown."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import BinaryIn, BinaryOut, TextIn, TextOut

Codec = tuple[TextIn, TextOut, BinaryIn, BinaryOut]

_INTEGER = re.compile(
    r"[ \t\n\r\f\v]*([+-]?)(?:(\d+(?:_\d+)*)|0[xX]((?:_?[0-9a-fA-F])+)"
    r"|0[oO]((?:_?[0-7])+)|0[bB]((?:_?[01])+))[ \t\n\r\f\v]*"
)
INT_LIMITS: Final = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}


def invalid_text(sql_name: str, text: str) -> SqlError:
    """22P02 `invalid input syntax for type integer: "abc"`."""
    return SqlError(Code.invalid_text_representation, f'invalid input syntax for type {sql_name}: "{text}"')


def binary_length_error(message: str = "incorrect binary data format") -> SqlError:
    return SqlError(Code.invalid_binary_representation, message)


def bool_in(text: str, _format: SessionFormat, _typmod: int = -1) -> bool:
    word = text.strip().lower()
    if word in ("t", "true", "y", "yes", "on", "1"):
        return True
    if word in ("f", "false", "n", "no", "off", "0"):
        return False
    if word and word != "o":
        for full, value in (("true", True), ("false", False), ("yes", True), ("no", False), ("off", False)):
            if full.startswith(word):
                return value
    raise invalid_text("boolean", text)


def bool_out(value: bool, _format: SessionFormat) -> str:
    return "t" if value else "f"


def parse_integer(text: str, sql_name: str, limit: int) -> int:
    """A signed integer in [-limit, limit); 22P02 or 22003."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise invalid_text(sql_name, text)
    sign, decimal, hexadecimal, octal, binary = found.groups()
    digits, base = (
        (decimal, 10) if decimal else (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (binary, 2)
    )
    if len(digits) < 80:
        value = int(digits.replace("_", ""), base)
        if sign == "-":
            value = -value
        if -limit <= value < limit:
            return value
    raise SqlError(Code.numeric_value_out_of_range, f'value "{text}" is out of range for type {sql_name}')


def integer_codec(sql_name: str, size: int, layout: str) -> Codec:
    """smallint, integer or bigint of `size` bytes."""
    limit = INT_LIMITS[sql_name]
    packer = struct.Struct(layout)
    pack, unpack = packer.pack, packer.unpack

    def text_in(text: str, _format: SessionFormat, _typmod: int = -1) -> int:
        if text.isascii() and text.isdigit() and len(text) < 5:
            return int(text)
        return parse_integer(text, sql_name, limit)

    def text_out(value: int, _format: SessionFormat) -> str:
        return str(value)

    def binary_in(data: bytes) -> int:
        if len(data) != size:
            raise binary_length_error()
        number: int = unpack(data)[0]
        return number

    return text_in, text_out, binary_in, pack


def oid_codec() -> Codec:
    packer = struct.Struct("!I")

    def text_in(text: str, _format: SessionFormat, _typmod: int = -1) -> int:
        found = re.fullmatch(r"\s*([+-]?\d+)\s*", text)
        if found is None:
            raise invalid_text("oid", text)
        value = int(found[1])
        if -(2**31) <= value < 0:
            value += 2**32
        if not 0 <= value < 2**32:
            raise SqlError(Code.numeric_value_out_of_range, f'value "{text}" is out of range for type oid')
        return value

    def binary_in(data: bytes) -> int:
        if len(data) != 4:
            raise binary_length_error()
        number: int = packer.unpack(data)[0]
        return number

    return text_in, lambda value, _format: str(value), binary_in, packer.pack


def reg_codec(kind: str) -> Codec:
    """regclass, regtype, ...: an oid whose text is a name, resolved by the session's hooks."""
    _, _, binary_in, binary_out = oid_codec()
    none = "0" if kind.startswith("oper") else "-"

    def text_in(text: str, format: SessionFormat, _typmod: int = -1) -> int:
        stripped = text.strip()
        if stripped == none == "-":  # that is the name of an operator
            return 0
        if stripped.isascii() and stripped.isdigit():
            number = int(stripped)
            if number >= 1 << 32:
                raise SqlError(Code.numeric_value_out_of_range, f'value "{stripped}" is out of range for type oid')
            return number
        if format.resolve_reg is None:
            raise SqlError(Code.undefined_object, f'{kind} "{text}" does not exist')
        return format.resolve_reg(kind, text)

    def text_out(value: int, format: SessionFormat) -> str:
        if value == 0:
            return none
        name = format.name_reg(kind, value) if format.name_reg is not None else None
        return str(value) if name is None else name

    return text_in, text_out, binary_in, binary_out


def decode_utf8(data: bytes) -> str:
    """Bytes from a client as text; 22021 for what is not UTF-8 or contains a zero byte."""
    try:
        text = bytes(data).decode("utf-8")
    except UnicodeDecodeError as error:
        if b"\0" in bytes(data[: error.start]):
            raise SqlError(
                Code.character_not_in_repertoire, 'invalid byte sequence for encoding "UTF8": 0x00'
            ) from error
        shown = " ".join(f"0x{byte:02x}" for byte in data[error.start : error.start + 4][: error.end - error.start])
        raise SqlError(
            Code.character_not_in_repertoire, f'invalid byte sequence for encoding "UTF8": {shown}'
        ) from error
    if "\0" in text:
        raise SqlError(Code.character_not_in_repertoire, 'invalid byte sequence for encoding "UTF8": 0x00')
    return text


def text_codec() -> Codec:
    return (
        lambda text, _format, _typmod=-1: text,
        lambda value, _format: value,
        decode_utf8,
        lambda value: value.encode(),
    )


def fit_varchar(value: str, typmod: int, explicit: bool) -> str:
    """varchar(n): an explicit cast truncates; otherwise only trailing blanks may be lost, else 22001."""
    limit = typmod - 4
    if typmod < 0 or len(value) <= limit:
        return value
    if not explicit and value[limit:].strip(" "):
        raise SqlError(Code.string_data_right_truncation, f"value too long for type character varying({limit})")
    return value[:limit]


def fit_bpchar(value: str, typmod: int, explicit: bool) -> str:
    """char(n): pads with blanks to n characters; too long as varchar."""
    if typmod < 0:
        return value
    limit = typmod - 4
    if len(value) <= limit:
        return value.ljust(limit)
    if not explicit and value[limit:].strip(" "):
        raise SqlError(Code.string_data_right_truncation, f"value too long for type character({limit})")
    return value[:limit]


def string_codec(fit: Callable[[str, int, bool], str]) -> Codec:
    """varchar and bpchar: text with a length."""
    return (
        lambda text, _format, typmod=-1: fit(text, typmod, False),
        lambda value, _format: value,
        decode_utf8,
        lambda value: value.encode(),
    )


def clip_name(text: str) -> str:
    """`name` holds 63 bytes and cuts silently."""
    if len(text) < 64 and text.isascii():
        return text
    return text.encode()[:63].decode("utf-8", "ignore")


def name_codec() -> Codec:
    return (
        lambda text, _format, _typmod=-1: clip_name(text),
        lambda value, _format: value,
        lambda data: clip_name(decode_utf8(data)),
        lambda value: value.encode(),
    )


def single_char_codec() -> Codec:
    """The one-byte "char" of the system catalogues."""

    def text_in(text: str, _format: SessionFormat, _typmod: int = -1) -> str:
        return text[:1] if text.isascii() else text.encode()[:1].decode("latin-1")

    def binary_in(data: bytes) -> str:
        if len(data) != 1:
            raise binary_length_error()
        return "" if data == b"\0" else bytes(data).decode("latin-1")

    return text_in, lambda value, _format: value, binary_in, lambda value: value.encode() or b"\0"


def bytea_in(text: str, _format: SessionFormat, _typmod: int = -1) -> bytes:
    """Hex (\\x..) or escape format."""
    if text.startswith("\\x"):
        return decode_hex(text[2:])
    return unescape_bytea(text)


def unescape_bytea(text: str) -> bytes:
    """The escape format: octal triples and doubled backslashes."""
    if "\\" not in text:
        return text.encode()
    raw, out, at = text.encode(), bytearray(), 0
    while at < len(raw):
        if raw[at] != 0x5C:
            out.append(raw[at])
            at += 1
        elif raw[at + 1 : at + 2] == b"\\":
            out.append(0x5C)
            at += 2
        elif re.fullmatch(rb"[0-3][0-7][0-7]", raw[at + 1 : at + 4]):
            out.append(int(raw[at + 1 : at + 4], 8))
            at += 4
        else:
            raise SqlError(Code.invalid_text_representation, "invalid input syntax for type bytea")
    return bytes(out)


def decode_hex(digits: str) -> bytes:
    """Hexadecimal digits in pairs, blanks between pairs allowed; 22023 in PostgreSQL's words."""
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        for char in digits:
            if char not in " \t\r\n0123456789abcdefABCDEF":
                raise SqlError(Code.invalid_parameter_value, f'invalid hexadecimal digit: "{char}"') from error
        raise SqlError(Code.invalid_parameter_value, "invalid hexadecimal data: odd number of digits") from error


def bytea_out(value: bytes, _format: SessionFormat) -> str:
    return "\\x" + value.hex()


_UUID = re.compile(r"\{?((?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4})\}?")


def uuid_in(text: str, _format: SessionFormat, _typmod: int = -1) -> bytes:
    """The usual form, and with braces, upper case, or hyphens after any group of four digits."""
    found = _UUID.fullmatch(text)
    if found is None or (text[0] == "{") != (text[-1] == "}"):
        raise invalid_text("uuid", text)
    return bytes.fromhex(found[1].replace("-", ""))


def uuid_out(value: bytes, _format: SessionFormat) -> str:
    h = value.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def uuid_binary_in(data: bytes) -> bytes:
    if len(data) != 16:
        raise binary_length_error()
    return bytes(data)


def bool_binary_in(data: bytes) -> bool:
    if len(data) != 1:
        raise binary_length_error()
    return data[0] != 0


def bool_binary_out(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def no_input(sql_name: str) -> TextIn:
    """Input of a pseudo-type."""

    def refuse(_text: str, _format: SessionFormat, _typmod: int = -1) -> Any:
        raise SqlError(Code.feature_not_supported, f"cannot accept a value of type {sql_name}")

    return refuse


def no_binary_input(sql_name: str) -> BinaryIn:
    def refuse(_data: bytes) -> Any:
        raise SqlError(Code.feature_not_supported, f"cannot accept a value of type {sql_name}")

    return refuse


def void_codec() -> Codec:
    return lambda _text, _format, _typmod=-1: "", lambda _value, _format: "", lambda _data: "", lambda _value: b""
