"""Constraints as CREATE TABLE and ALTER TABLE write them, before anything is looked up.

sqlglot knows most of these clauses and loses the rest (INCLUDE, NULLS NOT DISTINCT, NOT VALID, the columns of ON DELETE
SET NULL), so they are read word by word here; only expressions go through its parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.expressions.parsing import parse_expression


@dataclass(slots=True)
class CheckDefinition:
    name: str  # "" = to be found
    node: exp.Expr
    no_inherit: bool = False
    not_valid: bool = False
    column: str = ""  # where it was written as a column's


@dataclass(slots=True)
class UniqueDefinition:
    """UNIQUE or PRIMARY KEY."""

    name: str
    columns: list[str]
    primary: bool = False
    include: list[str] = field(default_factory=list)
    nulls_not_distinct: bool = False


@dataclass(slots=True)
class ForeignKeyDefinition:
    name: str
    columns: list[str]
    table: QualifiedName
    referenced: list[str]  # [] = the primary key
    full: bool = False
    on_delete: str = "a"
    on_update: str = "a"
    set_columns: list[str] = field(default_factory=list)
    deferrable: bool = False
    deferred: bool = False
    not_valid: bool = False


Constraint = CheckDefinition | UniqueDefinition | ForeignKeyDefinition

TABLE_CONSTRAINTS = ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN", "EXCLUDE")


@dataclass(slots=True)
class Attributes:
    """What may follow a constraint: DEFERRABLE, INITIALLY ..., NOT VALID, NO INHERIT. None = not said."""

    deferrable: bool | None = None
    deferred: bool | None = None
    not_valid: bool = False
    no_inherit: bool = False


def read_attributes(words: Words, not_valid: bool = True) -> Attributes:
    """Raises 42601 for attributes that contradict each other."""
    found = Attributes()
    while True:
        if words.take("NOT", "DEFERRABLE"):
            if found.deferrable or found.deferred:
                raise SqlError(Code.syntax_error, "conflicting constraint properties")
            found.deferrable = False
        elif words.take("DEFERRABLE"):
            if found.deferrable is False:
                raise SqlError(Code.syntax_error, "multiple DEFERRABLE/NOT DEFERRABLE clauses not allowed")
            found.deferrable = True
        elif words.take("INITIALLY", "DEFERRED"):
            if found.deferrable is False:
                raise SqlError(Code.syntax_error, "constraint declared INITIALLY DEFERRED must be DEFERRABLE")
            found.deferred = True
        elif words.take("INITIALLY", "IMMEDIATE"):
            if found.deferred:
                raise SqlError(Code.syntax_error, "multiple INITIALLY IMMEDIATE/DEFERRED clauses not allowed")
            found.deferred = False
        elif not_valid and words.take("NOT", "VALID"):
            found.not_valid = True
        elif words.take("NO", "INHERIT"):
            found.no_inherit = True
        else:
            return found


def read_table_constraint(words: Words, command: str) -> Constraint:
    """[CONSTRAINT name] CHECK | UNIQUE | PRIMARY KEY | FOREIGN KEY ... with its attributes."""
    name = words.name() if words.take("CONSTRAINT") else ""
    if words.take("CHECK"):
        return finish_check(CheckDefinition(name, _condition(words)), read_attributes(words))
    if words.take("FOREIGN", "KEY"):
        return read_reference(words, name, words.names())
    if words.take("EXCLUDE"):
        raise not_supported(f"EXCLUDE constraint not supported for {command}")
    primary = words.take("PRIMARY", "KEY")
    if not primary:
        words.expect("UNIQUE")
    if words.next_is("USING", "INDEX"):
        raise not_supported(f"USING INDEX clause not supported for {command}")
    distinct = read_nulls_distinct(words) if not primary else False
    found = UniqueDefinition(name, words.names(), primary, nulls_not_distinct=distinct)
    return finish_unique(words, found, command)


def _condition(words: Words) -> exp.Expr:
    text = words.parenthesised()
    if not text:
        raise words.error()
    return parse_expression(text)


def read_check(words: Words, name: str, column: str) -> CheckDefinition:
    """A column's CHECK, its word behind."""
    return finish_check(
        CheckDefinition(name, _condition(words), column=column), read_attributes(words, not_valid=False)
    )


def finish_check(check: CheckDefinition, attributes: Attributes) -> CheckDefinition:
    if attributes.deferrable or attributes.deferred:
        raise not_supported("CHECK constraints cannot be marked DEFERRABLE")
    check.no_inherit = attributes.no_inherit
    check.not_valid = attributes.not_valid
    return check


def read_nulls_distinct(words: Words) -> bool:
    """NULLS [NOT] DISTINCT: whether it says NOT."""
    if words.take("NULLS", "NOT", "DISTINCT"):
        return True
    words.take("NULLS", "DISTINCT")
    return False


def finish_unique(words: Words, unique: UniqueDefinition, command: str) -> UniqueDefinition:
    """What follows the columns of UNIQUE or PRIMARY KEY."""
    if words.take("INCLUDE"):
        unique.include = words.names()
    if words.next_is("WITH") and words.peek(1) == "(":
        raise not_supported(f"WITH clause not supported for {command}")
    if words.next_is("USING", "INDEX", "TABLESPACE"):
        raise not_supported(f"TABLESPACE clause not supported for {command}")
    attributes = read_attributes(words)
    if attributes.deferrable or attributes.deferred:
        raise not_supported("DEFERRABLE constraint not supported")
    if attributes.not_valid:
        kind = "PRIMARY KEY" if unique.primary else "UNIQUE"
        raise not_supported(f"{kind} constraints cannot be marked NOT VALID")
    return unique


_ACTIONS = {"NO": "a", "RESTRICT": "r", "CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d"}


def read_reference(words: Words, name: str, columns: list[str]) -> ForeignKeyDefinition:
    """REFERENCES and what follows."""
    words.expect("REFERENCES")
    table = words.qualified_name()
    found = ForeignKeyDefinition(name, columns, table, words.names() if words.next_is("(") else [])
    if words.take("MATCH"):
        kind = words.take_one("FULL", "SIMPLE", "PARTIAL")
        if not kind:
            raise words.error()
        if kind == "PARTIAL":
            raise not_supported("MATCH PARTIAL not yet implemented")
        found.full = kind == "FULL"
    while words.take("ON"):
        event = words.take_one("DELETE", "UPDATE")
        if not event:
            raise words.error()
        _read_action(words, found, event)
    attributes = read_attributes(words)
    found.deferred = bool(attributes.deferred)
    found.deferrable = bool(attributes.deferrable) or found.deferred
    found.not_valid = attributes.not_valid
    return found


def _read_action(words: Words, found: ForeignKeyDefinition, event: str) -> None:
    if words.take("NO", "ACTION"):
        letter = "a"
    elif word := words.take_one("RESTRICT", "CASCADE"):
        letter = _ACTIONS[word]
    elif words.take("SET"):
        word = words.take_one("NULL", "DEFAULT")
        if not word:
            raise words.error()
        letter = _ACTIONS[f"SET {word}"]
        if words.next_is("("):
            if event == "UPDATE":
                raise not_supported(f"a column list with SET {word} is only supported for ON DELETE actions")
            found.set_columns = words.names()
    else:
        raise words.error()
    if event == "DELETE":
        found.on_delete = letter
    else:
        found.on_update = letter
