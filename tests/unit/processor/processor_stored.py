"""A storage small enough to be obviously right: rows with all their versions, read at a tau."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tausql.protocol.keys import row_key_of
from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.ranges import EVERYTHING, RangeSet
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Page, Scan
from tausql.protocol.totals import Folding


def within(key: bytes, ranges: RangeSet) -> bool:
    return any(low <= key and (not high or key < high) for low, high in ranges)


def beginning(scan: Scan, ranges: RangeSet) -> tuple[bytes, bytes] | None:
    """The one of `ranges` in which the scan begins."""
    for low, high in ranges:
        if scan.reverse and (low < scan.high or not scan.high) and (not high or (scan.high and scan.high <= high)):
            return low, high
        if not scan.reverse and within(scan.low, ((low, high),)):
            return low, high
    return None


def _totals(rows: dict[bytes, bytes], keys: list[bytes], scan: Scan, resume: bytes | None) -> Page:
    """One slice of an aggregation."""
    assert scan.aggregation is not None
    folding = Folding(scan.aggregation)
    test = compile_tests(scan.tests)
    folding.add([row for row in (decode_stored(rows[key]) for key in keys) if test(row)])
    partials: list[bytes | None] = list(folding.partials())
    return Page([b""] * len(partials), partials, [], resume)


def page_of(rows: dict[bytes, bytes], scan: Scan, page_rows_max: int = 1000, ranges: RangeSet = EVERYTHING) -> Page:
    """One page of a scan of `rows`, as a replica that serves `ranges` answers it. The scan begins in one of them."""
    served = beginning(scan, ranges)
    assert served is not None
    first, end = served
    resume = None
    if scan.reverse and first > scan.low:
        scan = msgspec.structs.replace(scan, low=first)
        resume = first
    elif not scan.reverse and end and (not scan.high or end < scan.high):
        scan = msgspec.structs.replace(scan, high=end)
        resume = end
    keys = sorted(key for key in rows if scan.low <= key and (not scan.high or key < scan.high))
    if scan.reverse:
        keys.reverse()
    if scan.aggregation is not None:
        return _totals(rows, keys[:page_rows_max], scan, keys[page_rows_max] if len(keys) > page_rows_max else resume)
    passes: Callable[[bytes], bool] = lambda value: True  # noqa: E731
    if scan.tests:
        test = compile_tests(scan.tests)
        passes = lambda value: test(decode_stored(value))  # noqa: E731
    project = compile_projection(scan.projection) if scan.projection is not None else None
    page = Page([], [], [], resume)
    room = min(scan.page_rows, page_rows_max)
    for at, key in enumerate(keys):
        row_key = row_key_of(rows[key]) if scan.fetch else key
        value = rows.get(row_key)
        if scan.fetch and not within(row_key, ranges):
            page.keys.append(row_key)
            page.values.append(None)
            page.entries.append(key)
        elif value is None:
            raise AssertionError("an index entry without its row")
        elif passes(value):
            page.keys.append(row_key)
            page.values.append(project(decode_stored(value)) if project is not None else value)
            if scan.fetch:
                page.entries.append(key)
        last = at + 1 == len(keys)
        if scan.limit and len(page.keys) >= scan.limit:
            page.resume = None
            break
        if at + 1 >= room and not last:
            page.resume = key if scan.reverse else keys[at + 1]
            break
    return page
