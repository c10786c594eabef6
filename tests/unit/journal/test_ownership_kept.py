"""The newest record that says who judges what: known to every acceptor, and never trimmed."""

from __future__ import annotations

import random

import pytest

from tausql.journal.acceptor import Acceptor
from tausql.journal.entries import LogEntry
from tausql.journal.store import Store
from tausql.protocol.journal import Append, Kind, Record
from tausql.simulation.disk import SimulatedDisk

from .ground import Ground

EPOCH = (1, 7)
LATER = (2, 7)


def record(seq, kind=Kind.transaction, epoch=EPOCH, size=20):
    return Record(epoch, seq, 1000 * epoch[0] + seq, kind, b"x" * size)


@pytest.fixture
def disk():
    return SimulatedDisk(random.Random(1))


def open_store(disk, segment_bytes_max=400):
    return Store(disk, segment_bytes_max=segment_bytes_max, reserve_bytes=0, spare_bytes=0)


def write(store, records, stream=0, keep=None):
    for one in records:
        state = store.stream(stream)
        entry = LogEntry(
            stream, max(one.epoch, state.promised), state.limit, one.seq - 1 if keep is None else keep, [one]
        )
        keep = None
        store.write(entry)
        store.flush()


def effects_of(disk):
    return Ground("a", ["a", "b", "c"], disk, random.Random(1), segment_bytes_max=400)


def append(acceptor, records, previous, epoch=EPOCH, commit_seq=0, previous_epoch=EPOCH):
    return acceptor.append(
        Append("", 0, epoch, previous_epoch if previous else (0, 0), previous, records, commit_seq, 0)
    )


def test_it_is_known_after_appends_cuts_and_restarts(disk):
    store = open_store(disk)
    write(store, [record(1, Kind.epoch_start), *(record(seq) for seq in range(2, 6)), record(6, Kind.ownership)])
    write(store, [record(7), record(8, Kind.ownership), record(9, Kind.epoch_end)])
    state = store.stream(0)
    assert state.ownership_at(state.last_seq) == 8
    store = open_store(disk)
    state = store.stream(0)
    assert state.ownership_at(state.last_seq) == 8
    write(store, [record(8, Kind.transaction, LATER)], keep=7)
    assert state.ownership_at(state.last_seq) == 6
    reopened = open_store(disk).streams[0]
    assert [reopened.ownership_at(seq) for seq in (0, 1, 5, 6, 8)] == [0, 1, 1, 6, 6]


def test_a_trim_stops_before_the_newest_committed_one(disk):
    ground = effects_of(disk)
    acceptor = Acceptor(ground.log_state(0), ground)
    append(acceptor, [record(1, Kind.epoch_start), record(2), record(3, Kind.ownership), record(4), record(5)], 0)
    assert acceptor.wanted_trim(EPOCH, 2) == 0, "the third is not committed for all that is known here"
    assert acceptor.wanted_trim(EPOCH, 5) == 2
    append(acceptor, [record(6, Kind.ownership), record(7)], 5, commit_seq=5)
    assert acceptor.wanted_trim(EPOCH, 5) == 2, "what may still be cut keeps nothing else from being needed"
    append(acceptor, [], 7, commit_seq=7)
    assert acceptor.wanted_trim(EPOCH, 5) == 5
    assert acceptor.wanted_trim(EPOCH, 7) == 5


def test_a_log_that_is_behind_does_not_begin_where_a_trim_ends(disk):
    ground = effects_of(disk)
    acceptor = Acceptor(ground.log_state(0), ground)
    append(acceptor, [record(1, Kind.epoch_start), record(2)], 0)
    assert acceptor.wanted_trim(LATER, 40) is None
    assert acceptor.state.trim_seq == 0


def test_the_last_words_of_an_idle_stream_are_carried_along(disk):
    store = open_store(disk)
    write(store, [record(1, Kind.epoch_start, size=80), record(2), record(3, Kind.ownership)], stream=5)
    write(store, [record(1, Kind.epoch_start), *(record(seq, size=100) for seq in range(2, 30))])
    segments = len(store.segments)
    store.trim({0: 28, 5: 2})
    store.flush()
    assert len(store.segments) < segments
    assert [one.seq for one in store.read(5, 3, 1000)] == [3]
    assert store.streams[5].trim_seq == 2
    assert store.streams[0].trim_seq > 20
    before = {stream: state.summary() for stream, state in store.streams.items()}
    disk.crash()
    reopened = open_store(disk)
    assert {stream: state.summary() for stream, state in reopened.streams.items()} == before
    assert reopened.read(5, 3, 1000) == [record(3, Kind.ownership)]
    write(reopened, [record(4)], stream=5)
    assert [one.seq for one in reopened.read(5, 3, 1000)] == [3, 4]
    assert reopened.streams[5].ownership_at(4) == 3


def test_carried_records_that_are_cut_later_are_cut(disk):
    store = open_store(disk)
    write(store, [record(1, Kind.epoch_start), record(2), record(3), record(4)], stream=5)
    write(store, [record(1, Kind.epoch_start), *(record(seq, size=100) for seq in range(2, 30))])
    store.trim({0: 28, 5: 0})
    store.flush()
    write(store, [record(3, Kind.epoch_start, LATER)], stream=5, keep=2)
    reopened = open_store(disk)
    for one in (store, reopened):
        assert [(at.seq, at.epoch) for at in one.read(5, 1, 1 << 20)] == [(1, EPOCH), (2, EPOCH), (3, LATER)]
        assert one.streams[5].ownership_at(3) == 3


def test_a_busy_stream_is_not_carried(disk):
    store = open_store(disk)
    write(store, [record(1, Kind.epoch_start), *(record(seq) for seq in range(2, 100))], stream=5)
    segments = list(store.segments)
    store.trim({5: 0})
    store.flush()
    assert store.segments == segments
