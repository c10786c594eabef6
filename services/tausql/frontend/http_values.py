"""SQL values as JSON and JSON values as SQL parameters.

JSON has one kind of number, and most readers make a double of it. So what a double cannot hold exactly travels as a
string: `numeric` always (its scale would be lost too), `bigint` beyond 2^53, NaN and the infinities.

    smallint integer oid, bigint to 2^53, real double   number
    boolean                                              true, false
    json jsonb                                           the document itself
    timestamp, timestamptz                               ISO 8601, `2026-11-23T05:01:00+00:00`
    arrays                                               lists, element by element
    everything else                                      PostgreSQL's text
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

EXACT_MAX = 1 << 53

Convert = Callable[[bytes], Any]


def parameter(value: Any) -> bytes | None:
    """A JSON value as the text of a parameter whose type the statement decides. Lists and objects become JSON text.

    Raises ValueError for a text that UTF-8 cannot carry.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        raw = value.encode()
        if 0 in raw:
            raise ValueError("a text cannot hold a zero byte")
        return raw
    if isinstance(value, int | float):
        return repr(value).encode()
    return msgspec.json.encode(value)


def type_name(oid: int) -> str:
    """As PostgreSQL shows it; unknown types by number."""
    known = _TYPES.get(oid)
    if known is not None:
        return known[0]
    element = _ARRAYS.get(oid)
    return f"{_TYPES[element][0]}[]" if element is not None else f"oid {oid}"


def array_element(oid: int) -> int | None:
    """Type of an array's elements; None for what is no array."""
    return _ARRAYS.get(oid)


def converter(oid: int) -> Convert:
    """Text of a value of this type, as bytes, to what goes into the JSON answer."""
    known = _TYPES.get(oid)
    if known is not None:
        return known[1]
    element = _ARRAYS.get(oid)
    return _array(_TYPES[element][1]) if element is not None else _text


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _boolean(raw: bytes) -> bool:
    return raw == b"t"


def _bigint(raw: bytes) -> int | str:
    value = int(raw)
    return value if -EXACT_MAX <= value <= EXACT_MAX else raw.decode()


def _double(raw: bytes) -> float | str:
    value = float(raw)
    return value if math.isfinite(value) else raw.decode()


def _json(raw: bytes) -> msgspec.Raw:
    return msgspec.Raw(raw)


def _timestamp(raw: bytes) -> str:
    text = raw.decode()
    if len(text) < 19 or text[4] != "-" or text.endswith("BC"):
        return text  # infinity, and years ISO 8601 does not agree on
    text = text.replace(" ", "T", 1)
    return text + ":00" if text[-3] in "+-" else text


def _array(element: Convert) -> Convert:
    def convert(raw: bytes) -> Any:
        text = raw.decode(errors="replace")
        # A dimension that does not start at 1 is written before the braces; JSON has no place for it.
        start = text.find("{")
        try:
            value, end = _braces(text, start, element) if start >= 0 else (None, -1)
        except (ValueError, IndexError):
            return text
        return value if end == len(text) else text

    return convert


def _braces(text: str, position: int, element: Convert) -> tuple[list[Any], int]:
    """The list that starts with the brace at `position`, and where it ends. Nesting is six deep at most."""
    values: list[Any] = []
    position += 1
    if text[position] == "}":
        return values, position + 1
    while True:
        value: Any
        if text[position] == "{":
            value, position = _braces(text, position, element)
        elif text[position] == '"':
            raw, position = _quoted(text, position + 1)
            value = element(raw.encode())
        else:
            end = position
            while text[end] not in ",}":
                end += 1
            raw = text[position:end]
            value = None if raw == "NULL" else element(raw.encode())
            position = end
        values.append(value)
        if text[position] == "}":
            return values, position + 1
        position += 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    characters: list[str] = []
    while text[position] != '"':
        if text[position] == "\\":
            position += 1
        characters.append(text[position])
        position += 1
    return "".join(characters), position + 1


_TYPES: dict[int, tuple[str, Convert]] = {
    16: ("boolean", _boolean),
    17: ("bytea", _text),
    18: ('"char"', _text),
    19: ("name", _text),
    20: ("bigint", _bigint),
    21: ("smallint", int),
    22: ("int2vector", _text),
    23: ("integer", int),
    24: ("regproc", _text),
    25: ("text", _text),
    26: ("oid", int),
    27: ("tid", _text),
    28: ("xid", _text),
    29: ("cid", _text),
    30: ("oidvector", _text),
    114: ("json", _json),
    194: ("pg_node_tree", _text),
    650: ("cidr", _text),
    700: ("real", _double),
    701: ("double precision", _double),
    705: ("unknown", _text),
    869: ("inet", _text),
    1033: ("aclitem", _text),
    1042: ("character", _text),
    1043: ("character varying", _text),
    1082: ("date", _text),
    1083: ("time without time zone", _text),
    1114: ("timestamp without time zone", _timestamp),
    1184: ("timestamp with time zone", _timestamp),
    1186: ("interval", _text),
    1266: ("time with time zone", _text),
    1560: ("bit", _text),
    1562: ("bit varying", _text),
    1700: ("numeric", _text),
    2202: ("regprocedure", _text),
    2203: ("regoper", _text),
    2204: ("regoperator", _text),
    2205: ("regclass", _text),
    2206: ("regtype", _text),
    2249: ("record", _text),
    2275: ("cstring", _text),
    2278: ("void", _text),
    2950: ("uuid", _text),
    3220: ("pg_lsn", _text),
    3614: ("tsvector", _text),
    3615: ("tsquery", _text),
    3734: ("regconfig", _text),
    3769: ("regdictionary", _text),
    3802: ("jsonb", _json),
    3904: ("int4range", _text),
    3906: ("numrange", _text),
    3908: ("tsrange", _text),
    3910: ("tstzrange", _text),
    3912: ("daterange", _text),
    3926: ("int8range", _text),
    4072: ("jsonpath", _text),
    4089: ("regnamespace", _text),
    4096: ("regrole", _text),
    4191: ("regcollation", _text),
    4451: ("int4multirange", _text),
    4532: ("nummultirange", _text),
    4533: ("tsmultirange", _text),
    4534: ("tstzmultirange", _text),
    4535: ("datemultirange", _text),
    4536: ("int8multirange", _text),
    5069: ("xid8", _text),
}
_ARRAYS = {
    199: 114,
    271: 5069,
    651: 650,
    1000: 16,
    1001: 17,
    1002: 18,
    1003: 19,
    1005: 21,
    1006: 22,
    1007: 23,
    1008: 24,
    1009: 25,
    1010: 27,
    1011: 28,
    1012: 29,
    1013: 30,
    1014: 1042,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1028: 26,
    1034: 1033,
    1041: 869,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1187: 1186,
    1231: 1700,
    1263: 2275,
    1270: 1266,
    1561: 1560,
    1563: 1562,
    2207: 2202,
    2208: 2203,
    2209: 2204,
    2210: 2205,
    2211: 2206,
    2287: 2249,
    2951: 2950,
    3221: 3220,
    3643: 3614,
    3645: 3615,
    3735: 3734,
    3770: 3769,
    3807: 3802,
    3905: 3904,
    3907: 3906,
    3909: 3908,
    3911: 3910,
    3913: 3912,
    3927: 3926,
    4073: 4072,
    4090: 4089,
    4097: 4096,
    4192: 4191,
    6150: 4451,
    6151: 4532,
    6152: 4533,
    6153: 4534,
    6155: 4535,
    6157: 4536,
}
