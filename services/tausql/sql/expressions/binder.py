"""From sqlglot's syntax to typed expressions: `bind(node, scope)`.

One handler per syntax class; function calls and operators go through PostgreSQL's overload resolution. What has no
handler is refused with its SQL text. String literals stay of type UNKNOWN until something gives them a type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions import calls, conditionals, containers, predicates, special_forms
from tausql.sql.expressions.aggregate_calls import bind_within_group
from tausql.sql.expressions.coercion import as_boolean, cast_to
from tausql.sql.expressions.nodes import And, ArrayLiteral, Const, Expr, Not, Or, Param
from tausql.sql.expressions.scope import DomainTarget, Scope
from tausql.sql.expressions.type_names import interval_field_words, type_and_typmod
from tausql.sql.expressions.windows import bind_window
from tausql.sql.lexer import truncated
from tausql.sql.types import builtin as b
from tausql.sql.types.enums import EnumType, PinnedEnum
from tausql.sql.types.numbers import plain
from tausql.sql.types.registry import array_of
from tausql.sql.types.type import INTERVAL_FIELDS, Type, interval_typmod

Handler = Callable[["Binder", Any], Expr]
DEPTH_MAX: Final = 150  # nested expressions; each level takes several Python frames


def bind(node: exp.Expr, scope: Scope) -> Expr:
    """A typed expression; PostgreSQL's errors (42883, 42804, 42703, ...) or 0A000."""
    return Binder(scope).bind(node)


class Binder:
    """One expression's binding: the scope and how deep we are."""

    __slots__ = ("_depth", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._depth = 0

    def bind(self, node: exp.Expr) -> Expr:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            handler = _by_base_class(node)
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise SqlError(
                Code.statement_too_complex,
                "stack depth limit exceeded",
                hint="Simplify the expression: it is nested too deeply.",
            )
        try:
            return handler(self, node)
        finally:
            self._depth -= 1

    def boolean(self, node: exp.Expr, what: str) -> Expr:
        return as_boolean(self.bind(node), what, self.scope.params)


def refuse(node: exp.Expr) -> SqlError:
    """0A000 with the construct as SQL."""
    text = node.sql(dialect="postgres").replace("\u0192", "").replace("\u0191", "")  # the mark, and in upper case
    return not_supported(f"{text[:200]} is not supported")


def _refused(_binder: Binder, node: exp.Expr) -> Expr:
    raise refuse(node)


def _by_base_class(node: exp.Expr) -> Handler:
    if isinstance(node, exp.Query):
        return containers.bind_scalar_subquery
    if isinstance(node, exp.Func) and not isinstance(node, exp.AggFunc):
        return calls.bind_known_function
    return _refused


def _paren(binder: Binder, node: exp.Paren) -> Expr:
    if isinstance(node.this, exp.Alias):  # `(a b)`, which sqlglot takes for a name
        raise SqlError(Code.syntax_error, f'syntax error at or near "{node.this.alias}"')
    return binder.bind(node.this)


def _literal(_binder: Binder, node: exp.Literal) -> Expr:
    if node.is_string:
        return Const(value=str(node.this), type=b.UNKNOWN)
    return number_literal(str(node.this))


def number_literal(text: str) -> Const:
    """integer, bigint or numeric, whichever is the first to hold it."""
    digits = text.replace("_", "")
    if digits.isdigit():
        if len(digits) <= 19:
            value = int(digits)
            if value < 2**31:
                return Const(value=value, type=b.INT4)
            if value < 2**63:
                return Const(value=value, type=b.INT8)
        return Const(value=Decimal(digits), type=b.NUMERIC)
    if digits[:2].lower() in ("0x", "0o", "0b"):
        return number_literal(str(int(digits, 0)))
    return Const(value=plain(Decimal(digits)), type=b.NUMERIC)


def _string(_binder: Binder, node: exp.Expr) -> Expr:
    """E'', U&'' is refused elsewhere, $$ $$, N''."""
    return Const(value=str(node.this), type=b.UNKNOWN)


def _national(_binder: Binder, node: exp.National) -> Expr:
    """N'' is a char(n) of its own length."""
    return Const(value=str(node.this), type=b.BPCHAR)


def _null(_binder: Binder, _node: exp.Null) -> Expr:
    return Const(value=None, type=b.UNKNOWN)


def _boolean(_binder: Binder, node: exp.Boolean) -> Expr:
    return Const(value=bool(node.this), type=b.BOOL)


def _parameter(binder: Binder, node: exp.Parameter) -> Expr:
    text = node.this.name if isinstance(node.this, exp.Expr) else str(node.this)
    if not text.isdigit():
        raise refuse(node)
    number = int(text)
    return Param(number=number, type=binder.scope.params.type_of(number))


def _column(binder: Binder, node: exp.Column) -> Expr:
    if node.args.get("table") is None and isinstance(node.this, exp.Identifier):
        parts: tuple[str, ...] = (folded(node.this),)
    else:
        parts = tuple([folded(part) for part in node.parts if isinstance(part, exp.Identifier)])
    if parts and isinstance(node.this, exp.Star):
        return binder.scope.resolve_column(parts)  # t.* as a value is t
    if not parts:
        raise SqlError(Code.syntax_error, 'syntax error at or near "*"')
    if len(parts) == 1 and not node.this.args.get("quoted"):
        call = _BARE_WORDS.get(parts[0])
        if call is not None:
            return calls.call_named(binder, call, [])
    return binder.scope.resolve_column(parts)


_BARE_WORDS: Final = MappingProxyType(
    {name: name for name in (
        "current_user", "session_user", "user", "current_role", "current_catalog", "current_schema", "localtime",
        "localtimestamp", "current_time", "current_timestamp", "current_date",
    )}
)  # fmt: skip


def folded(identifier: exp.Identifier) -> str:
    """An identifier as PostgreSQL folds it."""
    name = str(identifier.this)
    return truncated(name if identifier.args.get("quoted") else name.lower())


def _flat(node: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    """The operands of a chain of ANDs or ORs, without recursion (a chain may be long)."""
    pending, found = [node], []
    while pending:
        current = pending.pop()
        inner = current
        while isinstance(inner, exp.Paren) and isinstance(inner.this, kind):
            inner = inner.this
        if isinstance(inner, kind):
            pending += [inner.expression, inner.this]
        else:
            found.append(current)
    return found


def _and(binder: Binder, node: exp.And) -> Expr:
    return And(args=tuple([binder.boolean(item, "AND") for item in _flat(node, exp.And)]))


def _or(binder: Binder, node: exp.Or) -> Expr:
    return Or(args=tuple([binder.boolean(item, "OR") for item in _flat(node, exp.Or)]))


def _not(binder: Binder, node: exp.Not) -> Expr:
    negated = predicates.negated(binder, node.this)
    return negated if negated is not None else Not(arg=binder.boolean(node.this, "NOT"))


def _cast_target(binder: Binder, node: exp.Expr) -> tuple[Type, int]:
    """A type, or the row type of a table."""
    try:
        return type_and_typmod(node)
    except SqlError as error:
        kind = node.args.get("kind") if isinstance(node, exp.DataType) else None
        parts = _name_parts(kind) if error.code is Code.undefined_object and isinstance(kind, exp.Expr) else ()
        row_type = binder.scope.row_type(parts) if parts else None
        if row_type is None:
            raise
        return row_type, -1


def _domain(binder: Binder, node: exp.Expr) -> DomainTarget | None:
    """The domain a cast names, if it names no type."""
    if isinstance(node, exp.DataType) and node.this is exp.DType.ARRAY and node.expressions:
        element = _domain(binder, node.expressions[0])
        array = array_of(element.type) if element is not None and isinstance(element.type, EnumType) else None
        return None if array is None else DomainTarget(array, -1, lambda expr: expr)
    kind = node.args.get("kind") if isinstance(node, exp.DataType) else None
    parts = _name_parts(kind) if isinstance(kind, exp.Expr) else (kind.lower(),) if isinstance(kind, str) else ()
    return binder.scope.domain(parts) if parts else None


def _name_parts(node: exp.Expr) -> tuple[str, ...]:
    if isinstance(node, exp.Dot):
        return (*_name_parts(node.this), *_name_parts(node.expression))
    return (folded(node),) if isinstance(node, exp.Identifier) else ()


def _cast(binder: Binder, node: exp.Cast) -> Expr:
    domain = _domain(binder, node.args["to"])
    if domain is not None:
        return domain.checked(cast_to(binder.bind(node.this), domain.type, domain.typmod, binder.scope.params))
    target, typmod = _cast_target(binder, node.args["to"])
    if target is b.UNKNOWN:
        raise refuse(node)
    if isinstance(target, PinnedEnum):
        return Const(value=target.order, type=target.base)
    operand = node.this
    if target.is_array and isinstance(operand, exp.Array) and not operand.expressions:
        return ArrayLiteral(items=(), type=target)
    return cast_to(binder.bind(operand), target, typmod, binder.scope.params)


def _interval(binder: Binder, node: exp.Interval) -> Expr:
    """interval '1' day, interval '1-2' year to month."""
    literal = node.this
    if not isinstance(literal, exp.Literal) or not literal.is_string:
        raise refuse(node)
    unit = node.args.get("unit")
    if unit is None:
        return cast_to(Const(value=literal.this, type=b.UNKNOWN), b.INTERVAL, -1, None)
    fields = INTERVAL_FIELDS[interval_field_words(unit)]
    return cast_to(Const(value=literal.this, type=b.UNKNOWN), b.INTERVAL, interval_typmod(fields), None)


def _parse_json(binder: Binder, node: exp.ParseJSON) -> Expr:
    return cast_to(binder.bind(node.this), b.JSON, -1, binder.scope.params)


def _collate(binder: Binder, node: exp.Collate) -> Expr:
    collation = node.expression
    name = collation.name if not isinstance(collation, exp.Column) else collation.parts[-1].name
    operand = binder.bind(node.this)
    if name not in ("C", "POSIX", "default", "ucs_basic", "c"):
        raise not_supported(f'collation "{name}" is not supported', 'Only "C" is.')
    if operand.type.category != "S" and operand.type is not b.UNKNOWN:
        raise SqlError(Code.datatype_mismatch, f"collations are not supported by type {operand.type.display()}")
    return operand


def _concat(binder: Binder, node: exp.Concat) -> Expr:
    """'a' 'b' on separate lines arrives as a Concat of literals."""
    if all(isinstance(item, exp.Literal) and item.is_string for item in node.expressions):
        return Const(value="".join(str(item.this) for item in node.expressions), type=b.UNKNOWN)
    return calls.call_named(binder, "concat", [binder.bind(item) for item in node.expressions])


def _alias(binder: Binder, node: exp.Alias) -> Expr:
    return binder.bind(node.this)


def _handlers() -> Mapping[type[exp.Expr], Handler]:
    table: dict[type[exp.Expr], Handler] = {
        exp.Paren: _paren, exp.Literal: _literal, exp.ByteString: _string, exp.RawString: _string,
        exp.National: _national, exp.Null: _null, exp.Boolean: _boolean, exp.Parameter: _parameter, exp.Column: _column,
        exp.And: _and, exp.Or: _or, exp.Not: _not, exp.Cast: _cast, exp.Interval: _interval,
        exp.ParseJSON: _parse_json, exp.Collate: _collate, exp.Concat: _concat, exp.Alias: _alias,
        exp.Window: bind_window,
        exp.WithinGroup: bind_within_group,
    }  # fmt: skip
    for module in (calls, conditionals, containers, predicates, special_forms):
        table.update(module.HANDLERS)
    return MappingProxyType(table)


_HANDLERS: Final = _handlers()
