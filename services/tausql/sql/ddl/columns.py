"""Column definitions of CREATE TABLE: types within Aurora DSQL's allow-list, defaults, NOT NULL."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.ddl import limits
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.expressions import ParamTypes, assign, bind
from tausql.sql.expressions.nodes import Expr
from tausql.sql.expressions.scope import BoundSubquery
from tausql.sql.expressions.type_names import numeric_modifier, type_and_typmod
from tausql.sql.lexer import truncated
from tausql.sql.types import Type

# What sqlglot calls a type, where that is not how the refusal names it.
_REFUSED_NAMES = {"varbit": "bit varying", "bit": "bit"}
_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})
_REFUSED = frozenset(
    "money xml inet cidr macaddr macaddr8 point line lseg box path polygon circle tsvector tsquery int4range int8range"
    " numrange tsrange tstzrange daterange pg_lsn bit varbit oid regclass name".split()
)


@dataclass(slots=True)
class ColumnDefinition:
    """One column as written."""

    name: str
    type: Type
    typmod: int
    not_null: bool = False
    default: str | None = None
    primary_key: str | None = None  # "" = unnamed constraint
    uniques: list[str] = field(default_factory=list)  # constraint names, "" = unnamed
    checks: list[tuple[str, str]] = field(default_factory=list)


class NoColumns:
    """The scope of a DEFAULT: no columns, subqueries, aggregates or parameters."""

    def __init__(self) -> None:
        self.params = ParamTypes(())

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        raise not_supported("cannot use column reference in DEFAULT expression")

    def bind_subquery(self, query: exp.Expr, kind: str) -> BoundSubquery:
        raise not_supported("cannot use subquery in DEFAULT expression")

    def check_aggregate(self, name: str) -> None:
        raise SqlError(Code.grouping_error, "aggregate functions are not allowed in DEFAULT expressions")

    def check_set_returning(self, name: str) -> None:
        raise not_supported("set-returning functions are not allowed in DEFAULT expressions")


def identifier(node: exp.Expr) -> str:
    """The name an identifier means: folded to lower case unless quoted, cut to 63 bytes."""
    text: str = node.name
    quoted = bool(node.args.get("quoted"))
    return truncated(text if quoted else text.lower())


def column_type(node: exp.Expr) -> tuple[Type, int]:
    """The type of a column definition and its modifier. Raises 0A000 and 42704 as Aurora DSQL does."""
    text = node.sql("postgres").lower()
    head = text.split("(")[0].strip()
    if head in _SERIAL:
        raise SqlError(Code.undefined_object, f'type "{head}" does not exist')
    if head in _REFUSED:
        raise not_supported(f"datatype {_REFUSED_NAMES.get(head, head)} not supported")
    type_, typmod = type_and_typmod(node)
    if type_.element_oid:
        raise not_supported(f"datatype {type_.display(typmod)} not supported")
    if type_.name not in limits.COLUMN_TYPES:
        raise not_supported(f"datatype {type_.sql_name} not supported")
    if type_.name == "numeric" and typmod == -1:
        typmod = numeric_modifier([limits.NUMERIC_DEFAULT_PRECISION, limits.NUMERIC_DEFAULT_SCALE])
    for name, most in (("varchar", limits.VARCHAR_BYTES_MAX), ("bpchar", limits.CHAR_BYTES_MAX)):
        if type_.name == name and typmod - 4 > most:
            shown = "varchar" if name == "varchar" else "char"
            raise SqlError(
                Code.program_limit_exceeded, f"Datatype limit greater than {most} bytes not supported for {shown}"
            )
    return type_, typmod


def column_definition(node: exp.ColumnDef) -> ColumnDefinition:
    """One column of CREATE TABLE with its constraints. What is not supported is refused by name."""
    if node.args.get("kind") is None:
        raise SqlError(Code.syntax_error, f'column "{identifier(node.this)}" has no type')
    type_, typmod = column_type(node.args["kind"])
    column = ColumnDefinition(identifier(node.this), type_, typmod)
    for constraint in node.args.get("constraints") or ():
        _apply(column, constraint)
    return column


def _apply(column: ColumnDefinition, constraint: exp.Expr) -> None:
    kind = constraint.args["kind"]
    name = identifier(constraint.this) if constraint.args.get("this") is not None else ""
    if isinstance(kind, exp.NotNullColumnConstraint):
        column.not_null = column.not_null or not kind.args.get("allow_null")
    elif isinstance(kind, exp.PrimaryKeyColumnConstraint):
        column.primary_key = name
        column.not_null = True
    elif isinstance(kind, exp.UniqueColumnConstraint):
        column.uniques.append(name)
    elif isinstance(kind, exp.DefaultColumnConstraint):
        column.default = checked_default(kind.this, column)
    elif isinstance(kind, exp.CheckColumnConstraint):
        column.checks.append((name, expression_text(kind.this)))
    elif isinstance(kind, exp.Reference):
        raise not_supported("FOREIGN KEY constraints are not supported yet")
    elif isinstance(kind, exp.CollateColumnConstraint):
        raise not_supported("COLLATE clause not supported")
    elif isinstance(kind, exp.GeneratedAsIdentityColumnConstraint):
        raise not_supported("identity columns are not supported yet")
    else:
        raise not_supported(f"column constraint {kind.sql('postgres')} is not supported")


def checked_default(node: exp.Expr, column: ColumnDefinition) -> str:
    """The text of a DEFAULT, once it is known to fit its column."""
    scope = NoColumns()
    assign(bind(node, scope), column.type, column.typmod, column.name, scope.params)
    return expression_text(node)
