"""Rows made of index entries alone: the columns of an entry's key, and of the row's key that is its value.

No row is fetched, so storage looks at one place for each instead of two. Keys give back integers, dates, text, uuid and
booleans as they were; what they do not (1.0 or 1.00, how many blanks) has to be read from the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.protocol.keys import key_decoder
from tausql.sql.execution.run import Batch, Row
from tausql.sql.execution.scans import Bounds, Entries, RangeRead, StoredTest
from tausql.sql.execution.subplans import Subplans
from tausql.sql.tables import KEY_KINDS, IndexAccess, TableAccess, kind_of_type


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
    places = [(0, index.columns.index(at)) if at in index.columns else (1, access.key_columns.index(at))
              for at in projection]  # fmt: skip
    needs_row = any(source for source, _ in places)

    def decode(entries: Entries) -> Batch:
        made: Batch = []
        for key, value in entries:
            parts: tuple[list[Any], list[Any]] = (entry(key), row(value) if needs_row else [])
            found: Row = [parts[source][at] for source, at in places]
            if with_key:
                found.append(value)
            made.append(found)
        return made

    return decode
