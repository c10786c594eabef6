"""information_schema's views of constraints. A NOT NULL is a CHECK there, with a name made of oids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.deparsing import domain_check_shown, expression_shown
from tausql.sql.catalogue.descriptors import ForeignKey, Table
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.catalogue.facts import DATABASE_NAME, Facts, IndexEntry
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.catalogue.shapes import Row, Shape
from tausql.sql.catalogue.views.constraints import check_columns
from tausql.sql.catalogue.views.relation import SessionBuild
from tausql.sql.catalogue.views.visible import sees, yes_or_no

_RULES: Final = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def _named(schema: str, name: str) -> dict[str, Any]:
    return {"constraint_catalog": DATABASE_NAME, "constraint_schema": schema, "constraint_name": name}


def _of(table: Table) -> dict[str, Any]:
    return {"table_catalog": DATABASE_NAME, "table_schema": table.schema, "table_name": table.name}


def _keys(facts: Facts, table: Table) -> Iterator[IndexEntry]:
    return (entry for entry in facts.indexes[table.oid] if entry.constraint_oid)


def _visible(facts: Facts, context: Any) -> Iterator[Table]:
    return (table for table in facts.tables if sees(facts, context, table))


def _not_nulls(facts: Facts, table: Table) -> Iterator[tuple[str, str]]:
    """(name of the constraint, its condition)."""
    space = facts.schema_oid(table.schema)
    for column in table.live_columns:
        if column.not_null:
            yield f"{space}_{table.oid}_{column.position + 1}_not_null", f"{quoted(column.name)} IS NOT NULL"


def _table_constraints(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    def row(table: Table, name: str, kind: str, deferrable: bool = False, deferred: bool = False, **more: Any) -> Row:
        return to.row(
            **_named(table.schema, name), **_of(table), constraint_type=kind, is_deferrable=yes_or_no(deferrable),
            initially_deferred=yes_or_no(deferred), enforced="YES", **more,
        )  # fmt: skip

    for table in _visible(facts, context):
        for entry in _keys(facts, table):
            if entry.primary:
                yield row(table, entry.name, "PRIMARY KEY")
            else:
                yield row(table, entry.name, "UNIQUE", nulls_distinct=yes_or_no(not entry.nulls_not_distinct))
        for key in table.foreign_keys:
            yield row(table, key.name, "FOREIGN KEY", key.deferrable, key.deferred)
        for check in table.checks:
            yield row(table, check.name, "CHECK")
        for name, _ in _not_nulls(facts, table):
            yield row(table, name, "CHECK")


def _check_constraints(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for table in _visible(facts, context):
        for check in table.checks:
            clause = with_enum_names(expression_shown(table, check.expression, False), facts.objects, ("public",))
            yield to.row(**_named(table.schema, check.name), check_clause=clause)
        for name, clause in _not_nulls(facts, table):
            yield to.row(**_named(table.schema, name), check_clause=clause)
    for domain in facts.domains.values():
        for name, expression, _ in domain.checks:
            clause = domain_check_shown(expression, domain.base_oid, False)
            yield to.row(**_named(domain.schema, name), check_clause=clause)


def _key_columns(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for table in _visible(facts, context):
        for entry in _keys(facts, table):
            for number, position in enumerate(entry.columns, 1):
                yield to.row(
                    **_named(table.schema, entry.name), **_of(table), column_name=table.columns[position].name,
                    ordinal_position=number,
                )  # fmt: skip
        for key in table.foreign_keys:
            within = _key_positions(facts, key)
            for number, position in enumerate(key.columns, 1):
                yield to.row(
                    **_named(table.schema, key.name), **_of(table), column_name=table.columns[position].name,
                    ordinal_position=number, position_in_unique_constraint=within[number - 1],
                )  # fmt: skip


def _key_positions(facts: Facts, key: ForeignKey) -> list[int | None]:
    """Where each referenced column stands in the key referred to, from 1."""
    entry = _referred(facts, key)
    if entry is None:
        return [None] * len(key.columns)
    return [entry.columns.index(position) + 1 if position in entry.columns else None for position in key.referenced]


def _referred(facts: Facts, key: ForeignKey) -> IndexEntry | None:
    other = facts.snapshot.by_oid.get(key.table)
    return facts.index_by_oid.get(facts.index_of_key(other, key.key)) if other is not None else None


def _column_usage(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for table in _visible(facts, context):
        for entry in _keys(facts, table):
            for position in entry.columns:
                yield to.row(**_of(table), column_name=table.columns[position].name, **_named(table.schema, entry.name))
        for check in table.checks:
            for number in check_columns(table, check.expression):
                yield to.row(
                    **_of(table), column_name=table.columns[number - 1].name, **_named(table.schema, check.name)
                )
        for key in table.foreign_keys:
            other = facts.snapshot.by_oid.get(key.table)
            if other is not None:
                for position in key.referenced:
                    yield to.row(
                        **_of(other), column_name=other.columns[position].name, **_named(table.schema, key.name)
                    )


def _table_usage(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for table in _visible(facts, context):
        for entry in _keys(facts, table):
            yield to.row(**_of(table), **_named(table.schema, entry.name))
        for key in table.foreign_keys:
            other = facts.snapshot.by_oid.get(key.table)
            if other is not None:
                yield to.row(**_of(other), **_named(table.schema, key.name))


def _references(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for table in _visible(facts, context):
        for key in table.foreign_keys:
            entry = _referred(facts, key)
            unique: dict[str, Any] = {}
            if entry is not None and entry.constraint_oid:
                unique = {
                    "unique_constraint_catalog": DATABASE_NAME, "unique_constraint_schema": entry.table.schema,
                    "unique_constraint_name": entry.name,
                }  # fmt: skip
            yield to.row(
                **_named(table.schema, key.name), **unique, match_option="FULL" if key.full else "NONE",
                update_rule=_RULES[key.on_update], delete_rule=_RULES[key.on_delete],
            )  # fmt: skip


def _domain_constraints(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for domain in facts.domains.values():
        for name, _, _ in domain.checks:
            yield to.row(
                **_named(domain.schema, name), domain_catalog=DATABASE_NAME, domain_schema=domain.schema,
                domain_name=domain.name, is_deferrable="NO", initially_deferred="NO",
            )  # fmt: skip


CONSTRAINT_RELATIONS: Final[Mapping[str, SessionBuild]] = MappingProxyType(
    {
        "table_constraints": _table_constraints, "check_constraints": _check_constraints,
        "key_column_usage": _key_columns, "constraint_column_usage": _column_usage,
        "constraint_table_usage": _table_usage, "referential_constraints": _references,
        "domain_constraints": _domain_constraints,
    }
)  # fmt: skip
