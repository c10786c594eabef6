"""What one snapshot says about everything that has an oid, arranged for lookups by oid.

A snapshot is arranged for binding: by name. The catalogue's relations and functions ask the other way round (whose oid
is this, what indexes has it, what is it called from here), for thousands of objects within one query. So each snapshot
gets one of these, on first demand, and it goes with the snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

import msgspec

from tausql.sql.catalogue.descriptors import Column, ForeignKey, Index, IndexState, Snapshot, Table
from tausql.sql.catalogue.objects import (
    PUBLIC_SCHEMA_OID,
    CommentKey,
    Domain,
    Function,
    Schema,
    Sequence,
    Statistics,
    View,
)
from tausql.sql.catalogue.shapes import Shape, builtin_by_oid, shapes
from tausql.sql.types.registry import all_types
from tausql.sql.types.type import Type

PG_CLASS: Final = 1259
PG_TYPE: Final = 1247
PG_PROC: Final = 1255
PG_ATTRDEF: Final = 2604
PG_CONSTRAINT: Final = 2606
PG_NAMESPACE: Final = 2615
PG_REWRITE: Final = 2618
PG_AUTHID: Final = 1260
PG_STATISTIC_EXT: Final = 3381
BTREE: Final = 403
HEAP: Final = 2
DATABASE_OID: Final = 5
DATABASE_NAME: Final = "postgres"
SYSTEM_ACL: Final = ("postgres=arwdDxt/postgres", "=r/postgres")  # of the system's own relations
LEGACY_OIDS: Final = 1 << 31  # for constraints that were made before these had oids of their own


class IndexEntry(msgspec.Struct, frozen=True, gc=False):
    """An index or a primary key, as pg_index sees both."""

    oid: int
    table: Table
    name: str
    columns: tuple[int, ...]  # positions; -1 = the next of `expressions`
    include: tuple[int, ...]
    unique: bool
    primary: bool
    valid: bool
    constraint_oid: int  # 0 = belongs to none
    expressions: tuple[str, ...] = ()
    predicate: str | None = None
    nulls_first: tuple[bool, ...] = ()
    nulls_not_distinct: bool = False


Relation = Table | View | Sequence | IndexEntry | Shape


class Facts:
    """Of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.objects = snapshot.objects
        # What PostgreSQL itself says of its objects; dumps take it for granted.
        self.comments: Mapping[CommentKey, str] = {
            (PG_NAMESPACE, PUBLIC_SCHEMA_OID, 0): "standard public schema", **snapshot.objects.comments
        }  # fmt: skip

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        return tuple(sorted(self.snapshot.tables.values(), key=lambda table: table.oid))

    @cached_property
    def views(self) -> tuple[View, ...]:
        return tuple(sorted(self.objects.views.values(), key=lambda view: view.oid))

    @cached_property
    def sequences(self) -> tuple[Sequence, ...]:
        return tuple(sorted(self.objects.sequences.values(), key=lambda one: one.oid))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        every = [function for group in self.objects.functions.values() for function in group]
        return tuple(sorted(every, key=lambda one: one.oid))

    @cached_property
    def domains(self) -> Mapping[int, Domain]:
        return {domain.oid: domain for domain in self.objects.domains.values()}

    @cached_property
    def statistics(self) -> tuple[Statistics, ...]:
        return tuple(sorted(self.objects.statistics.values(), key=lambda one: one.oid))

    @cached_property
    def indexes(self) -> Mapping[int, tuple[IndexEntry, ...]]:
        """By the table's oid."""
        return {table.oid: tuple(_entries(table)) for table in self.tables}

    @cached_property
    def index_by_oid(self) -> Mapping[int, IndexEntry]:
        return {entry.oid: entry for entries in self.indexes.values() for entry in entries}

    @cached_property
    def constraints(self) -> Mapping[int, tuple[Table | Domain, int | IndexEntry | ForeignKey | str]]:
        """By oid: whose it is, and the place of a CHECK, the index of a key, the foreign key, or a domain's CHECK."""
        found: dict[int, tuple[Table | Domain, int | IndexEntry | ForeignKey | str]] = {}
        for table in self.tables:
            for at in range(len(table.checks)):
                found[check_oid(table, at)] = (table, at)
            for entry in self.indexes[table.oid]:
                if entry.constraint_oid:
                    found[entry.constraint_oid] = (table, entry)
            for key in table.foreign_keys:
                found[key.oid] = (table, key)
        for domain in self.domains.values():
            for _, expression, oid in domain.checks:
                found[oid] = (domain, expression)
        return found

    @cached_property
    def system_by_oid(self) -> Mapping[int, Shape]:
        return {shape.oid: shape for shape in shapes().values()}

    @cached_property
    def types(self) -> Mapping[int, Type]:
        return {type.oid: type for type in all_types()}

    def relation(self, oid: int) -> Relation | None:
        """Whatever pg_class shows under this oid."""
        found = self.snapshot.by_oid.get(oid) or self.index_by_oid.get(oid)
        if found is not None:
            return found
        other = self.objects.by_oid.get(oid)
        if isinstance(other, (View, Sequence)):
            return other
        return self.system_by_oid.get(oid)

    def relation_oid(self, schema: str | None, name: str) -> int | None:
        """Of whatever pg_class has under this name."""
        key = schema or "", name
        table = self.snapshot.tables.get(key)
        if table is not None:
            return table.oid
        found = self.index_by_name.get(key) or self.objects.views.get(key) or self.objects.sequences.get(key)
        if found is not None:
            return found.oid
        system = shapes().get(key)
        return system.oid if system is not None else None

    @cached_property
    def index_by_name(self) -> Mapping[tuple[str, str], IndexEntry]:
        return {(entry.table.schema, entry.name): entry for entry in self.index_by_oid.values()}

    def name_taken(self, schema: str, name: str) -> bool:
        """Whether pg_class has this name in this schema."""
        return self.relation_oid(schema, name) is not None

    def schema_oid(self, name: str) -> int:
        schema = self.objects.schemas.get(name)
        return schema.oid if schema is not None else 0

    def schema_name(self, oid: int) -> str | None:
        schema = self.objects.by_oid.get(oid)
        return schema.name if isinstance(schema, Schema) else None

    def role_name(self, oid: int) -> str:
        """As pg_get_userbyid: `unknown (OID=7)` for nobody."""
        role = self.objects.roles_by_oid.get(oid)
        return role.name if role is not None else f"unknown (OID={oid})"

    def index_of_key(self, table: Table, key: int) -> int:
        """The oid of the index a foreign key refers to: `key` is the table's own oid for its primary key."""
        return primary_index_oid(table) if key == table.oid else key


def facts_of(snapshot: Snapshot) -> Facts:
    found = snapshot.derived.get("facts")
    if found is None:
        found = snapshot.derived["facts"] = Facts(snapshot)
    assert isinstance(found, Facts)
    return found


def primary_index_oid(table: Table) -> int:
    return table.oid + 1


def primary_constraint_oid(table: Table) -> int:
    return table.primary_key_oid or primary_index_oid(table)


def check_oid(table: Table, at: int) -> int:
    return table.checks[at].oid or LEGACY_OIDS + table.oid * 64 + at


def default_oid(table_oid: int, column: Column) -> int:
    """Of the pg_attrdef row: nothing refers to it but descriptions of dependencies."""
    return LEGACY_OIDS + (table_oid << 8) % LEGACY_OIDS + column.position


def has_default(column: Column) -> bool:
    return not column.identity and (column.default is not None or column.generated is not None)


def _entries(table: Table) -> Iterator[IndexEntry]:
    if table.primary_key:
        # The table is its primary key: the index holds every other column too.
        rest = tuple(column.position for column in table.live_columns if column.position not in table.primary_key)
        yield IndexEntry(
            primary_index_oid(table),
            table,
            table.primary_key_name,
            table.primary_key,
            rest,
            True,
            True,
            True,
            primary_constraint_oid(table),
        )
    for index in table.indexes:
        yield IndexEntry(
            index.oid,
            table,
            index.name,
            index.columns,
            index.include,
            index.unique,
            False,
            index.state is IndexState.ready,
            unique_constraint_oid(index),
            index.expressions,
            index.predicate,
            index.nulls_first,
            index.nulls_not_distinct,
        )


def unique_constraint_oid(index: Index) -> int:
    """0 where the index was not made by a constraint."""
    return (index.constraint_oid or index.oid) if index.constraint else 0


def type_row(oid: int) -> list[object] | None:
    """PostgreSQL's own pg_type row."""
    return builtin_by_oid("pg_type").get(oid)
