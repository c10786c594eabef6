"""Runs corpus expressions through parser, binder and compiler, in the form the recorded files have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.expressions import (
    Context,
    EmptyScope,
    Expr,
    bind,
    compile_expr,
    compile_predicate,
    compile_set,
    evaluate_constant,
    parse,
    parse_expression,
    settle,
    unify,
)
from tausql.sql.expressions.nodes import AggregateCall, Const, SetReturningCall, Slot
from tausql.sql.types import SessionFormat, hash_key, sort_key, sort_rows_key, type_by_name, type_by_oid

CORPUS = Path(__file__).parents[2] / "conformance" / "expressions"


def name_reg(kind: str, oid: int) -> str | None:
    return type_by_oid(oid).display() if kind == "type" else None


def resolve_reg(kind: str, text: str) -> int:
    if kind == "config":
        if text != "simple":
            raise SqlError(Code.undefined_object, f'text search configuration "{text}" does not exist')
        return 3748
    return type_by_name(text).oid


class _Pool:
    """A source of bytes that never repeats."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")


def context(zone: str) -> Context:
    format = SessionFormat(zone, resolve_reg=resolve_reg, name_reg=name_reg)
    return Context(now_us=836_000_000_000_000, format=format, random=lambda: 0.5, random_bytes=_Pool().take)


def escaped(value: str | None) -> str:
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


class CorpusScope(EmptyScope):
    """PostgreSQL's words for aggregates and columns in a SELECT without FROM."""

    def check_aggregate(self, name: str) -> None:
        return None

    def check_set_returning(self, name: str) -> None:
        return None


class RowScope(CorpusScope):
    """One column, x."""

    def __init__(self, column: Slot) -> None:
        super().__init__()
        self.column = column

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        return self.column if parts == ("x",) else super().resolve_column(parts)


def aggregated(expr: Expr, rows: list[list[Any]], where: Context) -> Expr:
    """The expression with its aggregates replaced by their results, as an executor would."""

    def change(node: Expr) -> Expr:
        if not isinstance(node, AggregateCall):
            return node
        state = node.aggregate.init()
        for values in inputs(node, rows, where):
            state = node.aggregate.step(state, *values)
        return Const(value=node.aggregate.final(state), type=node.type, typmod=node.typmod)

    return expr.replace(change)


def inputs(node: AggregateCall, rows: list[list[Any]], where: Context) -> list[list[Any]]:
    """Argument lists in order, after FILTER, DISTINCT and the skipping of NULLs."""
    if node.filter is not None:
        keep = compile_predicate(node.filter)
        rows = [row for row in rows if keep(row, where)]
    for spec in reversed(node.order_by):
        run = compile_expr(spec.expr)
        key = sort_rows_key([(0, spec.expr.type, spec.descending, spec.nulls_first)])
        rows = sorted(rows, key=lambda row, run=run, key=key: key([run(row, where)]))
    args = [compile_expr(arg) for arg in node.args]
    found = [[arg(row, where) for arg in args] for row in rows]
    if node.aggregate.strict:
        found = [values for values in found if None not in values]
    if node.distinct:
        first = node.args[0].type
        found = sorted(found, key=lambda values: (values[0] is None, values[0] and sort_key(first)(values[0])))
        found = list(
            {hash_key(first)(values[0]) if values[0] is not None else None: values for values in found}.values()
        )
    return found


def bound_over_rows(text: str, where: Context) -> Expr:
    """`expression FROM (VALUES ...) t(x)`."""
    select = parse(f"SELECT {text}")[0]
    values = select.find(exp.Values)
    items = [
        bind(row.expressions[0] if isinstance(row, exp.Tuple) else row, CorpusScope()) for row in values.expressions
    ]
    unified, type, typmod = unify(items, "VALUES", None)
    rows = [[evaluate_constant(item, where)] for item in unified]
    scope = RowScope(Slot(slot=0, type=type, typmod=typmod, name="x"))
    return aggregated(settle(bind(select.expressions[0], scope), None), rows, where)


def answer(expression: str, where: Context) -> str:
    """`= type TAB value` or `! SQLSTATE TAB message`."""
    try:
        if " FROM (VALUES " in expression:
            bound = bound_over_rows(expression, where)
        else:
            bound = settle(bind(parse_expression(expression), CorpusScope()), None)
        if isinstance(bound, SetReturningCall):
            text = shown([text_of(bound, value, where) for value in compile_set(bound)((), where)])
        else:
            text = text_of(bound, evaluate_constant(bound, where), where)
    except SqlError as error:
        return f"! {error.sqlstate}\t{escaped(error.message)}"
    name = bound.type.display(bound.typmod)
    if bound.typmod < 0:
        name = {"bpchar": "bpchar", "bit": '"bit"'}.get(bound.type.name, name)
    return f"= {name}\t{escaped(text)}"


def text_of(bound: Expr, value: Any, where: Context) -> str | None:
    return None if value is None else bound.type.text_out(value, where.format)


def shown(rows: list[str | None]) -> str | None:
    """The rows of a set in one line."""
    if len(rows) == 1:
        return rows[0]
    return " | ".join("NULL" if row is None else row for row in rows) if rows else "(no rows)"


def corpus(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """(time zone, [(expression, expected line)])."""
    zone, expressions = "UTC", []
    for line in path.read_text().splitlines():
        text = line.strip()
        if text.startswith("-- timezone:"):
            zone = text.partition(":")[2].strip()
        elif text and not text.startswith("-- "):
            expressions.append(text)
    return zone, list(zip(expressions, path.with_suffix(".expected").read_text().splitlines(), strict=True))


def intended_differences() -> dict[str, str]:
    """expression -> why TauSQL answers otherwise."""
    rows = {}
    for line in (CORPUS / "differences.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            expression, _, reason = line.partition("\t")
            rows[expression] = reason
    return rows
