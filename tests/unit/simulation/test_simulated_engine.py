"""A store whose bytes change, whose disk is full, or whose flush fails."""

from __future__ import annotations

import random

import pytest

from tausql.simulation.engine import SimulatedEngine
from tausql.storage.engine import EngineFailed, EngineFull


def engine_of(**rows: bytes) -> SimulatedEngine:
    engine = SimulatedEngine()
    batch = engine.batch()
    for key, value in rows.items():
        batch.put(key.encode(), value)
    engine.write(batch)
    return engine


def test_a_flipped_bit_is_noticed_by_whoever_reads_it():
    engine = engine_of(a=b"1")
    assert engine.damage(random.Random(1))
    with pytest.raises(EngineFailed):
        engine.get(b"a")
    iterator = engine.iterate()
    iterator.seek(b"")
    with pytest.raises(EngineFailed):
        iterator.valid()


def test_other_rows_are_as_they_were():
    engine = engine_of(a=b"1", b=b"2")
    engine.damaged.add(b"b")
    assert engine.get(b"a") == b"1"
    iterator = engine.iterate()
    iterator.seek(b"")
    assert iterator.valid()
    assert iterator.value() == b"1"
    iterator.next()
    with pytest.raises(EngineFailed):
        iterator.valid()


def test_there_is_nothing_to_damage_in_an_empty_store():
    assert not SimulatedEngine().damage(random.Random(1))


def test_a_full_disk_takes_nothing_until_there_is_room():
    engine = engine_of(a=b"1")
    engine.fill()
    batch = engine.batch()
    batch.put(b"b", b"2")
    with pytest.raises(EngineFull):
        engine.write(batch)
    engine.room()
    engine.write(batch)
    assert engine.get(b"b") == b"2"


def test_a_flush_that_fails_goes_on_failing_until_the_process_has_died():
    engine = engine_of(a=b"1")
    engine.flush()
    engine.flush_fails = True
    with pytest.raises(EngineFailed):
        engine.flush()
    with pytest.raises(EngineFailed):
        engine.write(engine.batch())
    engine.crash(random.Random(1))
    engine.flush()
    assert engine.get(b"a") == b"1"
