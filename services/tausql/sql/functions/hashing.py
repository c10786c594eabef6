"""hashtext and its kin: PostgreSQL's own hash (Jenkins' lookup3), which people partition and sample by."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.sql.functions.function import Function, declare

_MASK: Final = 0xFFFFFFFF
_START: Final = 0x9E3779B9 + 3923095


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by, round in ((4, 0), (6, 1), (8, 2), (16, 0), (19, 1), (4, 2)):
        if round == 0:
            a = (a - c & _MASK) ^ _rotated(c, by)
            c = c + b & _MASK
        elif round == 1:
            b = (b - a & _MASK) ^ _rotated(a, by)
            a = a + c & _MASK
        else:
            c = (c - b & _MASK) ^ _rotated(b, by)
            b = b + a & _MASK
    return a, b, c


def _finished(a: int, b: int, c: int) -> tuple[int, int, int]:
    c = (c ^ b) - _rotated(b, 14) & _MASK
    a = (a ^ c) - _rotated(c, 11) & _MASK
    b = (b ^ a) - _rotated(a, 25) & _MASK
    c = (c ^ b) - _rotated(b, 16) & _MASK
    a = (a ^ c) - _rotated(c, 4) & _MASK
    b = (b ^ a) - _rotated(a, 14) & _MASK
    c = (c ^ b) - _rotated(b, 24) & _MASK
    return a, b, c


def hashed(data: bytes, seed: int = 0) -> tuple[int, int]:
    """(low, high) 32 bits of the hash of the bytes."""
    a = b = c = (_START + len(data)) & _MASK
    if seed:
        a, b, c = _mixed(a + (seed >> 32) & _MASK, b + seed & _MASK, c)
    at = 0
    while len(data) - at >= 12:
        x, y, z = struct.unpack_from("<III", data, at)
        a, b, c = _mixed(a + x & _MASK, b + y & _MASK, c + z & _MASK)
        at += 12
    # the lowest byte of c is the length's, so that the last bytes begin at its second
    tail = data[at:]
    a = a + int.from_bytes(tail[:4], "little") & _MASK
    b = b + int.from_bytes(tail[4:8], "little") & _MASK
    c = c + (int.from_bytes(tail[8:], "little") << 8) & _MASK
    _, b, c = _finished(a, b, c)
    return c, b


def _hashed_integer(value: int, seed: int) -> tuple[int, int]:
    a = b = c = (_START + 4) & _MASK
    if seed:
        a, b, c = _mixed(a + (seed >> 32) & _MASK, b + seed & _MASK, c)
    _, b, c = _finished(a + value & _MASK, b, c)
    return c, b


def _of_int4(value: int, seed: int) -> tuple[int, int]:
    return _hashed_integer(value & _MASK, seed)


def _of_int8(value: int, seed: int) -> tuple[int, int]:
    """Equal for equal values of any integer type."""
    high = value >> 32
    return _hashed_integer((value ^ (high if value >= 0 else ~high)) & _MASK, seed)


def _of_float(value: float, seed: int) -> tuple[int, int]:
    if value == 0:
        return (0, 0) if not seed else (seed & _MASK, seed >> 32 & _MASK)
    return hashed(struct.pack("<d", value if value == value else float("nan")), seed)


def _of_text(value: str, seed: int) -> tuple[int, int]:
    return hashed(value.encode(), seed)


def _of_char(value: str, seed: int) -> tuple[int, int]:
    code = ord(value) if value else 0
    return _of_int4(code - 256 if code > 127 else code, seed)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def _short(hash: Callable[[Any, int], tuple[int, int]]) -> Callable[[Any], int]:
    return lambda value: _signed(hash(value, 0)[0], 32)


def _long(hash: Callable[[Any, int], tuple[int, int]]) -> Callable[[Any, int], int]:
    def run(value: Any, seed: int) -> int:
        low, high = hash(value, seed & 0xFFFFFFFFFFFFFFFF)
        return _signed(high << 32 | low, 64)

    return run


def functions() -> Iterator[Function]:
    kinds: tuple[tuple[str, str, Callable[[Any, int], tuple[int, int]]], ...] = (
        ("hashint2", "int2", _of_int4), ("hashint4", "int4", _of_int4), ("hashint8", "int8", _of_int8),
        ("hashoid", "oid", _of_int4), ("hashchar", "char", _of_char), ("hashtext", "text", _of_text),
        ("hashname", "name", _of_text), ("hashbpchar", "bpchar", lambda v, seed: _of_text(v.rstrip(" "), seed)),
        ("hashfloat4", "float4", _of_float), ("hashfloat8", "float8", _of_float), ("uuid_hash", "uuid", hashed),
        ("timestamp_hash", "timestamp", _of_int8), ("time_hash", "time", _of_int8),
    )  # fmt: skip
    for name, kind, hash in kinds:
        extended = name + ("_extended" if "_" in name else "extended")
        yield declare(f"{name}({kind}) int4", _short(hash))
        yield declare(f"{extended}({kind}, int8) int8", _long(hash))
