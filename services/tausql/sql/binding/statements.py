"""Binding a whole statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlglot import exp

from tausql.protocol.errors import not_supported
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.bound import (
    BoundDelete,
    BoundInsert,
    BoundQuery,
    BoundSelect,
    BoundStatement,
    BoundUpdate,
    Target,
    WritePart,
)
from tausql.sql.binding.conversion import settled
from tausql.sql.binding.functions import call_by_name
from tausql.sql.binding.queries import bind_query
from tausql.sql.binding.writes import bind_delete, bind_insert, bind_update, checks_of
from tausql.sql.binding.writing_calls import as_writing_call
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.enum_names import label_order
from tausql.sql.expressions import Expr, ParamTypes
from tausql.sql.expressions.compile_sets import row_shape
from tausql.sql.expressions.nodes import RowExpr
from tausql.sql.refusals import too_deep
from tausql.sql.statements import Statement
from tausql.sql.system import SystemRelations
from tausql.sql.types import Type
from tausql.sql.types.builtin import RECORD
from tausql.sql.types.records import CompositeType


def bind_statement(
    statement: Statement,
    snapshot: Snapshot,
    search_path: tuple[str, ...],
    declared: Sequence[Type | None],
    system: SystemRelations | None,
) -> BoundStatement:
    """Binds a query, INSERT, UPDATE or DELETE. Raises SqlError; 54001 for what is nested too deeply."""
    params = ParamTypes(declared)
    if snapshot.objects.domains:
        params.labels = partial(label_order, snapshot.objects)
    binder = Binder(snapshot, search_path, params, system, bind_query, call_by_name)
    try:
        bound = _bind(binder, statement)
    except RecursionError:
        raise too_deep() from None
    return bound


def _bind(binder: Binder, statement: Statement) -> BoundStatement:
    node = statement.node
    if node is None:
        raise not_supported(f"{statement.kind} not supported here")
    binder.root = node
    binder.write = bind_part
    checks: list[tuple[str, Expr]] = []
    body: BoundQuery | BoundInsert | BoundUpdate | BoundDelete
    if statement.kind == "query":
        node = binder.root = as_writing_call(binder, node)
        body = settled(bind_query(binder, node, None, {}), binder.params)
    elif statement.kind == "insert":
        body = bind_insert(binder, node, statement.options.get("overriding", ""))
        checks = checks_of(binder, body.relation)
    elif statement.kind == "update":
        body = bind_update(binder, node)
        checks = checks_of(binder, body.relation)
    else:
        body = bind_delete(binder, node)
    _name_row_types(body)
    return BoundStatement(
        body,
        binder.subqueries,
        binder.ctes,
        list(binder.tables.values()),
        binder.params.finish(),
        checks,
        binder.locks,
        binder.system_used or binder.params.reads_schema,
        binder.view_checks,
        tuple(binder.relies.items()),
        tuple(binder.needs),
    )


def _name_row_types(body: BoundQuery | BoundInsert | BoundUpdate | BoundDelete) -> None:
    """Whole rows have the type of their table in the result, so that clients find its fields; within the statement they
    are records like any other, compared and joined with those of other tables."""
    if isinstance(body, BoundSelect):
        targets: Sequence[Target] = body.targets
    else:
        targets = () if isinstance(body, BoundQuery) else body.returning or ()
    for target in targets:
        expr = target.expr
        if isinstance(expr, RowExpr) and expr.relation and target.column.type is RECORD:
            target.column.type = CompositeType(row_shape(expr), expr.relation)


def bind_part(binder: Binder, node: exp.Expr) -> WritePart:
    """INSERT, UPDATE or DELETE in WITH."""
    kept = binder.view_checks, binder.view_defaults
    binder.view_checks, binder.view_defaults = [], {}
    body: BoundInsert | BoundUpdate | BoundDelete
    if isinstance(node, exp.Insert):
        body = bind_insert(binder, node, node.args.get("overriding") or "")
    elif isinstance(node, exp.Update):
        body = bind_update(binder, node)
    else:
        body = bind_delete(binder, node)
    checks = [] if isinstance(body, BoundDelete) else checks_of(binder, body.relation)
    part = WritePart(body, checks, binder.view_checks)
    binder.view_checks, binder.view_defaults = kept
    return part
