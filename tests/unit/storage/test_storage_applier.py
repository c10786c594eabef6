"""Crashes at any moment: the replica resumes exactly, and ends in the same state as one that never crashed."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_model import FLEET, Model, delivered, deliveries, histories, opened

from tausql.protocol.crossbar import Cursor, Delivery
from tausql.protocol.ranges import EVERYTHING
from tausql.protocol.storage import Read, Rows
from tausql.runtime.check import InvariantViolation
from tausql.storage.applier import STATE_KEY, State, StrangeFleet, encoded_state
from tausql.storage.engine import EngineFull
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.store import RocksEngine


def after(history, state) -> list:
    """What a crossbar would send to a replica in this state."""
    taken = state.cursors[0].seq if state.cursors else 0
    rest = [(tau, body) for tau, body in history[taken:]]
    assert all(tau > state.watermark for tau, _ in rest)
    made = []
    for number, (tau, body) in enumerate(rest, taken + 1):
        made.append(Delivery(FLEET, [delivered(tau, body)], tau, (Cursor(0, (1, 1), number),)))
    return made


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(0, 2**32), st.data())
def test_a_crash_at_any_moment_resumes_exactly(history, seed, data):
    chance = Random(seed)
    engine = MemoryEngine()
    applier = opened(engine)
    durable = 0
    for _ in range(100):
        pending = after(history, applier.state)
        if not pending:
            break
        for delivery in pending[: data.draw(st.integers(0, len(pending)))]:
            applier.apply(delivery)
            if data.draw(st.booleans()):
                durable = applier.persist().watermark
                engine.flush()
        engine.crash(chance)
        applier = opened(engine)
        assert applier.watermark >= durable
        compare(engine, applier, history)
    for delivery in after(history, applier.state):
        applier.apply(delivery)
    compare(engine, applier, history)
    whole = opened(MemoryEngine())
    for delivery in deliveries(history, []):
        whole.apply(delivery)
    assert whole.state == applier.state


def compare(engine, applier, history) -> None:
    model = Model([(tau, body) for tau, body in history if tau <= applier.watermark])
    reader = Reader(engine, applier.schema, EVERYTHING, 0, PageLimits())
    keys = sorted({key for _, body in history for key in body})
    answer = reader.read(Read(applier.watermark, (), keys, []))
    assert isinstance(answer, Rows)
    assert answer.values == [model.get(key, applier.watermark)[1] for key in keys]


@settings(max_examples=60, deadline=None)
@given(histories(), st.lists(st.integers(1, 3), max_size=6), st.lists(st.integers(0, 5), max_size=8))
def test_duplicates_are_dropped(history, sizes, repeats):
    once, often = opened(MemoryEngine()), opened(MemoryEngine())
    sent = deliveries(history, sizes)
    for delivery in sent:
        assert once.apply(delivery)
    for number, delivery in enumerate(sent):
        often.apply(delivery)
        for back in repeats:
            assert not often.apply(sent[max(0, number - back)])
        joined = [record for one in sent[: number + 2] for record in one.records]
        last = sent[: number + 2][-1]
        often.apply(Delivery(FLEET, joined, last.watermark, last.cursors))
    assert often.state == once.state


def test_records_out_of_order_are_an_invariant_broken():
    for records, watermark in (([(5, {}), (4, {})], 9), ([(5, {})], 4)):
        with pytest.raises(InvariantViolation, match="I8"):
            opened(MemoryEngine()).apply(
                Delivery(FLEET, [delivered(tau, body) for tau, body in records], watermark, ())
            )


def test_another_fleet_is_refused():
    applier = opened(MemoryEngine())
    applier.apply(Delivery(FLEET, [], 1, ()))
    with pytest.raises(StrangeFleet):
        applier.apply(Delivery("other", [], 2, ()))
    assert applier.watermark == 1


def test_a_full_disk_changes_nothing():
    engine = MemoryEngine(capacity_bytes=400)
    applier = opened(engine)
    applier.apply(Delivery(FLEET, [delivered(1, {b"a": b"1"})], 1, ()))
    before = applier.state
    with pytest.raises(EngineFull):
        applier.apply(Delivery(FLEET, [delivered(2, {b"a": b"x" * 400})], 2, ()))
    assert applier.state == before == opened(engine).state


def test_a_range_keeps_only_its_keys_and_hears_all_schema_changes():
    engine = MemoryEngine()
    applier = opened(engine, (b"b", b"d"))
    key = bytes([0, 0, 0, 7]) + b"x"
    applier.apply(Delivery(FLEET, [delivered(1, {b"a": b"1", b"b": b"2", b"c\xff": b"3", b"d": b"4"})], 1, ()))
    applier.apply(Delivery(FLEET, [delivered(2, {key: b"1"}, (0, 42))], 2, ()))
    applier.apply(Delivery(FLEET, [delivered(3, {key: b"1"}, (42,))], 3, ()))
    assert applier.changes == 2
    for one in (applier, opened(engine)):
        assert [one.schema.version(7, 42, tau) for tau in (1, 2, 3, 4)] == [0, 2, 3, 3]
        assert one.schema.version(8, 42, 9) == 0
        assert one.schema.versions(7, 2) == [(0, 2), (42, 2)]
    assert opened(engine).shards.ranges() == ((b"b", b"d"),)


@pytest.mark.parametrize("of", [(b"", b""), (b"b", b"d")])
def test_a_store_without_a_list_of_shards_has_one(of):
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(STATE_KEY, encoded_state(State(FLEET, 5, (Cursor(0, (1, 1), 3),), 77, *of)))
    engine.write(batch)
    applier = opened(engine)
    assert [(one.range, one.base, one.state_hash, one.whole) for one in applier.shards.all] == [(of, 0, 77, True)]
    assert applier.shards.complete(applier.watermark) == (of,)
    applier.apply(Delivery(FLEET, [delivered(6, {b"c": b"1"})], 6, ()))
    again = opened(engine)
    assert again.watermark == 6
    assert again.shards.hashes() == applier.shards.hashes() != (77,)


def test_the_state_survives_reopening_on_disk(tmp_path):
    engine = RocksEngine(tmp_path)
    applier = opened(engine)
    applier.apply(Delivery(FLEET, [delivered(1, {b"a": b"1"}, (3,))], 1, (Cursor(0, (1, 2), 3),)))
    applier.apply(Delivery(FLEET, [], 9, (Cursor(0, (1, 2), 4),)))
    state = applier.persist()
    engine.flush()
    engine.close()
    engine = RocksEngine(tmp_path)
    assert opened(engine).state == state
    assert engine.size_bytes() > 0
    engine.clear()
    assert opened(engine).watermark == 0
    engine.close()
