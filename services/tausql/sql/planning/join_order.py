"""In which order inner joins are made: the cheapest of all orders for a few relations, step by step for many.

Joins are put together from the left: each next relation is found by an index from what is joined already, or hashed.
For every set of relations the cheapest way to join it is remembered, and every larger set is made of those; sets that
no condition holds together are left for when nothing else is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tausql.sql.binding.bound import JoinTree, Relation, TableSource
from tausql.sql.expressions.nodes import Expr, Slot
from tausql.sql.planning.compiling import Planner
from tausql.sql.planning.conditions import ColumnTest, Condition, equality_sides
from tausql.sql.planning.paths import TRIP_COST, Path, best_path, tests_of
from tausql.sql.planning.selectivity import EQUALITY, OTHER, TABLE_ROWS

EXHAUSTIVE_MAX: Final = 8
BATCH_ROWS: Final = 64  # outer rows of one request of a batched join
HASH_COST: Final = 0.8  # of a row that is held
PROBE_COST: Final = 0.5  # of a row that looks for matches
PAIR_COST: Final = 0.4
MERGE_COST: Final = 1.0  # of a row that is sorted and merged
NO_SLOTS: Final[frozenset[int]] = frozenset()


def index_join_cost(outer_rows: float, path: Path) -> float:
    """Of finding the matches of so many rows."""
    batches = max(1.0, outer_rows / BATCH_ROWS)
    return batches * TRIP_COST + outer_rows * max(path.cost - TRIP_COST, 1.0)


def hash_join_cost(outer_rows: float, inner_rows: float) -> float:
    """Above reading both sides; the smaller one is held."""
    low, high = sorted((outer_rows, inner_rows))
    return low * HASH_COST + high * PROBE_COST


def equality_part(planner: Planner, relations: Sequence[Relation], expr: Expr) -> float:
    """The share of all pairs of rows that a condition between two relations lets pass."""
    sides = equality_sides(expr)
    if sides is None:
        return OTHER
    found = [_distinct(planner, relations, side) for side in sides]
    known = [one for one in found if one is not None]
    return 1 / max(known) if known else EQUALITY


def _distinct(planner: Planner, relations: Sequence[Relation], expr: Expr) -> float | None:
    if not isinstance(expr, Slot):
        return None
    for relation in relations:
        if isinstance(relation.source, TableSource) and relation.base <= expr.slot < relation.base + relation.width - 1:
            return planner.figures(relation.source.table).distinct(expr.slot - relation.base)
    return None


def relations_of(tree: JoinTree) -> list[Relation]:
    if isinstance(tree, Relation):
        return [tree]
    return [*relations_of(tree.left), *relations_of(tree.right)]


@dataclass(slots=True)
class _Item:
    """One operand: what reading it alone costs and gives. `tests` is None for what has no indexes."""

    tree: JoinTree
    slots: frozenset[int]
    rows: float
    cost: float
    tests: list[ColumnTest] | None
    conditions: list[Condition]


@dataclass(slots=True)
class _Plan:
    order: tuple[int, ...]
    rows: float
    cost: float


class JoinOrder:
    """`order()`: the operands' numbers, in the order to join them. None of them depends on another (LATERAL)."""

    def __init__(
        self,
        planner: Planner,
        items: Sequence[JoinTree],
        conditions: Sequence[Condition],
        needed: frozenset[int] | None,
    ) -> None:
        self.planner = planner
        self.needed = needed
        self.relations = [relation for item in items for relation in relations_of(item)]
        self.items = [self._item(item, conditions) for item in items]
        self.joins = [
            (one, self._operands(one), equality_part(planner, self.relations, one.expr)) for one in conditions
        ]
        self.joins = [join for join in self.joins if len(join[1]) > 1]
        self.paths: dict[tuple[int, tuple[int, ...]], Path | None] = {}

    def order(self) -> tuple[int, ...]:
        count = len(self.items)
        best = {frozenset((at,)): _Plan((at,), item.rows, item.cost) for at, item in enumerate(self.items)}
        current = dict(best)
        for size in range(2, count + 1):
            following: dict[frozenset[int], _Plan] = {}
            for joined, plan in current.items():
                others = [at for at in range(count) if at not in joined]
                connected = [at for at in others if self._connected(joined, at)]
                if not connected and size < count and any(self._has_join(at) for at in others):
                    connected = []  # another start joins what belongs together first
                for at in connected or others:
                    made = self._joined(joined, plan, at)
                    key = joined | {at}
                    known = following.get(key)
                    if known is None or made.cost < known.cost:
                        following[key] = made
            current = following
        return min(current.values(), key=lambda plan: plan.cost).order

    def _item(self, tree: JoinTree, conditions: Sequence[Condition]) -> _Item:
        slots = frozenset().union(*(_slots(relation) for relation in relations_of(tree)))
        own = [one for one in conditions if one.slots and one.slots <= slots]
        if isinstance(tree, Relation) and isinstance(tree.source, TableSource):
            access = self.planner.access(tree.source.table)
            tests = tests_of(self.planner, tree, access, conditions)
            path = best_path(self.planner, tree, access, tests, NO_SLOTS, None, conditions, self.needed)
            rows = rows_left(path, tests, own)
            return _Item(tree, slots, rows, path.cost, tests, list(conditions))
        rows = max(1.0, (100.0 if isinstance(tree, Relation) else TABLE_ROWS) * OTHER ** len(own))
        return _Item(tree, slots, rows, rows, None, [])

    def _operands(self, one: Condition) -> frozenset[int]:
        return frozenset(at for at, item in enumerate(self.items) if one.slots & item.slots)

    def _connected(self, joined: frozenset[int], at: int) -> bool:
        return any(at in operands and operands & joined for _, operands, _ in self.joins)

    def _has_join(self, at: int) -> bool:
        return any(at in operands for _, operands, _ in self.joins)

    def _joined(self, joined: frozenset[int], plan: _Plan, at: int) -> _Plan:
        item = self.items[at]
        rows = plan.rows * item.rows
        whole = joined | {at}
        keyed = False
        for one, operands, part in self.joins:
            if at in operands and operands <= whole:
                rows *= part
                keyed = keyed or equality_sides(one.expr) is not None
        rows = max(rows, 1.0)
        if keyed:
            cost = item.cost + hash_join_cost(plan.rows, item.rows)
        else:
            cost = item.cost + plan.rows * item.rows * PAIR_COST
        path = self._path(joined, at)
        if path is not None:
            cost = min(cost, index_join_cost(plan.rows, path))
        return _Plan((*plan.order, at), rows, plan.cost + cost + rows * 0.1)

    def _path(self, joined: frozenset[int], at: int) -> Path | None:
        """How an index finds the item's rows from those joined."""
        item = self.items[at]
        if item.tests is None or not isinstance(item.tree, Relation) or not isinstance(item.tree.source, TableSource):
            return None
        available = frozenset().union(*(self.items[one].slots for one in joined))
        usable = tuple(number for number, test in enumerate(item.tests) if test.slots <= available)
        key = (at, usable)
        if key not in self.paths:
            access = self.planner.access(item.tree.source.table)
            path = best_path(self.planner, item.tree, access, item.tests, available, None, item.conditions, self.needed)
            self.paths[key] = path if any(test.slots for test in path.equal) else None
        return self.paths[key]


def rows_left(path: Path, tests: Sequence[ColumnTest], own: Sequence[Condition]) -> float:
    """A path's rows after conditions of its table that no test says."""
    tested = [test.condition for test in tests]
    return max(1.0, path.rows * OTHER ** sum(1 for one in own if one not in tested and one not in path.used))


def _slots(relation: Relation) -> frozenset[int]:
    return frozenset(range(relation.base, relation.base + relation.width))
