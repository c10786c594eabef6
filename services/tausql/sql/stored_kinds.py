"""How the values of each type lie in keys and in rows.

Apart from the tables that use it, because whoever only reads what is stored (a change stream) needs neither expressions
nor the parser behind them.
"""

from __future__ import annotations

from typing import Final

from tausql.protocol.errors import not_supported
from tausql.protocol.keys import KeyKind
from tausql.protocol.rows import ColumnKind
from tausql.sql.catalogue.descriptors import Column
from tausql.sql.types import type_by_oid
from tausql.sql.types.enums import is_enum_oid

KEY_KINDS: Final = {
    16: KeyKind.boolean,
    17: KeyKind.bytes,
    19: KeyKind.text,
    20: KeyKind.integer,
    21: KeyKind.integer,
    23: KeyKind.integer,
    25: KeyKind.text,
    26: KeyKind.integer,
    700: KeyKind.float,
    701: KeyKind.float,
    1042: KeyKind.bpchar,
    1043: KeyKind.text,
    1082: KeyKind.integer,
    1083: KeyKind.integer,
    1114: KeyKind.integer,
    1184: KeyKind.integer,
    1700: KeyKind.numeric,
    2950: KeyKind.uuid,
}
_COLUMN_KINDS: Final = {
    1186: ColumnKind.interval,
    1266: ColumnKind.interval,
    1700: ColumnKind.numeric,
    3802: ColumnKind.jsonb,
}


def kind_of_type(oid: int) -> KeyKind:
    """How values of a type are laid out in keys. Raises 0A000 for types that cannot be in one."""
    kind = KeyKind.float if is_enum_oid(oid) else KEY_KINDS.get(oid)
    if kind is None:
        raise not_supported(f"datatype {type_by_oid(oid).sql_name} is not supported in a key")
    return kind


def key_kind(column: Column) -> KeyKind:
    """How a column's values are laid out in keys. Raises 0A000 for types that cannot be in one."""
    return kind_of_type(column.type_oid)


def column_kind(column: Column) -> ColumnKind:
    """How a column's values are stored in rows."""
    found = _COLUMN_KINDS.get(column.type_oid)
    if found is None:
        found = ColumnKind.array if type_by_oid(column.type_oid).is_array else ColumnKind.plain
    return found
