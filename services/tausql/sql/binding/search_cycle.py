"""SEARCH and CYCLE of WITH RECURSIVE, as what they stand for: columns that each round computes from the round before.

SEARCH DEPTH FIRST keeps the path of rows to a row, BREADTH FIRST its distance from the first; CYCLE keeps the path too,
marks a row that is on it already, and goes no further from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.labels import fold
from tausql.sql.binding.recursion import references
from tausql.sql.expressions.parsing import parse
from tausql.sql.expressions.token_edits import MARK
from tausql.sql.expressions.with_clauses import clause_of

_INNER = "q" + MARK


@dataclass(slots=True)
class SearchCycle:
    """The clauses of one WITH query; empty names where a clause is not there."""

    search_by: list[str]
    breadth: bool
    sequence: str
    cycle_by: list[str]
    mark: str
    path: str
    marked: exp.Expr
    unmarked: exp.Expr

    @property
    def columns(self) -> list[str]:
        return [name for name in (self.sequence, self.mark, self.path) if name]


def clauses_of(node: exp.Expr) -> dict[str, SearchCycle]:
    """Those of a whole WITH clause, by the name of their query. Raises 42601 for a query that is not recursive."""
    found: dict[str, SearchCycle] = {}
    for at, item in enumerate(node.expressions):
        own = read_clauses(node) if at == len(node.expressions) - 1 else None
        text = clause_of(item)
        if text:
            (parsed,) = parse(f"WITH RECURSIVE q AS (SELECT 1) {text} SELECT 1")
            own = read_clauses(parsed.args["with_"])
        if own is None:
            continue
        name = fold(item.args["alias"].this)
        if not node.args.get("recursive") or not references(item.this, name):
            raise SqlError(Code.syntax_error, "WITH query is not recursive")
        found[name] = own
    return found


def read_clauses(clause: exp.Expr) -> SearchCycle | None:
    """Of a WITH clause; sqlglot knows them behind its last query only."""
    found = [node for node in (clause.args.get("search"), clause.args.get("cycle")) if node is not None]
    if not found:
        return None
    made = SearchCycle([], False, "", [], "", "", exp.true(), exp.false())
    for node in found:
        by = fold(node.this).split(MARK)  # several names come as one
        if node.args["kind"] == "CYCLE":
            made.cycle_by, made.mark = by, fold(node.expression)
            made.path = fold(node.args["using"]) if node.args.get("using") else ""
            if node.args.get("to"):
                made.marked, made.unmarked = node.args["to"], node.args["default"]
        else:
            made.search_by, made.sequence, made.breadth = by, fold(node.expression), node.args["kind"] == "BREADTH"
    return made


def rewritten(union: Any, name: str, columns: Sequence[str], clauses: SearchCycle) -> exp.Expr:
    """The recursive query with the clauses' columns behind its own `columns`."""
    _check(columns, clauses)
    first, again = union.this, union.expression
    for query, side in ((first, "left"), (again, "right")):
        if not isinstance(query, (exp.Select, exp.Values)):
            raise not_supported(f"with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT")
    (table,) = references(again, name)
    if table.find_ancestor(exp.Select) is not again:
        raise not_supported(
            "with a SEARCH or CYCLE clause, the recursive reference to WITH query "
            f'"{name}" must be at the top level of its right-hand SELECT'
        )
    made: exp.Expr = union.copy()
    made.set("this", _first(first, columns, clauses))
    made.set("expression", _again(again, table.alias_or_name, columns, clauses))
    return made


def _check(columns: Sequence[str], clauses: SearchCycle) -> None:
    for what, names in (("search", clauses.search_by), ("cycle", clauses.cycle_by)):
        for at, name in enumerate(names):
            if name not in columns:
                raise SqlError(Code.syntax_error, f'{what} column "{name}" not in WITH query column list')
            if name in names[:at]:
                raise SqlError(Code.duplicate_column, f'{what} column "{name}" specified more than once')
    for what, name in (
        ("search sequence", clauses.sequence), ("cycle mark", clauses.mark), ("cycle path", clauses.path),
    ):  # fmt: skip
        if name and name in columns:
            raise SqlError(Code.syntax_error, f'{what} column name "{name}" already used in WITH query column list')
    if clauses.mark and clauses.mark == clauses.path:
        raise SqlError(Code.syntax_error, "cycle mark column name and cycle path column name are the same")
    for what, name in (("cycle mark", clauses.mark), ("cycle path", clauses.path)):
        if name and name == clauses.sequence:
            raise SqlError(Code.syntax_error, f"search sequence column name and {what} column name are the same")


def _column(name: str, table: str = _INNER) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))


def _row(names: Sequence[str], *before: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=MARK + "row", expressions=[*before, *(_column(name) for name in names)])


def _list_of(row: exp.Expr) -> exp.Expr:
    return exp.Array(expressions=[row])


def _named(expression: exp.Expr, name: str) -> exp.Expr:
    return exp.Alias(this=expression, alias=exp.to_identifier(name, quoted=True))


def _over(query: Any, columns: Sequence[str], extra: list[exp.Expr]) -> exp.Expr:
    """SELECT columns, extra FROM (query) AS q(columns)."""
    alias = exp.TableAlias(
        this=exp.to_identifier(_INNER, quoted=True),
        columns=[exp.to_identifier(name, quoted=True) for name in columns],
    )
    own = [_column(name) for name in columns if not name.startswith(MARK)]
    return exp.Select(expressions=[*own, *extra], from_=exp.From(this=exp.Subquery(this=query.copy(), alias=alias)))


def _first(query: Any, columns: Sequence[str], clauses: SearchCycle) -> exp.Expr:
    extra: list[exp.Expr] = []
    if clauses.sequence:
        by = clauses.search_by
        start = _row(by, exp.cast(exp.Literal.number(0), "BIGINT")) if clauses.breadth else _list_of(_row(by))
        extra.append(_named(start, clauses.sequence))
    if clauses.mark:
        extra.append(_named(clauses.unmarked.copy(), clauses.mark))
        extra.append(_named(_list_of(_row(clauses.cycle_by)), clauses.path))
    return _over(query, columns, extra)


def _again(query: Any, table: str, columns: Sequence[str], clauses: SearchCycle) -> exp.Expr:
    inner = query.copy()
    before = [name for name in (clauses.sequence, clauses.path) if name]
    inner.set("expressions", [*inner.expressions, *(_column(name, table) for name in before)])
    extra: list[exp.Expr] = []
    if clauses.sequence:
        last = _column(MARK + clauses.sequence)
        by = clauses.search_by
        if clauses.breadth:
            depth = exp.JSONExtractScalar(
                this=exp.Anonymous(this=MARK + "row_to_json", expressions=[last]),
                expression=exp.Paren(this=exp.Literal.string("f1")),
            )
            following = exp.Add(this=exp.cast(exp.Paren(this=depth), "BIGINT"), expression=exp.Literal.number(1))
            extra.append(_named(_row(by, following), clauses.sequence))
        else:
            extra.append(_named(exp.DPipe(this=last, expression=_row(by)), clauses.sequence))
    if clauses.mark:
        path, row = _column(MARK + clauses.path), _row(clauses.cycle_by)
        met = exp.EQ(this=row, expression=exp.Any(this=exp.Paren(this=path)))
        mark = exp.Case(ifs=[exp.If(this=met, true=clauses.marked.copy())], default=clauses.unmarked.copy())
        extra.append(_named(mark, clauses.mark))
        extra.append(_named(exp.DPipe(this=path.copy(), expression=row.copy()), clauses.path))
        going = exp.NullSafeNEQ(this=_column(clauses.mark, table), expression=clauses.marked.copy())
        where = inner.args.get("where")
        whole = going if where is None else exp.And(this=exp.Paren(this=where.this), expression=going)
        inner.set("where", exp.Where(this=whole))
    return _over(inner, [*columns, *(MARK + name for name in before)], extra)
