"""PREPARE and EXECUTE as statements: they make and run the protocol's prepared statements, which move with sessions."""

from __future__ import annotations

from typing import Any

from tausql.processor.execution import Executor
from tausql.processor.portals import Portal, PreparedStatement
from tausql.processor.state import SessionState
from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.type_names import type_and_typmod
from tausql.sql.statements import Statement
from tausql.sql.types import Type


async def prepare(state: SessionState, executor: Executor, statement: Statement) -> None:
    """Raises 42P05 for a name that is taken, 42601 for what cannot be prepared, and what planning it raises."""
    options = statement.options
    declared = tuple(_type(text) for text in options["types"])
    (inner,) = state.shared.plans.statements(options["text"])
    inner.refuse()
    if not inner.needs_plan:
        raise SqlError(Code.syntax_error, "PREPARE is for SELECT, INSERT, UPDATE, DELETE and VALUES")
    prepared = PreparedStatement(options["name"], inner, declared)
    await executor.plan(prepared)
    state.keep_statement(prepared)


async def bound(state: SessionState, executor: Executor, statement: Statement) -> tuple[PreparedStatement, list[Any]]:
    """The statement that EXECUTE means, planned, and its parameters. Raises 26000, 42601, 42804."""
    name: str = statement.options["name"]
    arguments: list[str] = statement.options["arguments"]
    prepared = state.statement(name)
    if prepared.statement is None or not prepared.statement.needs_plan:
        raise not_supported("EXECUTE of this prepared statement not supported")
    await executor.plan(prepared)
    plan = prepared.plan
    assert plan is not None
    if len(arguments) != len(plan.parameter_types):
        raise SqlError(
            Code.syntax_error,
            f'wrong number of parameters for prepared statement "{name}"',
            detail=f"Expected {len(plan.parameter_types)} parameters but got {len(arguments)}.",
        )
    if not arguments:
        return prepared, []
    casts = [
        f"CAST(({text}) AS {type_.display()})" for text, type_ in zip(arguments, plan.parameter_types, strict=True)
    ]
    (query,) = state.shared.plans.statements(f"SELECT {', '.join(casts)}")
    values = PreparedStatement("", query, ())
    await executor.plan(values)
    rows = await executor.rows(Portal("", values, [], ()), 1)
    return prepared, list(rows[0])


def _type(text: str) -> Type:
    to = parse_expression(f"CAST(NULL AS {text})").args.get("to")
    if to is None:
        raise SqlError(Code.undefined_object, f'type "{text}" does not exist')
    return type_and_typmod(to)[0]
