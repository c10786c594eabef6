"""A cluster's committed transactions, in order, for whoever asks when it suits him.

A backup reads pages and writes files in between; the log must not fill memory meanwhile. Above a limit the subscription
is given up, and taken again from the last position once what waits has been fetched.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from tausql.changefeed.backup_format import Transaction
from tausql.changefeed.feed import SILENCE_SECONDS, Crossbars, Trimmed
from tausql.protocol.adjudicator import PostImage
from tausql.protocol.crossbar import Cursor, Delivery, Subscribe
from tausql.rpc.interface import Failure, Stream
from tausql.runtime.host import Host

RETRY_SECONDS: Final = 0.2

_decode_body = msgspec.msgpack.Decoder(list[PostImage]).decode


class Following:
    """`watermark`: everything committed at or before it has been fetched, or would be by the next `fetch`."""

    def __init__(
        self,
        host: Host,
        crossbars: Crossbars,
        keys: tuple[bytes, bytes],
        watermark: int,
        cursors: tuple[Cursor, ...],
        bytes_max: int,
    ) -> None:
        self._host = host
        self._crossbars = crossbars
        self._keys = keys
        self.watermark = watermark
        self._cursors = cursors
        self._bytes_max = bytes_max
        self._fleet = ""
        self._waiting: list[Delivery] = []
        self._bytes = 0
        self._stream: Stream | None = None
        self._trimmed = False
        self._turn = 0
        self._heard_at = 0.0
        self._again_at = 0.0
        self._event = asyncio.Event()

    def tend(self) -> None:
        """To be called now and then: subscribes, and leaves a crossbar that is silent. Raises Trimmed."""
        if self._trimmed:
            raise Trimmed
        now = self._host.monotonic()
        if self._stream is not None:
            if now - self._heard_at >= SILENCE_SECONDS:
                self.stop()
                self._turn += 1
            return
        crossbars = self._crossbars.all
        if self._waiting or now < self._again_at or not crossbars:
            return
        self._heard_at, self._again_at = now, now + RETRY_SECONDS
        request = Subscribe(self._fleet, f"{self._host.name}-backup", (self._keys,), self.watermark, self._cursors)
        self._stream = crossbars[self._turn % len(crossbars)].client.subscribe(request, self._take, self._end)

    def fetch(self) -> list[Transaction]:
        """What has come since, in order: only images of the cluster."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        low, high = self._keys
        found: list[Transaction] = []
        for delivery in waiting:
            for record in delivery.records:
                images = [image for image in _decode_body(record.body) if low <= image[0] and image[0] < high]
                if images:
                    found.append((record.tau, images))
        return found

    async def wait(self, seconds: float) -> None:
        """Until something comes, or so long."""
        self._event.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return

    def stop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    def _take(self, delivery: Delivery) -> None:
        if self._stream is None:
            return  # given up: it will be told again
        self._heard_at = self._host.monotonic()
        self._fleet = delivery.fleet
        self.watermark, self._cursors = delivery.watermark, delivery.cursors
        self._event.set()
        if delivery.records:
            self._waiting.append(delivery)
            self._bytes += sum(256 + len(record.body) for record in delivery.records)
            if self._bytes > self._bytes_max:
                self.stop()

    def _end(self, failure: Failure | None) -> None:
        self._stream = None
        self._turn += 1
        self._trimmed = failure is not None and failure.message.startswith("trimmed")
        self._event.set()
