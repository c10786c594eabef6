"""One change stream: from where it stands in the journal, through its records, to its target, and on.

The position that control is told moves only when the target has taken everything before it. So a crash anywhere in
between delivers again, and never loses. A target that is slow or away must not fill our memory: above a limit the
subscription is given up, and taken again from the last position read once the buffer is empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from tausql.changefeed.records import encoded, records, row_keys
from tausql.changefeed.settings import ChangefeedSettings
from tausql.changefeed.storages import Collected, Storages, Unreadable
from tausql.changefeed.tables import Tables
from tausql.changefeed.targets import INTERNAL, OVERSIZE, Refused, Target
from tausql.protocol.adjudicator import PostImage
from tausql.protocol.changefeed import ChangeStream, Progress
from tausql.protocol.crossbar import CrossbarClient, Delivered, Delivery, Subscribe
from tausql.protocol.keys import prefix_end, relation_prefix
from tausql.protocol.tau import closing
from tausql.rpc.interface import Failure, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Neighbour
from tausql.runtime.host import ClockUnsure, Host
from tausql.sql.catalogue.system import OBJECTS, RELATIONS, system_range

RETRY_SECONDS: Final = 0.1
SILENCE_SECONDS: Final = 10.0  # holders beat every second: a crossbar that says nothing for so long is left

log = logs.get("changefeed")
_decode_body = msgspec.msgpack.Decoder(list[PostImage]).decode


class Trimmed(Exception):
    """The journal does not go back to where the stream stands."""


class Crossbars(Protocol):
    @property
    def all(self) -> tuple[Neighbour[CrossbarClient], ...]: ...


class Feed:
    """Delivers one stream until `stop`. `run` is its task; `progress` what control is to be told."""

    def __init__(
        self,
        host: Host,
        stream: ChangeStream,
        storages: Storages,
        crossbars: Crossbars,
        target: Target,
        settings: ChangefeedSettings,
        now_us: Callable[[], int],
    ) -> None:
        self._host = host
        self.stream = stream
        self._storages = storages
        self._crossbars = crossbars
        self._target = target
        self._settings = settings
        self._now_us = now_us
        self._tables = Tables(stream.number)
        prefix = stream.number.to_bytes(4, "big")
        self._range = (prefix, prefix_end(prefix))
        self._fleet = ""
        self._watermark, self._cursors = stream.watermark, stream.cursors  # delivered so far
        self._read_to, self._read_cursors = stream.watermark, stream.cursors  # buffered so far
        self._waiting: deque[Delivery] = deque()
        self._waiting_bytes = 0
        self._event = asyncio.Event()
        self._subscription: Stream | None = None
        self._ended: Failure | None = None
        self._busy = False  # a delivery is on its way to the target
        self._heard_at = 0.0
        self._turn = 0
        self._chunks = 0
        self.status, self.error, self.delivered = "ACTIVE" if stream.watermark else "CREATING", "", 0
        self.reported = 0  # records that control knows of

    def progress(self) -> Progress:
        """How it does, with the records since the last report."""
        return Progress(
            self.stream.identifier,
            self.status,
            self._watermark,
            self._cursors,
            self.error,
            self.delivered - self.reported,
        )

    async def run(self) -> None:
        """Until cancelled, or FAILED: the journal has gone on without it, or no storage can tell what is needed."""
        try:
            await self._begin()
            while True:
                await self._read()
        except Trimmed:
            self._fail("the journal does not go back to where the stream stands")
        except Collected:
            self._fail("the versions that tell a new row from a changed one are gone")
        except Exception as error:
            # Ending the process would bring the stream to the same place in the next one, and other streams with it.
            log.error("a change stream met a mistake of ours", stream=self.stream.identifier, error=error)
            self._fail("a record could not be made; the log tells more")
        finally:
            self._unsubscribe()

    def _fail(self, why: str) -> None:
        self.status, self.error = "FAILED", INTERNAL
        log.error("a change stream has failed", stream=self.stream.identifier, cluster=self.stream.cluster, why=why)

    async def _begin(self) -> None:
        """Find out where the journal stands, if the stream is new, and what the tables were there."""
        while True:
            try:
                if not self._read_cursors:
                    part = await self._storages.position(relation_prefix(self.stream.number, 0))
                    self._fleet = part.fleet
                    self._read_to, self._read_cursors = part.watermark, part.cursors
                try:
                    rows = await self._catalogue(self._read_to)
                except Collected:
                    # It stood still for longer than versions are kept. The tables of now have the same columns at the
                    # same positions, and perhaps other names; the rows of those that are gone are passed over.
                    rows = await self._catalogue(closing(self._host.clock.now().latest))
                break
            except (Unreadable, ClockUnsure) as error:
                await self._impaired(INTERNAL, str(error), 1.0)
        self._tables.apply(rows)
        self._watermark, self._cursors = self._read_to, self._read_cursors
        self.status, self.error = "ACTIVE", ""

    async def _catalogue(self, tau: int) -> list[tuple[bytes, bytes]]:
        rows: list[tuple[bytes, bytes]] = []
        for relation in (OBJECTS, RELATIONS):
            rows += await self._storages.scan(tau, *system_range(self.stream.number, relation))
        return rows

    async def _read(self) -> None:
        """One subscription: until its crossbar ends it, or the buffer is full and has been emptied."""
        crossbars = self._crossbars.all
        if not crossbars:
            await asyncio.sleep(1.0)
            return
        chosen = crossbars[self._turn % len(crossbars)]
        self._ended = None
        self._heard_at = self._host.monotonic()
        request = Subscribe(self._fleet, self._host.name, (self._range,), self._read_to, self._read_cursors)
        self._subscription = chosen.client.subscribe(request, self._take, self._end)
        while self._subscription is not None or self._waiting:
            while self._waiting:
                delivery = self._waiting.popleft()
                self._busy = True
                await self._deliver(delivery)
                self._busy = False
                self._waiting_bytes -= _size(delivery)
            if self._subscription is None:
                break
            if not await self._woken():
                self._unsubscribe()
                self._turn += 1
                return
        failure = self._ended
        if failure is not None:
            if failure.message.startswith("trimmed"):
                raise Trimmed
            log.info("a crossbar ended a subscription", crossbar=chosen.member.name, why=failure.message)
            self._turn += 1
            await asyncio.sleep(RETRY_SECONDS)

    async def _woken(self) -> bool:
        """There is something to do. False: the crossbar has been silent for too long."""
        self._event.clear()
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._event.wait()
                return True
            except TimeoutError:
                if self._host.monotonic() - self._heard_at >= SILENCE_SECONDS:
                    return False

    def _take(self, delivery: Delivery) -> None:
        if self._subscription is None:
            return  # given up: it will be told again
        self._heard_at = self._host.monotonic()
        self._fleet = delivery.fleet
        self._read_to, self._read_cursors = delivery.watermark, delivery.cursors
        if not delivery.records and not self._waiting and not self._busy:
            # Most of an idle stream's deliveries; the task need not be woken a hundred times a second for them.
            self._watermark, self._cursors = delivery.watermark, delivery.cursors
            return
        self._waiting.append(delivery)
        self._waiting_bytes += _size(delivery)
        self._event.set()
        if self._waiting_bytes > self._settings.buffer_bytes_max:
            self._unsubscribe()

    def _end(self, failure: Failure | None) -> None:
        self._subscription = None
        self._ended = failure
        self._event.set()

    def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.cancel()
            self._event.set()

    async def _deliver(self, delivery: Delivery) -> None:
        batch: list[bytes] = []
        size = 0
        for transaction in delivery.records:
            for record in await self._records(transaction):
                if batch and (
                    size + len(record) > self._settings.batch_bytes_max
                    or len(batch) >= self._settings.batch_records_max
                ):
                    await self._put(batch)
                    batch, size = [], 0
                batch.append(record)
                size += len(record)
        if batch:
            await self._put(batch)
        self._watermark, self._cursors = delivery.watermark, delivery.cursors

    async def _records(self, transaction: Delivered) -> list[bytes]:
        images = _decode_body(transaction.body)
        self._tables.apply(images)
        keys = row_keys(images, self._tables)
        existed: set[bytes] = set()
        while keys:
            try:
                existed = await self._storages.existed(transaction.tau - 1, keys)
                break
            except Unreadable as error:
                await self._impaired(INTERNAL, str(error), 1.0)
        made: list[bytes] = []
        for record in records(images, self._tables, transaction.tau, self.stream.cluster, existed, self._now_us()):
            self._chunks += 1
            made += encoded(record, f"{self.stream.identifier}-{transaction.tau}-{self._chunks}")
        return made

    async def _put(self, batch: list[bytes]) -> None:
        """Until the target has it."""
        pause = RETRY_SECONDS
        while True:
            try:
                await self._target.put(batch)
                break
            except Refused as refused:
                if refused.code == OVERSIZE and len(batch) > 1:
                    half = len(batch) // 2
                    await self._put(batch[:half])
                    await self._put(batch[half:])
                    return
                await self._impaired(refused.code, str(refused), pause)
                pause = min(pause * 2, self._settings.retry_seconds_max)
        self.delivered += len(batch)
        self.status, self.error = "ACTIVE", ""

    async def _impaired(self, code: str, why: str, seconds: float) -> None:
        if self.error != code:
            log.warning("a change stream is impaired", stream=self.stream.identifier, code=code, why=why)
        self.status, self.error = "IMPAIRED", code
        await asyncio.sleep(seconds * (0.5 + self._host.random.random()))


def _size(delivery: Delivery) -> int:
    return 256 + sum(256 + len(transaction.body) for transaction in delivery.records)
