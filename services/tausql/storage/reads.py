"""Reads at a tau the replica has reached, of the keys it serves: point gets, scans in pages, schema versions.

A page is bounded in rows, in bytes and in versions looked at, because everything in the process waits while it is made;
the reader asks for the next one with the key it got. The iterator is kept until the next write: making one costs more
than a point read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tausql.protocol.keys import row_key_of
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
    sampled,
)
from tausql.protocol.totals import Folding
from tausql.storage.engine import Engine
from tausql.storage.schema import SchemaHistory, cluster_of
from tausql.storage.versions import Ascending, Descending, VersionReader, key_of

Answer = Rows | StaleSchema | TooOld | NotHere
_Bounds = tuple[bytes, bytes, bytes | None]
_GETS_UNCOUNTED = 4  # of 2 MiB each at most
_CHUNK_KEYS = 512  # walked over in one go
_CHUNK_KEYS_FIRST = 32  # with tests and a limit: the first rows may do


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
        if not scan.reverse and not scan.fetch:
            if scan.aggregation is not None:
                return self._totals(scan, bounds, tau, reader, room)
            return self._rows(scan, bounds, tau, reader, room)
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
                page.examined += 1
                entry = key
                kept: bytes | None
                if scan.fetch:
                    value = row_key_of(value)
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

    def _rows(self, scan: Scan, bounds: _Bounds, tau: int, reader: VersionReader, room: int) -> tuple[Page, int]:
        """`_page` of a plain forward scan, a chunk of keys at a time."""
        low, high, onward = bounds
        source = reader.ascending(low, high)
        limits = self.limits
        rows_max = min(scan.page_rows, limits.rows_max) or limits.rows_max
        if scan.limit and scan.limit < rows_max:
            rows_max = scan.limit
        passes = compile_tests(scan.tests) if scan.tests else None
        project = compile_projection(scan.projection) if scan.projection is not None else None
        page = Page([], [], [], None)
        taken = examined = 0
        chunk = _CHUNK_KEYS_FIRST if passes is not None and scan.limit else _CHUNK_KEYS
        while True:
            asked = min(chunk, limits.examined_max - examined, rows_max - len(page.keys) if passes is None else chunk)
            found, rows = source.take(tau, asked)
            more = source.more
            examined += asked
            chunk = min(2 * chunk, _CHUNK_KEYS)
            if scan.sample:
                found, rows = _sample(found, rows, scan.sample)
            page.examined += len(found)
            keys, values = _chosen(found, rows, passes, project)
            size = sum(map(len, keys)) + sum(map(len, values))
            over = _over(keys, values, rows_max - len(page.keys), room - taken, size)
            if over:
                more = True
                size = 0
                keys, values = keys[:over], values[:over]
            page.keys += keys
            page.values += values
            taken += size
            if scan.limit and len(page.keys) >= scan.limit:
                return page, taken
            if not more:
                page.resume = onward
                return page, taken
            if over:
                page.resume = keys[-1] + b"\x00"
                return page, sum(map(len, page.keys)) + sum(len(value) for value in page.values if value is not None)
            if len(page.keys) >= rows_max or taken >= room or examined >= limits.examined_max:
                page.resume = source.ahead
                return page, taken

    def _totals(self, scan: Scan, bounds: _Bounds, tau: int, reader: VersionReader, room: int) -> tuple[Page, int]:
        """One slice of an aggregation: as many keys as a page may look at, folded into partial rows."""
        assert scan.aggregation is not None
        low, high, onward = bounds
        source = reader.ascending(low, high)
        passes = compile_tests(scan.tests) if scan.tests else None
        folding = Folding(scan.aggregation)
        whole = passes is not None or folding.needs_rows
        page = Page([], [], [], None)
        examined = 0
        while True:
            asked = min(_CHUNK_KEYS, self.limits.examined_max - examined)
            found, values = source.take(tau, asked)
            more = source.more
            examined += asked
            if scan.sample:
                found, values = _sample(found, values, scan.sample)
            page.examined += len(found)
            if whole:
                rows = [decode_stored(value[1:]) for value in values]
                folding.add(rows if passes is None else list(filter(passes, rows)))
            else:
                folding.count(len(values))
            if not more or examined >= self.limits.examined_max or folding.size >= room:
                page.values.extend(folding.partials())
                page.keys.extend([b""] * len(page.values))
                page.resume = source.ahead if more else onward
                return page, sum(len(value) for value in page.values if value is not None)

    def _fetch(self, fetcher: VersionReader, row_key: bytes, entry: bytes, tau: int) -> bytes:
        row = fetcher.get(row_key, tau)
        if row is None:
            raise EntryWithoutRow(f"entry {entry.hex()} names row {row_key.hex()} at {tau}")
        return row


def _sample(found: list[bytes], values: list[bytes], sample: int) -> tuple[list[bytes], list[bytes]]:
    places = [at for at, key in enumerate(found) if sampled(key_of(key), sample)]
    return [found[at] for at in places], [values[at] for at in places]


def _chosen(
    found: list[bytes], values: list[bytes], passes: RowTest | None, project: Projection | None
) -> tuple[list[bytes], list[bytes]]:
    """Keys, and rows as asked for, of those that pass. `found`, `values`: as the engine has them."""
    if passes is None and project is None:
        return list(map(key_of, found)), [value[1:] for value in values]
    rows = [decode_stored(value[1:]) for value in values]
    if passes is not None:
        places = [at for at, row in enumerate(rows) if passes(row)]
        found = [found[at] for at in places]
        if project is None:
            return list(map(key_of, found)), [values[at][1:] for at in places]
        rows = [rows[at] for at in places]
    assert project is not None
    return list(map(key_of, found)), list(map(project, rows))


def _over(keys: list[bytes], values: list[bytes], rows_max: int, room: int, size: int) -> int:
    """How many of the rows a page still takes where it does not take them all, at least one; 0 = all."""
    if len(keys) <= rows_max and size <= room:
        return 0
    last = min(len(keys), rows_max)
    taken = 0
    for at in range(last):
        taken += len(keys[at]) + len(values[at])
        if taken >= room:
            return at + 1 if at + 1 < len(keys) else 0
    return last if last < len(keys) else 0


def _shaped(value: bytes, passes: RowTest | None, project: Projection | None) -> bytes | None:
    """The row as asked for, None if it fails the tests."""
    if passes is None and project is None:
        return value
    row = decode_stored(value)
    if passes is not None and not passes(row):
        return None
    return value if project is None else project(row)
