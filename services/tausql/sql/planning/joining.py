"""FROM and WHERE: which relation first, how each next one is joined, where each condition is tested.

Inner joins are taken apart and put together greedily, the smallest result first; an outer join keeps its two sides
apart. A relation that can be found by an index from what is joined already is read in batches of outer rows; others are
hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tausql.protocol.errors import not_supported
from tausql.sql.binding.bound import (
    CteSource,
    FunctionSource,
    Join,
    JoinTree,
    QuerySource,
    Relation,
    SystemSource,
    TableSource,
)
from tausql.sql.binding.slots import slots_of
from tausql.sql.execution.checked_joins import CheckedJoin
from tausql.sql.execution.joins import FunctionJoin, HashJoin, IndexJoin, LateralJoin, NestedLoop
from tausql.sql.execution.merging import MergeJoin
from tausql.sql.execution.rows import Filter
from tausql.sql.execution.run import Node
from tausql.sql.execution.scans import OneRow, SystemRead
from tausql.sql.expressions.nodes import And, Expr
from tausql.sql.planning.compiling import IDENTITY, Layout, Planner, Predicate
from tausql.sql.planning.conditions import ColumnTest, Condition, condition, equality_sides
from tausql.sql.planning.join_order import (
    EXHAUSTIVE_MAX,
    MERGE_COST,
    PAIR_COST,
    JoinOrder,
    equality_part,
    hash_join_cost,
    index_join_cost,
    relations_of,
    rows_left,
)
from tausql.sql.planning.merging import merge_sides
from tausql.sql.planning.paths import OrderWish, Path, TableRead, best_path, is_pushed, read_table, tests_of
from tausql.sql.planning.relations import (
    cte_read,
    dependencies,
    dependencies_of,
    function_read,
    join_key,
    slots_range,
    tested_above,
    tree_slots,
)
from tausql.sql.planning.selectivity import EQUALITY, OTHER, TABLE_ROWS
from tausql.sql.planning.semijoins import SemiJoin, semi_join
from tausql.sql.planning.system_reads import looked_up

NO_SLOTS: Final[frozenset[int]] = frozenset()


@dataclass(slots=True)
class Joined:
    """Part of a FROM clause as a plan: where each virtual slot is in its rows."""

    node: Node
    layout: Layout
    width: int
    rows: float
    ordered: bool = False

    @property
    def slots(self) -> frozenset[int]:
        return frozenset(self.layout)


@dataclass(slots=True)
class FromPlanner:
    """Plans the FROM clause of one block. `needed`: virtual slots used outside single-table conditions (None = all);
    `keyed`: tables whose rows' keys are needed; `wish`: the order the block wants."""

    planner: Planner
    needed: frozenset[int] | None
    keyed: frozenset[int]  # bases of relations
    wish: OrderWish | None
    relations: list[Relation] = field(default_factory=list)  # of the whole block, once it is planned

    def plan(self, tree: JoinTree, where: Sequence[Expr]) -> Joined:
        self.relations = relations_of(tree)
        semis = [(expr, semi_join(expr, self.planner.subqueries)) for expr in where]
        if self.needed is not None:
            self.needed = self.needed.union(
                *(slots_of(expr, self.planner.subqueries) for expr, semi in semis if semi is not None)
            )
        conditions = [condition(expr, self.planner.subqueries) for expr, semi in semis if semi is None]
        if self.needed is not None:
            self.needed = self.needed.union(*(one.slots for one in conditions if tested_above(one, tree)))
        joined, left = self._tree(tree, conditions, self.wish)
        joined = self.filtered(joined, left)
        for _, semi in semis:
            if semi is not None:
                joined = self._semi(joined, semi)
        return joined

    def _semi(self, joined: Joined, semi: SemiJoin) -> Joined:
        """Rows of `joined` that have a match, or have none; their layout stays."""
        conditions = [condition(expr, self.planner.subqueries) for expr in semi.conditions]
        inner = FromPlanner(self.planner, NO_SLOTS.union(*(one.slots for one in conditions)), frozenset(), None)
        inner.relations = [*relations_of(semi.tree), *self.relations]
        kind = "anti" if semi.anti else "semi"
        path = inner._index_path(joined, semi.tree, conditions)
        made, _ = inner._join(joined, semi.tree, path, conditions, kind)
        rows = max(1.0, joined.rows / 2)
        made.node.rows = rows
        return Joined(made.node, joined.layout, joined.width, rows, made.ordered)

    def _tree(
        self, tree: JoinTree, conditions: list[Condition], wish: OrderWish | None
    ) -> tuple[Joined, list[Condition]]:
        """The plan and the conditions it has not tested."""
        if isinstance(tree, Relation):
            return self._relation(tree, conditions, wish)
        if tree.kind == "inner":
            items: list[JoinTree] = []
            conditions = list(conditions)
            self._flatten(tree, items, conditions)
            return self._inner(items, conditions, wish)
        return self._outer(tree, conditions, wish)

    def _flatten(self, tree: JoinTree, items: list[JoinTree], conditions: list[Condition]) -> None:
        if isinstance(tree, Join) and tree.kind == "inner":
            self._flatten(tree.left, items, conditions)
            self._flatten(tree.right, items, conditions)
            conditions.extend(condition(expr, self.planner.subqueries) for expr in tree.condition)
        else:
            items.append(tree)

    # One relation

    def _relation(
        self, relation: Relation, conditions: list[Condition], wish: OrderWish | None
    ) -> tuple[Joined, list[Condition]]:
        source = relation.source
        own = slots_range(relation)
        if isinstance(source, TableSource):
            access = self.planner.access(source.table)
            local = [one for one in conditions if one.slots <= own]
            tests = tests_of(self.planner, relation, access, local)
            path = best_path(
                self.planner, relation, access, tests, NO_SLOTS, wish, local, self._wanted(tests, conditions)
            )
            read = self._read(relation, path, tests, IDENTITY, conditions)
            left = [one for one in conditions if one not in read.done]
            joined = Joined(read.node, read.layout, read.width, read.rows, path.ordered and wish is not None)
            return self._local(joined, left)
        node = self._source(relation)
        layout = {relation.base + at: at for at in range(relation.width)}
        return self._local(Joined(node, layout, relation.width, node.rows), list(conditions))

    def _read(
        self, relation: Relation, path: Path, tests: Sequence[ColumnTest], left: Layout, conditions: Sequence[Condition]
    ) -> TableRead:
        needed = self.needed
        if needed is not None:
            pushed = (test.condition for test in tests if is_pushed(test, path, left))
            consumed = [*path.used, *pushed]
            needed = needed.union(*(one.slots for one in conditions if one not in consumed))
        return read_table(self.planner, relation, path, tests, left, needed, relation.base in self.keyed)

    def _wanted(self, tests: Sequence[ColumnTest], conditions: Sequence[Condition]) -> frozenset[int] | None:
        """Slots that are used whichever way a table is read."""
        if self.needed is None:
            return None
        tested = [test.condition for test in tests]
        return self.needed.union(*(one.slots for one in conditions if one not in tested))

    def _local(self, joined: Joined, conditions: list[Condition]) -> tuple[Joined, list[Condition]]:
        """Tests what can be tested here."""
        here = [one for one in conditions if one.slots <= joined.slots and one.slots]
        left = [one for one in conditions if one not in here]
        return self.filtered(joined, here), left

    def filtered(self, joined: Joined, conditions: Sequence[Condition]) -> Joined:
        if not conditions:
            return joined
        if isinstance(joined.node, SystemRead):
            joined.node = looked_up(self.planner, joined.node, conditions, joined.layout)
        exprs = [one.expr for one in sorted(conditions, key=lambda one: not one.pure)]
        predicate = self.planner.predicate(exprs, joined.layout)
        assert predicate is not None
        subplans = self.planner.subplans(exprs, joined.layout)
        rows = max(1.0, joined.rows * OTHER ** len(conditions))
        text = self.planner.describe(exprs[0] if len(exprs) == 1 else And(args=tuple(exprs)))
        node = Filter(rows, joined.node, predicate, subplans, text)
        return Joined(node, joined.layout, joined.width, rows, joined.ordered)

    def _source(self, relation: Relation) -> Node:
        """A relation that is not a table and needs nothing from the others."""
        source = relation.source
        if isinstance(source, QuerySource):
            node = self.planner.plan_query(self.planner, source.query)
            if source.correlations or source.single_row:  # LATERAL, but only to the query around this one
                outer = [self.planner.value(expr, IDENTITY) for expr in source.correlations]
                return LateralJoin(
                    node.rows, "inner", OneRow(), node, relation.width, outer, None, "", source.single_row, None
                )
            return node
        if isinstance(source, FunctionSource):
            return function_read(self.planner, source, IDENTITY, relation.alias)
        if isinstance(source, SystemSource):
            return SystemRead(
                source.relation, [self.planner.value(argument, IDENTITY) for argument in source.arguments]
            )
        assert isinstance(source, CteSource)
        return cte_read(self.planner, source)

    # Inner joins

    def _inner(
        self, items: list[JoinTree], conditions: list[Condition], wish: OrderWish | None
    ) -> tuple[Joined, list[Condition]]:
        waiting = self._ordered(items, conditions, wish)
        planned = len(items) > 1 and waiting is not None
        if waiting is None:
            waiting = list(items)
            first = self._first(waiting, conditions, wish)
        else:
            first = waiting[0]
        waiting.remove(first)
        wish = wish if len(items) == 1 or _owns_order(first, wish) else None
        joined, conditions = self._tree(first, conditions, wish)
        while waiting:
            if planned:
                item = waiting[0]
                path = self._index_path(joined, item, conditions)
            else:
                item, path = self._next(joined, waiting, conditions)
            waiting.remove(item)
            joined, conditions = self._join(joined, item, path, conditions)
        return joined, conditions

    def _ordered(
        self, items: list[JoinTree], conditions: list[Condition], wish: OrderWish | None
    ) -> list[JoinTree] | None:
        """The cheapest order; None where it is found step by step: many relations, dependent ones, or an ORDER BY
        with a LIMIT that one of them may give."""
        if not 1 < len(items) <= EXHAUSTIVE_MAX or any(dependencies(item, self.planner) for item in items):
            return None
        if wish is not None and wish.limited and any(_owns_order(item, wish) for item in items):
            return None
        order = JoinOrder(self.planner, items, conditions, self.needed).order()
        return [items[at] for at in order]

    def _first(self, items: Sequence[JoinTree], conditions: Sequence[Condition], wish: OrderWish | None) -> JoinTree:
        """The item with the fewest rows by its own conditions, among those that depend on no other."""
        best: tuple[float, int] | None = None
        for at, item in enumerate(items):
            if dependencies(item, self.planner):
                continue
            rows = self._estimate(item, conditions)
            if wish is not None and wish.limited and _owns_order(item, wish):
                rows = min(rows, 100.0)
            if best is None or rows < best[0]:
                best = (rows, at)
        return items[best[1] if best is not None else 0]

    def _estimate(self, item: JoinTree, conditions: Sequence[Condition]) -> float:
        if isinstance(item, Relation) and isinstance(item.source, TableSource):
            access = self.planner.access(item.source.table)
            local = [one for one in conditions if one.slots <= slots_range(item)]
            tests = tests_of(self.planner, item, access, local)
            path = best_path(self.planner, item, access, tests, NO_SLOTS, None, local, self.needed)
            return rows_left(path, tests, [one for one in local if one.slots])
        if isinstance(item, Relation):
            return 100.0
        local_count = sum(1 for one in conditions if one.slots and one.slots <= tree_slots(item))
        return max(1.0, TABLE_ROWS * OTHER**local_count)

    def _next(
        self, joined: Joined, waiting: Sequence[JoinTree], conditions: Sequence[Condition]
    ) -> tuple[JoinTree, Path | None]:
        """The next item to join and, if an index finds it from here, the path."""
        best: tuple[tuple[bool, float], JoinTree, Path | None] | None = None
        for item in waiting:
            if not dependencies(item, self.planner) <= joined.slots:
                continue
            path = self._index_path(joined, item, conditions)
            slots = tree_slots(item)
            between = [one for one in conditions if one.slots & joined.slots and one.slots & slots]
            connected = any(one.slots <= joined.slots | slots for one in between)
            matches = self._estimate(item, conditions) * (EQUALITY if connected else 1) if path is None else path.rows
            rank = (not connected, matches)
            if best is None or rank < best[0]:
                best = (rank, item, path)
        if best is None:
            return waiting[0], None
        return best[1], best[2]

    def _index_path(self, joined: Joined, item: JoinTree, conditions: Sequence[Condition]) -> Path | None:
        """How an index finds the item's rows from those joined, where that is better than to hash them."""
        off = self.planner.disabled
        if not isinstance(item, Relation) or not isinstance(item.source, TableSource):
            return None
        if "nestloop" in off or "batched_nestloop" in off:
            return None
        access = self.planner.access(item.source.table)
        available = joined.slots
        own = slots_range(item)
        known = [one for one in conditions if one.slots <= own | available]
        tests = tests_of(self.planner, item, access, known)
        wanted = self._wanted(tests, conditions)
        path = best_path(self.planner, item, access, tests, available, None, known, wanted)
        if not any(test.slots for test in path.equal):
            return None
        local = [one for one in known if one.slots <= own]
        alone = best_path(self.planner, item, access, tests, NO_SLOTS, None, local, wanted)
        hashed = alone.cost + hash_join_cost(joined.rows, alone.rows)
        if "hashjoin" in off:
            pairs = joined.rows * alone.rows * PAIR_COST
            hashed = alone.cost + (pairs if "mergejoin" in off else (joined.rows + alone.rows) * MERGE_COST)
        return path if index_join_cost(joined.rows, path) <= hashed else None

    def _join(
        self, joined: Joined, item: JoinTree, path: Path | None, conditions: list[Condition], kind: str = "inner",
    ) -> tuple[Joined, list[Condition]]:  # fmt: skip
        """Joins one item to what is there; with kind left, `conditions` are the ON clause's and all are tested."""
        if path is not None and isinstance(item, Relation):
            return self._index_join(joined, item, path, conditions, kind)
        if isinstance(item, Relation) and dependencies(item, self.planner):
            return self._lateral(joined, item, conditions, kind)
        inner = [one for one in conditions if one.slots and one.slots <= tree_slots(item)]
        right, unused = self._tree(item, inner, None)
        right = self._own(right, unused, inner)
        conditions = [one for one in conditions if one not in inner or one in unused]
        return self._hash_or_loop(joined, right, conditions, kind)

    def _index_join(
        self, joined: Joined, item: Relation, path: Path, conditions: list[Condition], kind: str
    ) -> tuple[Joined, list[Condition]]:
        usable = [one for one in conditions if one.slots <= joined.slots | slots_range(item)]
        tests = [test for test in tests_of(self.planner, item, path.access, usable) if test.slots <= joined.slots]
        read = self._read(item, path, tests, joined.layout, conditions)
        layout = combined(joined, read.layout)
        residual, rest = split_conditions(conditions, frozenset(layout), read.done, kind)
        rows = max(1.0, joined.rows * read.rows * OTHER ** len(residual))
        node = IndexJoin(
            rows, kind, joined.node, read.node, read.width,
            *self._passes(residual, layout),
        )  # fmt: skip
        return self._after(Joined(node, layout, joined.width + read.width, rows, joined.ordered), rest, kind)

    def _lateral(
        self, joined: Joined, item: Relation, conditions: list[Condition], kind: str
    ) -> tuple[Joined, list[Condition]]:
        source = item.source
        own = {item.base + at: at for at in range(item.width)}
        layout = combined(joined, own)
        residual, rest = split_conditions(conditions, frozenset(layout), [], kind)
        passes = self.planner.predicate([one.expr for one in residual], layout)
        text = self.planner.describe_all([one.expr for one in residual])
        rows = joined.rows * 10
        node: Node
        if isinstance(source, FunctionSource):
            function = function_read(self.planner, source, joined.layout, item.alias)
            subplans, function.subplans = function.subplans, None
            node = FunctionJoin(rows, kind, joined.node, function, item.width, passes, text, subplans)
        elif isinstance(source, QuerySource):
            right = self.planner.plan_query(self.planner, source.query)
            correlations = [self.planner.value(outer, joined.layout) for outer in source.correlations]
            node = LateralJoin(
                rows, kind, joined.node, right, item.width, correlations, passes, text, source.single_row,
                self.planner.subplans(source.correlations, joined.layout),
            )  # fmt: skip
        else:
            raise not_supported("this kind of relation cannot refer to others of the FROM clause")
        return self._after(Joined(node, layout, joined.width + item.width, rows, joined.ordered), rest, kind)

    def _hash_or_loop(
        self, left: Joined, right: Joined, conditions: list[Condition], kind: str
    ) -> tuple[Joined, list[Condition]]:
        if kind == "inner" and left.rows < right.rows and not left.ordered:
            left, right = right, left  # the smaller side is the one to hold
        layout = combined(left, right.layout)
        usable, rest = split_conditions(conditions, frozenset(layout), [], kind)
        keys: list[tuple[Expr, Expr]] = []
        residual: list[Condition] = []
        for one in usable:
            sides = self._hash_sides(one, left.slots, right.slots)
            if sides is None:
                residual.append(one)
            else:
                keys.append(sides)
        passes = self.planner.predicate([one.expr for one in residual], layout)
        width = left.width + right.width
        node: Node
        rows = left.rows * right.rows * OTHER ** len(residual)
        for one in usable:
            if one not in residual:
                rows *= equality_part(self.planner, self.relations, one.expr)
        rows = max(1.0, left.rows if kind != "inner" else 1.0, rows)
        text = " AND ".join(f"({self.planner.describe(a)} = {self.planner.describe(b)})" for a, b in keys)
        merged = None
        if keys and kind != "full":
            merged = merge_sides(
                self.planner, left.node, left.layout, right.node, right.layout, keys, min(left.rows, right.rows),
                min(left.width, right.width),
            )  # fmt: skip
        if merged is not None:
            order, first, second = merged
            node = MergeJoin(
                rows, kind, first, second, right.width, join_key([a for a, _ in order], left.layout),
                join_key([b for _, b in order], right.layout), *self._passes(residual, layout), text,
            )  # fmt: skip
            left = Joined(left.node, left.layout, left.width, left.rows, left.ordered and first is left.node)
        elif keys and ("hashjoin" not in self.planner.disabled or kind == "full"):
            node = HashJoin(
                rows, kind, left.node, right.node, right.width, left.width,
                join_key([a for a, _ in keys], left.layout), join_key([b for _, b in keys], right.layout), passes, text,
            )  # fmt: skip
        else:
            rows = max(1.0, left.rows * right.rows * (OTHER if usable else 1))
            node = NestedLoop(rows, kind, left.node, right.node, right.width, left.width, *self._passes(usable, layout))
        return self._after(Joined(node, layout, width, rows, left.ordered), rest, kind)

    def _passes(self, conditions: Sequence[Condition], layout: Layout) -> tuple[Predicate | None, str]:
        """A join's residual condition, and its text."""
        exprs = [one.expr for one in conditions]
        return self.planner.predicate(exprs, layout), self.planner.describe_all(exprs)

    def _hash_sides(self, one: Condition, left: frozenset[int], right: frozenset[int]) -> tuple[Expr, Expr] | None:
        sides = equality_sides(one.expr) if one.pure else None
        if sides is None:
            return None
        a, b = (slots_of(side, self.planner.subqueries) for side in sides)
        if not a or not b:
            return None
        if a <= left and b <= right:
            return sides
        if a <= right and b <= left:
            return sides[1], sides[0]
        return None

    def _after(self, joined: Joined, rest: list[Condition], kind: str) -> tuple[Joined, list[Condition]]:
        """Conditions of an inner join that need subqueries are tested above it."""
        return self._local(joined, rest) if kind == "inner" else (joined, rest)

    # Outer joins

    def _outer(self, tree: Join, conditions: list[Condition], wish: OrderWish | None) -> tuple[Joined, list[Condition]]:
        on = [condition(expr, self.planner.subqueries) for expr in tree.condition]
        left_slots = tree_slots(tree.left)
        pushed = [one for one in conditions if one.slots and one.slots <= left_slots and tree.kind == "left"]
        left, unused = self._tree(
            tree.left, pushed, wish if tree.kind == "left" and _owns_order(tree.left, wish) else None
        )
        left = self._own(left, unused, pushed)
        conditions = [one for one in conditions if one not in pushed or one in unused]
        inside, on = self._inside(tree, on)
        if any(not one.pure for one in on):
            return self._checked(left, tree, inside, on, conditions)
        if tree.kind == "left":
            path = self._index_path(left, tree.right, [*on, *inside])
            if path is not None or dependencies_of(tree.right, self.planner):
                joined, _ = self._join(left, tree.right, path, [*on, *inside], "left")
                return self._local(joined, conditions)
        right, missed = self._tree(tree.right, inside, None)
        right = self.filtered(right, missed)
        if tree.kind == "full" and not conditions:
            self._check_full(on, left, right)
        joined, _ = self._hash_or_loop(left, right, on, tree.kind)
        return self._local(joined, conditions)

    def _checked(
        self, left: Joined, tree: Join, inside: list[Condition], on: list[Condition], conditions: list[Condition]
    ) -> tuple[Joined, list[Condition]]:
        """An outer join whose ON clause has subqueries, or what may be evaluated only once for a pair."""
        if dependencies_of(tree.right, self.planner):
            raise not_supported("a subquery in the ON clause of a LATERAL join is not supported")
        right, missed = self._tree(tree.right, inside, None)
        right = self.filtered(right, missed)
        keys: list[tuple[Expr, Expr]] = []
        rest: list[Condition] = []
        for one in sorted(on, key=lambda one: not one.pure):
            sides = self._hash_sides(one, left.slots, right.slots)
            if sides is None:
                rest.append(one)
            else:
                keys.append(sides)
        if tree.kind == "full" and not conditions:
            self._check_full(on, left, right)
        layout = combined(left, right.layout)
        exprs = [one.expr for one in rest]
        passes = self.planner.predicate(exprs, layout)
        assert passes is not None
        hashed = None
        if keys:
            hashed = join_key([a for a, _ in keys], left.layout), join_key([b for _, b in keys], right.layout)
        node = CheckedJoin(
            max(left.rows, right.rows), tree.kind, left.node, right.node, right.width, left.width, hashed, passes,
            self.planner.subplans(exprs, layout), self.planner.describe_all(exprs),
        )  # fmt: skip
        return self._local(Joined(node, layout, left.width + right.width, node.rows), conditions)

    def _check_full(self, on: Sequence[Condition], left: Joined, right: Joined) -> None:
        """A full join goes by an equality of its two sides, unless its condition looks at neither. (PostgreSQL takes
        others where WHERE makes the join a simpler one; here any will do then.)"""
        if not any(one.slots for one in on):
            return
        if not any(self._hash_sides(one, left.slots, right.slots) for one in on):
            raise not_supported("FULL JOIN is only supported with merge-joinable or hash-joinable join conditions")

    def _own(self, joined: Joined, unused: Sequence[Condition], given: Sequence[Condition]) -> Joined:
        """Tests what a side's own inner joins left untested (`ON false` reads no column) before that side is joined:
        above an outer join it would mean something else."""
        return self.filtered(joined, [one for one in unused if one not in given])

    def _inside(self, tree: Join, on: list[Condition]) -> tuple[list[Condition], list[Condition]]:
        """ON's conditions on the right side alone narrow that side before the join (of a left join)."""
        right_slots = tree_slots(tree.right)
        inside = [one for one in on if tree.kind == "left" and one.slots and one.slots <= right_slots]
        return inside, [one for one in on if one not in inside]


def split_conditions(
    conditions: Sequence[Condition], slots: frozenset[int], done: Sequence[Condition], kind: str
) -> tuple[list[Condition], list[Condition]]:
    """(tested in the join, left for later). An outer join tests all of its ON clause itself."""
    here: list[Condition] = []
    rest: list[Condition] = []
    for one in conditions:
        if one in done:
            continue
        if one.slots <= slots and (one.slots or kind != "inner") and one.pure:
            here.append(one)
        else:
            rest.append(one)
    if kind != "inner" and rest:
        raise not_supported("this ON clause of an outer join is not supported")
    return here, rest


def combined(left: Joined, right: Layout) -> Layout:
    return {**left.layout, **{slot: place + left.width for slot, place in right.items()}}


def _owns_order(item: JoinTree, wish: OrderWish | None) -> bool:
    """Whether all columns of the wished order are this item's: then it can give the order to the whole join."""
    if wish is None:
        return False
    slots = tree_slots(item)
    return all(slot in slots for slot, _, _ in wish.specs)
