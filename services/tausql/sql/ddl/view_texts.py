"""Queries of views when what they read is called otherwise. PostgreSQL keeps trees of numbers and need not care; texts
have to be written anew, with the names each of their query levels knows."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlglot import exp

from tausql.sql.binding.labels import fold
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import View
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.stored_texts import text_of
from tausql.sql.expressions.parsing import parse


def _views_over(change: SchemaChange, oid: int) -> Iterator[tuple[View, exp.Expr]]:
    for view in change.snapshot.objects.views.values():
        if any(depends == oid for depends, _ in view.depends):
            (node,) = parse(view.query)
            yield view, node


def _is(table: exp.Table, schema: str, name: str) -> bool:
    return isinstance(table.this, exp.Identifier) and fold(table.this) == name and fold(table.args.get("db")) == schema


def rename_relation_in_views(
    change: SchemaChange, oid: int, schema: str, name: str, new_schema: str, new_name: str
) -> None:
    """A table or view is called otherwise, or is elsewhere."""
    for view, node in _views_over(change, oid):
        changed = False
        for table in node.find_all(exp.Table):
            if not _is(table, schema, name):
                continue
            if table.args.get("alias") is None:  # columns may be named after it
                table.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
            table.set("this", exp.to_identifier(new_name, quoted=True))
            table.set("db", exp.to_identifier(new_schema, quoted=True))
            changed = True
        for column in node.find_all(exp.Column):
            if fold(column.args.get("db")) == schema and fold(column.args.get("table")) == name:
                column.set("db", None)
        if changed:
            change.writer.replace_object(msgspec.structs.replace(view, query=text_of(node)))


def rename_column_in_views(change: SchemaChange, table: Table | View, old: str, new: str) -> None:
    """A column is called otherwise: the views that read it go on to call it as before."""
    for view, node in _views_over(change, table.oid):
        for select in list(node.find_all(exp.Select)):
            _rename_in(select, table, old, new)
        change.writer.replace_object(msgspec.structs.replace(view, query=text_of(node)))


def _sources(select: exp.Select) -> list[exp.Expr]:
    """What the FROM of one query level lists, not what its subqueries do."""
    found: list[exp.Expr] = []
    clause = select.args.get("from_")
    if clause is not None:
        found.append(clause.this)
    found += [join.this for join in select.args.get("joins") or ()]
    nested = [join.this for source in found for join in source.args.get("joins") or ()]
    return found + nested


def _rename_in(select: exp.Select, table: Table | View, old: str, new: str) -> None:
    aliases = {
        fold(source.args["alias"].this) if source.args.get("alias") is not None else table.name
        for source in _sources(select)
        if isinstance(source, exp.Table) and _is(source, table.schema, table.name)
    }
    if not aliases:
        return
    for column in list(select.find_all(exp.Column)):
        if not isinstance(column.this, exp.Identifier) or fold(column.this) != old:
            continue
        qualifier = fold(column.args.get("table"))
        if qualifier not in aliases and (qualifier or column.find_ancestor(exp.Select) is not select):
            continue
        output = column.parent is select and column.arg_key == "expressions"
        column.set("this", exp.to_identifier(new, quoted=True))
        if output:
            column.replace(exp.Alias(this=column.copy(), alias=exp.to_identifier(old, quoted=True)))
