"""Values of a domain: the base type's, let through where they are not NULL against its NOT NULL and pass its CHECKs.

A domain is no type of its own at run time: a value of one is a value of its base type that has passed a check. So a
cast to a domain is a cast to its base with a call around it, and a column of a domain has the base type and a check
wherever it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Column
from tausql.sql.catalogue.objects import Domain
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Expr, FunctionCall
from tausql.sql.functions.function import STABLE, Function
from tausql.sql.stored_expressions import compiled_check
from tausql.sql.types import type_by_oid
from tausql.sql.types.type import Type


def value_column(domain: Domain) -> Column:
    """VALUE of a domain's CHECK, as the one column of a row."""
    return Column("value", domain.base_oid, domain.typmod, False, 0)


def base_type(domain: Domain) -> tuple[Type, int]:
    return type_by_oid(domain.base_oid), domain.typmod


def is_constrained(domain: Domain) -> bool:
    return domain.not_null or bool(domain.checks)


def checked_value(domain: Domain, expr: Expr) -> Expr:
    """A value of the domain's base type, checked to be one of the domain's. 23502 and 23514 at run time."""
    if not is_constrained(domain):
        return expr
    base, _ = base_type(domain)
    function = Function(
        domain.name, (base,), base, verifier(domain), volatility=STABLE, strict=False, needs_context=True
    )
    return FunctionCall(function=function, args=(expr,), type=base, typmod=domain.typmod)


def verifier(domain: Domain) -> Callable[[Context, Any], Any]:
    column = value_column(domain)
    checks = [(name, compiled_check("", (column,), text)) for name, text, _ in domain.checks]
    not_null, shown = domain.not_null, domain.name

    def verify(context: Context, value: Any) -> Any:
        if value is None and not_null:
            raise SqlError(Code.not_null_violation, f"domain {shown} does not allow null values", schema=domain.schema)
        row = (value,)
        for name, check in checks:
            if check(row, context) is False:
                raise SqlError(
                    Code.check_violation,
                    f'value for domain {shown} violates check constraint "{name}"',
                    schema=domain.schema,
                    constraint=name,
                )
        return value

    return verify
