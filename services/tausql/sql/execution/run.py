"""One execution of a plan: what its operators share, and the two shapes they have.

A `Node` is part of a plan: immutable, shared by every session that runs it. `open` makes a `Cursor`, which gives
batches of rows until an empty one. Batches, because a coroutine a row would cost more than the row; pulled, because a
LIMIT must be able to stop everything below it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, Protocol

from tausql.protocol.errors import Code, SqlError
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.expressions.context import Context, Subplan

Row = list[Any]
Batch = list[Row]

BATCH_ROWS: Final = 1000
MEMORY_BYTES_MAX: Final = 128 << 20  # what sorts, hashes and materialised rows of a transaction's statements may hold
_ROW_BYTES: Final = 88
_VALUE_BYTES: Final = 40
_SAMPLED: Final = 8
_SMALL: Final = frozenset((int, float, bool, type(None)))


class Memory:
    """The statement's part of its transaction's budget. Sizes are estimates from some rows of each batch."""

    __slots__ = ("beside", "kept", "limit", "used")

    def __init__(self, limit: int = MEMORY_BYTES_MAX) -> None:
        self.used = 0
        self.kept = 0  # of `used`, what stays to the end of the statement
        self.beside = 0  # what other statements of the transaction hold, which wait for their next rows to be asked for
        self.limit = limit

    def hold(self, rows: Sequence[Sequence[Any]]) -> None:
        """Counts rows that stay. Raises 53200 over the budget."""
        if rows:
            self.grow(row_bytes(rows[0]) if len(rows) == 1 else batch_bytes(rows))

    def keep(self, rows: Sequence[Sequence[Any]]) -> None:
        """As `hold`, for rows that outlive the operator that reads them."""
        before = self.used
        self.hold(rows)
        self.kept += self.used - before

    def grow(self, size: int) -> None:
        self.used += size
        if self.used + self.beside > self.limit:
            raise SqlError(Code.out_of_memory, "query requires too much temp space, out of memory.")

    def mark(self) -> tuple[int, int]:
        return self.used, self.kept

    def release(self, mark: tuple[int, int]) -> None:
        """What was held since the mark is gone, except what is kept."""
        used, kept = mark
        self.used = used + self.kept - kept


def batch_bytes(rows: Sequence[Sequence[Any]]) -> int:
    """An estimate from a few rows, spread over the batch."""
    count = len(rows)
    if count <= _SAMPLED:
        return sum(map(row_bytes, rows))
    step = count // _SAMPLED
    return sum(row_bytes(rows[at]) for at in range(0, step * _SAMPLED, step)) * count // _SAMPLED


def row_bytes(row: Sequence[Any]) -> int:
    size = _ROW_BYTES
    for value in row:
        kind = value.__class__
        if kind is str:
            size += _VALUE_BYTES + len(value)
        else:
            size += _VALUE_BYTES if kind in _SMALL else value_bytes(value)
    return size


def value_bytes(value: Any) -> int:
    """Roughly what a datum takes."""
    if isinstance(value, (str, bytes)):
        return _VALUE_BYTES + len(value)
    if isinstance(value, (list, tuple)):
        return _VALUE_BYTES + sum(map(value_bytes, value))
    if isinstance(value, dict):
        return _VALUE_BYTES + sum(_VALUE_BYTES + len(key) + value_bytes(item) for key, item in value.items())
    inner = getattr(value, "value", None)  # jsonb
    return _VALUE_BYTES if inner is None else _VALUE_BYTES + value_bytes(inner)


class Cursor(Protocol):
    """Rows of a node. Coroutines await nothing but what the transaction gives them."""

    async def next(self) -> Batch:
        """The next rows, at least one; an empty list at the end, and from then on."""
        ...


class WholeCursor(ABC):
    """A cursor of an operator that has all its rows before it gives the first one: sorts, groups, windows."""

    __slots__ = ("at", "rows")

    def __init__(self) -> None:
        self.rows: Batch | None = None
        self.at = 0

    @abstractmethod
    async def made(self) -> Batch:
        """All rows."""

    async def next(self) -> Batch:
        if self.rows is None:
            self.rows = await self.made()
        batch = self.rows[self.at : self.at + BATCH_ROWS]
        self.at += len(batch)
        return batch


def _not_prepared(row: Sequence[Any], context: Context) -> Sequence[Sequence[Any]]:
    raise SqlError(Code.internal_error, "a subquery was used before its rows were read")


class Counted:
    """What EXPLAIN ANALYZE counts of a node, over all its executions. Microseconds until its first and its last row.
    `examined`: rows that storage looked at for it, None = not told."""

    __slots__ = ("examined", "first", "loops", "rows", "total")

    def __init__(self, rows: int = 0, loops: int = 0, first: int = 0, total: int = 0) -> None:
        self.rows = rows
        self.loops = loops
        self.first = first
        self.total = total
        self.examined: int | None = None


def note_examined(run: Run, node: Node, scanner: object) -> None:
    """`scanner`, a scan for `node`, is at its end."""
    examined = getattr(scanner, "examined", None)
    if run.counts is not None and examined is not None:
        counted = run.counts.setdefault(id(node), Counted())
        counted.examined = (counted.examined or 0) + examined


class Run:
    """State of one execution. `counts`: rows by node for EXPLAIN ANALYZE, None when nobody asks.

    `reads`: what scans read from; `transaction`: what writes go to and are checked against. They are one, except where
    WITH has parts that write (`parts`: the number of each WITH query and its node): such parts do not see each other's
    rows, but must not collide with them, nor change a row twice (`modified`: those changed, by table)."""

    __slots__ = (
        "context",
        "counts",
        "ctes",
        "memory",
        "modified",
        "parts",
        "reads",
        "references",
        "referential",
        "snapshot",
        "streams",
        "subplans",
        "transaction",
        "uncorrelated",
    )

    def __init__(
        self, transaction: Transaction, context: Context, snapshot: Snapshot, subplans: int = 0, counted: bool = False
    ) -> None:
        self.transaction = transaction
        self.reads = transaction
        self.parts: Sequence[tuple[int, Node]] = ()
        self.modified: dict[int, set[bytes]] = {}
        self.context = context
        self.snapshot = snapshot
        self.memory = Memory()
        self.subplans: list[Subplan] = [_not_prepared] * subplans
        context.subplans = self.subplans
        self.ctes: dict[int, Batch] = {}  # of recursive queries: the rows of the round before
        self.streams: dict[int, CteRows] = {}
        self.uncorrelated: dict[int, Batch] = {}
        self.counts: dict[int, Counted] | None = {} if counted else None
        self.referential: list[Any] | None = None  # what foreign keys are to be looked at for (`execution.referential`)
        self.references: Any = None

    def begin_write(self) -> None:
        """A part's rows are known, and it is about to write: what it checks counts what parts before it wrote."""
        if self.parts:
            self.transaction = self.transaction.beside()

    def met(self, relation: int) -> set[bytes]:
        """Keys of rows of a table that have been changed, to be added to."""
        return self.modified.setdefault(relation, set()) if self.parts else set()

    def cte_rows(self, index: int, node: Node) -> CteRows:
        found = self.streams.get(index)
        if found is None:
            found = self.streams[index] = CteRows(node.open(self), self.memory)
        return found

    async def finish_parts(self) -> None:
        """Runs the parts that nothing has read."""
        for index, node in self.parts:
            rows = self.cte_rows(index, node)
            while await rows.more():
                pass

    def later(self) -> Run:
        """The same execution over a view that sees what it has written so far."""
        subplans = self.context.subplans
        other = Run(self.transaction.later(), self.context, self.snapshot)
        self.context.subplans = subplans
        return other


class CteRows:
    """What a WITH query has given so far. Computed once, and only as far as somebody reads: a LIMIT ends a recursion
    that would never end by itself."""

    __slots__ = ("cursor", "memory", "rows")

    def __init__(self, cursor: Cursor, memory: Memory) -> None:
        self.rows: Batch = []
        self.cursor: Cursor | None = cursor
        self.memory = memory

    async def more(self) -> bool:
        """Adds rows; False at the end."""
        if self.cursor is None:
            return False
        rows = await self.cursor.next()
        if not rows:
            self.cursor = None
            return False
        self.memory.keep(rows)
        self.rows.extend(rows)
        return True


class Node:
    """A plan operator. `rows` is the planner's estimate; `title`, `lines` and `children` are for EXPLAIN."""

    __slots__ = ("rows",)

    def __init__(self, rows: float) -> None:
        self.rows = rows

    def open(self, run: Run) -> Cursor:
        if run.counts is None:
            return self.start(run)
        counted = run.counts.setdefault(id(self), Counted())
        counted.loops += 1
        return _Counting(self.start(run), counted, run.context.clock)

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
    __slots__ = ("clock", "counted", "cursor", "shown")

    def __init__(self, cursor: Cursor, counted: Counted, clock: Callable[[], int]) -> None:
        self.cursor = cursor
        self.counted = counted
        self.clock = clock
        self.shown = False

    async def next(self) -> Batch:
        began = self.clock()
        rows = await self.cursor.next()
        counted = self.counted
        counted.rows += len(rows)
        took = self.clock() - began
        counted.total += took
        if not self.shown:
            self.shown = True
            counted.first += took
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
