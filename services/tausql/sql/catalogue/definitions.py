"""Objects as the SQL that would make them: what pg_get_indexdef, pg_get_constraintdef and their kin say.

Clients show these texts, and migration tools run them again; so names are quoted where they must be, and qualified as
PostgreSQL does it: always in definitions of indexes, by the search path in the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tausql.sql.catalogue.deparsing import expression_shown
from tausql.sql.catalogue.descriptors import ForeignKey, Table
from tausql.sql.catalogue.facts import Facts, IndexEntry
from tausql.sql.catalogue.objects import Statistics
from tausql.sql.catalogue.quoting import qualified, quoted

ACCESS_METHOD = "btree_index"
_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def shown_name(schema: str, name: str, path: Sequence[str]) -> str:
    """Qualified where the search path does not find it."""
    return quoted(name) if schema in path or schema == "pg_catalog" else qualified(schema, name)


def column_list(table: Table, positions: Iterable[int]) -> str:
    return ", ".join(quoted(table.columns[position].name) for position in positions)


def index_key(entry: IndexEntry, at: int, pretty: bool = False) -> str:
    """One column of an index, 0-based, included ones behind the keys: a name or an expression."""
    columns = (*entry.columns, *entry.include)
    position = columns[at]
    if position >= 0:
        return quoted(entry.table.columns[position].name)
    expression = entry.expressions[sum(1 for one in columns[:at] if one < 0)]
    return expression_shown(entry.table, expression, pretty, index_key=True)


def index_definition(entry: IndexEntry, pretty: bool = False, path: Sequence[str] = ()) -> str:
    """CREATE INDEX ... as pg_get_indexdef(oid) has it."""
    unique = "UNIQUE " if entry.unique else ""
    table = entry.table
    on = shown_name(table.schema, table.name, path) if pretty else qualified(table.schema, table.name)
    keys: list[str] = []
    for at in range(len(entry.columns)):
        first = entry.nulls_first[at] if at < len(entry.nulls_first) else False
        keys.append(index_key(entry, at, pretty) + (" NULLS FIRST" if first else ""))
    text = f"CREATE {unique}INDEX {quoted(entry.name)} ON {on} USING {ACCESS_METHOD} ({', '.join(keys)})"
    if entry.include:
        text += f" INCLUDE ({column_list(table, entry.include)})"
    if entry.nulls_not_distinct:
        text += " NULLS NOT DISTINCT"
    if entry.predicate is not None:
        shown = expression_shown(table, entry.predicate, pretty)
        text += f" WHERE {shown}"
    return text


def key_constraint_definition(entry: IndexEntry) -> str:
    """PRIMARY KEY (...) or UNIQUE (...)."""
    words = "PRIMARY KEY" if entry.primary else "UNIQUE NULLS NOT DISTINCT" if entry.nulls_not_distinct else "UNIQUE"
    text = f"{words} ({column_list(entry.table, entry.columns)})"
    if entry.include:
        text += f" INCLUDE ({column_list(entry.table, entry.include)})"
    return text


def check_definition(expression: str, table: Table | None, pretty: bool, validated: bool, no_inherit: bool) -> str:
    text = f"CHECK ({expression_shown(table, expression, pretty)})"
    if no_inherit:
        text += " NO INHERIT"
    return text if validated else text + " NOT VALID"


def foreign_key_definition(facts: Facts, table: Table, key: ForeignKey, path: Sequence[str]) -> str:
    other = facts.snapshot.by_oid.get(key.table)
    if other is None:
        return ""
    text = (
        f"FOREIGN KEY ({column_list(table, key.columns)}) REFERENCES {shown_name(other.schema, other.name, path)}"
        f"({column_list(other, key.referenced)})"
    )
    if key.full:
        text += " MATCH FULL"
    if key.on_update in _ACTIONS:
        text += f" ON UPDATE {_ACTIONS[key.on_update]}"
    if key.on_delete in _ACTIONS:
        text += f" ON DELETE {_ACTIONS[key.on_delete]}"
        if key.set_columns:
            text += f" ({column_list(table, key.set_columns)})"
    if key.deferrable:
        text += " DEFERRABLE"
    if key.deferred:
        text += " INITIALLY DEFERRED"
    return text if key.validated else text + " NOT VALID"


def statistics_columns(facts: Facts, item: Statistics) -> str:
    """pg_get_statisticsobjdef_columns: `a, b`."""
    table = facts.snapshot.by_oid.get(item.table)
    if table is None:
        return ""
    names = [quoted(table.columns[position].name) for position in item.columns]
    return ", ".join(names + [expression_shown(table, text, False, index_key=True) for text in item.expressions])


def statistics_definition(facts: Facts, item: Statistics) -> str:
    table = facts.snapshot.by_oid.get(item.table)
    every = ("ndistinct", "dependencies", "mcv")
    kinds = "" if set(every) <= set(item.kinds) else f" ({', '.join(kind for kind in every if kind in item.kinds)})"
    on = qualified(table.schema, table.name) if table is not None else "?"
    name = qualified(item.schema, item.name)
    return f"CREATE STATISTICS {name}{kinds} ON {statistics_columns(facts, item)} FROM {on}"
