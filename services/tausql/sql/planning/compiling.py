"""Compiling expressions for their place in a plan: over that place's slots, with their subqueries planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.sql.binding.bound import BoundQuery, BoundStatement, SubqueryBinding
from tausql.sql.binding.slots import remapped, subqueries_of
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.execution.run import Node, Row
from tausql.sql.execution.subplans import Subplan, Subplans, Value
from tausql.sql.expressions.compiler import compile_expr, compile_predicate, compile_projection
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import And, Expr
from tausql.sql.tables import AccessCache, TableAccess

Layout = dict[int, int]  # virtual slot -> place in the row
Predicate = Callable[[Row, Context], bool]
Projection = Callable[[Row, Context], Row]

IDENTITY: Layout = {}


class Planner:
    """What planning one statement shares. `plan_query` comes in from `planning.queries`, which needs this module."""

    __slots__ = ("accesses", "cte_nodes", "plan_query", "recursive", "snapshot", "statement")

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
        self.cte_nodes: dict[int, Node] = {}
        self.recursive: set[int] = set()

    @property
    def subqueries(self) -> Sequence[SubqueryBinding]:
        return self.statement.subqueries

    def access(self, table: Any) -> TableAccess:
        return self.accesses.of(self.snapshot, table)

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
        parts: list[Subplan] = []
        for index in subqueries_of(exprs):
            binding = self.subqueries[index]
            node = self.plan_query(self, binding.query)
            correlations = [self.value(outer, layout) for outer in binding.correlations]
            parts.append(Subplan(index, binding.kind, node, correlations))
        return Subplans(parts) if parts else None
