"""One crossbar at a time, the nearest that will do: records from the cursors on, wants and reports the other way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tausql.protocol.crossbar import CrossbarClient, Delivery, Subscribe
from tausql.rpc.interface import Cause, Failure, Stream
from tausql.runtime import logs
from tausql.runtime.fault_points import LEAVE_A_CROSSBAR, fault
from tausql.runtime.fleet import Neighbour
from tausql.runtime.host import Host, Timer

RETRY_SECONDS = 0.05
RETRY_SECONDS_MAX = 1.0
NEARER_SECONDS = 30.0  # between attempts to come back to the nearest crossbar: each is a moment without deliveries

log = logs.get("storage")


class Crossbars(Protocol):
    """Those there are now, nearest first."""

    @property
    def all(self) -> tuple[Neighbour[CrossbarClient], ...]: ...


class Subscription:
    """Keeps a subscription alive. `request` makes the next one; `on_delivery` gets what comes; `on_trimmed` is called
    when the journal does not go back to the cursors any more: the subscription is then off until `start`."""

    __slots__ = (
        "_chosen",
        "_client",
        "_crossbars",
        "_generation",
        "_heard_at",
        "_host",
        "_nearer_at",
        "_on_delivery",
        "_on_trimmed",
        "_request",
        "_retry_seconds",
        "_silence_seconds",
        "_stream",
        "_timer",
        "changes",
        "crossbar",
        "refusal",
        "running",
    )

    def __init__(
        self,
        host: Host,
        crossbars: Crossbars,
        request: Callable[[], Subscribe],
        on_delivery: Callable[[Delivery], None],
        on_trimmed: Callable[[], None],
        silence_seconds: float,
    ) -> None:
        self._host = host
        self._crossbars = crossbars
        self._request = request
        self._on_delivery = on_delivery
        self._on_trimmed = on_trimmed
        self._silence_seconds = silence_seconds
        self._chosen = 0  # how many were passed over since the last that would do
        self._client: CrossbarClient | None = None
        self._nearer_at = host.monotonic()
        self._generation = 0
        self._heard_at = 0.0
        self._retry_seconds = RETRY_SECONDS
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self.running = False
        self.crossbar = ""  # the name of the one in use
        self.changes = 0  # times another crossbar was tried
        self.refusal = ""  # why the last one refused

    def start(self) -> None:
        if not self.running:
            self.running = True
            self._open()

    def renew(self) -> None:
        """Begin anew at the same crossbar: what is asked for has changed. What the old subscription still delivers is
        not taken."""
        if self.running and self._stream is not None:
            self._close()
            self._open()

    def stop(self) -> None:
        self.running = False
        self._close()

    def want(self, tau: int) -> None:
        """A read waits for `tau`."""
        if self._client is not None:
            self._client.want(tau)

    def look(self) -> None:
        """Called now and then: a crossbar that has said nothing for too long is left for another. A holder's
        heartbeats come every second, so silence is a fault somewhere before storage."""
        if not self.running or self._stream is None:
            return
        now = self._host.monotonic()
        if now - self._heard_at > self._silence_seconds:
            self._elsewhere("silence")
        elif fault(self._host, LEAVE_A_CROSSBAR):
            self._elsewhere("no reason")
        elif now - self._nearer_at >= NEARER_SECONDS:
            self._nearer_at = now
            near = self._crossbars.all
            if near and near[0].client is not self._client and near[0].client.channel.connected:
                log.info("back to a nearer crossbar", crossbar=near[0].member.name, left=self.crossbar)
                self._close()
                self._chosen = 0
                self._open()

    def left(self, client: CrossbarClient) -> None:
        """A crossbar is gone from the map."""
        if self.running and client is self._client:
            self._elsewhere("it left the fleet")

    def _open(self) -> None:
        self._timer = None
        crossbars = self._crossbars.all
        if not crossbars:
            self._timer = self._host.later(RETRY_SECONDS_MAX, self._open)
            return
        chosen = crossbars[self._chosen % len(crossbars)]
        self._client, self.crossbar = chosen.client, chosen.member.name
        self._generation += 1
        generation = self._generation
        self._heard_at = self._host.monotonic()

        def on_delivery(delivery: Delivery) -> None:
            if generation == self._generation:
                self._heard_at = self._host.monotonic()
                self._retry_seconds = RETRY_SECONDS
                self.refusal = ""
                self._on_delivery(delivery)

        def on_end(failure: Failure | None) -> None:
            if generation == self._generation:
                self._ended(failure)

        self._stream = chosen.client.subscribe(self._request(), on_delivery, on_end)

    def _ended(self, failure: Failure | None) -> None:
        if failure is not None and failure.cause is Cause.refused:
            self.refusal = failure.message
            if failure.message.startswith("trimmed"):
                self.stop()
                self._on_trimmed()
                return
            log.error("a crossbar refused the subscription", crossbar=self.crossbar, why=failure.message)
        self._elsewhere("ended" if failure is None else failure.message)

    def _elsewhere(self, why: str) -> None:
        log.info("another crossbar is tried", crossbar=self.crossbar, why=why)
        self._close()
        self._chosen += 1
        self.changes += 1
        self._timer = self._host.later(self._retry_seconds, self._open)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _close(self) -> None:
        self._generation += 1
        self._client = None
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
