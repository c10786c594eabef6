"""Which columns an expression needs, counting what its subqueries take from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tausql.protocol.errors import not_supported
from tausql.sql.binding.bound import (
    BoundQuery,
    BoundSelect,
    BoundSetOperation,
    BoundValues,
    FunctionSource,
    Join,
    JoinTree,
    QuerySource,
    Relation,
    SubqueryBinding,
    SystemSource,
)
from tausql.sql.expressions.nodes import Expr, OuterSlot, Slot, Subquery, walk


def slots_of(expr: Expr, subqueries: Sequence[SubqueryBinding]) -> frozenset[int]:
    if isinstance(expr, Slot):
        return frozenset((expr.slot,))
    found: set[int] = set()
    for node in walk(expr):
        if isinstance(node, Slot):
            found.add(node.slot)
        elif isinstance(node, Subquery):
            for outer in subqueries[node.index].correlations:
                found |= slots_of(outer, subqueries)
    return frozenset(found)


def subqueries_of(exprs: Sequence[Expr]) -> list[int]:
    """Indexes of the subqueries these expressions contain, inner ones of IN's left side too; in order, once each."""
    found: list[int] = []
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Subquery) and node.index not in found:
                found.append(node.index)
    return found


def remapped(expr: Expr, layout: dict[int, int]) -> Expr:
    """The expression over physical slots."""

    def place(node: Expr) -> Expr:
        if not isinstance(node, Slot):
            return node
        at = layout.get(node.slot)
        if at is None:
            raise not_supported(f'reference to column "{node.name}" from this place is not supported')
        return node if at == node.slot else dataclasses.replace(node, slot=at)

    return expr.replace(place)


def query_uses_outer(query: BoundQuery) -> bool:
    """Whether anything of the query refers to the query around it."""
    return any(isinstance(node, OuterSlot) for expr in expressions_of(query) for node in walk(expr))


def expressions_of(query: BoundQuery) -> Iterator[Expr]:
    """Every expression of a query at its own level (what subqueries take from it is among their correlations, which
    are expressions of the level they stand in: `Subquery` nodes carry their binding)."""
    if query.limit is not None:
        yield query.limit
    if query.offset is not None:
        yield query.offset
    if isinstance(query, BoundSetOperation):
        yield from expressions_of(query.left)
        yield from expressions_of(query.right)
    elif isinstance(query, BoundValues):
        for row in query.rows:
            yield from _with_correlations(row)
    elif isinstance(query, BoundSelect):
        yield from _with_correlations(query.where)
        yield from _with_correlations(query.having)
        yield from _with_correlations([target.expr for target in query.targets])
        yield from _with_correlations(query.hidden)
        yield from _with_correlations(query.windows)
        if query.grouping is not None:
            yield from _with_correlations(query.grouping.keys)
            yield from _with_correlations(query.grouping.aggregates)
        if query.tree is not None:
            yield from _tree_expressions(query.tree)


def _with_correlations(exprs: Sequence[Expr]) -> Iterator[Expr]:
    for expr in exprs:
        yield expr
        for node in walk(expr):
            if isinstance(node, Subquery) and isinstance(node.plan, SubqueryBinding):
                yield from _with_correlations(node.plan.correlations)


def _tree_expressions(tree: JoinTree) -> Iterator[Expr]:
    if isinstance(tree, Join):
        yield from _with_correlations(tree.condition)
        yield from _tree_expressions(tree.left)
        yield from _tree_expressions(tree.right)
    elif isinstance(tree, Relation):
        source = tree.source
        if isinstance(source, QuerySource):
            if source.correlations:
                yield from _with_correlations(source.correlations)
            else:
                yield from expressions_of(source.query)
        elif isinstance(source, FunctionSource):
            yield from _with_correlations(source.calls)
        elif isinstance(source, SystemSource):
            yield from _with_correlations(source.arguments)


def tree_conditions(tree: JoinTree) -> list[Expr]:
    """All ON conditions, and what lateral relations take from the others."""
    if isinstance(tree, Join):
        return [*tree.condition, *tree_conditions(tree.left), *tree_conditions(tree.right)]
    source = tree.source
    if isinstance(source, QuerySource):
        return list(source.correlations)
    if isinstance(source, FunctionSource):
        return list(source.calls)
    return []
