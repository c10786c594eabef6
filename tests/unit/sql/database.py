"""A small database for tests: tables built as descriptors, statements run on the memory transaction."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from memory_transaction import MemoryStore, run

from tausql.sql.catalogue.descriptors import Check, Column, Index, IndexState, Snapshot, Table
from tausql.sql.engine import Prepared, prepare
from tausql.sql.expressions import Context
from tausql.sql.statements import parse_statements
from tausql.sql.types import type_by_name
from tausql.sql.types.session_format import SessionFormat

NOW_US = 836_000_000_000_000


def table(
    oid: int,
    name: str,
    columns: Sequence[str],
    primary_key: Sequence[str] = (),
    indexes: Iterable[tuple[str, Sequence[str], bool]] = (),
    checks: Sequence[tuple[str, str]] = (),
    states: dict[str, IndexState] | None = None,
) -> Table:
    """Columns as 'name type [not null] [default expression]'; indexes as (name, columns, unique)."""
    made: list[Column] = []
    for position, text in enumerate(columns):
        text, _, default = text.partition(" default ")
        not_null = " not null" in text
        column, _, type_name = text.replace(" not null", "").partition(" ")
        type_name, _, modifier = type_name.partition("(")
        typmod = -1
        if modifier:
            numbers = [int(part) for part in modifier.rstrip(")").split(",")]
            typmod = ((numbers[0] << 16) | numbers[1]) + 4 if len(numbers) > 1 else numbers[0] + 4
        made.append(
            Column(
                column,
                type_by_name(type_name).oid,
                typmod,
                not_null or column in primary_key,
                position,
                default or None,
            )
        )
    places = {column.name: column.position for column in made}
    return Table(
        oid,
        "public",
        name,
        tuple(made),
        tuple(places[column] for column in primary_key),
        f"{name}_pkey",
        tuple(
            Index(oid + 1 + at, index, tuple(places[column] for column in indexed), unique,
                  (states or {}).get(index, IndexState.ready), constraint=index.endswith("_key"))
            for at, (index, indexed, unique) in enumerate(indexes)
        ),
        tuple(Check(*check) for check in checks),
        version=oid,
    )  # fmt: skip


def snapshot(tables: Sequence[Table]) -> Snapshot:
    return Snapshot(
        1,
        1,
        ("public",),
        {(one.schema, one.name): one for one in tables},
        {one.oid: one for one in tables},
        {(one.schema, index.name): (one, index) for one in tables for index in one.indexes},
    )


class Database:
    def __init__(self, *tables: Table) -> None:
        self.snapshot = snapshot(tables)
        self.store = MemoryStore()
        self.random = random.Random(1)
        self.format = SessionFormat()

    def context(self, params: Sequence[Any] = ()) -> Context:
        return Context(
            params=params,
            now_us=NOW_US,
            format=self.format,
            random=self.random.random,
            random_bytes=self.random.randbytes,
        )

    def prepare(self, sql: str, disabled: frozenset[str] = frozenset()) -> Prepared:
        (statement,) = parse_statements(sql)
        return prepare(statement, self.snapshot, disabled=disabled)

    def execute(self, sql: str, *params: Any) -> tuple[str, list[list[Any]]]:
        """(tag, rows) of one statement; a failed one leaves nothing behind."""
        return self.run(self.prepare(sql), params)

    def run(self, prepared: Prepared, params: Sequence[Any] = ()) -> tuple[str, list[list[Any]]]:
        before = self.store.entries.copy()
        try:
            execution = prepared.open(self.store.statement(), self.context(params))
            rows = run(execution.fetch(0))
        except Exception:
            self.store.entries = before
            raise
        assert execution.done
        return execution.tag, rows

    def rows(self, sql: str, *params: Any) -> list[list[Any]]:
        return self.execute(sql, *params)[1]

    def shown(self, sql: str, *params: Any) -> list[list[str | None]]:
        """Rows as a text-format client sees them."""
        prepared = self.prepare(sql)
        rows = self.rows(sql, *params)
        types = [column.type for column in prepared.columns or ()]
        return [
            [
                None if value is None else type.text_out(value, self.format)
                for value, type in zip(row, types, strict=True)
            ]
            for row in rows
        ]

    def plan(self, sql: str) -> list[str]:
        return [row[0] for row in self.rows("explain " + sql)]
