"""What is kept: cutting and joining, taking before everything is here, crashes in between, sizes, loads, digests."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_model import FLEET, KEYS, Model, delivered, deliveries, histories, make_engine, opened

from tausql.protocol.crossbar import Delivery
from tausql.protocol.ranges import EVERYTHING, Lookup, without
from tausql.protocol.storage import Read, Rows, Scan
from tausql.storage.applier import STATE_KEY, Applier, State, encoded_state
from tausql.storage.checkpoint import CheckpointSource, CheckpointTaker, state_of
from tausql.storage.collection import Collector
from tausql.storage.digest import digest
from tausql.storage.loads import SAMPLES, Meter
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.sizing import Sizes
from tausql.storage.versions import key_of


def rows_of(engine, applier: Applier, low: bytes, high: bytes, tau: int) -> list[tuple[bytes, bytes]]:
    answer = Reader(engine, applier.schema, EVERYTHING, 0, PageLimits()).read(Read(tau, (), [], [Scan(low, high)]))
    assert isinstance(answer, Rows)
    return list(zip(answer.pages[0].keys, answer.pages[0].values, strict=True))


bounds = st.sampled_from(sorted({*KEYS, b"a\x00\x00", b"aa"}))


@settings(max_examples=100, deadline=None)
@given(histories(10), st.lists(st.tuples(st.booleans(), st.sets(bounds, max_size=3)), max_size=8), st.randoms())
def test_cuts_and_joins_change_no_row(history, changes, chance):
    engine, twin = MemoryEngine(), MemoryEngine()
    applier, whole = opened(engine), opened(twin)
    todo = deliveries(history, [1] * len(history))
    for delivery in todo:
        whole.apply(delivery)
        applier.apply(delivery)
        if changes:
            crash, cuts = changes.pop()
            applier.align(cuts)
            inner = sorted(cut for cut in cuts if cut)
            assert [one.low for one in applier.shards.all] == [b"", *inner]
            assert applier.shards.complete(applier.watermark) == EVERYTHING
            if crash:
                before = applier.shards.hashes()
                applier = opened(engine)
                assert applier.shards.hashes() == before
    tau = applier.watermark
    for one in applier.shards.all:
        assert rows_of(engine, applier, *one.range, tau) == Model(history).scan(*one.range, tau)
    applier.align(set())
    known = applier.shards.all[0].state_hash
    assert known is None or known == whole.shards.all[0].state_hash


@settings(max_examples=100, deadline=None)
@given(histories(12), bounds, bounds, st.integers(0, 12), st.data())
def test_a_range_taken_while_records_come_is_complete(history, low, high, armed_at, data):
    """The taker subscribes first and takes the rows after; either side goes on meanwhile, collects, crashes."""
    if high and high < low:
        low, high = high, low
    if low == high:
        high = b""
    wanted = (low, high)
    source_engine, engine = MemoryEngine(), MemoryEngine()
    source = opened(source_engine)
    taker_ranges = without(EVERYTHING, (wanted,))
    applier = Applier(engine)
    applier.keep(taker_ranges)
    todo, theirs = deliveries(history, [1] * len(history)), deliveries(history, [1] * len(history))
    for _ in range(armed_at):
        if todo:
            applier.apply(todo.pop(0))
    position = applier.arm(wanted)
    while theirs and source.watermark < position:
        source.apply(theirs.pop(0))
    sending = CheckpointSource(source_engine, state_of(source, wanted), examined_max=data.draw(st.integers(1, 4)))
    taking = CheckpointTaker(engine, applier, wanted)
    applier.hear_base(wanted, sending.state.watermark)
    collector, mine = Collector(source_engine), Collector(engine)
    done = False
    while not done:
        move = data.draw(st.integers(0, 5))
        if move == 0 and todo:
            applier.apply(todo.pop(0))
        elif move == 1 and theirs:
            source.apply(theirs.pop(0))
        elif move == 2:
            sweep(collector, source, data)
        elif move == 3:
            sweep(mine, applier, data)
        else:
            done = taking.take(sending.next_part(data.draw(st.integers(1, 40))))
            assert done or applier.shards.complete(TAU_LATE) == taker_ranges
    for delivery in todo:
        applier.apply(delivery)
    tau = history[-1][0]
    assert applier.watermark == tau
    assert applier.shards.complete(tau) == EVERYTHING
    assert rows_of(engine, applier, b"", b"", tau) == Model(history).scan(b"", b"", tau)
    for delivery in theirs:
        source.apply(delivery)
    assert digest(engine, b"", b"", tau) == digest(source_engine, b"", b"", tau)
    again = opened(engine)
    assert again.shards.complete(tau) == EVERYTHING
    assert again.watermark == tau


TAU_LATE = 1 << 62


def sweep(collector: Collector, applier: Applier, data) -> None:
    if not collector.sweeping and applier.watermark >= collector.horizon:
        collector.start(data.draw(st.integers(collector.horizon, applier.watermark)), applier.shards.whole())
    collector.sweep(3)


@settings(max_examples=60, deadline=None)
@given(histories(8), st.integers(0, 2**32), st.data())
def test_a_crash_while_taking_leaves_nothing_of_the_range(history, seed, data):
    source_engine, engine = MemoryEngine(), MemoryEngine()
    source = opened(source_engine)
    todo = deliveries(history, [1] * len(history))
    for delivery in todo:
        source.apply(delivery)
    wanted, rest = (b"a", b"b"), ((b"", b"a"), (b"b", b""))
    applier = opened(engine, *rest)
    for delivery in todo[: data.draw(st.integers(0, len(todo)))]:
        applier.apply(delivery)
    applier.arm(wanted)
    taking = CheckpointTaker(engine, applier, wanted)
    sending = CheckpointSource(source_engine, state_of(source, wanted), examined_max=2)
    applier.hear_base(wanted, source.watermark)
    for _ in range(data.draw(st.integers(0, 3))):
        if not sending.done:
            taking.take(sending.next_part(10))
    engine.crash(Random(seed))
    applier = opened(engine)
    finished = applier.shards.whole() == EVERYTHING
    unfinished = applier.drop_unfinished()
    assert not finished or not unfinished
    held = Lookup(applier.shards.ranges())
    assert all(held.holds(key_of(stored)) for stored in engine.content if stored[:1] == b"d")
    for delivery in todo:
        applier.apply(delivery)
    for low, high in applier.shards.complete(applier.watermark):
        found = rows_of(engine, applier, low, high, applier.watermark)
        assert found == Model(history).scan(low, high, applier.watermark)


def test_a_tombstone_stays_until_what_it_deletes_is_here():
    source_engine, engine = MemoryEngine(), MemoryEngine()
    source, applier = opened(source_engine), opened(engine, (b"m", b""))
    wanted = (b"", b"m")
    first = Delivery(FLEET, [delivered(5, {b"a": b"old"})], 6, ())
    for one in (source, applier):
        one.apply(first)
    applier.arm(wanted)
    sending = CheckpointSource(source_engine, state_of(source, wanted))
    applier.apply(Delivery(FLEET, [delivered(8, {b"a": None})], 9, ()))
    collector = Collector(engine)
    collector.start(9, applier.shards.whole())
    while collector.sweeping:
        collector.sweep(10)
    applier.hear_base(wanted, 6)
    assert CheckpointTaker(engine, applier, wanted).take(sending.next_part(1 << 20))
    assert rows_of(engine, applier, b"", b"", 9) == []


@pytest.mark.parametrize("kind", ["memory", "rocks"])
def test_ranges_are_dropped_at_once_and_for_good(kind, tmp_path):
    engine = make_engine(kind, tmp_path)
    applier = opened(engine)
    body = {bytes([0, 0, 0, 1]) + b"%03d\x00" % number: b"v" for number in range(300)}
    applier.apply(Delivery(FLEET, [delivered(1, body)], 1, ()))
    keys = sorted(body)
    applier.drop(((keys[100], keys[200]),))
    assert [key for key, _ in rows_of(engine, applier, b"", b"", 1)] == keys[:100] + keys[200:]
    applier = opened(engine)
    assert applier.shards.ranges() == ((b"", keys[100]), (keys[200], b""))
    applier.arm((keys[100], keys[200]))
    applier.apply(Delivery(FLEET, [delivered(2, {keys[150]: b"w"})], 2, ()))
    assert rows_of(engine, applier, keys[100], keys[200], 2) == [(keys[150], b"w")]
    engine.close()


def test_sizes_are_counted_and_halved():
    engine = MemoryEngine()
    applier = opened(engine)
    sizes = Sizes(engine, lambda: applier.shards.all)
    shard = applier.shards.all[0]
    assert sizes.of(shard) == (0, 0)
    body = {b"%06d" % number: b"x" * 100 for number in range(2000)}
    applier.apply(Delivery(FLEET, [delivered(1, body)], 1, ()))
    estimate, _ = sizes.of(shard)
    assert estimate > 100 * 2000
    while sizes.turn(64):
        pass
    size, rows = sizes.of(shard)
    assert rows == 2000
    assert size == sum(len(key) + len(value) for key, value in engine.content.items() if key[:1] == b"d")
    middle = sizes.middle(shard)
    assert middle is not None
    assert b"000900" < middle < b"001100"
    applier.align({middle})
    while sizes.turn(64):
        pass
    lower, upper = (sizes.of(one)[0] for one in applier.shards.all)
    assert lower + upper == size
    assert abs(lower - upper) < size // 10


def test_a_busy_shard_is_halved_by_its_load():
    meter = Meter()
    assert meter.middle() is None
    for number in range(40_000):
        meter.read(b"%06d" % (number % 1000))
        meter.wrote(b"%06d" % (5000 + number % 1000), 10)
    for _ in range(30):
        meter.tick(1.0)
    assert 0 < meter.reads_per_second < 40_000
    middle = meter.middle()
    assert middle is not None
    assert b"000900" < middle <= b"005100"
    upper = meter.halved(middle)
    assert upper.reads_per_second == meter.reads_per_second
    meter.join(upper)
    assert meter.middle() is None or len(meter._samples) <= SAMPLES


def test_a_digest_sees_what_a_read_sees():
    history = [(1, {b"a": b"1", b"b": b"2"}), (2, {b"a": None, b"c": b"3"}), (3, {b"b": b"2"})]
    engine, other = MemoryEngine(), MemoryEngine()
    for one in (engine, other):
        applier = opened(one)
        for delivery in deliveries(history, [1, 1, 1]):
            applier.apply(delivery)
    collector = Collector(other)
    collector.start(3)
    while collector.sweeping:
        collector.sweep(5)
    assert digest(engine, b"", b"", 3) == digest(other, b"", b"", 3)
    assert digest(engine, b"", b"", 3).rows == 2
    assert digest(engine, b"", b"", 2) == digest(engine, b"", b"", 3), "the same rows, written again"
    assert digest(engine, b"", b"", 1) != digest(engine, b"", b"", 3)
    swapped = MemoryEngine()
    opened(swapped).apply(Delivery(FLEET, [delivered(3, {b"b": b"3", b"c": b"2"})], 3, ()))
    assert digest(swapped, b"", b"", 3).state_hash != digest(engine, b"", b"", 3).state_hash
    first = digest(engine, b"", b"", 3, rows_max=2)
    assert first.resume == b"b\x00"
    second = digest(engine, first.resume, b"", 3)
    whole = digest(engine, b"", b"", 3)
    assert (first.rows + second.rows, (first.state_hash + second.state_hash) % 2**64) == (whole.rows, whole.state_hash)


def test_the_first_checkpoint_of_a_blank_store_may_have_a_hash_that_nobody_knows():
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(STATE_KEY, encoded_state(State("fleet", 7, (), 0, b"", b"m", hashes=(None,))))
    engine.write(batch)
    assert Applier(engine).shards.hashes() == (None,)
