"""Type names as sqlglot parses them, to a Type and its modifier."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.types import builtin as b
from tausql.sql.types import run_time as r
from tausql.sql.types.registry import array_of, find_type, type_by_name
from tausql.sql.types.type import INTERVAL_FIELDS, INTERVAL_FULL_RANGE, Type, interval_typmod, numeric_typmod

_NAMES: Final = {
    exp.DType.BIGINT: b.INT8, exp.DType.SMALLINT: b.INT2, exp.DType.INT: b.INT4, exp.DType.DECIMAL: b.NUMERIC,
    exp.DType.DOUBLE: b.FLOAT8, exp.DType.FLOAT: b.FLOAT4, exp.DType.BOOLEAN: b.BOOL, exp.DType.TEXT: b.TEXT,
    exp.DType.VARCHAR: b.VARCHAR, exp.DType.NVARCHAR: b.VARCHAR, exp.DType.CHAR: b.BPCHAR, exp.DType.NCHAR: b.BPCHAR,
    exp.DType.BPCHAR: b.BPCHAR, exp.DType.NAME: b.NAME, exp.DType.UUID: b.UUID, exp.DType.DATE: b.DATE,
    exp.DType.TIME: b.TIME, exp.DType.TIMETZ: b.TIMETZ, exp.DType.TIMESTAMP: b.TIMESTAMP,
    exp.DType.TIMESTAMPTZ: b.TIMESTAMPTZ, exp.DType.INTERVAL: b.INTERVAL, exp.DType.VARBINARY: b.BYTEA,
    exp.DType.JSON: b.JSON, exp.DType.JSONB: b.JSONB, exp.DType.UNKNOWN: b.UNKNOWN,
    exp.DType.BIT: r.BIT, exp.DType.INET: r.INET, exp.DType.INT4RANGE: r.INT4RANGE, exp.DType.INT8RANGE: r.INT8RANGE,
    exp.DType.NUMRANGE: r.NUMRANGE, exp.DType.TSRANGE: r.TSRANGE, exp.DType.TSTZRANGE: r.TSTZRANGE,
    exp.DType.DATERANGE: r.DATERANGE, exp.DType.INT4MULTIRANGE: r.MULTIRANGES[0],
    exp.DType.NUMMULTIRANGE: r.MULTIRANGES[1], exp.DType.TSMULTIRANGE: r.MULTIRANGES[2],
    exp.DType.TSTZMULTIRANGE: r.MULTIRANGES[3], exp.DType.DATEMULTIRANGE: r.MULTIRANGES[4],
    exp.DType.INT8MULTIRANGE: r.MULTIRANGES[5],
}  # fmt: skip
# Types of PostgreSQL that TauSQL does not have, by sqlglot's word.
_REFUSED: Final = {
    exp.DType.MONEY: "money", exp.DType.XML: "xml", exp.DType.POINT: "point", exp.DType.POLYGON: "polygon",
}  # fmt: skip
_UNKNOWN_WORDS: Final = {
    exp.DType.SERIAL: "serial", exp.DType.BIGSERIAL: "bigserial", exp.DType.SMALLSERIAL: "smallserial",
    exp.DType.TINYINT: "tinyint", exp.DType.DATETIME: "datetime",
}  # fmt: skip
LENGTH_MAX: Final = 10_485_760


def type_and_typmod(node: exp.Expr) -> tuple[Type, int]:
    """(Type, typmod); 42704 for no such type, 0A000 for one TauSQL does not have, 22023 for a bad modifier."""
    if isinstance(node, exp.ObjectIdentifier | exp.PseudoType):
        return type_by_name(str(node.this).lower()), -1
    if isinstance(node, exp.Interval):
        return b.INTERVAL, _interval_fields(node)
    if not isinstance(node, exp.DataType):
        return _by_identifier(node)
    kind = node.this
    if isinstance(kind, exp.Interval):
        return b.INTERVAL, _interval_fields(kind)
    if kind is exp.DType.ARRAY:
        element, typmod = type_and_typmod(node.expressions[0]) if node.expressions else (b.TEXT, -1)
        array = array_of(element)
        if array is None:
            raise SqlError(Code.undefined_object, f'type "{element.sql_name}[]" does not exist')
        return array, typmod
    if kind is exp.DType.USERDEFINED:
        named, typmod = _by_identifier(node.args.get("kind"))
        if named in (r.VARBIT, r.BIT) and node.expressions:
            return named, _bit_length(named, _modifier(node.expressions[0]))
        return named, typmod
    if kind in _REFUSED:
        raise not_supported(f"datatype {_REFUSED[kind]} not supported")
    found = _NAMES.get(kind)
    if found is None:
        word = _UNKNOWN_WORDS.get(kind, str(getattr(kind, "value", kind)).lower())
        raise SqlError(Code.undefined_object, f'type "{word}" does not exist')
    return _with_modifiers(found, kind, [_modifier(item) for item in node.expressions])


def _by_identifier(node: exp.Expr | str | None) -> tuple[Type, int]:
    if isinstance(node, str):
        return type_by_name(node.lower()), -1
    if isinstance(node, exp.Dot):
        schema, name = node.this.name.lower(), node.expression
        if schema != "pg_catalog":
            raise SqlError(Code.undefined_object, f'type "{schema}.{name.name}" does not exist')
        return _by_identifier(name)
    if isinstance(node, exp.Identifier):
        if node.args.get("quoted"):
            found = b.CHAR if node.this == "char" else find_type(node.this)
            if found is None:
                raise SqlError(Code.undefined_object, f'type "{node.this}" does not exist')
            return found, -1
        return type_by_name(node.this.lower()), -1
    raise SqlError(Code.syntax_error, "invalid type name")


def _modifier(node: exp.Expr) -> int:
    inner = node.this if isinstance(node, exp.DataTypeParam) else node
    sign = 1
    if isinstance(inner, exp.Neg):
        inner, sign = inner.this, -1
    if not isinstance(inner, exp.Literal) or inner.is_string or not str(inner.this).removeprefix("-").isdigit():
        raise SqlError(Code.invalid_parameter_value, "type modifiers must be simple constants or identifiers")
    return sign * int(inner.this)


def _with_modifiers(type: Type, kind: exp.DType, modifiers: list[int]) -> tuple[Type, int]:
    if kind is exp.DType.DOUBLE and modifiers:
        return _float_of_precision(modifiers[0]), -1
    if type in (b.VARCHAR, b.BPCHAR):
        if not modifiers:
            return type, 5 if kind in (exp.DType.CHAR, exp.DType.NCHAR) else -1
        return type, checked_length(type, modifiers[0]) + 4
    if type is r.BIT:
        return type, _bit_length(type, modifiers[0]) if modifiers else 1
    if not modifiers:
        return type, -1
    if type is b.NUMERIC:
        return type, numeric_modifier(modifiers)
    if type in (b.TIMESTAMP, b.TIMESTAMPTZ, b.TIME, b.TIMETZ):
        return type, min(modifiers[0], 6)
    if type is b.INTERVAL:
        return type, interval_typmod(INTERVAL_FULL_RANGE, min(modifiers[0], 6))
    raise SqlError(Code.syntax_error, f'type modifier is not allowed for type "{type.name}"')


def _bit_length(type: Type, length: int) -> int:
    name = "bit" if type is r.BIT else "varbit"
    if length < 1:
        raise SqlError(Code.invalid_parameter_value, f"length for type {name} must be at least 1")
    if length > 83_886_080:
        raise SqlError(Code.invalid_parameter_value, f"length for type {name} cannot exceed 83886080")
    return length


def _float_of_precision(bits: int) -> Type:
    if bits < 1:
        raise SqlError(Code.invalid_parameter_value, "precision for type float must be at least 1 bit")
    if bits > 53:
        raise SqlError(Code.invalid_parameter_value, "precision for type float must be less than 54 bits")
    return b.FLOAT4 if bits <= 24 else b.FLOAT8


def checked_length(type: Type, length: int) -> int:
    """The n of varchar(n) or char(n)."""
    name = "varchar" if type is b.VARCHAR else "char"
    if length < 1:
        raise SqlError(Code.invalid_parameter_value, f"length for type {name} must be at least 1")
    if length > LENGTH_MAX:
        raise SqlError(Code.invalid_parameter_value, f"length for type {name} cannot exceed {LENGTH_MAX}")
    return length


def numeric_modifier(modifiers: list[int]) -> int:
    """The typmod of numeric(p[, s])."""
    precision, scale = modifiers[0], modifiers[1] if len(modifiers) > 1 else 0
    if not 1 <= precision <= 1000:
        raise SqlError(Code.invalid_parameter_value, f"NUMERIC precision {precision} must be between 1 and 1000")
    if not -1000 <= scale <= 1000:
        raise SqlError(Code.invalid_parameter_value, f"NUMERIC scale {scale} must be between -1000 and 1000")
    return numeric_typmod(precision, scale)


def _interval_fields(node: exp.Interval) -> int:
    unit = node.args.get("unit")
    if unit is None:
        return -1
    return interval_typmod(INTERVAL_FIELDS[interval_field_words(unit)])


def interval_field_words(unit: exp.Expr) -> str:
    """'day', 'day to second', ...; 42601 for a combination PostgreSQL does not have."""
    if isinstance(unit, exp.IntervalSpan):
        words = f"{unit.this.name} to {unit.expression.name}".lower()
    else:
        words = unit.name.lower()
    if words not in INTERVAL_FIELDS:
        raise SqlError(Code.syntax_error, f'syntax error at or near "{words}"')
    return words
