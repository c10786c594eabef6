"""Tails with sinks that fill up, logs that are cut meanwhile, and clients that go."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.journal.entries import LogEntry
from tausql.journal.store import Store
from tausql.journal.tails import Tails
from tausql.protocol.journal import NO_EPOCH, Record, Tail
from tausql.rpc.interface import Encoded
from tausql.simulation.disk import SimulatedDisk


class FullSink:
    """A sink with room for `room` items; `ended` tells how it was ended."""

    def __init__(self, room=1 << 30):
        self.room = room
        self.parts = []
        self.ended = None
        self.ready = None
        self.closed = None
        self.pushed_while_full = False

    def push(self, item):
        self.pushed_while_full |= self.room <= 0
        self.parts.append(item.message if isinstance(item, Encoded) else item)
        self.room -= 1
        return self.room > 0

    def when_ready(self, function):
        self.ready = function

    def when_closed(self, function):
        self.closed = function

    def end(self, failure=None):
        self.ended = failure

    def make_room(self, room):
        self.room = room
        ready, self.ready = self.ready, None
        if ready is not None:
            ready()

    def log(self):
        """What the client holds by now."""
        records = []
        for part in self.parts:
            assert part.keep_seq <= len(records)
            del records[part.keep_seq :]
            records += part.records
        return records


class Source:
    """A store with commit_seqs, driven as the service would."""

    def __init__(self):
        self.store = Store(SimulatedDisk(random.Random(1)), reserve_bytes=0, spare_bytes=0, cache_bytes_max=300)
        self.log_state, self.read = self.store.stream, self.store.read
        self.commits = 0
        self.woken = 0
        self.later = 0
        self.tails = Tails(self, self._wake, self._later, subscribers_max=4)

    def _wake(self):
        self.woken += 1

    def _later(self):
        self.later += 1

    def commit_seq(self, stream):
        return self.commits

    def commit(self, seq):
        self.commits = seq
        self.tails.committed(0)

    def append(self, first, count, epoch=(1, 1), size=10):
        records = [Record(epoch, seq, epoch[0] * 1000 + seq, 3, bytes(size)) for seq in range(first, first + count)]
        self.store.write(LogEntry(0, epoch, 0, first - 1, records))
        self.tails.fresh(0, first - 1, records)

    def turn(self):
        self.store.flush()
        self.tails.push()

    def add(self, sink, epoch=NO_EPOCH, seq=0):
        self.tails.add(Tail("f", 0, epoch, seq), sink)


def test_a_full_sink_is_left_alone_until_it_is_ready():
    source = Source()
    sink, other = FullSink(room=2), FullSink()
    source.add(sink)
    source.add(other)
    for seq in range(1, 21):
        source.append(seq, 1)
        source.turn()
    assert len(sink.parts) == 2
    assert len(other.log()) == 20
    sink.make_room(1 << 30)
    source.turn()
    assert sink.log() == other.log()
    assert not sink.pushed_while_full
    source.append(21, 1)
    source.turn()
    assert len(sink.log()) == 21


def test_one_part_serves_all_live_tails():
    source = Source()
    sinks = [FullSink(), FullSink()]
    for sink in sinks:
        source.add(sink)
    source.turn()
    source.append(1, 2)
    source.turn()
    assert sinks[0].parts[-1] is sinks[1].parts[-1]


def test_a_cut_reaches_a_tail_before_any_commit_seq_above_it():
    source = Source()
    sink = FullSink()
    source.add(sink)
    source.append(1, 5)
    source.turn()
    source.append(5, 1, epoch=(2, 1))
    source.commit(5)
    source.tails.commits_due()
    source.turn()
    assert [(part.keep_seq, part.commit_seq) for part in sink.parts] == [(0, 0), (4, 5)]


def test_a_long_log_is_read_in_bounded_parts_over_several_turns():
    source = Source()
    for seq in range(1, 41):
        source.append(seq, 1, size=100_000)
        source.turn()
    sink = FullSink()
    source.add(sink)
    source.turn()
    assert 0 < len(sink.log()) < 40
    for _ in range(10):
        source.turn()
    assert len(sink.log()) == 40
    assert all(sum(len(record.payload) for record in part.records) < 500_000 for part in sink.parts)


def test_too_many_tails_are_refused_and_closed_ones_forgotten():
    source = Source()
    sinks = [FullSink() for _ in range(5)]
    for sink in sinks:
        source.add(sink)
    assert sinks[4].ended is not None
    sinks[0].closed()
    sinks[0].closed()
    assert source.tails.count == 3
    late = FullSink()
    source.add(late)
    assert late.ended is None
    source.append(1, 1)
    source.turn()
    assert sinks[0].parts == []
    assert len(late.log()) == 1


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_tail_ends_up_with_the_log_whatever_is_cut_and_however_slow_it_is(data):
    source = Source()
    log: list[Record] = []
    sinks: list[FullSink] = []
    epoch = 1
    for _ in range(data.draw(st.integers(1, 40))):
        move = data.draw(st.sampled_from(["append", "append", "cut", "commit", "due", "turn", "turn", "tail", "room"]))
        committed = source.commits
        if move == "append":
            count = data.draw(st.integers(1, 3))
            source.append(len(log) + 1, count, (epoch, 1))
        elif move == "cut" and len(log) > committed:
            epoch += 1
            source.append(data.draw(st.integers(committed + 1, len(log))), 1, (epoch, 1))
        elif move == "commit" and len(log) > committed:
            source.commit(data.draw(st.integers(committed, len(log))))
        elif move == "due":
            source.tails.commits_due()
        elif move == "turn":
            source.turn()
        elif move == "tail" and len(sinks) < 4:
            sink = FullSink(data.draw(st.integers(1, 5)))
            source.add(sink)
            sinks.append(sink)
        elif move == "room" and sinks:
            data.draw(st.sampled_from(sinks)).make_room(data.draw(st.integers(1, 3)))
        log = source.store.read(0, 1, 1 << 30)
        for sink in sinks:
            held = sink.log()
            told = max((part.commit_seq for part in sink.parts), default=0)
            assert held[:told] == log[: len(held[:told])]  # what it may release is what was committed
            assert not sink.pushed_while_full
    for sink in sinks:
        sink.make_room(1 << 30)
    for _ in range(3):
        source.turn()
    source.tails.commits_due()
    source.turn()
    for sink in sinks:
        assert sink.log() == log
        assert max(part.commit_seq for part in sink.parts) == source.commits
