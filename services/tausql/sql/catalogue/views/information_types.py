"""A type as information_schema spreads it over columns: length, precision, scale, in SQL's own units."""

from __future__ import annotations

from typing import Any, Final

from tausql.sql.catalogue.facts import DATABASE_NAME, Facts
from tausql.sql.types.registry import type_by_oid
from tausql.sql.types.type import INTERVAL_FULL_PRECISION, numeric_typmod_parts

_BITS: Final = {"int2": 16, "int4": 32, "int8": 64, "float4": 24, "float8": 53}
_TEMPORAL: Final = frozenset(("time", "timetz", "timestamp", "timestamptz", "interval"))
_OCTETS_MAX: Final = 1 << 30


def type_columns(facts: Facts, type_oid: int, typmod: int) -> dict[str, Any]:
    """data_type, the numbers that go with it, and udt_*: of a column, a domain's base type, a parameter."""
    type = type_by_oid(type_oid)
    found: dict[str, Any] = {
        "data_type": "ARRAY" if type.name.startswith("_") else type.sql_name,
        "udt_catalog": DATABASE_NAME,
        "udt_schema": "pg_catalog",
        "udt_name": type.name,
    }
    if type.name in ("varchar", "bpchar"):
        length = typmod - 4 if typmod >= 0 else None
        found["character_maximum_length"] = length
        found["character_octet_length"] = length * 4 if length is not None else _OCTETS_MAX
    elif type.name == "text":
        found["character_octet_length"] = _OCTETS_MAX
    elif type.name in _BITS:
        found["numeric_precision"] = _BITS[type.name]
        found["numeric_precision_radix"] = 2
        if type.name.startswith("int"):
            found["numeric_scale"] = 0
    elif type.name == "numeric":
        found["numeric_precision_radix"] = 10
        if typmod >= 0:
            found["numeric_precision"], found["numeric_scale"] = numeric_typmod_parts(typmod)
    elif type.name == "date":
        found["datetime_precision"] = 0
    elif type.name in _TEMPORAL:
        found["datetime_precision"] = _precision(type.name, typmod)
    return found


def _precision(name: str, typmod: int) -> int:
    if typmod < 0:
        return 6
    if name == "interval":
        precision = typmod & 0xFFFF
        return 6 if precision == INTERVAL_FULL_PRECISION else precision
    return typmod
