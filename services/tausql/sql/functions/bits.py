"""Functions and operators of bit strings, and those of bytea that look at bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, aggregate, declare, operator
from tausql.sql.functions.strings import overlay, substring


def _both(name: str, combine: Callable[[int, int], int]) -> Callable[[str, str], str]:
    def run(a: str, b: str) -> str:
        if len(a) != len(b):
            raise SqlError(Code.string_data_length_mismatch, f"cannot {name} bit strings of different sizes")
        return format(combine(int(a or "0", 2), int(b or "0", 2)), f"0{len(a)}b") if a else ""

    return run


def _inverted(value: str) -> str:
    return value.translate({48: "1", 49: "0"})


def _shift_left(value: str, count: int) -> str:
    if count < 0:
        return _shift_right(value, -count)
    return value[count:].ljust(len(value), "0")


def _shift_right(value: str, count: int) -> str:
    if count < 0:
        return _shift_left(value, -count)
    return value[: max(len(value) - count, 0)].rjust(len(value), "0")


def _out_of_range(at: int, last: int, what: str) -> SqlError:
    return SqlError(Code.array_subscript_error, f"{what} index {at} out of valid range (0..{last})")


def _get_bit(value: str, at: int) -> int:
    if not 0 <= at < len(value):
        raise _out_of_range(at, len(value) - 1, "bit")
    return int(value[at])


def _checked_bit(new: int) -> int:
    if new not in (0, 1):
        raise SqlError(Code.invalid_parameter_value, "new bit must be 0 or 1")
    return new


def _set_bit(value: str, at: int, new: int) -> str:
    if not 0 <= at < len(value):
        raise _out_of_range(at, len(value) - 1, "bit")
    return value[:at] + str(_checked_bit(new)) + value[at + 1 :]


def _byte_index(at: int, last: int) -> SqlError:
    return SqlError(Code.array_subscript_error, f"index {at} out of valid range, 0..{last}")


def _get_byte_bit(data: bytes, at: int) -> int:
    """Bits count from the lowest of the first byte."""
    if not 0 <= at < len(data) * 8:
        raise _byte_index(at, len(data) * 8 - 1)
    return data[at // 8] >> at % 8 & 1


def _set_byte_bit(data: bytes, at: int, new: int) -> bytes:
    if not 0 <= at < len(data) * 8:
        raise _byte_index(at, len(data) * 8 - 1)
    changed = bytearray(data)
    mask = 1 << at % 8
    changed[at // 8] = changed[at // 8] | mask if _checked_bit(new) else changed[at // 8] & ~mask
    return bytes(changed)


def _get_byte(data: bytes, at: int) -> int:
    if not 0 <= at < len(data):
        raise _byte_index(at, len(data) - 1)
    return data[at]


def _set_byte(data: bytes, at: int, new: int) -> bytes:
    if not 0 <= at < len(data):
        raise _byte_index(at, len(data) - 1)
    changed = bytearray(data)
    changed[at] = new & 0xFF
    return bytes(changed)


def _aggregates() -> Iterator[Function]:
    for name, sign, combine in (("and", "AND", int.__and__), ("or", "OR", int.__or__), ("xor", "XOR", int.__xor__)):
        yield aggregate(f"bit_{name}(bit) bit", _nothing, _folding(_both(sign, combine)), _same)


def _nothing() -> None:
    return None


def _same(state: str | None) -> str | None:
    return state


def _folding(both: Callable[[str, str], str]) -> Callable[[str | None, str], str]:
    return lambda state, value: value if state is None else both(state, value)


def functions() -> Iterator[Function]:
    yield from _aggregates()
    yield declare("length(bit) int4", len)
    yield declare("bit_length(bit) int4", len)
    yield declare("octet_length(bit) int4", lambda value: (len(value) + 7) // 8)
    yield declare("bit_count(bit) int8", lambda value: value.count("1"))
    yield declare("bit_count(bytea) int8", lambda data: int.from_bytes(data, "big").bit_count())
    yield declare("get_bit(bit, int4) int4", _get_bit)
    yield declare("set_bit(bit, int4, int4) bit", _set_bit)
    yield declare("get_bit(bytea, int8) int4", _get_byte_bit)
    yield declare("set_bit(bytea, int8, int4) bytea", _set_byte_bit)
    yield declare("get_byte(bytea, int4) int4", _get_byte)
    yield declare("set_byte(bytea, int4, int4) bytea", _set_byte)
    yield declare("substring(bit, int4) bit", substring)
    yield declare("substring(bit, int4, int4) bit", substring)
    yield declare("overlay(bit, bit, int4) bit", overlay)
    yield declare("overlay(bit, bit, int4, int4) bit", overlay)
    yield declare("position(bit, bit) int4", lambda value, part: value.find(part) + 1)
    yield operator("&", "bit", "bit", "bit", _both("AND", int.__and__))
    yield operator("|", "bit", "bit", "bit", _both("OR", int.__or__))
    yield operator("#", "bit", "bit", "bit", _both("XOR", int.__xor__))
    yield operator("~", None, "bit", "bit", _inverted)
    yield operator("<<", "bit", "int4", "bit", _shift_left)
    yield operator(">>", "bit", "int4", "bit", _shift_right)
    yield operator("||", "varbit", "varbit", "varbit", str.__add__)
