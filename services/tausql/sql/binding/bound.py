"""Bound queries: what the binder makes and the planner reads.

Slots of one query block are *virtual*: each relation of the block has a contiguous range of them, whatever order the
planner joins them in. A table's range holds its columns by position and, one past them, the key of the row. References
to an outer query are `OuterSlot(1, n)`, where n indexes the correlations of the subquery the block stands in: the
values of its parent's expressions, computed a row of the parent at a time. So a reference two levels up goes through
the level between, and no expression ever looks at more than one outer row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tausql.sql.catalogue.descriptors import Table
from tausql.sql.expressions.nodes import AggregateCall, Expr
from tausql.sql.expressions.window_nodes import WindowCall
from tausql.sql.permissions import Need
from tausql.sql.system import SystemRelation
from tausql.sql.types.type import Type

WINDOW_SLOT: Final = 1 << 27  # virtual slots of what window functions give


@dataclass(slots=True)
class OutputColumn:
    """A column of a query's result. `table_oid` and `attnum` where it is a table's column as it stands, else 0."""

    name: str
    type: Type
    typmod: int = -1
    table_oid: int = 0
    attnum: int = 0


@dataclass(slots=True)
class RelationColumn:
    name: str
    type: Type
    typmod: int
    slot: int
    table_oid: int = 0
    attnum: int = 0


@dataclass(slots=True)
class TableSource:
    table: Table


@dataclass(slots=True)
class QuerySource:
    """A derived table; `correlations` of a LATERAL one, over the relations before it. `single_row`: more than one row
    is 21000 (the source of UPDATE ... SET (a, b) = (SELECT ...))."""

    query: BoundQuery
    correlations: list[Expr] = field(default_factory=list)
    single_row: bool = False


@dataclass(slots=True)
class FunctionSource:
    """Set-returning or plain function calls in FROM, side by side; their arguments may use relations before it.

    widths: columns of each call's rows, 0 for a plain value; () where all are plain.
    """

    calls: list[Expr]
    ordinality: bool
    widths: tuple[int, ...] = ()


@dataclass(slots=True)
class SystemSource:
    relation: SystemRelation
    arguments: list[Expr] = field(default_factory=list)


@dataclass(slots=True)
class CteSource:
    cte: Cte


@dataclass(slots=True)
class WritePart:
    """INSERT, UPDATE or DELETE in WITH, with the checks of its table (and view). Its rows are those of RETURNING."""

    body: BoundInsert | BoundUpdate | BoundDelete
    checks: list[tuple[str, Expr]]
    view_checks: list[tuple[str, Expr]]


@dataclass(slots=True)
class Cte:
    """A WITH query that is computed once and read by every reference to it. `recursive`: the part that refers to
    itself, run over the rows of its last round until there are none; `distinct` for UNION without ALL."""

    index: int
    name: str
    query: BoundQuery
    columns: list[OutputColumn]
    recursive: BoundQuery | None = None
    distinct: bool = False
    part: WritePart | None = None


Source = TableSource | QuerySource | FunctionSource | SystemSource | CteSource


@dataclass(slots=True, eq=False)
class Relation:
    alias: str
    source: Source
    columns: list[RelationColumn]
    base: int
    width: int
    nullable: bool = False  # an outer join may leave it without a row
    row_type: int = 0  # oid of the table or view it is

    @property
    def key_slot(self) -> int:
        """Of a table: where the key of its row stands."""
        return self.base + self.width - 1


@dataclass(slots=True, eq=False)
class Join:
    """`kind`: inner, left or full (a right join is a left one the other way round)."""

    kind: str
    left: JoinTree
    right: JoinTree
    condition: list[Expr]


JoinTree = Relation | Join


@dataclass(slots=True)
class Target:
    expr: Expr
    column: OutputColumn


@dataclass(slots=True)
class SortSpec:
    """`position` in the row the sort reads: the targets, then the hidden ones."""

    position: int
    type: Type
    descending: bool
    nulls_first: bool


@dataclass(slots=True)
class RowLock:
    """FOR UPDATE (`update`) or FOR KEY SHARE of the rows of these relations."""

    update: bool
    relations: list[Relation]


@dataclass(slots=True)
class Grouping:
    """`keys` and `aggregates` are over the block's virtual slots; everything after is over [keys..., aggregates...,
    masks...]. `sets`: the grouping sets as positions of keys, None for the one set of all keys; `masks`: the keys of
    each GROUPING call."""

    keys: list[Expr]
    aggregates: list[AggregateCall]
    sets: list[tuple[int, ...]] | None = None
    masks: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def width(self) -> int:
        return len(self.keys) + len(self.aggregates) + len(self.masks)


@dataclass(slots=True, eq=False)
class BoundQuery:
    columns: list[OutputColumn]
    order: list[SortSpec]
    limit: Expr | None
    offset: Expr | None
    ties: bool = field(default=False, kw_only=True)  # FETCH FIRST ... WITH TIES


@dataclass(slots=True, eq=False)
class BoundSelect(BoundQuery):
    tree: JoinTree | None
    where: list[Expr]
    grouping: Grouping | None
    having: list[Expr]
    targets: list[Target]
    hidden: list[Expr]  # what ORDER BY needs beyond the targets
    distinct: bool
    distinct_on: list[int] | None  # positions, as in SortSpec
    locks: list[RowLock]
    windows: list[WindowCall] = field(default_factory=list)  # targets and hidden have Slot(WINDOW_SLOT + n) for them


@dataclass(slots=True, eq=False)
class BoundValues(BoundQuery):
    rows: list[list[Expr]]


@dataclass(slots=True, eq=False)
class BoundSetOperation(BoundQuery):
    operation: str  # union, intersect, except
    all: bool
    left: BoundQuery
    right: BoundQuery


@dataclass(slots=True, eq=False)
class SubqueryBinding:
    """A subquery of an expression: `index` is what its Subquery node carries and `Context.subplans` is indexed by."""

    index: int
    kind: str  # scalar, exists, any, all, array
    query: BoundQuery
    correlations: list[Expr]


@dataclass(slots=True, eq=False)
class Conflict:
    """ON CONFLICT. `arbiters`: None = any unique constraint; else index oids, 0 for the primary key. `assignments`
    empty: DO NOTHING. The expressions are over [existing row, its key, proposed row]."""

    arbiters: tuple[int, ...] | None
    update: bool
    assignments: dict[int, Expr] = field(default_factory=dict)
    where: list[Expr] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class BoundInsert:
    """`rows`: an expression for every column of the table by position, or `query` with `from_query`: for every column
    an expression over the query's row."""

    relation: Relation
    rows: list[list[Expr]]
    query: BoundQuery | None
    from_query: list[Expr]
    conflict: Conflict | None
    returning: list[Target] | None


@dataclass(slots=True, eq=False)
class BoundUpdate:
    relation: Relation
    tree: JoinTree
    where: list[Expr]
    assignments: dict[int, Expr]
    returning: list[Target] | None


@dataclass(slots=True, eq=False)
class BoundDelete:
    relation: Relation
    tree: JoinTree
    where: list[Expr]
    returning: list[Target] | None


@dataclass(slots=True, eq=False)
class BoundStatement:
    """A whole statement. `checks` belong to the table written."""

    body: BoundQuery | BoundInsert | BoundUpdate | BoundDelete
    subqueries: list[SubqueryBinding]
    ctes: list[Cte]
    tables: list[Table]
    parameter_types: tuple[Type, ...]
    checks: list[tuple[str, Expr]]
    locks: bool
    system: bool
    view_checks: list[tuple[str, Expr]] = field(default_factory=list)  # (view, condition) of check options
    relies: tuple[tuple[int, int], ...] = ()  # (oid, version) of views and functions
    needs: tuple[Need, ...] = ()


def columns_of(targets: Sequence[Target]) -> list[OutputColumn]:
    return [target.column for target in targets]
