"""One stream's delivery: from its position, at least once, through a target that fails, a crossbar that leaves."""

from __future__ import annotations

import asyncio
import json
from random import Random
from types import SimpleNamespace

import pytest
from catalogue_rows import CLUSTER, catalogue_image, column, delivery, row_image, table, tau_at

from tausql.changefeed.feed import Feed
from tausql.changefeed.settings import ChangefeedSettings
from tausql.changefeed.storages import Collected
from tausql.changefeed.targets import OVERSIZE, THROUGHPUT, Refused
from tausql.protocol.changefeed import ChangeStream
from tausql.protocol.crossbar import Cursor
from tausql.rpc.interface import Cause, Failure

ITEMS = table(16400, "items", column("id", 20), column("name", 25))
START = (Cursor(0, (1, 1), 5),)


class Storage:
    """What was there before, by tau; and the catalogue."""

    def __init__(self) -> None:
        self.before: set[bytes] = set()
        self.scanned: list[int] = []
        self.collected: set[int] = set()
        self.asked: list[int] = []

    async def position(self, key):
        return SimpleNamespace(fleet="fleet", watermark=tau_at(0), cursors=START)

    async def scan(self, tau, low, high):
        self.scanned.append(tau)
        if tau in self.collected:
            raise Collected
        return [catalogue_image(ITEMS)]

    async def existed(self, tau, keys):
        self.asked.append(tau)
        return {key for key in keys if key in self.before}


class Crossbar:
    """Subscriptions as they come, for the test to feed."""

    def __init__(self) -> None:
        self.subscriptions: list[SimpleNamespace] = []

    def subscribe(self, request, on_delivery, on_end):
        one = SimpleNamespace(request=request, deliver=on_delivery, end=on_end, cancelled=False)
        one.cancel = lambda: setattr(one, "cancelled", True)
        self.subscriptions.append(one)
        return one


class Taking:
    """A target: refuses what `refuse` says, in turn."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.refuse: list[Refused] = []
        self.room = asyncio.Event()
        self.room.set()

    async def put(self, records):
        await self.room.wait()
        if self.refuse:
            raise self.refuse.pop(0)
        self.batches.append(list(records))

    @property
    def rows(self):
        return [json.loads(record) for batch in self.batches for record in batch]


class Ground:
    def __init__(self, stream: ChangeStream | None = None, **settings) -> None:
        self.storage, self.crossbar, self.target = Storage(), Crossbar(), Taking()
        clock = SimpleNamespace(now=lambda: SimpleNamespace(latest=1_700_000_100_000_000))
        self.monotonic = 0.0
        host = SimpleNamespace(name="feeder", random=Random(1), monotonic=lambda: self.monotonic, clock=clock)
        crossbars = SimpleNamespace(
            all=[SimpleNamespace(client=self.crossbar, member=SimpleNamespace(name="crossbar-a"))]
        )
        stream = stream or ChangeStream("s" * 26, "c" * 26, CLUSTER, "arn:target", "arn:role")
        settings = ChangefeedSettings(**settings)
        self.feed = Feed(host, stream, self.storage, crossbars, self.target, settings, lambda: 5)
        self.task = asyncio.ensure_future(self.feed.run())

    async def settle(self, until) -> None:
        for _ in range(2000):
            if until():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it did not come to that")

    async def subscribed(self, number: int = 1) -> SimpleNamespace:
        await self.settle(lambda: len(self.crossbar.subscriptions) >= number)
        return self.crossbar.subscriptions[number - 1]

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def run(scenario) -> None:
    asyncio.run(scenario())


def test_a_new_stream_begins_where_storage_stands_and_moves_on_with_what_is_taken():
    async def scenario():
        ground = Ground()
        assert ground.feed.status == "CREATING"
        subscription = await ground.subscribed()
        assert (subscription.request.watermark, subscription.request.cursors) == (tau_at(0), START)
        assert subscription.request.ranges == ((b"\0\0\0\x07", b"\0\0\0\x08"),)
        assert ground.feed.status == "ACTIVE"
        row = row_image(ITEMS, 1, "x")
        subscription.deliver(delivery(1, row, seq=6))
        await ground.settle(lambda: ground.target.batches)
        assert [(one["op"], one["after"]) for one in ground.target.rows] == [("c", {"id": 1, "name": "x"})]
        assert ground.storage.asked == [tau_at(1) - 1]
        ground.storage.before.add(row[0])
        subscription.deliver(delivery(2, row_image(ITEMS, 1, "y"), seq=7))
        await ground.settle(lambda: len(ground.target.batches) == 2)
        assert ground.target.rows[1]["op"] == "u"
        await ground.settle(lambda: ground.feed.progress().watermark == tau_at(2))
        told = ground.feed.progress()
        assert (told.cursors, told.records, told.status) == ((Cursor(0, (1, 1), 7),), 2, "ACTIVE")
        subscription.deliver(delivery(3, seq=7))
        assert ground.feed.progress().watermark == tau_at(3), "time that goes by is progress"
        await ground.end()
        assert subscription.cancelled

    run(scenario)


def test_an_old_stream_goes_on_from_what_control_knows():
    async def scenario():
        stream = ChangeStream("s" * 26, "c" * 26, CLUSTER, "arn", "arn", tau_at(9), (Cursor(0, (2, 1), 3),))
        ground = Ground(stream)
        subscription = await ground.subscribed()
        assert (subscription.request.watermark, subscription.request.cursors) == (tau_at(9), stream.cursors)
        assert set(ground.storage.scanned) == {tau_at(9)}
        await ground.end()
        ground = Ground(stream)
        ground.storage.collected = {tau_at(9)}
        await ground.subscribed()
        assert set(ground.storage.scanned) > {tau_at(9)}, "tables of so long ago are not known; those of now will do"
        await ground.end()

    run(scenario)


def test_a_target_that_refuses_is_asked_again_and_the_position_waits_for_it():
    async def scenario():
        ground = Ground(retry_seconds_max=0.01)
        subscription = await ground.subscribed()
        ground.target.refuse = [Refused(THROUGHPUT, "slow down")] * 3
        subscription.deliver(delivery(1, row_image(ITEMS, 1, "x"), seq=6))
        await ground.settle(lambda: ground.feed.status == "IMPAIRED")
        assert ground.feed.progress().watermark == tau_at(0)
        assert ground.feed.error == THROUGHPUT
        await ground.settle(lambda: ground.feed.progress().watermark == tau_at(1))
        assert (ground.feed.status, ground.feed.error, len(ground.target.rows)) == ("ACTIVE", "", 1)
        await ground.end()

    run(scenario)


def test_batches_have_limits_and_one_too_large_is_halved():
    async def scenario():
        ground = Ground(batch_records_max=3)
        subscription = await ground.subscribed()
        subscription.deliver(delivery(1, *(row_image(ITEMS, number, "x") for number in range(7)), seq=6))
        await ground.settle(lambda: len(ground.target.rows) == 7)
        assert [len(batch) for batch in ground.target.batches] == [3, 3, 1]
        ground.target.batches.clear()
        ground.target.refuse = [Refused(OVERSIZE, "too large")]
        subscription.deliver(delivery(2, *(row_image(ITEMS, number, "x") for number in range(3)), seq=7))
        await ground.settle(lambda: len(ground.target.rows) == 3)
        assert [len(batch) for batch in ground.target.batches] == [1, 2]
        await ground.end()

    run(scenario)


def test_a_slow_target_does_not_fill_the_memory_and_nothing_is_lost():
    async def scenario():
        ground = Ground(buffer_bytes_max=1 << 20)
        subscription = await ground.subscribed()
        ground.target.room.clear()
        sent = 0
        while not subscription.cancelled:
            sent += 1
            subscription.deliver(delivery(sent, row_image(ITEMS, sent, "x" * 100_000), seq=5 + sent))
            await asyncio.sleep(0)
            assert sent < 100
        subscription.deliver(delivery(99, row_image(ITEMS, 99, "late"), seq=99))  # was on its way: comes again
        ground.target.room.set()
        again = await ground.subscribed(2)
        assert again.request.cursors == (Cursor(0, (1, 1), 5 + sent),)
        assert [row["after"]["id"] for row in ground.target.rows] == list(range(1, sent + 1))
        await ground.end()

    run(scenario)


def test_a_crossbar_that_ends_is_left():
    async def scenario():
        ground = Ground()
        subscription = await ground.subscribed()
        subscription.deliver(delivery(1, row_image(ITEMS, 1, "x"), seq=6))
        subscription.end(Failure(Cause.unavailable, "leaving"))
        again = await ground.subscribed(2)
        assert again.request.watermark == tau_at(1)
        assert len(ground.target.rows) == 1
        await ground.end()

    run(scenario)


@pytest.mark.parametrize("how", ["trimmed", "collected"])
def test_a_stream_that_cannot_go_on_fails_and_says_so(how):
    async def scenario():
        ground = Ground()
        subscription = await ground.subscribed()
        if how == "trimmed":
            subscription.end(Failure(Cause.refused, "trimmed: the journal begins later"))
        else:

            async def gone(tau, keys):
                raise Collected

            ground.storage.existed = gone
            subscription.deliver(delivery(1, row_image(ITEMS, 1, "x"), seq=6))
        await ground.settle(ground.task.done)
        assert (ground.feed.status, ground.feed.error) == ("FAILED", "INTERNAL_ERROR")
        assert ground.task.exception() is None

    run(scenario)


def test_schema_changes_count_from_where_they_lie_in_the_log():
    async def scenario():
        ground = Ground()
        subscription = await ground.subscribed()
        renamed = table(16400, "things", column("id", 20), column("label", 25))
        subscription.deliver(delivery(1, row_image(ITEMS, 1, "x"), seq=6))
        subscription.deliver(delivery(2, catalogue_image(renamed), seq=7))
        subscription.deliver(delivery(3, row_image(renamed, 1, "x"), seq=8))
        await ground.settle(lambda: len(ground.target.rows) == 2)
        assert [(row["source"]["table"], row["after"]) for row in ground.target.rows] == [
            ("items", {"id": 1, "name": "x"}),
            ("things", {"id": 1, "label": "x"}),
        ]
        await ground.end()

    run(scenario)


def test_a_record_that_cannot_be_made_fails_its_stream_and_not_the_process():
    async def scenario():
        ground = Ground()
        subscription = await ground.subscribed()
        key, _ = row_image(ITEMS, 1, "x")
        subscription.deliver(delivery(1, (key, b"\xc1 no row"), seq=6))
        await ground.settle(ground.task.done)
        assert ground.task.exception() is None
        told = ground.feed.progress()
        assert (told.status, told.error, told.watermark) == ("FAILED", "INTERNAL_ERROR", tau_at(0))

    run(scenario)
