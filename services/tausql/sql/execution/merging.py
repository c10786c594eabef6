"""Joins of two sides that come in the order of what they are joined on: neither has to be held in memory.

A hash join of two large tables would not fit into a statement's memory. Where keys or indexes give both in order, only
the rows of one value are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tausql.sql.execution.joins import JoinCursor, JoinKey, JoinNode, Predicate, Sliced, keeps
from tausql.sql.execution.run import Batch, Cursor, Node, Row, Run


class MergeJoin(JoinNode):
    """Inner, left, semi and anti joins. Keys of both sides compare with each other as they are; None, for a NULL among
    the values, matches nothing and may come anywhere among them."""

    __slots__ = ("keys", "left_key", "right_key")

    def __init__(
        self, rows: float, kind: str, left: Node, right: Node, right_width: int, left_key: JoinKey, right_key: JoinKey,
        passes: Predicate | None, condition: str, keys: str,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, right, right_width, passes, condition)
        self.left_key = left_key
        self.right_key = right_key
        self.keys = keys

    def start(self, run: Run) -> Cursor:
        return _MergeCursor(self, run)

    @property
    def title(self) -> str:
        return f"Merge{self.kind_title or ' Join'}"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Merge Cond: {self.keys}", *([f"Join Filter: {self.condition}"] if self.condition else [])]


class _MergeCursor(JoinCursor):
    __slots__ = ("group", "group_key", "node", "right", "waiting")

    def __init__(self, node: MergeJoin, run: Run) -> None:
        super().__init__(Sliced(node.left.open(run)), run)
        self.node = node
        self.right = node.right.open(run)
        self.waiting: list[Row] | None = []  # right rows read ahead, the next one last; None: there are no more
        self.group: Batch = []
        self.group_key: Any = None

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        node, context = self.node, self.run.context
        passes, kind, nulls = node.passes, node.kind, [None] * node.right_width
        made: list[Row | None] = []
        for row in rows:
            key = node.left_key(row, context)
            if key is not None and key != self.group_key:
                await self._advance(key)
            found = self.group if key is not None and key == self.group_key else ()
            if node.decides:
                if keeps(row, found, node, context):
                    made.append(row)
                continue
            some = False
            for other in found:
                whole = row + other
                if passes is None or passes(whole, context):
                    some = True
                    made.append(whole)
            if not some and kind == "left":
                made.append(row + nulls)
        return iter(made)

    async def _advance(self, key: Any) -> None:
        """The right rows of `key`, which is above that of the group before."""
        context, key_of = self.run.context, self.node.right_key
        self.group, self.group_key = [], key
        memory = self.run.memory
        while True:
            row = await self._next()
            if row is None:
                return
            found = key_of(row, context)
            if found is None or found < key:
                continue
            if found > key:
                assert self.waiting is not None
                self.waiting.append(row)
                return
            self.group.append(row)
            if len(self.group) > 1000 and len(self.group) % 1000 == 1:
                memory.hold(self.group[-1000:])

    async def _next(self) -> Row | None:
        if self.waiting is None:
            return None
        if not self.waiting:
            rows = await self.right.next()
            if not rows:
                self.waiting = None
                return None
            self.waiting = rows[::-1]
        return self.waiting.pop()
