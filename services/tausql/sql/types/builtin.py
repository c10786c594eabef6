"""The types there are, with PostgreSQL's oids: the constants every other module names.

There is one `Type` object per oid and it is compared by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.types import datetimes, intervals, jsons, numbers, scalars
from tausql.sql.types.arrays import array_codec, record_text
from tausql.sql.types.scalars import Codec
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type


def _record_out(value: tuple[Any, ...], format: SessionFormat) -> str:
    return record_text(value, [None if item is None else _guessed_text(item, format) for item in value])


def _guessed_text(item: Any, format: SessionFormat) -> str:
    """An anonymous record's fields have no types at run time: the Python type says how they print."""
    if isinstance(item, bool):
        return "t" if item else "f"
    if isinstance(item, float):
        return numbers.float8_text(item)
    if isinstance(item, Decimal):
        return numbers.numeric_text(item)
    if isinstance(item, bytes):
        return "\\x" + item.hex()
    if isinstance(item, tuple):
        return _record_out(item, format)
    return str(item)


def _pseudo(oid: int, name: str, array_oid: int = 0) -> Type:
    sql_name = '"any"' if name == "any" else name
    codec: Codec = (
        scalars.no_input(sql_name),
        lambda value, _format: str(value),
        scalars.no_binary_input(sql_name),
        lambda value: str(value).encode(),
    )
    return Type(oid, name, sql_name, "P", 4, array_oid, codec)


def _vector_codec(sql_name: str, element: Codec) -> Codec:
    """int2vector and oidvector: blank-separated numbers."""
    return (
        lambda text, format, _typmod=-1: [element[0](word, format, -1) for word in text.split()],
        lambda value, _format: " ".join(map(str, value)),
        scalars.no_binary_input(sql_name),
        lambda value: " ".join(map(str, value)).encode(),
    )


_INT2 = scalars.integer_codec("smallint", 2, "!h")
_OID = scalars.oid_codec()
_VARCHAR = scalars.string_codec(scalars.fit_varchar)
_BPCHAR = scalars.string_codec(scalars.fit_bpchar)
_UUID: Codec = (scalars.uuid_in, scalars.uuid_out, scalars.uuid_binary_in, bytes)
_BYTEA: Codec = (scalars.bytea_in, scalars.bytea_out, bytes, bytes)
_BOOL: Codec = (scalars.bool_in, scalars.bool_out, scalars.bool_binary_in, scalars.bool_binary_out)
_RECORD: Codec = (
    scalars.no_input("record"),
    _record_out,
    scalars.no_binary_input("record"),
    lambda value: str(value).encode(),
)

BOOL: Final = Type(16, "bool", "boolean", "B", 1, 1000, _BOOL, preferred=True)
BYTEA: Final = Type(17, "bytea", "bytea", "U", -1, 1001, _BYTEA)
CHAR: Final = Type(18, "char", '"char"', "Z", 1, 1002, scalars.single_char_codec())
NAME: Final = Type(19, "name", "name", "S", 64, 1003, scalars.name_codec())
INT8: Final = Type(20, "int8", "bigint", "N", 8, 1016, scalars.integer_codec("bigint", 8, "!q"))
INT2: Final = Type(21, "int2", "smallint", "N", 2, 1005, _INT2)
INT2VECTOR: Final = Type(22, "int2vector", "int2vector", "A", -1, 1006, _vector_codec("int2vector", _INT2))
INT4: Final = Type(23, "int4", "integer", "N", 4, 1007, scalars.integer_codec("integer", 4, "!i"))
REGPROC: Final = Type(24, "regproc", "regproc", "N", 4, 1008, scalars.reg_codec("proc"), input_volatile=True)
TEXT: Final = Type(25, "text", "text", "S", -1, 1009, scalars.text_codec(), preferred=True)
OID: Final = Type(26, "oid", "oid", "N", 4, 1028, _OID, preferred=True)
XID: Final = Type(28, "xid", "xid", "U", 4, 1011, _OID)
OIDVECTOR: Final = Type(30, "oidvector", "oidvector", "A", -1, 1013, _vector_codec("oidvector", _OID))
JSON: Final = Type(114, "json", "json", "U", -1, 199, jsons.JSON)
FLOAT4: Final = Type(700, "float4", "real", "N", 4, 1021, numbers.FLOAT4)
FLOAT8: Final = Type(701, "float8", "double precision", "N", 8, 1022, numbers.FLOAT8, preferred=True)
UNKNOWN: Final = Type(705, "unknown", "unknown", "X", -2, 0, scalars.text_codec())
BPCHAR: Final = Type(1042, "bpchar", "character", "S", -1, 1014, _BPCHAR)
VARCHAR: Final = Type(1043, "varchar", "character varying", "S", -1, 1015, _VARCHAR)
DATE: Final = Type(1082, "date", "date", "D", 4, 1182, datetimes.DATE, input_volatile=True)
TIME: Final = Type(1083, "time", "time without time zone", "D", 8, 1183, datetimes.TIME, input_volatile=True)
TIMESTAMP: Final = Type(
    1114, "timestamp", "timestamp without time zone", "D", 8, 1115, datetimes.TIMESTAMP, input_volatile=True
)
TIMESTAMPTZ: Final = Type(
    1184,
    "timestamptz",
    "timestamp with time zone",
    "D",
    8,
    1185,
    datetimes.TIMESTAMPTZ,
    preferred=True,
    input_volatile=True,
)
INTERVAL: Final = Type(1186, "interval", "interval", "T", 16, 1187, intervals.INTERVAL, preferred=True)
TIMETZ: Final = Type(1266, "timetz", "time with time zone", "D", 12, 1270, datetimes.TIMETZ, input_volatile=True)
NUMERIC: Final = Type(1700, "numeric", "numeric", "N", -1, 1231, numbers.NUMERIC)
REGCLASS: Final = Type(2205, "regclass", "regclass", "N", 4, 2210, scalars.reg_codec("class"), input_volatile=True)
REGTYPE: Final = Type(2206, "regtype", "regtype", "N", 4, 2211, scalars.reg_codec("type"), input_volatile=True)
RECORD: Final = Type(2249, "record", "record", "P", -1, 2287, _RECORD)
VOID: Final = Type(2278, "void", "void", "P", 4, 0, scalars.void_codec())
UUID: Final = Type(2950, "uuid", "uuid", "U", 16, 2951, _UUID)
JSONB: Final = Type(3802, "jsonb", "jsonb", "U", -1, 3807, jsons.JSONB)
REGNAMESPACE: Final = Type(
    4089, "regnamespace", "regnamespace", "N", 4, 4090, scalars.reg_codec("namespace"), input_volatile=True
)
REGROLE: Final = Type(4096, "regrole", "regrole", "N", 4, 4097, scalars.reg_codec("role"), input_volatile=True)

# Polymorphic pseudo-types: only inside function signatures.
ANY: Final = _pseudo(2276, "any")
ANYARRAY: Final = _pseudo(2277, "anyarray")
ANYELEMENT: Final = _pseudo(2283, "anyelement")
ANYNONARRAY: Final = _pseudo(2776, "anynonarray")
ANYCOMPATIBLE: Final = _pseudo(5077, "anycompatible")
ANYCOMPATIBLEARRAY: Final = _pseudo(5078, "anycompatiblearray")

SCALARS: Final[tuple[Type, ...]] = (
    BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT2VECTOR, INT4, REGPROC, TEXT, OID, XID, OIDVECTOR, JSON, FLOAT4, FLOAT8,
    UNKNOWN, BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, TIMETZ, NUMERIC, REGCLASS, REGTYPE, RECORD,
    VOID, UUID, JSONB, REGNAMESPACE, REGROLE, ANY, ANYARRAY, ANYELEMENT, ANYNONARRAY, ANYCOMPATIBLE, ANYCOMPATIBLEARRAY,
)  # fmt: skip


def _array(element: Type) -> Type:
    return Type(
        element.array_oid,
        "_" + element.name,
        element.sql_name + "[]",
        "A",
        -1,
        0,
        array_codec(element),
        element_oid=element.oid,
        input_volatile=element.input_volatile,
    )


ARRAYS: Final[Mapping[int, Type]] = MappingProxyType({t.oid: _array(t) for t in SCALARS if t.array_oid})
