"""GROUP BY and aggregates: groups in a hash table, in the order they are first met.

Rows: [keys..., aggregates..., masks...], where masks are the values of GROUPING calls. With several grouping sets every
row goes into a group of each of them; keys that are not of the set are NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from tausql.sql.execution.run import Batch, Cursor, Node, Row, Run, WholeCursor, value_bytes
from tausql.sql.execution.subplans import Subplans, Value
from tausql.sql.expressions.context import Context
from tausql.sql.functions.function import Aggregate as AggregateFunction
from tausql.sql.functions.ordered_sets import OrderedSet

_GROUP_BYTES = 300
_MARK_BYTES = 150  # of a value that DISTINCT remembers
_GROUPS = 1000  # finished between two looks at whether others wait


class AggregatePlan:
    """One aggregate call. `distinct`: hash keys of the arguments, or of `told_apart` where the arguments are not the
    values themselves but what is written of them; `sort`: what makes the order of the collected
    argument lists, `order` the values they are sorted by, which follow the arguments; `direct`: the direct arguments of
    an ordered-set aggregate."""

    __slots__ = ("arguments", "collects", "count_rows", "direct", "distinct", "filter", "function", "order", "sort",
                 "told_apart")  # fmt: skip

    def __init__(
        self,
        function: AggregateFunction,
        arguments: Sequence[Value],
        filter: Callable[[Row, Context], bool] | None,
        distinct: Sequence[Callable[[Any], Hashable]] | None,
        order: Sequence[Value],
        sort: Callable[[Any], Any] | None,
        direct: Sequence[Value] = (),
        told_apart: Sequence[Value] = (),
    ) -> None:
        self.function = function
        self.direct = tuple(direct)
        self.told_apart = tuple(told_apart)
        self.arguments = tuple(arguments)
        self.filter = filter
        self.distinct = distinct
        self.order = tuple(order)
        self.sort = sort
        self.count_rows = not self.arguments and filter is None and sort is None
        self.collects = function.name.endswith("_agg")  # the state grows with every row


class GroupingSet:
    """`keys`: positions among all keys; `masks`: what GROUPING calls are in it. The empty set is one group, rows or
    not."""

    __slots__ = ("keys", "masks")

    def __init__(self, keys: Sequence[int], masks: Sequence[int]) -> None:
        self.keys = tuple(keys)
        self.masks = list(masks)


class Aggregate(Node):
    """`keys` and their `hashes`; with no keys there is exactly one group, rows or not."""

    __slots__ = ("calls", "child", "hashes", "keys", "sets", "subplans", "text")

    def __init__(
        self,
        rows: float,
        child: Node,
        keys: Sequence[Value],
        hashes: Sequence[Callable[[Any], Hashable]],
        calls: Sequence[AggregatePlan],
        subplans: Subplans | None,
        text: str,
        sets: Sequence[GroupingSet],
    ) -> None:
        super().__init__(rows)
        self.child = child
        self.sets = tuple(sets)
        self.keys = tuple(keys)
        self.hashes = tuple(hashes)
        self.calls = tuple(calls)
        self.subplans = subplans
        self.text = text

    def start(self, run: Run) -> Cursor:
        return _AggregateCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)

    @property
    def title(self) -> str:
        return "HashAggregate" if self.keys else "Aggregate"

    @property
    def lines(self) -> Sequence[str]:
        if not self.keys:
            return []
        return [f"Group Key: {self.text}", *([f"Grouping Sets: {len(self.sets)}"] if len(self.sets) > 1 else [])]


class _Group:
    __slots__ = ("direct", "keys", "lists", "masks", "seen", "states")

    def __init__(self, keys: list[Any], masks: list[int], calls: Sequence[AggregatePlan]) -> None:
        self.keys = keys
        self.masks = masks
        self.states = [call.function.init() for call in calls]
        self.seen: list[set[Hashable] | None] = [None if call.distinct is None else set() for call in calls]
        self.lists: list[Batch | None] = [None if call.sort is None else [] for call in calls]
        self.direct: list[list[Any] | None] = [None] * len(calls)


class _AggregateCursor(WholeCursor):
    __slots__ = ("node", "run")

    def __init__(self, node: Aggregate, run: Run) -> None:
        super().__init__()
        self.node = node
        self.run = run

    async def made(self) -> Batch:
        node, run = self.node, self.run
        groups: dict[Hashable, _Group] = {}
        for number, own in enumerate(node.sets):
            if not own.keys:
                groups[(number,)] = _Group([None] * len(node.keys), own.masks, node.calls)
        cursor = node.child.open(run)
        while True:
            rows = await cursor.next()
            if not rows:
                break
            if node.subplans is not None:
                await node.subplans.prepare(rows, run)
            before = len(groups)
            self._grouped(rows, groups)
            run.memory.grow((len(groups) - before) * (_GROUP_BYTES + 100 * len(node.calls)))
            if (wait := run.context.pause()) is not None:
                await wait
        made: Batch = []
        for group in groups.values():
            made.append([*group.keys, *self._finals(group), *group.masks])
            if len(made) % _GROUPS == 0 and (wait := run.context.pause()) is not None:
                await wait
        return made

    def _grouped(self, rows: Batch, groups: dict[Hashable, _Group]) -> None:
        """Sorts the batch into groups first: then each aggregate runs over its rows in one go."""
        node = self.node
        if not node.keys:
            for number in range(len(node.sets)):
                self._add_all(groups[(number,)], rows)
            return
        if len(node.sets) > 1 or len(node.sets[0].keys) < len(node.keys):
            self._by_sets(rows, groups)
            return
        context = self.run.context
        keys, hashes, masks = node.keys, node.hashes, node.sets[0].masks
        met: dict[tuple[Hashable, ...], Batch] = {}
        for row in rows:
            values = [key(row, context) for key in keys]
            mark = tuple([None if value is None else of(value) for value, of in zip(values, hashes, strict=True)])
            own = met.get(mark)
            if own is not None:
                own.append(row)
                continue
            met[mark] = [row]
            if mark not in groups:
                groups[mark] = _Group(values, masks, node.calls)
        for mark, own in met.items():
            self._add_all(groups[mark], own)

    def _by_sets(self, rows: Batch, groups: dict[Hashable, _Group]) -> None:
        node, context = self.node, self.run.context
        keyed = [[key(row, context) for key in node.keys] for row in rows]
        hashed = [
            [None if value is None else of(value) for value, of in zip(values, node.hashes, strict=True)]
            for values in keyed
        ]
        for number, grouping in enumerate(node.sets):
            positions = grouping.keys
            met: dict[tuple[Hashable, ...], Batch] = {}
            for row, values, hashes in zip(rows, keyed, hashed, strict=True):
                mark = (number, *[hashes[at] for at in positions])
                own = met.get(mark)
                if own is not None:
                    own.append(row)
                    continue
                met[mark] = [row]
                if mark not in groups:
                    shown = [value if at in positions else None for at, value in enumerate(values)]
                    groups[mark] = _Group(shown, grouping.masks, node.calls)
            for mark, own in met.items():
                self._add_all(groups[mark], own)

    def _add_all(self, group: _Group, rows: Batch) -> None:
        for at, call in enumerate(self.node.calls):
            self._add(group, at, call, rows)

    def _add(self, group: _Group, at: int, call: AggregatePlan, rows: Batch) -> None:
        context = self.run.context
        step, state = call.function.step, group.states[at]
        if call.count_rows:
            for _ in rows:
                state = step(state)
            group.states[at] = state
            return
        if call.filter is not None:
            passes = call.filter
            rows = [row for row in rows if passes(row, context)]
        if call.direct and group.direct[at] is None and rows:
            group.direct[at] = [value(rows[0], context) for value in call.direct]
        strict, arguments, seen, listed = call.function.strict, call.arguments, group.seen[at], group.lists[at]
        if len(arguments) == 1 and seen is None and listed is None:
            (argument,) = arguments
            if call.collects:
                self.run.memory.grow(sum([value_bytes(argument(row, context)) for row in rows]))
            for row in rows:
                value = argument(row, context)
                if value is not None or not strict:
                    state = step(state, value)
            group.states[at] = state
            return
        for row in rows:
            values = [argument(row, context) for argument in arguments]
            if strict and None in values:
                continue
            if seen is not None:
                assert call.distinct is not None
                own = [value(row, context) for value in call.told_apart] or values
                mark = tuple([None if v is None else of(v) for v, of in zip(own, call.distinct, strict=True)])
                if mark in seen:
                    continue
                seen.add(mark)
                self.run.memory.grow(_MARK_BYTES)
            if listed is not None:
                listed.append(values + [value(row, context) for value in call.order])
                self.run.memory.hold(listed[-1:])
            else:
                state = step(state, *values)
                if call.collects:
                    self.run.memory.grow(value_bytes(values))
        group.states[at] = state

    def _finals(self, group: _Group) -> list[Any]:
        made: list[Any] = []
        for at, (call, state, listed) in enumerate(zip(self.node.calls, group.states, group.lists, strict=True)):
            if listed is not None and isinstance(call.function, OrderedSet):
                assert call.sort is not None
                direct = group.direct[at]
                if direct is None:
                    direct = [value([], self.run.context) for value in call.direct]  # a group of no rows
                listed.sort(key=call.sort)
                made.append(call.function.compute(direct, listed, call.sort))
                continue
            if listed is not None:
                assert call.sort is not None
                listed.sort(key=call.sort)
                count = len(call.arguments)
                for values in listed:
                    state = call.function.step(state, *values[:count])
            made.append(call.function.final(state))
        return made
