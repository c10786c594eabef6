"""Reads at any tau equal the reference, on both engines."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_model import KEYS, Model, deliveries, histories, keys, make_engine, opened

from tausql.protocol.ranges import EVERYTHING
from tausql.protocol.storage import Read, Rows, Scan
from tausql.protocol.totals import Aggregation, Folding, Total, TotalKind
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.versions import key_of, tau_of, version_key


@given(keys, keys, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_engine_keys_sort_by_key_then_newest_first(one, other, tau, later):
    assert key_of(version_key(one, tau)) == one
    assert tau_of(version_key(one, tau)) == tau
    if one != other:
        assert (version_key(one, tau) < version_key(other, later)) == (one < other)
    elif tau != later:
        assert (version_key(one, tau) < version_key(other, later)) == (tau > later)


def pages(reader: Reader, scan: Scan, tau: int, whole: list) -> None:
    """Follow a scan to its end."""
    for _ in range(1000):
        answer = reader.read(Read(tau, (), [], [scan]))
        assert isinstance(answer, Rows)
        (page,) = answer.pages
        whole.extend(zip(page.keys, page.values, strict=True))
        if page.resume is None:
            return
        scan = Scan(
            scan.low if scan.reverse else page.resume,
            page.resume if scan.reverse else scan.high,
            scan.reverse,
            page_rows=scan.page_rows,
        )
    pytest.fail("a scan that does not end")


@pytest.mark.parametrize("kind", ["memory", "rocks"])
def test_reads_equal_the_reference(kind):
    with tempfile.TemporaryDirectory() as directory:
        engine = make_engine(kind, Path(directory))

        @settings(max_examples=40 if kind == "rocks" else 100, deadline=None)
        @given(histories(), st.lists(st.integers(1, 4), max_size=4), st.data())
        def check(history, sizes, data):
            engine.clear()
            applier = opened(engine)
            limits = PageLimits(
                bytes_max=data.draw(st.sampled_from([8, 1 << 20])), examined_max=data.draw(st.integers(1, 9))
            )
            reader = Reader(engine, applier.schema, EVERYTHING, 0, limits)
            for delivery in deliveries(history, sizes):
                applier.apply(delivery)
                reader.written()
                compare(reader, applier.watermark, history, data)

        check()
        engine.close()


def compare(reader, watermark, history, data) -> None:
    model = Model([(tau, body) for tau, body in history if tau <= watermark])
    tau = data.draw(st.integers(0, watermark))
    wanted = sorted(set(KEYS) | set(model.versions))
    answer = reader.read(Read(tau, (), wanted, []))
    assert isinstance(answer, Rows)
    found = [model.get(key, tau) for key in wanted]
    assert answer.values == [row for _, row in found]
    assert answer.newest == max(touched for touched, _ in found)
    low, high = data.draw(keys), data.draw(st.one_of(st.just(b""), keys))
    page_rows = data.draw(st.integers(1, 5))
    for reverse in (False, True):
        whole: list = []
        pages(reader, Scan(low, high, reverse, page_rows=page_rows), tau, whole)
        assert whole == model.scan(low, high, tau, reverse)
    count_rows(reader, low, high, tau, len(model.scan(low, high, tau)))
    scan = Scan(low, high, limit=2)
    limited: list = []
    answer = reader.read(Read(tau, (), [], [scan]))
    assert isinstance(answer, Rows)
    limited.extend(answer.pages[0].keys)
    assert limited == [key for key, _ in model.scan(low, high, tau)][: len(limited)]


def count_rows(reader: Reader, low: bytes, high: bytes, tau: int, expected: int) -> None:
    """Counted by storage, slice by slice, and by a sample of everything."""
    aggregation = Aggregation((Total(TotalKind.count_rows),))
    for sample in (0, 1):
        folding = Folding(aggregation)
        scan = Scan(low, high, aggregation=aggregation, sample=sample)
        for _ in range(1000):
            answer = reader.read(Read(tau, (), [], [scan]))
            assert isinstance(answer, Rows)
            (page,) = answer.pages
            for key, value in zip(page.keys, page.values, strict=True):
                assert key == b""
                assert value is not None
                folding.add_partial(value)
            if page.resume is None:
                break
            scan = Scan(page.resume, high, aggregation=aggregation, sample=sample)
        assert list(folding.results()) == ([([], [expected])] if expected else [])


@pytest.mark.parametrize("kind", ["memory", "rocks"])
def test_keys_with_many_versions(kind, tmp_path):
    """More versions than are walked over before seeking, between neighbours."""
    history = [(1, {b"a": b"0", b"b": b"0", b"c": b"0"})]
    history += [(tau, {b"b": b"%d" % tau}) for tau in range(2, 60)]
    engine = make_engine(kind, tmp_path)
    applier = opened(engine)
    for delivery in deliveries(history, []):
        applier.apply(delivery)
    model = Model(history)
    reader = Reader(engine, applier.schema, EVERYTHING, 0, PageLimits())
    for tau in (0, 1, 2, 5, 9, 10, 11, 30, 50, 59):
        for reverse in (False, True):
            whole: list = []
            pages(reader, Scan(b"", b"", reverse), tau, whole)
            assert whole == model.scan(b"", b"", tau, reverse)
    engine.close()
