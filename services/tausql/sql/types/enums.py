"""Enum types (an extension): a value is its place in the declared order, a number that never changes.

A type object is known by its oid alone, as every other one is, so that columns, plans and encoders find it without a
schema; oids of enums lie in a range of their own, the type's and its array's side by side. The labels are in the
catalogue, and they change: texts are read and written through the session's hooks, as names of tables are by regclass.
The number of a label lies between those of its neighbours, so one that is added in the middle moves no row and no index
entry. Errors and definitions are made where no schema is at hand: they carry a mark with the oid, for whoever has one
to put the name there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.arrays import array_codec
from tausql.sql.types.scalars import decode_utf8
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

FIRST_ENUM_OID: Final = 1 << 30
LAST_ENUM_OID: Final = (1 << 31) - 1
MARK: Final = "enum__oid__"  # one word to every parser
AT: Final = "__at__"
_KNOWN_MAX: Final = 1 << 16  # types of one process; beyond that two objects of one type could meet


class EnumType(Type):
    """One enum type; compared by identity, as all types are."""

    __slots__ = ()


class PinnedEnum(Type):
    """What a kept expression calls a value of an enum type by: a type of its own name, which no value has."""

    __slots__ = ("base", "order")

    def __init__(self, name: str, base: EnumType, order: float) -> None:
        super().__init__(
            base.oid, name, name, "E", 4, 0, (base.text_in, base.text_out, _no_binary, _no_binary), input_volatile=True
        )
        self.base = base
        self.order = order


def pinned_name(oid: int, order: float) -> str:
    return f"{MARK}{oid}{AT}{struct.pack('>d', order).hex()}"


@lru_cache(maxsize=1 << 16)
def pinned_enum(name: str) -> PinnedEnum | None:
    """The type of that name; None for a name of something else."""
    oid, _, order = name.removeprefix(MARK).partition(AT)
    if not name.startswith(MARK) or not oid.isdigit() or len(order) != 16 or not is_enum_oid(int(oid)):
        return None
    (value,) = struct.unpack(">d", bytes.fromhex(order))
    return PinnedEnum(name, enum_type(int(oid)), value)


def enum_oid(number: int) -> int:
    """The oid of an enum type, from a number nobody else has; its array's comes right behind."""
    return FIRST_ENUM_OID + 2 * number


def is_enum_oid(oid: int) -> bool:
    """The oid of an enum type, not that of an array of one."""
    return FIRST_ENUM_OID <= oid <= LAST_ENUM_OID and oid % 2 == 0


def is_enum_array_oid(oid: int) -> bool:
    return FIRST_ENUM_OID <= oid <= LAST_ENUM_OID and oid % 2 == 1


@lru_cache(maxsize=_KNOWN_MAX)
def enum_type(oid: int) -> EnumType:
    text_in, text_out = _text_in(oid), _text_out(oid)
    name = f"{MARK}{oid}"
    codec = (text_in, text_out, _no_binary, _no_binary)
    return EnumType(oid, name, name, "E", 4, oid + 1, codec, input_volatile=True)


@lru_cache(maxsize=_KNOWN_MAX)
def enum_array(oid: int) -> Type:
    """Of the array type's oid."""
    element = enum_type(oid - 1)
    return Type(
        oid, "_" + element.name, element.sql_name + "[]", "A", -1, 0, array_codec(element), element_oid=element.oid,
        input_volatile=True,
    )  # fmt: skip


def in_session(type: EnumType, format: SessionFormat) -> Type:
    """The type with binary formats, which are a label's text, for one session."""
    text_in, text_out = type.text_in, type.text_out
    codec = (
        text_in,
        text_out,
        lambda data: text_in(decode_utf8(data), format, -1),
        lambda value: text_out(value, format).encode(),
    )
    return Type(type.oid, type.name, type.sql_name, "E", 4, type.array_oid, codec)


def _text_in(oid: int) -> Callable[[str, SessionFormat, int], float]:
    def text_in(text: str, format: SessionFormat, _typmod: int = -1) -> float:
        found = format.enum_order(oid, text) if format.enum_order is not None else None
        if found is None:
            raise SqlError(
                Code.invalid_text_representation, f'invalid input value for enum {_name(oid, format)}: "{text}"'
            )
        return found

    return text_in


def _text_out(oid: int) -> Callable[[float, SessionFormat], str]:
    def text_out(value: float, format: SessionFormat) -> str:
        found = format.enum_label(oid, value) if format.enum_label is not None else None
        if found is None:
            raise SqlError(Code.internal_error, f"value {value} of enum {_name(oid, format)} has no label")
        return found

    return text_out


def _name(oid: int, format: SessionFormat) -> str:
    return (format.name_reg("type", oid) if format.name_reg is not None else None) or f"{MARK}{oid}"


def _no_binary(_value: object) -> bytes:
    raise SqlError(Code.feature_not_supported, "an enum's binary format needs a session")
