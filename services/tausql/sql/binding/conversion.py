"""Changing the types of a bound query's columns: UNION's common types, and literals that nothing has typed."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.bound import BoundQuery, BoundSelect, BoundSetOperation, BoundValues, SortSpec
from tausql.sql.expressions import coerce
from tausql.sql.expressions.nodes import Expr
from tausql.sql.expressions.scope import ParamTypes
from tausql.sql.types.builtin import TEXT
from tausql.sql.types.type import Type


def implicit(expr: Expr, type: Type, params: ParamTypes) -> Expr:
    """A coercion that type resolution has promised."""
    if expr.type is type:
        return expr
    converted = coerce(expr, type, -1, "implicit", params)
    if converted is None:
        raise SqlError(Code.cannot_coerce, f"cannot cast type {expr.type.sql_name} to {type.sql_name}")
    return converted


def settled(query: BoundQuery, params: ParamTypes) -> BoundQuery:
    """Columns still of unknown type become text."""
    wanted = [TEXT if column.type.name == "unknown" else None for column in query.columns]
    if any(type is not None for type in wanted):
        convert_columns(query, wanted, params)
    return query


def convert_columns(query: BoundQuery, types: Sequence[Type | None], params: ParamTypes) -> None:
    """Casts the query's columns in place; None leaves a column as it is."""
    if isinstance(query, BoundSetOperation):
        convert_columns(query.left, types, params)
        convert_columns(query.right, types, params)
    elif isinstance(query, BoundValues):
        for row in query.rows:
            for at, type in enumerate(types):
                if type is not None:
                    row[at] = implicit(row[at], type, params)
    elif isinstance(query, BoundSelect):
        for at, type in enumerate(types):
            if type is not None:
                query.targets[at].expr = implicit(query.targets[at].expr, type, params)
    for at, type in enumerate(types):
        column = query.columns[at]
        if type is not None and column.type is not type:
            column.type, column.typmod = type, -1
    query.order = [
        SortSpec(spec.position, _converted(types, spec), spec.descending, spec.nulls_first) for spec in query.order
    ]


def _converted(types: Sequence[Type | None], spec: SortSpec) -> Type:
    wanted = types[spec.position] if spec.position < len(types) else None
    return wanted if wanted is not None else spec.type
