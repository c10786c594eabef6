"""Order-preserving keys: the bytes of a tuple sort as PostgreSQL sorts the tuple.

The obvious answer, a general serialisation, keeps neither order nor prefixes. Here every value is self-delimiting, so
that the key of a shorter tuple (the first columns only) bounds exactly the keys that start with these values. Layout:

    key       relation prefix (cluster, relation or index id: 4 + 4 bytes, big-endian), then one value a column
    value     0xFE for NULL (so NULLs come last; 0x00 in a column declared NULLS FIRST), else 0x01 and the body
    integer   8 bytes, sign bit flipped           float    8 bytes, IEEE order made unsigned; NaN greatest, -0 = 0
    uuid      16 bytes                            boolean  1 byte
    text      UTF-8, 0x00 written as 0x00 0xFF, ended by 0x00 (bpchar without its trailing blanks, bytes alike)
    numeric   class, exponent, two digits a byte; 1.0 and 1.00 are one key

Range bounds for a tuple of the first columns `p = encode(values)`: all keys that start with these values are
[p, values_end(p)); those above them (`> values`) start at values_end(p); the next column's NULLs at nulls_start(p).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from struct import Struct
from typing import Any

PREFIX_BYTES = 8
NULL_MARKER = b"\xfe"
NULL_FIRST_MARKER = b"\x00"
VALUE_MARKER = b"\x01"
COVERING_MARKER = b"\xff"  # of entries' values; a key begins with its cluster's number, which is far below
_LENGTH_BYTES = 4
_COVERED_AT = 1 + _LENGTH_BYTES

Datum = Any
KeyEncoder = Callable[[Sequence[Datum]], bytes]
KeyDecoder = Callable[[bytes], list[Datum]]

_BIAS = 1 << 63
_ALL_ONES = (1 << 64) - 1
_pack_unsigned = Struct(">Q").pack
_pack_value = Struct(">cQ").pack
_unpack_unsigned = Struct(">Q").unpack_from
_pack_float = Struct(">d").pack
_unpack_float = Struct(">d").unpack
_pack_relation = Struct(">II").pack
_INVERTED = bytes(range(255, -1, -1))
_EXPONENT_BIAS = 1 << 31

# Classes of numeric, in order.
_MINUS_INFINITY, _NEGATIVE, _ZERO, _POSITIVE, _INFINITY, _NAN = (bytes([n]) for n in range(6))


class KeyKind(Enum):
    """How a column's values are laid out in keys."""

    integer = "integer"  # int2/4/8, oid, date, timestamp, timestamptz, time
    float = "float"
    text = "text"
    bpchar = "bpchar"  # trailing blanks do not count
    uuid = "uuid"  # 16 raw bytes
    boolean = "boolean"
    numeric = "numeric"
    bytes = "bytes"


def relation_prefix(cluster: int, relation: int) -> bytes:
    """The first 8 bytes of every key of a relation. Index ids share the relations' number space."""
    return _pack_relation(cluster, relation)


def prefix_end(prefix: bytes) -> bytes:
    """The smallest key after every key that starts with `prefix` (bytewise); b"" = there is none."""
    trimmed = prefix.rstrip(b"\xff")
    if not trimmed:
        return b""
    return trimmed[:-1] + bytes([trimmed[-1] + 1])


def cluster_range(cluster: int) -> tuple[bytes, bytes]:
    """All keys of a cluster: [low, high); high b"" = no end."""
    prefix = relation_prefix(cluster, 0)[:4]
    return prefix, prefix_end(prefix)


def values_end(encoded: bytes) -> bytes:
    """The smallest key after every key that starts with the values of `encoded`, a tuple of the first columns."""
    return encoded + b"\xff"


def nulls_start(encoded: bytes) -> bytes:
    """Where the NULLs of the next column begin (NULLS LAST), among the keys that start with the values of `encoded`."""
    return encoded + NULL_MARKER


def identity_key(row_key: bytes) -> bytes:
    """The conflict key K of a row: its existence and key columns. Never equal to any row's or entry's own key."""
    return row_key + b"\xff"


def nulls_end(encoded: bytes) -> bytes:
    """Where the values of the next column begin, in a column declared NULLS FIRST."""
    return encoded + VALUE_MARKER


def entry_key(encoder: KeyEncoder, values: Sequence[Datum], row_key: bytes, unique: bool) -> bytes:
    """The key of an index entry. `encoder` is the index's own, `values` its columns.

    Unique: the indexed columns alone, so that equal values meet at one key. Non-unique, or with a NULL among the values
    (NULLs are distinct): the row's key columns follow. The entry's value is `row_key`, or a `covering_value`."""
    if unique and None not in values:
        return encoder(values)
    return encoder(values) + row_key[PREFIX_BYTES:]


def covering_value(row_key: bytes, included: bytes) -> bytes:
    """The value of an entry that has more of its row than the indexed columns: `included`, encoded as rows are."""
    return COVERING_MARKER + len(row_key).to_bytes(_LENGTH_BYTES, "big") + row_key + included


def row_key_of(value: bytes) -> bytes:
    """The row's key in an entry's value. No key, and no stored row, begins as a covering value does."""
    if value[:1] != COVERING_MARKER:
        return value
    return value[_COVERED_AT : _COVERED_AT + int.from_bytes(value[1:_COVERED_AT], "big")]


def included_in(value: bytes) -> bytes | None:
    """What an entry's value has of its row besides the row's key; None: nothing."""
    if value[:1] != COVERING_MARKER:
        return None
    return value[_COVERED_AT + int.from_bytes(value[1:_COVERED_AT], "big") :]


def key_encoder(prefix: bytes, kinds: Sequence[KeyKind], nulls_first: Sequence[bool] = ()) -> KeyEncoder:
    """A function from the first n values (n <= len(kinds)) to their key. `nulls_first` marks, by position, the columns
    whose NULLs sort before everything else. Raises ValueError for more values than kinds, struct.error for an integer
    outside 64 bits."""
    nulls = tuple(_null_markers(len(kinds), nulls_first))
    if len(kinds) == 1:
        if kinds[0] is KeyKind.integer:
            return _one_integer_encoder(prefix, nulls[0])
        return _one_encoder(prefix, kinds[0], nulls[0])
    columns = tuple((_ENCODERS[kind], null) for kind, null in zip(kinds, nulls, strict=True))
    count = len(columns)

    def encode(values: Sequence[Datum]) -> bytes:
        if len(values) > count:
            raise ValueError(f"{len(values)} values for a key of {count} columns")
        key = prefix
        for value, (encoder, null) in zip(values, columns, strict=False):
            key += null if value is None else encoder(value)
        return key

    return encode


def _null_markers(count: int, nulls_first: Sequence[bool]) -> list[bytes]:
    first = list(nulls_first) + [False] * (count - len(nulls_first))
    return [NULL_FIRST_MARKER if wanted else NULL_MARKER for wanted in first[:count]]


def _one_integer_encoder(prefix: bytes, null_marker: bytes) -> KeyEncoder:
    head = prefix + VALUE_MARKER
    null = prefix + null_marker

    def encode(values: Sequence[Datum]) -> bytes:
        if len(values) != 1:
            if values:
                raise ValueError(f"{len(values)} values for a key of 1 column")
            return prefix
        value = values[0]
        return null if value is None else head + _pack_unsigned(value + _BIAS)

    return encode


def _one_encoder(prefix: bytes, kind: KeyKind, null_marker: bytes) -> KeyEncoder:
    encoder = _ENCODERS[kind]
    null = prefix + null_marker

    def encode(values: Sequence[Datum]) -> bytes:
        if len(values) != 1:
            if values:
                raise ValueError(f"{len(values)} values for a key of 1 column")
            return prefix
        value = values[0]
        return null if value is None else prefix + encoder(value)

    return encode


def _encode_integer(value: int) -> bytes:
    return _pack_value(b"\x01", value + _BIAS)


def _encode_float(value: float) -> bytes:
    if value != value:
        return b"\x01" + b"\xff" * 8
    (bits,) = _unpack_unsigned(_pack_float(value + 0.0))  # + 0.0 turns -0.0 into 0.0
    return _pack_value(b"\x01", bits ^ _ALL_ONES if bits & _BIAS else bits | _BIAS)


def _encode_text(value: str) -> bytes:
    encoded = value.encode()
    if b"\x00" in encoded:
        encoded = encoded.replace(b"\x00", b"\x00\xff")
    return b"\x01" + encoded + b"\x00"


def _encode_bpchar(value: str) -> bytes:
    return _encode_text(value.rstrip(" "))


def _encode_bytes(value: bytes) -> bytes:
    return b"\x01" + value.replace(b"\x00", b"\x00\xff") + b"\x00"


def _encode_uuid(value: bytes) -> bytes:
    if len(value) != 16:
        raise ValueError("a uuid has 16 bytes")
    return b"\x01" + value


def _encode_boolean(value: bool) -> bytes:
    return b"\x01\x01" if value else b"\x01\x00"


def _encode_numeric(value: Decimal) -> bytes:
    if not value.is_finite():
        if value.is_nan():
            return b"\x01" + _NAN
        return b"\x01" + (_INFINITY if value > 0 else _MINUS_INFINITY)
    if not value:
        return b"\x01" + _ZERO
    sign, digits, _ = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    text = text.rstrip("0")
    if len(text) & 1:
        text += "0"
    # Pairs are written as 1 to 100 so that the 0x00 at the end sorts a shorter number first.
    body = (value.adjusted() + _EXPONENT_BIAS).to_bytes(4, "big")
    body += bytes([int(text[at : at + 2]) + 1 for at in range(0, len(text), 2)]) + b"\x00"
    if sign:
        return b"\x01" + _NEGATIVE + body.translate(_INVERTED)
    return b"\x01" + _POSITIVE + body


_ENCODERS: dict[KeyKind, Callable[[Datum], bytes]] = {
    KeyKind.integer: _encode_integer,
    KeyKind.float: _encode_float,
    KeyKind.text: _encode_text,
    KeyKind.bpchar: _encode_bpchar,
    KeyKind.uuid: _encode_uuid,
    KeyKind.boolean: _encode_boolean,
    KeyKind.numeric: _encode_numeric,
    KeyKind.bytes: _encode_bytes,
}


def key_decoder(prefix: bytes, kinds: Sequence[KeyKind]) -> KeyDecoder:
    """The inverse of `key_encoder`, for debugging and tests: values come back in canonical form (bpchar without
    trailing blanks, numeric without trailing zeros, 0.0 for -0.0). Raises ValueError for what is not such a key;
    what follows the last column is left alone (the key columns of the row, in an index entry)."""
    decoders = tuple(_DECODERS[kind] for kind in kinds)

    def decode(key: bytes) -> list[Datum]:
        if not key.startswith(prefix):
            raise ValueError("the key is of another relation")
        at = len(prefix)
        values: list[Datum] = []
        for decoder in decoders:
            if at == len(key):
                break
            marker = key[at]
            at += 1
            if marker in (0xFE, 0x00):
                values.append(None)
                continue
            if marker != 0x01:
                raise ValueError(f"no value starts with 0x{marker:02x}")
            value, at = decoder(key, at)
            values.append(value)
        return values

    return decode


def _decode_integer(key: bytes, at: int) -> tuple[Datum, int]:
    return _unpack_unsigned(key, at)[0] - _BIAS, at + 8


def _decode_float(key: bytes, at: int) -> tuple[Datum, int]:
    (bits,) = _unpack_unsigned(key, at)
    if bits == _ALL_ONES:
        return float("nan"), at + 8
    bits = bits ^ _BIAS if bits & _BIAS else bits ^ _ALL_ONES
    return _unpack_float(_pack_unsigned(bits))[0], at + 8


def _decode_bytes(key: bytes, at: int) -> tuple[Datum, int]:
    end = at
    while True:
        end = key.index(b"\x00", end)
        if key[end + 1 : end + 2] != b"\xff":
            return key[at:end].replace(b"\x00\xff", b"\x00"), end + 1
        end += 2


def _decode_text(key: bytes, at: int) -> tuple[Datum, int]:
    value, at = _decode_bytes(key, at)
    return value.decode(), at


def _decode_uuid(key: bytes, at: int) -> tuple[Datum, int]:
    return key[at : at + 16], at + 16


def _decode_boolean(key: bytes, at: int) -> tuple[Datum, int]:
    return key[at] == 1, at + 1


def _decode_numeric(key: bytes, at: int) -> tuple[Datum, int]:
    rank = key[at]
    at += 1
    if rank == _ZERO[0]:
        return Decimal(0), at
    if rank in (_MINUS_INFINITY[0], _INFINITY[0], _NAN[0]):
        name = {_MINUS_INFINITY[0]: "-Infinity", _INFINITY[0]: "Infinity", _NAN[0]: "NaN"}[rank]
        return Decimal(name), at
    negative = rank == _NEGATIVE[0]
    end = key.index(b"\xff" if negative else b"\x00", at + 4)
    body = key[at:end].translate(_INVERTED) if negative else key[at:end]
    exponent = int.from_bytes(body[:4], "big") - _EXPONENT_BIAS
    digits = "".join(f"{pair - 1:02d}" for pair in body[4:]).rstrip("0")
    digits_tuple = tuple(map(int, digits))
    return Decimal((int(negative), digits_tuple, exponent - len(digits_tuple) + 1)), end + 1


_DECODERS: dict[KeyKind, Callable[[bytes, int], tuple[Datum, int]]] = {
    KeyKind.integer: _decode_integer,
    KeyKind.float: _decode_float,
    KeyKind.text: _decode_text,
    KeyKind.bpchar: _decode_text,
    KeyKind.uuid: _decode_uuid,
    KeyKind.boolean: _decode_boolean,
    KeyKind.numeric: _decode_numeric,
    KeyKind.bytes: _decode_bytes,
}
