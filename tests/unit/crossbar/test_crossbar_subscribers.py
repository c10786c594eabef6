"""Every subscriber gets exactly the records of its range above its watermark, however slow, and shares what it can."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.crossbar.subscribers import Deliveries, Ring, Subscriber
from tausql.protocol.adjudicator import Transaction
from tausql.protocol.crossbar import Cursor
from tausql.protocol.journal import Kind, Record


class FakeSink:
    """Takes `room` items, then says it is full."""

    def __init__(self, room: int = 10**9) -> None:
        self.room = room
        self.items: list = []
        self.open = True

    def push(self, item) -> bool:
        self.items.append(item)
        self.room -= 1
        return self.room > 0


def record(seq: int, tau: int, low: bytes, high: bytes, changes=(), epoch=(1, 1)) -> Record:
    transaction = Transaction(b"t" * 16, 0, [], [], list(changes), low, high, b"body %d" % tau)
    return Record(epoch, seq, tau, Kind.transaction, msgspec.msgpack.encode(transaction))


def make_ring(watermark: int = 0, bytes_max: int = 1 << 30, records_max: int = 10**6) -> Ring:
    return Ring(watermark, {0: Cursor(0, (0, 0), 0)}, bytes_max, records_max)


RANGES = [
    ((b"", b""),),
    ((b"b", b"d"),),
    ((b"c", b""),),
    ((b"", b"b"), (b"d", b"e")),
    ((b"b", b"c"), (b"d", b"")),
    (),
]
keys = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])


@st.composite
def transactions(draw):
    made = []
    tau = 0
    for seq in range(1, draw(st.integers(1, 30)) + 1):
        tau += draw(st.integers(1, 3))
        low, high = sorted([draw(keys), draw(keys)])
        if draw(st.integers(0, 9)) == 0:
            made.append(Record((1, 1), seq, tau, Kind.epoch_start, b""))
        else:
            made.append(record(seq, tau, low, high, (7,) if draw(st.integers(0, 9)) == 0 else ()))
    return made


def wanted(one: Record, ranges) -> bool:
    if one.kind != Kind.transaction:
        return False
    transaction = msgspec.msgpack.decode(one.payload, type=Transaction)
    inside = any((not high or transaction.low < high) and transaction.high >= low for low, high in ranges)
    return bool(transaction.changes) or inside


@settings(max_examples=200, deadline=None)
@given(transactions(), st.data(), st.integers(1, 4), st.integers(1, 200))
def test_subscribers_get_their_range_once_in_order(log, data, records_max, bytes_max):
    run_subscribers(log, data, records_max, bytes_max)


def run_subscribers(log, data, records_max: int, bytes_max: int) -> None:
    ring = make_ring()
    subscribers = []
    for _ in range(data.draw(st.integers(1, 4))):
        ranges = data.draw(st.sampled_from(RANGES))
        ahead = data.draw(st.integers(0, len(log)))  # some were served by another crossbar before
        watermark = log[ahead - 1].tau if ahead else 0
        one = Subscriber(FakeSink(), "r", ranges, watermark, (Cursor(0, (1, 1), ahead),))
        one.position = ring.position(watermark)
        subscribers.append((one, watermark))
    at = 0
    cursors = {0: Cursor(0, (0, 0), 0)}
    while at < len(log):
        part = log[at : at + data.draw(st.integers(1, 5))]
        at += len(part)
        ring.append([(0, one) for one in part])
        cursors[0] = Cursor(0, part[-1].epoch, part[-1].seq)
        ring.advance(part[-1].tau + data.draw(st.integers(0, 0 if at < len(log) else 5)), cursors)
        deliveries = Deliveries("f", ring, records_max, bytes_max)
        for one, _ in subscribers:
            one.sink.room = data.draw(st.integers(1, 3))
            one.blocked = data.draw(st.integers(0, 3)) == 0
            deliveries.push(one)
    final = Deliveries("f", ring, records_max, bytes_max)
    for one, start in subscribers:
        one.blocked = False
        one.sink.room = 10**9
        final.push(one)
        check_items(one, start, log, ring)


def check_items(one: Subscriber, start: int, log, ring: Ring) -> None:
    seen = []
    watermark = start
    for encoded in one.sink.items:
        delivery = encoded.message
        assert delivery.watermark > watermark
        assert all(watermark < item.tau <= delivery.watermark for item in delivery.records)
        watermark = delivery.watermark
        done = [entry for entry in log if entry.tau <= watermark]
        assert delivery.cursors[0].seq == len(done)
        seen += [item.tau for item in delivery.records]
    assert seen == [entry.tau for entry in log if entry.tau > start and wanted(entry, one.ranges.ranges)]
    assert watermark == max(start, ring.watermark)


def test_equal_subscribers_share_one_encoded_delivery():
    ring = make_ring()
    ring.append([(0, record(1, 5, b"a", b"b"))])
    ring.advance(6, {0: Cursor(0, (1, 1), 1)})
    subscribers = [Subscriber(FakeSink(), "r", ((b"", high),), 0, ()) for high in (b"", b"", b"", b"c")]
    deliveries = Deliveries("f", ring)
    for one in subscribers:
        deliveries.push(one)
    items = [one.sink.items[0] for one in subscribers]
    assert items[0] is items[1] is items[2]
    assert items[3] is not items[0]


def test_the_ring_is_bounded_and_tells_who_has_fallen_out():
    ring = make_ring(watermark=3, records_max=10)
    slow = ring.position(3)
    for seq in range(1, 40):
        ring.append([(0, record(seq, 3 + seq, b"a", b"a"))])
        ring.advance(3 + seq, {0: Cursor(0, (1, 1), seq)})
        ring.shrink()
        assert len(ring.entries) <= 10
        assert ring.bytes == sum(entry.size for entry in ring.entries)
    assert ring.first > slow
    assert ring.base == ring.entries[0].tau - 1
    assert ring.position(ring.base) == ring.first
    assert ring.position(ring.watermark) == ring.end
