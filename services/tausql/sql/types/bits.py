"""bit(n) and bit varying(n): the datum is a str of '0' and '1', which orders as PostgreSQL orders bit strings."""

from __future__ import annotations

import struct
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat

LENGTH_MAX: Final = 83_886_080


def read_bits(text: str) -> str:
    """'101', 'b101' or 'x1f'."""
    if text[:1] in ("x", "X"):
        for char in text[1:]:
            if char not in "0123456789abcdefABCDEF":
                raise SqlError(Code.invalid_text_representation, f'"{char}" is not a valid hexadecimal digit')
        return "".join(f"{int(char, 16):04b}" for char in text[1:])
    body = text[1:] if text[:1] in ("b", "B") else text
    for char in body:
        if char not in "01":
            raise SqlError(Code.invalid_text_representation, f'"{char}" is not a valid binary digit')
    return body


def fit_bit(value: str, typmod: int, explicit: bool) -> str:
    """bit(n): an explicit cast cuts or fills on the right; otherwise the length must be n."""
    if typmod <= 0 or len(value) == typmod:
        return value
    if not explicit:
        raise SqlError(
            Code.string_data_length_mismatch, f"bit string length {len(value)} does not match type bit({typmod})"
        )
    return value[:typmod].ljust(typmod, "0")


def fit_varbit(value: str, typmod: int, explicit: bool) -> str:
    if typmod <= 0 or len(value) <= typmod:
        return value
    if not explicit:
        raise SqlError(Code.string_data_right_truncation, f"bit string too long for type bit varying({typmod})")
    return value[:typmod]


def bits_of_integer(value: int, length: int) -> str:
    """The low `length` bits in two's complement."""
    return format(value & ((1 << length) - 1), f"0{length}b")


def integer_of_bits(value: str, size: int, sql_name: str) -> int:
    if len(value) > size:
        raise SqlError(Code.numeric_value_out_of_range, f"{sql_name} out of range")
    number = int(value or "0", 2)
    return number - (1 << size) if number >= 1 << (size - 1) else number


def _binary_in(data: bytes) -> str:
    if len(data) < 4:
        raise binary_length_error("insufficient data left in message")
    (length,) = struct.unpack_from("!i", data)
    if length < 0 or length > LENGTH_MAX or len(data) != 4 + (length + 7) // 8:
        raise binary_length_error("invalid length in external bit string")
    return "".join(f"{byte:08b}" for byte in data[4:])[:length]


def _binary_out(value: str) -> bytes:
    padded = value.ljust(-(-len(value) // 8) * 8, "0")
    body = bytes(int(padded[at : at + 8], 2) for at in range(0, len(padded), 8))
    return struct.pack("!i", len(value)) + body


def _out(value: str, _format: SessionFormat) -> str:
    return value


def _bit_in(text: str, _format: SessionFormat, typmod: int = -1) -> str:
    return fit_bit(read_bits(text), typmod, False)


def _varbit_in(text: str, _format: SessionFormat, typmod: int = -1) -> str:
    return fit_varbit(read_bits(text), typmod, False)


BIT: Final[Codec] = (_bit_in, _out, _binary_in, _binary_out)
VARBIT: Final[Codec] = (_varbit_in, _out, _binary_in, _binary_out)
