"""Joins: by hash, by nested loops, by an index of the inner table with outer rows in batches, and lateral.

Joined rows are the left row followed by the right row. `kind`: inner, left (left rows without a match get NULLs), full;
semi and anti give left rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.storage import Test
from tausql.sql.execution.rows import FunctionRead
from tausql.sql.execution.run import BATCH_ROWS, Batch, Counted, Cursor, Node, Row, Run, all_rows
from tausql.sql.execution.scans import (
    NO_ROW,
    POINTS_MAX,
    RANGES_MAX,
    PointRead,
    RangeRead,
    bound_tests,
    decoded,
)
from tausql.sql.execution.subplans import Subplans, Value
from tausql.sql.expressions.context import Context

OUTER_ROWS: Final = 256  # of one batched read
PAIRS: Final = 10_000  # compared between two looks at whether others wait: some milliseconds
_END: Final[Row] = []

Predicate = Callable[[Row, Context], bool]
JoinKey = Callable[[Row, Context], Hashable]  # None: a NULL among the values, no match


class JoinNode(Node):
    """What all joins have: the residual condition `passes` over the joined row, and the right side's width."""

    __slots__ = ("condition", "kind", "left", "passes", "right", "right_width")

    def __init__(
        self,
        rows: float,
        kind: str,
        left: Node,
        right: Node,
        right_width: int,
        passes: Predicate | None,
        condition: str,
    ) -> None:
        super().__init__(rows)
        self.kind = kind
        self.left = left
        self.right = right
        self.right_width = right_width
        self.passes = passes
        self.condition = condition

    @property
    def children(self) -> Sequence[Node]:
        return (self.left, self.right)

    @property
    def kind_title(self) -> str:
        titles = {"left": " Left Join", "full": " Full Join", "semi": " Semi Join", "anti": " Anti Join"}
        return titles.get(self.kind, "")

    @property
    def decides(self) -> bool:
        """A semi or anti join: left rows come out as they are, if they have a match or if they have none."""
        return self.kind in ("semi", "anti")


class JoinCursor:
    """Pulls left batches, turns each into joined rows by `joined`, gives them out in batches.

    Joins are where few rows become much work. Those that compare pairs give None after every so many, so that even a
    join without any result comes by here, and pauses, now and then.
    """

    __slots__ = ("left", "pending", "run", "tail")

    def __init__(self, left: Cursor, run: Run) -> None:
        self.left = left
        self.run = run
        self.pending: Iterator[Row | None] = iter(())
        self.tail = False

    async def next(self) -> Batch:
        pause = self.run.context.pause
        while True:
            pending = self.pending
            first = next(pending, _END)
            if first is not _END:
                made: Batch = []
                if first is not None:
                    made.append(first)
                    made.extend(islice(iter(pending.__next__, None), BATCH_ROWS - 1))
                if (wait := pause()) is not None:
                    await wait
                if made:
                    return made
                continue
            if self.tail:
                return []
            rows = await self.left.next()
            if not rows:
                self.tail = True
                self.pending = await self.rest()
            else:
                self.pending = await self.joined(rows)

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        raise NotImplementedError

    async def rest(self) -> Iterator[Row | None]:
        return iter(())


class HashJoin(JoinNode):
    """The right side is hashed, the left side streams past it; left order is kept."""

    __slots__ = ("left_key", "left_width", "right_key")

    def __init__(
        self, rows: float, kind: str, left: Node, right: Node, right_width: int, left_width: int,
        left_key: JoinKey, right_key: JoinKey, passes: Predicate | None, condition: str,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, right, right_width, passes, condition)
        self.left_key = left_key
        self.right_key = right_key
        self.left_width = left_width

    def start(self, run: Run) -> Cursor:
        return _HashCursor(self, run)

    @property
    def title(self) -> str:
        return f"Hash{self.kind_title or ' Join'}"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Hash Cond: {self.condition}"]


class _HashCursor(JoinCursor):
    __slots__ = ("matched", "node", "table")

    def __init__(self, node: HashJoin, run: Run) -> None:
        super().__init__(node.left.open(run), run)
        self.node = node
        self.table: dict[Hashable, Batch] | None = None
        self.matched: set[int] = set()  # ids of right rows met, for a full join

    async def _build(self) -> dict[Hashable, Batch]:
        node, context = self.node, self.run.context
        table: dict[Hashable, Batch] = {}
        key_of = node.right_key
        for row in await all_rows(node.right, self.run):
            key = key_of(row, context)
            if key is None and node.kind != "full":
                continue
            found = table.get(key)
            if found is None:
                table[key] = [row]
            else:
                found.append(row)
        return table

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        if self.table is None:
            self.table = await self._build()
        return self._probe(rows, self.table)

    def _probe(self, rows: Batch, table: dict[Hashable, Batch]) -> Iterator[Row | None]:
        node, context = self.node, self.run.context
        key_of, passes, kind = node.left_key, node.passes, node.kind
        if node.decides:
            for row in rows:
                key = key_of(row, context)
                if keeps(row, () if key is None else table.get(key, ()), node, context):
                    yield row
            return
        nulls = [None] * node.right_width
        full = kind == "full"
        pairs = 0
        for row in rows:
            key = key_of(row, context)
            found = False
            if key is not None:
                others = table.get(key, ())
                pairs += len(others)
                for other in others:
                    made = row + other
                    if passes is None or passes(made, context):
                        found = True
                        if full:
                            self.matched.add(id(other))
                        yield made
            if not found and kind != "inner":
                yield row + nulls
            if pairs >= PAIRS:
                pairs = 0
                yield None

    async def rest(self) -> Iterator[Row | None]:
        if self.node.kind != "full":
            return iter(())
        if self.table is None:
            self.table = await self._build()
        nulls = [None] * self.node.left_width
        matched = self.matched
        return (nulls + row for rows in self.table.values() for row in rows if id(row) not in matched)


class NestedLoop(JoinNode):
    """Every pair of rows; the right side is held in memory."""

    __slots__ = ("left_width",)

    def __init__(
        self, rows: float, kind: str, left: Node, right: Node, right_width: int, left_width: int,
        passes: Predicate | None, condition: str,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, right, right_width, passes, condition)
        self.left_width = left_width

    def start(self, run: Run) -> Cursor:
        return _LoopCursor(self, run)

    @property
    def title(self) -> str:
        return f"Nested Loop{self.kind_title}"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Join Filter: {self.condition}"] if self.condition else []


class _LoopCursor(JoinCursor):
    __slots__ = ("inner", "matched", "node")

    def __init__(self, node: NestedLoop, run: Run) -> None:
        super().__init__(node.left.open(run), run)
        self.node = node
        self.inner: Batch | None = None
        self.matched: set[int] = set()

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        if self.inner is None:
            self.inner = await all_rows(self.node.right, self.run)
        return self._pairs(rows, self.inner)

    def _pairs(self, rows: Batch, inner: Batch) -> Iterator[Row | None]:
        node, context = self.node, self.run.context
        passes, kind = node.passes, node.kind
        if node.decides:
            yield from (row for row in rows if keeps(row, inner, node, context))
            return
        nulls = [None] * node.right_width
        pairs = 0
        for row in rows:
            found = False
            pairs += len(inner)
            for at, other in enumerate(inner):
                made = row + other
                if passes is None or passes(made, context):
                    found = True
                    if kind == "full":
                        self.matched.add(at)
                    yield made
            if not found and kind != "inner":
                yield row + nulls
            if pairs >= PAIRS:
                pairs = 0
                yield None

    async def rest(self) -> Iterator[Row | None]:
        if self.node.kind != "full":
            return iter(())
        if self.inner is None:
            self.inner = await all_rows(self.node.right, self.run)
        nulls = [None] * self.node.left_width
        return (nulls + row for at, row in enumerate(self.inner) if at not in self.matched)


class IndexJoin(JoinNode):
    """For each batch of left rows one read of the inner table, by its key or an index. The inner node's bounds and
    tests are over left rows; it is never opened by itself."""

    __slots__ = ("inner",)

    def __init__(
        self, rows: float, kind: str, left: Node, inner: PointRead | RangeRead, right_width: int,
        passes: Predicate | None, condition: str,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, inner, right_width, passes, condition)
        self.inner = inner

    def start(self, run: Run) -> Cursor:
        return _IndexCursor(self, run)

    @property
    def title(self) -> str:
        return "Nested Loop (Batched Join)"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Join Filter: {self.condition}"] if self.condition else []


class _IndexCursor(JoinCursor):
    __slots__ = ("node",)

    def __init__(self, node: IndexJoin, run: Run) -> None:
        super().__init__(Sliced(node.left.open(run)), run)
        self.node = node

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        node, run = self.node, self.run
        if node.inner.subplans is not None:
            await node.inner.subplans.prepare([NO_ROW], run)
        if isinstance(node.inner, PointRead):
            matches = await _points(node.inner, rows, run)
        else:
            matches = await _ranges(node.inner, rows, run)
        if run.counts is not None:
            counted = run.counts.setdefault(id(node.inner), Counted())
            counted.loops += 1
            counted.rows += sum(map(len, matches))
        return self._pairs(rows, matches)

    def _pairs(self, rows: Batch, matches: list[Batch]) -> Iterator[Row]:
        node, context = self.node, self.run.context
        passes, kind = node.passes, node.kind
        if node.decides:
            yield from (row for row, found in zip(rows, matches, strict=True) if keeps(row, found, node, context))
            return
        nulls = [None] * node.right_width
        for row, found in zip(rows, matches, strict=True):
            some = False
            for other in found:
                made = row + other
                if passes is None or passes(made, context):
                    some = True
                    yield made
            if not some and kind == "left":
                yield row + nulls


class Sliced:
    """Batches of at most OUTER_ROWS."""

    __slots__ = ("cursor", "rows")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.rows: Batch = []

    async def next(self) -> Batch:
        if not self.rows:
            self.rows = await self.cursor.next()
        if len(self.rows) <= OUTER_ROWS:
            rows, self.rows = self.rows, []
            return rows
        rows = self.rows[:OUTER_ROWS]
        self.rows = self.rows[OUTER_ROWS:]
        return rows


async def _points(inner: PointRead, rows: Batch, run: Run) -> list[Batch]:
    """For each outer row the inner rows with its key; equal keys are read once."""
    context, encode = run.context, inner.bounds.encode
    wanted = [[encode(head) for head in inner.bounds.heads(row, context)] for row in rows]
    keys = sorted({key for row_keys in wanted for key in row_keys})
    found: dict[bytes, Row] = {}
    for at in range(0, len(keys), POINTS_MAX):
        chunk = keys[at : at + POINTS_MAX]
        for key, value in zip(chunk, await run.reads.get(inner.access.oid, chunk), strict=True):
            if value is not None:
                row = inner.decode(value)
                if inner.with_key:
                    row.append(key)
                found[key] = row
    return [[found[key] for key in row_keys if key in found] for row_keys in wanted]


async def _ranges(inner: RangeRead, rows: Batch, run: Run) -> list[Batch]:
    """For each outer row the inner rows of its key ranges; equal ranges with equal tests are read once."""
    context = run.context
    wanted: list[list[tuple[Any, ...]]] = []
    needed: dict[tuple[Any, ...], tuple[Test, ...]] = {}
    for row in rows:
        tests = bound_tests(inner.tests, row, context)
        parts: list[tuple[Any, ...]] = []
        if tests is not None:
            marks = tuple((test.comparison, repr(test.value)) for test in tests)
            parts = [(low, high, marks, tests) for low, high in inner.bounds.ranges(row, context)]
        wanted.append([part[:3] for part in parts])
        for part in parts:
            needed.setdefault(part[:3], part[3])
    pending = list(needed.items())
    found: dict[tuple[Any, ...], Batch] = {}
    for at in range(0, len(pending), RANGES_MAX):
        chunk = pending[at : at + RANGES_MAX]
        scans = [inner.scan(key[0], key[1], tests, 0, BATCH_ROWS) for key, tests in chunk]
        answers = await run.reads.scan_many(inner.access.oid, scans)
        for (key, _), entries in zip(chunk, answers, strict=True):
            found[key] = decoded(inner, entries)
    return [[row for key in row_keys for row in found[key]] for row_keys in wanted]


class LateralJoin(JoinNode):
    """The right side once for each left row, which it may refer to."""

    __slots__ = ("correlations", "single_row", "subplans")

    def __init__(
        self, rows: float, kind: str, left: Node, right: Node, right_width: int, correlations: Sequence[Value],
        passes: Predicate | None, condition: str, single_row: bool, subplans: Subplans | None,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, right, right_width, passes, condition)
        self.correlations = tuple(correlations)
        self.single_row = single_row
        self.subplans = subplans

    def start(self, run: Run) -> Cursor:
        return _LateralCursor(self, run)

    @property
    def title(self) -> str:
        return f"Nested Loop{self.kind_title}"


class _LateralCursor(JoinCursor):
    __slots__ = ("node",)

    def __init__(self, node: LateralJoin, run: Run) -> None:
        super().__init__(Sliced(node.left.open(run)), run)
        self.node = node

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        node, run = self.node, self.run
        context = run.context
        if node.subplans is not None:
            await node.subplans.prepare(rows, run)
        outer = [[value(row, context) for value in node.correlations] for row in rows]
        made: Batch = []
        for row, values in zip(rows, outer, strict=True):
            context.outer.append(values)
            try:
                found = await all_rows(node.right, run)
            finally:
                context.outer.pop()
            if node.single_row and len(found) > 1:
                raise SqlError(
                    Code.cardinality_violation, "more than one row returned by a subquery used as an expression"
                )
            made.extend(matched(row, found, node, context))
        return iter(made)


class FunctionJoin(JoinNode):
    """Functions in FROM whose arguments use the left row."""

    __slots__ = ("function", "subplans")

    def __init__(
        self, rows: float, kind: str, left: Node, function: FunctionRead, right_width: int,
        passes: Predicate | None, condition: str, subplans: Subplans | None,
    ) -> None:  # fmt: skip
        super().__init__(rows, kind, left, function, right_width, passes, condition)
        self.function = function
        self.subplans = subplans

    def start(self, run: Run) -> Cursor:
        return _FunctionJoinCursor(self, run)

    @property
    def title(self) -> str:
        return f"Nested Loop{self.kind_title}"


class _FunctionJoinCursor(JoinCursor):
    __slots__ = ("node",)

    def __init__(self, node: FunctionJoin, run: Run) -> None:
        super().__init__(node.left.open(run), run)
        self.node = node

    async def joined(self, rows: Batch) -> Iterator[Row | None]:
        if self.node.subplans is not None:
            await self.node.subplans.prepare(rows, self.run)
        return self._pairs(rows)

    def _pairs(self, rows: Batch) -> Iterator[Row]:
        node, context = self.node, self.run.context
        for row in rows:
            yield from matched(row, list(node.function.values(row, context)), node, context)


def keeps(row: Row, others: Sequence[Row], node: JoinNode, context: Context) -> bool:
    """Whether a semi or anti join keeps the left row."""
    passes = node.passes
    found = bool(others) if passes is None else any(passes(row + other, context) for other in others)
    return found == (node.kind == "semi")


def matched(row: Row, found: Batch, node: JoinNode, context: Context) -> Iterator[Row]:
    """The joined rows of one left row."""
    some = False
    for other in found:
        made = row + other
        if node.passes is None or node.passes(made, context):
            some = True
            yield made
    if not some and node.kind == "left":
        yield row + [None] * node.right_width
