"""Rows of index entries that the replica with the entries does not have.

An index and its table lie in different shards more often than not, and then a scan that fetches rows cannot be served
by one replica alone: it answers None for the rows it lacks. They are read here under their keys, all those of an answer
at once; tests and projection, which storage could not apply to them, are applied here. Whoever asked never knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import cast

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Page, Scan
from tausql.runtime import logs

ReadRows = Callable[[list[bytes]], Awaitable[list[bytes | None]]]  # under these keys, at the same snapshot

log = logs.get("processor")


def are_lacking(scans: Sequence[Scan], pages: Sequence[Page]) -> bool:
    """True if one of `pages`, the answers to `scans`, lacks rows."""
    return any(scan.fetch and None in page.values for scan, page in zip(scans, pages, strict=True))


async def completed(scans: Sequence[Scan], pages: Sequence[Page], read: ReadRows) -> list[Page]:
    """The pages with all their rows. Raises SqlError XX000 where an entry's row is not there."""
    wanted = [key for page in pages for key, value in zip(page.keys, page.values, strict=True) if value is None]
    rows = iter(await read(wanted))
    return [_whole(scan, page, rows) if None in page.values else page for scan, page in zip(scans, pages, strict=True)]


def values_of(page: Page) -> list[bytes]:
    """The values of a page that is complete."""
    return cast(list[bytes], page.values)


def _whole(scan: Scan, page: Page, rows: Iterator[bytes | None]) -> Page:
    passes = compile_tests(scan.tests) if scan.tests else None
    project = compile_projection(scan.projection) if scan.projection is not None else None
    whole = Page([], [], [], page.resume)
    for key, value, entry in zip(page.keys, page.values, page.entries, strict=True):
        shown = value
        if shown is None:
            shown = next(rows)
            if shown is None:
                log.error("an index does not equal its table", entry=entry.hex(), row=key.hex())
                raise SqlError(Code.internal_error, "an index entry names a row that is not there")
            if passes is not None or project is not None:
                row = decode_stored(shown)
                if passes is not None and not passes(row):
                    continue
                if project is not None:
                    shown = project(row)
        whole.keys.append(key)
        whole.values.append(shown)
        whole.entries.append(entry)
    if page.resume is None and scan.limit and len(page.keys) >= scan.limit > len(whole.keys):
        # It ended for the limit, with rows among it that do not count.
        whole.resume = _after(scan, page.entries[-1])
    return whole


def _after(scan: Scan, entry: bytes) -> bytes | None:
    """Where `scan` goes on behind `entry`; None if nothing can follow."""
    if scan.reverse:
        return entry if entry > scan.low else None
    following = entry + b"\x00"
    return following if not scan.high or following < scan.high else None
