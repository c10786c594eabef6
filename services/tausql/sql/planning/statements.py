"""Plans of INSERT, UPDATE and DELETE."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.sql.binding.bound import (
    BoundDelete,
    BoundInsert,
    BoundUpdate,
    Conflict,
    Relation,
    TableSource,
    Target,
    WritePart,
)
from tausql.sql.execution.constraints import RowRules
from tausql.sql.execution.parts import PartNode
from tausql.sql.execution.referential import References, tables_reached
from tausql.sql.execution.rows import Project, ValuesRead
from tausql.sql.execution.run import Node
from tausql.sql.execution.writes import ConflictAction, Delete, Insert, Returning, Update, Write
from tausql.sql.expressions.nodes import Expr, Slot
from tausql.sql.planning.compiling import IDENTITY, Layout, Planner
from tausql.sql.planning.joining import FromPlanner, Joined
from tausql.sql.tables import TableAccess
from tausql.sql.types import type_by_oid


def plan_write(planner: Planner, body: BoundInsert | BoundUpdate | BoundDelete) -> Write:
    write = _plan_write(planner, body)
    table = write.access.table
    if table.foreign_keys or table.referenced_by:
        write.references = References(planner.snapshot, planner.accesses)
        known = {other.oid for other in planner.statement.tables}
        planner.statement.tables += [
            other for other in tables_reached(planner.snapshot, table) if other.oid not in known
        ]
    return write


def plan_part(planner: Planner, part: WritePart) -> Node:
    """A part of WITH that writes, with the checks of its own table."""
    statement = planner.statement
    kept = statement.checks, statement.view_checks
    statement.checks, statement.view_checks = part.checks, part.view_checks
    write = plan_write(planner, part.body)
    statement.checks, statement.view_checks = kept
    return PartNode(write)


def plan_parts(planner: Planner) -> tuple[tuple[int, Node], ...]:
    """All of them, those that nothing reads too: the number of each WITH query, and its node."""
    found: list[tuple[int, Node]] = []
    for cte in planner.statement.ctes:
        if cte.part is None:
            continue
        node = planner.cte_nodes.get(cte.index)
        if node is None:
            node = planner.cte_nodes[cte.index] = plan_part(planner, cte.part)
        found.append((cte.index, node))
    return tuple(found)


def _plan_write(planner: Planner, body: BoundInsert | BoundUpdate | BoundDelete) -> Write:
    if isinstance(body, BoundInsert):
        return _plan_insert(planner, body)
    if isinstance(body, BoundUpdate):
        return _plan_update(planner, body)
    joined, access, start = _target_rows(planner, body.relation, body)
    return Delete(access, joined.node, start, _returning(planner, body.returning, joined.layout))


def _rules(planner: Planner, access: TableAccess) -> RowRules:
    layout = {at: at for at in range(access.width)}
    checks = [(name, planner.value(expr, layout)) for name, expr in planner.statement.checks]
    view_checks = [(name, planner.value(expr, layout)) for name, expr in planner.statement.view_checks]
    return RowRules(access.table, checks, access.generated, view_checks)


def _returning(planner: Planner, targets: Sequence[Target] | None, layout: Layout) -> Returning | None:
    if targets is None:
        return None
    exprs = [target.expr for target in targets]
    return Returning(planner.projection(exprs, layout), planner.subplans(exprs, layout))


def _access(planner: Planner, relation: Relation) -> TableAccess:
    assert isinstance(relation.source, TableSource)
    return planner.access(relation.source.table)


def _plan_insert(planner: Planner, body: BoundInsert) -> Insert:
    access = _access(planner, body.relation)
    source: Node
    if body.query is not None:
        below = planner.plan_query(planner, body.query)
        layout = {at: at for at in range(len(body.query.columns))}
        source = Project(below, planner.projection(body.from_query, layout), planner.subplans(body.from_query, layout))
    else:
        exprs = [expr for row in body.rows for expr in row]
        source = ValuesRead([planner.projection(row, IDENTITY) for row in body.rows], planner.subplans(exprs, IDENTITY))
    conflict = _conflict(planner, access, body.conflict) if body.conflict is not None else None
    layout = {at: at for at in range(access.width)}
    return Insert(access, source, _rules(planner, access), conflict, _returning(planner, body.returning, layout))


def _conflict(planner: Planner, access: TableAccess, conflict: Conflict) -> ConflictAction:
    if not conflict.update:
        return ConflictAction(conflict.arbiters, None, None, None)
    layout = {at: at for at in range(2 * access.width + 1)}
    exprs = _new_row(access, conflict.assignments, 0)
    return ConflictAction(
        conflict.arbiters,
        planner.projection(exprs, layout),
        planner.predicate(conflict.where, layout),
        planner.subplans([*exprs, *conflict.where], layout),
    )


def _new_row(access: TableAccess, assignments: dict[int, Expr], base: int) -> list[Expr]:
    """The whole new row: assigned columns by their expressions, the others as they were."""
    return [
        assignments[column.position]
        if column.position in assignments
        else Slot(
            slot=base + column.position, type=type_by_oid(column.type_oid), typmod=column.typmod, name=column.name
        )
        for column in access.table.columns
    ]


def _target_rows(
    planner: Planner, relation: Relation, body: BoundUpdate | BoundDelete
) -> tuple[Joined, TableAccess, int]:
    """The rows to change: the target's columns in one piece, from `start`, and its key behind them."""
    joined = FromPlanner(planner, None, frozenset((relation.base,)), None).plan(body.tree, body.where)
    return joined, _access(planner, relation), joined.layout[relation.base]


def _plan_update(planner: Planner, body: BoundUpdate) -> Update:
    joined, access, start = _target_rows(planner, body.relation, body)
    exprs = _new_row(access, body.assignments, body.relation.base)
    return Update(
        access,
        joined.node,
        start,
        planner.projection(exprs, joined.layout),
        planner.subplans(exprs, joined.layout),
        _rules(planner, access),
        _returning(planner, body.returning, joined.layout),
    )
