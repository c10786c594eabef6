"""A transaction: one snapshot, the writes made so far, and its end.

Statements do not get the transaction itself but a `StatementView` each: a statement reads what the transaction wrote
before it, not what it writes itself while it runs.

What a plan was made with is checked wherever it could matter. A read names the schema versions of its plan, and storage
refuses it if others were current at tau_start. A statement that writes without reading has nobody to tell it so (the
adjudicator only knows what changed *after* tau_start), so its versions are checked by an empty read before the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tausql.processor.buffer import Tables, WriteBuffer
from tausql.processor.commits import TRANSACTION_SECONDS_MAX, Announce, Commits
from tausql.processor.coroutines import Resolved, Wait
from tausql.processor.gathering import Gathering
from tausql.processor.overlay import Entry, FetchOverlay, RowOverlay, Source, StoredScanner
from tausql.processor.partial_totals import OwnTotals, StoredTotals, as_rows
from tausql.processor.reads import Reads, StaleSchemaError, too_old
from tausql.processor.rows_elsewhere import are_lacking, completed
from tausql.processor.snapshots import Snapshots
from tausql.processor.usage import ROW_BYTES_MIN, Usage, size_of
from tausql.protocol.errors import Code, SqlError, schema_changed
from tausql.protocol.storage import Page, Read, Rows, Scan, SchemaVersions
from tausql.protocol.tau import micros_of
from tausql.protocol.totals import Aggregation
from tausql.runtime.host import Host
from tausql.sql.access import Scanner
from tausql.sql.catalogue.descriptors import GLOBAL_RELATION, Snapshot
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.execution.referential import Deferred

if TYPE_CHECKING:
    from tausql.processor.temporary import TemporaryMark, TemporaryTables
    from tausql.sql.catalogue.temporary import Temporaries

EPOCH_2000_MICROS = 946_684_800_000_000  # of PostgreSQL's timestamps, since the Unix epoch

Versions = tuple[tuple[int, int], ...]  # (relation, version) pairs a plan was made with


class Transactions:
    """What the transactions of one cluster are made of."""

    __slots__ = ("commits", "full", "host", "reads", "snapshots", "usage", "written")

    def __init__(self, host: Host, snapshots: Snapshots, reads: Reads, commits: Commits, usage: Usage) -> None:
        self.host = host
        self.snapshots = snapshots
        self.reads = reads
        self.commits = commits
        self.usage = usage
        self.full = False  # it keeps more than it may
        self.written: dict[int, int] = {}  # table -> rows changed here since it was last analysed


class TransactionMark(NamedTuple):
    """What a transaction was like at a savepoint. `tables` None: it had written nothing."""

    number: int  # of the newest statement then
    tables: Tables | None
    used: frozenset[Versions]
    unverified: frozenset[Versions]
    changes: frozenset[int]
    ddl: int
    dml: int
    catalogue: Snapshot | None
    deferred: Deferred | None
    temporary: TemporaryMark | None = None


def of_others(versions: Versions) -> Versions:
    """Without those of the session's temporary tables, which nobody else knows."""
    return tuple([each for each in versions if not is_temporary(each[0])])


class Transaction:
    """One transaction. `block`: begun by BEGIN, ended by COMMIT or ROLLBACK."""

    __slots__ = (
        "_expires",
        "_parts",
        "_unverified",
        "_used",
        "as_of",
        "block",
        "buffer",
        "catalogue",
        "changes",
        "ddl",
        "deferred",
        "dml",
        "executed",
        "number",
        "open_marks",
        "read_bytes",
        "read_only",
        "started_us",
        "tau_commit",
        "tau_start",
        "temporary",
    )

    def __init__(self, parts: Transactions, block: bool, read_only: bool = False) -> None:
        self._parts = parts
        self.block = block
        self.read_only = read_only
        self.tau_start = 0  # 0 = no snapshot taken yet
        self.as_of = ""  # the instant in the past it was told to read at
        self.tau_commit = 0
        self._expires = 0.0
        self.started_us = 0  # microseconds since 2000: what now() says; 0 = nobody has asked yet
        self.buffer: WriteBuffer | None = None
        self.number = 0  # of the newest statement
        self.open_marks: set[int] = set()  # of suspended portals
        self._used: set[Versions] = set()
        self._unverified: set[Versions] = set()
        self.changes: set[int] = set()  # relations whose schema this transaction changes
        self.ddl = 0
        self.dml = 0
        self.executed = 0  # statements of the client's
        self.read_bytes = 0  # what storage has sent
        self.deferred: Deferred | None = None  # constraints to be checked before the commit
        self.catalogue: Snapshot | None = None  # pinned where the shared one does not fit tau_start
        self.temporary: TemporaryTables | None = None  # the session's, once it has made one

    def take_snapshot(self) -> int:
        """tau_start; fixed by the first call."""
        if not self.tau_start:
            self.tau_start = self._parts.snapshots.take()
            self._expires = self._parts.host.monotonic() + TRANSACTION_SECONDS_MAX
        return self.tau_start

    def now_us(self) -> int:
        """The transaction's time, microseconds since 2000."""
        if not self.started_us:
            micros = micros_of(self.tau_start) if self.tau_start else self._parts.snapshots.latest()
            self.started_us = micros - EPOCH_2000_MICROS
        return self.started_us

    def check_age(self) -> None:
        """Raises SqlError 54000 once the transaction is older than it may get."""
        if self._expires and self._parts.host.monotonic() > self._expires:
            self._parts.usage.query_timeouts += 1
            raise too_old()

    def seconds_left(self) -> float:
        """Until it is too old; it has its snapshot."""
        return max(self._expires - self._parts.host.monotonic(), 0.0)

    def statement(self, versions: Versions, writes: bool) -> StatementView:
        """The view of the next statement. `versions`: what its plan relies on."""
        self.number += 1
        if self.temporary is not None:
            versions = of_others(versions)
        if versions:
            self._used.add(versions)
            if writes:
                self._unverified.add(versions)
        buffer = self.buffer
        if buffer is not None:
            buffer.oldest_mark = min(self.open_marks) if self.open_marks else self.number
        if self.temporary is not None:
            return self.temporary.view(self, versions, self.number)
        return StatementView(self, versions, self.number)

    def forget(self, versions: Versions) -> None:
        """A plan turned out to be stale before it changed anything: the transaction does not rely on it."""
        if self.temporary is not None:
            versions = of_others(versions)
        self._used.discard(versions)
        self._unverified.discard(versions)

    def read(self, versions: Versions, gets: list[bytes], scans: list[Scan]) -> Wait[Rows]:
        self.check_age()
        return self._parts.reads.read(Read(self.take_snapshot(), versions, gets, scans))

    def read_schema(self, cluster: int, tau_start: int) -> Wait[SchemaVersions]:
        self.check_age()
        return self._parts.reads.read_schema(cluster, tau_start)

    def count_rows_elsewhere(self, count: int) -> None:
        self._parts.reads.metrics.rows_elsewhere += count

    def verified(self, versions: Versions) -> None:
        """Storage has answered a read with these versions."""
        if self._unverified:
            self._unverified.discard(versions)

    def writable(self) -> WriteBuffer:
        buffer = self.buffer
        if buffer is None:
            buffer = self.buffer = WriteBuffer()
            buffer.oldest_mark = min(self.open_marks) if self.open_marks else self.number
        return buffer

    def mark(self, before: Tables | None) -> TransactionMark:
        """What `back_to` takes it back to. `before`: the tables of an earlier mark, which are shared where they fit."""
        return TransactionMark(
            self.number,
            None if self.buffer is None else self.buffer.tables(before),
            frozenset(self._used),
            frozenset(self._unverified),
            frozenset(self.changes),
            self.ddl,
            self.dml,
            self.catalogue,
            None if self.deferred is None else self.deferred.copy(),
            None if self.temporary is None else self.temporary.mark(),
        )

    def back_to(self, mark: TransactionMark) -> None:
        """Undo what was written since. Statement numbers go on: no two statements share one."""
        if mark.tables is None:
            self.buffer = None
        elif self.buffer is not None:
            self.buffer.back_to(mark.tables)
        self._used, self._unverified, self.changes = set(mark.used), set(mark.unverified), set(mark.changes)
        self.ddl, self.dml, self.catalogue = mark.ddl, mark.dml, mark.catalogue
        self.deferred = None if mark.deferred is None else mark.deferred.copy()
        if self.temporary is not None:
            self.temporary.back_to(mark.temporary or self.temporary.before)

    def deferred_constraints(self) -> Deferred:
        if self.deferred is None:
            self.deferred = Deferred()
        return self.deferred

    async def check_deferred(self, only: frozenset[int] | None = None) -> None:
        """Check what was put off: all of it, or that of some foreign keys. Raises SqlError 23503."""
        deferred = self.deferred
        if deferred is None or not deferred.events:
            return
        try:
            await deferred.finish(self.statement((), True), only)
        except StaleSchemaError:
            raise schema_changed() from None

    @property
    def changed_anything(self) -> bool:
        return bool(self.changes) or (self.buffer is not None and not self.buffer.empty)

    async def commit(self, announce: Announce | None = None) -> None:
        """Make it durable and visible. A transaction that wrote nothing asks nobody. Raises SqlError, and what
        `announce` raises."""
        buffer = self.buffer
        if buffer is None or buffer.empty:
            return
        self.check_age()
        if self.deferred is not None:
            await self.check_deferred()
        tau_start = self.take_snapshot()
        if self._unverified:
            await self._verify()
        schema = {relation for versions in self._used for relation, _ in versions}
        schema |= buffer.relations
        if self.changes:
            self.changes.add(GLOBAL_RELATION)
            schema |= self.changes
        parts = self._parts
        self.tau_commit = await parts.commits.commit(tau_start, buffer, schema, self.changes, parts.usage, announce)
        written, changed = parts.written, buffer.row_relations
        for relation in changed:
            written[relation] = written.get(relation, 0) + buffer.rows // len(changed)

    async def _verify(self) -> None:
        merged: dict[int, int] = {}
        for versions in self._unverified:
            for relation, version in versions:
                if merged.setdefault(relation, version) != version:
                    raise schema_changed()
        assert self.buffer is not None
        try:
            # A key tells storage whose schema is meant; which one does not matter.
            await self.read(tuple(merged.items()), [self.buffer.a_key()], [])
        except StaleSchemaError:
            raise schema_changed() from None


class StatementView:
    """One statement's view of its transaction: implements `sql.access.Transaction`."""

    __slots__ = ("_transaction", "_versions", "mark", "wrote")

    def __init__(self, transaction: Transaction, versions: Versions, mark: int) -> None:
        self._transaction = transaction
        self._versions = versions
        self.mark = mark  # it sees own writes of lower numbers, and writes with this one
        self.wrote = False

    def beside(self) -> StatementView:
        """A view that also sees what has been written so far, while this one goes on reading what it saw."""
        transaction = self._transaction
        transaction.number += 1
        self.wrote = True  # or is about to, through the other
        return StatementView(transaction, self._versions, transaction.number)

    def later(self) -> StatementView:
        """A view that also sees what this one has written so far; reads of this one are over."""
        transaction = self._transaction
        transaction.number += 1
        if transaction.buffer is not None:
            marks = transaction.open_marks
            transaction.buffer.oldest_mark = min(marks) if marks else transaction.number
        return StatementView(transaction, self._versions, transaction.number)

    def deferred(self) -> Deferred:
        """The transaction's deferred constraints."""
        return self._transaction.deferred_constraints()

    def temporary(self) -> Temporaries:
        raise SqlError(Code.internal_error, "the session has no temporary tables")

    # reads

    def get(self, relation: int, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        buffer = self._transaction.buffer
        if buffer is None or not buffer.has_images:
            return self.values(keys if isinstance(keys, list) else list(keys))
        values: list[bytes | None] = []
        missing: list[bytes] = []
        places: list[int] = []
        for key in keys:
            own = buffer.visible(key, self.mark)
            if own is None:
                places.append(len(values))
                missing.append(key)
                values.append(None)
            else:
                values.append(own.value)
        if not missing:
            return Resolved(values)
        return self._fill(values, places, missing)

    async def _fill(self, values: list[bytes | None], places: list[int], missing: list[bytes]) -> list[bytes | None]:
        for place, value in zip(places, await self.values(missing), strict=True):
            values[place] = value
        return values

    def scan(self, relation: int, scan: Scan) -> Scanner:
        if scan.aggregation is not None:
            return self._totals(scan, scan.aggregation)
        return self._scanner(self, relation, scan)

    def _totals(self, scan: Scan, aggregation: Aggregation) -> Scanner:
        buffer = self._transaction.buffer
        if buffer is not None and buffer.has_images:
            own = buffer.visible_in(scan.low, scan.high, self.mark)
            if own:
                return OwnTotals(RowOverlay(self, as_rows(scan), own), aggregation)
        return StoredTotals(self, scan, aggregation)

    async def scan_many(self, relation: int, scans: Sequence[Scan]) -> list[list[Entry]]:
        gathering = Gathering(self._read)
        return await gathering.read_all([self._scanner(gathering, relation, scan) for scan in scans])

    def _scanner(self, source: Source, relation: int, scan: Scan) -> StoredScanner | RowOverlay | FetchOverlay:
        buffer = self._transaction.buffer
        if buffer is not None and buffer.has_images:
            own = buffer.visible_in(scan.low, scan.high, self.mark)
            if scan.fetch:
                if own or buffer.rows_changed(relation, self.mark):
                    return FetchOverlay(source, scan, own, buffer, self.mark)
            elif own:
                return RowOverlay(source, scan, own)
        return StoredScanner(source, scan)

    async def values(self, keys: list[bytes]) -> list[bytes | None]:
        """What storage holds under `keys`, own writes left out."""
        return (await self._read(keys, [])).values

    async def page(self, scan: Scan) -> Page:
        """A page of what storage holds, own writes left out."""
        return (await self._read([], [scan])).pages[0]

    async def _read(self, gets: list[bytes], scans: list[Scan]) -> Rows:
        transaction = self._transaction
        rows = await transaction.read(self._versions, gets, scans)
        transaction.verified(self._versions)
        if len(rows.values) < len(gets):  # large rows: more than one answer holds
            values = list(rows.values)
            while len(values) < len(gets):
                values += (await transaction.read(self._versions, gets[len(values) :], [])).values
            rows = Rows(rows.newest, values, rows.pages)
        if scans and are_lacking(scans, rows.pages):
            rows = Rows(rows.newest, rows.values, await completed(scans, rows.pages, self._rows_elsewhere))
        transaction.read_bytes += size_of(rows)
        return rows

    async def _rows_elsewhere(self, keys: list[bytes]) -> list[bytes | None]:
        transaction = self._transaction
        transaction.count_rows_elsewhere(len(keys))
        return await self.values(keys)

    def usage(self) -> tuple[int, int]:
        transaction = self._transaction
        buffer = transaction.buffer
        images = buffer.images() if buffer is not None else ()
        return transaction.read_bytes, sum(max(len(value or b""), ROW_BYTES_MIN) for _, value in images)

    # writes

    def insert_row(self, relation: int, key: bytes, value: bytes) -> None:
        self.wrote = True
        self._transaction.writable().insert_row(relation, key, value, self.mark)

    def update_row(self, relation: int, key: bytes, value: bytes, key_columns_changed: bool) -> None:
        self.wrote = True
        self._transaction.writable().update_row(relation, key, value, key_columns_changed, self.mark)

    def delete_row(self, relation: int, key: bytes) -> None:
        self.wrote = True
        self._transaction.writable().delete_row(relation, key, self.mark)

    def lock_row(self, relation: int, key: bytes) -> None:
        self.wrote = True
        self._transaction.writable().lock_row(relation, key)

    def share_key(self, relation: int, key: bytes) -> None:
        self.wrote = True
        self._transaction.writable().share_key(relation, key)

    def share_row(self, relation: int, key: bytes) -> None:
        self.wrote = True
        self._transaction.writable().share_row(relation, key)

    def put_entry(self, relation: int, key: bytes, value: bytes, unique: bool) -> None:
        self.wrote = True
        self._transaction.writable().put_entry(relation, key, value, unique, self.mark)

    def delete_entry(self, relation: int, key: bytes, unique: bool) -> None:
        self.wrote = True
        self._transaction.writable().delete_entry(relation, key, unique, self.mark)

    def change_schema(self, relation: int) -> None:
        self.wrote = True
        self._transaction.changes.add(relation)
