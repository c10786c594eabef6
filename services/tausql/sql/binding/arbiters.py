"""ON CONFLICT (...): which unique indexes a row may collide with without that being an error."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.labels import fold
from tausql.sql.binding.sources import conjuncts
from tausql.sql.catalogue.descriptors import Index, Table
from tausql.sql.expressions.nodes import Expr, Slot
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.stored_expressions import INDEX_EXPRESSION, INDEX_PREDICATE, RowScope, bound_condition, bound_expression


def arbiters(table: Table, node: exp.Expr) -> tuple[int, ...] | None:
    """Oids of the indexes ON CONFLICT names or infers, 0 for the primary key; None: any. Raises 42P10, 42703, 42704."""
    constraint = node.args.get("constraint")
    if constraint is not None:
        name = fold(constraint)
        if table.primary_key and name == table.primary_key_name:
            return (0,)
        for index in table.indexes:
            if index.name == name and index.constraint:
                return (index.oid,)
        raise SqlError(Code.undefined_object, f'constraint "{name}" for table "{table.name}" does not exist')
    keys = node.args.get("conflict_keys")
    if not keys:
        return None
    wanted: set[int] = set()
    expressions: list[Expr] = []
    scope = RowScope(table.name, table.columns, INDEX_EXPRESSION)
    for key in keys:
        expr = bound_expression(_inferred(key), scope)
        if isinstance(expr, Slot):
            wanted.add(expr.slot)
        else:
            expressions.append(expr)
    predicate = node.args.get("index_predicate")
    where = None
    if predicate is not None:
        condition = predicate.this if isinstance(predicate, exp.Where) else predicate
        where = bound_condition(condition, RowScope(table.name, table.columns, INDEX_PREDICATE), "WHERE")
    found: list[int] = []
    if table.primary_key and not expressions and wanted == set(table.primary_key):
        found.append(0)
    found.extend(index.oid for index in table.indexes if _is_arbiter(table, index, wanted, expressions, where))
    if not found:
        raise _no_arbiter()
    return tuple(found)


def _inferred(key: exp.Expr) -> exp.Expr:
    node = key.this if isinstance(key, exp.Ordered) else key
    while isinstance(node, exp.Paren):
        node = node.this
    return exp.Column(this=node) if isinstance(node, exp.Identifier) else node


def _is_arbiter(table: Table, index: Index, wanted: set[int], expressions: list[Expr], where: Expr | None) -> bool:
    """Whether ON CONFLICT (wanted, expressions) WHERE where means this index: the same columns and expressions, and
    rows for which its predicate is implied."""
    if not index.unique or {at for at in index.columns if at >= 0} != wanted:
        return False
    if len(index.expressions) != len(expressions):
        return False
    scope = RowScope(table.name, table.columns, INDEX_EXPRESSION)
    own = [bound_expression(parse_expression(text), scope) for text in index.expressions]
    if any(expr not in expressions for expr in own):
        return False
    if index.predicate is None:
        return True
    if where is None:
        return False
    needed = bound_condition(
        parse_expression(index.predicate), RowScope(table.name, table.columns, INDEX_PREDICATE), "WHERE"
    )
    given = conjuncts(where)
    return all(part in given for part in conjuncts(needed))


def _no_arbiter() -> SqlError:
    return SqlError(
        Code.invalid_column_reference,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    )
