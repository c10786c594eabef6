"""GROUP BY: everything after it is over groups. Rewrites expressions to the row [keys..., aggregates...].

A column that is not in GROUP BY is an error (42803), unless the table's primary key is: then there is one value a
group, and it becomes a key of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.bound import Grouping, Relation, RelationColumn, SubqueryBinding, TableSource
from tausql.sql.expressions.nodes import AggregateCall, Expr, GroupingCall, Slot, Subquery, walk

_GROUP: Final = 1 << 28  # marks rewritten slots until the number of keys is known
_AGGREGATE: Final = 1 << 29
_MASK: Final = 1 << 30

SETS_MAX: Final = 4096
CUBE_MAX: Final = 12

KeySet = tuple[int, ...]


def crossed(parts: Sequence[Sequence[KeySet]]) -> list[KeySet]:
    """`GROUP BY a, ROLLUP (b, c)`: every set of each item with every set of the others."""
    count = 1
    for sets in parts:
        count *= len(sets)
        if count > SETS_MAX:
            raise SqlError(Code.statement_too_complex, f"too many grouping sets present (maximum {SETS_MAX})")
    return [tuple(dict.fromkeys(at for own in chosen for at in own)) for chosen in product(*parts)]


def rollup_sets(parts: Sequence[KeySet]) -> list[KeySet]:
    return [tuple(at for own in parts[:count] for at in own) for count in range(len(parts), -1, -1)]


def cube_sets(parts: Sequence[KeySet]) -> list[KeySet]:
    if len(parts) > CUBE_MAX:
        raise SqlError(Code.too_many_columns, f"CUBE is limited to {CUBE_MAX} elements")
    masks = range((1 << len(parts)) - 1, -1, -1)
    return [tuple(at for bit, own in enumerate(parts) if mask >> bit & 1 for at in own) for mask in masks]


class GroupRewriter:
    """Rewrites the select list, HAVING and ORDER BY of one grouped block."""

    def __init__(
        self,
        keys: list[Expr],
        sets: list[KeySet] | None,
        relations: Sequence[Relation],
        subqueries: Sequence[SubqueryBinding],
    ) -> None:
        self.keys = keys
        self.sets = sets
        self.own_keys = len(keys)
        self.relations = relations
        self.subqueries = subqueries
        self.aggregates: list[AggregateCall] = []
        self.masks: list[KeySet] = []
        self.complete = self._complete_relations()

    def _complete_relations(self) -> list[Relation]:
        """Tables whose whole primary key is grouped by, in every set."""
        common = range(len(self.keys)) if self.sets is None else frozenset(self.sets[0]).intersection(*self.sets)
        slots = {key.slot for at in common if isinstance(key := self.keys[at], Slot)}
        found: list[Relation] = []
        for relation in self.relations:
            source = relation.source
            if isinstance(source, TableSource) and source.table.primary_key:
                wanted = {relation.base + at for at in source.table.primary_key}
                if wanted <= slots:
                    found.append(relation)
        return found

    def rewrite(self, expr: Expr) -> Expr:
        """The expression over groups, with marked slots: call `finish` on it when all are rewritten."""
        marked = expr.replace(self._mark_aggregate)
        if self.keys:
            marked = marked.replace(self._mark_key)
        marked = marked.replace(self._mark_dependent)
        for node in walk(marked):
            if isinstance(node, Subquery):
                binding = self.subqueries[node.index]
                binding.correlations[:] = [self._correlation(outer) for outer in binding.correlations]
        return marked

    def _correlation(self, expr: Expr) -> Expr:
        marked = expr.replace(self._mark_aggregate)
        if self.keys:
            marked = marked.replace(self._mark_key)
        return marked.replace(self._mark_dependent_of_subquery)

    def finish(self, expr: Expr) -> Expr:
        count = len(self.keys)

        def final(node: Expr) -> Expr:
            if isinstance(node, Slot):
                if node.slot >= _MASK:
                    return dataclasses.replace(node, slot=node.slot - _MASK + count + len(self.aggregates))
                if node.slot >= _AGGREGATE:
                    return dataclasses.replace(node, slot=node.slot - _AGGREGATE + count)
                if node.slot >= _GROUP:
                    return dataclasses.replace(node, slot=node.slot - _GROUP)
            return node

        finished = expr.replace(final)
        for node in walk(finished):
            if isinstance(node, Subquery):
                binding = self.subqueries[node.index]
                binding.correlations[:] = [outer.replace(final) for outer in binding.correlations]
        return finished

    def grouping(self) -> Grouping:
        sets = self.sets
        if sets is not None:  # what depends on a key has its value wherever the key has
            sets = [(*own, *range(self.own_keys, len(self.keys))) for own in sets]
        return Grouping(self.keys, self.aggregates, sets, self.masks)

    def _mask(self, node: GroupingCall) -> Expr:
        if any(arg not in self.keys for arg in node.args):
            raise SqlError(
                Code.grouping_error,
                "arguments to GROUPING must be grouping expressions of the associated query level",
            )
        own = tuple(self.keys.index(arg) for arg in node.args)
        if own not in self.masks:
            self.masks.append(own)
        return Slot(slot=_MASK + self.masks.index(own), type=node.type, name="grouping")

    def _mark_aggregate(self, node: Expr) -> Expr:
        if isinstance(node, GroupingCall):
            return self._mask(node)
        if not isinstance(node, AggregateCall):
            return node
        for direct in node.direct:
            self._check_direct(direct)
        if node not in self.aggregates:
            self.aggregates.append(node)
        at = self.aggregates.index(node)
        return Slot(slot=_AGGREGATE + at, type=node.type, name=node.aggregate.name)

    def _check_direct(self, expr: Expr) -> None:
        """Direct arguments of an ordered-set aggregate have one value a group."""
        marked = expr.replace(self._mark_key) if self.keys else expr
        try:
            marked.replace(self._mark_dependent)
        except SqlError as error:
            error.detail = "Direct arguments of an ordered-set aggregate must use only grouped columns."
            raise

    def _mark_key(self, node: Expr) -> Expr:
        if isinstance(node, Slot) and node.slot >= _GROUP:
            return node
        for at, key in enumerate(self.keys):
            if key == node:
                return Slot(slot=_GROUP + at, type=node.type, typmod=node.typmod, name=getattr(node, "name", ""))
        return node

    def _mark_dependent(self, node: Expr) -> Expr:
        return self._dependent(node, _ungrouped)

    def _mark_dependent_of_subquery(self, node: Expr) -> Expr:
        return self._dependent(node, _ungrouped_in_subquery)

    def _dependent(self, node: Expr, error: Callable[[Relation, RelationColumn], SqlError]) -> Expr:
        if not isinstance(node, Slot) or node.slot >= _GROUP:
            return node
        relation = next(
            (relation for relation in self.relations if relation.base <= node.slot < relation.base + relation.width),
            None,
        )
        if relation is None:
            raise SqlError(Code.internal_error, f"slot {node.slot} belongs to no relation")
        if relation in self.complete:
            if node in self.keys:
                return self._mark_key(node)
            self.keys.append(node)
            return dataclasses.replace(node, slot=_GROUP + len(self.keys) - 1)
        column = next(column for column in relation.columns if column.slot == node.slot)
        raise error(relation, column)


def _ungrouped(relation: Relation, column: RelationColumn) -> SqlError:
    return SqlError(
        Code.grouping_error,
        f'column "{relation.alias}.{column.name}" must appear in the GROUP BY clause '
        "or be used in an aggregate function",
    )


def _ungrouped_in_subquery(relation: Relation, column: RelationColumn) -> SqlError:
    return SqlError(
        Code.grouping_error, f'subquery uses ungrouped column "{relation.alias}.{column.name}" from outer query'
    )


def has_aggregate(exprs: Sequence[Expr]) -> bool:
    """Whether they have aggregates of their own level, those that subqueries take from it among them."""
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, (AggregateCall, GroupingCall)):
                return True
            inner = node.plan if isinstance(node, Subquery) else None
            if isinstance(inner, SubqueryBinding) and has_aggregate(inner.correlations):
                return True
    return False
