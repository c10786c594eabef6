"""The words of ANALYZE: which tables, which of their columns."""

from __future__ import annotations

from typing import NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.lexer import tokens

_BOOLEANS = ("TRUE", "FALSE", "ON", "OFF", "1", "0")


class Target(NamedTuple):
    name: QualifiedName
    columns: tuple[str, ...]  # () = all


def read_analyze(text: str) -> list[Target]:
    """The tables named; none = all there are. Raises 42601."""
    words = Words(text, tokens(text), 1)
    if words.take("("):
        while True:
            if not words.take_one("VERBOSE", "SKIP_LOCKED"):
                words.expect("BUFFER_USAGE_LIMIT")
                words.string()
            else:
                words.take_one(*_BOOLEANS)
            if not words.take(","):
                break
        words.expect(")")
    else:
        words.take("VERBOSE")
    targets: list[Target] = []
    if words.ended:
        return targets
    while True:
        name = words.qualified_name()
        targets.append(Target(name, tuple(words.names()) if words.next_is("(") else ()))
        if not words.take(","):
            words.expect_end()
            return targets


def resolved(
    targets: list[Target], snapshot: Snapshot, search_path: tuple[str, ...]
) -> list[tuple[Table, tuple[int, ...]]]:
    """Tables and the attnums wanted of each, () = all. Raises 42P01 and 42703."""
    if not targets:
        return [(table, ()) for table in snapshot.by_oid.values()]
    found: list[tuple[Table, tuple[int, ...]]] = []
    for target in targets:
        table = snapshot.find(target.name.schema, target.name.name, search_path)
        if table is None:
            raise SqlError(Code.undefined_table, f'relation "{target.name}" does not exist')
        attnums: list[int] = []
        for name in target.columns:
            column = table.column(name)
            if column is None:
                raise SqlError(Code.undefined_column, f'column "{name}" of relation "{table.name}" does not exist')
            if column.position + 1 in attnums:
                raise SqlError(
                    Code.duplicate_column, f'column "{name}" of relation "{table.name}" appears more than once'
                )
            attnums.append(column.position + 1)
        found.append((table, tuple(attnums)))
    return found
