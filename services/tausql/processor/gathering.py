"""Several scans read side by side, with one request to storage for all of them at a time.

An index join or an IN list asks for dozens of small ranges. One after the other they would cost a round trip each; in
one request they cost one in all. What each scan then does with its page (overlay own writes, go on, look up rows) is
its own affair, so each runs as a coroutine until it wants something, and everything wanted is asked for together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tausql.processor.coroutines import Bare, Wait
from tausql.processor.overlay import Entry, FetchOverlay, RowOverlay, StoredScanner
from tausql.protocol.storage import Page, Rows, Scan

ReadTogether = Callable[[list[bytes], list[Scan]], Awaitable[Rows]]  # gets, scans


class Gathering:
    """A `Source` that waits until every scan has said what it wants."""

    __slots__ = ("_gets", "_read", "_scans")

    def __init__(self, read: ReadTogether) -> None:
        self._read = read
        self._gets: list[tuple[list[bytes], Wait[list[bytes | None]]]] = []
        self._scans: list[tuple[Scan, Wait[Page]]] = []

    def page(self, scan: Scan) -> Wait[Page]:
        wait: Wait[Page] = Wait()
        self._scans.append((scan, wait))
        return wait

    def values(self, keys: list[bytes]) -> Wait[list[bytes | None]]:
        wait: Wait[list[bytes | None]] = Wait()
        self._gets.append((keys, wait))
        return wait

    async def read_all(self, scanners: Sequence[StoredScanner | RowOverlay | FetchOverlay]) -> list[list[Entry]]:
        """Each scan's rows, to its end, in the order of `scanners`."""
        results: list[list[Entry]] = [[] for _ in scanners]
        running: list[Bare[Any]] = [_to_end(scanner, rows) for scanner, rows in zip(scanners, results, strict=True)]
        try:
            while running:
                waiting: list[Bare[Any]] = []
                for coroutine in running:
                    try:
                        coroutine.send(None)
                    except StopIteration:
                        continue
                    waiting.append(coroutine)
                running = waiting
                if running:
                    await self._fetch()
        finally:
            for coroutine in running:
                coroutine.close()
        return results

    async def _fetch(self) -> None:
        gets, self._gets = self._gets, []
        scans, self._scans = self._scans, []
        rows = await self._read([key for keys, _ in gets for key in keys], [scan for scan, _ in scans])
        at = 0
        for keys, wait in gets:
            wait.resolve(rows.values[at : at + len(keys)])
            at += len(keys)
        for (_, page_wait), page in zip(scans, rows.pages, strict=True):
            page_wait.resolve(page)


async def _to_end(scanner: StoredScanner | RowOverlay | FetchOverlay, rows: list[Entry]) -> None:
    while page := await scanner.next_page():
        rows.extend(page)
