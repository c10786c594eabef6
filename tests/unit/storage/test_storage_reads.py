"""What a read is answered: rows, or why not."""

from __future__ import annotations

import pytest
from storage_model import FLEET, delivered, opened

from tausql.protocol.crossbar import Delivery
from tausql.protocol.keys import covering_value
from tausql.protocol.ranges import EVERYTHING
from tausql.protocol.rows import decode_stored, encode_stored
from tausql.protocol.storage import (
    Comparison,
    NotHere,
    Read,
    ReadSchema,
    Rows,
    Scan,
    SchemaVersions,
    StaleSchema,
    TooOld,
)
from tausql.protocol.storage import Test as ColumnTest
from tausql.storage.applier import Applier
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.parked import ParkedReads
from tausql.storage.reads import EntryWithoutRow, PageLimits, Reader
from tausql.storage.versions import ROW, version_key

CLUSTER = bytes([0, 0, 0, 7])


def row_key(number: int) -> bytes:
    return CLUSTER + b"r" + bytes([number])


def entry(name: str) -> bytes:
    return CLUSTER + b"i" + name.encode()


@pytest.fixture
def reader() -> Reader:
    engine = MemoryEngine()
    applier = opened(engine)
    body = {row_key(n): encode_stored([n, f"name {n % 3}", None if n % 2 else n]) for n in range(10)}
    body |= {entry(f"{9 - n}"): row_key(n) for n in range(10)}
    applier.apply(Delivery(FLEET, [delivered(10, body, (0, 5))], 10, ()))
    gone = {row_key(3): None, entry("6"): None}
    applier.apply(Delivery(FLEET, [delivered(20, gone), delivered(30, {row_key(0): body[row_key(0)]}, (5,))], 40, ()))
    return Reader(engine, applier.schema, EVERYTHING, 0, PageLimits())


ROWS = (CLUSTER + b"r", CLUSTER + b"s")
ENTRIES = (CLUSTER + b"i", CLUSTER + b"j")


def page_of(reader, scan, tau=40):
    answer = reader.read(Read(tau, (), [], [scan]))
    assert isinstance(answer, Rows)
    return answer, answer.pages[0]


def test_tests_and_projection(reader):
    tests = (ColumnTest(1, Comparison.equal, "name 0"), ColumnTest(2, Comparison.is_not_null, None))
    answer, page = page_of(reader, Scan(*ROWS, tests=tests, projection=(2, 0)))
    assert [decode_stored(value) for value in page.values] == [[0, 0], [6, 6]]
    assert page.keys == [row_key(0), row_key(6)]
    assert answer.newest == 30
    assert page.resume is None


def test_tombstones_and_filtered_rows_count_as_touched(reader):
    answer, page = page_of(reader, Scan(row_key(3), row_key(4)), tau=25)
    assert (page.keys, answer.newest) == ([], 20)
    answer, page = page_of(reader, Scan(*ROWS, tests=(ColumnTest(0, Comparison.equal, 99),)))
    assert (page.keys, answer.newest) == ([], 30)


def test_limit_counts_rows_after_the_tests(reader):
    scan = Scan(*ROWS, limit=2, tests=(ColumnTest(0, Comparison.greater, 2),))
    _, page = page_of(reader, scan)
    assert page.keys == [row_key(4), row_key(5)]
    assert page.resume is None


def test_fetch_answers_with_rows_in_the_order_of_the_index(reader):
    scan = Scan(*ENTRIES, fetch=True, tests=(ColumnTest(0, Comparison.less, 5),), projection=(0,), page_rows=3)
    _, page = page_of(reader, scan)
    assert [decode_stored(value) for value in page.values] == [[4], [2], [1]]
    assert page.keys == [row_key(4), row_key(2), row_key(1)]
    assert page.entries == [entry("5"), entry("7"), entry("8")]
    assert page.resume == entry("8") + b"\x00"
    _, page = page_of(reader, Scan(*ENTRIES, fetch=True, reverse=True, limit=1))
    assert page.keys == [row_key(0)]


def test_rows_are_fetched_through_entries_that_have_more_than_a_key():
    engine = MemoryEngine()
    applier = opened(engine)
    covered = {
        entry("2"): covering_value(row_key(7), b"\xff some columns"),
        entry("1"): covering_value(row_key(8), b""),
    }
    body = {row_key(n): encode_stored([n]) for n in range(10)} | {entry(f"{9 - n}"): row_key(n) for n in range(10)}
    applier.apply(Delivery(FLEET, [delivered(10, body | covered, (0, 5))], 40, ()))
    reader = Reader(engine, applier.schema, EVERYTHING, 0, PageLimits())
    _, page = page_of(reader, Scan(*ENTRIES, fetch=True, limit=4))
    assert page.keys == [row_key(9), row_key(8), row_key(7), row_key(6)]
    assert page.entries == [entry("0"), entry("1"), entry("2"), entry("3")]
    _, page = page_of(reader, Scan(entry("2"), entry("3")))
    assert page.values == [covered[entry("2")]]


def test_an_entry_without_its_row_is_no_silent_gap(reader):
    with pytest.raises(EntryWithoutRow):
        page_of(reader, Scan(*ROWS, fetch=True))


def test_one_answer_is_bounded_over_all_its_scans(reader):
    small = Reader(reader._engine, reader._schema, EVERYTHING, 0, PageLimits(bytes_max=1))
    answer = small.read(Read(40, (), [], [Scan(*ROWS), Scan(*ROWS), Scan(*ROWS, reverse=True)]))
    assert isinstance(answer, Rows)
    assert [len(page.keys) for page in answer.pages] == [1, 0, 0]
    assert [page.resume for page in answer.pages] == [row_key(0) + b"\x00", ROWS[0], ROWS[1]]


@pytest.mark.parametrize(
    ("tau", "version", "stale"),
    [(40, 30, None), (29, 10, None), (29, 30, 10), (40, 10, 30), (9, 10, 0), (9, 0, None)],
)
def test_another_schema_version_is_told(reader, tau, version, stale):
    answer = reader.read(Read(tau, ((0, 0 if tau < 10 else 10), (5, version)), [row_key(1)], []))
    if stale is None:
        assert isinstance(answer, Rows)
    else:
        assert answer == StaleSchema(5, stale)
    by_scan = reader.read(Read(tau, ((5, version),), [], [Scan(*ROWS)]))
    assert isinstance(by_scan, Rows if stale is None else StaleSchema)


def test_schema_versions_of_a_cluster(reader):
    assert reader.read_schema(ReadSchema(7, 29)) == SchemaVersions(10, [(0, 10), (5, 10)])
    assert reader.read_schema(ReadSchema(7, 40)) == SchemaVersions(30, [(0, 10), (5, 30)])
    assert reader.read_schema(ReadSchema(8, 40)) == SchemaVersions(0, [])


def test_reads_below_the_horizon_are_refused(reader):
    reader.horizon = 21
    assert reader.read(Read(20, (), [row_key(1)], [])) == TooOld(21)
    assert isinstance(reader.read(Read(21, (), [row_key(1)], [])), Rows)
    assert reader.read_schema(ReadSchema(7, 20)) == TooOld(21)


def ranged(body: dict[bytes, bytes], *ranges: tuple[bytes, bytes]) -> Reader:
    engine = MemoryEngine()
    applier = opened(engine, *ranges)
    applier.apply(Delivery(FLEET, [delivered(1, body)], 1, ()))
    return Reader(engine, applier.schema, ranges, 0, PageLimits())


def test_keys_of_other_ranges_are_refused():
    reader = ranged({b"b": b"x", b"c": b"y"}, (b"b", b"d"), (b"m", b"p"))
    for gets in ([b"a"], [b"d"], [b"c", b"e"], [b"m", b"p"]):
        assert reader.read(Read(1, (), gets, [])) == NotHere()
    for low, high in ((b"a", b"c"), (b"", b"")):
        assert reader.read(Read(1, (), [], [Scan(low, high)])) == NotHere()
    for low, high in ((b"b", b""), (b"b", b"e"), (b"b", b"q")):
        assert reader.read(Read(1, (), [], [Scan(low, high, reverse=True)])) == NotHere()
    assert isinstance(reader.read(Read(1, (), [b"c", b"m"], [Scan(b"b", b"d")])), Rows)


def test_a_page_ends_where_what_is_served_ends():
    reader = ranged({b"b": b"1", b"c": b"2", b"n": b"3"}, (b"b", b"d"), (b"m", b"p"))

    def page(*scan, **more):
        answer = reader.read(Read(1, (), [], [Scan(*scan, **more)]))
        assert isinstance(answer, Rows)
        return answer.pages[0].keys, answer.pages[0].resume

    assert page(b"b", b"") == ([b"b", b"c"], b"d")
    assert page(b"b", b"d") == ([b"b", b"c"], None)
    assert page(b"c", b"z", limit=1) == ([b"c"], None)
    assert page(b"m", b"n") == ([], None)
    assert page(b"a", b"d", reverse=True) == ([b"c", b"b"], b"b")
    assert page(b"c", b"d", reverse=True) == ([b"c"], None)
    assert page(b"a", b"p", reverse=True) == ([b"n"], b"m")


def test_rows_that_are_elsewhere_are_left_to_the_reader():
    reader = ranged({b"b1": b"k1", b"b2": b"z2", b"b3": b"k3", b"k1": b"one", b"k3": b"three"}, (b"b", b"m"))
    answer = reader.read(Read(1, (), [], [Scan(b"b", b"c", fetch=True)]))
    assert isinstance(answer, Rows)
    page = answer.pages[0]
    assert page.keys == [b"k1", b"z2", b"k3"]
    assert page.values == [b"one", None, b"three"]
    assert page.entries == [b"b1", b"b2", b"b3"]
    answer = reader.read(Read(1, (), [], [Scan(b"b", b"c", limit=2, fetch=True)]))
    assert isinstance(answer, Rows)
    assert (answer.pages[0].keys, answer.pages[0].resume) == ([b"k1", b"z2"], b"b2\x00"), "nobody knows z2's test yet"


class Peer:
    name = "p"
    connected = True


class FakeReply:
    def __init__(self) -> None:
        self.peer = Peer()

    def answer(self, message) -> None: ...

    def fail(self, cause, message="") -> None: ...


def test_parked_reads_leave_in_order_of_tau_and_expire():
    parked = ParkedReads(3)
    replies = [FakeReply() for _ in range(4)]
    assert [parked.park(tau, expires, tau, reply) for (tau, expires), reply in zip(
        [(30, 1.0), (10, 5.0), (20, 5.0), (40, 5.0)], replies, strict=True
    )] == [True, True, True, False]  # fmt: skip
    assert parked.highest == 30
    assert parked.pop_due(9) is None
    assert parked.pop_due(20)[:2] == (10, replies[1])
    assert parked.pop_expired(2.0) == [replies[0]]
    assert parked.pop_due(20)[:2] == (20, replies[2])
    assert parked.pop_due(99) is None
    assert parked.highest == 0


def test_gets_that_no_message_could_hold_are_answered_in_part():
    engine = MemoryEngine()
    applier = opened(engine)
    body = {row_key(number): bytes([number]) * 1000 for number in range(20)}
    applier.apply(Delivery(FLEET, [delivered(10, body)], 10, ()))
    reader = Reader(engine, applier.schema, EVERYTHING, 0, PageLimits(gets_bytes_max=5_000))
    keys = [row_key(number) for number in range(20)]
    answer = reader.read(Read(10, (), keys, [Scan(*ROWS)]))
    assert isinstance(answer, Rows)
    assert answer.values == [body[key] for key in keys[:5]]
    assert (answer.pages[0].keys, answer.pages[0].resume) == ([], ROWS[0]), "the page comes with the rest"
    found: list[bytes | None] = []
    while len(found) < len(keys):
        rest = reader.read(Read(10, (), keys[len(found) :], []))
        assert isinstance(rest, Rows)
        found += rest.values
    assert found == [body[key] for key in keys]


def test_a_read_sees_what_somebody_else_has_written_to_the_store():
    engine = MemoryEngine()
    reader = Reader(engine, Applier(engine).schema, EVERYTHING, 0, PageLimits())
    assert reader.read(Read(100, (), [b"a"], [])) == Rows(0, [None], [])
    batch = engine.batch()
    batch.put(version_key(b"a", 50), ROW + b"1")
    engine.write(batch)
    assert reader.read(Read(100, (), [b"a"], [])) == Rows(50, [b"1"], [])
