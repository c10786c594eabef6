"""What one statement's binding shares: the catalogue it sees, its parameters, and what it has met so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.bound import BoundQuery, Cte, Relation, RelationColumn, SubqueryBinding, TableSource
from tausql.sql.binding.conversion import settled
from tausql.sql.binding.names import NameScope, Namespace, OuterLink
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.expressions import bind
from tausql.sql.expressions.nodes import Expr
from tausql.sql.expressions.scope import BoundSubquery, ParamTypes
from tausql.sql.system import SystemRelation, SystemRelations
from tausql.sql.types import type_by_oid

if TYPE_CHECKING:
    from collections.abc import Callable

SYSTEM_SCHEMAS = frozenset(("pg_catalog", "information_schema", "sys"))
RELATIONS_MAX = 500  # of one statement


@dataclass(slots=True)
class CteBinding:
    """A WITH name in scope. `correlated_link`: the outer link it uses, which its references must share."""

    cte: Cte
    correlated_link: OuterLink | None


Env = Mapping[str, CteBinding]


class Binder:
    """State of binding one statement."""

    __slots__ = ("ctes", "locks", "params", "query", "relations", "search_path", "snapshot", "subqueries", "system",
                 "system_used", "tables")  # fmt: skip

    def __init__(
        self,
        snapshot: Snapshot,
        search_path: tuple[str, ...],
        params: ParamTypes,
        system: SystemRelations | None,
        query: Callable[[Binder, exp.Expr, OuterLink | None, Env], BoundQuery],
    ) -> None:
        self.snapshot = snapshot
        self.search_path = search_path
        self.params = params
        self.system = system
        self.query = query
        self.subqueries: list[SubqueryBinding] = []
        self.ctes: list[Cte] = []
        self.tables: dict[int, Table] = {}
        self.relations = 0
        self.locks = False
        self.system_used = False

    def find_table(self, schema: str | None, name: str) -> Table | None:
        table = self.snapshot.find(schema, name, self.search_path)
        if table is not None:
            self.tables[table.oid] = table
        return table

    def find_system(self, schema: str | None, name: str) -> SystemRelation | None:
        relation = self.system.find(schema, name, self.search_path) if self.system is not None else None
        if relation is not None:
            self.system_used = True
        return relation

    def undefined_table(self, schema: str | None, name: str) -> SqlError:
        """42P01, or 3F000's relative for a schema that is not there (PostgreSQL says 42P01 for both in queries)."""
        full = name if schema is None else f"{schema}.{name}"
        return SqlError(Code.undefined_table, f'relation "{full}" does not exist')

    def target_table(self, schema: str | None, name: str) -> Table:
        """The table an INSERT, UPDATE or DELETE names."""
        table = self.find_table(schema, name)
        if table is not None:
            return table
        if self.find_system(schema, name) is not None:
            raise SqlError(Code.insufficient_privilege, f"permission denied for table {name}")
        raise self.undefined_table(schema, name)

    def count_relation(self) -> None:
        self.relations += 1
        if self.relations > RELATIONS_MAX:
            raise SqlError(Code.statement_too_complex, f"statement reads more than {RELATIONS_MAX} relations")


def table_relation(table: Table, alias: str, base: int) -> Relation:
    """A table as a relation: all columns by position (dropped ones have a slot, but no name), and the row's key."""
    columns = [
        RelationColumn(
            column.name,
            type_by_oid(column.type_oid),
            column.typmod,
            base + column.position,
            table.oid,
            column.position + 1,
        )
        for column in table.columns
        if not column.dropped
    ]
    return Relation(alias, TableSource(table), columns, base, len(table.columns) + 1)


class BlockScope:
    """`expressions.Scope` of one query block. `clause` is what error messages call the place being bound."""

    __slots__ = ("aggregates_allowed", "binder", "clause", "env", "names", "params", "sets_allowed")

    def __init__(self, binder: Binder, namespace: Namespace, link: OuterLink | None, env: Env) -> None:
        self.binder = binder
        self.params: ParamTypes = binder.params
        self.names = NameScope(namespace, link)
        self.env = env
        self.clause = "SELECT"
        self.aggregates_allowed = False
        self.sets_allowed = False

    def in_clause(self, clause: str, aggregates: bool = False, sets: bool = False) -> BlockScope:
        self.clause = clause
        self.aggregates_allowed = aggregates
        self.sets_allowed = sets
        return self

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        return self.names.resolve(parts)

    def bind_subquery(self, query: exp.Expr, kind: str) -> BoundSubquery:
        link = OuterLink(self.names)
        bound = settled(self.binder.query(self.binder, query, link, self.env), self.params)
        if kind in ("scalar", "array") and len(bound.columns) != 1:
            raise SqlError(Code.syntax_error, "subquery must return only one column")
        index = len(self.binder.subqueries)
        binding = SubqueryBinding(index, kind, bound, link.correlations)
        self.binder.subqueries.append(binding)
        return BoundSubquery(index, tuple((column.type, column.typmod) for column in bound.columns), binding)

    def check_aggregate(self, name: str) -> None:
        if not self.aggregates_allowed:
            raise SqlError(Code.grouping_error, f"aggregate functions are not allowed in {self.clause}")

    def check_set_returning(self, name: str) -> None:
        if not self.sets_allowed:
            raise not_supported(f"set-returning functions are not allowed in {self.clause}")

    def expression(self, node: exp.Expr) -> Expr:
        return bind(node, self)
