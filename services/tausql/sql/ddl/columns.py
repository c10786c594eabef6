"""Column definitions: types within Aurora DSQL's allow-list, defaults, generated and identity columns, constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Column, Snapshot
from tausql.sql.catalogue.objects import Domain
from tausql.sql.ddl import limits
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.constraints import (
    Constraint,
    UniqueDefinition,
    finish_unique,
    read_check,
    read_nulls_distinct,
    read_reference,
)
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.ddl.user_calls import DefinitionScope, kept_text
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.type_names import numeric_modifier, type_and_typmod
from tausql.sql.lexer import truncated
from tausql.sql.stored_expressions import DEFAULT, bound_value
from tausql.sql.types import Type, type_by_oid
from tausql.sql.types.enums import MARK

# What sqlglot calls a type, where that is not how the refusal names it.
_REFUSED_NAMES = {"varbit": "bit varying", "bit": "bit"}
_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})
_REFUSED = frozenset(
    "money xml inet cidr macaddr macaddr8 point line lseg box path polygon circle tsvector tsquery int4range int8range"
    " numrange tsrange tstzrange daterange pg_lsn bit varbit oid regclass name".split()
)
STORAGE_LETTERS = {"PLAIN": "p", "EXTERNAL": "e", "MAIN": "m", "EXTENDED": "x", "DEFAULT": ""}
TYPE_ENDS = frozenset(
    "CONSTRAINT NOT NULL CHECK DEFAULT GENERATED UNIQUE PRIMARY REFERENCES STORAGE COMPRESSION COLLATE DEFERRABLE"
    " INITIALLY USING , )".split()
)
_VALUE_ENDS = tuple(TYPE_ENDS)


@dataclass(slots=True)
class ColumnDefinition:
    """One column as written."""

    name: str
    type: Type
    typmod: int
    domain: Domain | None = None
    not_null: bool | None = None  # None: nothing was said
    default: str | None = None
    generated: exp.Expr | None = None
    identity: str = ""
    any_integer: bool = False  # its identity may be smaller than a bigint
    sequence_options: Words | None = None  # where the options of AS IDENTITY begin
    copied_options: Mapping[str, Any] = field(default_factory=dict)  # the same, of a column that LIKE copies
    storage: str = ""
    table: str = ""  # for error messages
    constraints: list[Constraint] = field(default_factory=list)

    @property
    def named(self) -> str:
        """As error messages call it."""
        return f'column "{self.name}" of table "{self.table}"'

    def column(self, position: int) -> Column:
        """The column as its table keeps it, its sequence and its generated value apart."""
        return Column(
            name=self.name,
            type_oid=self.type.oid,
            typmod=self.typmod,
            not_null=bool(self.not_null) or bool(self.identity),
            position=position,
            default=self.default,
            identity=self.identity,
            storage=self.storage,
            domain=self.domain.oid if self.domain is not None else 0,
        )


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


def read_type(words: Words, snapshot: Snapshot, search_path: tuple[str, ...]) -> tuple[Type, int, Domain | None]:
    """A column's type: a built-in one, or a domain's base type and the domain."""
    first = words.at
    text = words.until(*TYPE_ENDS)
    domain = _domain(Words(words.text, words.tokens[first : words.at]), snapshot, search_path)
    if domain is not None:
        return type_by_oid(domain.base_oid), domain.typmod, domain
    if words.tokens[first].word == "SETOF":
        raise SqlError(Code.invalid_table_definition, "column cannot be declared SETOF")
    node = parse_expression(f"CAST(NULL AS {text})")
    to = node.args.get("to")
    if to is None:
        raise SqlError(Code.undefined_object, f'type "{text}" does not exist')
    return *column_type(to), None


def _domain(words: Words, snapshot: Snapshot, search_path: tuple[str, ...]) -> Domain | None:
    """The domain these words name, if they are a plain name of one."""
    if len(words.tokens) not in (1, 3):
        return None
    if len(words.tokens) == 3 and words.tokens[1].text != ".":
        return None
    name = words.qualified_name()
    if name.schema is None and name.name.startswith(MARK) and name.name[len(MARK) :].isdigit():
        marked = snapshot.objects.by_oid.get(int(name.name[len(MARK) :]))
        return marked if isinstance(marked, Domain) else None
    for schema in (name.schema,) if name.schema is not None else search_path:
        found = snapshot.objects.domains.get((schema or "", name.name))
        if found is not None:
            return found
    return None


def read_storage(words: Words) -> str:
    """The letter of STORAGE x. Raises 22023 for a kind there is not."""
    word = words.name().upper()
    if word not in STORAGE_LETTERS:
        raise SqlError(Code.invalid_parameter_value, f'invalid storage type "{word.lower()}"')
    return STORAGE_LETTERS[word]


def check_storage(type_: Type, storage: str) -> str:
    """Raises 0A000 where a type of fixed size is asked to be kept elsewhere."""
    if storage and storage != "p" and type_.length > 0:
        shown = {"e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}[storage]
        raise not_supported(f"column data type {type_.sql_name} can only have storage PLAIN, not {shown}")
    return storage


def no_further_types(words: Words, name: str) -> ColumnDefinition | None:
    return None


def read_column(
    words: Words,
    snapshot: Snapshot,
    search_path: tuple[str, ...],
    command: str,
    further: Callable[[Words, str], ColumnDefinition | None] = no_further_types,
    table: str = "",
) -> ColumnDefinition:
    """name type [STORAGE x] constraints. `further`: types that are not everybody's."""
    name = words.name()
    if words.ended or words.peek() in (",", ")"):
        raise words.error()
    column = further(words, name) or ColumnDefinition(name, *read_type(words, snapshot, search_path))
    column.table = table
    column.any_integer = further is not no_further_types
    if words.take("STORAGE"):
        column.storage = check_storage(column.type, read_storage(words))
    while not words.ended and words.peek() not in (",", ")"):
        _read_constraint(words, column, command)
    return column


def _read_constraint(words: Words, column: ColumnDefinition, command: str) -> None:
    name = words.name() if words.take("CONSTRAINT") else ""
    word = words.take_one("NOT", "NULL", "CHECK", "DEFAULT", "GENERATED", "UNIQUE", "PRIMARY", "COLLATE", "COMPRESSION")
    if word == "NOT":
        words.expect("NULL")
        _set_nullable(column, True)
    elif word == "NULL":
        _set_nullable(column, False)
    elif word == "CHECK":
        column.constraints.append(read_check(words, name, column.name))
    elif word == "DEFAULT":
        _set_default(column)
        column.default = expression_text(read_value(words))  # looked at when all of the statement is read
    elif word == "GENERATED":
        _read_generated(words, column)
    elif word == "UNIQUE":
        unique = UniqueDefinition(name, [column.name], nulls_not_distinct=read_nulls_distinct(words))
        column.constraints.append(finish_unique(words, unique, command))
    elif word == "PRIMARY":
        words.expect("KEY")
        column.constraints.append(finish_unique(words, UniqueDefinition(name, [column.name], True), command))
    elif word == "COLLATE":
        raise not_supported("COLLATE clause not supported")
    elif word == "COMPRESSION":
        raise not_supported(f"COMPRESSION clause not supported for {command}")
    elif words.next_is("REFERENCES"):
        column.constraints.append(read_reference(words, name, [column.name]))
    elif words.next_is("DEFERRABLE") or words.next_is("INITIALLY"):
        raise SqlError(Code.syntax_error, f"misplaced {words.peek()} clause")
    else:
        raise words.error()


def read_value(words: Words) -> exp.Expr:
    """The expression of a DEFAULT: its first word is no end of it (DEFAULT NULL NOT NULL)."""
    first = words.at
    if words.ended:
        raise words.error()
    if words.peek() in ("(", "CASE"):
        words.until(*_VALUE_ENDS)
    else:
        words.at += 1
        if not words.ended and words.peek() not in TYPE_ENDS:
            words.until(*_VALUE_ENDS)
    return parse_expression(words.between(first, words.at))


def _set_nullable(column: ColumnDefinition, not_null: bool) -> None:
    if column.not_null is not None and column.not_null != not_null:
        raise SqlError(Code.syntax_error, f"conflicting NULL/NOT NULL declarations for {column.named}")
    column.not_null = not_null


def _set_default(column: ColumnDefinition) -> None:
    if column.default is not None:
        raise SqlError(Code.syntax_error, f"multiple default values specified for {column.named}")
    _check_sources(column, True, bool(column.identity), column.generated is not None)


def _check_sources(column: ColumnDefinition, default: bool, identity: bool, generated: bool) -> None:
    """A column's value comes from one place only."""
    for first, second, what in (
        (default, identity, "default and identity"),
        (default, generated, "default and generation expression"),
        (identity, generated, "identity and generation expression"),
    ):
        if first and second:
            raise SqlError(Code.syntax_error, f"both {what} specified for {column.named}")


def _read_generated(words: Words, column: ColumnDefinition) -> None:
    """ALWAYS AS (expression) STORED; ALWAYS | BY DEFAULT AS IDENTITY [(options)]."""
    always = words.take("ALWAYS")
    if not always:
        words.expect("BY", "DEFAULT")
    words.expect("AS")
    if words.take("IDENTITY"):
        if column.identity:
            raise SqlError(Code.syntax_error, f"multiple identity specifications for {column.named}")
        _check_sources(column, column.default is not None, True, column.generated is not None)
        set_identity(words, column, always)
        return
    if not always:
        raise SqlError(Code.syntax_error, "for a generated column, GENERATED ALWAYS must be specified")
    if column.generated is not None:
        raise SqlError(Code.syntax_error, f"multiple generation clauses specified for {column.named}")
    _check_sources(column, column.default is not None, bool(column.identity), True)
    column.generated = parse_expression(words.parenthesised())
    words.expect("STORED")


def set_identity(words: Words, column: ColumnDefinition, always: bool) -> None:
    """AS IDENTITY behind, its options here. Raises 0A000 for any type but bigint (with extensions: but an integer)."""
    if column.type.name not in (("int2", "int4", "int8") if column.any_integer else ("int8",)):
        raise not_supported(f"datatype {column.type.sql_name} not supported, identity column type must be bigint")
    if column.not_null is False:
        raise SqlError(Code.syntax_error, f"conflicting NULL/NOT NULL declarations for {column.named}")
    column.identity = "a" if always else "d"
    column.not_null = True
    first = words.at + 1
    if words.next_is("("):
        words.parenthesised()
        column.sequence_options = Words(words.text, words.tokens[: words.at - 1], first)
    else:
        column.sequence_options = Words(words.text, (), 0)


def checked_default(change: SchemaChange, node: exp.Expr, name: str, type_: Type, typmod: int) -> str:
    """The text of a DEFAULT, once it is known to fit its column."""
    column = Column(name, type_.oid, typmod, False, 0)
    scope = DefinitionScope(change, "", (), DEFAULT)
    bound_value(node, scope, column)
    return kept_text(change, node, scope)
