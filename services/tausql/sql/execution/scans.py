"""Reading tables: points, ranges, whole tables; and the relations that are not tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import KeyEncoder, nulls_end, nulls_start, prefix_end, values_end
from tausql.protocol.storage import Comparison, Scan, Test
from tausql.sql.execution.run import (
    BATCH_ROWS,
    Batch,
    CteRows,
    Cursor,
    Node,
    Row,
    RowsCursor,
    Run,
    note_examined,
)
from tausql.sql.execution.subplans import Subplans, Value
from tausql.sql.expressions.context import Context
from tausql.sql.system import SystemRelation
from tausql.sql.tables import TableAccess

POINTS_MAX: Final = 500  # keys of one read
RANGES_MAX: Final = 64  # scans of one read
KEYS_MAX: Final = 1_000_000  # keys that IN lists may multiply to

LIMIT_MAX: Final = 1 << 31  # above it a limit is none

Entries = Sequence[tuple[bytes, bytes]]

NO_ROW: Row = []


class StoredTest:
    """A test that travels with a scan; its value is computed when the scan starts."""

    __slots__ = ("comparison", "numeric", "position", "text", "value")

    def __init__(self, position: int, comparison: Comparison, value: Value | None, numeric: bool, text: str) -> None:
        self.position = position
        self.comparison = comparison
        self.value = value
        self.numeric = numeric
        self.text = text

    def bound(self, row: Row, context: Context) -> Test | None:
        """None: the value is NULL, no row passes."""
        if self.value is None:
            return Test(self.position, int(self.comparison), None)
        value = self.value(row, context)
        if value is None:
            return None
        if self.comparison == Comparison.is_in:
            value = [str(item) if self.numeric else item for item in value if item is not None]
        elif self.numeric:
            value = str(value)
        return Test(self.position, int(self.comparison), value, self.numeric)


def bound_tests(tests: Sequence[StoredTest], row: Row, context: Context) -> tuple[Test, ...] | None:
    made: list[Test] = []
    for test in tests:
        bound = test.bound(row, context)
        if bound is None:
            return None
        made.append(bound)
    return tuple(made)


class Bounds:
    """Key ranges of an index (or of the table itself): equal values of its first columns, then a range of the next.

    `equal` holds for each column a function, or a list function with `many` (an IN list: one range each). `low` and
    `high` are (function, inclusive). Comparing with NULL finds nothing; `None` as a function stands for IS NULL."""

    __slots__ = ("any_many", "encode", "equal", "high", "low", "many", "nulls_first", "prefix")

    def __init__(
        self,
        prefix: bytes,
        encode: KeyEncoder,
        equal: Sequence[Value | None],
        many: Sequence[bool],
        low: tuple[Value, bool] | None = None,
        high: tuple[Value, bool] | None = None,
        nulls_first: bool = False,
    ) -> None:
        self.nulls_first = nulls_first  # of the column after the equal ones
        self.prefix = prefix
        self.encode = encode
        self.equal = tuple(equal)
        self.many = tuple(many)
        self.any_many = any(many)
        self.low = low
        self.high = high

    def heads(self, row: Row, context: Context) -> list[list[Any]]:
        """The values of the `equal` columns: one list, several with IN lists, none where one is NULL."""
        if not self.any_many:
            values: list[Any] = []
            for function in self.equal:
                if function is None:
                    values.append(None)
                    continue
                value = function(row, context)
                if value is None:
                    return []
                values.append(value)
            return [values]
        choices: list[list[Any]] = []
        size = 1
        for function, many in zip(self.equal, self.many, strict=True):
            if function is None:
                choices.append([None])
                continue
            found = function(row, context)
            items = (
                [item for item in (found or ()) if item is not None] if many else [found] if found is not None else []
            )
            choices.append(items)
            size *= len(items)
            if size > KEYS_MAX:
                raise SqlError(Code.statement_too_complex, f"IN lists make more than {KEYS_MAX} keys")
        return [list(values) for values in product(*choices)]

    def ranges(self, row: Row, context: Context) -> list[tuple[bytes, bytes]]:
        """[low, high) pairs in key order, without duplicates and without empty ones."""
        low_value = high_value = None
        if self.low is not None:
            low_value = self.low[0](row, context)
            if low_value is None:
                return []
        if self.high is not None:
            high_value = self.high[0](row, context)
            if high_value is None:
                return []
        found: list[tuple[bytes, bytes]] = []
        for head in self.heads(row, context):
            start = self.encode(head) if head else self.prefix
            end = values_end(start) if head else prefix_end(self.prefix)
            if self.low is not None:
                key = self.encode([*head, low_value])
                low = key if self.low[1] else values_end(key)
                end = nulls_start(start)
            else:
                low = nulls_end(start) if self.high is not None and self.nulls_first else start
            if self.high is not None:
                key = self.encode([*head, high_value])
                end = values_end(key) if self.high[1] else key
            if not end or low < end:
                found.append((low, end))
        if len(found) > 1:
            found = sorted(set(found))
        return found


class TableNode(Node):
    """What reads of a table have in common. Rows are the columns by position, or those of `projection`, then with
    `with_key` the row's key."""

    __slots__ = (
        "access",
        "alias",
        "conditions",
        "decode",
        "entries",
        "examined",
        "projection",
        "subplans",
        "tests",
        "with_key",
    )

    def __init__(
        self,
        rows: float,
        access: TableAccess,
        alias: str,
        tests: Sequence[StoredTest],
        with_key: bool,
        projection: tuple[int, ...] | None,
        subplans: Subplans | None,
    ) -> None:
        super().__init__(rows)
        self.access = access
        self.alias = alias
        self.tests = tuple(tests)
        self.with_key = with_key
        self.projection = projection
        self.subplans = subplans
        self.decode: Callable[[bytes], Row] = (
            access.decode if projection is None else access.codec.projected(projection).decode
        )
        self.entries: Callable[[Entries], Batch] | None = None  # makes rows of (key, value), where not `decode`
        self.conditions: list[str] = []  # what the key ranges stand for
        self.examined = rows  # the planner's guess at what is looked at

    @property
    def named(self) -> str:
        name = self.access.table.name
        return name if self.alias == name else f"{name} {self.alias}"

    @property
    def projections(self) -> list[str]:
        """The columns that travel."""
        table = self.access.table
        if self.projection is None:
            return [column.name for column in table.live_columns]
        return [table.columns[position].name for position in self.projection]


class PointRead(TableNode):
    """Rows by their whole primary key: one read for all keys."""

    __slots__ = ("bounds",)

    def __init__(self, rows: float, access: TableAccess, alias: str, bounds: Bounds, tests: Sequence[StoredTest],
                 with_key: bool, subplans: Subplans | None) -> None:  # fmt: skip
        super().__init__(rows, access, alias, tests, with_key, None, subplans)
        self.bounds = bounds

    def start(self, run: Run) -> Cursor:
        return _PointCursor(self, run)

    @property
    def title(self) -> str:
        return f"Index Only Scan using {self.access.table.primary_key_name} on {self.named}"


class _PointCursor:
    __slots__ = ("keys", "node", "run", "test")

    def __init__(self, node: PointRead, run: Run) -> None:
        self.node = node
        self.run = run
        self.keys: list[bytes] | None = None
        self.test: Callable[[list[Any]], bool] | None = None

    async def next(self) -> Batch:
        node, run = self.node, self.run
        if self.keys is None:
            if node.subplans is not None:
                await node.subplans.prepare([NO_ROW], run)
            self.keys = self._keys()
        while self.keys:
            keys, self.keys = self.keys[:POINTS_MAX], self.keys[POINTS_MAX:]
            values = await run.reads.get(node.access.oid, keys)
            rows: Batch = []
            for key, value in zip(keys, values, strict=True):
                if value is not None:
                    row = node.decode(value)
                    if node.with_key:
                        row.append(key)
                    rows.append(row)
            if rows:
                return rows
        return []

    def _keys(self) -> list[bytes]:
        bounds = self.node.bounds
        encode = bounds.encode
        keys = [encode(head) for head in bounds.heads(NO_ROW, self.run.context)]
        return keys if len(keys) < 2 else sorted(set(keys))


class RangeRead(TableNode):
    """Rows of key ranges: of the table, or through an index (`fetch`: storage follows its entries to the rows).

    `limit`: how many rows the query can use at most, evaluated at the start; with `exact` nothing filters them later,
    so the scan itself may stop there. Rows come in key order, or with `reverse` in the opposite one."""

    __slots__ = ("bounds", "exact", "fetch", "index", "limit", "reverse")

    def __init__(
        self,
        rows: float,
        access: TableAccess,
        alias: str,
        bounds: Bounds,
        tests: Sequence[StoredTest],
        with_key: bool,
        projection: tuple[int, ...] | None,
        subplans: Subplans | None,
        index: str | None,
        reverse: bool,
    ) -> None:
        super().__init__(rows, access, alias, tests, with_key, projection, subplans)
        self.bounds = bounds
        self.index = index
        self.reverse = reverse
        self.fetch = index is not None
        self.limit: Value | None = None
        self.exact = False

    def start(self, run: Run) -> Cursor:
        return _RangeCursor(self, run)

    def scan(self, low: bytes, high: bytes, tests: tuple[Test, ...], limit: int, page_rows: int) -> Scan:
        if self.entries is not None:
            return Scan(low, high, self.reverse, limit, page_rows=page_rows)
        return Scan(low, high, self.reverse, limit, tests, self.projection, self.fetch, page_rows)

    @property
    def title(self) -> str:
        table = self.access.table
        backward = " Backward" if self.reverse else ""
        if self.index is not None and not self.fetch:
            return f"Index Only Scan{backward} using {self.index} on {self.named}"
        if self.index is not None:
            return f"Index Scan{backward} using {self.index} on {self.named}"
        if not self.access.has_primary_key:
            return f"Full Scan (btree-table) on {self.named}"
        return f"Index Only Scan{backward} using {table.primary_key_name} on {self.named}"


async def begun(node: RangeRead, run: Run) -> tuple[list[tuple[bytes, bytes]], tuple[Test, ...]]:
    """The key ranges to read, in the order to read them in, and the tests: no ranges where no row can pass."""
    if node.subplans is not None:
        await node.subplans.prepare([NO_ROW], run)
    ranges = node.bounds.ranges(NO_ROW, run.context)
    if node.reverse:
        ranges.reverse()
    tests = bound_tests(node.tests, NO_ROW, run.context)
    return (ranges, tests) if tests is not None else ([], ())


class _RangeCursor:
    __slots__ = ("left", "node", "ranges", "run", "scanner", "tests")

    def __init__(self, node: RangeRead, run: Run) -> None:
        self.node = node
        self.run = run
        self.ranges: list[tuple[bytes, bytes]] | None = None
        self.tests: tuple[Test, ...] = ()
        self.scanner: Any = None
        self.left = 0

    async def _begin(self) -> None:
        node, run = self.node, self.run
        self.ranges, self.tests = await begun(node, run)
        if node.limit is not None:
            wanted = node.limit(NO_ROW, run.context)
            if wanted is not None:
                self.left = min(max(int(wanted), 1), LIMIT_MAX)

    async def next(self) -> Batch:
        node, run = self.node, self.run
        if self.ranges is None:
            await self._begin()
        while True:
            if self.scanner is None:
                if not self.ranges:
                    return []
                if len(self.ranges) > 1 and not self.left:
                    rows = await self._many()
                    if rows:
                        return rows
                    continue
                low, high = self.ranges.pop(0)
                page = min(BATCH_ROWS, max(self.left, 20)) if self.left else BATCH_ROWS
                limit = self.left if node.exact else 0
                self.scanner = run.reads.scan(node.access.oid, node.scan(low, high, self.tests, limit, page))
            entries = await self.scanner.next_page()
            if entries:
                if (wait := run.context.pause()) is not None:
                    await wait
                return decoded(node, entries)
            if run.counts is not None:
                note_examined(run, node, self.scanner)
            self.scanner = None

    async def _many(self) -> Batch:
        assert self.ranges is not None
        chunk, self.ranges = self.ranges[:RANGES_MAX], self.ranges[RANGES_MAX:]
        scans = [self.node.scan(low, high, self.tests, 0, BATCH_ROWS) for low, high in chunk]
        answers = await self.run.reads.scan_many(self.node.access.oid, scans)
        rows: Batch = []
        for entries in answers:
            rows.extend(decoded(self.node, entries))
        return rows


def decoded(node: TableNode, entries: Entries) -> Batch:
    if node.entries is not None:
        return node.entries(entries)
    decode = node.decode
    if not node.with_key:
        return [decode(value) for _, value in entries]
    rows: Batch = []
    for key, value in entries:
        row = decode(value)
        row.append(key)
        rows.append(row)
    return rows


class OneRow(Node):
    """What SELECT without FROM reads: one row of no columns."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(1)

    def start(self, run: Run) -> Cursor:
        return RowsCursor([[]])

    @property
    def title(self) -> str:
        return "Result"


class NoRows(Node):
    """A condition that is never true."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0)

    def start(self, run: Run) -> Cursor:
        return RowsCursor([])

    @property
    def title(self) -> str:
        return "Result"

    @property
    def lines(self) -> Sequence[str]:
        return ["One-Time Filter: false"]


class SystemRead(Node):
    """A relation of pg_catalog, information_schema or sys, or a table function of theirs."""

    __slots__ = ("arguments", "key", "relation")

    def __init__(
        self, relation: SystemRelation, arguments: Sequence[Value], key: tuple[int, Value] | None = None
    ) -> None:
        super().__init__(100)
        self.relation = relation
        self.arguments = tuple(arguments)
        self.key = key  # a column and the value its rows must have: others may be left out

    def start(self, run: Run) -> Cursor:
        return _SystemCursor(self, run)

    @property
    def title(self) -> str:
        kind = "Function Scan" if self.arguments else "Seq Scan"
        return f"{kind} on {self.relation.name}"


class _SystemCursor:
    __slots__ = ("node", "run", "taken")

    def __init__(self, node: SystemRead, run: Run) -> None:
        self.node = node
        self.run = run
        self.taken = False

    async def next(self) -> Batch:
        if self.taken:
            return []
        self.taken = True
        run = self.run
        key = self.node.key
        if key is not None:
            found = self.node.relation.matching(run.snapshot, run.context, key[0], key[1](NO_ROW, run.context))
            if found is not None:
                return found
        arguments = [argument(NO_ROW, run.context) for argument in self.node.arguments]
        return await self.node.relation.rows(run.snapshot, run.reads, run.context, *arguments)


class CteRead(Node):
    """The rows of a WITH query, computed by whoever asks first."""

    __slots__ = ("index", "name", "query")

    def __init__(self, index: int, name: str, query: Node | None) -> None:
        super().__init__(query.rows if query is not None else 100)
        self.index = index
        self.name = name
        self.query = query  # None: the reference of a recursive query to itself

    def start(self, run: Run) -> Cursor:
        return _CteCursor(self, run)

    @property
    def title(self) -> str:
        return f"{'WorkTable' if self.query is None else 'CTE'} Scan on {self.name}"

    @property
    def children(self) -> Sequence[Node]:
        return () if self.query is None else (self.query,)


class _CteCursor:
    __slots__ = ("at", "node", "rows", "run")

    def __init__(self, node: CteRead, run: Run) -> None:
        self.node = node
        self.run = run
        self.rows: CteRows | None = None
        self.at = 0

    async def next(self) -> Batch:
        node, run = self.node, self.run
        if node.query is None:
            found = run.ctes[node.index]
        else:
            if self.rows is None:
                self.rows = run.cte_rows(node.index, node.query)
            if self.at >= len(self.rows.rows):
                await self.rows.more()
            found = self.rows.rows
        batch = found[self.at : self.at + BATCH_ROWS]
        self.at += len(batch)
        return batch
