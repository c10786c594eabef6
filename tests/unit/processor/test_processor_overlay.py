"""Scans of a transaction that has written equal scans of a dictionary the writes were made in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processor_stored import page_of

from tausql.processor.buffer import WriteBuffer
from tausql.processor.coroutines import Resolved, start
from tausql.processor.gathering import Gathering
from tausql.processor.overlay import FetchOverlay, RowOverlay, StoredScanner
from tausql.processor.rows_elsewhere import values_of
from tausql.protocol import storage
from tausql.protocol.keys import KeyKind, entry_key, key_encoder, prefix_end, relation_prefix
from tausql.protocol.rows import encode_stored
from tausql.protocol.storage import Comparison, Page, Rows, Scan

TABLE, INDEX = 16384, 16385
ROW_PREFIX = relation_prefix(1, TABLE)
ENTRY_PREFIX = relation_prefix(1, INDEX)
row_key = key_encoder(ROW_PREFIX, [KeyKind.integer])
entry_of = key_encoder(ENTRY_PREFIX, [KeyKind.integer])


def row(number: int, group: int, note: int) -> bytes:
    return encode_stored([number, group, note])


def entry(number: int, group: int) -> bytes:
    return entry_key(entry_of, [group], row_key([number]), False)


class Base:
    """What storage holds."""

    def __init__(self, rows: dict[bytes, bytes], page_rows_max: int) -> None:
        self.rows = rows
        self.page_rows_max = page_rows_max

    def page(self, scan: Scan) -> Resolved[Page]:
        return Resolved(page_of(self.rows, scan, self.page_rows_max))

    def values(self, keys: list[bytes]) -> Resolved[list[bytes | None]]:
        return Resolved([self.rows.get(key) for key in keys])

    async def read(self, gets: list[bytes], scans: list[Scan]) -> Rows:
        return Rows(0, [self.rows.get(key) for key in gets], [page_of(self.rows, s, self.page_rows_max) for s in scans])


class Model:
    """The table after some operations: number -> (group, note)."""

    def __init__(self, initial: dict[int, tuple[int, int]]) -> None:
        self.table = dict(initial)

    def stored(self) -> dict[bytes, bytes]:
        rows = {row_key([n]): row(n, g, note) for n, (g, note) in self.table.items()}
        rows.update({entry(n, g): row_key([n]) for n, (g, note) in self.table.items()})
        return rows


def apply(model: Model, buffer: WriteBuffer, operation: tuple[str, int, int, int], statement: int) -> None:
    kind, number, group, note = operation
    old = model.table.get(number)
    key = row_key([number])
    if kind == "delete":
        if old is not None:
            buffer.delete_row(TABLE, key, statement)
            buffer.delete_entry(TABLE, entry(number, old[0]), False, statement)
            del model.table[number]
    elif old is None:
        buffer.insert_row(TABLE, key, row(number, group, note), statement)
        buffer.put_entry(TABLE, entry(number, group), key, False, statement)
        model.table[number] = (group, note)
    else:
        if kind == "touch":
            group = old[0]  # the indexed column stays: its entry is not written
        buffer.update_row(TABLE, key, row(number, group, note), False, statement)
        if group != old[0]:
            buffer.delete_entry(TABLE, entry(number, old[0]), False, statement)
            buffer.put_entry(TABLE, entry(number, group), key, False, statement)
        model.table[number] = (group, note)


def scanner(base: Any, buffer: WriteBuffer, scan: Scan, mark: int) -> StoredScanner | RowOverlay | FetchOverlay:
    own = buffer.visible_in(scan.low, scan.high, mark)
    if scan.fetch:
        if own or buffer.rows_changed(TABLE, mark):
            return FetchOverlay(base, scan, own, buffer, mark)
    elif own:
        return RowOverlay(base, scan, own)
    return StoredScanner(base, scan)


def drive(coroutine: Any) -> Any:
    ended: list[Any] = []
    start(coroutine, lambda value, error: ended.append((value, error)))
    ((value, error),) = ended
    if error is not None:
        raise error
    return value


async def read_to_end(scan: StoredScanner | RowOverlay | FetchOverlay) -> list[tuple[bytes, bytes]]:
    rows: list[tuple[bytes, bytes]] = []
    while page := await scan.next_page():
        rows.extend(page)
    return rows


numbers = st.integers(0, 12)
groups = st.integers(0, 4)
operations = st.lists(
    st.tuples(st.sampled_from(["put", "touch", "delete"]), numbers, groups, st.integers(0, 5)), max_size=25
)
tests = st.lists(
    st.builds(
        storage.Test,
        st.integers(0, 2),
        st.sampled_from([Comparison.equal, Comparison.less, Comparison.greater_equal]),
        st.integers(0, 5),
    ),
    max_size=2,
).map(tuple)


@st.composite
def scans(draw: Any) -> Scan:
    fetch = draw(st.booleans())
    prefix, encode, bounds = (ENTRY_PREFIX, entry_of, groups) if fetch else (ROW_PREFIX, row_key, numbers)
    low = draw(st.one_of(st.just(prefix), bounds.map(lambda n: encode([n]))))
    high = draw(st.one_of(st.just(prefix_end(prefix)), bounds.map(lambda n: encode([n])), st.just(b"\xff")))
    return Scan(
        low,
        high,
        draw(st.booleans()),
        draw(st.integers(0, 6)),
        draw(tests),
        draw(st.sampled_from([None, (0,), (2, 0)])),
        fetch,
        draw(st.integers(1, 5)),
    )


def expected(model: Model, scan: Scan) -> list[tuple[bytes, bytes]]:
    rows = model.stored()
    if not scan.fetch:  # rows and entries are relations of their own
        rows = {key: value for key, value in rows.items() if key.startswith(ROW_PREFIX)}
    page = page_of(rows, Scan(scan.low, scan.high, scan.reverse, scan.limit, scan.tests, scan.projection, scan.fetch))
    return list(zip(page.keys, values_of(page), strict=True))


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(numbers, st.tuples(groups, st.integers(0, 5)), max_size=12),
    operations,
    operations,
    st.lists(scans(), min_size=1, max_size=3),
    st.integers(1, 6),
)
def test_scans_see_earlier_statements_and_not_their_own(
    initial: dict[int, tuple[int, int]],
    before: list[tuple[str, int, int, int]],
    meanwhile: list[tuple[str, int, int, int]],
    wanted: list[Scan],
    page_rows_max: int,
) -> None:
    wanted = [scan for scan in wanted if scan.fetch or scan.high != b"\xff"]
    base = Base(Model(initial).stored(), page_rows_max)
    buffer = WriteBuffer()
    model = Model(initial)
    for statement, operation in enumerate(before, 1):
        apply(model, buffer, operation, statement)
    mark = len(before) + 1
    buffer.oldest_mark = mark
    running = [scanner(base, buffer, scan, mark) for scan in wanted]
    answers = [expected(model, scan) for scan in wanted]
    first = [drive(scan.next_page()) for scan in running]
    later = Model(model.table)
    for operation in meanwhile:  # the statement's own writes, while it scans
        apply(later, buffer, operation, mark)
    for scan, start_, answer in zip(running, first, answers, strict=True):
        rows = start_ + drive(read_to_end(scan)) if start_ else start_
        assert rows == answer
    gathering = Gathering(base.read)
    together = drive(gathering.read_all([scanner(gathering, buffer, scan, mark) for scan in wanted]))
    assert together == answers


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(numbers, st.tuples(groups, st.integers(0, 5)), max_size=12), operations)
def test_images_turn_the_old_table_into_the_new_one(
    initial: dict[int, tuple[int, int]], done: list[tuple[str, int, int, int]]
) -> None:
    buffer = WriteBuffer()
    model = Model(initial)
    for statement, operation in enumerate(done, 1):
        buffer.oldest_mark = statement
        apply(model, buffer, operation, statement)
    rows = Model(initial).stored()
    images = list(buffer.images())
    assert [key for key, _ in images] == sorted(key for key, _ in images)
    for key, value in images:
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value
    assert rows == model.stored()
    written, _ = buffer.conflict_keys()
    assert {key for key, _ in images if key.startswith(ROW_PREFIX)} <= set(written)


def test_a_replaced_row_does_not_use_up_the_limit() -> None:
    base = Base({row_key([n]): row(n, 0, 0) for n in range(5)}, 10)
    buffer = WriteBuffer()
    buffer.delete_row(TABLE, row_key([0]), 1)
    buffer.update_row(TABLE, row_key([1]), row(1, 9, 9), False, 1)
    scan = Scan(ROW_PREFIX, prefix_end(ROW_PREFIX), limit=2, tests=(storage.Test(1, Comparison.equal, 0),))
    rows = drive(read_to_end(scanner(base, buffer, scan, 2)))
    assert [key for key, _ in rows] == [row_key([2]), row_key([3])]


@pytest.mark.parametrize("reverse", [False, True])
def test_own_writes_beyond_a_page_wait_for_their_turn(reverse: bool) -> None:
    base = Base({row_key([n]): row(n, 0, 0) for n in range(0, 20, 2)}, 3)
    buffer = WriteBuffer()
    for number in range(1, 20, 2):
        buffer.insert_row(TABLE, row_key([number]), row(number, 0, 0), 1)
    scan = Scan(ROW_PREFIX, prefix_end(ROW_PREFIX), reverse=reverse)
    rows = drive(read_to_end(scanner(base, buffer, scan, 2)))
    keys = [row_key([n]) for n in range(20)]
    assert [key for key, _ in rows] == (keys[::-1] if reverse else keys)
