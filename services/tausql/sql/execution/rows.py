"""Operators on one stream of rows: filter, project, limit, distinct, lock, and the plain sources."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.execution.run import BATCH_ROWS, Batch, Cursor, Node, Row, RowsCursor, Run
from tausql.sql.execution.subplans import Subplans, Value
from tausql.sql.expressions.context import Context

Predicate = Callable[[Row, Context], bool]
Projection = Callable[[Row, Context], Row]
SetValue = Callable[[Row, Context], Iterator[Any]]

NO_ROW: Row = []


class Filter(Node):
    __slots__ = ("child", "passes", "subplans", "text")

    def __init__(self, rows: float, child: Node, passes: Predicate, subplans: Subplans | None, text: str) -> None:
        super().__init__(rows)
        self.child = child
        self.passes = passes
        self.subplans = subplans
        self.text = text

    def start(self, run: Run) -> Cursor:
        return _FilterCursor(self, self.child.open(run), run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)

    @property
    def lines(self) -> Sequence[str]:
        return [f"Filter: {self.text}"]


class _FilterCursor:
    __slots__ = ("child", "node", "run")

    def __init__(self, node: Filter, child: Cursor, run: Run) -> None:
        self.node = node
        self.child = child
        self.run = run

    async def next(self) -> Batch:
        node, context = self.node, self.run.context
        passes = node.passes
        while True:
            rows = await self.child.next()
            if not rows:
                return rows
            if node.subplans is not None:
                await node.subplans.prepare(rows, self.run)
            kept = [row for row in rows if passes(row, context)]
            if kept:
                return kept


class Project(Node):
    __slots__ = ("child", "project", "subplans", "texts")

    def __init__(self, child: Node, project: Projection, subplans: Subplans | None) -> None:
        super().__init__(child.rows)
        self.child = child
        self.project = project
        self.subplans = subplans
        self.texts: tuple[str, ...] = ()  # of the expressions, for EXPLAIN VERBOSE

    def start(self, run: Run) -> Cursor:
        return _ProjectCursor(self, self.child.open(run), run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)


class _ProjectCursor:
    __slots__ = ("child", "node", "run")

    def __init__(self, node: Project, child: Cursor, run: Run) -> None:
        self.node = node
        self.child = child
        self.run = run

    async def next(self) -> Batch:
        node, context = self.node, self.run.context
        rows = await self.child.next()
        if not rows:
            return rows
        if node.subplans is not None:
            await node.subplans.prepare(rows, self.run)
        project = node.project
        return [project(row, context) for row in rows]


class ProjectSet(Node):
    """Set-returning functions' values behind each row: as many rows as the longest gives, the others NULL."""

    __slots__ = ("child", "functions", "subplans")

    def __init__(self, child: Node, functions: Sequence[SetValue], subplans: Subplans | None) -> None:
        super().__init__(child.rows * 10)
        self.child = child
        self.functions = tuple(functions)
        self.subplans = subplans

    def start(self, run: Run) -> Cursor:
        return _ProjectSetCursor(self, self.child.open(run), run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)


class _ProjectSetCursor:
    __slots__ = ("child", "node", "pending", "run")

    def __init__(self, node: ProjectSet, child: Cursor, run: Run) -> None:
        self.node = node
        self.child = child
        self.run = run
        self.pending: Iterator[Row] = iter(())

    async def next(self) -> Batch:
        while True:
            made = list(islice(self.pending, BATCH_ROWS))
            if made:
                if (wait := self.run.context.pause()) is not None:
                    await wait
                return made
            rows = await self.child.next()
            if not rows:
                return rows
            if self.node.subplans is not None:
                await self.node.subplans.prepare(rows, self.run)
            self.pending = expanded(rows, self.node.functions, self.run.context)


def expanded(rows: Batch, functions: Sequence[SetValue], context: Context) -> Iterator[Row]:
    for row in rows:
        for values in side_by_side([function(row, context) for function in functions]):
            yield [*row, *values]


def side_by_side(iterators: Sequence[Iterator[Any] | None]) -> Iterator[list[Any]]:
    """One list of values a step until every iterator is at its end; those that ended give None."""
    live = [iter(()) if iterator is None else iter(iterator) for iterator in iterators]
    end = object()
    while True:
        values = [next(iterator, end) for iterator in live]
        if all(value is end for value in values):
            return
        yield [None if value is end else value for value in values]


class FunctionRead(Node):
    """Functions in FROM: sets side by side, or one row of plain values; then the ordinal number."""

    __slots__ = ("functions", "name", "ordinality", "subplans", "widths")

    def __init__(
        self, functions: Sequence[SetValue], ordinality: bool, subplans: Subplans | None, name: str,
        widths: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(100)
        self.widths = widths
        self.functions = tuple(functions)
        self.ordinality = ordinality
        self.subplans = subplans
        self.name = name

    def start(self, run: Run) -> Cursor:
        return _FunctionCursor(self, run)

    def values(self, row: Row, context: Context) -> Iterator[Row]:
        made = side_by_side([function(row, context) for function in self.functions])
        if self.widths:
            made = (_flattened(values, self.widths) for values in made)
        if not self.ordinality:
            return made
        return ([*values, number] for number, values in enumerate(made, 1))

    @property
    def title(self) -> str:
        return f"Function Scan on {self.name}"


def _flattened(values: Row, widths: tuple[int, ...]) -> Row:
    """Records of `width` fields as that many columns."""
    row: Row = []
    for value, width in zip(values, widths, strict=True):
        if not width:
            row.append(value)
        else:
            row += [None] * width if value is None else list(value)
    return row


class _FunctionCursor:
    __slots__ = ("node", "rows", "run")

    def __init__(self, node: FunctionRead, run: Run) -> None:
        self.node = node
        self.run = run
        self.rows: Iterator[Row] | None = None

    async def next(self) -> Batch:
        if self.rows is None:
            if self.node.subplans is not None:
                await self.node.subplans.prepare([NO_ROW], self.run)
            self.rows = self.node.values(NO_ROW, self.run.context)
        if (wait := self.run.context.pause()) is not None:
            await wait
        return list(islice(self.rows, BATCH_ROWS))


class ValuesRead(Node):
    __slots__ = ("projections", "subplans")

    def __init__(self, projections: Sequence[Projection], subplans: Subplans | None) -> None:
        super().__init__(len(projections))
        self.projections = tuple(projections)
        self.subplans = subplans

    def start(self, run: Run) -> Cursor:
        return _ValuesCursor(self, run)

    @property
    def title(self) -> str:
        return "Values Scan"


class _ValuesCursor:
    __slots__ = ("node", "run", "taken")

    def __init__(self, node: ValuesRead, run: Run) -> None:
        self.node = node
        self.run = run
        self.taken = False

    async def next(self) -> Batch:
        if self.taken:
            return []
        self.taken = True
        if self.node.subplans is not None:
            await self.node.subplans.prepare([NO_ROW], self.run)
        context = self.run.context
        return [project(NO_ROW, context) for project in self.node.projections]


class Limit(Node):
    __slots__ = ("child", "limit", "offset", "subplans")

    def __init__(self, child: Node, limit: Value | None, offset: Value | None, subplans: Subplans | None) -> None:
        super().__init__(child.rows)
        self.child = child
        self.limit = limit
        self.offset = offset
        self.subplans = subplans

    def start(self, run: Run) -> Cursor:
        return _LimitCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)


def row_count(value: Value | None, run: Run, clause: str) -> int | None:
    """LIMIT's or OFFSET's number; None for none. Raises 2201W or 2201X for a negative one."""
    if value is None:
        return None
    count: int | None = value(NO_ROW, run.context)
    if count is not None and count < 0:
        limit = clause == "LIMIT"
        raise SqlError(
            Code.invalid_row_count_in_limit_clause if limit else Code.invalid_row_count_in_result_offset_clause,
            f"{clause} must not be negative",
        )
    return count


class _LimitCursor:
    __slots__ = ("child", "left", "node", "run", "skip", "started")

    def __init__(self, node: Limit, run: Run) -> None:
        self.node = node
        self.run = run
        self.child: Cursor | None = None
        self.started = False
        self.left: int | None = None
        self.skip = 0

    async def next(self) -> Batch:
        if not self.started:
            self.started = True
            if self.node.subplans is not None:
                await self.node.subplans.prepare([NO_ROW], self.run)
            self.skip = row_count(self.node.offset, self.run, "OFFSET") or 0
            self.left = row_count(self.node.limit, self.run, "LIMIT")
            self.child = self.node.child.open(self.run)
        while self.child is not None and self.left != 0:
            rows = await self.child.next()
            if not rows:
                break
            if self.skip:
                if self.skip >= len(rows):
                    self.skip -= len(rows)
                    continue
                rows = rows[self.skip :]
                self.skip = 0
            if self.left is not None:
                rows = rows[: self.left]
                self.left -= len(rows)
            return rows
        self.child = None
        return []


class Strip(Node):
    """Drops what only ORDER BY and locks needed from the end of each row."""

    __slots__ = ("child", "width")

    def __init__(self, child: Node, width: int) -> None:
        super().__init__(child.rows)
        self.child = child
        self.width = width

    def start(self, run: Run) -> Cursor:
        return _StripCursor(self.child.open(run), self.width)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)


class _StripCursor:
    __slots__ = ("child", "width")

    def __init__(self, child: Cursor, width: int) -> None:
        self.child = child
        self.width = width

    async def next(self) -> Batch:
        width = self.width
        return [row[:width] for row in await self.child.next()]


class Distinct(Node):
    """The first of equal rows: equal in all columns, or in those at `positions` (DISTINCT ON)."""

    __slots__ = ("child", "keys", "on")

    def __init__(self, child: Node, keys: Sequence[tuple[int, Callable[[Any], Hashable]]], on: bool) -> None:
        super().__init__(child.rows)
        self.child = child
        self.keys = tuple(keys)
        self.on = on

    def start(self, run: Run) -> Cursor:
        return _DistinctCursor(self, self.child.open(run), run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)

    @property
    def title(self) -> str:
        return "Unique" if self.on else "HashAggregate"


class _DistinctCursor:
    __slots__ = ("child", "node", "run", "seen")

    def __init__(self, node: Distinct, child: Cursor, run: Run) -> None:
        self.node = node
        self.child = child
        self.run = run
        self.seen: set[Hashable] = set()

    async def next(self) -> Batch:
        keys, seen = self.node.keys, self.seen
        while True:
            rows = await self.child.next()
            if not rows:
                return rows
            kept: Batch = []
            for row in rows:
                key = tuple([None if row[at] is None else of(row[at]) for at, of in keys])
                if key not in seen:
                    seen.add(key)
                    kept.append(row)
            if kept:
                self.run.memory.hold(kept)
                return kept


class LockRows(Node):
    """FOR UPDATE, FOR KEY SHARE of the rows returned. `locks`: (table oid, where its key stands, update)."""

    __slots__ = ("child", "locks")

    def __init__(self, child: Node, locks: Sequence[tuple[int, int, bool]]) -> None:
        super().__init__(child.rows)
        self.child = child
        self.locks = tuple(locks)

    def start(self, run: Run) -> Cursor:
        return _LockCursor(self, self.child.open(run), run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)


class _LockCursor:
    __slots__ = ("child", "node", "run")

    def __init__(self, node: LockRows, child: Cursor, run: Run) -> None:
        self.node = node
        self.child = child
        self.run = run

    async def next(self) -> Batch:
        rows = await self.child.next()
        transaction = self.run.transaction
        for relation, at, update in self.node.locks:
            for row in rows:
                key = row[at]
                if key is None:
                    continue
                if update:
                    transaction.lock_row(relation, key)
                else:
                    transaction.share_key(relation, key)
        return rows


class Constant(Node):
    """Rows known when the plan was made."""

    __slots__ = ("batch",)

    def __init__(self, batch: Batch) -> None:
        super().__init__(len(batch))
        self.batch = batch

    def start(self, run: Run) -> Cursor:
        return RowsCursor(self.batch)
