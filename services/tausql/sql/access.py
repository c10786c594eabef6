"""What the executor asks of the transaction it runs in: reads at its snapshot, with its own writes laid over them.

The processor's transaction implements it over storage and a write buffer; tests over a dictionary. Awaiting is done
without an event loop: the awaitables are the implementer's own, and whoever drives the statement's coroutine knows
them. Values are rows as stored (`protocol.rows`); keys are encoded (`protocol.keys`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tausql.protocol.storage import Scan

if TYPE_CHECKING:
    from tausql.sql.catalogue.temporary import Temporaries

Entry = tuple[bytes, bytes]  # (key, value as stored or projected)


class Scanner(Protocol):
    """A scan in progress. Rows come in key order (or the opposite, for a reverse scan), own writes merged in."""

    def next_page(self) -> Awaitable[list[Entry]]:
        """The next rows; an empty list at the end. A page is at most `scan.page_rows` rows (plus own writes)."""
        ...


class Transaction(Protocol):
    """One statement's view of its transaction. Raises SqlError: 40001 where the schema or a row has moved on."""

    def get(self, relation: int, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        """The rows (or index entries) under exactly these keys, None where there is none. One round trip for all."""
        ...

    def scan(self, relation: int, scan: Scan) -> Scanner:
        """With `scan.fetch` (an index whose entries' values are row keys) the pages hold rows, `Entry[0]` = row key,
        in index order, own writes to the index and the rows considered. `scan.tests` and `scan.projection` are
        applied to stored rows and to own writes alike. With `scan.aggregation` the pages hold partial rows
        (`protocol.totals`) under empty keys, own writes counted in."""
        ...

    def scan_many(self, relation: int, scans: Sequence[Scan]) -> Awaitable[list[list[Entry]]]:
        """Several scans, each read to its end (or its limit), in as few round trips as can be: what a batched index
        join asks for. Answers come in the order of `scans`, as `scan` would give them."""
        ...

    def usage(self) -> tuple[int, int]:
        """(bytes that storage has sent, bytes of the post images to be written, each counted as 128 at least), of the
        transaction so far."""
        ...

    # Writes go to the buffer. `value` is the whole row. Each raises 54000 beyond 3,000 rows or 10 MiB.

    def insert_row(self, relation: int, key: bytes, value: bytes) -> None: ...

    def update_row(self, relation: int, key: bytes, value: bytes, key_columns_changed: bool) -> None:
        """Same primary key. `key_columns_changed`: a column of some unique index changed (meets key shares)."""
        ...

    def delete_row(self, relation: int, key: bytes) -> None: ...

    def lock_row(self, relation: int, key: bytes) -> None:
        """FOR UPDATE: conflicts like a write, changes nothing."""
        ...

    def share_key(self, relation: int, key: bytes) -> None:
        """FOR KEY SHARE: conflicts with whoever inserts, deletes, or updates key columns of that row."""
        ...

    def share_row(self, relation: int, key: bytes) -> None:
        """Index backfill: conflicts with any write of that row."""
        ...

    def put_entry(self, relation: int, key: bytes, value: bytes, unique: bool) -> None:
        """An index entry; `relation` is the index's table. Entries of unique indexes are conflict keys."""
        ...

    def delete_entry(self, relation: int, key: bytes, unique: bool) -> None: ...

    def beside(self) -> Transaction:
        """A view that also sees what has been written so far, while this one goes on reading what it saw."""
        ...

    def later(self) -> Transaction:
        """A view that also sees what this one has written so far; reads of this one are over."""
        ...

    def deferred(self) -> Any:
        """The transaction's deferred constraints (`execution.referential.Deferred`)."""
        ...

    def temporary(self) -> Temporaries:
        """The session's temporary tables. Only where it has some, or makes one."""
        ...

    def change_schema(self, relation: int) -> None:
        """This transaction changes the schema of a relation: others that used the old one will meet OC001."""
        ...
