"""What columns can be and become beyond Aurora DSQL (extensions): serial, arrays, ADD COLUMN with a default or NOT
NULL, SET NOT NULL, and changes of type that no row notices.

A default for rows that are there already could be a note in the catalogue, as in PostgreSQL; storage would have to know
it too, since it filters and adds up rows by itself. So the rows are written anew, in the same transaction, which limits
such a table to 3,000 rows. SET NOT NULL reads the whole table; a type that is merely wider costs nothing.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Column
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.columns import TYPE_ENDS, ColumnDefinition, checked_default, read_type, read_value
from tausql.sql.ddl.dependencies import Item, dependents, description
from tausql.sql.ddl.filling import all_rows
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.table_change import TableChange
from tausql.sql.expressions import compile_expr
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.type_names import type_and_typmod
from tausql.sql.stored_expressions import DEFAULT, RowScope, bound_value
from tausql.sql.tables import TableAccess
from tausql.sql.types import Type, type_by_oid
from tausql.sql.types.builtin import BPCHAR, FLOAT4, FLOAT8, INT2, INT4, INT8, NUMERIC, TEXT, VARCHAR

_CONSTRAINED: Final = "ALTER TABLE ADD COLUMN with constraint not supported"
_SERIALS: Final = MappingProxyType(
    {"SERIAL": INT4, "SERIAL4": INT4, "BIGSERIAL": INT8, "SERIAL8": INT8, "SMALLSERIAL": INT2, "SERIAL2": INT2}
)
_ELEMENTS: Final = frozenset(
    "int2 int4 int8 float4 float8 text varchar uuid bool date time timestamp timestamptz bytea".split()
)
_WIDER: Final = frozenset(((INT2, INT4), (INT2, INT8), (INT4, INT8), (FLOAT4, FLOAT8), (VARCHAR, TEXT)))


def read_further(words: Words, name: str) -> ColumnDefinition | None:
    """A column of a serial type or an array; None: of any other type."""
    return _read_serial(words, name) or read_array(words, name)


def read_array(words: Words, name: str) -> ColumnDefinition | None:
    """Arrays are stored as they are, so their elements must be, too. Raises 0A000 for elements of other types and for
    those with a length, which nothing would hold the elements to."""
    first = words.at
    text = words.until(*TYPE_ENDS)
    if "[" not in text and "ARRAY" not in text.upper().split():
        words.at = first
        return None
    to = parse_expression(f"CAST(NULL AS {text})").args.get("to")
    if to is None:
        raise SqlError(Code.undefined_object, f'type "{text}" does not exist')
    type_, typmod = type_and_typmod(to)
    if typmod >= 0 or type_by_oid(type_.element_oid or type_.oid).name not in _ELEMENTS:
        raise not_supported(f"datatype {type_.display(typmod)} not supported")
    return ColumnDefinition(name, type_, -1)


def _read_serial(words: Words, name: str) -> ColumnDefinition | None:
    """An identity column whose sequence hands out one number at a time."""
    type_ = _SERIALS.get(words.peek())
    if type_ is None:
        return None
    words.at += 1
    return ColumnDefinition(name, type_, -1, identity="d", copied_options={"cache": 1, "type_oid": type_.oid})


# --- ADD COLUMN, SET NOT NULL ----------------------------------------------------------------------------------------


def read_filling(change: SchemaChange, words: Words, definition: ColumnDefinition) -> None:
    """DEFAULT and NOT NULL behind a new column's type. Raises 0A000 for any other constraint."""
    while not words.ended:
        if words.take("DEFAULT"):
            if _is_domain(definition) or definition.default is not None:
                raise not_supported(_CONSTRAINED)
            value = read_value(words)
            definition.default = checked_default(change, value, definition.name, definition.type, definition.typmod)
            if "nextval" in definition.default.lower():
                raise not_supported(_CONSTRAINED, hint="Rows that are there already get their default at once.")
        elif words.take("NOT", "NULL") and not _is_domain(definition):
            definition.not_null = True
        elif not words.take("NULL"):
            raise not_supported(_CONSTRAINED)


def _is_domain(definition: ColumnDefinition) -> bool:
    """Whether its type is a domain, with checks of its own; an enum type has none."""
    return definition.domain is not None and not definition.domain.is_enum


async def fill(altered: TableChange, column: Column) -> None:
    """Give every row there is the default of a column just added. Raises 23502 where there is none and it must not be
    NULL, 54000 for a table of more rows than a transaction may change."""
    table, change = altered.table, altered.change
    if column.default is None:
        if column.not_null:
            await check_not_null(altered, column)
        return
    expr = bound_value(parse_expression(column.default), RowScope(table.name, table.columns, DEFAULT), column)
    value_of = compile_expr(expr)
    access = TableAccess(change.snapshot.cluster, table)
    transaction = change.transaction.later()
    async for key, row in all_rows(transaction, access):
        value: Any = value_of((), change.context)
        if value is None and column.not_null:
            raise _contains_null(altered, column)
        row[column.position] = value
        transaction.update_row(table.oid, key, access.value_of(row), False)


async def check_not_null(altered: TableChange, column: Column) -> None:
    """Raises 23502 where a row has no value in that column."""
    access = TableAccess(altered.change.snapshot.cluster, altered.table)
    async for _, row in all_rows(altered.change.transaction.later(), access):
        if row[column.position] is None:
            raise _contains_null(altered, column)


def _contains_null(altered: TableChange, column: Column) -> SqlError:
    table = altered.table
    return SqlError(
        Code.not_null_violation,
        f'column "{column.name}" of relation "{table.name}" contains null values',
        schema=table.schema,
        table=table.name,
        column=column.name,
    )


# --- ALTER COLUMN TYPE -----------------------------------------------------------------------------------------------


def widen(altered: TableChange, column: Column, words: Words, old: Type) -> None:
    """TYPE behind, the new type here. Raises 0A000 for one that would have to touch a row, or that a view reads."""
    change, table = altered.change, altered.table
    new, typmod, domain = read_type(words, change.snapshot, change.search_path)
    if not words.ended or domain is not None or column.domain or not _is_wider(old, column.typmod, new, typmod):
        raise not_supported(
            "unsupported ALTER TABLE ALTER COLUMN ... SET DATA TYPE statement",
            hint="A type can become a wider one of its kind: integer bigint, varchar(10) varchar(20) or text, "
            "numeric(8,2) numeric(10,2).",
        )
    for item in dependents(change, Item("column", table.oid, column.position + 1)):
        if item.kind in ("view", "function"):
            raise SqlError(
                Code.feature_not_supported,
                "cannot alter type of a column used by a view or rule",
                detail=f'{description(change, item)} depends on column "{column.name}"',
            )
    altered.set_column(column.position, type_oid=new.oid, typmod=typmod)


def _is_wider(old: Type, old_typmod: int, new: Type, typmod: int) -> bool:
    if (old, new) in _WIDER:
        return True
    if old is not new and not (old is TEXT and new is VARCHAR and typmod < 0):
        return False
    if old_typmod == typmod or typmod < 0:
        return new is not NUMERIC or old_typmod == typmod
    if new is NUMERIC:
        digits, scale = (old_typmod - 4) >> 16, (old_typmod - 4) & 0x7FF
        return (typmod - 4) >> 16 >= digits and (typmod - 4) & 0x7FF == scale
    return 0 <= old_typmod <= typmod and new is not BPCHAR
