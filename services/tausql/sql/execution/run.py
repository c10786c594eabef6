"""One execution of a plan: what its operators share, and the two shapes they have.

A `Node` is part of a plan: immutable, shared by every session that runs it. `open` makes a `Cursor`, which gives
batches of rows until an empty one. Batches, because a coroutine a row would cost more than the row; pulled, because a
LIMIT must be able to stop everything below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, Protocol

from tausql.protocol.errors import Code, SqlError
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.expressions.context import Context, Subplan

Row = list[Any]
Batch = list[Row]

BATCH_ROWS: Final = 1000
MEMORY_BYTES_MAX: Final = 128 << 20  # what sorts, hashes and materialised rows of one statement may hold
_ROW_BYTES: Final = 88
_VALUE_BYTES: Final = 40


class Memory:
    """The statement's budget. Sizes are estimates from the first row of each batch."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = MEMORY_BYTES_MAX) -> None:
        self.used = 0
        self.limit = limit

    def hold(self, rows: Sequence[Sequence[Any]]) -> None:
        """Counts rows that stay. Raises 53200 over the budget."""
        if rows:
            self.grow(len(rows) * row_bytes(rows[0]))

    def grow(self, size: int) -> None:
        self.used += size
        if self.used > self.limit:
            raise SqlError(Code.out_of_memory, "query requires too much temp space, out of memory.")


def row_bytes(row: Sequence[Any]) -> int:
    size = _ROW_BYTES
    for value in row:
        size += _VALUE_BYTES + (len(value) if isinstance(value, (str, bytes)) else 0)
    return size


class Cursor(Protocol):
    """Rows of a node. Coroutines await nothing but what the transaction gives them."""

    async def next(self) -> Batch:
        """The next rows, at least one; an empty list at the end, and from then on."""
        ...


def _not_prepared(row: Sequence[Any], context: Context) -> Sequence[Sequence[Any]]:
    raise SqlError(Code.internal_error, "a subquery was used before its rows were read")


class Run:
    """State of one execution. `counts`: rows by node for EXPLAIN ANALYZE, None when nobody asks."""

    __slots__ = ("context", "counts", "ctes", "memory", "snapshot", "subplans", "transaction", "uncorrelated")

    def __init__(
        self, transaction: Transaction, context: Context, snapshot: Snapshot, subplans: int = 0, counted: bool = False
    ) -> None:
        self.transaction = transaction
        self.context = context
        self.snapshot = snapshot
        self.memory = Memory()
        self.subplans: list[Subplan] = [_not_prepared] * subplans
        context.subplans = self.subplans
        self.ctes: dict[int, Batch] = {}
        self.uncorrelated: dict[int, Batch] = {}
        self.counts: dict[int, int] | None = {} if counted else None


class Node:
    """A plan operator. `rows` is the planner's estimate; `title`, `lines` and `children` are for EXPLAIN."""

    __slots__ = ("rows",)

    def __init__(self, rows: float) -> None:
        self.rows = rows

    def open(self, run: Run) -> Cursor:
        if run.counts is None:
            return self.start(run)
        run.counts.setdefault(id(self), 0)
        return _Counting(self.start(run), run.counts, id(self))

    def start(self, run: Run) -> Cursor:
        raise NotImplementedError

    @property
    def children(self) -> Sequence[Node]:
        return ()

    @property
    def title(self) -> str:
        return type(self).__name__

    @property
    def lines(self) -> Sequence[str]:
        return ()


class _Counting:
    __slots__ = ("counts", "cursor", "key")

    def __init__(self, cursor: Cursor, counts: dict[int, int], key: int) -> None:
        self.cursor = cursor
        self.counts = counts
        self.key = key

    async def next(self) -> Batch:
        rows = await self.cursor.next()
        self.counts[self.key] += len(rows)
        return rows


class RowsCursor:
    """Rows that are there already."""

    __slots__ = ("rows",)

    def __init__(self, rows: Batch) -> None:
        self.rows = rows

    async def next(self) -> Batch:
        rows, self.rows = self.rows, []
        return rows


async def all_rows(node: Node, run: Run, limit: int = 0) -> Batch:
    """Every row of a node, counted against the budget; `limit` rows at most, 0 = all."""
    cursor = node.open(run)
    batches: list[Batch] = []
    count = 0
    while True:
        rows = await cursor.next()
        if not rows:
            break
        run.memory.hold(rows)
        batches.append(rows)
        count += len(rows)
        if limit and count >= limit:
            break
    if len(batches) == 1:
        return batches[0][:limit] if limit else batches[0]
    found = list(chain.from_iterable(batches))
    return found[:limit] if limit else found
