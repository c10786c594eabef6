"""FROM and WHERE: which relation first, how each next one is joined, where each condition is tested.

Inner joins are taken apart and put together greedily, the smallest result first; an outer join keeps its two sides
apart. A relation that can be found by an index from what is joined already is read in batches of outer rows; others are
hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tausql.protocol.errors import not_supported
from tausql.sql.binding.bound import (
    Cte,
    CteSource,
    FunctionSource,
    Join,
    JoinTree,
    QuerySource,
    Relation,
    SystemSource,
    TableSource,
)
from tausql.sql.binding.slots import query_uses_outer, remapped, slots_of
from tausql.sql.execution.joins import FunctionJoin, HashJoin, IndexJoin, LateralJoin, NestedLoop
from tausql.sql.execution.rows import Filter, FunctionRead
from tausql.sql.execution.run import Node, Row
from tausql.sql.execution.scans import CteRead, OneRow, SystemRead
from tausql.sql.execution.sets import RecursiveUnion, row_key
from tausql.sql.expressions.compiler import compile_expr, compile_set
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import And, Expr, SetReturningCall
from tausql.sql.planning.compiling import IDENTITY, Layout, Planner
from tausql.sql.planning.conditions import Condition, condition, equality_sides
from tausql.sql.planning.describing import describe
from tausql.sql.planning.paths import OrderWish, Path, TableRead, best_path, pushable, read_table, tests_of
from tausql.sql.planning.semijoins import SemiJoin, semi_join
from tausql.sql.types.ordering import hash_key, is_identity_key

INDEX_JOIN_ROWS: Final = 3000.0  # outer rows up to which an index join beats hashing a whole table
EQUALITY_PART: Final = 0.005
OTHER_PART: Final = 1 / 3

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

    def plan(self, tree: JoinTree, where: Sequence[Expr]) -> Joined:
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
        kind = "anti" if semi.anti else "semi"
        path = inner._index_path(joined, semi.tree, conditions)
        made, _ = inner._join(joined, semi.tree, path, conditions, kind)
        rows = max(1.0, joined.rows / 2)
        made.node.rows = rows
        return Joined(made.node, joined.layout, joined.width, rows, joined.ordered)

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
            path = best_path(relation, access, tests, NO_SLOTS, wish)
            read = self._read(relation, path, tests, IDENTITY, conditions)
            left = [one for one in conditions if one not in read.done]
            joined = Joined(read.node, read.layout, read.width, path.rows, path.ordered and wish is not None)
            return self._local(joined, left)
        node = self._source(relation)
        layout = {relation.base + at: at for at in range(relation.width)}
        return self._local(Joined(node, layout, relation.width, node.rows), list(conditions))

    def _read(
        self, relation: Relation, path: Path, tests: Sequence[Any], left: Layout, conditions: Sequence[Condition]
    ) -> TableRead:
        needed = self.needed
        if needed is not None:
            pushed = (test.condition for test in tests if test.slots <= frozenset(left) and pushable(test))
            consumed = [*path.used, *pushed]
            rest = [one.slots for one in conditions if one not in consumed]
            needed = needed.union(*rest)
        return read_table(self.planner, relation, path, tests, left, needed, relation.base in self.keyed)

    def _local(self, joined: Joined, conditions: list[Condition]) -> tuple[Joined, list[Condition]]:
        """Tests what can be tested here."""
        here = [one for one in conditions if one.slots <= joined.slots and one.slots]
        left = [one for one in conditions if one not in here]
        return self.filtered(joined, here), left

    def filtered(self, joined: Joined, conditions: Sequence[Condition]) -> Joined:
        if not conditions:
            return joined
        exprs = [one.expr for one in sorted(conditions, key=lambda one: not one.pure)]
        predicate = self.planner.predicate(exprs, joined.layout)
        assert predicate is not None
        subplans = self.planner.subplans(exprs, joined.layout)
        rows = max(1.0, joined.rows * OTHER_PART ** len(conditions))
        text = describe(exprs[0] if len(exprs) == 1 else And(args=tuple(exprs)))
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
        waiting = list(items)
        first = self._first(waiting, conditions, wish)
        waiting.remove(first)
        wish = wish if len(items) == 1 or _owns_order(first, wish) else None
        joined, conditions = self._tree(first, conditions, wish)
        while waiting:
            item, index_read = self._next(joined, waiting, conditions)
            waiting.remove(item)
            joined, conditions = self._join(joined, item, index_read, conditions)
        return joined, conditions

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
            return best_path(item, access, tests, NO_SLOTS, None).rows
        if isinstance(item, Relation):
            return 100.0
        local_count = sum(1 for one in conditions if one.slots and one.slots <= tree_slots(item))
        return max(1.0, 10_000.0 * OTHER_PART**local_count)

    def _next(
        self, joined: Joined, waiting: Sequence[JoinTree], conditions: Sequence[Condition]
    ) -> tuple[JoinTree, Path | None]:
        """The next item to join and, if an index finds it from here, the path."""
        best: tuple[tuple[bool, float], JoinTree, Path | None] | None = None
        for item in waiting:
            if not dependencies(item, self.planner) <= joined.slots:
                continue
            path = self._index_path(joined, item, conditions)
            connected = any(
                one.slots & joined.slots
                and one.slots & tree_slots(item)
                and one.slots <= joined.slots | tree_slots(item)
                for one in conditions
            )
            matches = (
                path.rows
                if path is not None
                else self._estimate(item, conditions) * (EQUALITY_PART if connected else 1)
            )
            rank = (not connected, matches)
            if best is None or rank < best[0]:
                best = (rank, item, path)
        if best is None:
            return waiting[0], None
        return best[1], best[2]

    def _index_path(self, joined: Joined, item: JoinTree, conditions: Sequence[Condition]) -> Path | None:
        if not isinstance(item, Relation) or not isinstance(item.source, TableSource):
            return None
        access = self.planner.access(item.source.table)
        available = joined.slots
        own = slots_range(item)
        tests = tests_of(self.planner, item, access, [one for one in conditions if one.slots <= own | available])
        path = best_path(item, access, tests, available, None)
        if not path.slots or not any(test.slots for test in path.equal):
            return None
        alone = best_path(item, access, tests, NO_SLOTS, None)
        worth = joined.rows <= INDEX_JOIN_ROWS and joined.rows * path.cost <= alone.cost * 20
        return path if worth or joined.rows * path.cost <= alone.cost else None

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
        rows = max(1.0, joined.rows * path.rows)
        node = IndexJoin(
            rows, kind, joined.node, read.node, read.width,
            self.planner.predicate([one.expr for one in residual], layout), text_of(residual),
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
        text = text_of(residual)
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
        if keys:
            rows = max(1.0, left.rows * right.rows * EQUALITY_PART)
            text = " AND ".join(f"({describe(a)} = {describe(b)})" for a, b in keys)
            node = HashJoin(
                rows, kind, left.node, right.node, right.width, left.width,
                join_key([a for a, _ in keys], left.layout), join_key([b for _, b in keys], right.layout), passes, text,
            )  # fmt: skip
        else:
            rows = max(1.0, left.rows * right.rows * (OTHER_PART if residual else 1))
            node = NestedLoop(rows, kind, left.node, right.node, right.width, left.width, passes, text_of(residual))
        return self._after(Joined(node, layout, width, rows, left.ordered), rest, kind)

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
            raise not_supported("subqueries in the ON clause of an outer join are not supported")
        if tree.kind == "left":
            path = self._index_path(left, tree.right, [*on, *inside])
            if path is not None or dependencies_of(tree.right, self.planner):
                joined, _ = self._join(left, tree.right, path, [*on, *inside], "left")
                return self._local(joined, conditions)
        right, missed = self._tree(tree.right, inside, None)
        right = self.filtered(right, missed)
        joined, _ = self._hash_or_loop(left, right, on, tree.kind)
        return self._local(joined, conditions)

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


def text_of(conditions: Sequence[Condition]) -> str:
    return " AND ".join(describe(one.expr) for one in conditions)


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


def _owns_order(item: JoinTree, wish: OrderWish | None) -> bool:
    """Whether all columns of the wished order are this item's: then it can give the order to the whole join."""
    if wish is None:
        return False
    slots = tree_slots(item)
    return all(slot in slots for slot, _, _ in wish.specs)


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
    return FunctionRead(functions, source.ordinality, planner.subplans(source.calls, layout), alias)


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
    if cte.recursive is None and query_uses_outer(cte.query):
        return planner.plan_query(planner, cte.query)
    node = planner.cte_nodes.get(cte.index)
    if node is None:
        if cte.recursive is None:
            node = planner.plan_query(planner, cte.query)
        else:
            node = recursive_union(planner, cte)
        planner.cte_nodes[cte.index] = node
    return CteRead(cte.index, cte.name, node)
