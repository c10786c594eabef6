"""Compiling expressions for their place in a plan: over that place's slots, with their subqueries planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.bound import BoundQuery, BoundStatement, SubqueryBinding, WritePart
from tausql.sql.binding.slots import remapped, subqueries_of
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.execution.run import Node, Row
from tausql.sql.execution.subplans import Subplan, Subplans, Value
from tausql.sql.expressions.compiler import compile_expr, compile_predicate, compile_projection
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import And, Expr
from tausql.sql.planning.describing import NO_NAMES, describe
from tausql.sql.planning.selectivity import TableFigures
from tausql.sql.tables import AccessCache, TableAccess

Layout = dict[int, int]  # virtual slot -> place in the row
Predicate = Callable[[Row, Context], bool]
Projection = Callable[[Row, Context], Row]

IDENTITY: Layout = {}


def _no_parts(planner: Planner, part: WritePart) -> Node:
    raise SqlError(Code.internal_error, "a part of WITH that writes was met where none can be")


class Planner:
    """What planning one statement shares. `plan_query` comes in from `planning.queries`, which needs this module."""

    __slots__ = (
        "_figures",
        "accesses",
        "cte_nodes",
        "disabled",
        "explained",
        "names",
        "plan_part",
        "plan_query",
        "recursive",
        "snapshot",
        "statement",
        "wants_literals",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        statement: BoundStatement,
        accesses: AccessCache,
        plan_query: Callable[[Planner, BoundQuery], Node],
    ) -> None:
        self.snapshot = snapshot
        self.statement = statement
        self.accesses = accesses
        self.plan_query = plan_query
        self.plan_part: Callable[[Planner, WritePart], Node] = _no_parts  # of WITH; `planning.statements` has it
        self.cte_nodes: dict[int, Node] = {}
        self.recursive: set[int] = set()
        self.disabled: frozenset[str] = frozenset()  # what enable_... settings turn off: "hashjoin"
        self.explained = False  # EXPLAIN wants expressions as text, nobody else does
        self.names: Mapping[int, str] = NO_NAMES  # of the block's slots, where it has several relations
        self.wants_literals = False  # knowing the statement's literals might make a better plan
        self._figures: dict[int, TableFigures] = {}

    @property
    def subqueries(self) -> Sequence[SubqueryBinding]:
        return self.statement.subqueries

    def figures(self, table: Table) -> TableFigures:
        found = self._figures.get(table.oid)
        if found is None:
            found = self._figures[table.oid] = TableFigures(self.snapshot, table)
        return found

    def access(self, table: Any) -> TableAccess:
        return self.accesses.of(self.snapshot, table)

    def describe(self, expr: Expr) -> str:
        return describe(expr, self.names) if self.explained else ""

    def describe_all(self, exprs: Sequence[Expr], word: str = " AND ") -> str:
        return word.join([describe(expr, self.names) for expr in exprs]) if self.explained else ""

    def value(self, expr: Expr, layout: Layout) -> Value:
        compiled: Value = compile_expr(remapped(expr, layout))
        return compiled

    def predicate(self, conjuncts: Sequence[Expr], layout: Layout) -> Predicate | None:
        """One predicate for all; None where there are none."""
        if not conjuncts:
            return None
        whole = conjuncts[0] if len(conjuncts) == 1 else And(args=tuple(conjuncts))
        compiled: Predicate = compile_predicate(remapped(whole, layout))
        return compiled

    def projection(self, exprs: Sequence[Expr], layout: Layout) -> Projection:
        compiled: Projection = compile_projection([remapped(expr, layout) for expr in exprs])
        return compiled

    def subplans(self, exprs: Sequence[Expr], layout: Layout) -> Subplans | None:
        """What must be prepared before these expressions are evaluated; None where they have no subqueries."""
        if not self.statement.subqueries:
            return None
        parts: list[Subplan] = []
        for index in self._in_order(exprs):
            binding = self.subqueries[index]
            node = self.plan_query(self, binding.query)
            correlations = [self.value(outer, layout) for outer in binding.correlations]
            parts.append(Subplan(index, binding.kind, node, correlations))
        return Subplans(parts) if parts else None

    def _in_order(self, exprs: Sequence[Expr]) -> list[int]:
        """The subqueries of expressions, those that others take values from (arguments of functions) first."""
        found: list[int] = []
        for index in subqueries_of(exprs):
            correlations = self.subqueries[index].correlations
            before = self._in_order(correlations) if correlations else []
            found += [one for one in (*before, index) if one not in found]
        return found
