"""Functions, operators and aggregates, and the choice of the one a call means."""

from tausql.sql.functions.catalogue import all_functions, is_aggregate, is_function, is_set_returning
from tausql.sql.functions.function import Aggregate, Function
from tausql.sql.functions.resolution import Resolved, resolve_function, resolve_operator

__all__ = [
    "Aggregate",
    "Function",
    "Resolved",
    "all_functions",
    "is_aggregate",
    "is_function",
    "is_set_returning",
    "resolve_function",
    "resolve_operator",
]
