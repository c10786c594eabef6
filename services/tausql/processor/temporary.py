"""A session's temporary tables: their descriptors, their rows, and statements' views that see both.

They end with the session and take part in its transactions: what a transaction did to them counts if it commits, and
is undone if it does not. Nobody else can see or change them, so nobody has to be asked: their rows are no part of what
is committed, judged or counted against 3,000 rows. A view routes by relation: what lies above `FIRST_TEMPORARY_OID` is
here, everything else is the transaction's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final

import msgspec

from tausql.processor.coroutines import Resolved
from tausql.processor.gathering import Gathering
from tausql.processor.overlay import Entry, FetchOverlay, RowOverlay, Source, StoredScanner
from tausql.processor.partial_totals import OwnTotals, as_rows
from tausql.processor.temporary_rows import TemporaryRows
from tausql.processor.transaction import StatementView, Transaction, Versions
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import relation_prefix
from tausql.protocol.storage import Page, Scan
from tausql.sql.access import Scanner
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.catalogue.system import SEQUENCES, system_keys
from tausql.sql.catalogue.temporary import (
    DELETE,
    FIRST_TEMPORARY_OID,
    NO_TEMPORARIES,
    TemporaryCatalogue,
    is_temporary,
    laid_over,
)
from tausql.sql.dialect import Dialect
from tausql.sql.plans import PlanCache

IMMOVABLE: Final = "it has temporary tables"
_PLANS: Final = 200  # of a session with temporary tables; nobody else can use them
_AT_THE_END: Final = 1 << 62  # a number above those of all statements
_OIDS_MAX: Final = 0xFFFF_FFFF

TemporaryMark = tuple[TemporaryCatalogue, int]


class TemporaryTables:
    """Of one session, from its first CREATE TEMPORARY TABLE on."""

    __slots__ = ("_before", "_cluster", "_next_oid", "_shown", "catalogue", "first_sequence", "plans", "rows", "values")

    def __init__(self, cluster: int, dialect: Dialect) -> None:
        self._cluster = cluster
        self._next_oid = FIRST_TEMPORARY_OID + 1
        self.catalogue = NO_TEMPORARIES
        self._before = NO_TEMPORARIES  # what the last transaction left
        self._shown: tuple[Snapshot, TemporaryCatalogue, Snapshot] | None = None
        self.rows = TemporaryRows()
        self.values: dict[bytes, bytes] = {}  # how far its sequences have come: a rollback does not take that back
        self.first_sequence: bytes = system_keys(cluster).sequence((FIRST_TEMPORARY_OID,))
        self.plans = PlanCache(_PLANS, dialect)

    def over(self, snapshot: Snapshot) -> Snapshot:
        """The schema as this session sees it; the same object as long as nothing changes."""
        shown = self._shown
        if shown is None or shown[0] is not snapshot or shown[1] is not self.catalogue:
            shown = self._shown = (snapshot, self.catalogue, laid_over(snapshot, self.catalogue))
        return shown[2]

    def view(self, transaction: Transaction, versions: Versions, number: int) -> SessionView:
        return SessionView(transaction, versions, number, self)

    def take_oids(self, count: int) -> int:
        """Raises 54000 when there are no more: after 268 million of them."""
        first = self._next_oid
        if first + count > _OIDS_MAX:
            raise SqlError(Code.program_limit_exceeded, "too many temporary tables were created in this session")
        self._next_oid += count
        return first

    def mark(self) -> TemporaryMark:
        return self.catalogue, self.rows.position

    @property
    def before(self) -> TemporaryMark:
        """What there was before the present transaction."""
        return self._before, 0

    def back_to(self, mark: TemporaryMark) -> None:
        self.catalogue = mark[0]
        self.rows.back_to(mark[1])

    def ended(self, committed: bool) -> None:
        """The transaction is over."""
        if not committed:
            self.back_to(self.before)
            return
        catalogue = self.catalogue
        for oid, what in catalogue.on_commit.items():
            self.clear_table(catalogue.tables[oid], _AT_THE_END)
            if what != DELETE:
                self.catalogue = without(self.catalogue, oid)
        self.rows.commit()
        self._before = self.catalogue

    def discard(self, number: int) -> None:
        """DISCARD TEMP."""
        for table in self.catalogue.tables.values():
            self.clear_table(table, number)
        self.catalogue = NO_TEMPORARIES

    def clear_table(self, table: Table, number: int) -> None:
        for relation in (table.storage or table.oid, *(index.storage or index.oid for index in table.indexes)):
            self.rows.clear(relation_prefix(self._cluster, relation), number)


def without(catalogue: TemporaryCatalogue, oid: int) -> TemporaryCatalogue:
    """What is left without a table (and the sequences of its columns) or a sequence."""
    sequences = {
        own: item
        for own, item in catalogue.sequences.items()
        if own != oid and (item.owned_by is None or item.owned_by[0] != oid)
    }
    tables = {own: table for own, table in catalogue.tables.items() if own != oid}
    return TemporaryCatalogue(
        tables, sequences, {own: what for own, what in catalogue.on_commit.items() if own in tables}
    )


class TemporaryChange:
    """`sql.catalogue.temporary.Temporaries` for one statement."""

    __slots__ = ("_number", "_tables")

    def __init__(self, tables: TemporaryTables, number: int) -> None:
        self._tables = tables
        self._number = number

    @property
    def catalogue(self) -> TemporaryCatalogue:
        return self._tables.catalogue

    def take_oids(self, count: int) -> int:
        return self._tables.take_oids(count)

    def put(self, item: Table | SequenceObject) -> None:
        old = self._tables.catalogue
        if isinstance(item, Table):
            new = msgspec.structs.replace(old, tables={**old.tables, item.oid: item})
        else:
            item = msgspec.structs.replace(item, version=item.version + 1)  # values in store are values of the old one
            new = msgspec.structs.replace(old, sequences={**old.sequences, item.oid: item})
        self._tables.catalogue = new

    def remove(self, oid: int) -> None:
        self._tables.catalogue = without(self._tables.catalogue, oid)

    def on_commit(self, oid: int, what: str) -> None:
        old = self._tables.catalogue
        self._tables.catalogue = msgspec.structs.replace(old, on_commit={**old.on_commit, oid: what})

    def clear(self, prefix: bytes) -> None:
        self._tables.rows.clear(prefix, self._number)


class _Nothing:
    """What storage holds of temporary tables."""

    def page(self, scan: Scan) -> Awaitable[Page]:
        return Resolved(Page([], [], [], None))

    def values(self, keys: list[bytes]) -> Awaitable[list[bytes | None]]:
        return Resolved([None] * len(keys))


_NOTHING: Final = _Nothing()


class SessionView(StatementView):
    """A statement's view in a session that has temporary tables."""

    __slots__ = ("_tables",)

    def __init__(self, transaction: Transaction, versions: Versions, mark: int, tables: TemporaryTables) -> None:
        super().__init__(transaction, versions, mark)
        self._tables = tables

    def temporary(self) -> TemporaryChange:
        self.wrote = True
        return TemporaryChange(self._tables, self.mark)

    def beside(self) -> SessionView:
        other = super().beside()
        return SessionView(self._transaction, self._versions, other.mark, self._tables)

    def later(self) -> SessionView:
        other = super().later()
        return SessionView(self._transaction, self._versions, other.mark, self._tables)

    # reads

    def get(self, relation: int, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        if is_temporary(relation):
            return Resolved([self._value(key) for key in keys])
        if relation == SEQUENCES and any(key >= self._tables.first_sequence for key in keys):
            return self._sequences(list(keys))
        return super().get(relation, keys)

    def _value(self, key: bytes) -> bytes | None:
        version = self._tables.rows.visible(key, self.mark)
        return None if version is None else version.value

    async def _sequences(self, keys: list[bytes]) -> list[bytes | None]:
        own = self._tables
        others = [key for key in keys if key < own.first_sequence]
        found = iter(await super().get(SEQUENCES, others) if others else ())
        return [next(found) if key < own.first_sequence else own.values.get(key) for key in keys]

    def scan(self, relation: int, scan: Scan) -> Scanner:
        if not is_temporary(relation):
            return super().scan(relation, scan)
        if scan.aggregation is not None:
            own = self._tables.rows.visible_in(scan.low, scan.high, self.mark)
            return OwnTotals(RowOverlay(_NOTHING, as_rows(scan), own), scan.aggregation)
        return self._own_scanner(scan)

    def _scanner(self, source: Source, relation: int, scan: Scan) -> StoredScanner | RowOverlay | FetchOverlay:
        return self._own_scanner(scan) if is_temporary(relation) else super()._scanner(source, relation, scan)

    def _own_scanner(self, scan: Scan) -> RowOverlay | FetchOverlay:
        rows = self._tables.rows
        own = rows.visible_in(scan.low, scan.high, self.mark)
        if scan.fetch:
            return FetchOverlay(_NOTHING, scan, own, rows, self.mark)
        return RowOverlay(_NOTHING, scan, own)

    async def scan_many(self, relation: int, scans: Sequence[Scan]) -> list[list[Entry]]:
        if not is_temporary(relation):
            return await super().scan_many(relation, scans)
        return await Gathering(self._read).read_all([self._own_scanner(scan) for scan in scans])

    # writes

    def _put(self, key: bytes, value: bytes | None) -> None:
        self.wrote = True
        self._tables.rows.put(key, value, self.mark)

    def insert_row(self, relation: int, key: bytes, value: bytes) -> None:
        if is_temporary(relation):
            self._put(key, value)
        elif relation == SEQUENCES and key >= self._tables.first_sequence:
            self._tables.values[key] = value
        else:
            super().insert_row(relation, key, value)

    def update_row(self, relation: int, key: bytes, value: bytes, key_columns_changed: bool) -> None:
        if is_temporary(relation):
            self._put(key, value)
        elif relation == SEQUENCES and key >= self._tables.first_sequence:
            self._tables.values[key] = value
        else:
            super().update_row(relation, key, value, key_columns_changed)

    def delete_row(self, relation: int, key: bytes) -> None:
        if is_temporary(relation):
            self._put(key, None)
        elif relation == SEQUENCES and key >= self._tables.first_sequence:
            self._tables.values.pop(key, None)
        else:
            super().delete_row(relation, key)

    def lock_row(self, relation: int, key: bytes) -> None:
        if not is_temporary(relation):  # nobody else could want it
            super().lock_row(relation, key)

    def share_key(self, relation: int, key: bytes) -> None:
        if not is_temporary(relation):
            super().share_key(relation, key)

    def share_row(self, relation: int, key: bytes) -> None:
        if not is_temporary(relation):
            super().share_row(relation, key)

    def put_entry(self, relation: int, key: bytes, value: bytes, unique: bool) -> None:
        if is_temporary(relation):
            self._put(key, value)
        else:
            super().put_entry(relation, key, value, unique)

    def delete_entry(self, relation: int, key: bytes, unique: bool) -> None:
        if is_temporary(relation):
            self._put(key, None)
        else:
            super().delete_entry(relation, key, unique)
