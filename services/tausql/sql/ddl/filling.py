"""An index filled at once, within the schema change that makes it: where its table is small enough to be read whole.

A job could not do it for a temporary table, which only its session sees, nor within the transaction that goes on to
rely on it. Who writes the table meanwhile meets OC001, as with any change of its schema.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Check, ForeignKey, Index, Table
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.execution.links import Link
from tausql.sql.stored_expressions import compiled_check
from tausql.sql.tables import IndexAccess, TableAccess, table_access
from tausql.sql.types import type_by_oid
from tausql.sql.types.session_format import SessionFormat

PARENTS_AT_ONCE = 1_000


async def all_rows(transaction: Transaction, access: TableAccess) -> AsyncIterator[tuple[bytes, list[Any]]]:
    """(key, row) of every row of a table, as the transaction sees them."""
    low, high = access.row_range()
    scanner = transaction.scan(access.oid, Scan(low, high))
    while page := await scanner.next_page():
        for key, value in page:
            yield key, access.decode(value)


async def fill_index(change: SchemaChange, table: Table, index: Index) -> None:
    """`table` has the index already. Raises 23505 for a unique one that cannot be, 54000 for too much at once."""
    access = table_access(change.snapshot.cluster, table)
    entries = access.index_access(index)
    transaction = change.transaction.later()
    seen: set[bytes] = set()
    async for key, row in all_rows(transaction, access):
        wanted = entries.unique_entry(row) if index.unique else None
        if wanted is not None:
            if wanted in seen:
                raise duplicate(table, entries, row, change.context.format)
            seen.add(wanted)
        access.put_entry(transaction, entries, row, key)


async def check_rows(change: SchemaChange, table: Table, constraint: Check | ForeignKey, parent: Table | None) -> None:
    """Every row there is against a constraint that is added. `parent`: the table a foreign key points at. Raises 23514
    and 23503."""
    access = table_access(change.snapshot.cluster, table)
    transaction = change.transaction.later()
    if isinstance(constraint, Check):
        passes = compiled_check(table.name, table.columns, constraint.expression)
        async for _, row in all_rows(transaction, access):
            if passes(row, change.context) is False:
                raise SqlError(
                    Code.check_violation,
                    f'check constraint "{constraint.name}" of relation "{table.name}" is violated by some row',
                    schema=table.schema,
                    table=table.name,
                    constraint=constraint.name,
                )
        return
    assert parent is not None
    link = Link(constraint, access, table_access(change.snapshot.cluster, parent))
    wanted: dict[bytes, list[Any]] = {}
    async for _, row in all_rows(transaction, access):
        key = link.parent_key(row, change.context)
        if key is not None:
            wanted.setdefault(key, row)
        if len(wanted) >= PARENTS_AT_ONCE:
            await _check_parents(change, transaction, link, wanted)
    await _check_parents(change, transaction, link, wanted)


async def _check_parents(
    change: SchemaChange, transaction: Transaction, link: Link, wanted: dict[bytes, list[Any]]
) -> None:
    keys = list(wanted)
    for key, value in zip(keys, await transaction.get(link.parent.oid, keys) if keys else [], strict=True):
        if value is None:
            raise link.missing(wanted[key], change.context)
    wanted.clear()


def duplicate(table: Table, entries: IndexAccess, row: Sequence[Any], format: SessionFormat) -> SqlError:
    labels = iter(entries.index.expressions)
    names = [table.columns[at].name if at >= 0 else next(labels) for at in entries.columns]
    return not_unique(entries.index.name, names, entries.values(row), entries.types, format)


def not_unique(
    index: str, names: Sequence[str], values: Sequence[Any], oids: Sequence[int], format: SessionFormat
) -> SqlError:
    """23505 of an index that is to be made."""
    texts = [
        "null" if value is None else type_by_oid(oid).text_out(value, format)
        for value, oid in zip(values, oids, strict=True)
    ]
    return SqlError(
        Code.unique_violation,
        f'could not create unique index "{index}"',
        detail=f"Key ({', '.join(names)})=({', '.join(texts)}) is duplicated.",
    )
