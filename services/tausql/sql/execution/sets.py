"""UNION, INTERSECT, EXCEPT, and WITH RECURSIVE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from tausql.sql.execution.run import Batch, Cursor, Node, Row, Run, all_rows, row_bytes

RowKey = Callable[[Row], Hashable]
_KEY_BYTES: Final = 150  # of a tuple in a set or a dictionary


def row_key(keys: Sequence[Callable[[Any], Hashable]]) -> RowKey:
    """Equal for rows that are not distinct from each other."""
    return lambda row: tuple([None if value is None else of(value) for of, value in zip(keys, row, strict=False)])


class Append(Node):
    """One after the other."""

    __slots__ = ("left", "right")

    def __init__(self, left: Node, right: Node) -> None:
        super().__init__(left.rows + right.rows)
        self.left = left
        self.right = right

    def start(self, run: Run) -> Cursor:
        return _AppendCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.left, self.right)


class _AppendCursor:
    __slots__ = ("cursor", "rest", "run")

    def __init__(self, node: Append, run: Run) -> None:
        self.rest: list[Node] = []
        self.run = run
        self.cursor: Cursor | None = None
        while isinstance(node.left, Append):  # a long chain of UNION ALL is read flat
            self.rest.append(node.right)
            node = node.left
        self.rest += [node.right, node.left]

    async def next(self) -> Batch:
        while True:
            if self.cursor is None:
                if not self.rest:
                    return []
                self.cursor = self.rest.pop().open(self.run)
            rows = await self.cursor.next()
            if rows:
                return rows
            self.cursor = None


class SetOperation(Node):
    """INTERSECT and EXCEPT, ALL or not. The right side is counted first, then the left side streams past it."""

    __slots__ = ("all", "intersect", "key", "left", "right")

    def __init__(self, left: Node, right: Node, intersect: bool, all: bool, key: RowKey) -> None:
        super().__init__(left.rows / 2)
        self.left = left
        self.right = right
        self.intersect = intersect
        self.all = all
        self.key = key

    def start(self, run: Run) -> Cursor:
        return _SetCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.left, self.right)

    @property
    def title(self) -> str:
        return f"HashSetOp {'Intersect' if self.intersect else 'Except'}{' All' if self.all else ''}"


class _SetCursor:
    __slots__ = ("counts", "left", "node", "run")

    def __init__(self, node: SetOperation, run: Run) -> None:
        self.node = node
        self.run = run
        self.counts: Counter[Hashable] | None = None
        self.left: Cursor | None = None

    async def next(self) -> Batch:
        node = self.node
        if self.counts is None:
            self.counts = Counter()
            await self._count(self.counts)
            self.left = node.left.open(self.run)
        assert self.left is not None
        while True:
            rows = await self.left.next()
            if not rows:
                return rows
            kept = [row for row in rows if self._keeps(node.key(row))]
            if not node.all and not node.intersect:
                self.run.memory.grow(len(kept) * _KEY_BYTES)
            if kept:
                return kept

    async def _count(self, counts: Counter[Hashable]) -> None:
        key, cursor = self.node.key, self.node.right.open(self.run)
        while rows := await cursor.next():
            before = len(counts)
            counts.update([key(row) for row in rows])
            self.run.memory.grow((len(counts) - before) * (_KEY_BYTES + row_bytes(rows[0])))
            if (wait := self.run.context.pause()) is not None:
                await wait

    def _keeps(self, key: Hashable) -> bool:
        counts = self.counts
        assert counts is not None
        there = counts[key]
        if self.node.all:
            if there > 0:
                counts[key] = there - 1
            return (there > 0) == self.node.intersect
        if self.node.intersect:
            counts[key] = 0
            return there > 0
        counts[key] = 1  # the second of equal left rows is not new
        return there == 0


class RecursiveUnion(Node):
    """WITH RECURSIVE: the first part's rows, then the second part over the rows of the round before, until none are
    new. The round before is what the reference to itself reads."""

    __slots__ = ("again", "distinct", "first", "index", "key")

    def __init__(self, index: int, first: Node, again: Node, distinct: bool, key: RowKey) -> None:
        super().__init__(first.rows * 10)
        self.index = index
        self.first = first
        self.again = again
        self.distinct = distinct
        self.key = key

    def start(self, run: Run) -> Cursor:
        return _RecursiveCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.first, self.again)

    @property
    def title(self) -> str:
        return "Recursive Union"


class _RecursiveCursor:
    __slots__ = ("held", "node", "run", "seen", "started", "working")

    def __init__(self, node: RecursiveUnion, run: Run) -> None:
        self.node = node
        self.run = run
        self.held = 0  # bytes of the last round
        self.seen: set[Hashable] = set()
        self.working: Batch = []
        self.started = False

    async def next(self) -> Batch:
        node, run = self.node, self.run
        if (wait := run.context.pause()) is not None:
            await wait
        run.memory.used -= self.held  # the round before has been read by all who will
        used, kept = run.memory.mark()
        if not self.started:
            self.started = True
            rows = await all_rows(node.first, run)
        elif self.working:
            # Whoever reads the whole WITH query stores it under this index only when it is complete.
            run.ctes[node.index] = self.working
            rows = await all_rows(node.again, run)
            del run.ctes[node.index]
        else:
            return []
        self.held = run.memory.used - used - (run.memory.kept - kept)
        self.working = self._new(rows)
        return self.working

    def _new(self, rows: Batch) -> Batch:
        if not self.node.distinct:
            return rows
        kept: Batch = []
        for row in rows:
            key = self.node.key(row)
            if key not in self.seen:
                self.seen.add(key)
                kept.append(row)
        memory = self.run.memory
        before = memory.used
        memory.grow(len(kept) * _KEY_BYTES)
        memory.kept += memory.used - before
        return kept
