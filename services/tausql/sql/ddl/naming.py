"""Names PostgreSQL makes up for constraints and indexes, and the ones a statement may not take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.labels import UNNAMED, label_of
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.ddl import limits
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.lexer import truncated


def relation_taken(snapshot: Snapshot, schema: str, name: str) -> bool:
    """Whether something that pg_class shows has that name."""
    key = schema, name
    objects = snapshot.objects
    if key in snapshot.tables or key in snapshot.indexes or key in objects.views or key in objects.sequences:
        return True
    return any(table.primary_key_name == name and table.schema == schema and table.primary_key
               for table in snapshot.tables.values())  # fmt: skip


class Names:
    """Hands out names within one statement: none twice, none that something else in the schema has."""

    __slots__ = ("_schema", "_snapshot", "_table", "taken")

    def __init__(self, snapshot: Snapshot, schema: str, table: str, taken: Iterable[str] = ()) -> None:
        self._snapshot = snapshot
        self._schema = schema
        self._table = table
        self.taken = set(taken)

    def of_index(self, columns: str, label: str) -> str:
        """table_columns_label, with a number behind the label where a relation has that name."""
        return self._free(columns, label, lambda name: relation_taken(self._snapshot, self._schema, name))

    def of_constraint(self, columns: str, label: str) -> str:
        return self._free(columns, label, lambda _name: False)

    def _free(self, columns: str, label: str, used: Callable[[str], bool]) -> str:
        name, number = limits.object_name(self._table, columns, label), 0
        while name in self.taken or used(name):
            number += 1
            name = limits.object_name(self._table, columns, f"{label}{number}")
        self.taken.add(name)
        return name

    def claim(self, name: str, what: str) -> str:
        """A name that was given. Raises 42710 where another constraint of the statement or the table has it."""
        if name in self.taken:
            raise SqlError(Code.duplicate_object, what)
        self.taken.add(name)
        return name


def constraint_names(table: Table) -> set[str]:
    """Of everything pg_constraint shows of a table."""
    found = {check.name for check in table.checks} | {key.name for key in table.foreign_keys}
    found |= {index.name for index in table.indexes if index.constraint}
    if table.primary_key:
        found.add(table.primary_key_name)
    return found


def expression_label(expression: str | exp.Expr) -> str:
    """What an index's column over an expression is called."""
    label = label_of(parse_expression(expression) if isinstance(expression, str) else expression)
    return "expr" if label == UNNAMED else label


def unlike(others: Sequence[str], label: str) -> str:
    """The label, with a number behind it where another column of the index has it."""
    found, number = label, 0
    while found in others:
        number += 1
        found = f"{label}{number}"
    return found


def only_column(node: exp.Expr) -> str:
    """The one column an expression is about, which PostgreSQL names a check after; empty where there are several."""
    names = set()
    for column in node.find_all(exp.Column):
        identifier = column.this
        if isinstance(identifier, exp.Identifier):
            text = identifier.name
            names.add(truncated(text if identifier.args.get("quoted") else text.lower()))
    return names.pop() if len(names) == 1 else ""
