"""Whether a query's conditions imply a partial index's predicate: only then does every row it wants have an entry.

Only what can be seen from constants: the predicate's own conjuncts among the conditions, comparisons of the same column
that leave no more rows over, and IS NOT NULL of a column that anything strict is asked of. A parameter implies nothing,
since the plan must hold for every value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tausql.sql.binding.bound import Relation, SubqueryBinding
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.expressions.nodes import And, Expr, Slot
from tausql.sql.planning.conditions import ColumnTest, Condition, column_test, condition, same
from tausql.sql.planning.selectivity import UNKNOWN, constant_value
from tausql.sql.types import type_by_oid
from tausql.sql.types.ordering import is_orderable, sort_key


def implied(
    predicate: Expr,
    conditions: Sequence[Condition],
    tests: Sequence[ColumnTest],
    relation: Relation,
    table: Table,
    subqueries: Sequence[SubqueryBinding],
) -> bool:
    """`predicate` is over slots by position; `tests` are those of `conditions` that have that form."""
    return all(_conjunct(part, conditions, tests, relation, table, subqueries) for part in _conjuncts(predicate))


def predicate_tests(
    predicate: Expr, relation: Relation, table: Table, subqueries: Sequence[SubqueryBinding]
) -> list[ColumnTest]:
    """The predicate's conjuncts that are tests of one column, as if they were a query's."""

    def placed(node: Expr) -> Expr:
        return _moved(node, relation.base) if isinstance(node, Slot) else node

    parts = [condition(part.replace(placed), subqueries) for part in _conjuncts(predicate)]
    found = [column_test(part, relation, table, subqueries) for part in parts]
    return [test for test in found if test is not None]


def _conjuncts(expr: Expr) -> list[Expr]:
    if isinstance(expr, And):
        return [part for arg in expr.args for part in _conjuncts(arg)]
    return [expr]


def _conjunct(
    part: Expr,
    conditions: Sequence[Condition],
    tests: Sequence[ColumnTest],
    relation: Relation,
    table: Table,
    subqueries: Sequence[SubqueryBinding],
) -> bool:
    if any(same(one.expr, part, relation.base) for one in conditions):
        return True
    found = predicate_tests(part, relation, table, subqueries)
    if len(found) != 1:
        return False
    (wanted,) = found
    return any(test.position == wanted.position and _test_implies(test, wanted, table) for test in tests)


def _moved(slot: Slot, base: int) -> Slot:
    return Slot(slot=slot.slot + base, type=slot.type, typmod=slot.typmod, name=slot.name)


def _test_implies(test: ColumnTest, wanted: ColumnTest, table: Table) -> bool:
    if wanted.operator == "not null":
        return test.operator not in ("null",)
    if test.operator in ("null", "not null"):
        return test.operator == wanted.operator
    type = type_by_oid(table.columns[test.position].type_oid)
    if test.array or wanted.array or not is_orderable(type) or wanted.operator == "null":
        return False
    key = sort_key(type)
    values = _values(test, key)
    bounds = _values(wanted, key)
    if values is None or bounds is None:
        return False
    if test.operator in ("=", "in"):
        return all(_passes(value, wanted.operator, bounds) for value in values)
    if len(values) != 1 or len(bounds) != 1:
        return False
    return _narrower(test.operator, values[0], wanted.operator, bounds[0])


def _values(test: ColumnTest, key: Any) -> list[Any] | None:
    """Sort keys of a test's values, None where one is not known now. NULLs pass no test and are left out."""
    made: list[Any] = []
    for expr in test.values:
        value = constant_value(expr)
        if value is UNKNOWN:
            return None
        if value is not None:
            made.append(key(value))
    return made


def _passes(value: Any, operator: str, bounds: list[Any]) -> bool:
    if operator in ("=", "in"):
        return value in bounds
    if not bounds:
        return False
    bound = bounds[0]
    if operator == "<>":
        return bool(value != bound)
    if operator in ("<", "<="):
        return bool(value < bound or (operator == "<=" and value == bound))
    return bool(value > bound or (operator == ">=" and value == bound))


def _narrower(operator: str, value: Any, wanted: str, bound: Any) -> bool:
    """Whether every value that is `operator value` is `wanted bound`."""
    if operator == "<>":
        return wanted == "<>" and bool(value == bound)
    below = operator in ("<", "<=")
    if wanted == "<>":
        return bool(value < bound if below else value > bound) or (value == bound and operator in ("<", ">"))
    if wanted not in ("<", "<=", ">", ">=") or below != (wanted in ("<", "<=")):
        return False
    if value == bound:
        return operator in ("<", ">") or wanted in ("<=", ">=")
    return bool(value < bound) == below
