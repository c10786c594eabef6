"""Expressions as SQL text for the catalogue: what DEFAULT and CHECK keep, read back by `parse_expression`.

Parsing marks function names so that sqlglot leaves them alone (`sql.expressions.parsing`); here the marks come off.
"""

from __future__ import annotations

from sqlglot import exp

from tausql.sql.expressions.parsing import INTERVAL_LITERAL, POSTGRES, SUBSCRIPT, parse_expression
from tausql.sql.expressions.token_edits import MARK


def expression_text(node: exp.Expr) -> str:
    """SQL that parses to the same expression again. Raises 0A000 for what does not survive that."""
    copy = node.copy()
    for column in copy.find_all(exp.Column):  # there is one table only, which may get another name
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    for call in list(copy.find_all(exp.Anonymous)):
        if call.this == SUBSCRIPT:
            call.replace(call.expressions[0].copy())
        elif call.this == INTERVAL_LITERAL:
            interval = exp.Cast(this=call.expressions[0].copy(), to=exp.DataType.build("interval", dialect="postgres"))
            if call is copy:
                copy = interval
            else:
                call.replace(interval)
        else:
            call.set("this", str(call.this).removeprefix(MARK))
    text: str = copy.sql(POSTGRES, normalize_functions=False)
    parse_expression(text)
    return text
