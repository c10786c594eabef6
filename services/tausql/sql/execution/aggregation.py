"""GROUP BY and aggregates: groups in a hash table, in the order they are first met. Rows: [keys..., aggregates...]."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from tausql.sql.execution.run import BATCH_ROWS, Batch, Cursor, Node, Row, Run
from tausql.sql.execution.subplans import Subplans, Value
from tausql.sql.expressions.context import Context
from tausql.sql.functions.function import Aggregate as AggregateFunction

_GROUP_BYTES = 300


class AggregatePlan:
    """One aggregate call. `distinct`: hash keys of the arguments; `sort`: what makes the order of the collected
    argument lists, `order` the values they are sorted by, which follow the arguments."""

    __slots__ = ("arguments", "count_rows", "distinct", "filter", "function", "order", "sort")

    def __init__(
        self,
        function: AggregateFunction,
        arguments: Sequence[Value],
        filter: Callable[[Row, Context], bool] | None,
        distinct: Sequence[Callable[[Any], Hashable]] | None,
        order: Sequence[Value],
        sort: Callable[[Row], Any] | None,
    ) -> None:
        self.function = function
        self.arguments = tuple(arguments)
        self.filter = filter
        self.distinct = distinct
        self.order = tuple(order)
        self.sort = sort
        self.count_rows = not self.arguments and filter is None and sort is None


class Aggregate(Node):
    """`keys` and their `hashes`; with no keys there is exactly one group, rows or not."""

    __slots__ = ("calls", "child", "hashes", "keys", "subplans", "text")

    def __init__(
        self,
        rows: float,
        child: Node,
        keys: Sequence[Value],
        hashes: Sequence[Callable[[Any], Hashable]],
        calls: Sequence[AggregatePlan],
        subplans: Subplans | None,
        text: str,
    ) -> None:
        super().__init__(rows)
        self.child = child
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
        return [f"Group Key: {self.text}"] if self.keys else []


class _Group:
    __slots__ = ("keys", "lists", "seen", "states")

    def __init__(self, keys: list[Any], calls: Sequence[AggregatePlan]) -> None:
        self.keys = keys
        self.states = [call.function.init() for call in calls]
        self.seen: list[set[Hashable] | None] = [None if call.distinct is None else set() for call in calls]
        self.lists: list[Batch | None] = [None if call.sort is None else [] for call in calls]


class _AggregateCursor:
    __slots__ = ("at", "node", "rows", "run")

    def __init__(self, node: Aggregate, run: Run) -> None:
        self.node = node
        self.run = run
        self.rows: Batch | None = None
        self.at = 0

    async def next(self) -> Batch:
        if self.rows is None:
            self.rows = await self._compute()
        batch = self.rows[self.at : self.at + BATCH_ROWS]
        self.at += len(batch)
        return batch

    async def _compute(self) -> Batch:
        node, run = self.node, self.run
        groups: dict[tuple[Hashable, ...], _Group] = {}
        if not node.keys:
            groups[()] = _Group([], node.calls)
        cursor = node.child.open(run)
        while True:
            rows = await cursor.next()
            if not rows:
                break
            if node.subplans is not None:
                await node.subplans.prepare(rows, run)
            before = len(groups)
            if node.keys:
                self._grouped(rows, groups)
            else:
                only = groups[()]
                for at, call in enumerate(node.calls):
                    self._add(only, at, call, rows)
            run.memory.grow((len(groups) - before) * (_GROUP_BYTES + 100 * len(node.calls)))
        return [[*group.keys, *self._finals(group)] for group in groups.values()]

    def _grouped(self, rows: Batch, groups: dict[tuple[Hashable, ...], _Group]) -> None:
        """Sorts the batch into groups first: then each aggregate runs over its rows in one go."""
        node, context = self.node, self.run.context
        keys, hashes, calls = node.keys, node.hashes, node.calls
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
                groups[mark] = _Group(values, calls)
        for mark, own in met.items():
            group = groups[mark]
            for at, call in enumerate(calls):
                self._add(group, at, call, own)

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
        strict, arguments, seen, listed = call.function.strict, call.arguments, group.seen[at], group.lists[at]
        if len(arguments) == 1 and seen is None and listed is None:
            (argument,) = arguments
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
                mark = tuple([None if v is None else of(v) for v, of in zip(values, call.distinct, strict=True)])
                if mark in seen:
                    continue
                seen.add(mark)
            if listed is not None:
                listed.append(values + [value(row, context) for value in call.order])
                self.run.memory.hold(listed[-1:])
            else:
                state = step(state, *values)
        group.states[at] = state

    def _finals(self, group: _Group) -> list[Any]:
        made: list[Any] = []
        for call, state, listed in zip(self.node.calls, group.states, group.lists, strict=True):
            if listed is not None:
                assert call.sort is not None
                listed.sort(key=call.sort)
                count = len(call.arguments)
                for values in listed:
                    state = call.function.step(state, *values[:count])
            made.append(call.function.final(state))
        return made
