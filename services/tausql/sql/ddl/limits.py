"""Aurora DSQL's limits on schema objects, with its words."""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.lexer import NAME_BYTES_MAX
from tausql.sql.types import Type

TABLES_MAX = 1000
COLUMNS_MAX = 255
KEY_COLUMNS_MAX = 8
INDEXES_MAX = 24
VARCHAR_BYTES_MAX = 65535
CHAR_BYTES_MAX = 4096
NUMERIC_DEFAULT_PRECISION, NUMERIC_DEFAULT_SCALE = 18, 6

COLUMN_TYPES = frozenset(
    "int2 int4 int8 float4 float8 numeric text varchar bpchar uuid bool date time timetz timestamp timestamptz interval"
    " bytea json jsonb".split()
)
NOT_IN_KEYS = frozenset("timetz interval bytea json jsonb".split())


def check_key_columns(types: list[Type]) -> None:
    """Raises 54011 for more than 8 columns, 0A000 for a type that has no place in a key."""
    if len(types) > KEY_COLUMNS_MAX:
        raise SqlError(Code.too_many_columns, f"more than {KEY_COLUMNS_MAX} column keys in an index are not supported")
    for type_ in types:
        if type_.name in NOT_IN_KEYS or type_.element_oid:
            raise not_supported(f"datatype {type_.sql_name} is not supported in a key")


def check_index_count(count: int) -> None:
    """`count` indexes, the primary key among them."""
    if count > INDEXES_MAX:
        raise SqlError(Code.program_limit_exceeded, f"more than {INDEXES_MAX} indexes per table are not allowed")


def object_name(first: str, second: str, label: str) -> str:
    """`first_second_label` (`second` may be empty), the longer of the two shortened until it fits: the label, which
    makes names differ, is never cut."""
    parts = [first.encode(), second.encode()]
    room = NAME_BYTES_MAX - len(label.encode()) - (2 if second else 1)
    while len(parts[0]) + len(parts[1]) > room:
        longer = 0 if len(parts[0]) > len(parts[1]) else 1
        parts[longer] = parts[longer][:-1]
    kept = [part.decode(errors="ignore") for part in parts]
    return "_".join([part for part in kept if part] + [label])
