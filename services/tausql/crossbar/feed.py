"""One reading of all streams, and the subscribers that stand on it.

All subscribers that keep up share the *main* feed. Whoever asks for older records than its ring holds, or falls out of
it, gets a feed of its own, which reads the journal from that subscriber's cursors until it has reached the main ring;
it stops reading while its subscriber is full, so that catching up takes no more memory than keeping up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tausql.crossbar.merge import Merge
from tausql.crossbar.metrics import CrossbarMetrics
from tausql.crossbar.subscribers import Deliveries, Ring, Subscriber
from tausql.crossbar.tails import TailReader
from tausql.protocol.adjudicator import Beat
from tausql.protocol.journal import JournalClient
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fault_points import HOLD_A_DELIVERY, fault
from tausql.runtime.host import Host, Timer


@dataclass(slots=True)
class FeedLimits:
    ring_bytes_max: int
    ring_records_max: int
    catch_up_bytes_max: int  # of a ring that one subscriber catches up with
    ready_bytes_max: int
    lag_seconds: float
    pause_seconds: float  # between two watermarks that bring no records


class Feed:
    """Reads, merges, pushes. `on_turn` is called after every turn of the main feed, `on_fallen` with a subscriber that
    the ring has left behind, `on_empty` when the last subscriber has gone."""

    __slots__ = (
        "_fleet",
        "_held",
        "_host",
        "_journal",
        "_limits",
        "_metrics",
        "_on_fallen",
        "_on_turn",
        "_pushed_at",
        "closed",
        "main",
        "merge",
        "pushed",
        "readers",
        "ring",
        "started",
        "subscribers",
        "wanted",
    )

    def __init__(
        self,
        host: Host,
        journal: Sequence[tuple[str, JournalClient]],
        fleet: str,
        start: Subscriber,
        limits: FeedLimits,
        metrics: CrossbarMetrics,
        on_turn: Callable[[Feed], None],
        on_fallen: Callable[[Feed, Subscriber], None],
        main: bool,
    ) -> None:
        self._host = host
        self._journal = journal
        self._fleet = fleet
        self._limits = limits
        self._metrics = metrics
        self._on_turn = on_turn
        self._on_fallen = on_fallen
        self.main = main
        cursors = {cursor.stream: cursor for cursor in start.cursors}
        self.merge = Merge(start.watermark, cursors)
        bytes_max = limits.ring_bytes_max if main else limits.catch_up_bytes_max
        self.ring = Ring(start.watermark, cursors, bytes_max, limits.ring_records_max)
        self.subscribers: list[Subscriber] = []
        self.pushed = start.watermark  # every subscriber that can take it has this watermark
        self.wanted = 0
        self.started = False
        self.closed = False
        self._pushed_at = 0.0
        self._held: Timer | None = None
        self.readers: dict[int, TailReader] = {}
        self._follow()

    def start(self, beats: Iterable[Beat]) -> None:
        """Begin to read; `beats`: the newest heard of each stream."""
        self.started = True
        for beat in beats:
            self.merge.hear(beat)
        for reader in tuple(self.readers.values()):
            reader.start()

    def close(self) -> None:
        self.closed = True
        for reader in self.readers.values():
            reader.stop()
        if self._held is not None:
            self._held.cancel()
            self._held = None

    def hear(self, beat: Beat) -> None:
        """A beat of any stream."""
        if self.closed:
            return
        reader = self.readers.get(beat.stream)
        if reader is not None:
            reader.tail.hear(beat)
            reader.heard()
            self._turn()
        else:
            self.merge.hear(beat)

    def _follow(self) -> None:
        """Read the streams that there are now."""
        self.merge.changed = False
        tails = self.merge.tails
        for stream in [one for one in self.readers if one not in tails]:
            self.readers.pop(stream).stop()
        for reader in self.readers.values():
            reader.heard()  # of an end, perhaps, that its replica does not have
        for stream, tail in tails.items():
            if stream not in self.readers:
                reader = self.readers[stream] = TailReader(
                    self._host, self._journal, self._fleet, tail, self._limits.lag_seconds, self._turn, self._trimmed
                )
                if self.started:
                    reader.start()

    def want(self, tau: int) -> None:
        """Somebody waits for `tau`: a watermark that reaches it is pushed without delay."""
        if tau > self.wanted:
            self.wanted = tau
        if self.pushed < self.ring.watermark:
            self._push()

    def closed_to(self) -> dict[int, int]:
        """By stream, what is closed."""
        return {stream: tail.closed for stream, tail in self.merge.tails.items()}

    def holds(self, watermark: int) -> bool:
        """Whether a subscriber with this watermark can stand on this ring."""
        return self.ring.base <= watermark

    def attach(self, subscriber: Subscriber) -> None:
        subscriber.position = self.ring.position(subscriber.watermark)
        subscriber.resume = lambda: self._ready(subscriber)
        self.subscribers.append(subscriber)
        self.deliver_to(subscriber)

    def detach(self, subscriber: Subscriber) -> None:
        if subscriber in self.subscribers:
            self.subscribers.remove(subscriber)

    def deliver_to(self, subscriber: Subscriber) -> None:
        """Push what this one does not have, and ask to be told when it is ready again if it is full."""
        self._deliver(Deliveries(self._fleet, self.ring), subscriber)
        if not self.main:
            self._mind_room()

    def _deliver(self, deliveries: Deliveries, subscriber: Subscriber) -> None:
        if subscriber.blocked or not subscriber.sink.open:
            return
        self._metrics.deliveries += deliveries.push(subscriber)
        if subscriber.blocked:
            subscriber.sink.when_ready(lambda: _ready_again(subscriber))

    def _ready(self, subscriber: Subscriber) -> None:
        if self.closed or subscriber not in self.subscribers:
            return
        if subscriber.position < self.ring.first:
            self.detach(subscriber)
            self._on_fallen(self, subscriber)
            return
        self.deliver_to(subscriber)
        if not self.main:
            self._on_turn(self)

    def _turn(self) -> None:
        """Merge what there is and push it."""
        merge, ring = self.merge, self.ring
        merged = merge.drain()
        if merge.changed:
            self._follow()
        if merged:
            ring.append(merged)
            ring.advance(merge.watermark, merge.cursors)
            self._metrics.records += len(merged)
        elif merge.watermark > ring.watermark:
            ring.advance(merge.watermark, None)
        else:
            self._mind_room()
            return
        if merged or self.wanted > self.pushed:
            self._push()
        else:
            self._push_later()
        self._mind_room()
        self._on_turn(self)

    def _push_later(self) -> None:
        """A watermark alone: at once if the last one is some time ago, else a little later, for all that come."""
        if self._held is not None:
            return
        left = self._pushed_at + self._limits.pause_seconds - self._host.monotonic()
        if fault(self._host, HOLD_A_DELIVERY):
            left = 0.02
        if left <= 0.0:
            self._push()
        else:
            self._held = self._host.later(left, self._push_held)

    def _push_held(self) -> None:
        self._held = None
        if not self.closed and self.pushed < self.ring.watermark:
            self._push()

    def _push(self) -> None:
        self._pushed_at = self._host.monotonic()
        self.pushed = self.ring.watermark
        deliveries = Deliveries(self._fleet, self.ring)
        for subscriber in tuple(self.subscribers):
            if subscriber.position >= self.ring.first:
                self._deliver(deliveries, subscriber)

    def _mind_room(self) -> None:
        """Keep ring and queues within their bounds."""
        ring = self.ring
        if self.main:
            ring.shrink()
        elif ring.over:
            ring.drop(min((subscriber.position for subscriber in self.subscribers), default=ring.end))
        if not self.started or self.closed:
            return
        full = ring.over and not self.main
        for reader in tuple(self.readers.values()):
            ready_bytes = reader.tail.ready_bytes
            if reader.running:
                if full or ready_bytes > self._limits.ready_bytes_max:
                    reader.stop()
            elif not full and ready_bytes <= self._limits.ready_bytes_max // 2:
                reader.start()

    def _trimmed(self) -> None:
        """The journal does not go back far enough for this feed: its subscribers need a checkpoint."""
        self.close()
        for subscriber in tuple(self.subscribers):
            self.detach(subscriber)
            subscriber.sink.end(Failure(Cause.refused, "trimmed: the journal begins after these cursors"))
        self._on_turn(self)


def _ready_again(subscriber: Subscriber) -> None:
    subscriber.blocked = False
    subscriber.resume()
