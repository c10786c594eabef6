"""Index scans whose rows lie in another shard than their entries."""

from __future__ import annotations

from typing import Any

import pytest
from processor_fleet import TestFleet
from processor_shards import HIGH, LAST, asked, entry_key, load, row_key, row_of, scan_all, scanned, view
from test_processor_transactions import TABLE, begin, failure, run

from tausql.processor.rows_elsewhere import completed
from tausql.protocol.errors import Code
from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.rows import decode_stored
from tausql.protocol.storage import Comparison, Page, Scan
from tausql.protocol.storage import Test as RowTest

ROWS = 60
GROUPS = 7
EVEN = (RowTest(0, Comparison.is_in, list(range(0, ROWS, 2))),)
FEW = (RowTest(0, Comparison.is_in, [5, 12, 33, 59]),)


def scattered(storages: str = "aab") -> TestFleet:
    """Entries on the first storage, rows 20 to 39 and everything else there too, other rows on the second one."""
    fleet = TestFleet(storages=storages)
    load(fleet, ROWS, GROUPS)
    fleet.storages[0].serve((b"", row_key([0])), (row_key([20]), row_key([40])), (HIGH, b""))
    fleet.storages[1].serve((row_key([0]), row_key([20])), (row_key([40]), HIGH))
    if len(storages) > 2:
        fleet.storages[2].serve((b"", HIGH))
    fleet.run(0.1)
    asked(fleet)
    return fleet


def expected(scan: Scan) -> list[tuple[bytes, bytes]]:
    passes = compile_tests(scan.tests)
    project = compile_projection(scan.projection) if scan.projection is not None else None
    entries = sorted((entry_key([number % GROUPS, number]), number) for number in range(ROWS))
    found = [
        (row_key([number]), row_of(number, GROUPS))
        for entry, number in entries
        if scan.low <= entry < scan.high and passes(decode_stored(row_of(number, GROUPS)))
    ]
    if scan.reverse:
        found.reverse()
    if project is not None:
        found = [(key, project(decode_stored(row))) for key, row in found]
    return found[: scan.limit or None]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 1, 7, 30, 59])
@pytest.mark.parametrize("tests", [(), EVEN, FEW])
@pytest.mark.parametrize("projection", [None, (2,), (1, 0)])
def test_a_scan_has_all_its_rows_in_order(
    reverse: bool, limit: int, tests: tuple[RowTest, ...], projection: tuple[int, ...] | None
) -> None:
    fleet = scattered()
    for page_rows in (5, 1000):
        scan = Scan(HIGH, LAST, reverse, limit, tests, projection, True, page_rows)
        assert scan_all(fleet, scan) == expected(scan)
    part = Scan(entry_key([2]), entry_key([5]), reverse, limit, tests, projection, True)
    assert scan_all(fleet, part) == expected(part)
    assert fleet.processor.metrics.rows_elsewhere > 0
    assert fleet.processor.metrics.not_here == 0


def test_rows_of_one_answer_are_asked_for_together() -> None:
    fleet = scattered("aa")
    scan_all(fleet, Scan(HIGH, LAST, fetch=True))
    assert asked(fleet) == ["storage-a", "storage-a1"]
    assert fleet.processor.metrics.rows_elsewhere == 40


def test_many_scans_have_all_their_rows() -> None:
    fleet = scattered()
    scans = [Scan(entry_key([grp]), entry_key([grp + 1]), grp % 2 == 1, 0, EVEN, (0,), True) for grp in range(GROUPS)]

    async def body() -> Any:
        return await view(fleet).scan_many(TABLE, scans)

    assert run(fleet, body()) == [expected(scan) for scan in scans]


@pytest.mark.parametrize("reverse", [False, True])
def test_own_writes_lie_over_rows_from_elsewhere(reverse: bool) -> None:
    fleet = scattered()

    async def body() -> list[tuple[bytes, bytes]]:
        transaction = begin(fleet)
        writer = transaction.statement(((TABLE, 0),), True)
        writer.update_row(TABLE, row_key([7]), row_of(8, GROUPS), False)  # elsewhere, and now even
        writer.delete_row(TABLE, row_key([14]))
        writer.delete_entry(TABLE, entry_key([0, 14]), False)
        writer.insert_row(TABLE, row_key([100]), row_of(0, GROUPS))
        writer.put_entry(TABLE, entry_key([0, 100]), row_key([100]), False)
        reader = transaction.statement(((TABLE, 0),), False)
        return await scanned(reader, Scan(entry_key([0]), entry_key([1]), reverse, 4, EVEN, (0,), True, 3))

    keys = [row_key([number]) for number in (0, 7, 28, 42, 56, 100)]
    if reverse:
        keys.reverse()
    assert [key for key, _ in run(fleet, body())] == keys[:4]


def test_an_entry_without_its_row_is_an_error() -> None:
    fleet = scattered()
    fleet.data.versions[entry_key([3, 1000])] = [(1, row_key([1000]))]
    error = failure(fleet, scanned(view(fleet), Scan(HIGH, LAST, fetch=True)))
    assert error.code is Code.internal_error


def test_rows_are_found_while_their_shard_moves() -> None:
    fleet = scattered("aa")
    fleet.storages[1].ranges = ()  # it has not said so yet
    everything = (b"", b"")
    fleet.world.at(0.05, None, fleet.storages[0].serve, everything)
    fleet.world.at(0.1, None, fleet.storages[1].serve)
    scan = Scan(HIGH, LAST, False, 12, EVEN, None, True, 4)
    assert scan_all(fleet, scan) == expected(scan)
    assert fleet.processor.metrics.not_here > 0


def test_what_was_read_is_counted_with_rows_from_elsewhere() -> None:
    whole, parts = TestFleet(), scattered()
    load(whole, ROWS, GROUPS)
    sizes = []
    for fleet in (whole, parts):
        transaction = begin(fleet)
        reader = transaction.statement(((TABLE, 0),), False)
        run(fleet, scanned(reader, Scan(HIGH, LAST, fetch=True)))
        sizes.append(transaction.read_bytes)
    assert sizes[0] <= sizes[1]


def test_a_page_that_ends_for_its_limit_goes_on_behind_rows_that_do_not_count() -> None:
    there = {row_key([number]): row_of(number, GROUPS) for number in range(10)}

    async def read(keys: list[bytes]) -> list[bytes | None]:
        return [there.get(key) for key in keys]

    def page(*numbers: int) -> Page:
        keys = [row_key([number]) for number in numbers]
        return Page(keys, [None] * len(keys), [entry_key([number]) for number in numbers], None)

    async def resumes(scan: Scan, *numbers: int) -> tuple[int, bytes | None]:
        (whole,) = await completed([scan], [page(*numbers)], read)
        return len(whole.keys), whole.resume

    low, high = entry_key([0]), entry_key([9]) + b"\x00"
    fleet = TestFleet()
    forward = Scan(low, high, False, 3, EVEN, None, True)
    assert run(fleet, resumes(forward, 1, 2, 3)) == (1, entry_key([3]) + b"\x00")
    assert run(fleet, resumes(forward, 2, 4, 6)) == (3, None)
    assert run(fleet, resumes(forward, 7, 8)) == (1, None)  # fewer than the limit: that was all
    assert run(fleet, resumes(forward, 7, 8, 9)) == (1, None)  # nothing can follow
    backward = Scan(low, high, True, 3, EVEN, None, True)
    assert run(fleet, resumes(backward, 5, 4, 3)) == (1, entry_key([3]))
    assert run(fleet, resumes(backward, 2, 1, 0)) == (2, None)
