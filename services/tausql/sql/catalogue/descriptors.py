"""What a statement knows of the schema: tables, columns, indexes, as they were at one tau.

A `Snapshot` is immutable and shared by every session that plans against it. It is made from the catalogue's rows
(`sql.catalogue.store`); each relation carries the tau of its last change, its *version*: reads name it and storage
answers `stale schema` where another one was current.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import msgspec

GLOBAL_RELATION = 0  # changes with every schema change: what a name that is not there, and DDL itself, relies on


class Column(msgspec.Struct, frozen=True, gc=False):
    name: str
    type_oid: int
    typmod: int  # -1 = none
    not_null: bool
    position: int  # in the stored row, from 0; attnum = position + 1; never reused
    default: str | None = None  # SQL text
    dropped: bool = False


class IndexState(IntEnum):
    """How far CREATE INDEX ASYNC has come. Entries are maintained, uniqueness is enforced, from the first state on."""

    building = 0  # write-only: not read by plans
    ready = 1
    failed = 2  # still maintained and enforced, never read; dropped by DROP INDEX


class Index(msgspec.Struct, frozen=True, gc=False):
    oid: int
    name: str
    columns: tuple[int, ...]  # positions
    unique: bool
    state: IndexState = IndexState.ready
    constraint: bool = False  # made by a UNIQUE constraint
    nulls_first: tuple[bool, ...] = ()


class Table(msgspec.Struct, frozen=True, gc=False):
    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]  # by position, dropped ones included
    primary_key: tuple[int, ...]  # positions, in key order; () = none: rows have a hidden 16-byte id as their key
    primary_key_name: str
    indexes: tuple[Index, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()  # (name, SQL text)
    owner: str = "admin"
    version: int = 0  # tau of the last schema change

    def column(self, name: str) -> Column | None:
        for column in self.columns:
            if column.name == name and not column.dropped:
                return column
        return None

    @property
    def live_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.dropped)


class Snapshot(msgspec.Struct, frozen=True):
    """The catalogue of one cluster at one tau."""

    cluster: int
    version: int  # tau of the newest schema change of all
    schemas: tuple[str, ...]
    tables: Mapping[tuple[str, str], Table]  # by (schema, name)
    by_oid: Mapping[int, Table]
    indexes: Mapping[tuple[str, str], tuple[Table, Index]]  # by (schema, index name)

    def find(self, schema: str | None, name: str, search_path: tuple[str, ...]) -> Table | None:
        """The table a name means: in `schema`, or the first of `search_path` that has it."""
        for candidate in (schema,) if schema is not None else search_path:
            table = self.tables.get((candidate, name))
            if table is not None:
                return table
        return None
