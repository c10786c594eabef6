"""Scans of a transaction that has written: what storage holds at tau_start, with the own writes laid over it.

A scan with a limit or tests cannot simply be merged afterwards: a row that storage filtered out may pass now, and each
row the transaction deleted or replaced takes one away from the limit. A scan of an index with its rows fetched is worse
still: an own update that leaves the indexed columns alone changes rows whose entries it never touched. So: without own
writes in sight everything is pushed down; with some, storage is asked for more (or for everything in the range) and
tests, projection and limit are applied here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from tausql.processor.buffer import Version
from tausql.processor.rows_elsewhere import values_of
from tausql.protocol.keys import row_key_of
from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Page, Scan

Entry = tuple[bytes, bytes]
Own = list[tuple[bytes, bytes | None]]


class Source(Protocol):
    """Where stored rows come from: storage, at the transaction's tau_start."""

    def page(self, scan: Scan) -> Awaitable[Page]:
        """Complete: with `fetch`, all rows are there."""
        ...

    def values(self, keys: list[bytes]) -> Awaitable[list[bytes | None]]: ...


class OwnRows(Protocol):
    """What has been written under a key, as far as a statement sees it."""

    def visible(self, key: bytes, mark: int) -> Version | None: ...


def rest_of(scan: Scan, page: Page, limit: int) -> Scan:
    """The scan that goes on where `page` ended, for at most `limit` rows more (0 = no limit)."""
    assert page.resume is not None
    low, high = (scan.low, page.resume) if scan.reverse else (page.resume, scan.high)
    return Scan(
        low,
        high,
        scan.reverse,
        limit,
        scan.tests,
        scan.projection,
        scan.fetch,
        scan.page_rows,
        scan.aggregation,
        scan.sample,
    )


class StoredScanner:
    """A scan nothing of the transaction's own is in the way of: pages as storage gives them."""

    __slots__ = ("_ended", "_left", "_scan", "_source", "examined")

    def __init__(self, source: Source, scan: Scan) -> None:
        self.examined = 0  # rows looked at by storage so far
        self._source = source
        self._scan = scan
        self._left = scan.limit  # 0 = no limit
        self._ended = False

    async def next_page(self) -> list[Entry]:
        while not self._ended:
            page = await self._source.page(self._scan)
            rows = list(zip(page.keys, values_of(page), strict=True))
            self.took(page, len(rows))
            if rows:
                return rows
        return []

    def took(self, page: Page, rows: int) -> None:
        """`page` was read, with `rows` rows: what comes next."""
        self.examined += page.examined
        if page.resume is None or (self._left and rows >= self._left):
            self._ended = True
            return
        if self._left:
            self._left -= rows
        self._scan = rest_of(self._scan, page, self._left)

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def scan(self) -> Scan:
        return self._scan


class _Own:
    """Own writes of one range, given out in scan order as far as storage has come."""

    __slots__ = ("_at", "_reverse", "_writes", "by_key")

    def __init__(self, writes: Own, reverse: bool) -> None:
        self._writes = writes[::-1] if reverse else writes
        self._reverse = reverse
        self._at = 0
        self.by_key = dict(writes)

    def __len__(self) -> int:
        return len(self._writes)

    def until(self, boundary: bytes | None) -> Own:
        """Those not given out yet, up to where storage goes on (None = to the end)."""
        first = self._at
        last = len(self._writes)
        if boundary is not None:
            last = first
            writes = self._writes
            if self._reverse:
                while last < len(writes) and writes[last][0] >= boundary:
                    last += 1
            else:
                while last < len(writes) and writes[last][0] < boundary:
                    last += 1
        self._at = last
        return self._writes[first:last]


class RowOverlay:
    """A scan of rows (or of bare entries) with own writes in its range."""

    __slots__ = ("_ended", "_left", "_own", "_passes", "_project", "_reverse", "_stored")

    def __init__(self, source: Source, scan: Scan, own: Own) -> None:
        self._own = _Own(own, scan.reverse)
        self._left = scan.limit
        self._reverse = scan.reverse
        self._passes = _test_of(scan)
        self._project = _projection_of(scan)
        # Each own write can take the place of at most one row that storage counts.
        asked = scan.limit + len(own) if scan.limit else 0
        self._stored = _Base(
            source,
            Scan(scan.low, scan.high, scan.reverse, asked, scan.tests, scan.projection, False, scan.page_rows),
        )
        self._ended = False

    async def next_page(self) -> list[Entry]:
        while not self._ended:
            page = await self._stored.next()
            boundary = page.resume if self._stored.more else None
            by_key = self._own.by_key
            merged = [(key, value) for key, value in zip(page.keys, values_of(page), strict=True) if key not in by_key]
            merged.extend(self._own_rows(boundary))
            merged.sort(reverse=self._reverse)
            self._ended = not self._stored.more
            if self._left:
                if len(merged) >= self._left:
                    self._ended = True
                    del merged[self._left :]
                else:
                    self._left -= len(merged)
            if merged:
                return merged
        return []

    def _own_rows(self, boundary: bytes | None) -> list[Entry]:
        passes = self._passes
        project = self._project
        rows: list[Entry] = []
        for key, value in self._own.until(boundary):
            if value is not None and passes(value):
                rows.append((key, project(value)))
        return rows


class FetchOverlay:
    """A scan of an index whose rows are fetched, where own entries lie in the range or own rows may be met."""

    __slots__ = ("_buffer", "_ended", "_left", "_mark", "_own", "_passes", "_project", "_reverse", "_source", "_stored")

    def __init__(self, source: Source, scan: Scan, own: Own, buffer: OwnRows, mark: int) -> None:
        self._source = source
        self._buffer = buffer
        self._mark = mark
        self._own = _Own(own, scan.reverse)
        self._left = scan.limit
        self._reverse = scan.reverse
        self._passes = _test_of(scan)
        self._project = _projection_of(scan)
        # Rows come whole and untested: storage would test, and project, versions the transaction has replaced.
        self._stored = _Base(
            source, Scan(scan.low, scan.high, scan.reverse, 0, (), None, True, _page_rows(scan, len(own)))
        )
        self._ended = False

    async def next_page(self) -> list[Entry]:
        while not self._ended:
            page = await self._stored.next()
            boundary = page.resume if self._stored.more else None
            by_key = self._own.by_key
            found: list[tuple[bytes, bytes, bytes]] = []  # (entry key, row key, row as stored)
            for entry, key, value in zip(page.entries, page.keys, values_of(page), strict=True):
                if entry in by_key:
                    continue
                own = self._buffer.visible(key, self._mark)
                if own is None:
                    found.append((entry, key, value))
                elif own.value is not None:
                    found.append((entry, key, own.value))
            await self._add_own(found, boundary)
            found.sort(reverse=self._reverse)
            self._ended = not self._stored.more
            rows = self._admit(found)
            if rows:
                return rows
        return []

    async def _add_own(self, found: list[tuple[bytes, bytes, bytes]], boundary: bytes | None) -> None:
        missing: list[tuple[bytes, bytes]] = []
        for entry, written in self._own.until(boundary):
            if written is None:
                continue
            row_key = row_key_of(written)
            own = self._buffer.visible(row_key, self._mark)
            if own is None:
                missing.append((entry, row_key))
            elif own.value is not None:
                found.append((entry, row_key, own.value))
        if not missing:
            return
        # Entries written for rows that were not (an index being built): those rows are storage's.
        values = await self._source.values([row_key for _, row_key in missing])
        for (entry, row_key), value in zip(missing, values, strict=True):
            if value is not None:
                found.append((entry, row_key, value))

    def _admit(self, found: list[tuple[bytes, bytes, bytes]]) -> list[Entry]:
        passes = self._passes
        project = self._project
        rows: list[Entry] = []
        for _, key, value in found:
            if passes(value):
                rows.append((key, project(value)))
                if self._left:
                    self._left -= 1
                    if not self._left:
                        self._ended = True
                        break
        return rows


class _Base:
    """Pages of storage, one after the other."""

    __slots__ = ("_source", "_walk", "more")

    def __init__(self, source: Source, scan: Scan) -> None:
        self._source = source
        self._walk = StoredScanner(source, scan)
        self.more = True  # after `next`: whether there is a further page

    async def next(self) -> Page:
        page = await self._source.page(self._walk.scan)
        self._walk.took(page, len(page.keys))
        self.more = not self._walk.ended
        return page


def _page_rows(scan: Scan, own: int) -> int:
    """A limited scan whose limit cannot be pushed down should not fetch a whole page for one row."""
    if not scan.limit or scan.tests:
        return scan.page_rows
    return min(scan.page_rows, scan.limit + own)


def _test_of(scan: Scan) -> Callable[[bytes], bool]:
    if not scan.tests:
        return lambda value: True
    passes = compile_tests(scan.tests)
    return lambda value: passes(decode_stored(value))


def _projection_of(scan: Scan) -> Callable[[bytes], bytes]:
    if scan.projection is None:
        return lambda value: value
    project = compile_projection(scan.projection)
    return lambda value: project(decode_stored(value))
