"""Finding types by oid and by any of their names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types import builtin, run_time
from tausql.sql.types.builtin import SCALARS
from tausql.sql.types.enums import MARK, EnumType, enum_array, enum_type, is_enum_array_oid, is_enum_oid, pinned_enum
from tausql.sql.types.type import Type

_ARRAYS: Final[Mapping[int, Type]] = MappingProxyType(
    dict(builtin.ARRAYS) | {array.element_oid: array for array in run_time.ARRAYS}
)
_BY_OID: Final[Mapping[int, Type]] = MappingProxyType(
    {t.oid: t for t in (*SCALARS, *run_time.TYPES)} | {t.oid: t for t in _ARRAYS.values()}
)
_ALIASES: Final[Mapping[str, Type]] = MappingProxyType(
    {
        "int": builtin.INT4,
        "decimal": builtin.NUMERIC,
        "dec": builtin.NUMERIC,
        "float": builtin.FLOAT8,
        "character": builtin.BPCHAR,
        "national character": builtin.BPCHAR,
        "nchar": builtin.BPCHAR,
        "char varying": builtin.VARCHAR,
        "national character varying": builtin.VARCHAR,
        "time": builtin.TIME,
        "timestamp": builtin.TIMESTAMP,
    }
)
_BY_NAME: Final[Mapping[str, Type]] = MappingProxyType(
    {t.name: t for t in _BY_OID.values()}
    | {t.sql_name: t for t in _BY_OID.values() if not t.sql_name.startswith('"')}
    | dict(_ALIASES)
)


def all_types() -> list[Type]:
    """Every type, for pg_type."""
    return list(_BY_OID.values())


def type_by_oid(oid: int) -> Type:
    """42704 when there is none."""
    found = _BY_OID.get(oid) or _of_enum(oid)
    if found is None:
        raise SqlError(Code.undefined_object, f"type with OID {oid} does not exist")
    return found


def _of_enum(oid: int) -> Type | None:
    if is_enum_oid(oid):
        return enum_type(oid)
    return enum_array(oid) if is_enum_array_oid(oid) else None


def find_type(name: str) -> Type | None:
    """A type by name or alias, lower case; '"char"' quoted is the one-byte type, 'char' unquoted is char(1)."""
    if name == '"char"':
        return builtin.CHAR
    if name == "char":
        return builtin.BPCHAR
    if name.startswith("pg_catalog."):
        bare = name[11:]
        return builtin.CHAR if bare in ("char", '"char"') else find_type(bare)
    if name.endswith("[]"):
        element = find_type(name[:-2].rstrip("[] "))
        return array_of(element) if element is not None else None
    found = _BY_NAME.get(name)
    if found is None and name.startswith(MARK) and name[len(MARK) :].isdigit():
        return _of_enum(int(name[len(MARK) :]))
    return found or (pinned_enum(name) if MARK in name else None)


def type_by_name(name: str) -> Type:
    """As find_type; 42704 `type "foo" does not exist`."""
    found = find_type(name)
    if found is None:
        raise SqlError(Code.undefined_object, f'type "{name}" does not exist')
    return found


def array_of(element: Type) -> Type | None:
    """The array type of an element type; an array of arrays is the same type in PostgreSQL."""
    if element.is_array:
        return element
    if isinstance(element, EnumType):
        return enum_array(element.array_oid)
    return _ARRAYS.get(element.oid)


def element_of(array: Type) -> Type | None:
    oid = array.element_oid
    return (_BY_OID.get(oid) or _of_enum(oid)) if oid else None
