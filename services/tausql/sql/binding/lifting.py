"""Aggregates of an outer query, written in a subquery: max(o.id) belongs to the query that o is of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.names import NameScope, OuterLink
from tausql.sql.expressions.nodes import AggregateCall, Expr, OuterSlot, Slot, Subquery, walk


def lifted(names: NameScope, call: AggregateCall, mark: Sequence[int]) -> Expr | None:
    """The call's value as the query around computes it, None where its columns are this query's own. `mark`: how much
    each query around had given before the call was bound."""
    links = links_of(names)
    level = 0
    moved: Expr = call
    while level < len(links) and _is_of_outer(moved):
        moved = moved.replace(partial(_seen_from_outside, links[level].correlations))
        level += 1
    if level == 0:
        return None
    check = links[level - 1].check_aggregate
    if check is None:
        raise SqlError(
            Code.grouping_error, "aggregate functions are not allowed in FROM clause of their own query level"
        )
    check(call.aggregate.name)
    for link, count in zip(links, mark, strict=True):
        del link.correlations[count:]  # what only the call took
    for link in reversed(links[:level]):
        moved = link.take(moved, call.aggregate.name).retyped(moved.type)  # max(numeric(12,2)) is numeric
    return moved


def _seen_from_outside(correlations: Sequence[Expr], node: Expr) -> Expr:
    return correlations[node.slot] if isinstance(node, OuterSlot) else node


def links_of(names: NameScope) -> list[OuterLink]:
    """The links outwards, the nearest first."""
    found: list[OuterLink] = []
    while names.link is not None:
        found.append(names.link)
        names = names.link.around
    return found


def _is_of_outer(expr: Expr) -> bool:
    """Whether it has columns, and all of them are of queries around."""
    parts = list(walk(expr))
    if any(isinstance(part, (Slot, Subquery)) for part in parts):
        return False
    return any(isinstance(part, OuterSlot) for part in parts)
