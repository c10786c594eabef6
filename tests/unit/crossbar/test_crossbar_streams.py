"""Streams that begin and end between two deliveries, and a stream whose last holder said nothing of its end."""

from __future__ import annotations

import msgspec
import pytest

from tausql.crossbar.merge import Merge, advance
from tausql.crossbar.subscribers import Deliveries, Ring, Subscriber
from tausql.protocol.adjudicator import Beat, Transaction
from tausql.protocol.crossbar import Cursor
from tausql.protocol.journal import Ended, EpochEnd, Kind, Ownership, Record, Registered, TailPart
from tausql.protocol.tau import TAU_MAX

EPOCH = (1, 1)
encode = msgspec.msgpack.encode


class FakeSink:
    open = True

    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item.message)
        return True


def transaction(seq, tau):
    return Record(EPOCH, seq, tau, Kind.transaction, encode(Transaction(b"t", 0, [], [], [], b"a", b"a", b"%d" % tau)))


def registry(seq, tau, streams, ended=()):
    return Record(EPOCH, seq, tau, Kind.ownership, encode(Ownership(streams=tuple(streams), ended=tuple(ended))))


def sealed(seq, tau, epoch=EPOCH):
    return Record(epoch, seq, tau, Kind.epoch_end, encode(EpochEnd(tau, True)))


FIRST, SECOND, THIRD = Registered(0, 0), Registered(1, 20), Registered(2, 50)
STREAM_0 = [
    Record(EPOCH, 1, 10, Kind.epoch_start, b""),
    registry(2, 20, [FIRST, SECOND]),
    transaction(3, 30),
    registry(4, 50, [FIRST, SECOND, THIRD]),
    registry(5, 60, [FIRST, SECOND, THIRD]),
    registry(6, 110, [FIRST, THIRD], [Ended(1, (2, 1), 4)]),
    transaction(7, 120),
]
STREAM_1 = [
    Record(EPOCH, 1, 22, Kind.epoch_start, b""),
    transaction(2, 70),
    sealed(3, 90),
    sealed(4, 100, (2, 1)),
]
STREAM_2 = [Record(EPOCH, 1, 55, Kind.epoch_start, b""), transaction(2, 80)]


def close(merge, stream, records, tau=1000):
    merge.take(TailPart(stream, 0, records, len(records)))
    merge.hear(Beat(stream, EPOCH, len(records), tau, len(records)))


def test_streams_begin_where_they_are_registered_and_end_where_they_say_so():
    merge = Merge(0, {})
    close(merge, 0, STREAM_0)
    assert [record.tau for _, record in merge.drain()] == [10, 20], "the others have begun, and are closed no further"
    assert (merge.changed, sorted(merge.tails), merge.watermark) == (True, [0, 1, 2], 20)
    close(merge, 2, STREAM_2)
    merge.take(TailPart(1, 0, STREAM_1, len(STREAM_1)))
    taus = [record.tau for _, record in merge.drain()]
    assert taus == [22, 30, 50, 55, 60, 70, 80, 90, 110, 120]
    assert sorted(merge.tails) == sorted(merge.cursors) == [0, 2]


def test_the_registry_vouches_for_a_stream_that_nobody_speaks_for_any_more():
    merge = Merge(0, {})
    close(merge, 0, STREAM_0[:5], 105)
    merge.drain()
    close(merge, 2, STREAM_2)
    merge.take(TailPart(1, 0, STREAM_1, 0))  # a replica that has been restarted does not know what is committed
    merge.drain()
    assert (merge.watermark, merge.tails[1].released_seq) == (20, 0)
    merge.take(TailPart(0, 5, STREAM_0[5:], 7))
    merge.hear(Beat(0, EPOCH, 7, 1000, 7))
    merge.drain()
    assert sorted(merge.tails) == [0, 2]
    assert merge.watermark == 1000


def test_a_replica_without_the_end_is_known_to_be_behind():
    merge = Merge(0, {})
    close(merge, 0, STREAM_0)
    merge.drain()
    tail = merge.tails[1]
    tail.take(TailPart(1, 0, STREAM_1[:2], 0))
    assert tail.behind
    tail.restart()
    tail.take(TailPart(1, 0, [*STREAM_1[:2], sealed(3, 95)], 0))
    assert tail.behind, "an end that was cut elsewhere"
    assert tail.released_seq == 0
    tail.restart()
    tail.take(TailPart(1, 0, STREAM_1, 0))
    assert (tail.ended, tail.behind, tail.closed) == (True, False, TAU_MAX)


@pytest.mark.parametrize("records_max", [1, 2, 3])
def test_cursors_between_two_deliveries_name_the_streams_there_are(records_max):
    merge = Merge(0, {})
    ring = Ring(0, {}, 1 << 20, 1 << 10)
    merged = []
    close(merge, 0, STREAM_0)
    merged += merge.drain()
    close(merge, 2, STREAM_2)
    merge.take(TailPart(1, 0, STREAM_1, len(STREAM_1)))
    merged += merge.drain()
    ring.append(merged)
    ring.advance(merge.watermark, merge.cursors)
    sink = FakeSink()
    subscriber = Subscriber(sink, "reader", ((b"", b""),), 0, ())
    subscriber.position = ring.position(0)
    Deliveries("fleet", ring, records_max).push(subscriber)
    assert len(sink.items) > 1
    for delivery in sink.items:
        cursors: dict[int, Cursor] = {}
        advance(cursors, [(stream, record) for stream, record in merged if record.tau <= delivery.watermark])
        assert {cursor.stream: cursor for cursor in delivery.cursors} == cursors
