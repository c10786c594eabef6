"""json (text as given) and jsonb (parsed, keys sorted by length then bytes, numbers as numerics).

`json.loads` alone would take NaN, lose the digits of 1.50 and lump equal numbers and booleans together (1 == True).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.json_text import Node, read_json
from tausql.sql.types.numbers import EXACT, NUMERIC_DIGITS_MAX, NUMERIC_SCALE_MAX, numeric_overflow, numeric_text, plain
from tausql.sql.types.scalars import Codec, binary_length_error, decode_utf8
from tausql.sql.types.session_format import SessionFormat


class Jsonb:
    """A jsonb value: None, bool, Decimal, str, list or dict (nested plain values). Immutable by convention."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Jsonb) and order_key(self.value) == order_key(other.value)

    def __hash__(self) -> int:
        return hash(order_key(self.value))

    def __lt__(self, other: Jsonb) -> bool:
        return bool(order_key(self.value) < order_key(other.value))

    def __repr__(self) -> str:
        return f"Jsonb({jsonb_text(self.value)})"


def order_key(value: Any) -> tuple[Any, ...]:
    """jsonb's order: Object > Array > Boolean > Number > String > Null; an empty array below everything."""
    if value is None:
        return (1,)
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, str):
        return (2, value.encode())
    if isinstance(value, Decimal):
        return (3, value)
    if isinstance(value, list):
        return (5, len(value), tuple(order_key(item) for item in value)) if value else (0,)
    keys = sorted(value, key=_key_order)
    return (6, len(value), tuple((_key_order(key), order_key(value[key])) for key in keys))


def _key_order(key: str) -> tuple[int, bytes]:
    encoded = key.encode()
    return len(encoded), encoded


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def parse_json(text: str) -> Any:
    """The value of a JSON text with numbers as Decimal; 22P02 with PostgreSQL's DETAIL, 22P05 for \\u0000."""
    try:
        value = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_refuse_constant)
    except ValueError as error:
        read_json(text)  # tells it in PostgreSQL's words
        raise SqlError(Code.invalid_text_representation, "invalid input syntax for type json") from error
    except RecursionError as error:
        raise SqlError(Code.statement_too_complex, "stack depth limit exceeded") from error
    if "\\u" in text:
        _check_escapes(read_json(text))
    return value


def _check_escapes(node: Node) -> None:
    """Lone surrogates and zero characters, which Python takes; keys were read with the tree."""
    if node.kind == "string":
        node.string()
    elif node.kind == "array":
        for item in node.items:
            _check_escapes(item)
    elif node.kind == "object":
        for _, item in node.items:
            _check_escapes(item)


def _number(text: str) -> Decimal:
    value = EXACT.create_decimal(text)
    if int(value.as_tuple().exponent) < -NUMERIC_SCALE_MAX or value.adjusted() >= NUMERIC_DIGITS_MAX:
        raise numeric_overflow()
    return plain(value)


def json_in(text: str, _format: SessionFormat, _typmod: int = -1) -> str:
    try:
        json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        read_json(text)
    return text


def jsonb_in(text: str, _format: SessionFormat, _typmod: int = -1) -> Jsonb:
    return Jsonb(parse_json(text))


def json_string(text: str) -> str:
    """A JSON string literal; only quotes, backslashes and control characters are escaped."""
    return json.dumps(text, ensure_ascii=False)


def jsonb_text(value: Any) -> str:
    """`{"a": 1, "bb": [true, null]}`."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return json_string(value)
    if isinstance(value, Decimal):
        return numeric_text(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(jsonb_text, value)) + "]"
    keys = sorted(value, key=_key_order)
    return "{" + ", ".join(f"{json_string(key)}: {jsonb_text(value[key])}" for key in keys) + "}"


def _jsonb_binary_in(data: bytes) -> Jsonb:
    if not data or data[0] != 1:
        raise binary_length_error(f"unsupported jsonb version number {data[0] if data else 0}")
    return Jsonb(parse_json(decode_utf8(data[1:])))


def _json_binary_in(data: bytes) -> str:
    return json_in(decode_utf8(data), SessionFormat())


JSON: Final[Codec] = (json_in, lambda value, _format: value, _json_binary_in, lambda value: value.encode())
JSONB: Final[Codec] = (
    jsonb_in,
    lambda value, _format: jsonb_text(value.value),
    _jsonb_binary_in,
    lambda value: b"\x01" + jsonb_text(value.value).encode(),
)
