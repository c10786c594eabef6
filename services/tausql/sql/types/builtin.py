"""The types there are, with PostgreSQL's oids: the constants every other module names.

There is one `Type` object per oid and it is compared by identity.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types import datetimes, intervals, jsons, numbers, scalars
from tausql.sql.types.arrays import array_codec
from tausql.sql.types.records import record_binary_out, record_out
from tausql.sql.types.scalars import Codec
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type


def _no_anonymous_input(_text: str, _format: SessionFormat, _typmod: int = -1) -> Any:
    raise SqlError(Code.feature_not_supported, "input of anonymous composite types is not implemented")


def pseudo(oid: int, name: str, array_oid: int = 0) -> Type:
    sql_name = '"any"' if name == "any" else name
    codec: Codec = (
        scalars.no_input(sql_name),
        lambda value, _format: str(value),
        scalars.no_binary_input(sql_name),
        lambda value: str(value).encode(),
    )
    return Type(oid, name, sql_name, "P", 4, array_oid, codec)


def _vector_codec(sql_name: str, element: Codec, element_oid: int) -> Codec:
    """int2vector and oidvector: blank-separated numbers; in binary an array that counts from 0."""

    def binary_out(value: list[Any]) -> bytes:
        parts = [struct.pack("!iiIii", 1, 0, element_oid, len(value), 0)]
        for item in value:
            data = element[3](item)
            parts.append(struct.pack("!i", len(data)) + data)
        return b"".join(parts)

    return (
        lambda text, format, _typmod=-1: [element[0](word, format, -1) for word in text.split()],
        lambda value, _format: " ".join(map(str, value)),
        scalars.no_binary_input(sql_name),
        binary_out,
    )


_INT2 = scalars.integer_codec("smallint", 2, "!h")
_OID = scalars.oid_codec()
_VARCHAR = scalars.string_codec(scalars.fit_varchar)
_BPCHAR = scalars.string_codec(scalars.fit_bpchar)
_UUID: Codec = (scalars.uuid_in, scalars.uuid_out, scalars.uuid_binary_in, bytes)
_BYTEA: Codec = (scalars.bytea_in, scalars.bytea_out, bytes, bytes)
_BOOL: Codec = (scalars.bool_in, scalars.bool_out, scalars.bool_binary_in, scalars.bool_binary_out)
_RECORD: Codec = (
    _no_anonymous_input,
    record_out,
    scalars.no_binary_input("record"),
    record_binary_out,
)

BOOL: Final = Type(16, "bool", "boolean", "B", 1, 1000, _BOOL, preferred=True)
BYTEA: Final = Type(17, "bytea", "bytea", "U", -1, 1001, _BYTEA)
CHAR: Final = Type(18, "char", '"char"', "Z", 1, 1002, scalars.single_char_codec())
NAME: Final = Type(19, "name", "name", "S", 64, 1003, scalars.name_codec())
INT8: Final = Type(20, "int8", "bigint", "N", 8, 1016, scalars.integer_codec("bigint", 8, "!q"))
INT2: Final = Type(21, "int2", "smallint", "N", 2, 1005, _INT2)
INT2VECTOR: Final = Type(
    22, "int2vector", "int2vector", "A", -1, 1006, _vector_codec("int2vector", _INT2, 21), element_oid=21
)
INT4: Final = Type(23, "int4", "integer", "N", 4, 1007, scalars.integer_codec("integer", 4, "!i"))
REGPROC: Final = Type(24, "regproc", "regproc", "N", 4, 1008, scalars.reg_codec("proc"), input_volatile=True)
TEXT: Final = Type(25, "text", "text", "S", -1, 1009, scalars.text_codec(), preferred=True)
OID: Final = Type(26, "oid", "oid", "N", 4, 1028, _OID, preferred=True)
XID: Final = Type(28, "xid", "xid", "U", 4, 1011, _OID)
OIDVECTOR: Final = Type(
    30, "oidvector", "oidvector", "A", -1, 1013, _vector_codec("oidvector", _OID, 26), element_oid=26
)
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

# What only the catalogue's own relations have: their values are what it shows, and text for the rest of the world.
_SHOWN: Codec = scalars.text_codec()
TID: Final = Type(27, "tid", "tid", "U", 6, 1010, _SHOWN)
CID: Final = Type(29, "cid", "cid", "U", 4, 1012, _OID)
PG_NODE_TREE: Final = Type(194, "pg_node_tree", "pg_node_tree", "Z", -1, 0, _SHOWN)
ACLITEM: Final = Type(1033, "aclitem", "aclitem", "U", 16, 1034, _SHOWN)
REGPROCEDURE: Final = Type(
    2202, "regprocedure", "regprocedure", "N", 4, 2207, scalars.reg_codec("procedure"), input_volatile=True
)
REGOPER: Final = Type(2203, "regoper", "regoper", "N", 4, 2208, scalars.reg_codec("oper"), input_volatile=True)
REGOPERATOR: Final = Type(
    2204, "regoperator", "regoperator", "N", 4, 2209, scalars.reg_codec("operator"), input_volatile=True
)
CSTRING: Final = Type(2275, "cstring", "cstring", "P", -2, 1263, _SHOWN)
PG_LSN: Final = Type(3220, "pg_lsn", "pg_lsn", "U", 8, 3221, _SHOWN)
REGCONFIG: Final = Type(3734, "regconfig", "regconfig", "N", 4, 3735, scalars.reg_codec("config"), input_volatile=True)
REGDICTIONARY: Final = Type(
    3769, "regdictionary", "regdictionary", "N", 4, 3770, scalars.reg_codec("dictionary"), input_volatile=True
)
REGCOLLATION: Final = Type(
    4191, "regcollation", "regcollation", "N", 4, 4192, scalars.reg_codec("collation"), input_volatile=True
)
XID8: Final = Type(5069, "xid8", "xid8", "U", 8, 271, scalars.integer_codec("bigint", 8, "!q"))

# Polymorphic pseudo-types: only inside function signatures.
ANY: Final = pseudo(2276, "any")
ANYARRAY: Final = pseudo(2277, "anyarray")
ANYELEMENT: Final = pseudo(2283, "anyelement")
ANYNONARRAY: Final = pseudo(2776, "anynonarray")
ANYCOMPATIBLE: Final = pseudo(5077, "anycompatible")
ANYCOMPATIBLEARRAY: Final = pseudo(5078, "anycompatiblearray")

SCALARS: Final[tuple[Type, ...]] = (
    BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT2VECTOR, INT4, REGPROC, TEXT, OID, XID, OIDVECTOR, JSON, FLOAT4, FLOAT8,
    UNKNOWN, BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, TIMETZ, NUMERIC, REGCLASS, REGTYPE, RECORD,
    TID, CID, PG_NODE_TREE, ACLITEM, REGPROCEDURE, REGOPER, REGOPERATOR, CSTRING, PG_LSN, REGCONFIG, REGDICTIONARY,
    REGCOLLATION, XID8, VOID, UUID, JSONB, REGNAMESPACE, REGROLE, ANY, ANYARRAY, ANYELEMENT, ANYNONARRAY, ANYCOMPATIBLE,
    ANYCOMPATIBLEARRAY,
)  # fmt: skip


def array_type(element: Type) -> Type:
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


ARRAYS: Final[Mapping[int, Type]] = MappingProxyType({t.oid: array_type(t) for t in SCALARS if t.array_oid})
