"""Which index reads a table: equal values of its first columns, then a range, then what order the rows come in.

There are no statistics yet, so costs are rules of thumb: a unique key finds one row, an index equality ten, a range a
third of the table, and a table has ten thousand rows. They are chosen so that an index that matches is used, the one
that matches more wins, and an order for free is worth a small detour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tausql.sql.binding.bound import Relation
from tausql.sql.binding.slots import slots_of
from tausql.sql.execution.scans import Bounds, PointRead, RangeRead, StoredTest
from tausql.sql.execution.subplans import Value
from tausql.sql.expressions.nodes import Expr, Subquery
from tausql.sql.planning.compiling import Layout, Planner
from tausql.sql.planning.conditions import ColumnTest, Condition, column_test
from tausql.sql.planning.describing import describe
from tausql.sql.tables import IndexAccess, TableAccess

TABLE_ROWS: Final = 10_000.0
EQUALITY_ROWS: Final = 10.0
RANGE_PART: Final = 1 / 3
FETCH_COST: Final = 2.5  # of a row read through an index, against one read in key order
LIMITED_ROWS: Final = 100.0  # what a LIMIT is taken to ask for
SORT_COST: Final = 0.3  # of a row
WIDE_COLUMNS: Final = 8  # tables from this width on are read by projection where that halves the row

_PUSHED_FAMILIES: Final = frozenset(
    ("integer", "oid", "text", "float", "boolean", "date", "time", "timestamp", "timestamptz", "numeric", "uuid")
)


@dataclass(slots=True)
class OrderWish:
    """The order the query wants: (virtual slot, descending, nulls first) each; `limited`: a LIMIT follows."""

    specs: tuple[tuple[int, bool, bool], ...]
    limited: bool


@dataclass(slots=True)
class Path:
    """One way to read a table. `used`: the conditions its key range makes true."""

    access: TableAccess
    index: IndexAccess | None
    equal: list[ColumnTest]
    low: ColumnTest | None
    high: ColumnTest | None
    rows: float
    cost: float
    ordered: bool = False
    reverse: bool = False
    used: list[Condition] = field(default_factory=list)

    @property
    def is_point(self) -> bool:
        return (
            self.index is None
            and self.access.has_primary_key
            and len(self.equal) == len(self.access.key_columns)
            and all(test.operator != "null" for test in self.equal)
        )

    @property
    def slots(self) -> frozenset[int]:
        tests = [*self.equal, *(test for test in (self.low, self.high) if test is not None)]
        return frozenset().union(*(test.slots for test in tests))


def tests_of(
    planner: Planner, relation: Relation, access: TableAccess, conditions: Sequence[Condition]
) -> list[ColumnTest]:
    found: list[ColumnTest] = []
    for one in conditions:
        if one.pure or isinstance(one.expr, Subquery):
            test = column_test(one, relation, access.table, planner.subqueries)
            if test is not None:
                found.append(test)
    return found


def best_path(
    relation: Relation, access: TableAccess, tests: Sequence[ColumnTest], available: frozenset[int],
    wish: OrderWish | None,
) -> Path:  # fmt: skip
    """The cheapest path that needs only `available` slots of other relations."""
    usable = [test for test in tests if test.slots <= available]
    paths = [_path(relation, access, None, usable, wish)]
    paths.extend(_path(relation, access, index, usable, wish) for index in access.readable)
    return min(paths, key=lambda path: path.cost)


def _path(
    relation: Relation, access: TableAccess, index: IndexAccess | None, tests: Sequence[ColumnTest],
    wish: OrderWish | None,
) -> Path:  # fmt: skip
    columns = access.key_columns if index is None else index.columns
    unique = access.has_primary_key if index is None else index.unique
    equal: list[ColumnTest] = []
    for position in columns:
        test = _equality(tests, position)
        if test is None:
            break
        equal.append(test)
    low = high = None
    if len(equal) < len(columns):
        position = columns[len(equal)]
        low = next((t for t in tests if t.position == position and t.operator in (">", ">=")), None)
        high = next((t for t in tests if t.position == position and t.operator in ("<", "<=")), None)
    many = 1.0
    for test in equal:
        many *= test.count
    if len(equal) == len(columns) and unique and columns:
        rows = many
    elif equal:
        rows = min(TABLE_ROWS, EQUALITY_ROWS / (3 ** (len(equal) - 1)) * many)
    else:
        rows = TABLE_ROWS
    if low is not None or high is not None:
        rows *= RANGE_PART / 3 if low is not None and high is not None else RANGE_PART
    rows = max(rows, 1.0)
    path = Path(access, index, equal, low, high, rows, rows)
    path.used = [test.condition for test in equal] + [t.condition for t in (low, high) if t is not None]
    others = sum(1 for test in tests if test.condition not in path.used)
    per_row = 1.0 if index is None else FETCH_COST
    path.cost = rows * per_row + (0 if equal or low or high else 1)
    path.rows = max(1.0, rows * RANGE_PART**others)
    if wish is not None:
        _order(path, relation, columns, unique, wish, per_row)
    return path


def _order(
    path: Path, relation: Relation, columns: Sequence[int], unique: bool, wish: OrderWish, per_row: float
) -> None:
    """Whether the path gives the wished order, and what that saves."""
    reverse = _satisfies(path, relation, columns, unique, wish)
    if reverse is None:
        path.cost += path.rows * SORT_COST + 1
        return
    path.ordered = True
    path.reverse = reverse
    if wish.limited:
        read = path.cost / per_row
        needed = LIMITED_ROWS * (read / path.rows)
        path.cost = min(path.cost, needed * per_row)


def _satisfies(path: Path, relation: Relation, columns: Sequence[int], unique: bool, wish: OrderWish) -> bool | None:
    """The direction to read in (True: backwards) for the wished order, None where it does not come out."""
    if any(test.many for test in path.equal):
        return None
    fixed = {relation.base + test.position for test in path.equal}
    rest = [relation.base + position for position in columns[len(path.equal) :]]
    direction: bool | None = None
    for slot, descending, nulls_first in wish.specs:
        if slot in fixed:
            continue
        if not rest:
            return bool(direction) if unique and path.index is None else None
        if slot != rest[0] or descending != nulls_first:  # NULLs are last in key order
            column = slot - relation.base
            not_null = 0 <= column < len(path.access.table.columns) and path.access.table.columns[column].not_null
            not_null = not_null or column in path.access.key_columns
            if slot != rest[0] or not not_null:
                return None
        if direction not in (None, descending):
            return None
        direction = descending
        rest.pop(0)
        fixed.add(slot)
    return bool(direction)


def _equality(tests: Sequence[ColumnTest], position: int) -> ColumnTest | None:
    best: ColumnTest | None = None
    for test in tests:
        if (
            test.position == position
            and test.operator in ("=", "in", "null")
            and (best is None or test.count < best.count)
        ):
            best = test
    return best


@dataclass(slots=True)
class TableRead:
    """A node for a path, where its columns are, and which conditions it makes true."""

    node: PointRead | RangeRead
    layout: Layout
    width: int
    done: list[Condition]


def read_table(
    planner: Planner,
    relation: Relation,
    path: Path,
    tests: Sequence[ColumnTest],
    left: Layout,
    needed: frozenset[int] | None,
    with_key: bool,
) -> TableRead:
    """The node for a path. `left`: the layout its values are computed from (an index join's outer rows), IDENTITY for
    none. `needed`: virtual slots the query uses, None = all."""
    access = path.access
    prefix = access.prefix if path.index is None else path.index.prefix
    encode = access.encode_key if path.index is None else path.index.encode
    equal = [None if test.operator == "null" else test.compiled(planner, left) for test in path.equal]
    bounds = Bounds(
        prefix,
        encode,
        equal,
        [test.many for test in path.equal],
        _edge(planner, path.low, left),
        _edge(planner, path.high, left),
    )
    notes = [describe(one.expr) for one in path.used]
    used_values: list[Expr] = [value for test in path.equal for value in test.values]
    subplans = planner.subplans(used_values, left)
    node: PointRead | RangeRead
    if path.is_point:
        node = PointRead(path.rows, access, relation.alias, bounds, [], with_key, subplans)
        node.notes = [f"Index Cond: ({' AND '.join(notes)})"] if notes else []
        return TableRead(node, _layout(relation, None, with_key), access.width + with_key, list(path.used))
    pushed = [
        test
        for test in tests
        if test.condition not in path.used
        and test.slots <= (frozenset(left) if left else frozenset())
        and pushable(test)
    ]
    stored = [
        StoredTest(
            test.position, test.comparison, test.compiled(planner, left), test.family == "numeric",
            describe(test.condition.expr),
        )
        for test in pushed
    ]  # fmt: skip
    done = [*path.used, *(test.condition for test in pushed)]
    projection = _projection(relation, access, needed, with_key)
    node = RangeRead(
        path.rows, access, relation.alias, bounds, stored, with_key, projection, subplans,
        None if path.index is None else path.index.index.name, path.reverse,
    )  # fmt: skip
    node.notes = [f"Index Cond: ({' AND '.join(notes)})"] if notes else []
    width = access.width if projection is None else len(projection)
    return TableRead(node, _layout(relation, projection, with_key), width + with_key, done)


def _edge(planner: Planner, test: ColumnTest | None, left: Layout) -> tuple[Value, bool] | None:
    if test is None:
        return None
    return planner.value(test.values[0], left), test.operator in (">=", "<=")


def pushable(test: ColumnTest) -> bool:
    if test.operator in ("null", "not null"):
        return True
    if isinstance(test.values[0], Subquery):
        return False
    return test.family in _PUSHED_FAMILIES


def _projection(
    relation: Relation, access: TableAccess, needed: frozenset[int] | None, with_key: bool
) -> tuple[int, ...] | None:
    if needed is None or with_key or access.width < WIDE_COLUMNS:
        return None
    wanted = tuple(at for at in range(access.width) if relation.base + at in needed)
    return wanted if len(wanted) * 2 <= access.width else None


def _layout(relation: Relation, projection: tuple[int, ...] | None, with_key: bool) -> Layout:
    if projection is not None:
        return {relation.base + position: at for at, position in enumerate(projection)}
    layout = {relation.base + position: position for position in range(relation.width - 1)}
    if with_key:
        layout[relation.key_slot] = relation.width - 1
    return layout


def slots_needed(planner: Planner, exprs: Sequence[Expr]) -> frozenset[int]:
    return frozenset().union(*(slots_of(expr, planner.subqueries) for expr in exprs))
