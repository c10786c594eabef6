"""EXISTS and IN that look at the row: subqueries as joins.

Run as they are written they would be read once for every row. As a semi-join (or, for NOT EXISTS, an anti-join) they
are read in batches, by an index or by hash, like any join; only whether there is a match counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tausql.sql.binding.bound import BoundSelect, Join, JoinTree, Relation, SubqueryBinding, TableSource
from tausql.sql.binding.slots import slots_of, tree_conditions
from tausql.sql.expressions.compiler import volatility
from tausql.sql.expressions.nodes import (
    Expr,
    FunctionCall,
    Not,
    OuterSlot,
    SetReturningCall,
    Slot,
    Subquery,
    walk,
)
from tausql.sql.types.builtin import BOOL

_APART = 1 << 20  # virtual slots of one unnested subquery after another


@dataclass(slots=True)
class SemiJoin:
    """A subquery as something to join with: conditions are over the outer slots and the tree's own, moved apart."""

    tree: JoinTree
    conditions: list[Expr]
    anti: bool


def semi_join(expr: Expr, subqueries: Sequence[SubqueryBinding]) -> SemiJoin | None:
    """The conjunct as a join, None where it has another form or would gain nothing."""
    anti = isinstance(expr, Not)
    node = expr.arg if isinstance(expr, Not) else expr
    if not isinstance(node, Subquery) or node.kind not in ("exists", "any") or (anti and node.kind == "any"):
        return None
    binding = subqueries[node.index]
    query = binding.query
    if not any(slots_of(outer, subqueries) for outer in binding.correlations):
        return None  # read once anyway
    if not isinstance(query, BoundSelect) or not _plain(query) or query.tree is None:
        return None
    exprs = [*query.where, *tree_conditions(query.tree)]
    if node.kind == "any":
        if any(operator.name != "=" for operator in node.operators):
            return None
        exprs += [*[target.expr for target in query.targets], *node.left]
    if any(_blocks(part) for one in exprs for part in walk(one)) or any(volatility(one) == "v" for one in exprs):
        return None
    apart = _APART * (node.index + 1)
    moved = _mover(binding.correlations, apart)
    conditions = [one.replace(moved) for one in [*query.where, *tree_conditions(query.tree)]]
    if node.kind == "any":
        targets = [target.expr.replace(moved) for target in query.targets]
        conditions += _equalities(node, targets)
    return SemiJoin(_moved_tree(query.tree, apart), conditions, anti)


def _plain(query: BoundSelect) -> bool:
    """Nothing between FROM ... WHERE and the answer that matters."""
    if query.grouping is not None or query.having or query.limit is not None or query.offset is not None:
        return False
    return query.distinct_on is None and not query.locks and not query.windows and _only_tables(query.tree)


def _only_tables(tree: JoinTree | None) -> bool:
    if isinstance(tree, Join):
        return tree.kind == "inner" and _only_tables(tree.left) and _only_tables(tree.right)
    return isinstance(tree, Relation) and isinstance(tree.source, TableSource)


def _blocks(part: Expr) -> bool:
    return isinstance(part, (Subquery, SetReturningCall))


def _mover(correlations: Sequence[Expr], apart: int) -> Callable[[Expr], Expr]:
    def moved(part: Expr) -> Expr:
        if isinstance(part, Slot):
            return dataclasses.replace(part, slot=part.slot + apart)
        return part

    def placed(part: Expr) -> Expr:
        # Leaves first: what stands for an outer slot is of the outer query and must not be moved itself.
        return correlations[part.slot] if isinstance(part, OuterSlot) else moved(part)

    return placed


def _moved_tree(tree: JoinTree, apart: int) -> JoinTree:
    """The tree with its slots moved; its ON conditions are among the semi-join's."""
    if isinstance(tree, Join):
        return Join("inner", _moved_tree(tree.left, apart), _moved_tree(tree.right, apart), [])
    columns = [dataclasses.replace(column, slot=column.slot + apart) for column in tree.columns]
    return Relation(tree.alias, tree.source, columns, tree.base + apart, tree.width)


def _equalities(node: Subquery, targets: Sequence[Expr]) -> list[Expr]:
    def target(part: Expr) -> Expr:
        return targets[part.slot] if isinstance(part, Slot) else part

    return [
        FunctionCall(function=operator, args=(left, column.replace(target)), type=BOOL)
        for left, operator, column in zip(node.left, node.operators, node.columns, strict=True)
    ]
