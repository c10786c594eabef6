"""Functions on text and bytea."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, declare, operator
from tausql.sql.types.scalars import decode_hex, decode_utf8, unescape_bytea

LENGTH_MAX: Final = 10_000_000  # characters of a built string; PostgreSQL refuses at 1 GB


def too_long() -> SqlError:
    return SqlError(Code.program_limit_exceeded, "requested length too large")


def substring(text: Any, start: int, count: int | None = None) -> Any:
    """1-based; positions before the string count against the length. Also for bytea."""
    begin = start - 1
    if count is None:
        return text[max(begin, 0) :]
    if count < 0:
        raise SqlError(Code.substring_error, "negative substring length not allowed")
    end = begin + count
    return text[max(begin, 0) : max(end, 0)]


def _left(text: str, count: int) -> str:
    return text[:count] if count >= 0 else text[: max(len(text) + count, 0)]


def _right(text: str, count: int) -> str:
    if count >= 0:
        return text[max(len(text) - count, 0) :]
    return text if count == -(2**31) else text[-count:]


def _lpad(text: str, length: int, fill: str = " ") -> str:
    if length > LENGTH_MAX:
        raise too_long()
    missing = length - len(text)
    if missing <= 0:
        return text[: max(length, 0)]
    return ((fill * (missing // len(fill) + 1))[:missing] if fill else "") + text


def _rpad(text: str, length: int, fill: str = " ") -> str:
    if length > LENGTH_MAX:
        raise too_long()
    missing = length - len(text)
    if missing <= 0:
        return text[: max(length, 0)]
    return text + ((fill * (missing // len(fill) + 1))[:missing] if fill else "")


def _repeat(text: str, count: int) -> str:
    if count > 0 and len(text) * count > LENGTH_MAX:
        raise too_long()
    return text * max(count, 0)


def _initcap(text: str) -> str:
    out = []
    inside = False
    for char in text:
        out.append(char.lower() if inside else char.upper())
        inside = char.isalnum()
    return "".join(out)


# The C collation knows the case of ASCII letters only.
_UPPER: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def ascii_upper(text: str) -> str:
    return text.upper() if text.isascii() else text.translate(_UPPER)


def ascii_lower(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_LOWER)


def _ascii_initcap(text: str) -> str:
    if text.isascii():
        return _initcap(text)
    out = []
    inside = False
    for char in text:
        out.append(ascii_lower(char) if inside else ascii_upper(char))
        inside = char.isascii() and char.isalnum()
    return "".join(out)


def _replace(text: str, old: str, new: str) -> str:
    return text.replace(old, new) if old else text


def _translate(text: str, old: str, new: str) -> str:
    table: dict[int, str | None] = {}
    for at, char in enumerate(old):
        table.setdefault(ord(char), new[at] if at < len(new) else None)
    return text.translate(table)


def split_part(text: str, delimiter: str, field: int) -> str:
    if field == 0:
        raise SqlError(Code.invalid_parameter_value, "field position must not be zero")
    parts = text.split(delimiter) if delimiter else [text]
    if field < 0:
        field += len(parts) + 1
    return parts[field - 1] if 1 <= field <= len(parts) else ""


def _position(text: str, part: str) -> int:
    return text.find(part) + 1


def overlay(text: Any, new: Any, start: int, count: int | None = None) -> Any:
    if start <= 0:
        raise SqlError(Code.substring_error, "negative substring length not allowed")
    length = len(new) if count is None else count
    if start + length >= 2**31:
        raise SqlError(Code.numeric_value_out_of_range, "integer out of range")
    return text[: start - 1] + new + text[max(start - 1 + length, 0) :]


def _chr(code: int) -> str:
    if code == 0:
        raise SqlError(Code.program_limit_exceeded, "null character not permitted")
    if code < 0:
        raise SqlError(Code.invalid_parameter_value, "character number must be positive")
    if code > 0x10FFFF:
        raise SqlError(Code.program_limit_exceeded, f"requested character too large for encoding: {code}")
    if 0xD800 <= code <= 0xDFFF:
        raise SqlError(Code.program_limit_exceeded, f"requested character not valid for encoding: {code}")
    return chr(code)


def _to_hex(bits: int) -> Callable[[int], str]:
    return lambda value: format(value & ((1 << bits) - 1), "x")


def quote_identifier(text: str) -> str:
    """Quotes where the name would not read back as itself."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", text) and text not in _RESERVED:
        return text
    return '"' + text.replace('"', '""') + '"'


_RESERVED: Final = frozenset(
    (
        "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both "
        "case cast char character check coalesce collate collation column concurrently constraint create cross "
        "current_catalog current_date current_role current_schema current_time current_timestamp current_user dec "
        "decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign "
        "freeze from full grant greatest group grouping having ilike in initially inner inout int integer "
        "intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp "
        "national natural nchar none not notnull null nullif numeric offset on only or order out outer overlaps "
        "overlay placing position precision primary real references returning right row select session_user setof "
        "similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing "
        "treat trim true union unique user using values varchar variadic verbose when where window with "
    ).split()
)


def quote_literal(text: str) -> str:
    body = text.replace("'", "''")
    return "E'" + body.replace("\\", "\\\\") + "'" if "\\" in body else f"'{body}'"


def _encode(data: bytes, name: str) -> str:
    kind = name.lower()
    if kind == "hex":
        return data.hex()
    if kind == "base64":
        text = base64.b64encode(data).decode()
        return "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    if kind == "escape":
        return "".join("\\\\" if byte == 0x5C else chr(byte) if 0 < byte < 0x80 else f"\\{byte:03o}" for byte in data)
    raise SqlError(Code.invalid_parameter_value, f'unrecognized encoding: "{name}"')


def _decode(text: str, name: str) -> bytes:
    kind = name.lower()
    if kind == "hex":
        return decode_hex(text)
    if kind == "base64":
        try:
            return base64.b64decode(re.sub(r"[ \t\r\n]", "", text), validate=True)
        except binascii.Error as error:
            raise SqlError(
                Code.invalid_parameter_value,
                "invalid base64 end sequence",
                hint="Input data is missing padding, is truncated, or is otherwise corrupted.",
            ) from error
    if kind == "escape":
        return unescape_bytea(text)
    raise SqlError(Code.invalid_parameter_value, f'unrecognized encoding: "{name}"')


def _convert_from(data: bytes, name: str) -> str:
    _check_encoding(name, "source")
    return decode_utf8(data)


def _convert_to(text: str, name: str) -> bytes:
    _check_encoding(name, "destination")
    return text.encode()


def _is_utf8(name: str) -> bool:
    return "".join(char for char in name.lower() if char.isalnum()) in ("utf8", "unicode")


def _check_encoding(name: str, role: str) -> None:
    if not _is_utf8(name):
        raise SqlError(Code.invalid_parameter_value, f'invalid {role} encoding name "{name}"')


def _concat(context: Any, *values: Any) -> str:
    return "".join(value for value in values if value is not None)


def _concat_ws(context: Any, separator: str | None, *values: Any) -> str | None:
    if separator is None:
        return None
    return separator.join(value for value in values if value is not None)


_FORMAT = re.compile(r"%(?:%|(?:(\d+)\$)?(-?)(\d+|\*(?:(\d+)\$)?)?(.)?)", re.S)


def _format(context: Any, template: str | None, *values: Any) -> str | None:
    """format(): %s %I %L with positions and widths."""
    if template is None:
        return None
    position = 0

    def argument(number: str | None) -> Any:
        nonlocal position
        if number is not None:
            if int(number) == 0:
                raise SqlError(
                    Code.invalid_parameter_value, "format specifies argument 0, but arguments are numbered from 1"
                )
            position = int(number)
        else:
            position += 1
        if position > len(values):
            raise SqlError(Code.invalid_parameter_value, "too few arguments for format()")
        return values[position - 1]

    def one(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        number, minus, width, width_number, kind = found.groups()
        if kind is None:
            raise SqlError(
                Code.invalid_parameter_value, "unterminated format() type specifier", hint='For a single "%" use "%%".'
            )
        if kind not in "sIL":
            raise SqlError(
                Code.invalid_parameter_value,
                f'unrecognized format() type specifier "{kind}"',
                hint='For a single "%" use "%%".',
            )
        size = int(argument(width_number) or 0) if width and width.startswith("*") else int(width or 0)
        value = argument(number)
        if kind == "I":
            if value is None:
                raise SqlError(Code.invalid_parameter_value, "null values cannot be formatted as an SQL identifier")
            text = quote_identifier(value)
        elif kind == "L":
            text = "NULL" if value is None else quote_literal(value)
        else:
            text = "" if value is None else value
        return text.ljust(size) if minus or size < 0 else text.rjust(size)

    return _FORMAT.sub(one, template)


def _bytes_trim(data: bytes, chars: bytes) -> bytes:
    return data.strip(chars) if chars else data


def _characters(data: bytes, name: str) -> int:
    if not _is_utf8(name):
        raise SqlError(Code.invalid_parameter_value, f'invalid encoding name "{name}"')
    return len(decode_utf8(data))


def _convert(data: bytes, source: str, target: str) -> bytes:
    return _convert_to(_convert_from(data, source), target)


def _strip(method: Callable[..., str]) -> Callable[..., str]:
    def run(text: str, chars: str = " ") -> str:
        return method(text, chars) if chars else text

    return run


def _lengths() -> Iterator[Function]:
    for name in ("length", "char_length", "character_length"):
        yield declare(f"{name}(text) int4", len)
        yield declare(f"{name}(bpchar) int4", lambda text: len(text.rstrip(" ")))
    yield declare("length(bytea) int4", len)
    yield declare("octet_length(text) int4", lambda text: len(text.encode()))
    yield declare("octet_length(bpchar) int4", lambda text: len(text.encode()))
    yield declare("octet_length(bytea) int4", len)
    yield declare("bit_length(text) int4", lambda text: 8 * len(text.encode()))
    yield declare("bit_length(bytea) int4", lambda data: 8 * len(data))


def _cutting() -> Iterator[Function]:
    for name in ("substring", "substr"):
        for kind in ("text", "bytea"):
            yield declare(f"{name}({kind}, int4) {kind}", substring)
            yield declare(f"{name}({kind}, int4, int4) {kind}", substring)
    yield declare("left(text, int4) text", _left)
    yield declare("right(text, int4) text", _right)
    for name, impl in (("lpad", _lpad), ("rpad", _rpad)):
        yield declare(f"{name}(text, int4) text", impl)
        yield declare(f"{name}(text, int4, text) text", impl)
    for name, method in (("btrim", str.strip), ("ltrim", str.lstrip), ("rtrim", str.rstrip)):
        yield declare(f"{name}(text) text", _strip(method))
        yield declare(f"{name}(text, text) text", _strip(method))
    yield declare("btrim(bytea, bytea) bytea", _bytes_trim)
    yield declare("ltrim(bytea, bytea) bytea", lambda data, chars: data.lstrip(chars) if chars else data)
    yield declare("rtrim(bytea, bytea) bytea", lambda data, chars: data.rstrip(chars) if chars else data)
    yield declare("length(bytea, name) int4", _characters)
    yield declare("convert(bytea, name, name) bytea", _convert)
    yield declare("split_part(text, text, int4) text", split_part)
    for kind in ("text", "bytea"):
        yield declare(f"overlay({kind}, {kind}, int4) {kind}", overlay)
        yield declare(f"overlay({kind}, {kind}, int4, int4) {kind}", overlay)
        yield declare(f"position({kind}, {kind}) int4", _position)


def _changing() -> Iterator[Function]:
    yield declare("lower(text) text", ascii_lower)
    yield declare("upper(text) text", ascii_upper)
    yield declare("initcap(text) text", _ascii_initcap)
    yield declare("replace(text, text, text) text", _replace)
    yield declare("translate(text, text, text) text", _translate)
    yield declare("repeat(text, int4) text", _repeat)
    yield declare("reverse(text) text", lambda text: text[::-1])
    yield declare("strpos(text, text) int4", _position)
    yield declare("starts_with(text, text) bool", str.startswith)
    yield operator("^@", "text", "text", "bool", str.startswith)
    yield declare("ascii(text) int4", lambda text: ord(text[0]) if text else 0)
    yield declare("chr(int4) text", _chr)
    yield declare("to_hex(int4) text", _to_hex(32))
    yield declare("to_hex(int8) text", _to_hex(64))
    yield declare("to_bin(int4) text", lambda value: format(value & 0xFFFFFFFF, "b"))
    yield declare("to_bin(int8) text", lambda value: format(value & 0xFFFFFFFFFFFFFFFF, "b"))
    yield declare("to_oct(int4) text", lambda value: format(value & 0xFFFFFFFF, "o"))
    yield declare("to_oct(int8) text", lambda value: format(value & 0xFFFFFFFFFFFFFFFF, "o"))
    yield declare("quote_ident(text) text", quote_identifier)
    yield declare("quote_literal(text) text", quote_literal)
    yield declare("quote_literal(anyelement) text", _quoted_any, volatility=STABLE, context=True)
    yield declare(
        "quote_nullable(text) text", lambda text: "NULL" if text is None else quote_literal(text), strict=False
    )


def _quoted_any(context: Any, value: Any) -> str:
    return quote_literal(str(value))


def _digests() -> Iterator[Function]:
    yield declare("md5(text) text", lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
    yield declare("md5(bytea) text", lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest())
    for name in ("sha224", "sha256", "sha384", "sha512"):
        yield declare(f"{name}(bytea) bytea", _digest(name))
    yield declare("encode(bytea, text) text", _encode)
    yield declare("decode(text, text) bytea", _decode)
    yield declare("convert_from(bytea, name) text", _convert_from)
    yield declare("convert_to(text, name) bytea", _convert_to)


def _digest(name: str) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.new(name, data).digest()


def _joining() -> Iterator[Function]:
    """The binder makes text of the arguments of concat, concat_ws, format and of the other side of ||."""
    yield operator("||", "text", "text", "text", str.__add__)
    yield operator("||", "bytea", "bytea", "bytea", bytes.__add__)
    yield operator("||", "text", "anynonarray", "text", str.__add__)
    yield operator("||", "anynonarray", "text", "text", str.__add__)
    yield declare("concat(variadic any) text", _concat, volatility=STABLE, strict=False, context=True)
    yield declare("concat_ws(text, variadic any) text", _concat_ws, volatility=STABLE, strict=False, context=True)
    yield declare("format(text) text", _format, volatility=STABLE, strict=False, context=True)
    yield declare("format(text, variadic any) text", _format, volatility=STABLE, strict=False, context=True)


def functions() -> Iterator[Function]:
    yield from _lengths()
    yield from _cutting()
    yield from _changing()
    yield from _digests()
    yield from _joining()


TEXT_ARGUMENTS: Final = frozenset(("concat", "concat_ws", "format", "||", "quote_literal"))
