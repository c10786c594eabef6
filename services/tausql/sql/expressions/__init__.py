"""Typed scalar expressions: parsing, binding, compiling."""

from tausql.sql.expressions.binder import bind
from tausql.sql.expressions.coercion import as_bigint, as_boolean, assign, coerce, common_type, settle, unify
from tausql.sql.expressions.compiler import (
    compile_expr,
    compile_predicate,
    compile_projection,
    compile_set,
    evaluate_constant,
    is_constant,
    volatility,
)
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.expressions.nodes import Expr, walk
from tausql.sql.expressions.parsing import function_name, parse, parse_expression
from tausql.sql.expressions.scope import BoundSubquery, EmptyScope, ParamTypes, Scope
from tausql.sql.expressions.type_names import type_and_typmod

__all__ = [
    "BoundSubquery",
    "Context",
    "EmptyScope",
    "Expr",
    "ParamTypes",
    "Scope",
    "SessionFacts",
    "as_bigint",
    "as_boolean",
    "assign",
    "bind",
    "coerce",
    "common_type",
    "compile_expr",
    "compile_predicate",
    "compile_projection",
    "compile_set",
    "evaluate_constant",
    "function_name",
    "is_constant",
    "parse",
    "parse_expression",
    "settle",
    "type_and_typmod",
    "unify",
    "volatility",
    "walk",
]
