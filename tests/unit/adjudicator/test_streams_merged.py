"""What crossbars make of streams that come and go: one order, the same for everybody, wherever they begin to read."""

from __future__ import annotations

import logging

import msgspec
import pytest
from streams_fleet import StreamsFleet

from tausql.crossbar.service import CrossbarService
from tausql.crossbar.settings import CrossbarSettings
from tausql.protocol.crossbar import Subscribe
from tausql.protocol.fleet import Member, Placed
from tausql.runtime.fleet import Directory

TWO = (Placed(b"", b"m", 0), Placed(b"m", b"", 1))
THREE = (Placed(b"", b"g", 0), Placed(b"g", b"m", 1), Placed(b"m", b"", 2))


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Reader:
    """A subscriber to everything, from somebody's position on."""

    def __init__(self, merged, watermark=0, cursors=()):
        self.taus, self.positions = [], []
        self.watermark, self.cursors = watermark, cursors
        self.process = merged.fleet.client_process
        self.channel = self.process.network.connect("crossbar:1", "crossbar")
        self.subscribe()

    def subscribe(self):
        request = Subscribe("", "reader", ((b"", b""),), self.watermark, self.cursors)
        self.channel.stream(request, self.take, self.ended)

    def ended(self, _):
        self.process.later(0.05, self.subscribe)

    def take(self, delivery):
        for record in delivery.records:
            assert record.tau > self.watermark, "at or below the watermark"
            self.taus.append(record.tau)
        assert delivery.watermark > self.watermark
        assert self.taus == sorted(set(self.taus))
        self.watermark, self.cursors = delivery.watermark, delivery.cursors
        self.positions.append((delivery.watermark, delivery.cursors, len(self.taus)))


class Merged:
    def __init__(self, seed, **fleet):
        self.fleet = StreamsFleet(seed, **fleet)
        self.crossbar = self.fleet.world.add("crossbar", "a", self._build)
        self.crossbar.start()
        self.sent = []

    def _build(self, process):
        fleet = msgspec.structs.replace(self.fleet.fleet, crossbar=(Member("crossbar", "a", "crossbar:1"),))
        service = CrossbarService(process, process.network, Directory(fleet), CrossbarSettings())
        service.start()
        return service

    def commit(self, *keys):
        for key in keys:
            self.sent.append(self.fleet.commit(key)[0])

    def caught_up(self, reader):
        self.fleet.run_until(lambda: reader.watermark >= max(self.sent), 10.0)
        return reader.taus

    def run_through_changes(self):
        """From one stream over three to two and then one, with commits all the way."""
        fleet = self.fleet
        fleet.run_until(lambda: len(fleet.owned()) == 2 and fleet.owned()[1], 4.0)
        self.commit(b"a", b"z", b"b", b"y")
        fleet.want(streams=3, placement=THREE)
        fleet.run_until(lambda: fleet.owned().get(2) == ((b"m", b""),), 5.0)
        self.commit(b"a", b"h", b"z")
        fleet.tenures()[1][0].kill()
        fleet.run_until(lambda: {0, 1, 2} <= set(fleet.tenures()), 4.0)
        self.commit(b"h", b"a", b"z")
        fleet.want(streams=2, placement=TWO)
        fleet.run_until(lambda: fleet.registered() == (0, 1), 8.0)
        self.commit(b"h", b"a", b"z")
        fleet.want(streams=1)
        fleet.run_until(lambda: fleet.registered() == (0,), 8.0)
        self.commit(b"h", b"a", b"z")


def test_streams_that_come_and_go_are_one_order_for_everybody():
    merged = Merged(1, placement=TWO)
    first = Reader(merged)
    merged.run_through_changes()
    assert merged.caught_up(first) == sorted(merged.sent)
    assert [cursor.stream for cursor in first.positions[-1][1]] == [0]
    merged.crossbar.kill()
    merged.crossbar.start()
    later = Reader(merged)
    assert merged.caught_up(later) == sorted(merged.sent), "who begins at the beginning meets all streams again"
    counts = {tuple(cursor.stream for cursor in cursors) for _, cursors, _ in first.positions}
    assert {(0,), (0, 1), (0, 1, 2)} <= counts
    status = merged.crossbar.services.status()["feeds"]
    assert [list(feed["tails"]) for feed in status] == [["0"]]


def test_whoever_goes_on_from_any_position_gets_the_rest():
    merged = Merged(2, placement=TWO)
    first = Reader(merged)
    merged.run_through_changes()
    merged.caught_up(first)
    chosen = first.positions[:: max(1, len(first.positions) // 12)]
    for watermark, cursors, count in chosen:
        merged.crossbar.kill()
        merged.crossbar.start()
        reader = Reader(merged, watermark, cursors)
        assert merged.caught_up(reader) == sorted(merged.sent)[count:]


def test_somebody_far_behind_meets_new_streams_on_a_feed_of_its_own():
    merged = Merged(3, placement=TWO)
    first = Reader(merged)
    merged.run_through_changes()
    merged.caught_up(first)
    merged.crossbar.kill()
    merged.crossbar.start()
    watermark, cursors, _ = first.positions[-1]
    main = Reader(merged, watermark, cursors)
    merged.commit(b"a")
    merged.caught_up(main)
    behind = Reader(merged)
    assert merged.caught_up(behind) == sorted(merged.sent)
    merged.fleet.run_until(lambda: len(merged.crossbar.services.status()["feeds"]) == 1, 5.0)


def test_a_stream_without_a_holder_holds_up_everybody_and_no_longer():
    merged = Merged(4, placement=TWO)
    reader = Reader(merged)
    merged.fleet.run_until(lambda: len(merged.fleet.owned()) == 2 and merged.fleet.owned()[1], 4.0)
    merged.commit(b"a", b"z")
    assert merged.caught_up(reader) == sorted(merged.sent)
    merged.fleet.tenures()[1][0].kill()
    merged.commit(b"a")
    merged.fleet.run_until(lambda: 1 in merged.fleet.tenures(), 4.0)
    merged.commit(b"z")
    assert merged.caught_up(reader) == sorted(merged.sent)
