"""A storage small enough to be obviously right: rows with all their versions, read at a tau."""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Page, Scan


def page_of(rows: dict[bytes, bytes], scan: Scan, page_rows_max: int = 1000) -> Page:
    """One page of a scan of `rows`, as a storage replica answers it."""
    keys = sorted(key for key in rows if scan.low <= key and (not scan.high or key < scan.high))
    if scan.reverse:
        keys.reverse()
    passes: Callable[[bytes], bool] = lambda value: True  # noqa: E731
    if scan.tests:
        test = compile_tests(scan.tests)
        passes = lambda value: test(decode_stored(value))  # noqa: E731
    project = compile_projection(scan.projection) if scan.projection is not None else None
    page = Page([], [], [], None)
    room = min(scan.page_rows, page_rows_max)
    for at, key in enumerate(keys):
        row_key, value = (rows[key], rows.get(rows[key])) if scan.fetch else (key, rows[key])
        assert value is not None, "an index entry without its row"
        if passes(value):
            page.keys.append(row_key)
            page.values.append(project(decode_stored(value)) if project is not None else value)
            if scan.fetch:
                page.entries.append(key)
        last = at + 1 == len(keys)
        if scan.limit and len(page.keys) >= scan.limit:
            break
        if at + 1 >= room and not last:
            page.resume = key if scan.reverse else keys[at + 1]
            break
    return page
