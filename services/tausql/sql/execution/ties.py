"""FETCH FIRST n ROWS WITH TIES: after the last row, those that are equal to it in what the query is ordered by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.execution.rows import NO_ROW, row_count
from tausql.sql.execution.run import Batch, Cursor, Node, Row, Run
from tausql.sql.execution.subplans import Subplans, Value


class LimitWithTies(Node):
    """`key` is what the child's rows are sorted by."""

    __slots__ = ("child", "key", "limit", "offset", "subplans")

    def __init__(
        self, child: Node, limit: Value, offset: Value | None, subplans: Subplans | None, key: Callable[[Row], Any]
    ) -> None:
        super().__init__(child.rows)
        self.child = child
        self.limit = limit
        self.offset = offset
        self.subplans = subplans
        self.key = key

    def start(self, run: Run) -> Cursor:
        return _TiesCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)

    @property
    def title(self) -> str:
        return "Limit"


class _TiesCursor:
    __slots__ = ("child", "last", "left", "node", "run", "skip")

    def __init__(self, node: LimitWithTies, run: Run) -> None:
        self.node = node
        self.run = run
        self.child: Cursor | None = None
        self.left = 0
        self.skip = 0
        self.last: Any = None  # the key of the row before, once the limit is reached

    async def _open(self) -> Cursor:
        node, run = self.node, self.run
        if node.subplans is not None:
            await node.subplans.prepare([NO_ROW], run)
        self.skip = row_count(node.offset, run, "OFFSET") or 0
        count = row_count(node.limit, run, "LIMIT")
        if count is None:
            raise SqlError(
                Code.invalid_row_count_in_limit_clause,
                "row count cannot be null in FETCH FIRST ... WITH TIES clause",
            )
        self.left = count
        return node.child.open(run)

    async def next(self) -> Batch:
        if self.child is None:
            self.child = await self._open()
            if self.left == 0:
                self.child = _ENDED
        while True:
            rows = await self.child.next()
            if not rows:
                return rows
            dropped = min(self.skip, len(rows))
            self.skip -= dropped
            kept = self._kept(rows[dropped:])
            if kept:
                return kept

    def _kept(self, rows: Batch) -> Batch:
        key = self.node.key
        kept = rows[: self.left]
        self.left -= len(kept)
        if self.left:
            return kept
        if kept:
            self.last = key(kept[-1])
        for row in rows[len(kept) :]:
            if key(row) != self.last:
                self.child = _ENDED
                break
            kept.append(row)
        return kept


class _Ended:
    __slots__ = ()

    async def next(self) -> Batch:
        return []


_ENDED = _Ended()
