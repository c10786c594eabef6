"""Collection never changes an answer at or above the horizon; a checkpoint is the same replica elsewhere."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_model import Model, deliveries, histories, opened

from tausql.protocol.ranges import EVERYTHING
from tausql.protocol.storage import Read, Rows, Scan
from tausql.runtime.check import InvariantViolation
from tausql.storage.applier import Applier
from tausql.storage.checkpoint import CheckpointSource, CheckpointTaker, drop_unfinished
from tausql.storage.collection import Collector, stored_horizon
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.versions import DATA_END, key_of, tau_of


def filled(history) -> tuple[MemoryEngine, Applier]:
    engine = MemoryEngine()
    applier = opened(engine)
    for delivery in deliveries(history, []):
        applier.apply(delivery)
    return engine, applier


def compare(engine, applier, history, tau_from: int) -> None:
    model = Model(history)
    reader = Reader(engine, applier.schema, EVERYTHING, 0, PageLimits())
    for tau in range(tau_from, applier.watermark + 1):
        answer = reader.read(Read(tau, (), [], [Scan(b"", b"")]))
        assert isinstance(answer, Rows)
        page = answer.pages[0]
        assert list(zip(page.keys, page.values, strict=True)) == model.scan(b"", b"", tau)


def versions(engine) -> dict[bytes, list[tuple[int, bool]]]:
    found: dict[bytes, list[tuple[int, bool]]] = {}
    for key, value in engine.content.items():
        if key[:1] == b"d":
            found.setdefault(key_of(key), []).append((tau_of(key), value[0] == 1))
    return found


@settings(max_examples=150, deadline=None)
@given(histories(20), st.data(), st.integers(0, 2**32))
def test_collection_changes_no_answer_above_the_horizon(history, data, seed):
    engine, applier = filled(history)
    collector = Collector(engine)
    horizon = 0
    for _ in range(data.draw(st.integers(1, 2))):
        horizon = data.draw(st.integers(horizon, applier.watermark))
        collector.start(horizon)
        while collector.sweeping:
            collector.sweep(data.draw(st.integers(1, 6)))
            if data.draw(st.integers(0, 4)) == 0:
                engine.crash(Random(seed))
                assert stored_horizon(engine) == horizon
                applier = opened(engine)
                collector = Collector(engine)
                model = [one for one in history if one[0] <= applier.watermark]
                compare(engine, applier, model, horizon)
                break
            compare(engine, applier, history, horizon)
        else:
            for kept in versions(engine).values():
                old = [(tau, row) for tau, row in kept if tau <= horizon]
                assert len(old) <= 1
                assert all(row for _, row in old)
            continue
        return


def test_the_horizon_never_falls():
    engine, _ = filled([(1, {b"a": b"1"})])
    collector = Collector(engine)
    collector.start(5)
    with pytest.raises(InvariantViolation, match="I12"):
        collector.start(4)


@settings(max_examples=100, deadline=None)
@given(histories(20), st.integers(0, 20), st.data())
def test_a_checkpoint_taken_while_the_peer_goes_on_is_exact(history, before, data):
    first, rest = history[:before], history[before:]
    engine, applier = filled(first)
    source = CheckpointSource(engine, applier.state, examined_max=data.draw(st.integers(1, 5)))
    copy = MemoryEngine()
    taker = CheckpointTaker(copy)
    taker.begin()
    collector = Collector(engine)
    todo = deliveries(history, [len(first), *[1] * len(rest)])[1 if first else 0 :]
    done = False
    while not done:
        if todo and data.draw(st.booleans()):
            applier.apply(todo.pop(0))
        if data.draw(st.integers(0, 3)) == 0 and not collector.sweeping and applier.watermark >= collector.horizon:
            collector.start(data.draw(st.integers(collector.horizon, applier.watermark)))
        collector.sweep(3)
        done = taker.take(source.next_part(data.draw(st.integers(1, 40))))
    twin = opened(copy)
    for delivery in deliveries(history, [1] * len(history)):
        twin.apply(delivery)
    for delivery in todo:
        applier.apply(delivery)
    assert twin.state == applier.state
    compare(copy, twin, history, max(stored_horizon(copy), stored_horizon(engine)))


def test_an_unfinished_checkpoint_is_worth_nothing():
    engine, applier = filled([(1, {b"a": b"1"}), (2, {b"b": b"1"})])
    copy = MemoryEngine()
    taker = CheckpointTaker(copy)
    taker.begin()
    assert not taker.take(CheckpointSource(engine, applier.state).next_part(1))
    assert copy.get(DATA_END) is None
    assert drop_unfinished(copy)
    assert not copy.content
    assert not drop_unfinished(copy)
