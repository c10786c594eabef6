"""ORDER BY and LIMIT."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder, BlockScope, Env
from tausql.sql.binding.bound import OutputColumn, SortSpec
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import Namespace, OuterLink
from tausql.sql.expressions import as_bigint
from tausql.sql.expressions.nodes import Expr
from tausql.sql.types.ordering import is_orderable
from tausql.sql.types.type import Type


def ordinal(node: exp.Expr, count: int, clause: str) -> int | None:
    """The position an integer constant names, None for other expressions."""
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string or not str(node.this).isdigit():
        raise SqlError(Code.syntax_error, f"non-integer constant in {clause}")
    position = int(node.this)
    if not 1 <= position <= count:
        raise SqlError(Code.invalid_column_reference, f"{clause} position {position} is not in select list")
    return position - 1


def sort_spec(position: int, type: Type, ordered: exp.Expr) -> SortSpec:
    if not is_orderable(type):
        raise SqlError(
            Code.undefined_function,
            f"could not identify an ordering operator for type {type.sql_name}",
            hint="Use an explicit ordering operator or modify the query.",
        )
    return SortSpec(position, type, bool(ordered.args.get("desc")), bool(ordered.args.get("nulls_first")))


def sort_positions(order: exp.Expr | None, columns: list[OutputColumn], what: str) -> list[SortSpec]:
    """ORDER BY of a set operation, of VALUES or of a parenthesis: names and ordinals of its columns only."""
    specs: list[SortSpec] = []
    for ordered in order.expressions if order is not None else []:
        node = ordered.this
        at = ordinal(node, len(columns), "ORDER BY")
        if at is None and isinstance(node, exp.Column) and not node.args.get("table"):
            name = fold(node.this)
            found = [position for position, column in enumerate(columns) if column.name == name]
            if not found:
                raise SqlError(Code.undefined_column, f'column "{name}" does not exist')
            at = found[0]
        if at is None:
            raise not_supported(f"invalid {what} ORDER BY clause", hint="Only result column names can be used.")
        specs.append(sort_spec(at, columns[at].type, ordered))
    return specs


def bind_limits(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> tuple[Expr | None, Expr | None]:
    """(LIMIT or FETCH FIRST, OFFSET) as bigint expressions; None where absent or ALL."""
    scope = BlockScope(binder, Namespace(), link, env)
    limit: Expr | None = None
    clause = node.args.get("limit")
    if isinstance(clause, exp.Fetch):
        options = clause.args.get("limit_options")
        if options is not None and options.args.get("percent"):
            raise SqlError(Code.syntax_error, 'syntax error at or near "PERCENT"')
        count = clause.args.get("count")
        limit = _bigint(scope, count if count is not None else exp.Literal.number(1), "LIMIT")
    elif clause is not None:
        expression = clause.expression
        if not (isinstance(expression, (exp.Var, exp.Column)) and expression.name.upper() == "ALL"):
            limit = _bigint(scope, expression, "LIMIT")
    clause = node.args.get("offset")
    offset = _bigint(scope, clause.expression, "OFFSET") if clause is not None else None
    return limit, offset


def has_ties(node: exp.Expr) -> bool:
    """FETCH FIRST ... WITH TIES. Raises 42601 without ORDER BY."""
    clause = node.args.get("limit")
    options = clause.args.get("limit_options") if isinstance(clause, exp.Fetch) else None
    if options is None or not options.args.get("with_ties"):
        return False
    if node.args.get("order") is None:
        raise SqlError(Code.syntax_error, "WITH TIES cannot be specified without ORDER BY clause")
    if any(lock.args.get("wait") is False for lock in node.args.get("locks") or []):
        raise SqlError(Code.syntax_error, "SKIP LOCKED and WITH TIES options cannot be used together")
    return True


def _bigint(scope: BlockScope, node: exp.Expr, clause: str) -> Expr:
    return as_bigint(scope.in_clause(clause).expression(node), clause, scope.params)
