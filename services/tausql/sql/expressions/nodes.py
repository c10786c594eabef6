"""Typed scalar expressions: made by the binder, moved about by the planner, turned into closures by the compiler.

Nodes are immutable values compared by structure, so that `GROUP BY lower(name)` finds itself in the select list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import is_
from typing import Any, ClassVar, Final, Self

from tausql.sql.functions.function import Aggregate, Function
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import Conversion
from tausql.sql.types.type import Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Expr:
    """A node. type, typmod: of its value. Fields named in PARTS hold child nodes (one, a tuple, a tuple of tuples)."""

    type: Type
    typmod: int = -1
    PARTS: ClassVar[tuple[str, ...]] = ()

    def children(self) -> tuple[Expr, ...]:
        found: list[Expr] = []
        for name in self.PARTS:
            value = getattr(self, name)
            if isinstance(value, Expr):
                found.append(value)
            elif value:
                _collect(value, found)
        return tuple(found)

    def replace(self, change: Callable[[Expr], Expr]) -> Expr:
        """The tree rebuilt from the leaves up, each node passed through `change`."""
        if not self.PARTS:
            return change(self)
        changed: dict[str, Any] = {}
        for name in self.PARTS:
            before = getattr(self, name)
            after = _mapped(before, change)
            if after is not before:
                changed[name] = after
        return change(dataclasses.replace(self, **changed) if changed else self)

    def retyped(self, type: Type, typmod: int = -1) -> Self:
        return dataclasses.replace(self, type=type, typmod=typmod)


def _collect(value: Any, found: list[Expr]) -> None:
    if isinstance(value, Expr):
        found.append(value)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, found)


def _mapped(value: Any, change: Callable[[Expr], Expr]) -> Any:
    if isinstance(value, Expr):
        return value.replace(change)
    if isinstance(value, tuple):
        items = tuple([_mapped(item, change) for item in value])
        return value if all(map(is_, items, value)) else items
    return value


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and all below it, each before what it is made of."""
    if expr.__class__ in _LEAVES:
        yield expr
        return
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        yield node
        if node.__class__ not in _LEAVES:
            waiting.extend(reversed(node.children()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Const(Expr):
    """A value. Of type UNKNOWN: a string literal nobody has given a type yet."""

    value: Any

    def _identity(self) -> tuple[Any, ...]:
        return self.type.oid, self.typmod, repr(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


@dataclass(frozen=True, slots=True, kw_only=True)
class Param(Expr):
    """$number, counted from 1."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot(Expr):
    """A column of the input row."""

    slot: int
    name: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterSlot(Expr):
    """A column of the row of an enclosing query; level 1 is the nearest."""

    level: int
    slot: int
    name: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall(Expr):
    """A function or operator on its (already coerced) arguments."""

    function: Function
    args: tuple[Expr, ...]
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convert(Expr):
    """A function of one value made for its type at bind time (text output, JSON output); NULL stays NULL."""

    arg: Expr
    what: str
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast(Expr):
    arg: Expr
    conversion: Conversion = dataclasses.field(compare=False)
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit(Expr):
    """Fits a value into its type's modifier: truncates when explicit, else fails when too long."""

    arg: Expr
    explicit: bool
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Expr):
    args: tuple[Expr, ...]
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Expr):
    args: tuple[Expr, ...]
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Expr):
    arg: Expr
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull(Expr):
    arg: Expr
    negated: bool = False
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanTest(Expr):
    """IS [NOT] TRUE / FALSE; never NULL."""

    arg: Expr
    value: bool
    negated: bool = False
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct(Expr):
    """left IS DISTINCT FROM right, by the function of their `=`."""

    equality: Function
    left: Expr
    right: Expr
    negated: bool = False
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class NullIf(Expr):
    """The first argument unless `=` says that it equals the second; left is the first as `=` wants it."""

    equality: Function
    arg: Expr
    left: Expr
    right: Expr
    PARTS: ClassVar[tuple[str, ...]] = ("arg", "left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Expr):
    """whens: pairs (condition, result)."""

    whens: tuple[tuple[Expr, Expr], ...]
    default: Expr | None
    PARTS: ClassVar[tuple[str, ...]] = ("whens", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coalesce(Expr):
    args: tuple[Expr, ...]
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMax(Expr):
    """GREATEST and LEAST: NULLs do not count."""

    args: tuple[Expr, ...]
    greatest: bool
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class InList(Expr):
    """arg [NOT] IN (items), all of one type compared by its `=`."""

    equality: Function
    arg: Expr
    items: tuple[Expr, ...]
    negated: bool = False
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("arg", "items")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyArray(Expr):
    """left operator ANY|ALL (array)."""

    operator: Function
    left: Expr
    array: Expr
    all: bool = False
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("left", "array")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayLiteral(Expr):
    """ARRAY[...]; items are elements, or arrays for a further dimension (nested)."""

    items: tuple[Expr, ...]
    nested: bool = False
    PARTS: ClassVar[tuple[str, ...]] = ("items",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscript(Expr):
    """array[i][j], counted from 1; out of range gives NULL."""

    array: Expr
    indexes: tuple[Expr, ...]
    PARTS: ClassVar[tuple[str, ...]] = ("array", "indexes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Expr):
    """array[low:high][low:high]...; bounds: those written, in order; present: which of them, two a dimension."""

    array: Expr
    bounds: tuple[Expr, ...]
    present: tuple[bool, ...]
    PARTS: ClassVar[tuple[str, ...]] = ("array", "bounds")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowExpr(Expr):
    """ROW(...), or the whole row of a relation (`names`: its columns; else the fields are f1, f2, ...)."""

    items: tuple[Expr, ...]
    type: Type = b.RECORD
    names: tuple[str, ...] = ()
    present: Expr | None = None  # the row is NULL where this is not true
    relation: int = 0  # oid of the table or view whose row it is
    PARTS: ClassVar[tuple[str, ...]] = ("items", "present")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSelect(Expr):
    """(record).field by its position, from 0."""

    arg: Expr
    field: int
    PARTS: ClassVar[tuple[str, ...]] = ("arg",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCompare(Expr):
    """(a, b) < (c, d): for each position its `=` and its strict comparison. operator: < <= > >=."""

    operator: str
    equalities: tuple[Function, ...]
    strict_operators: tuple[Function, ...]
    left: tuple[Expr, ...]
    right: tuple[Expr, ...]
    type: Type = b.BOOL
    PARTS: ClassVar[tuple[str, ...]] = ("left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class SortSpec:
    """ORDER BY inside an aggregate."""

    expr: Expr
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateCall(Expr):
    """Computed by the executor, which replaces the node by a Slot."""

    aggregate: Aggregate
    args: tuple[Expr, ...]
    distinct: bool = False
    order_by: tuple[SortSpec, ...] = ()
    filter: Expr | None = None
    direct: tuple[Expr, ...] = ()  # of an ordered-set aggregate: evaluated once for a group
    PARTS: ClassVar[tuple[str, ...]] = ("args", "filter", "direct")

    def children(self) -> tuple[Expr, ...]:
        found = [*self.args, *(spec.expr for spec in self.order_by), *self.direct]
        if self.filter is not None:
            found.append(self.filter)
        return tuple(found)

    def replace(self, change: Callable[[Expr], Expr]) -> Expr:
        order_by = tuple(dataclasses.replace(spec, expr=spec.expr.replace(change)) for spec in self.order_by)
        args = tuple(arg.replace(change) for arg in self.args)
        filter = None if self.filter is None else self.filter.replace(change)
        direct = tuple(expr.replace(change) for expr in self.direct)
        return change(dataclasses.replace(self, args=args, order_by=order_by, filter=filter, direct=direct))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingCall(Expr):
    """GROUPING(a, b): which of these keys the row's grouping set leaves out, one bit each."""

    args: tuple[Expr, ...]
    type: Type = b.INT4
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReturningCall(Expr):
    """A function that gives many rows; type is that of one of them."""

    function: Function
    args: tuple[Expr, ...]
    PARTS: ClassVar[tuple[str, ...]] = ("args",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subquery(Expr):
    """A sub-query in an expression, run by the executor as context.subplans[index].

    kind: 'scalar' | 'exists' | 'any' | 'all' | 'array'. left, operators: the tests of (left) operator ANY|ALL; columns
    holds a placeholder per column (Slot n of the sub-query's row) coerced as the operators want them.
    """

    kind: str
    index: int
    left: tuple[Expr, ...] = ()
    operators: tuple[Function, ...] = ()
    columns: tuple[Expr, ...] = dataclasses.field(default=(), compare=False)
    column: int = 0  # of a scalar one: which column of its row
    equalities: tuple[Function, ...] = ()  # of rows in order: `operators` are then strict, `or_equal` for <= and >=
    or_equal: bool = False
    plan: Any = dataclasses.field(default=None, compare=False)
    PARTS: ClassVar[tuple[str, ...]] = ("left",)


_LEAVES: Final = frozenset((Const, Param, Slot, OuterSlot))  # nothing is below these: no need to ask
