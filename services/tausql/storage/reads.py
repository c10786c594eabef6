"""Reads at a tau the replica has reached, of the keys it serves: point gets, scans in pages, schema versions.

A page is bounded in rows, in bytes and in versions looked at, because everything in the process waits while it is made;
the reader asks for the next one with the key it got. The iterator is kept until the next write: making one costs more
than a point read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tausql.protocol.pushdown import Projection, RowTest, compile_projection, compile_tests
from tausql.protocol.ranges import Lookup, Range
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import (
    NotHere,
    Page,
    Read,
    ReadSchema,
    Rows,
    Scan,
    SchemaVersions,
    StaleSchema,
    TooOld,
)
from tausql.storage.engine import Engine
from tausql.storage.schema import SchemaHistory, cluster_of
from tausql.storage.versions import Ascending, Descending, VersionReader

Answer = Rows | StaleSchema | TooOld | NotHere
_Bounds = tuple[bytes, bytes, bytes | None]
_GETS_UNCOUNTED = 4  # of 2 MiB each at most


class EntryWithoutRow(Exception):
    """An index entry names a row that is not there at the same tau: the index does not equal its table."""


@dataclass(slots=True)
class PageLimits:
    rows_max: int = 10_000
    bytes_max: int = 1 << 20  # of one answer, over all its scans; one row may exceed it
    examined_max: int = 5_000  # keys looked at, those that failed the tests included
    gets_bytes_max: int = 8 << 20  # of one answer's gets; one row and the pages on top of it still fit into a message


class Reader:
    """Answers reads whose tau the watermark has reached; whoever calls has seen to that."""

    __slots__ = (
        "_engine",
        "_everything",
        "_fetching",
        "_scanning",
        "_schema",
        "_version",
        "horizon",
        "limits",
        "served",
    )

    def __init__(
        self, engine: Engine, schema: SchemaHistory, served: Iterable[Range], horizon: int, limits: PageLimits
    ) -> None:
        self._engine = engine
        self._schema = schema
        self.limits = limits
        self.serve(served)
        self.horizon = horizon
        self._version = engine.version
        self._scanning: VersionReader | None = None
        self._fetching: VersionReader | None = None

    def serve(self, ranges: Iterable[Range]) -> None:
        """From now on answer for the keys of `ranges`."""
        self.served = Lookup(ranges)
        self._everything = self.served.everything

    def written(self) -> None:
        """The engine was written to, for certain or perhaps: iterators are stale, and hold on to what they see."""
        self._version = self._engine.version
        self._scanning = None
        self._fetching = None

    def read(self, request: Read) -> Answer:
        """Raises EntryWithoutRow, EngineFailed."""
        tau = request.tau
        if tau < self.horizon:
            return TooOld(self.horizon)
        gets, scans = request.gets, request.scans
        if request.schema:
            stale = self._stale(request)
            if stale is not None:
                return stale
        if not self._everything and not all(map(self.served.holds, gets)):
            return NotHere()
        if self._version != self._engine.version:  # by a part of a checkpoint, say
            self.written()
        reader = self._scanning
        if reader is None:
            reader = self._scanning = VersionReader(self._engine.iterate())
        reader.newest = 0
        if len(gets) <= _GETS_UNCOUNTED:
            values = [reader.get(key, tau) for key in gets]
        else:
            values = self._values(gets, tau, reader)
        if not scans:
            return Rows(reader.newest, values, [])
        fetcher = self._fetching
        if fetcher is None:
            fetcher = self._fetching = VersionReader(self._engine.iterate())
        fetcher.newest = 0
        pages: list[Page] = []
        room = self.limits.bytes_max if len(values) == len(gets) else 0
        for scan in scans:
            bounds = (scan.low, scan.high, None) if self._everything else self._bounds(scan)
            if bounds is None:
                return NotHere()
            page, taken = self._page(scan, bounds, tau, reader, fetcher, room)
            room -= taken
            pages.append(page)
        return Rows(max(reader.newest, fetcher.newest), values, pages)

    def _values(self, gets: list[bytes], tau: int, reader: VersionReader) -> list[bytes | None]:
        """The rows of as many of `gets` as one answer may hold."""
        values: list[bytes | None] = []
        room = self.limits.gets_bytes_max
        for key in gets:
            value = reader.get(key, tau)
            values.append(value)
            if value is not None:
                room -= len(value)
                if room <= 0:
                    break
        return values

    def read_schema(self, request: ReadSchema) -> SchemaVersions | TooOld:
        if request.tau < self.horizon:
            return TooOld(self.horizon)
        versions = self._schema.versions(request.cluster, request.tau)
        return SchemaVersions(max((version for _, version in versions), default=0), versions)

    def _stale(self, request: Read) -> StaleSchema | None:
        if request.gets:
            cluster = cluster_of(request.gets[0])
        elif request.scans:
            cluster = cluster_of(request.scans[0].low)
        else:
            return None
        for relation, version in request.schema:
            current = self._schema.version(cluster, relation, request.tau)
            if current != version:
                return StaleSchema(relation, current)
        return None

    def _bounds(self, scan: Scan) -> _Bounds | None:
        """The part of a scan that can be answered here, and where to go on after it; None where it begins elsewhere."""
        found = self.served.before(scan.high) if scan.reverse else self.served.around(scan.low)
        if found is None:
            return None
        low, high = found
        if scan.reverse:
            return (low, scan.high, low) if low > scan.low else (scan.low, scan.high, None)
        if high and (not scan.high or high < scan.high):
            return scan.low, high, high
        return scan.low, scan.high, None

    def _page(
        self, scan: Scan, bounds: _Bounds, tau: int, reader: VersionReader, fetcher: VersionReader, room: int
    ) -> tuple[Page, int]:
        """One page of at most `room` bytes (but at least one row if there is any room), and the bytes it took."""
        page = Page([], [], [], None)
        if room <= 0:
            page.resume = scan.high if scan.reverse else scan.low
            return page, 0
        low, high, onward = bounds
        source: Ascending | Descending = reader.descending(low, high) if scan.reverse else reader.ascending(low, high)
        rows_max = min(scan.page_rows, self.limits.rows_max) or self.limits.rows_max
        if scan.limit and scan.limit < rows_max:
            rows_max = scan.limit
        step = source.next
        passes = compile_tests(scan.tests) if scan.tests else None
        project = compile_projection(scan.projection) if scan.projection is not None else None
        taken = examined = absent = 0
        keys, values = page.keys, page.values
        while True:
            found = step(tau)
            if found is None:
                page.resume = onward
                return page, taken
            key, value = found
            examined += 1
            if value is not None:
                entry = key
                kept: bytes | None
                if not scan.fetch:
                    kept = _shaped(value, passes, project)
                elif self._everything or self.served.holds(value):
                    key = value
                    kept = _shaped(self._fetch(fetcher, key, entry, tau), passes, project)
                else:
                    keys.append(value)
                    values.append(None)
                    page.entries.append(entry)
                    taken += len(value) + len(entry)
                    absent += 1
                    kept = None
                if kept is not None:
                    keys.append(key)
                    values.append(kept)
                    taken += len(key) + len(kept)
                    if scan.fetch:
                        page.entries.append(entry)
                        taken += len(entry)
                key = entry
            if len(keys) >= rows_max or taken >= room or examined >= self.limits.examined_max:
                if scan.limit and len(keys) - absent >= scan.limit:
                    return page, taken
                if not scan.reverse:
                    page.resume = key + b"\x00"
                elif key > scan.low:
                    page.resume = key  # never b"", which as a `high` would mean no end
                return page, taken

    def _fetch(self, fetcher: VersionReader, row_key: bytes, entry: bytes, tau: int) -> bytes:
        row = fetcher.get(row_key, tau)
        if row is None:
            raise EntryWithoutRow(f"entry {entry.hex()} names row {row_key.hex()} at {tau}")
        return row


def _shaped(value: bytes, passes: RowTest | None, project: Projection | None) -> bytes | None:
    """The row as asked for, None if it fails the tests."""
    if passes is None and project is None:
        return value
    row = decode_stored(value)
    if passes is not None and not passes(row):
        return None
    return value if project is None else project(row)
