"""How a row is stored: a MessagePack array of its columns, by position (attnum - 1).

A general row format with types and names would be paid for by every read; here the schema version a reader names says
what the positions mean, so a row is as small and as fast to decode as msgspec can make it. A row may be shorter than
the table is now (columns were added since): what is missing is NULL.

    datum              stored as
    int float str bool bytes None (all but the kinds below; date, time, timestamp are int, uuid is bytes)    themselves
    numeric            its text, scale kept ("1.00", "NaN", "-Infinity")
    interval, timetz   array of integers
    jsonb              JSON text
    array              array of its elements; one that does not count from 1: a map of its first subscripts and those

An index entry's value is the key of its row, raw; see `keys.entry_key`. An index with INCLUDE columns has these behind
it, as a row of their own; see `keys.covering_value`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

Datum = Any
StoredRow = list[Any]  # a row as MessagePack decodes it: numeric as text, interval as a list

encode_stored: Callable[[Sequence[Any]], bytes] = msgspec.msgpack.Encoder().encode
decode_stored: Callable[[bytes], StoredRow] = msgspec.msgpack.Decoder(list).decode
_encode_json = msgspec.json.Encoder(decimal_format="number").encode


class ColumnKind(Enum):
    """How a column's datums are stored."""

    plain = "plain"  # int, float, str, bool, bytes
    numeric = "numeric"  # Decimal
    interval = "interval"  # a tuple of integers: interval and timetz
    jsonb = "jsonb"
    array = "array"  # as its owner stores it


def json_text(value: Any) -> str:
    """A parsed JSON value as text; Decimals are numbers."""
    return _encode_json(value).decode()


def json_value(text: str) -> Any:
    """JSON text parsed; fractions become Decimals, integers keep every digit."""
    return json.loads(text, parse_float=Decimal)


class RowCodec:
    """Encodes and decodes the rows of one relation as it is at one schema version.

    `kinds` are the columns by position. `dump_jsonb` and `load_jsonb` turn a jsonb datum into JSON text and back; the
    default takes plain Python values. `dump_array` and `load_array` do so with arrays, to what MessagePack writes."""

    __slots__ = ("_converted", "_dumped", "_functions", "_plain", "_width", "decode", "encode", "kinds")

    encode: Callable[[Sequence[Datum]], bytes]
    """All columns' datums (trailing NULLs may be left out) to the row as stored."""
    decode: Callable[[bytes], list[Datum]]
    """The row as stored to its datums, padded with None to the number of columns."""

    def __init__(
        self,
        kinds: Sequence[ColumnKind],
        dump_jsonb: Callable[[Datum], str] = json_text,
        load_jsonb: Callable[[str], Datum] = json_value,
        dump_array: Callable[[Datum], Any] = list,
        load_array: Callable[[Any], Datum] = list,
    ) -> None:
        self.kinds = tuple(kinds)
        self._width = len(self.kinds)
        self._functions = dump_jsonb, load_jsonb, dump_array, load_array
        dumpers: dict[ColumnKind, Callable[[Datum], Any]] = {
            ColumnKind.jsonb: dump_jsonb,
            ColumnKind.array: dump_array,
        }
        loaders: dict[ColumnKind, Callable[[Any], Datum]] = {
            ColumnKind.numeric: Decimal,
            ColumnKind.interval: tuple,
            ColumnKind.jsonb: load_jsonb,
            ColumnKind.array: load_array,
        }
        self._converted = tuple((at, loaders[kind]) for at, kind in enumerate(self.kinds) if kind in loaders)
        self._plain = not self._converted
        # msgspec itself writes a Decimal as text and a tuple as an array: jsonb and arrays need a pass of our own.
        self._dumped = tuple((at, dumpers[kind]) for at, kind in enumerate(self.kinds) if kind in dumpers)
        self.encode = self._encode_dumped if self._dumped else encode_stored
        self.decode = self._decode_plain if self._plain else self._decode_converted

    def projected(self, columns: Sequence[int]) -> RowCodec:
        """The codec of rows projected to these positions (`Scan.projection`), in the order named."""
        return RowCodec([self.kinds[column] for column in columns], *self._functions)

    def decode_columns(self, columns: Sequence[int]) -> Callable[[bytes], list[Datum]]:
        """A function from a full row as stored to the datums of these positions only, in the order named."""
        wanted = [(column, self._loader(column)) for column in columns]

        def decode(row: bytes) -> list[Datum]:
            stored = decode_stored(row)
            width = len(stored)
            datums: list[Datum] = []
            for column, load in wanted:
                value = stored[column] if column < width else None
                datums.append(value if load is None or value is None else load(value))
            return datums

        return decode

    def from_stored(self, stored: StoredRow) -> list[Datum]:
        """A row already decoded from MessagePack to its datums. The list is changed in place and returned."""
        width = self._width
        if len(stored) < width:
            stored.extend([None] * (width - len(stored)))
        for at, load in self._converted:
            value = stored[at]
            if value is not None:
                stored[at] = load(value)
        return stored

    def _loader(self, column: int) -> Callable[[Any], Datum] | None:
        for at, load in self._converted:
            if at == column:
                return load
        return None

    def _decode_plain(self, row: bytes) -> list[Datum]:
        stored = decode_stored(row)
        if len(stored) < self._width:
            stored.extend([None] * (self._width - len(stored)))
        return stored

    def _decode_converted(self, row: bytes) -> list[Datum]:
        return self.from_stored(decode_stored(row))

    def _encode_dumped(self, datums: Sequence[Datum]) -> bytes:
        stored = list(datums)
        for at, dump in self._dumped:
            if at < len(stored) and stored[at] is not None:
                stored[at] = dump(stored[at])
        return encode_stored(stored)
