"""What one statement's binding shares: the catalogue it sees, its parameters, and what it has met so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.bound import BoundQuery, Cte, Relation, RelationColumn, SubqueryBinding, TableSource, WritePart
from tausql.sql.binding.conversion import settled
from tausql.sql.binding.labels import fold
from tausql.sql.binding.lifting import lifted, links_of
from tausql.sql.binding.names import NameScope, Namespace, OuterLink
from tausql.sql.binding.recursive_calls import RecursiveFunction
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.objects import Domain, View
from tausql.sql.domains import base_type, checked_value
from tausql.sql.expressions import bind
from tausql.sql.expressions.nodes import AggregateCall, Expr
from tausql.sql.expressions.scope import BoundSubquery, DomainTarget, ParamTypes
from tausql.sql.expressions.window_nodes import Window
from tausql.sql.expressions.windows import DEFINITIONS, NESTED
from tausql.sql.permissions import Need
from tausql.sql.system import SystemRelation, SystemRelations
from tausql.sql.types import Type, type_by_oid
from tausql.sql.types.enums import is_enum_oid
from tausql.sql.types.records import CompositeType, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tausql.sql.binding.window_clause import WindowClause

SYSTEM_SCHEMAS = frozenset(("pg_catalog", "information_schema", "sys"))
RELATIONS_MAX = 500  # of one statement


def no_function(_scope: BlockScope, _schema: str | None, _name: str, _arguments: Sequence[exp.Expr]) -> None:
    """Where users' functions are not to be called."""


@dataclass(slots=True)
class CteBinding:
    """A WITH name in scope. `correlated_link`: the outer link it uses, which its references must share."""

    cte: Cte
    correlated_link: OuterLink | None


Env = Mapping[str, CteBinding]


class Binder:
    """State of binding one statement."""

    __slots__ = (
        "around",
        "as_role",
        "call_depth",
        "call_function",
        "call_role",
        "calling",
        "ctes",
        "locks",
        "named",
        "needs",
        "params",
        "query",
        "recursive",
        "relations",
        "relies",
        "root",
        "search_path",
        "session_path",
        "snapshot",
        "stars",
        "subqueries",
        "system",
        "system_used",
        "tables",
        "view_checks",
        "view_defaults",
        "view_depth",
        "write",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        search_path: tuple[str, ...],
        params: ParamTypes,
        system: SystemRelations | None,
        query: Callable[[Binder, exp.Expr, OuterLink | None, Env], BoundQuery],
        call_function: Callable[[BlockScope, str | None, str, Sequence[exp.Expr]], Expr | None] = no_function,
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
        self.relies: dict[int, int] = {}  # versions of views and functions, by oid
        self.needs: dict[Need, None] = {}
        self.as_role = 0  # whose rights count: 0 the user's, else a view's owner
        self.view_depth = 0
        self.call_depth = 0  # of users' functions, one in the place of another's call
        self.calling: list[int] = []  # the functions whose bodies are being bound
        self.recursive: dict[int, RecursiveFunction] = {}  # those that called themselves
        self.call_role = 0  # as `as_role`, of functions: a view's owner does not call them, SECURITY DEFINER does
        self.session_path = search_path  # what a function's body is looked up by, in a view too
        self.call_function = call_function
        self.view_checks: list[tuple[str, Expr]] = []  # check options of the view that is written to
        self.view_defaults: dict[int, str] = {}  # its own defaults, by the table's position
        self.root: exp.Expr | None = None
        self.write: Callable[[Binder, exp.Expr], WritePart] | None = None  # binds INSERT, UPDATE, DELETE in WITH
        self.around: Env = {}  # the WITH queries that a statement in WITH may use
        self.named: frozenset[str] | None = None  # every column name in the statement, "*" among them
        self.stars: list[tuple[exp.Expr, list[tuple[str, str]]]] | None = None  # what each * stood for, if asked

    def need(self, need: Need, schema: str) -> None:
        self.needs[need] = None
        found = self.snapshot.objects.schemas.get(schema)
        if found is not None:
            self.needs[Need(found.oid, "U", (), need.role)] = None

    def need_table(self, table: Table, letters: str, columns: Sequence[int] | None = None) -> None:
        """Privileges on a table. `columns`: attnums, where it is known which matter."""
        attnums: tuple[int, ...] = ()
        if any(column.acl is not None for column in table.columns):
            if columns is None:
                named = self._names()
                columns = [c.position + 1 for c in table.live_columns if "*" in named or c.name in named]
            attnums = tuple(columns)
        self.need(Need(table.oid, letters, attnums, self.as_role), table.schema)

    def _names(self) -> frozenset[str]:
        """Every column name the statement reads by, "*" for all of them."""
        if self.named is None:
            self.named = frozenset(_names_read(self.root)) if self.root is not None else frozenset()
        return self.named

    def find_domain(self, schema: str | None, name: str) -> Domain | None:
        domains = self.snapshot.objects.domains
        if not domains:
            return None
        for candidate in (schema,) if schema is not None else self.search_path:
            domain = domains.get((candidate, name))
            if domain is not None:
                self.relies[domain.oid] = domain.version
                return domain
        return None

    def domain_of(self, oid: int) -> Domain | None:
        """The domain of a column."""
        found = self.snapshot.objects.by_oid.get(oid)
        if not isinstance(found, Domain):
            return None
        self.relies[oid] = found.version
        return found

    def find_view(self, schema: str | None, name: str) -> View | None:
        views = self.snapshot.objects.views
        for candidate in (schema,) if schema is not None else self.search_path:
            view = views.get((candidate, name))
            if view is not None:
                return view
        return None

    def find_sequence(self, schema: str | None, name: str) -> SystemRelation | None:
        """A sequence, as what can be read of it."""
        sequences = self.snapshot.objects.sequences
        for candidate in (schema,) if schema is not None else self.search_path:
            sequence = sequences.get((candidate, name))
            if sequence is not None and self.system is not None:
                self.system_used = True
                self.need(Need(sequence.oid, "r", (), self.as_role), sequence.schema)
                return self.system.sequence(sequence)
        return None

    def find_table(self, schema: str | None, name: str) -> Table | None:
        table = self.snapshot.find(schema, name, self.search_path)
        if table is not None:
            self.tables[table.oid] = table
            if self.snapshot.objects.domains:
                self._rely_on_enums(table)
        return table

    def _rely_on_enums(self, table: Table) -> None:
        """What is read of an enum column means what its type's labels say."""
        for column in table.columns:
            if column.domain and is_enum_oid(column.type_oid):
                self.domain_of(column.domain)

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


def _names_read(root: exp.Expr) -> Iterator[str]:
    written = {
        id(item.this) for node in root.find_all(exp.Update, exp.OnConflict) for item in node.expressions
        if isinstance(item, exp.EQ)
    }  # fmt: skip
    for node in root.find_all(exp.Column, exp.Star):
        if isinstance(node, exp.Star):
            if not isinstance(node.parent, (exp.Anonymous, exp.Func)):  # count(*) reads no column
                yield "*"
        elif id(node) not in written:
            yield fold(node.this) or "*"


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
    return Relation(alias, TableSource(table), columns, base, len(table.columns) + 1, row_type=table.oid)


class BlockScope:
    """`expressions.Scope` of one query block. `clause` is what error messages call the place being bound."""

    __slots__ = ("aggregates_allowed", "binder", "clause", "env", "names", "params", "sets_allowed", "windows",
                 "windows_allowed")  # fmt: skip

    def __init__(self, binder: Binder, namespace: Namespace, link: OuterLink | None, env: Env) -> None:
        self.binder = binder
        self.params: ParamTypes = binder.params
        self.names = NameScope(namespace, link)
        self.env = env
        self.clause = "SELECT"
        self.aggregates_allowed = False
        self.sets_allowed = False
        self.windows_allowed = False
        self.windows: WindowClause | None = None

    def in_clause(self, clause: str, aggregates: bool = False, sets: bool = False, windows: bool = False) -> BlockScope:
        self.clause = clause
        self.aggregates_allowed = aggregates
        self.sets_allowed = sets
        self.windows_allowed = windows
        return self

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        return self.names.resolve(parts)

    def user_call(self, schema: str | None, name: str, arguments: Sequence[exp.Expr]) -> Expr | None:
        if schema is None and not self.binder.snapshot.objects.functions:
            return None
        return self.binder.call_function(self, schema, name, arguments)

    def domain(self, parts: tuple[str, ...]) -> DomainTarget | None:
        found = self.binder.find_domain(parts[0] if len(parts) > 1 else None, parts[-1])
        if found is None:
            return None
        type_, typmod = base_type(found)
        return DomainTarget(type_, typmod, partial(checked_value, found))

    def row_type(self, parts: tuple[str, ...]) -> Type | None:
        table = self.binder.find_table(parts[0] if len(parts) > 1 else None, parts[-1])
        if table is None:
            return None
        columns = [(column.name, type_by_oid(column.type_oid), column.typmod) for column in table.columns
                   if not column.dropped]  # fmt: skip
        return CompositeType(shape_of(columns, table.name))

    def bind_subquery(self, query: exp.Expr, kind: str) -> BoundSubquery:
        link = OuterLink(self.names, self.check_aggregate)
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

    def outer_mark(self) -> list[int]:
        return [len(link.correlations) for link in links_of(self.names)]

    def lifted(self, call: AggregateCall, mark: list[int]) -> Expr | None:
        return lifted(self.names, call, mark)

    def check_set_returning(self, name: str) -> None:
        if not self.sets_allowed:
            raise not_supported(f"set-returning functions are not allowed in {self.clause}")

    def check_window(self) -> None:
        if self.windows_allowed:
            return
        if self.clause == NESTED:
            raise SqlError(Code.windowing_error, "window function calls cannot be nested")
        raise SqlError(Code.windowing_error, f"window functions are not allowed in {self.clause}")

    def named_window(self, name: str) -> tuple[Window, bool]:
        if self.windows is None:
            raise SqlError(Code.undefined_object, f'window "{name}" does not exist')
        return self.windows.find(self, name)

    @contextmanager
    def within(self, clause: str) -> Iterator[None]:
        before = (self.clause, self.aggregates_allowed, self.sets_allowed, self.windows_allowed)
        offsets = clause not in (NESTED, DEFINITIONS)
        self.in_clause(clause, aggregates=self.aggregates_allowed and not offsets, sets=self.sets_allowed)
        try:
            yield
        finally:
            self.in_clause(*before)

    def expression(self, node: exp.Expr) -> Expr:
        return bind(node, self)
