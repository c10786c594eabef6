"""What a statement knows of the schema: tables, columns, indexes, as they were at one tau.

A `Snapshot` is immutable and shared by every session that plans against it. It is made from the catalogue's rows
(`sql.catalogue.store`); each relation carries the tau of its last change, its *version*: reads name it and storage
answers `stale schema` where another one was current.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgspec

from tausql.sql.catalogue.objects import ADMIN_OID, NO_OBJECTS, Acl, Objects
from tausql.sql.catalogue.statistics import NO_STATISTICS, TableStatistics

GLOBAL_RELATION = 0  # changes with every schema change: what a name that is not there, and DDL itself, relies on


class Column(msgspec.Struct, frozen=True, gc=False):
    name: str
    type_oid: int
    typmod: int  # -1 = none
    not_null: bool
    position: int  # in the stored row, from 0; attnum = position + 1; never reused
    default: str | None = None  # SQL text
    dropped: bool = False
    identity: str = ""  # "a" GENERATED ALWAYS, "d" BY DEFAULT AS IDENTITY
    sequence: int = 0  # oid of the identity column's sequence
    generated: str | None = None  # SQL text of GENERATED ALWAYS AS (...) STORED; then `default` is None
    storage: str = ""  # p PLAIN, e EXTERNAL, m MAIN, x EXTENDED; "" = the type's own
    acl: Acl = None
    domain: int = 0  # oid of the domain it was declared with; `type_oid` is then the domain's base type
    bodies: tuple[int, ...] = ()  # oids of users' functions whose bodies stand in `generated`


class IndexState(IntEnum):
    """How far CREATE INDEX ASYNC has come. Entries are maintained, uniqueness is enforced, from the first state on."""

    building = 0  # write-only: not read by plans
    ready = 1
    failed = 2  # still maintained and enforced, never read; dropped by DROP INDEX


class Index(msgspec.Struct, frozen=True, gc=False):
    oid: int
    name: str
    columns: tuple[int, ...]  # positions; -1 = the next of `expressions`
    unique: bool
    state: IndexState = IndexState.ready
    constraint: bool = False  # made by a UNIQUE constraint
    nulls_first: tuple[bool, ...] = ()
    expressions: tuple[str, ...] = ()  # SQL texts, in the order of the -1 in `columns`
    include: tuple[int, ...] = ()  # positions
    predicate: str | None = None  # SQL text of WHERE: rows that do not satisfy it have no entry
    nulls_not_distinct: bool = False
    constraint_oid: int = 0
    storage: int = 0  # as a table's
    covering: bool = False  # its entries have the INCLUDE columns; not so in indexes of before there were such entries
    bodies: tuple[int, ...] = ()  # oids of users' functions whose bodies stand in `expressions` and `predicate`


class Check(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    expression: str  # SQL text
    oid: int = 0
    validated: bool = True  # False: NOT VALID, holds for rows written since
    no_inherit: bool = False


class ForeignKey(msgspec.Struct, frozen=True, gc=False):
    """One REFERENCES of the table that has it. Actions are PostgreSQL's letters: a NO ACTION, r RESTRICT, c CASCADE,
    n SET NULL, d SET DEFAULT."""

    oid: int
    name: str
    columns: tuple[int, ...]  # positions
    table: int  # oid of the referenced table
    referenced: tuple[int, ...]  # positions there, of `key`
    key: int  # oid of the referenced unique index; the table's own oid = its primary key
    on_delete: str = "a"
    on_update: str = "a"
    set_columns: tuple[int, ...] = ()  # ON DELETE SET NULL | DEFAULT (columns); () = all
    full: bool = False  # MATCH FULL
    deferrable: bool = False
    deferred: bool = False
    validated: bool = True


class Table(msgspec.Struct, frozen=True, gc=False):
    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]  # by position, dropped ones included
    primary_key: tuple[int, ...]  # positions, in key order; () = none: rows have a hidden 16-byte id as their key
    primary_key_name: str
    indexes: tuple[Index, ...] = ()
    checks: tuple[Check, ...] = ()
    owner: int = msgspec.field(default=ADMIN_OID, name="owner_oid")  # rows from before there were roles have a name
    version: int = 0  # tau of the last schema change
    foreign_keys: tuple[ForeignKey, ...] = ()
    referenced_by: tuple[int, ...] = ()  # oids of the tables whose foreign keys point here
    acl: Acl = None
    primary_key_include: tuple[int, ...] = ()
    primary_key_oid: int = 0  # the constraint's; 0 = none was given
    storage: int = 0  # under which number its rows lie; 0 = its oid (another one once it was truncated)

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
    objects: Objects = NO_OBJECTS  # everything that is no table and no index
    statistics: Mapping[int, TableStatistics] = NO_STATISTICS  # by table oid
    derived: dict[str, Any] = msgspec.field(default_factory=dict)  # what was worked out of it, on first demand

    def holding(self, by_oid: Mapping[int, Table], objects: Objects) -> Snapshot:
        """The same schema with other relations in it."""
        return Snapshot(
            cluster=self.cluster,
            version=self.version,
            schemas=tuple(objects.schemas),
            tables={(table.schema, table.name): table for table in by_oid.values()},
            by_oid=by_oid,
            indexes={
                (table.schema, index.name): (table, index) for table in by_oid.values() for index in table.indexes
            },
            objects=objects,
            statistics=self.statistics,
        )

    def find(self, schema: str | None, name: str, search_path: tuple[str, ...]) -> Table | None:
        """The table a name means: in `schema`, or the first of `search_path` that has it."""
        for candidate in (schema,) if schema is not None else search_path:
            table = self.tables.get((candidate, name))
            if table is not None:
                return table
        return None
