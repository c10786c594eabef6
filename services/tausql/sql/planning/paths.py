"""Which index reads a table: equal values of its first columns, then a range, then what order the rows come in.

A path costs what it makes storage look at, what it makes travel, and its round trips; rows come from statistics
(`selectivity`). The unit is one row looked at in a scan. They are proportions that were measured, roughly: what counts
is that an index that matches little is used, that one that matches much is not, and that the whole of a small table is
read in preference to asking for many of its rows one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tausql.sql.binding.bound import Relation
from tausql.sql.binding.slots import slots_of
from tausql.sql.execution.index_only import IndexOnlyRead, decodable
from tausql.sql.execution.scans import Bounds, PointRead, RangeRead, StoredTest
from tausql.sql.execution.subplans import Value
from tausql.sql.expressions.nodes import Expr, Subquery
from tausql.sql.planning.compiling import Layout, Planner
from tausql.sql.planning.conditions import EXPRESSIONS, ColumnTest, Condition, column_test
from tausql.sql.planning.partial import implied, predicate_tests
from tausql.sql.planning.selectivity import TableFigures
from tausql.sql.tables import IndexAccess, TableAccess

FETCH_COST: Final = 1.5  # of a row read through an index entry, above looking at the entry
SEND_COST: Final = 0.7  # of a row that travels
KEY_COST: Final = 0.8  # of a row made of an entry's key, above SEND_COST
TRIP_COST: Final = 40.0  # of a request
POINT_COST: Final = 3.0  # of one key of a point read
PAGE_ROWS: Final = 1000.0
LIMITED_ROWS: Final = 100.0  # what a LIMIT is taken to ask for
SORT_COST: Final = 0.3  # of a row
WIDE_COLUMNS: Final = 8  # tables from this width on are read by projection where that halves the row
SPARED_BYTES: Final = 200  # a row, from which on projection is worth it
DISABLED_COST: Final = 1e9

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
    """One way to read a table. `used`: the conditions its key range makes true. `rows` come out, after all tests;
    `examined` are looked at."""

    access: TableAccess
    index: IndexAccess | None
    equal: list[ColumnTest]
    low: ColumnTest | None
    high: ColumnTest | None
    rows: float
    examined: float
    cost: float
    ordered: bool = False
    reverse: bool = False
    used: list[Condition] = field(default_factory=list)
    only: bool = False  # the index alone has all that is needed
    is_point: bool = False  # whole primary keys

    @property
    def slots(self) -> frozenset[int]:
        tests = [*self.equal, *(test for test in (self.low, self.high) if test is not None)]
        return frozenset().union(*(test.slots for test in tests))


def tests_of(
    planner: Planner, relation: Relation, access: TableAccess, conditions: Sequence[Condition]
) -> list[ColumnTest]:
    found: list[ColumnTest] = []
    indexed = expressions_of(access)
    for one in conditions:
        if one.pure or isinstance(one.expr, Subquery):
            test = column_test(one, relation, access.table, planner.subqueries, indexed)
            if test is not None:
                found.append(test)
    return found


def expressions_of(access: TableAccess) -> list[Expr]:
    """The expressions that indexes of the table are over, as `column_test` numbers them."""
    return [expr for index in access.indexes if index.ready for expr in index.expressions]


def _key_positions(access: TableAccess, index: IndexAccess | None) -> tuple[int, ...]:
    """The columns of a key, in order; expressions by their number."""
    if index is None:
        return access.key_columns
    if not index.expressions:
        return index.columns
    number = EXPRESSIONS
    for other in access.indexes:
        if other is index:
            break
        number += len(other.expressions) if other.ready else 0
    made: list[int] = []
    for position in index.columns:
        made.append(position if position >= 0 else number)
        number += position < 0
    return tuple(made)


def best_path(
    planner: Planner,
    relation: Relation,
    access: TableAccess,
    tests: Sequence[ColumnTest],
    available: frozenset[int],
    wish: OrderWish | None,
    conditions: Sequence[Condition] = (),
    needed: frozenset[int] | None = None,
) -> Path:
    """The cheapest path that needs only `available` slots of other relations. `conditions`: all that hold for its rows,
    `needed`: slots that are used of it (None = all)."""
    usable = [test for test in tests if test.slots <= available]
    figures = planner.figures(access.table)
    paths = [_path(planner, relation, access, None, usable, wish, figures, needed)]
    if paths[0].is_point and not planner.disabled and not any(test.many for test in paths[0].equal):
        return paths[0]
    asked = {test.position for test in usable}
    if wish is not None:
        asked.update(slot - relation.base for slot, _, _ in wish.specs)
    own = range(relation.base, relation.base + access.width)
    used = access.width if needed is None else sum(slot in own for slot in needed)
    for index in access.indexes:
        wide = used > len(index.columns) + len(index.covering) + len(access.key_columns)
        if not index.ready or (index.plain and wide and index.columns[0] not in asked):
            continue  # it neither narrows nor orders, nor can it stand in for the table
        if index.predicate is not None and not implied(
            index.predicate, conditions, usable, relation, access.table, planner.subqueries
        ):
            planner.wants_literals = True
            continue
        if index.expressions:
            planner.wants_literals = True  # a literal within the expression is no parameter in the index
        paths.append(_path(planner, relation, access, index, usable, wish, figures, needed))
    return min(paths, key=lambda path: path.cost)


def _path(
    planner: Planner, relation: Relation, access: TableAccess, index: IndexAccess | None, tests: Sequence[ColumnTest],
    wish: OrderWish | None, figures: TableFigures, needed: frozenset[int] | None,
) -> Path:  # fmt: skip
    columns = _key_positions(access, index)
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
    ranges = 1.0
    for test in equal:
        ranges *= test.count
    whole = len(equal) == len(columns) and not any(test.operator == "null" for test in equal)
    one_each = whole and unique and bool(columns)  # row of each of the ranges, whatever the statistics say
    if one_each and not all(test.many for test in equal):
        examined = ranges
    else:
        examined = figures.rows
        for test in equal:
            examined *= figures.passing(test)
        if low is not None and high is not None:
            examined *= figures.between(low, high)
        elif low is not None or high is not None:
            examined *= figures.passing(low or high)  # type: ignore[arg-type]  # one of them is there
        if one_each:
            examined = min(examined, ranges)
    keyed = {test.position for test in (*equal, low, high) if test is not None}
    within: set[int] = set()  # columns of which a partial index's predicate says what the query says
    if index is not None and index.predicate is not None:
        for test in predicate_tests(index.predicate, relation, access.table, planner.subqueries):
            if test.position not in keyed:
                examined *= figures.passing(test)
                within.add(test.position)
    examined = max(examined, 1.0)
    path = Path(access, index, equal, low, high, examined, examined, 0.0)
    path.is_point = whole and index is None and access.has_primary_key
    path.used = [test.condition for test in equal] + [t.condition for t in (low, high) if t is not None]
    others = [test for test in tests if test.condition not in path.used and test.position not in within]
    path.rows = max(1.0, examined * (figures.passing_all(others) if others else 1.0))
    path.only = index is not None and _covers(access, index, columns, relation, tests, path, needed)
    per_row = 1.0
    if path.is_point:
        per_row = POINT_COST
        path.cost = TRIP_COST + ranges * POINT_COST
    else:
        sent = path.rows * SEND_COST
        if path.only:
            path.rows = examined  # other tests are made after it
            sent = examined * (SEND_COST + KEY_COST)
        elif index is not None:
            per_row += FETCH_COST
        path.cost = TRIP_COST * max(1.0, ranges / 64, path.rows / PAGE_ROWS) + examined * per_row + sent + ranges
    path.cost += _disabled(planner, path, bool(equal or low or high))
    if wish is not None:
        _order(path, relation, columns, unique, wish)
    return path


def _disabled(planner: Planner, path: Path, narrowed: bool) -> float:
    off = planner.disabled
    if not off:
        return 0.0
    if path.index is not None and not path.only:
        return DISABLED_COST if "indexscan" in off else 0.0
    if path.only or narrowed:
        return DISABLED_COST if "indexonlyscan" in off else 0.0
    return DISABLED_COST if "seqscan" in off else 0.0


def _covers(
    access: TableAccess, index: IndexAccess, columns: Sequence[int], relation: Relation, tests: Sequence[ColumnTest],
    path: Path, needed: frozenset[int] | None,
) -> bool:  # fmt: skip
    """Whether the entry's key, the row's key in it and its INCLUDE columns have every column that is asked for."""
    if needed is None:
        return False
    wanted = {slot - relation.base for slot in needed if relation.base <= slot < relation.base + relation.width - 1}
    wanted |= {test.position for test in tests if test.condition not in path.used and test.position < EXPRESSIONS}
    if any(test.position >= EXPRESSIONS for test in tests if test.condition not in path.used):
        return False
    return wanted <= decodable(access, columns) | decodable(access, access.key_columns) | set(index.covering)


def _order(path: Path, relation: Relation, columns: Sequence[int], unique: bool, wish: OrderWish) -> None:
    """Whether the path gives the wished order, and what that saves."""
    reverse = _satisfies(path, relation, columns, unique, wish)
    if reverse is None:
        path.cost += path.rows * SORT_COST + 1
        return
    path.ordered = True
    path.reverse = reverse
    if wish.limited:
        part = min(1.0, LIMITED_ROWS / path.rows)
        path.cost = min(path.cost, TRIP_COST + (path.cost - TRIP_COST) * part)


def _satisfies(path: Path, relation: Relation, columns: Sequence[int], unique: bool, wish: OrderWish) -> bool | None:
    """The direction to read in (True: backwards) for the wished order, None where it does not come out."""
    if any(test.many for test in path.equal):
        return None
    fixed = {relation.base + test.position for test in path.equal}
    rest = [relation.base + position for position in columns[len(path.equal) :]]
    direction: bool | None = None
    taken = 0
    for slot, descending, nulls_first in wish.specs:
        if slot in fixed:
            continue
        if not rest:
            return bool(direction) if unique and path.index is None else None
        first = _nulls_first(path.index, len(path.equal) + taken)
        # NULLs come last in key order, unless they are declared to come first.
        if slot != rest[0] or (descending != nulls_first) != first:
            column = slot - relation.base
            not_null = 0 <= column < len(path.access.table.columns) and path.access.table.columns[column].not_null
            not_null = not_null or column in path.access.key_columns
            if slot != rest[0] or not not_null:
                return None
        if direction not in (None, descending):
            return None
        direction = descending
        taken += 1
        rest.pop(0)
        fixed.add(slot)
    return bool(direction)


def _nulls_first(index: IndexAccess | None, at: int) -> bool:
    return index is not None and at < len(index.index.nulls_first) and index.index.nulls_first[at]


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

    @property
    def rows(self) -> float:
        return self.node.rows


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
    access, index = path.access, path.index
    bounds = Bounds(
        access.prefix if index is None else index.prefix,
        access.encode_key if index is None else index.encode,
        [None if test.operator == "null" else test.compiled(planner, left) for test in path.equal],
        [test.many for test in path.equal],
        _edge(planner, path.low, left),
        _edge(planner, path.high, left),
        _nulls_first(index, len(path.equal)),
    )
    conditions = [planner.describe(one.expr) for one in path.used] if planner.explained else []
    used_values: list[Expr] = [value for test in path.equal for value in test.values]
    subplans = planner.subplans(used_values, left)
    if path.is_point:
        point = PointRead(path.rows, access, relation.alias, bounds, [], with_key, subplans)
        point.conditions = conditions
        point.examined = path.examined
        return TableRead(point, _layout(relation, None, with_key), access.width + with_key, list(path.used))
    pushed = [] if path.only else [test for test in tests if is_pushed(test, path, left)]
    stored = [
        StoredTest(
            test.position, test.comparison, test.compiled(planner, left), test.family == "numeric",
            planner.describe(test.condition.expr),
        )
        for test in pushed
    ]  # fmt: skip
    done = [*path.used, *(test.condition for test in pushed)]
    node: RangeRead
    if path.only:
        assert index is not None
        assert needed is not None
        projection: tuple[int, ...] | None = tuple(at for at in range(access.width) if relation.base + at in needed)
        assert projection is not None
        node = IndexOnlyRead(
            path.rows, access, relation.alias, bounds, stored, with_key, projection, subplans, index, path.reverse
        )
    else:
        projection = _projection(planner, relation, access, needed, with_key)
        node = RangeRead(
            path.rows, access, relation.alias, bounds, stored, with_key, projection, subplans,
            None if index is None else index.index.name, path.reverse,
        )  # fmt: skip
    node.conditions = conditions
    node.examined = path.examined
    width = access.width if projection is None else len(projection)
    return TableRead(node, _layout(relation, projection, with_key), width + with_key, done)


def _edge(planner: Planner, test: ColumnTest | None, left: Layout) -> tuple[Value, bool] | None:
    if test is None:
        return None
    return planner.value(test.values[0], left), test.operator in (">=", "<=")


def is_pushed(test: ColumnTest, path: Path, left: Layout) -> bool:
    """Whether a test that a path does not make true by itself travels with its scan."""
    if path.only or path.is_point or test.condition in path.used:
        return False
    return test.slots <= frozenset(left) and pushable(test)


def pushable(test: ColumnTest) -> bool:
    if test.position >= EXPRESSIONS:
        return False
    if test.operator in ("null", "not null"):
        return True
    if isinstance(test.values[0], Subquery):
        return False
    return test.family in _PUSHED_FAMILIES or test.family.startswith("enum ")


def _projection(
    planner: Planner, relation: Relation, access: TableAccess, needed: frozenset[int] | None, with_key: bool
) -> tuple[int, ...] | None:
    """The columns to have sent, where making new rows of them costs less than sending all."""
    if needed is None or with_key:
        return None
    wanted = tuple(at for at in range(access.width) if relation.base + at in needed)
    if access.width >= WIDE_COLUMNS and len(wanted) * 2 <= access.width:
        return wanted
    figures = planner.figures(access.table)
    if figures.known and figures.width(None) - figures.width(wanted) >= SPARED_BYTES:
        return wanted
    return None


def _layout(relation: Relation, projection: tuple[int, ...] | None, with_key: bool) -> Layout:
    if projection is not None:
        layout = {relation.base + position: at for at, position in enumerate(projection)}
        if with_key:
            layout[relation.key_slot] = len(projection)
        return layout
    layout = {relation.base + position: position for position in range(relation.width - 1)}
    if with_key:
        layout[relation.key_slot] = relation.width - 1
    return layout


def slots_needed(planner: Planner, exprs: Sequence[Expr]) -> frozenset[int]:
    subqueries = planner.subqueries
    return frozenset().union(*[slots_of(expr, subqueries) for expr in exprs])
