"""What a FROM clause is made of, apart from how it is joined: its relations' slots, what depends on what, and the plans
of the sources that are no tables."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from tausql.sql.binding.bound import Cte, CteSource, FunctionSource, Join, JoinTree, QuerySource, Relation
from tausql.sql.binding.slots import query_uses_outer, remapped, slots_of
from tausql.sql.execution.rows import FunctionRead
from tausql.sql.execution.run import Node, Row
from tausql.sql.execution.scans import CteRead
from tausql.sql.execution.sets import RecursiveUnion, row_key
from tausql.sql.expressions.compiler import compile_expr, compile_set
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Expr, SetReturningCall
from tausql.sql.planning.compiling import Layout, Planner
from tausql.sql.planning.conditions import Condition
from tausql.sql.planning.join_order import relations_of
from tausql.sql.types.ordering import hash_key, is_identity_key


def tested_above(one: Condition, tree: JoinTree) -> bool:
    """Whether a condition may be tested above the read of its table: it needs several, or an outer join is between."""
    if isinstance(tree, Relation):
        return False
    if tree.kind != "inner":
        return True
    return any(
        tested_above(one, side) or not one.slots <= tree_slots(side)
        for side in (tree.left, tree.right)
        if one.slots & tree_slots(side)
    )


def slots_range(relation: Relation) -> frozenset[int]:
    return frozenset(range(relation.base, relation.base + relation.width))


def tree_slots(tree: JoinTree) -> frozenset[int]:
    if isinstance(tree, Relation):
        return slots_range(tree)
    return tree_slots(tree.left) | tree_slots(tree.right)


def dependencies(item: JoinTree, planner: Planner) -> frozenset[int]:
    """Virtual slots of other relations that a lateral item, or a join with one inside, refers to."""
    return dependencies_of(item, planner) - tree_slots(item)


def dependencies_of(item: JoinTree, planner: Planner) -> frozenset[int]:
    if isinstance(item, Join):
        return dependencies_of(item.left, planner) | (dependencies_of(item.right, planner) - tree_slots(item))
    source = item.source
    exprs: Sequence[Expr] = ()
    if isinstance(source, QuerySource):
        exprs = source.correlations
    elif isinstance(source, FunctionSource):
        exprs = source.calls
    return frozenset().union(*(slots_of(expr, planner.subqueries) for expr in exprs))


def join_key(exprs: Sequence[Expr], layout: Layout) -> Callable[[Row, Context], Hashable]:
    """What equal values have in common; None where one of them is NULL."""
    values = [compile_expr(remapped(expr, layout)) for expr in exprs]
    hashes = [None if is_identity_key(expr.type) else hash_key(expr.type) for expr in exprs]
    if len(values) == 1:
        (value,), (of,) = values, hashes
        if of is None:
            single: Callable[[Row, Context], Hashable] = value
            return single

        def one(row: Row, context: Context) -> Hashable:
            found = value(row, context)
            return None if found is None else of(found)

        return one

    def several(row: Row, context: Context) -> Hashable:
        parts: list[Hashable] = []
        for value, of in zip(values, hashes, strict=True):
            found = value(row, context)
            if found is None:
                return None
            parts.append(found if of is None else of(found))
        return tuple(parts)

    return several


def function_read(planner: Planner, source: FunctionSource, layout: Layout, alias: str) -> FunctionRead:
    functions: list[Any] = []
    for call in source.calls:
        placed = remapped(call, layout)
        if isinstance(placed, SetReturningCall):
            functions.append(compile_set(placed))
        else:
            functions.append(_single(compile_expr(placed)))
    subplans = planner.subplans(source.calls, layout)
    return FunctionRead(functions, source.ordinality, subplans, alias, source.widths)


def _single(value: Callable[[Row, Context], Any]) -> Callable[[Row, Context], Any]:
    return lambda row, context: iter((value(row, context),))


def recursive_union(planner: Planner, cte: Cte) -> Node:
    assert cte.recursive is not None
    first = planner.plan_query(planner, cte.query)
    planner.recursive.add(cte.index)
    try:
        again = planner.plan_query(planner, cte.recursive)
    finally:
        planner.recursive.discard(cte.index)
    key = row_key([hash_key(column.type) for column in cte.columns])
    return RecursiveUnion(cte.index, first, again, cte.distinct, key)


def cte_read(planner: Planner, source: CteSource) -> Node:
    cte = source.cte
    if cte.index in planner.recursive:
        return CteRead(cte.index, cte.name, None)
    inside = any(cte.index > around for around in planner.recursive)  # of a recursive term: new in each round
    if cte.recursive is None and cte.part is None and (inside or query_uses_outer(cte.query)):
        return planner.plan_query(planner, cte.query)
    if cte.recursive is not None and (inside or query_uses_outer(cte.query) or query_uses_outer(cte.recursive)):
        return recursive_union(planner, cte)  # other rows for each row of the query around it: nothing to keep
    node = planner.cte_nodes.get(cte.index)
    if node is None:
        if cte.part is not None:
            node = planner.plan_part(planner, cte.part)
        elif cte.recursive is None:
            node = planner.plan_query(planner, cte.query)
        else:
            node = recursive_union(planner, cte)
        planner.cte_nodes[cte.index] = node
    return CteRead(cte.index, cte.name, node)


def qualified_names(tree: JoinTree | None) -> dict[int, str]:
    """What the slots of several relations are called, so that one can tell them apart."""
    relations = relations_of(tree) if tree is not None else []
    if len(relations) < 2:
        return {}
    return {column.slot: f"{relation.alias}.{column.name}" for relation in relations for column in relation.columns}
