"""Plans of whole queries: what comes above FROM and WHERE."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.sql.binding.bound import (
    BoundQuery,
    BoundSelect,
    BoundSetOperation,
    BoundValues,
    Grouping,
    Relation,
    SortSpec,
    TableSource,
)
from tausql.sql.binding.slots import subqueries_of, tree_conditions
from tausql.sql.execution.aggregation import Aggregate, AggregatePlan, GroupingSet
from tausql.sql.execution.joins import FunctionJoin, IndexJoin, LateralJoin
from tausql.sql.execution.rows import Distinct, Filter, Limit, LockRows, Project, Strip, ValuesRead
from tausql.sql.execution.run import Node
from tausql.sql.execution.scans import NoRows, OneRow, RangeRead
from tausql.sql.execution.sets import Append, SetOperation, row_key
from tausql.sql.execution.sorting import Sort
from tausql.sql.execution.subplans import Value
from tausql.sql.execution.ties import LimitWithTies
from tausql.sql.expressions.aggregate_calls import values_told_apart
from tausql.sql.expressions.compiler import evaluate_constant, is_constant, volatility
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import AggregateCall, Expr, SetReturningCall, Slot, walk
from tausql.sql.expressions.window_nodes import WindowCall
from tausql.sql.functions.ordered_sets import OrderedSet
from tausql.sql.planning.compiling import IDENTITY, Layout, Planner
from tausql.sql.planning.conditions import condition
from tausql.sql.planning.describing import describe
from tausql.sql.planning.joining import FromPlanner, Joined
from tausql.sql.planning.paths import OrderWish, slots_needed
from tausql.sql.planning.relations import qualified_names
from tausql.sql.planning.set_calls import expand_sets
from tausql.sql.planning.totals import extreme_of, storage_totals
from tausql.sql.planning.windows import plan_windows
from tausql.sql.types.builtin import BYTEA
from tausql.sql.types.ordering import hash_key, sort_rows_key


def plan_query(planner: Planner, query: BoundQuery) -> Node:
    """A node whose rows are the query's columns, in order."""
    if isinstance(query, BoundSelect):
        return _SelectPlan(planner, query).plan()
    if isinstance(query, BoundValues):
        exprs = [expr for row in query.rows for expr in row]
        node: Node = ValuesRead(
            [planner.projection(row, IDENTITY) for row in query.rows], planner.subplans(exprs, IDENTITY)
        )
        return _ordered_and_limited(planner, query, node)
    assert isinstance(query, BoundSetOperation)
    return _ordered_and_limited(planner, query, _set_operation(planner, query))


def _set_operation(planner: Planner, query: BoundSetOperation) -> Node:
    left, right = plan_query(planner, query.left), plan_query(planner, query.right)
    hashes = [hash_key(column.type) for column in query.columns]
    if query.operation == "union":
        both = Append(left, right)
        return both if query.all else Distinct(both, list(enumerate(hashes)), False)
    return SetOperation(left, right, query.operation == "intersect", query.all, row_key(hashes))


def _ordered_and_limited(planner: Planner, query: BoundQuery, node: Node) -> Node:
    names = [column.name for column in query.columns]
    if query.order:
        node = sort_node(node, query.order, names)
    return limited(planner, query, node)


def sort_node(node: Node, specs: Sequence[SortSpec], names: Sequence[str]) -> Sort:
    parts: list[str] = []
    for spec in specs:
        name = names[spec.position] if spec.position < len(names) else f"column{spec.position + 1}"
        suffix = " DESC" if spec.descending else ""
        if spec.nulls_first != spec.descending:
            suffix += " NULLS FIRST" if spec.nulls_first else " NULLS LAST"
        parts.append(name + suffix)
    key = sort_rows_key([(spec.position, spec.type, spec.descending, spec.nulls_first) for spec in specs])
    return Sort(node, key, ", ".join(parts))


def limited(planner: Planner, query: BoundQuery, node: Node) -> Node:
    """LIMIT and OFFSET above a node; a sort below need not keep more, and a scan need not read more."""
    if query.limit is None and query.offset is None:
        return node
    exprs = [expr for expr in (query.limit, query.offset) if expr is not None]
    limit = planner.value(query.limit, IDENTITY) if query.limit is not None else None
    offset = planner.value(query.offset, IDENTITY) if query.offset is not None else None
    subplans = planner.subplans(exprs, IDENTITY)
    if query.ties and limit is not None:
        specs = [(spec.position, spec.type, spec.descending, spec.nulls_first) for spec in query.order]
        return LimitWithTies(node, limit, offset, subplans, sort_rows_key(specs))
    if limit is not None and subplans is None:
        if isinstance(node, Sort):
            node.limit, node.offset = limit, offset
        else:
            _hint(node, _sum(limit, offset), True)
    return Limit(node, limit, offset, subplans)


def _sum(limit: Value, offset: Value | None) -> Value:
    if offset is None:
        return limit

    def both(row: Sequence[object], context: Context) -> int | None:
        count = limit(row, context)
        return None if count is None else count + (offset(row, context) or 0)

    return both


def _hint(node: Node, limit: Value, exact: bool) -> None:
    """Tells the scan at the bottom how many rows will be used; exactly so many where nothing in between drops any."""
    while True:
        if isinstance(node, RangeRead):
            node.limit, node.exact = limit, exact
            return
        if isinstance(node, (Project, Strip, LockRows)):
            node = node.child
        elif isinstance(node, Filter):
            node, exact = node.child, False
        elif isinstance(node, (IndexJoin, LateralJoin, FunctionJoin)):
            node, exact = node.left, False
        else:
            return


class _SelectPlan:
    """Plans one block, bottom up."""

    def __init__(self, planner: Planner, query: BoundSelect) -> None:
        self.planner = planner
        self.query = query
        self.exprs = [target.expr for target in query.targets] + list(query.hidden)
        self.names = [target.column.name for target in query.targets]
        self.locked: list[Relation] = [relation for lock in query.locks for relation in lock.relations]

    def plan(self) -> Node:
        planner = self.planner
        if not planner.explained:
            return self._planned()
        outer = planner.names
        planner.names = qualified_names(self.query.tree)
        try:
            return self._planned()
        finally:
            planner.names = outer

    def _planned(self) -> Node:
        query, planner = self.query, self.planner
        joined = self._from()
        node, layout, ordered = joined.node, joined.layout, joined.ordered
        if query.grouping is not None:
            node, layout, ordered = self._aggregate(joined), IDENTITY, False
            layout = {at: at for at in range(query.grouping.width)}
        if query.having:
            predicate = planner.predicate(query.having, layout)
            assert predicate is not None
            subplans = planner.subplans(query.having, layout)
            node = Filter(node.rows / 3, node, predicate, subplans, " AND ".join(map(describe, query.having)))
        width = joined.width if query.grouping is None else len(layout)
        if query.windows:
            calls, self.exprs, node, layout, width = expand_sets(
                planner, query.windows, self.exprs, node, layout, width
            )
            windows = [call for call in calls if isinstance(call, WindowCall)]
            node, layout, width = plan_windows(planner, windows, node, layout, width)
            ordered = False
        self.exprs, _, node, layout, width = expand_sets(planner, self.exprs, (), node, layout, width)
        node = self._project(node, layout, width)
        if query.distinct:
            keys = [(at, hash_key(target.expr.type)) for at, target in enumerate(query.targets)]
            node = Distinct(node, keys, False)
            ordered = False
        if query.order and not ordered:
            node = sort_node(node, query.order, [*self.names, *map(describe, query.hidden)])
        if query.distinct_on is not None:
            node = Distinct(node, [(at, hash_key(self.exprs[at].type)) for at in query.distinct_on], True)
        node = limited(planner, query, node)
        return self._finish(node)

    def _from(self) -> Joined:
        query = self.query
        where: list[Expr] = []
        for expr in query.where:
            if is_constant(expr) and volatility(expr) == "i" and not subqueries_of([expr]):
                if evaluate_constant(expr, Context()) is not True:
                    return Joined(NoRows(), dict.fromkeys(self._all_slots(), 0), 0, 0)
            else:
                where.append(expr)
        if query.tree is None:
            joined = Joined(OneRow(), {}, 0, 1)
            conditions = [condition(expr, self.planner.subqueries) for expr in where]
            return FromPlanner(self.planner, None, frozenset(), None).filtered(joined, conditions)
        keyed = frozenset(relation.base for relation in self.locked)
        extreme = extreme_of(query)
        if extreme is not None:
            # The first row in the index's order has it: no need to read on.
            where += extreme.where
            joined = FromPlanner(self.planner, self._needed(), keyed, extreme.wish).plan(query.tree, where)
            if joined.ordered:
                _hint(joined.node, _one, True)
                joined.node = Limit(joined.node, _one, None, None)
                joined.node.rows = 1.0
            return joined
        return FromPlanner(self.planner, self._needed(), keyed, self._wish()).plan(query.tree, where)

    def _all_slots(self) -> frozenset[int]:
        query = self.query
        exprs = [*self.exprs, *query.having]
        if query.grouping is not None:
            exprs = [*query.grouping.keys, *query.grouping.aggregates]
        else:
            exprs += query.windows
        keys = frozenset(relation.key_slot for relation in self.locked)
        return slots_needed(self.planner, exprs) | keys

    def _needed(self) -> frozenset[int]:
        """Virtual slots used above FROM, and by join conditions; a table adds what its own conditions use."""
        assert self.query.tree is not None
        return self._all_slots() | slots_needed(self.planner, tree_conditions(self.query.tree))

    def _wish(self) -> OrderWish | None:
        """The order as slots, where reading in that order would do."""
        query = self.query
        if not query.order or query.grouping is not None or query.distinct or query.distinct_on is not None:
            return None
        if query.windows:
            return None
        if any(isinstance(node, SetReturningCall) for expr in self.exprs for node in walk(expr)):
            return None
        specs: list[tuple[int, bool, bool]] = []
        for spec in query.order:
            expr = self.exprs[spec.position]
            if not isinstance(expr, Slot):
                return None
            specs.append((expr.slot, spec.descending, spec.nulls_first))
        return OrderWish(tuple(specs), query.limit is not None)

    def _aggregate(self, joined: Joined) -> Node:
        grouping = self.query.grouping
        assert grouping is not None
        planner, layout = self.planner, joined.layout
        rows = 1.0 if not grouping.keys and not grouping.sets else max(1.0, joined.rows / 10)
        pushed = None
        if grouping.sets is None and not grouping.masks:
            pushed = storage_totals(planner, joined, grouping, rows)
        if pushed is not None:
            return pushed
        keys, _, node, layout, _ = expand_sets(planner, grouping.keys, (), joined.node, layout, joined.width)
        calls = [self._call(call, layout) for call in grouping.aggregates]
        return Aggregate(
            rows,
            node,
            [planner.value(key, layout) for key in keys],
            [hash_key(key.type) for key in keys],
            calls,
            planner.subplans([*keys, *grouping.aggregates], layout),
            ", ".join(map(describe, grouping.keys)),
            _grouping_sets(grouping),
        )

    def _call(self, call: AggregateCall, layout: Layout) -> AggregatePlan:
        planner = self.planner
        ordered_set = isinstance(call.aggregate, OrderedSet)  # sorted by its arguments themselves
        count = 0 if ordered_set else len(call.args)
        specs = [
            (count + at, spec.expr.type, spec.descending, spec.nulls_first) for at, spec in enumerate(call.order_by)
        ]
        own = values_told_apart(call.args) if call.distinct else ()
        order = [] if ordered_set else [spec.expr for spec in call.order_by]
        if call.distinct and not specs and call.aggregate.name.endswith("_agg"):
            # DISTINCT sorts its values, as PostgreSQL does: array_agg(DISTINCT x) comes in order.
            order = list(own)
            specs = [(count + at, arg.type, False, False) for at, arg in enumerate(own)]
        return AggregatePlan(
            call.aggregate,
            [planner.value(arg, layout) for arg in call.args],
            planner.predicate([call.filter], layout) if call.filter is not None else None,
            [hash_key(arg.type) for arg in own] if call.distinct else None,
            [planner.value(expr, layout) for expr in order],
            sort_rows_key(specs) if specs else None,
            [planner.value(expr, layout) for expr in call.direct],
            [planner.value(arg, layout) for arg in own] if tuple(own) != tuple(call.args) else (),
        )

    def _project(self, node: Node, layout: Layout, width: int) -> Node:
        exprs = [*self.exprs, *(_key_slot(relation) for relation in self.locked)]
        plain = [expr.slot for expr in exprs if isinstance(expr, Slot)]
        if len(plain) == len(exprs) == width and [layout[slot] for slot in plain] == list(range(width)):
            return node
        made = Project(node, self.planner.projection(exprs, layout), self.planner.subplans(exprs, layout))
        if self.planner.explained and self.query.grouping is None:
            made.texts = tuple(map(self.planner.describe, self.exprs))
        return made

    def _finish(self, node: Node) -> Node:
        query = self.query
        if query.locks:
            at = len(self.exprs)
            locks: list[tuple[int, int, bool]] = []
            for lock in query.locks:
                for relation in lock.relations:
                    locks.append((_table_oid(relation), at, lock.update))
                    at += 1
            node = LockRows(node, locks)
        if len(self.exprs) > len(query.targets) or query.locks:
            node = Strip(node, len(query.targets))
        return node


def _grouping_sets(grouping: Grouping) -> tuple[GroupingSet, ...]:
    """Each set's keys, and what the GROUPING calls are in it."""
    if grouping.sets is None:
        return (GroupingSet(tuple(range(len(grouping.keys))), [0] * len(grouping.masks)),)
    made: list[GroupingSet] = []
    for own in grouping.sets:
        masks = [sum(1 << bit for bit, at in enumerate(reversed(mask)) if at not in own) for mask in grouping.masks]
        made.append(GroupingSet(own, masks))
    return tuple(made)


def _one(row: Sequence[object], context: Context) -> int:
    return 1


def _key_slot(relation: Relation) -> Slot:
    return Slot(slot=relation.key_slot, type=BYTEA, name="key")


def _table_oid(relation: Relation) -> int:
    assert isinstance(relation.source, TableSource)
    return relation.source.table.oid
