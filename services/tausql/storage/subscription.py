"""One crossbar at a time, the nearest that will do: records from the cursors on, wants and reports the other way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.protocol.crossbar import CrossbarClient, Delivery, Subscribe
from tausql.rpc.interface import Cause, Failure, Stream
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

RETRY_SECONDS = 0.05
RETRY_SECONDS_MAX = 1.0

log = logs.get("storage")


class Subscription:
    """Keeps a subscription alive. `request` makes the next one; `on_delivery` gets what comes; `on_trimmed` is called
    when the journal does not go back to the cursors any more: the subscription is then off until `start`."""

    __slots__ = (
        "_chosen",
        "_crossbars",
        "_generation",
        "_heard_at",
        "_host",
        "_on_delivery",
        "_on_trimmed",
        "_request",
        "_retry_seconds",
        "_silence_seconds",
        "_stream",
        "_timer",
        "changes",
        "refusal",
        "running",
    )

    def __init__(
        self,
        host: Host,
        crossbars: Sequence[tuple[str, CrossbarClient]],
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
        self._chosen = 0
        self._generation = 0
        self._heard_at = 0.0
        self._retry_seconds = RETRY_SECONDS
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self.running = False
        self.changes = 0  # times another crossbar was tried
        self.refusal = ""  # why the last one refused

    @property
    def crossbar(self) -> str:
        return self._crossbars[self._chosen][0] if self._crossbars else ""

    def start(self) -> None:
        if not self.running and self._crossbars:
            self.running = True
            self._open()

    def stop(self) -> None:
        self.running = False
        self._close()

    def want(self, tau: int) -> None:
        """A read waits for `tau`."""
        if self.running:
            self._crossbars[self._chosen][1].want(tau)

    def look(self) -> None:
        """Called now and then: a crossbar that has said nothing for too long is left for another. A holder's
        heartbeats come every second, so silence is a fault somewhere before storage."""
        quiet = self._host.monotonic() - self._heard_at
        if self.running and self._stream is not None and quiet > self._silence_seconds:
            self._elsewhere("silence")

    def _open(self) -> None:
        self._timer = None
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

        self._stream = self._crossbars[self._chosen][1].subscribe(self._request(), on_delivery, on_end)

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
        self._chosen = (self._chosen + 1) % len(self._crossbars)
        self.changes += 1
        self._timer = self._host.later(self._retry_seconds, self._open)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _close(self) -> None:
        self._generation += 1
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
