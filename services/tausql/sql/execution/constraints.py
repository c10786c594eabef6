"""What a row must satisfy before it is written: NOT NULL, CHECK and uniqueness, with PostgreSQL's words for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.execution.run import Row
from tausql.sql.expressions.context import Context
from tausql.sql.tables import IndexAccess, TableAccess
from tausql.sql.types import type_by_oid

Check = Callable[[Row, Context], Any]


class RowRules:
    """NOT NULL and CHECK of one table, compiled, and its generated columns: (position, value of the row)."""

    __slots__ = ("checks", "generated", "not_null", "table", "view_checks")

    def __init__(
        self,
        table: Table,
        checks: Sequence[tuple[str, Check]],
        generated: Sequence[tuple[int, Check]] = (),
        view_checks: Sequence[tuple[str, Check]] = (),
    ) -> None:
        self.table = table
        self.view_checks = tuple(view_checks)  # (view, condition): here a condition that is NULL does not hold
        self.generated = tuple(generated)
        key = set(table.primary_key)
        self.not_null = tuple(
            column.position
            for column in table.columns
            if not column.dropped and (column.not_null or column.position in key)
        )
        self.checks = tuple(checks)

    def verify(self, row: Row, context: Context) -> None:
        """Computes the row's generated columns in place, then raises 23502 or 23514. A CHECK that is NULL passes."""
        for position, value in self.generated:
            row[position] = value(row, context)
        for position in self.not_null:
            if row[position] is None:
                raise self._null(position, row, context)
        for name, check in self.checks:
            if check(row, context) is False:
                raise SqlError(
                    Code.check_violation,
                    f'new row for relation "{self.table.name}" violates check constraint "{name}"',
                    detail=failing_row(self.table, row, context),
                    schema=self.table.schema,
                    table=self.table.name,
                    constraint=name,
                )

    def verify_views(self, rows: Sequence[Row], context: Context) -> None:
        """The check options of the views written through, once the rows have passed everything else. Raises 44000."""
        for name, check in self.view_checks:
            for row in rows:
                if check(row, context) is not True:
                    raise SqlError(
                        Code.with_check_option_violation,
                        f'new row violates check option for view "{name}"',
                        detail=failing_row(self.table, row, context),
                    )

    def _null(self, position: int, row: Row, context: Context) -> SqlError:
        column = self.table.columns[position]
        return SqlError(
            Code.not_null_violation,
            f'null value in column "{column.name}" of relation "{self.table.name}" violates not-null constraint',
            detail=failing_row(self.table, row, context),
            schema=self.table.schema,
            table=self.table.name,
            column=column.name,
        )


def failing_row(table: Table, row: Row, context: Context) -> str:
    shown = []
    for column in table.live_columns:
        text = value_text(column, row[column.position], context)
        shown.append(text if len(text) <= 64 else text[:64] + "...")
    return f"Failing row contains ({', '.join(shown)})."


def value_text(column: Column, value: Any, context: Context) -> str:
    return "null" if value is None else type_by_oid(column.type_oid).text_out(value, context.format)


def duplicate(access: TableAccess, index: IndexAccess | None, row: Row, context: Context) -> SqlError:
    """23505 for the primary key (`index` None) or a unique index."""
    table = access.table
    name = table.primary_key_name if index is None else index.index.name
    if index is None or index.plain:
        columns = access.key_columns if index is None else index.columns
        names = ", ".join(table.columns[at].name for at in columns)
        values = ", ".join(value_text(table.columns[at], row[at], context) for at in columns)
    else:
        texts = iter(index.index.expressions)
        names = ", ".join(table.columns[at].name if at >= 0 else next(texts) for at in index.columns)
        values = ", ".join(
            "null" if value is None else type_by_oid(oid).text_out(value, context.format)
            for oid, value in zip(index.types, index.values(row), strict=True)
        )
    return SqlError(
        Code.unique_violation,
        f'duplicate key value violates unique constraint "{name}"',
        detail=f"Key ({names})=({values}) already exists.",
        schema=table.schema,
        table=table.name,
        constraint=name,
    )
