"""Rows made of index entries alone: the columns of an entry's key, of the row's key in its value, and INCLUDE columns.

No row is fetched, so storage looks at one place for each instead of two. Keys give back integers, dates, text, uuid and
booleans as they were; what they do not (1.0 or 1.00, how many blanks) has to be read from the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tausql.protocol.keys import KeyKind, included_in, key_decoder, row_key_of
from tausql.sql.execution.run import Batch, Row
from tausql.sql.execution.scans import Bounds, Entries, RangeRead, StoredTest
from tausql.sql.execution.subplans import Subplans
from tausql.sql.stored_kinds import KEY_KINDS, kind_of_type
from tausql.sql.tables import IndexAccess, TableAccess

_ENTRY, _KEY, _INCLUDED = range(3)
_EXACT_KINDS: Final = (KeyKind.integer, KeyKind.text, KeyKind.uuid, KeyKind.boolean)


class IndexOnlyRead(RangeRead):
    """A RangeRead of an index that gives the columns of `projection`."""

    __slots__ = ()

    def __init__(
        self,
        rows: float,
        access: TableAccess,
        alias: str,
        bounds: Bounds,
        tests: Sequence[StoredTest],
        with_key: bool,
        projection: tuple[int, ...],
        subplans: Subplans | None,
        index: IndexAccess,
        reverse: bool,
    ) -> None:
        super().__init__(rows, access, alias, bounds, tests, with_key, projection, subplans, index.index.name, reverse)
        self.fetch = False
        self.entries = entry_decoder(access, index, projection, with_key)


def entry_decoder(
    access: TableAccess, index: IndexAccess, projection: Sequence[int], with_key: bool
) -> Callable[[Entries], Batch]:
    """A function from (entry's key, row's key) pairs to rows of these positions, and with `with_key` the row's key."""
    entry = key_decoder(index.prefix, [kind_of_type(oid) for oid in index.types])
    row = key_decoder(access.prefix, [KEY_KINDS[access.table.columns[at].type_oid] for at in access.key_columns])
    included = index.included.decode
    places = [_place(access, index, at) for at in projection]
    needs_row = any(source == _KEY for source, _ in places)
    needs_included = any(source == _INCLUDED for source, _ in places)

    def decode(entries: Entries) -> Batch:
        made: Batch = []
        for key, value in entries:
            row_key = row_key_of(value)
            stored = included_in(value) if needs_included else None
            parts: tuple[list[Any], list[Any], list[Any]] = (
                entry(key), row(row_key) if needs_row else [], included(stored) if stored is not None else [],
            )  # fmt: skip
            found: Row = [parts[source][at] for source, at in places]
            if with_key:
                found.append(row_key)
            made.append(found)
        return made

    return decode


def decodable(access: TableAccess, columns: Sequence[int]) -> set[int]:
    """Those of a key's columns whose values can be had back from it as they were."""
    return {at for at in columns if at >= 0 and _kind(access, at) in _EXACT_KINDS}


def _kind(access: TableAccess, at: int) -> KeyKind | None:
    return KEY_KINDS.get(access.table.columns[at].type_oid) if at < access.width else None


def _place(access: TableAccess, index: IndexAccess, at: int) -> tuple[int, int]:
    """Where a column's value is: in which part of the entry, and the how many-th there."""
    if at in decodable(access, index.columns):
        return _ENTRY, index.columns.index(at)
    if at in index.covering:
        return _INCLUDED, index.covering.index(at)
    return _KEY, access.key_columns.index(at)
