"""Values of the RDS Data API: `{"longValue": 7}` in, records and column metadata out.

A `longValue` is a bigint to the statement and a `doubleValue` a double, as there. A `stringValue` without a hint is
whatever the statement makes of it, which is more than there: a uuid needs no cast.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tausql.frontend.http_named_parameters import ParameterRefused, numbered
from tausql.frontend.http_statements import Statement
from tausql.frontend.http_values import array_element, converter
from tausql.pgwire.rows import Column

BOOL, BYTEA, INT8, INT2, INT4, OID, FLOAT4, FLOAT8 = 16, 17, 20, 21, 23, 26, 700, 701
VARCHAR, BPCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, NUMERIC, UUID, JSON = (
    1043,
    1042,
    1082,
    1083,
    1114,
    1184,
    1700,
    2950,
    114,
)

_HINTS = {"DATE": DATE, "DECIMAL": NUMERIC, "JSON": JSON, "TIME": TIME, "TIMESTAMP": TIMESTAMP, "UUID": UUID}


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of them is set."""

    isNull: bool | None = None
    booleanValue: bool | None = None
    longValue: int | None = None
    doubleValue: float | None = None
    stringValue: str | None = None
    blobValue: bytes | None = None
    arrayValue: Any = None


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    value: Field
    typeHint: Literal["DATE", "DECIMAL", "JSON", "TIME", "TIMESTAMP", "UUID"] | None = None


class ResultOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decimalReturnType: Literal["STRING", "DOUBLE_OR_LONG"] = "STRING"
    longReturnType: Literal["LONG", "STRING"] = "LONG"


def statement_of(sql: str, parameters: list[Parameter]) -> Statement:
    """Raises ParameterRefused."""
    by_name = {parameter.name: parameter for parameter in parameters}
    if len(by_name) != len(parameters):
        raise ParameterRefused("A parameter is given more than once.")
    text, names = numbered(sql, frozenset(by_name))
    bound = [_bound(by_name[name]) for name in names]
    return Statement(text, [value for value, _ in bound], [oid for _, oid in bound])


def _bound(parameter: Parameter) -> tuple[bytes | None, int]:
    """Its text and type; 0: the statement decides."""
    field, hint = parameter.value, parameter.typeHint
    given = [name for name in field.__struct_fields__ if getattr(field, name) is not None]
    if len(given) != 1 or field.isNull is False:
        raise ParameterRefused(f"Parameter {parameter.name} must have exactly one value.")
    oid = _HINTS[hint] if hint is not None else 0
    kind = given[0]
    if kind == "arrayValue":
        raise ParameterRefused("Array parameters are not supported.")
    if kind == "isNull":
        return None, oid
    if kind == "blobValue":
        assert field.blobValue is not None
        return b"\\x" + field.blobValue.hex().encode(), BYTEA
    if kind == "booleanValue":
        return (b"true" if field.booleanValue else b"false"), BOOL
    if kind == "longValue":
        return str(field.longValue).encode(), oid or INT8
    if kind == "doubleValue":
        return repr(field.doubleValue).encode(), oid or FLOAT8
    assert field.stringValue is not None
    raw = field.stringValue.encode(errors="surrogatepass")
    if 0 in raw:
        raise ParameterRefused(f"Parameter {parameter.name} holds a zero byte, which no text can.")
    return raw, oid


Render = Callable[[bytes], dict[str, Any]]


def records_of(
    columns: tuple[Column, ...], rows: list[tuple[bytes | None, ...]], options: ResultOptions
) -> list[list[dict[str, Any]]]:
    renders = [_render(column.type_oid, options) for column in columns]
    return [
        [{"isNull": True} if value is None else render(value) for render, value in zip(renders, row, strict=True)]
        for row in rows
    ]


def formatted(columns: tuple[Column, ...], rows: list[tuple[bytes | None, ...]], options: ResultOptions) -> str:
    """As a JSON text: a list of objects. Raises ParameterRefused where two columns have one name."""
    names = [column.name for column in columns]
    if len(set(names)) != len(names):
        raise ParameterRefused("Two columns have the same name, which JSON records cannot tell apart.")
    renders = [_plain(column.type_oid, options) for column in columns]
    return msgspec.json.encode(
        [
            {
                name: None if value is None else render(value)
                for name, render, value in zip(names, renders, row, strict=True)
            }
            for row in rows
        ]
    ).decode()


def metadata_of(columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    return [_metadata(column) for column in columns]


def _render(oid: int, options: ResultOptions) -> Render:
    element = array_element(oid)
    if element is not None:
        return _array_render(oid, element)
    plain = _plain(oid, options)
    name = _field_name(oid)
    if name == "stringValue":
        # What a plain value may be for options: a number as such.
        return lambda raw: _named(plain(raw))
    if name == "longValue" and options.longReturnType == "STRING":
        return lambda raw: {"stringValue": raw.decode()}
    return lambda raw: {name: plain(raw)}


def _named(value: Any) -> dict[str, Any]:
    name = "longValue" if isinstance(value, int) else "doubleValue" if isinstance(value, float) else "stringValue"
    return {name: value}


def _field_name(oid: int) -> str:
    if oid in (INT2, INT4, INT8, OID):
        return "longValue"
    if oid in (FLOAT4, FLOAT8):
        return "doubleValue"
    return {BOOL: "booleanValue", BYTEA: "blobValue"}.get(oid, "stringValue")


def _plain(oid: int, options: ResultOptions) -> Callable[[bytes], Any]:
    if oid in (INT2, INT4, INT8, OID):
        return int if options.longReturnType == "LONG" else _text
    if oid in (FLOAT4, FLOAT8):
        return _double
    if oid == BOOL:
        return lambda raw: raw == b"t"
    if oid == BYTEA:
        return lambda raw: base64.b64encode(bytes.fromhex(raw[2:].decode())).decode()
    if oid == NUMERIC and options.decimalReturnType == "DOUBLE_OR_LONG":
        return lambda raw: int(raw) if raw.lstrip(b"-").isdigit() else _double(raw)
    if oid == TIMESTAMPTZ:
        return lambda raw: raw.decode().removesuffix("+00")  # sessions over HTTP are in UTC, and so says the API
    return _text


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _double(raw: bytes) -> float | str:
    """JSON has no infinities: they are texts, which the SDKs of AWS read."""
    value = float(raw)
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")


def _array_render(oid: int, element: int) -> Render:
    convert = converter(oid)
    name = {"booleanValue": "booleanValues", "longValue": "longValues", "doubleValue": "doubleValues"}.get(
        _field_name(element), "stringValues"
    )

    def nested(values: list[Any]) -> dict[str, Any]:
        if values and isinstance(values[0], list):
            return {"arrayValues": [nested(value) for value in values]}
        if name == "stringValues":
            return {name: [_array_text(value) for value in values]}
        return {name: [int(value) if name == "longValues" and isinstance(value, str) else value for value in values]}

    def render(raw: bytes) -> dict[str, Any]:
        values = convert(raw)
        return {"arrayValue": nested(values)} if isinstance(values, list) else {"stringValue": raw.decode()}

    return render


def _array_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)


# Type of a column by its oid: PostgreSQL's internal name, JDBC's number, precision.
_TYPES: dict[int, tuple[str, int, int]] = {
    BOOL: ("bool", -7, 1),
    BYTEA: ("bytea", -2, 2147483647),
    INT8: ("int8", -5, 19),
    INT2: ("int2", 5, 5),
    INT4: ("int4", 4, 10),
    25: ("text", 12, 2147483647),
    OID: ("oid", -5, 10),
    JSON: ("json", 1111, 2147483647),
    FLOAT4: ("float4", 7, 8),
    FLOAT8: ("float8", 8, 17),
    18: ("char", 1, 1),
    19: ("name", 12, 63),
    BPCHAR: ("bpchar", 1, 2147483647),
    VARCHAR: ("varchar", 12, 2147483647),
    DATE: ("date", 91, 13),
    TIME: ("time", 92, 15),
    TIMESTAMP: ("timestamp", 93, 29),
    TIMESTAMPTZ: ("timestamptz", 93, 35),
    1186: ("interval", 1111, 49),
    1266: ("timetz", 92, 21),
    NUMERIC: ("numeric", 2, 0),
    UUID: ("uuid", 1111, 2147483647),
    3802: ("jsonb", 1111, 2147483647),
}
_SIGNED = (INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC)
_CASED = (25, 18, 19, BPCHAR, VARCHAR, JSON, 3802)


def _metadata(column: Column) -> dict[str, Any]:
    oid, modifier = column.type_oid, column.type_modifier
    element = array_element(oid)
    known = _TYPES.get(element if element is not None else oid, ("unknown", 1111, 2147483647))
    name, number, precision = known
    scale = 0
    if modifier >= 4 and oid in (VARCHAR, BPCHAR):
        precision = modifier - 4
    elif modifier >= 4 and oid == NUMERIC:
        precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
    return {
        "name": column.name,
        "label": column.name,
        "type": 2003 if element is not None else number,
        "typeName": f"_{name}" if element is not None else name,
        "schemaName": "",
        "tableName": "",
        "arrayBaseColumnType": number if element is not None else 0,
        "isAutoIncrement": False,
        "isCaseSensitive": oid in _CASED,
        "isCurrency": False,
        "isSigned": oid in _SIGNED,
        "nullable": 2,  # JDBC's "unknown"
        "precision": precision,
        "scale": scale,
    }
