"""Outer joins whose ON clause has subqueries.

What a pair of rows asks of a subquery must be fetched before the pair can be tested; so pairs that may match are put
together first, a batch at a time, and which rows went without a match is known only when all their pairs are tested.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from tausql.sql.execution.joins import JoinCursor, JoinKey, JoinNode, Predicate
from tausql.sql.execution.run import BATCH_ROWS, Batch, Cursor, Node, Row, Run, all_rows
from tausql.sql.execution.subplans import Subplans

_ALL: Final = ((), ())  # the key of every row where there is no equality to go by


class CheckedJoin(JoinNode):
    """`kind`: left or full. `keys`: of left and right rows, None where every pair may match."""

    __slots__ = ("keys", "left_width", "subplans")

    def __init__(
        self, rows: float, kind: str, left: Node, right: Node, right_width: int, left_width: int,
        keys: tuple[JoinKey, JoinKey] | None, passes: Predicate, subplans: Subplans | None, condition: str,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, right, right_width, passes, condition)
        self.left_width = left_width
        self.keys = keys
        self.subplans = subplans

    def start(self, run: Run) -> Cursor:
        return _CheckedCursor(self, run)

    @property
    def title(self) -> str:
        return f"Nested Loop{self.kind_title}"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Join Filter: {self.condition}"]


class _CheckedCursor(JoinCursor):
    __slots__ = ("matched", "node", "right", "table")

    def __init__(self, node: CheckedJoin, run: Run) -> None:
        super().__init__(node.left.open(run), run)
        self.node = node
        self.right: Batch | None = None
        self.table: dict[Hashable, list[int]] = {}
        self.matched: set[int] = set()  # right rows met, by position

    async def _build(self) -> Batch:
        right = await all_rows(self.node.right, self.run)
        keys, context = self.node.keys, self.run.context
        for at, row in enumerate(right):
            key = _ALL if keys is None else keys[1](row, context)
            if key is not None:
                self.table.setdefault(key, []).append(at)
        return right

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        if self.right is None:
            self.right = await self._build()
        right, node, context = self.right, self.node, self.run.context
        made: Batch = []
        found: set[int] = set()
        pairs: list[tuple[int, int]] = []
        for at, row in enumerate(rows):
            key = _ALL if node.keys is None else node.keys[0](row, context)
            for other in self.table.get(key, ()) if key is not None else ():
                pairs.append((at, other))
                if len(pairs) >= BATCH_ROWS:
                    await self._test(rows, right, pairs, made, found)
                    pairs = []
        await self._test(rows, right, pairs, made, found)
        nulls = [None] * node.right_width
        made.extend(row + nulls for at, row in enumerate(rows) if at not in found)
        return iter(made)

    async def _test(
        self, rows: Batch, right: Batch, pairs: list[tuple[int, int]], made: Batch, found: set[int]
    ) -> None:
        node, run = self.node, self.run
        candidates = [rows[at] + right[other] for at, other in pairs]
        if node.subplans is not None:
            await node.subplans.prepare(candidates, run)
        passes = node.passes
        assert passes is not None
        for (at, other), row in zip(pairs, candidates, strict=True):
            if passes(row, run.context):
                found.add(at)
                self.matched.add(other)
                made.append(row)
        if (wait := run.context.pause()) is not None:
            await wait

    async def rest(self) -> Iterator[Row | None]:
        if self.node.kind != "full":
            return iter(())
        if self.right is None:
            self.right = await self._build()
        nulls = [None] * self.node.left_width
        return (nulls + row for at, row in enumerate(self.right) if at not in self.matched)
