"""Ranges and multiranges as values: bounds, their order, and what is done with them.

A bound compares by (side of infinity, value, before or after the value): so "up to 5, exclusive" lies before "from 5"
and every question (overlap, containment, adjacency) is a comparison of two such keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

BoundKey = tuple[int, Any, int]
MULTIRANGE_MAX: Final = 100_000


def order(value: Any) -> Any:
    """NaN is the greatest numeric."""
    if isinstance(value, Decimal):
        return (value.is_nan(), Decimal(0) if value.is_nan() else value)
    return value


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """lower, upper: datums, None for infinite. An empty range has no bounds."""

    lower: Any = None
    upper: Any = None
    lower_inc: bool = False
    upper_inc: bool = False
    empty: bool = False

    def low(self) -> BoundKey:
        return (-1, 0, 0) if self.lower is None else (0, order(self.lower), 0 if self.lower_inc else 1)

    def high(self) -> BoundKey:
        return (1, 0, 0) if self.upper is None else (0, order(self.upper), 0 if self.upper_inc else -1)

    def key(self) -> tuple[Any, ...]:
        return (0,) if self.empty else (1, self.low(), self.high())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self.key() == other.key()

    def __lt__(self, other: Range) -> bool:
        return self.key() < other.key()

    def __hash__(self) -> int:
        return hash(self.key())


EMPTY: Final = Range(empty=True)


class Multirange(tuple[Range, ...]):
    """Ranges in order that neither touch nor overlap; made by `normalized`."""


def normalized(ranges: Iterable[Range]) -> Multirange:
    """The ranges in order, empty ones left out, touching ones joined."""
    found: list[Range] = []
    for item in sorted(r for r in ranges if not r.empty):
        if found and (overlaps(found[-1], item) or adjacent(found[-1], item)):
            found[-1] = merged(found[-1], item)
        else:
            found.append(item)
    return Multirange(found)


class RangeType(Type):
    """subtype: of the bounds. step: discrete ranges are written [low, high + step)."""

    __slots__ = ("discrete", "subtype")

    def __init__(self, oid: int, name: str, array_oid: int, subtype: Type) -> None:
        super().__init__(oid, name, name, "R", -1, array_oid, _range_codec(self), input_volatile=subtype.input_volatile)
        self.subtype = subtype
        self.discrete = subtype.name in ("int4", "int8", "date")


class MultirangeType(Type):
    __slots__ = ("range",)

    def __init__(self, oid: int, name: str, array_oid: int, range: RangeType) -> None:
        super().__init__(
            oid, name, name, "R", -1, array_oid, _multirange_codec(self), input_volatile=range.input_volatile
        )
        self.range = range


_LIMITS: Final = {"int4": 2**31 - 1, "int8": 2**63 - 1, "date": 2145031948}


def made(type: RangeType, lower: Any, upper: Any, lower_inc: bool, upper_inc: bool) -> Range:
    """A range in its canonical form; 22000 where it ends before it begins."""
    if lower is not None and upper is not None:
        a, b = order(lower), order(upper)
        if a > b:
            raise SqlError(Code.data_exception, "range lower bound must be less than or equal to range upper bound")
        if a == b and not (lower_inc and upper_inc):
            return EMPTY
    if type.discrete:
        if lower is not None and not lower_inc:
            lower, lower_inc = _next(type, lower), True
        if upper is not None and upper_inc:
            upper, upper_inc = _next(type, upper), False
        if lower is not None and lower == upper:
            return EMPTY
    return Range(lower, upper, lower_inc and lower is not None, upper_inc and upper is not None)


def _next(type: RangeType, value: int) -> int:
    name = type.subtype.name
    if name == "date" and value in (2**31 - 1, -(2**31)):
        return value
    if value >= _LIMITS[name]:
        if name == "date":
            raise SqlError(Code.datetime_field_overflow, "date out of range")
        raise SqlError(Code.numeric_value_out_of_range, f"{type.subtype.sql_name} out of range")
    return value + 1


# --- questions ---


def overlaps(a: Range, b: Range) -> bool:
    return not a.empty and not b.empty and a.low() <= b.high() and b.low() <= a.high()


def contains(a: Range, b: Range) -> bool:
    return b.empty or (not a.empty and a.low() <= b.low() and b.high() <= a.high())


def contains_value(a: Range, value: Any) -> bool:
    return not a.empty and a.low() <= (0, order(value), 0) <= a.high()


def before(a: Range, b: Range) -> bool:
    return not a.empty and not b.empty and a.high() < b.low()


def adjacent(a: Range, b: Range) -> bool:
    return not a.empty and not b.empty and (touches(a, b) or touches(b, a))


def touches(a: Range, b: Range) -> bool:
    """a ends where b begins, the value being in one of them."""
    if a.upper is None or b.lower is None:
        return False
    return bool(order(a.upper) == order(b.lower)) and a.upper_inc != b.lower_inc


# --- results ---


def intersection(a: Range, b: Range) -> Range:
    if not overlaps(a, b):
        return EMPTY
    low = a if a.low() >= b.low() else b
    high = a if a.high() <= b.high() else b
    return Range(low.lower, high.upper, low.lower_inc, high.upper_inc)


def merged(a: Range, b: Range) -> Range:
    """The smallest range that has both."""
    if a.empty or b.empty:
        return b if a.empty else a
    low = a if a.low() <= b.low() else b
    high = a if a.high() >= b.high() else b
    return Range(low.lower, high.upper, low.lower_inc, high.upper_inc)


def union(a: Range, b: Range) -> Range:
    if not a.empty and not b.empty and not overlaps(a, b) and not adjacent(a, b):
        raise SqlError(Code.data_exception, "result of range union would not be contiguous")
    return merged(a, b)


def difference(a: Range, b: Range) -> list[Range]:
    """What of a is not in b: none, one or two ranges."""
    if a.empty or not overlaps(a, b):
        return [] if a.empty else [a]
    found = []
    if a.low() < b.low():
        found.append(Range(a.lower, b.lower, a.lower_inc, not b.lower_inc))
    if b.high() < a.high():
        found.append(Range(b.upper, a.upper, not b.upper_inc, a.upper_inc))
    return found


# --- text ---


def _malformed(text: str, detail: str) -> SqlError:
    return SqlError(Code.invalid_text_representation, f'malformed range literal: "{text}"', detail=detail)


def _bound(text: str, at: int) -> tuple[str | None, int]:
    """A bound up to the next comma or closing bracket; None where there is nothing."""
    chars: list[str] = []
    quoted = some = False
    while True:
        char = text[at : at + 1]
        if not char:
            raise _malformed(text, "Unexpected end of input.")
        if not quoted and char in ",)]":
            return ("".join(chars) if some else None), at
        at += 1
        some = True
        if char == "\\":
            if not text[at : at + 1]:
                raise _malformed(text, "Unexpected end of input.")
            chars.append(text[at])
            at += 1
        elif char == '"':
            if quoted and text[at : at + 1] == '"':
                chars.append('"')
                at += 1
            else:
                quoted = not quoted
        else:
            chars.append(char)


def _read(type: RangeType, text: str, format: SessionFormat) -> Range:
    at = len(text) - len(text.lstrip())
    if text[at : at + 5].lower() == "empty":
        if text[at + 5 :].strip():
            raise _malformed(text, 'Junk after "empty" key word.')
        return EMPTY
    if text[at : at + 1] not in ("[", "("):
        raise _malformed(text, "Missing left parenthesis or bracket.")
    lower_inc = text[at] == "["
    low, at = _bound(text, at + 1)
    if text[at] != ",":
        raise _malformed(text, "Missing comma after lower bound.")
    high, at = _bound(text, at + 1)
    if text[at] == ",":
        raise _malformed(text, "Too many commas.")
    upper_inc = text[at] == "]"
    if text[at + 1 :].strip():
        raise _malformed(text, "Junk after right parenthesis or bracket.")
    read = type.subtype.text_in
    return made(
        type,
        None if low is None else read(low, format, -1),
        None if high is None else read(high, format, -1),
        lower_inc,
        upper_inc,
    )


_SPECIAL: Final = frozenset('"\\()[], \t\n\r\v\f')


def _quoted(text: str) -> str:
    if text and _SPECIAL.isdisjoint(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'


def range_text(type: RangeType, value: Range, format: SessionFormat) -> str:
    if value.empty:
        return "empty"
    show = type.subtype.text_out
    low = "" if value.lower is None else _quoted(show(value.lower, format))
    high = "" if value.upper is None else _quoted(show(value.upper, format))
    return f"{'[' if value.lower_inc else '('}{low},{high}{']' if value.upper_inc else ')'}"


def _read_multirange(type: MultirangeType, text: str, format: SessionFormat) -> Multirange:
    def bad(detail: str) -> SqlError:
        return SqlError(Code.invalid_text_representation, f'malformed multirange literal: "{text}"', detail=detail)

    body = text.strip()
    if not body.startswith("{"):
        raise bad("Missing left brace.")
    found: list[Range] = []
    at = 1
    expected = True
    while True:
        while body[at : at + 1].isspace():
            at += 1
        char = body[at : at + 1]
        if not char:
            raise bad("Unexpected end of input.")
        if char == "}" and (not found or not expected):
            break
        if not expected:
            if char != ",":
                raise bad("Expected comma or end of multirange.")
            at, expected = at + 1, True
            continue
        if body[at : at + 5].lower() == "empty":
            found.append(EMPTY)
            at += 5
        elif char in "[(":
            end = _range_end(body, at)
            if end < 0:
                raise bad("Unexpected end of input.")
            found.append(_read(type.range, body[at:end], format))
            at = end
        else:
            raise bad("Expected range start.")
        expected = False
        if len(found) > MULTIRANGE_MAX:
            raise SqlError(Code.program_limit_exceeded, "multirange has too many ranges")
    if body[at + 1 :].strip():
        raise bad("Junk after closing right brace.")
    return normalized(found)


def _range_end(text: str, at: int) -> int:
    """Behind the closing bracket of the range that begins at `at`; -1 where it does not end."""
    quoted = False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char in ")]" and not quoted:
            return at + 1
        at += 1
    return -1


# --- binary ---

_EMPTY, _LOWER_INC, _UPPER_INC, _LOWER_INF, _UPPER_INF = 1, 2, 4, 8, 16


def _binary_out(type: RangeType, value: Range) -> bytes:
    if value.empty:
        return bytes((_EMPTY,))
    flags = _LOWER_INC * value.lower_inc | _UPPER_INC * value.upper_inc
    flags |= _LOWER_INF * (value.lower is None) | _UPPER_INF * (value.upper is None)
    parts = [bytes((flags,))]
    for bound in (value.lower, value.upper):
        if bound is not None:
            data = type.subtype.binary_out(bound)
            parts.append(struct.pack("!i", len(data)) + data)
    return b"".join(parts)


def _binary_in(type: RangeType, data: bytes) -> Range:
    try:
        flags, at = data[0], 1
        if flags & _EMPTY:
            return EMPTY
        bounds: list[Any] = []
        for infinite in (flags & _LOWER_INF, flags & _UPPER_INF):
            if infinite:
                bounds.append(None)
                continue
            (length,) = struct.unpack_from("!i", data, at)
            at += 4
            bounds.append(type.subtype.binary_in(data[at : at + length]))
            at += length
    except (struct.error, IndexError) as error:
        raise binary_length_error("insufficient data left in message") from error
    return made(type, bounds[0], bounds[1], bool(flags & _LOWER_INC), bool(flags & _UPPER_INC))


def _range_codec(type: RangeType) -> Codec:
    return (
        lambda text, format, _typmod=-1: _read(type, text, format),
        lambda value, format: range_text(type, value, format),
        lambda data: _binary_in(type, bytes(data)),
        lambda value: _binary_out(type, value),
    )


def _multirange_codec(type: MultirangeType) -> Codec:
    def binary_in(data: bytes) -> Multirange:
        found = []
        try:
            (count,) = struct.unpack_from("!i", data)
            at = 4
            for _ in range(count):
                (length,) = struct.unpack_from("!i", data, at)
                found.append(_binary_in(type.range, bytes(data[at + 4 : at + 4 + length])))
                at += 4 + length
        except struct.error as error:
            raise binary_length_error("insufficient data left in message") from error
        return normalized(found)

    def binary_out(value: Multirange) -> bytes:
        parts = [_binary_out(type.range, item) for item in value]
        return struct.pack("!i", len(parts)) + b"".join(struct.pack("!i", len(part)) + part for part in parts)

    return (
        lambda text, format, _typmod=-1: _read_multirange(type, text, format),
        lambda value, format: "{" + ",".join(range_text(type.range, item, format) for item in value) + "}",
        binary_in,
        binary_out,
    )
