"""A table while ALTER TABLE changes it: one descriptor that every action replaces, written when all have run."""

from __future__ import annotations

from typing import Any

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Column, Index, Table
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.jobs_entry import enter_removal


class TableChange:
    """`table` as it is so far; `parents`: other tables that are changed with it, by oid."""

    __slots__ = ("change", "jobs", "parents", "table")

    def __init__(self, change: SchemaChange, table: Table) -> None:
        self.change = change
        self.table = table
        self.parents: dict[int, Table] = {}
        self.jobs = False

    def set(self, **changes: Any) -> None:
        self.table = msgspec.structs.replace(self.table, **changes)

    def column(self, name: str) -> Column:
        """Raises 42703 for a column that is not there."""
        column = self.table.column(name)
        if column is None:
            raise SqlError(Code.undefined_column, f'column "{name}" of relation "{self.table.name}" does not exist')
        return column

    def set_column(self, position: int, **changes: Any) -> None:
        columns = list(self.table.columns)
        columns[position] = msgspec.structs.replace(columns[position], **changes)
        self.set(columns=tuple(columns))

    def remove_index(self, index: Index) -> None:
        """Its name is free, and a job removes its entries."""
        self.change.writer.release_name(self.table.schema, index.name)
        enter_removal(self.change, self.table.oid, index.oid, f"{self.table.schema}.{index.name}", index.storage)
        self.jobs = True
        self.set(indexes=tuple(other for other in self.table.indexes if other.oid != index.oid))

    def write(self) -> None:
        self.change.writer.replace_table(self.table)
        for parent in self.parents.values():
            self.change.writer.replace_table(parent)
