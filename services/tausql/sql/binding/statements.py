"""Binding a whole statement."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.protocol.errors import not_supported
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.bound import BoundDelete, BoundInsert, BoundQuery, BoundStatement, BoundUpdate
from tausql.sql.binding.conversion import settled
from tausql.sql.binding.queries import bind_query
from tausql.sql.binding.writes import bind_delete, bind_insert, bind_update, checks_of
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.expressions import Expr, ParamTypes
from tausql.sql.refusals import too_deep
from tausql.sql.statements import Statement
from tausql.sql.system import SystemRelations
from tausql.sql.types import Type


def bind_statement(
    statement: Statement,
    snapshot: Snapshot,
    search_path: tuple[str, ...],
    declared: Sequence[Type | None],
    system: SystemRelations | None,
) -> BoundStatement:
    """Binds a query, INSERT, UPDATE or DELETE. Raises SqlError; 54001 for what is nested too deeply."""
    params = ParamTypes(declared)
    binder = Binder(snapshot, search_path, params, system, bind_query)
    try:
        bound = _bind(binder, statement)
    except RecursionError:
        raise too_deep() from None
    return bound


def _bind(binder: Binder, statement: Statement) -> BoundStatement:
    node = statement.node
    if node is None:
        raise not_supported(f"{statement.kind} not supported here")
    checks: list[tuple[str, Expr]] = []
    body: BoundQuery | BoundInsert | BoundUpdate | BoundDelete
    if statement.kind == "query":
        body = settled(bind_query(binder, node, None, {}), binder.params)
    elif statement.kind == "insert":
        body = bind_insert(binder, node)
        checks = checks_of(binder, body.relation)
    elif statement.kind == "update":
        body = bind_update(binder, node)
        checks = checks_of(binder, body.relation)
    else:
        body = bind_delete(binder, node)
    return BoundStatement(
        body,
        binder.subqueries,
        binder.ctes,
        list(binder.tables.values()),
        binder.params.finish(),
        checks,
        binder.locks,
        binder.system_used,
    )
