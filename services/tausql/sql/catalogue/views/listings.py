"""The views of pg_catalog that list relations for people: pg_tables, pg_indexes, pg_views, pg_stats and their kin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.definitions import index_definition
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.catalogue.facts import DATABASE_NAME, DATABASE_OID, Facts
from tausql.sql.catalogue.shapes import Row, Shape, shapes
from tausql.sql.catalogue.view_layout import view_shown
from tausql.sql.catalogue.views.relation import Build

_PATH: Final = ("public",)


def _tables(facts: Facts, to: Shape) -> Iterator[Row]:
    for table in facts.tables:
        triggers = bool(table.foreign_keys or table.referenced_by)
        yield [table.schema, table.name, facts.role_name(table.owner), None, bool(facts.indexes[table.oid]), False,
               triggers, False]  # fmt: skip
    for relation in shapes().values():
        if not relation.is_view:
            yield [relation.schema, relation.name, "postgres", None, False, False, False, False]


def _views(facts: Facts, to: Shape) -> Iterator[Row]:
    for view in facts.views:
        shown = with_enum_names(view_shown(view.query, _PATH), facts.objects, _PATH)
        yield [view.schema, view.name, facts.role_name(view.owner), shown]
    for relation in shapes().values():
        if relation.is_view:
            yield [relation.schema, relation.name, "postgres", None]


def _indexes(facts: Facts, to: Shape) -> Iterator[Row]:
    for table in facts.tables:
        for entry in facts.indexes[table.oid]:
            shown = with_enum_names(index_definition(entry), facts.objects, _PATH)
            yield [table.schema, table.name, entry.name, None, shown]


def _table_counters(facts: Facts, to: Shape) -> Iterator[Row]:
    """Nothing is counted table by table: names with zeros, so that lists of tables are whole."""
    counted = [name for name, type in to.columns if type.name == "int8" and name not in ("relid",)]
    for table in facts.tables:
        zeros: dict[str, Any] = dict.fromkeys(counted, 0)
        known = facts.snapshot.statistics.get(table.oid)
        if known is not None and "n_live_tup" in zeros:
            zeros["n_live_tup"] = int(known.rows)
        yield to.row(relid=table.oid, schemaname=table.schema, relname=table.name, **zeros)


def _index_counters(facts: Facts, to: Shape) -> Iterator[Row]:
    counted = [name for name, type in to.columns if type.name == "int8"]
    for table in facts.tables:
        for entry in facts.indexes[table.oid]:
            yield to.row(
                relid=table.oid, indexrelid=entry.oid, schemaname=table.schema, relname=table.name,
                indexrelname=entry.name, **dict.fromkeys(counted, 0),
            )  # fmt: skip


def _database_counters(facts: Facts, to: Shape) -> Iterator[Row]:
    zeros: dict[str, Any] = {name: 0 for name, type in to.columns if type.name in ("int8", "int4")}
    yield to.row(**{**zeros, "datid": DATABASE_OID, "datname": DATABASE_NAME})


def _named(names: str, build: Build) -> dict[str, Build]:
    return dict.fromkeys(names.split(), build)


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "pg_tables": _tables, "pg_views": _views, "pg_indexes": _indexes,
        "pg_stat_database": _database_counters,
        **_named("pg_stat_user_tables pg_stat_all_tables pg_stat_xact_user_tables pg_stat_xact_all_tables"
                 " pg_statio_user_tables pg_statio_all_tables", _table_counters),
        **_named("pg_stat_user_indexes pg_stat_all_indexes pg_statio_user_indexes pg_statio_all_indexes",
                 _index_counters),
    }
)  # fmt: skip
