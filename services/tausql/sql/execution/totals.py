"""Aggregates that storage computes: only partial totals travel, and are put together here.

Rows come out as those of `aggregation.Aggregate`: [keys..., aggregates...].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tausql.protocol.storage import Scan
from tausql.protocol.totals import COUNTS, Aggregation, Folding
from tausql.sql.execution.run import Batch, Counted, Cursor, Node, Run, WholeCursor, note_examined
from tausql.sql.execution.scans import RangeRead, begun
from tausql.sql.functions.function import Aggregate as AggregateFunction

_GROUP_BYTES = 300


class TotalCall:
    """One aggregate call, made of the totals from `place` on. `load`: from a stored value to a datum, None = as it
    is."""

    __slots__ = ("average", "function", "load", "place")

    def __init__(
        self, function: AggregateFunction, place: int, average: bool, load: Callable[[Any], Any] | None
    ) -> None:
        self.function = function
        self.place = place
        self.average = average
        self.load = load

    def value(self, totals: Sequence[Any]) -> Any:
        value = totals[self.place]
        if self.average:
            return self.function.final([0 if value is None else value, totals[self.place + 1]])
        if self.load is not None and value is not None:
            value = self.load(value)
        return self.function.final(value)


class StorageAggregate(Node):
    """`read` says which rows; it is never opened itself. Without groups there is exactly one row."""

    __slots__ = ("aggregation", "calls", "key_text", "read", "text")

    def __init__(
        self,
        rows: float,
        read: RangeRead,
        aggregation: Aggregation,
        calls: Sequence[TotalCall],
        key_text: str,
        text: str,
    ) -> None:
        super().__init__(rows)
        self.read = read
        self.aggregation = aggregation
        self.calls = tuple(calls)
        self.key_text = key_text
        self.text = text

    def start(self, run: Run) -> Cursor:
        return _TotalsCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.read,)

    @property
    def title(self) -> str:
        return "HashAggregate" if self.aggregation.groups else "Aggregate"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Group Key: {self.key_text}"] if self.aggregation.groups else []


class _TotalsCursor(WholeCursor):
    __slots__ = ("node", "run")

    def __init__(self, node: StorageAggregate, run: Run) -> None:
        super().__init__()
        self.node = node
        self.run = run

    async def made(self) -> Batch:
        return self._rows(await self._folded())

    async def _folded(self) -> Folding:
        node, run = self.node, self.run
        read, pause = node.read, run.context.pause
        ranges, tests = await begun(read, run)
        folding = Folding(node.aggregation)
        size = _GROUP_BYTES + 100 * len(node.calls)
        for low, high in ranges:
            scan = Scan(low, high, tests=tests, aggregation=node.aggregation)
            scanner = run.reads.scan(read.access.oid, scan)
            while page := await scanner.next_page():
                before = folding.groups
                for _, partial in page:
                    folding.add_partial(partial)
                run.memory.grow((folding.groups - before) * size)
                if (wait := pause()) is not None:
                    await wait
            if run.counts is not None:
                note_examined(run, read, scanner)
        if run.counts is not None:
            counted = run.counts.setdefault(id(read), Counted())
            counted.rows, counted.loops = folding.groups, 1
        return folding

    def _rows(self, folding: Folding) -> Batch:
        calls = self.node.calls
        rows = [[*keys, *[call.value(totals) for call in calls]] for keys, totals in folding.results()]
        if rows or self.node.aggregation.groups:
            return rows
        nothing = [0 if total.kind in COUNTS else None for total in self.node.aggregation.totals]
        return [[call.value(nothing) for call in calls]]


def decimal_of(stored: str) -> Decimal:
    return Decimal(stored)
