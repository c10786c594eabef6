"""pg_constraint, and what says which object hangs on which: pg_depend, pg_description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tausql.sql.catalogue.descriptors import ForeignKey, Table
from tausql.sql.catalogue.facts import (
    PG_ATTRDEF,
    PG_AUTHID,
    PG_CLASS,
    PG_CONSTRAINT,
    PG_NAMESPACE,
    PG_PROC,
    PG_REWRITE,
    PG_TYPE,
    Facts,
    check_oid,
    default_oid,
    has_default,
)
from tausql.sql.catalogue.objects import Domain, Function, Schema, Sequence, View
from tausql.sql.catalogue.shapes import Row, Shape
from tausql.sql.catalogue.views.extension import EXTENSION_OID, PG_EXTENSION, members
from tausql.sql.catalogue.views.relation import Build
from tausql.sql.catalogue.views.relations import rule_oid
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.stored_expressions import CHECK, RowScope, bound_expression, columns_used

_EQUALS: Final = MappingProxyType({20: 410, 21: 94, 23: 96, 25: 98, 1043: 98, 2950: 2972})


def check_columns(table: Table, expression: str) -> list[int]:
    """Attribute numbers of the columns a CHECK reads."""
    expr = bound_expression(parse_expression(expression), RowScope(table.name, table.columns, CHECK))
    return sorted(position + 1 for position in columns_used(expr))


def _constraints(facts: Facts, to: Shape) -> Iterator[Row]:
    for table in facts.tables:
        space = facts.schema_oid(table.schema)
        for at, check in enumerate(table.checks):
            yield to.row(
                oid=check_oid(table, at), conname=check.name, connamespace=space, contype="c",
                convalidated=check.validated, conrelid=table.oid, connoinherit=check.no_inherit, conislocal=True,
                confupdtype=" ", confdeltype=" ", confmatchtype=" ",
                conkey=check_columns(table, check.expression), conbin=check.expression,
            )  # fmt: skip
        for entry in facts.indexes[table.oid]:
            if entry.constraint_oid:
                yield to.row(
                    oid=entry.constraint_oid, conname=entry.name, connamespace=space,
                    contype="p" if entry.primary else "u", convalidated=True, conrelid=table.oid, conindid=entry.oid,
                    confupdtype=" ", confdeltype=" ", confmatchtype=" ", connoinherit=True, conislocal=True,
                    conkey=[position + 1 for position in entry.columns],
                )  # fmt: skip
        for key in table.foreign_keys:
            yield _foreign_key(facts, to, table, key, space)
    for domain in facts.domains.values():
        for name, expression, oid in domain.checks:
            yield to.row(
                oid=oid, conname=name, connamespace=facts.schema_oid(domain.schema), contype="c", convalidated=True,
                contypid=domain.oid, conislocal=True, confupdtype=" ", confdeltype=" ", confmatchtype=" ",
                conbin=expression,
            )  # fmt: skip


def _foreign_key(facts: Facts, to: Shape, table: Table, key: ForeignKey, space: int) -> Row:
    other = facts.snapshot.by_oid.get(key.table)
    equals = [_EQUALS.get(table.columns[position].type_oid, 96) for position in key.columns]
    return to.row(
        oid=key.oid, conname=key.name, connamespace=space, contype="f", condeferrable=key.deferrable,
        condeferred=key.deferred, convalidated=key.validated, conrelid=table.oid,
        conindid=facts.index_of_key(other, key.key) if other is not None else 0, confrelid=key.table,
        confupdtype=key.on_update, confdeltype=key.on_delete, confmatchtype="f" if key.full else "s",
        conislocal=True, connoinherit=True, conkey=[position + 1 for position in key.columns],
        confkey=[position + 1 for position in key.referenced], conpfeqop=equals, conppeqop=equals, conffeqop=equals,
        confdelsetcols=[position + 1 for position in key.set_columns] or None,
    )  # fmt: skip


def _depends(facts: Facts, to: Shape) -> Iterator[Row]:
    def on(classid: int, objid: int, sub: int, other_class: int, other: int, other_sub: int, kind: str = "n") -> Row:
        return to.row(
            classid=classid, objid=objid, objsubid=sub, refclassid=other_class, refobjid=other, refobjsubid=other_sub,
            deptype=kind,
        )  # fmt: skip

    for catalogue, oid in members(facts):
        yield on(catalogue, oid, 0, PG_EXTENSION, EXTENSION_OID, 0, "e")
    for table in facts.tables:
        yield on(PG_CLASS, table.oid, 0, PG_NAMESPACE, facts.schema_oid(table.schema), 0)
        for column in table.live_columns:
            if has_default(column):
                own = default_oid(table.oid, column)
                yield on(PG_ATTRDEF, own, 0, PG_CLASS, table.oid, column.position + 1, "a")
        for at, check in enumerate(table.checks):
            for number in check_columns(table, check.expression):
                yield on(PG_CONSTRAINT, check_oid(table, at), 0, PG_CLASS, table.oid, number, "a")
        for entry in facts.indexes[table.oid]:
            if entry.constraint_oid:
                yield on(PG_CLASS, entry.oid, 0, PG_CONSTRAINT, entry.constraint_oid, 0, "i")
            for position in entry.columns:
                if position < 0:
                    continue
                if entry.constraint_oid:
                    yield on(PG_CONSTRAINT, entry.constraint_oid, 0, PG_CLASS, table.oid, position + 1, "a")
                else:
                    yield on(PG_CLASS, entry.oid, 0, PG_CLASS, table.oid, position + 1, "a")
        for key in table.foreign_keys:
            for position in key.columns:
                yield on(PG_CONSTRAINT, key.oid, 0, PG_CLASS, table.oid, position + 1, "a")
            for position in key.referenced:
                yield on(PG_CONSTRAINT, key.oid, 0, PG_CLASS, key.table, position + 1)
    for sequence in facts.sequences:
        yield on(PG_CLASS, sequence.oid, 0, PG_NAMESPACE, facts.schema_oid(sequence.schema), 0)
        if sequence.owned_by is not None:
            table_oid, number = sequence.owned_by
            yield on(PG_CLASS, sequence.oid, 0, PG_CLASS, table_oid, number, "i" if sequence.identity else "a")
    for view in facts.views:
        yield on(PG_CLASS, view.oid, 0, PG_NAMESPACE, facts.schema_oid(view.schema), 0)
        yield on(PG_REWRITE, rule_oid(view), 0, PG_CLASS, view.oid, 0, "i")
        for oid, number in view.depends:
            yield on(PG_REWRITE, rule_oid(view), 0, _class_of(facts, oid), oid, number)
    for function in facts.functions:
        yield on(PG_PROC, function.oid, 0, PG_NAMESPACE, facts.schema_oid(function.schema), 0)
        for oid, number in function.depends:
            yield on(PG_PROC, function.oid, 0, _class_of(facts, oid), oid, number)


def _class_of(facts: Facts, oid: int) -> int:
    """The oid of the catalogue an object is kept in."""
    match facts.objects.by_oid.get(oid):
        case Function():
            return PG_PROC
        case Domain():
            return PG_TYPE
        case Schema():
            return PG_NAMESPACE
    return PG_CLASS


def _descriptions(facts: Facts, to: Shape) -> Iterator[Row]:
    for (catalogue, oid, number), text in sorted(facts.comments.items()):
        if catalogue != PG_AUTHID:
            yield [oid, catalogue, number, text]


def _shared_descriptions(facts: Facts, to: Shape) -> Iterator[Row]:
    for (catalogue, oid, _), text in sorted(facts.comments.items()):
        if catalogue == PG_AUTHID:
            yield [oid, catalogue, text]


def _shared_depends(facts: Facts, to: Shape) -> Iterator[Row]:
    """Who owns what."""
    every: list[tuple[int, int, int]] = [(PG_CLASS, table.oid, table.owner) for table in facts.tables]
    for item in facts.objects.by_oid.values():
        match item:
            case View() | Sequence():
                every.append((PG_CLASS, item.oid, item.owner))
            case Function():
                every.append((PG_PROC, item.oid, item.owner))
            case Domain():
                every.append((PG_TYPE, item.oid, item.owner))
    for classid, oid, owner in every:
        yield to.row(dbid=5, classid=classid, objid=oid, refclassid=PG_AUTHID, refobjid=owner, deptype="o")


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "pg_constraint": _constraints, "pg_depend": _depends, "pg_shdepend": _shared_depends,
        "pg_description": _descriptions, "pg_shdescription": _shared_descriptions,
    }
)  # fmt: skip
