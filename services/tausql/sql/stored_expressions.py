"""Expressions a table keeps as SQL text (CHECK, generated columns, index expressions and predicates), over its rows.

They are bound where there is no statement around them: when they are written down, when a row is written by a job, and
when an index entry is made. So they know nothing but one table's columns: no parameters, no subqueries, no other row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Column
from tausql.sql.expressions import ParamTypes, as_boolean, assign, bind, compile_expr, settle, walk
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Expr, Slot
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.scope import BoundSubquery, DomainTarget
from tausql.sql.types import Type, type_by_oid

Compiled = Callable[[Sequence[Any], Context], Any]


class Clause:
    """What error messages call the place an expression stands in: alone, and as a kind."""

    __slots__ = ("kind", "single")

    def __init__(self, single: str, kind: str) -> None:
        self.single = single
        self.kind = kind


CHECK = Clause("check constraint", "check constraints")
DEFAULT = Clause("DEFAULT expression", "DEFAULT expressions")
GENERATED = Clause("column generation expression", "column generation expressions")
INDEX_EXPRESSION = Clause("index expression", "index expressions")
INDEX_PREDICATE = Clause("index predicate", "index predicates")


class RowScope:
    """The columns of one table, each a slot at its position."""

    __slots__ = ("clause", "columns", "params", "table")

    def __init__(self, table: str, columns: Sequence[Column], clause: Clause) -> None:
        self.table = table
        self.columns = {column.name: column for column in columns if not column.dropped}
        self.clause = clause
        self.params = ParamTypes()

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        if self.clause is DEFAULT:
            raise not_supported("cannot use column reference in DEFAULT expression")
        if len(parts) > 1 and parts[-2] != self.table:
            raise SqlError(Code.undefined_table, f'missing FROM-clause entry for table "{parts[-2]}"')
        column = self.columns.get(parts[-1])
        if column is None:
            raise SqlError(Code.undefined_column, f'column "{parts[-1]}" does not exist')
        if self.clause is GENERATED and column.generated is not None:
            raise SqlError(
                Code.invalid_object_definition,
                f'cannot use generated column "{column.name}" in column generation expression',
                detail="A generated column cannot reference another generated column.",
            )
        type = type_by_oid(column.type_oid)
        return Slot(slot=column.position, type=type, typmod=column.typmod, name=column.name)

    def bind_subquery(self, query: exp.Expr, kind: str) -> BoundSubquery:
        raise not_supported(f"cannot use subquery in {self.clause.single}")

    def user_call(self, schema: str | None, name: str, arguments: Sequence[exp.Expr]) -> Expr | None:
        return None

    def domain(self, parts: tuple[str, ...]) -> DomainTarget | None:
        return None

    def row_type(self, parts: tuple[str, ...]) -> Type | None:
        return None

    def check_aggregate(self, name: str) -> None:
        raise SqlError(Code.grouping_error, f"aggregate functions are not allowed in {self.clause.kind}")

    def check_set_returning(self, name: str) -> None:
        raise not_supported(f"set-returning functions are not allowed in {self.clause.kind}")


def bound_expression(node: exp.Expr, scope: RowScope) -> Expr:
    """An expression of a table, typed. Raises SqlError for what may not stand there."""
    if node.find(exp.Window) is not None:
        raise SqlError(Code.windowing_error, f"window functions are not allowed in {scope.clause.kind}")
    expr = bind(node, scope)
    if len(scope.params):
        raise SqlError(Code.undefined_parameter, "there is no parameter $1")
    return settle(expr, scope.params)


def bound_condition(node: exp.Expr, scope: RowScope, what: str) -> Expr:
    """A CHECK or the WHERE of an index. Raises 42804 where it is not boolean."""
    return as_boolean(bound_expression(node, scope), what, scope.params)


def bound_value(node: exp.Expr, scope: RowScope, column: Column) -> Expr:
    """A default or a generated value, fitted to its column."""
    if node.find(exp.Window) is not None:
        raise SqlError(Code.windowing_error, f"window functions are not allowed in {scope.clause.kind}")
    expr = bind(node, scope)
    if len(scope.params):
        raise SqlError(Code.undefined_parameter, "there is no parameter $1")
    return assign(expr, type_by_oid(column.type_oid), column.typmod, column.name, scope.params)


def columns_used(expr: Expr) -> set[int]:
    """Positions of the columns an expression reads."""
    return {node.slot for node in walk(expr) if isinstance(node, Slot)}


def compiled_index_expression(table: str, columns: Sequence[Column], text: str) -> tuple[Expr, Compiled]:
    """An index expression as a function of the row, and as bound."""
    expr = bound_expression(parse_expression(text), RowScope(table, columns, INDEX_EXPRESSION))
    return expr, compile_expr(expr)


def compiled_predicate(table: str, columns: Sequence[Column], text: str) -> tuple[Expr, Compiled]:
    """The WHERE of a partial index as a function of the row (True, False or None), and as bound."""
    expr = bound_condition(parse_expression(text), RowScope(table, columns, INDEX_PREDICATE), "WHERE")
    return expr, compile_expr(expr)


def compiled_check(table: str, columns: Sequence[Column], text: str) -> Compiled:
    """A CHECK as a function of the row: True, False or None."""
    return compile_expr(bound_condition(parse_expression(text), RowScope(table, columns, CHECK), "CHECK"))


def compiled_generated(table: str, columns: Sequence[Column]) -> list[tuple[int, Compiled]]:
    """(position, value of the row) of every generated column."""
    found: list[tuple[int, Compiled]] = []
    for column in columns:
        if column.generated is not None and not column.dropped:
            others = [other for other in columns if other.generated is None]
            scope = RowScope(table, others, GENERATED)
            found.append(
                (column.position, compile_expr(bound_value(parse_expression(column.generated), scope, column)))
            )
    return found
