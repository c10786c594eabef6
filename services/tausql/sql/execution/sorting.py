"""ORDER BY in memory: everything, or only the first rows where a LIMIT follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.sql.execution.rows import row_count
from tausql.sql.execution.run import BATCH_ROWS, Batch, Cursor, Node, Row, Run, WholeCursor, all_rows, batch_bytes
from tausql.sql.execution.subplans import Value

SortKey = Callable[[Row], Any]


class Sort(Node):
    """`limit` and `offset`: what the LIMIT above will use, so that only so many rows need be kept (None = all)."""

    __slots__ = ("child", "key", "limit", "offset", "text")

    def __init__(self, child: Node, key: SortKey, text: str) -> None:
        super().__init__(child.rows)
        self.child = child
        self.key = key
        self.text = text
        self.limit: Value | None = None
        self.offset: Value | None = None

    def start(self, run: Run) -> Cursor:
        return _SortCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)

    @property
    def lines(self) -> Sequence[str]:
        return [f"Sort Key: {self.text}"]


class _SortCursor(WholeCursor):
    __slots__ = ("node", "run")

    def __init__(self, node: Sort, run: Run) -> None:
        super().__init__()
        self.node = node
        self.run = run

    async def made(self) -> Batch:
        limit = row_count(self.node.limit, self.run, "LIMIT")
        if limit is not None:
            return await self._first(limit + (row_count(self.node.offset, self.run, "OFFSET") or 0))
        rows = list(await all_rows(self.node.child, self.run))
        rows.sort(key=self.node.key)
        return rows

    async def _first(self, wanted: int) -> Batch:
        """The `wanted` least rows: what has piled up is sorted and cut each time it has doubled."""
        cursor = self.node.child.open(self.run)
        kept: Batch = []
        bound = max(2 * wanted, 2 * BATCH_ROWS)
        memory = self.run.memory
        held = 0  # of it, what is kept here: the child's share is not ours to give back
        while True:
            rows = await cursor.next()
            if rows:
                size = batch_bytes(rows)
                memory.grow(size)
                held += size
                kept.extend(rows)
            if not rows or len(kept) >= bound:
                kept.sort(key=self.node.key)
                del kept[wanted:]
                memory.used -= held
                held = batch_bytes(kept)
                memory.grow(held)
            if not rows:
                return kept
