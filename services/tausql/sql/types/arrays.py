"""Arrays (nested lists) and records (tuples) as text and binary.

Nearly every array counts from 1, and a plain list is all it takes; one that does not is a `BoundedArray`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

DIMENSIONS_MAX: Final = 6
_ONES: Final = (1,) * DIMENSIONS_MAX
_SUBSCRIPT_MAX: Final = 1 << 31
_ARRAY_SPECIAL: Final = frozenset('{}",\\ \t\n\r\v\f')
_DIMENSION: Final = re.compile(r"\s*\[([+-]?\d+)(?::([+-]?\d+))?(\]?)")
_RECORD_SPECIAL: Final = frozenset('()",\\ \t\n\r\v\f')


class BoundedArray(list[Any]):
    """An array that counts from something else than 1. `lows`: the first subscript of each dimension."""

    __slots__ = ("lows",)

    def __init__(self, items: Iterable[Any], lows: tuple[int, ...]) -> None:
        super().__init__(items)
        self.lows = lows


def bounded(items: list[Any], lows: Sequence[int]) -> list[Any]:
    """An array with these first subscripts: a plain list where they are all 1, or nothing is in it."""
    if not items or all(low == 1 for low in lows):
        return items
    return BoundedArray(items, tuple(lows))


def lows_of(value: list[Any]) -> tuple[int, ...]:
    """The first subscript of each dimension."""
    return value.lows if isinstance(value, BoundedArray) else (1,) * len(dimensions(value))


def array_of_arrays(values: list[Any]) -> list[Any]:
    """Arrays as the items of one: it counts from 1, those in it as they do. Raises 22004, 2202E."""
    first = values[0]
    for value in values:
        if value is None:
            raise SqlError(Code.null_value_not_allowed, "cannot accumulate null arrays")
        if not value:
            raise SqlError(Code.array_subscript_error, "cannot accumulate empty arrays")
        if (dimensions(value), lows_of(value)) != (dimensions(first), lows_of(first)):
            raise SqlError(Code.array_subscript_error, "cannot accumulate arrays of different dimensionality")
    return bounded([list(value) for value in values], (1, *lows_of(first)))


def array_to_stored(value: list[Any]) -> Any:
    """As a row keeps it."""
    return {"lows": value.lows, "items": list(value)} if isinstance(value, BoundedArray) else value


def array_from_stored(stored: Any) -> list[Any]:
    return BoundedArray(stored["items"], tuple(stored["lows"])) if isinstance(stored, dict) else stored


def lows_key(value: list[Any]) -> tuple[int, ...]:
    """Tells apart, and puts in order, arrays that differ in nothing but their bounds."""
    return value.lows if isinstance(value, BoundedArray) else _ONES


def array_codec(element: Type) -> Codec:
    """The codec of `element[]`."""

    def text_in(text: str, format: SessionFormat, typmod: int = -1) -> list[Any]:
        return _Reader(text, lambda item: element.text_in(item, format, typmod)).read()

    def text_out(value: list[Any], format: SessionFormat) -> str:
        text = array_text(value, lambda item: element.text_out(item, format))
        return f"{bounds_text(value)}={text}" if type(value) is BoundedArray else text

    def binary_in(data: bytes) -> list[Any]:
        return _binary_in(bytes(data), element)

    def binary_out(value: list[Any]) -> bytes:
        return _binary_out(value, element)

    return text_in, text_out, binary_in, binary_out


def array_text(value: list[Any], element_out: Callable[[Any], str]) -> str:
    """'{1,NULL,"a b"}'."""
    parts = []
    for item in value:
        if item is None:
            parts.append("NULL")
        elif isinstance(item, list):
            parts.append(array_text(item, element_out))
        else:
            text = element_out(item)
            if not text or not _ARRAY_SPECIAL.isdisjoint(text) or text.upper() == "NULL":
                text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            parts.append(text)
    return "{" + ",".join(parts) + "}"


def bounds_text(value: list[Any]) -> str:
    """'[3:5][1:2]', as array_dims has it."""
    bounds = zip(lows_of(value), dimensions(value), strict=True)
    return "".join(f"[{low}:{low + size - 1}]" for low, size in bounds)


def dimensions(value: list[Any]) -> list[int]:
    """Lengths of the dimensions; [] for an empty array."""
    sizes: list[int] = []
    level: Any = value
    while isinstance(level, list) and level:
        sizes.append(len(level))
        level = level[0]
    return sizes


class _Reader:
    __slots__ = ("at", "element", "text")

    def __init__(self, text: str, element: Callable[[str], Any]) -> None:
        self.text = text
        self.element = element
        self.at = 0

    def bad(self, detail: str) -> SqlError:
        return SqlError(Code.invalid_text_representation, f'malformed array literal: "{self.text}"', detail=detail)

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\n\r\v\f":
            self.at += 1

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def read(self) -> list[Any]:
        self.blanks()
        bounds = self.bounds() if self.peek() == "[" else None
        if self.peek() != "{":
            raise self.bad('Array value must start with "{" or dimension information.')
        value = self.level(1)
        self.blanks()
        if self.at != len(self.text):
            raise self.bad("Junk after closing right brace.")
        _check_shape(value, self)
        if bounds is None:
            return value
        if [high - low + 1 for low, high in bounds] != dimensions(value):
            raise self.bad("Specified array dimensions do not match array contents.")
        return bounded(value, [low for low, _ in bounds])

    def bounds(self) -> list[tuple[int, int]]:
        """What stands before the "=": the first and the last subscript of each dimension."""
        found: list[tuple[int, int]] = []
        while (match := _DIMENSION.match(self.text, self.at)) is not None:
            if not match[3]:
                raise self.bad('Missing "]" after array dimensions.')
            low, high = (1, int(match[1])) if match[2] is None else (int(match[1]), int(match[2]))
            if high < low:
                raise SqlError(Code.array_subscript_error, "upper bound cannot be less than lower bound")
            if low < -_SUBSCRIPT_MAX or high >= _SUBSCRIPT_MAX:
                raise SqlError(Code.program_limit_exceeded, "array bound is out of integer range")
            found.append((low, high))
            self.at = match.end()
        if not found:
            raise self.bad('"[" must introduce explicitly-specified array dimensions.')
        self.blanks()
        if self.peek() != "=":
            raise self.bad('Missing "=" after array dimensions.')
        self.at += 1
        self.blanks()
        return found

    def level(self, depth: int) -> list[Any]:
        if depth > DIMENSIONS_MAX:
            raise SqlError(
                Code.program_limit_exceeded,
                f"number of array dimensions exceeds the maximum allowed ({DIMENSIONS_MAX})",
            )
        self.at += 1
        items: list[Any] = []
        self.blanks()
        if self.peek() == "}":
            self.at += 1
            return items
        while True:
            self.blanks()
            items.append(self.level(depth + 1) if self.peek() == "{" else self.item())
            self.blanks()
            char = self.peek()
            self.at += 1
            if char == "}":
                return items
            if char != ",":
                if not char:
                    raise self.bad("Unexpected end of input.")
                raise self.bad(f'Unexpected "{char}" character.' if char in '{"' else "Unexpected array element.")

    def item(self) -> Any:
        if self.peek() == '"':
            return self.element(self.quoted())
        chars: list[str] = []
        quoted = False
        while self.at < len(self.text) and self.peek() not in ',{}"':
            char = self.text[self.at]
            if char == "\\":
                self.at += 1
                quoted = True
                char = self.peek()
            chars.append(char)
            self.at += 1
        word = "".join(chars).rstrip(" \t\n\r\v\f")
        if not word and not quoted:
            char = self.peek()
            if not char:
                raise self.bad("Unexpected end of input.")
            raise self.bad(f'Unexpected "{char}" character.')
        return None if word.upper() == "NULL" and not quoted else self.element(word)

    def quoted(self) -> str:
        self.at += 1
        chars: list[str] = []
        while True:
            char = self.peek()
            if not char:
                raise self.bad("Unexpected end of input.")
            self.at += 1
            if char == '"':
                return "".join(chars)
            if char == "\\":
                char = self.peek()
                self.at += 1
            chars.append(char)


def _check_shape(value: list[Any], reader: _Reader) -> None:
    shapes = {len(item) if isinstance(item, list) else -1 for item in value}
    if len(shapes) > 1:
        raise reader.bad("Multidimensional arrays must have sub-arrays with matching dimensions.")
    for item in value:
        if isinstance(item, list):
            _check_shape(item, reader)


def _flatten(value: list[Any], depth: int, out: list[Any]) -> None:
    for item in value:
        if depth > 1:
            _flatten(item, depth - 1, out)
        else:
            out.append(item)


def _binary_out(value: list[Any], element: Type) -> bytes:
    sizes = dimensions(value)
    flat: list[Any] = []
    _flatten(value, len(sizes), flat)
    parts = [struct.pack("!iiI", len(sizes), 1 if None in flat else 0, element.oid)]
    parts += [struct.pack("!ii", size, low) for size, low in zip(sizes, lows_of(value), strict=True)]
    for item in flat:
        if item is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            data = element.binary_out(item)
            parts.append(struct.pack("!i", len(data)) + data)
    return b"".join(parts)


def _binary_in(data: bytes, element: Type) -> list[Any]:
    try:
        count, _flags, oid = struct.unpack_from("!iiI", data)
        if not 0 <= count <= DIMENSIONS_MAX:
            raise binary_length_error(f"invalid number of dimensions: {count}")
        if oid != element.oid:
            raise SqlError(
                Code.datatype_mismatch,
                f"binary data has array element type {oid} instead of expected {element.oid} ({element.sql_name})",
            )
        bounds = [struct.unpack_from("!ii", data, 12 + 8 * at) for at in range(count)]
        sizes = [size for size, _ in bounds]
        at = 12 + 8 * count
        flat: list[Any] = []
        total = 1 if sizes else 0
        for size in sizes:
            if size < 0:
                raise binary_length_error()
            total *= size
        if total * 4 > len(data) - at:
            raise binary_length_error("insufficient data left in message")
        for _ in range(total):
            (length,) = struct.unpack_from("!i", data, at)
            at += 4
            if length < 0:
                flat.append(None)
            else:
                flat.append(element.binary_in(data[at : at + length]))
                at += length
    except struct.error as error:
        raise binary_length_error("insufficient data left in message") from error
    for size in reversed(sizes[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return bounded(flat, [low for _, low in bounds])


def record_text(values: tuple[Any, ...], texts: list[str | None]) -> str:
    """'(1,"a b",)' of already printed fields."""
    parts = []
    for text in texts:
        if text is None:
            parts.append("")
        elif not text or not _RECORD_SPECIAL.isdisjoint(text):
            parts.append('"' + text.replace("\\", "\\\\").replace('"', '""') + '"')
        else:
            parts.append(text)
    return "(" + ",".join(parts) + ")"
