"""Relations that show the catalogue: `sys.jobs`, and the beginnings of pg_catalog and information_schema.

They are made of the snapshot a statement was planned with (jobs: of their rows), so they are as consistent as any read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import IndexState, Snapshot, Table
from tausql.sql.catalogue.objects import ADMIN_OID
from tausql.sql.jobs.rows import all_jobs
from tausql.sql.types import Type, type_by_oid
from tausql.sql.types.builtin import BOOL, CHAR, INT2, INT4, NAME, OID, TEXT, TIMESTAMPTZ

PG_CLASS_OID = 1259
OWNER_OID = ADMIN_OID

Rows = list[list[Any]]
Make = Callable[[Snapshot, Transaction], Awaitable[Rows]]


class View:
    """One relation; `make` gives all its rows."""

    __slots__ = ("_make", "columns", "name", "oid", "schema")

    def __init__(self, schema: str, name: str, oid: int, columns: Sequence[tuple[str, Type]], make: Make) -> None:
        self.schema, self.name, self.oid, self.columns = schema, name, oid, tuple(columns)
        self._make = make

    async def rows(self, snapshot: Snapshot, transaction: Transaction, context: Any, *arguments: Any) -> Rows:
        return await self._make(snapshot, transaction)


async def _jobs(snapshot: Snapshot, transaction: Transaction) -> Rows:
    return [
        [
            job.job_id,
            job.status,
            job.details,
            job.job_type,
            PG_CLASS_OID,
            job.object_oid,
            job.object_name,
            job.start_time,
            job.update_time,
        ]
        for job in await all_jobs(transaction, snapshot.cluster)
    ]


async def _namespaces(snapshot: Snapshot, transaction: Transaction) -> Rows:
    return [[schema.oid, schema.name, schema.owner] for schema in snapshot.objects.schemas.values()]


def _sorted(snapshot: Snapshot) -> list[Table]:
    return sorted(snapshot.tables.values(), key=lambda table: table.oid)


async def _classes(snapshot: Snapshot, transaction: Transaction) -> Rows:
    rows: Rows = []
    for table in _sorted(snapshot):
        space = snapshot.objects.schemas[table.schema].oid
        has_index = bool(table.primary_key or table.indexes)
        rows.append([table.oid, table.name, space, OWNER_OID, "r", len(table.columns), has_index, "p", -1])
        if table.primary_key:
            width = len(table.primary_key)
            rows.append([table.oid + 1, table.primary_key_name, space, OWNER_OID, "i", width, False, "p", -1])
        rows += [
            [index.oid, index.name, space, OWNER_OID, "i", len(index.columns), False, "p", -1]
            for index in table.indexes
        ]
    return rows


async def _attributes(snapshot: Snapshot, transaction: Transaction) -> Rows:
    return [
        [
            table.oid,
            column.name,
            column.type_oid,
            type_by_oid(column.type_oid).length,
            column.position + 1,
            column.typmod,
            column.not_null,
            column.default is not None,
            column.dropped,
        ]
        for table in _sorted(snapshot)
        for column in table.columns
    ]


async def _indexes(snapshot: Snapshot, transaction: Transaction) -> Rows:
    rows: Rows = []
    for table in _sorted(snapshot):
        if table.primary_key:
            rows.append([table.oid + 1, table.oid, len(table.primary_key), True, True, True])
        for index in table.indexes:
            valid = index.state is IndexState.ready
            rows.append([index.oid, table.oid, len(index.columns), index.unique, False, valid])
    return rows


async def _tables(snapshot: Snapshot, transaction: Transaction) -> Rows:
    return [
        [
            table.schema,
            table.name,
            snapshot.objects.roles_by_oid[table.owner].name,
            bool(table.primary_key or table.indexes),
        ]
        for table in _sorted(snapshot)
    ]


async def _information_tables(snapshot: Snapshot, transaction: Transaction) -> Rows:
    return [["postgres", table.schema, table.name, "BASE TABLE"] for table in _sorted(snapshot)]


async def _information_columns(snapshot: Snapshot, transaction: Transaction) -> Rows:
    return [
        [
            "postgres",
            table.schema,
            table.name,
            column.name,
            column.position + 1,
            column.default,
            "NO" if column.not_null else "YES",
            type_by_oid(column.type_oid).sql_name,
        ]
        for table in _sorted(snapshot)
        for column in table.live_columns
    ]


def _columns(text: str) -> list[tuple[str, Type]]:
    """`name:type` pairs."""
    types = {
        "bool": BOOL,
        "char": CHAR,
        "int2": INT2,
        "int4": INT4,
        "name": NAME,
        "oid": OID,
        "text": TEXT,
        "timestamptz": TIMESTAMPTZ,
    }
    return [(name, types[kind]) for name, _, kind in (pair.partition(":") for pair in text.split())]


_VIEWS: tuple[tuple[str, str, int, str, Make], ...] = (
    (
        "sys",
        "jobs",
        13100,
        "job_id:text status:text details:text job_type:text class_id:oid object_id:oid object_name:text"
        " start_time:timestamptz update_time:timestamptz",
        _jobs,
    ),
    ("pg_catalog", "pg_namespace", 2615, "oid:oid nspname:name nspowner:oid", _namespaces),
    (
        "pg_catalog",
        "pg_class",
        PG_CLASS_OID,
        "oid:oid relname:name relnamespace:oid relowner:oid relkind:char relnatts:int2 relhasindex:bool"
        " relpersistence:char reltuples:int4",
        _classes,
    ),
    (
        "pg_catalog",
        "pg_attribute",
        1249,
        "attrelid:oid attname:name atttypid:oid attlen:int2 attnum:int2 atttypmod:int4 attnotnull:bool atthasdef:bool"
        " attisdropped:bool",
        _attributes,
    ),
    (
        "pg_catalog",
        "pg_index",
        2610,
        "indexrelid:oid indrelid:oid indnatts:int2 indisunique:bool indisprimary:bool indisvalid:bool",
        _indexes,
    ),
    ("pg_catalog", "pg_tables", 12000, "schemaname:name tablename:name tableowner:name hasindexes:bool", _tables),
    (
        "information_schema",
        "tables",
        13200,
        "table_catalog:name table_schema:name table_name:name table_type:text",
        _information_tables,
    ),
    (
        "information_schema",
        "columns",
        13201,
        "table_catalog:name table_schema:name table_name:name column_name:name ordinal_position:int4"
        " column_default:text is_nullable:text data_type:text",
        _information_columns,
    ),
)


class CatalogueViews:
    """`SystemRelations`: what a name that no table has may mean."""

    def __init__(self) -> None:
        made = [View(schema, name, oid, _columns(text), make) for schema, name, oid, text, make in _VIEWS]
        self._views = {(view.schema, view.name): view for view in made}

    def find(self, schema: str | None, name: str, search_path: tuple[str, ...]) -> View | None:
        for candidate in (schema,) if schema is not None else ("pg_catalog", *search_path):
            view = self._views.get((candidate, name))
            if view is not None:
                return view
        return None

    def by_oid(self, oid: int) -> View | None:
        return next((view for view in self._views.values() if view.oid == oid), None)

    def function(self, schema: str | None, name: str, arguments: Sequence[Type]) -> View | None:
        return None
