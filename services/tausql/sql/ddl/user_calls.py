"""Users' functions in a table's expressions while those are only being written down: what type a call has.

A statement that reads or writes the table binds the call in earnest. Here nothing is run, so a value of the right type
stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from tausql.protocol.errors import not_supported
from tausql.sql.catalogue.descriptors import Column, Snapshot
from tausql.sql.catalogue.objects import Domain, Function
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.enum_literals import LabelsMet, pinned
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.ddl.stored_texts import call_parts, find_functions, qualify_calls
from tausql.sql.expressions import bind, coerce
from tausql.sql.expressions.nodes import Const, Expr
from tausql.sql.expressions.parsing import parse
from tausql.sql.expressions.scope import DomainTarget
from tausql.sql.stored_expressions import CHECK, Clause, RowScope
from tausql.sql.types import Type, type_by_oid


class DefinitionScope(RowScope):
    """The scope of a CHECK or a DEFAULT in its definition."""

    __slots__ = ("search_path", "snapshot")

    def __init__(self, change: SchemaChange, table: str, columns: Sequence[Column], clause: Clause) -> None:
        super().__init__(table, columns, clause)
        self.snapshot = change.snapshot
        self.search_path = change.search_path
        if change.snapshot.objects.domains:
            self.params.labels = LabelsMet(change.snapshot.objects)

    def user_call(self, schema: str | None, name: str, arguments: Sequence[exp.Expr]) -> Expr | None:
        candidates = find_functions(self.snapshot, schema, name, self.search_path)
        if not candidates:
            return None
        given = [bind(argument, self) for argument in arguments]
        for function in candidates:
            if not function.returns_set and _takes(self.snapshot, function, given):
                if self.clause is CHECK and self._reads_tables(function, set()):
                    raise not_supported(f"function {function.name} reads tables: not supported in check constraints")
                return Const(value=None, type=_base(self.snapshot, function.returns_oid))
        return None

    def domain(self, parts: tuple[str, ...]) -> DomainTarget | None:
        """An enum type; a domain's checks have no place in an expression that is kept."""
        for schema in parts[:-1] or self.search_path:
            found = self.snapshot.objects.domains.get((schema, parts[-1]))
            if found is not None and found.is_enum:
                return DomainTarget(type_by_oid(found.oid), -1, lambda expr: expr)
        return None

    def _reads_tables(self, function: Function, seen: set[int]) -> bool:
        """Whether its body, or that of a function it calls, has a query with tables: a row is checked on its own."""
        seen.add(function.oid)
        for statement in parse(function.body):
            if statement.find(exp.Table) is not None:
                return True
            for call in statement.find_all(exp.Anonymous):
                for called in find_functions(self.snapshot, *call_parts(call), self.search_path):
                    if called.oid not in seen and self._reads_tables(called, seen):
                        return True
        return False


def _takes(snapshot: Snapshot, function: Function, given: Sequence[Expr]) -> bool:
    wanted = [argument for argument in function.arguments if argument.mode in ("i", "b")]
    needed = sum(1 for argument in wanted if argument.default is None)
    if not needed <= len(given) <= len(wanted):
        return False
    return all(
        coerce(value, _base(snapshot, argument.type_oid)) is not None
        for value, argument in zip(given, wanted, strict=False)
    )


def _base(snapshot: Snapshot, oid: int) -> Type:
    """A type, or what a domain is made of."""
    item = snapshot.objects.by_oid.get(oid)
    return type_by_oid(item.base_oid if isinstance(item, Domain) else oid)


def kept_text(change: SchemaChange, node: exp.Expr, scope: RowScope) -> str:
    """An expression of a table as the catalogue keeps it: users' functions and sequences with their schemas, labels as
    the values they are. `scope`: what it was bound in."""
    holder = exp.Paren(this=node.copy())
    qualify_calls(holder, change.snapshot, change.search_path)
    return expression_text(pinned(holder.this, scope.params.labels))
