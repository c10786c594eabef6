"""json (text as given) and jsonb (parsed, keys sorted by length then bytes, numbers as numerics).

`json.loads` alone would take NaN, lose the digits of 1.50 and lump equal numbers and booleans together (1 == True).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.numbers import numeric_text, plain
from tausql.sql.types.scalars import Codec, binary_length_error, decode_utf8
from tausql.sql.types.session_format import SessionFormat

DEPTH_MAX: Final = 900  # below Python's recursion limit


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


def _bad_json(text: str, detail: str | None = None) -> SqlError:
    return SqlError(Code.invalid_text_representation, "invalid input syntax for type json", detail=detail)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def parse_json(text: str) -> Any:
    """The value of a JSON text with numbers as Decimal; 22P02 with PostgreSQL's DETAIL for the common mistakes."""
    try:
        return json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _bad_json(text, _detail(text, error.pos)) from error
    except ValueError as error:
        raise _bad_json(text, f'Token "{error}" is invalid.') from error
    except RecursionError as error:
        raise SqlError(Code.statement_too_complex, "stack depth limit exceeded") from error


def _number(text: str) -> Decimal:
    return plain(Decimal(text))


def _detail(text: str, at: int) -> str:
    rest = text[at:].lstrip()
    if not rest:
        return "The input string ended unexpectedly."
    end = 1
    if rest[0].isalnum():
        while end < len(rest) and (rest[end].isalnum() or rest[end] == "_"):
            end += 1
        return f'Token "{rest[:end]}" is invalid.'
    return f'Token "{rest[:end]}" is invalid.'


def json_in(text: str, _format: SessionFormat, _typmod: int = -1) -> str:
    parse_json(text)
    return text


def jsonb_in(text: str, _format: SessionFormat, _typmod: int = -1) -> Jsonb:
    value = parse_json(text)
    if "\\u0000" in text:
        raise SqlError(
            Code.untranslatable_character,
            "unsupported Unicode escape sequence",
            detail="\\u0000 cannot be converted to text.",
        )
    return Jsonb(value)


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
    text = decode_utf8(data)
    parse_json(text)
    return text


JSON: Final[Codec] = (json_in, lambda value, _format: value, _json_binary_in, lambda value: value.encode())
JSONB: Final[Codec] = (
    jsonb_in,
    lambda value, _format: jsonb_text(value.value),
    _jsonb_binary_in,
    lambda value: b"\x01" + jsonb_text(value.value).encode(),
)
