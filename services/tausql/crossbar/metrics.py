"""What the crossbar counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tausql.runtime import metrics


class CrossbarMetrics:
    """Plain numbers, read at scrape time. `sample` is called before; it sets what is not counted but looked at."""

    __slots__ = (
        "beats",
        "catching_up",
        "deliveries",
        "lag_seconds",
        "nudges",
        "records",
        "refused",
        "ring_bytes",
        "sample",
        "stream_lag_seconds",
        "subscribers",
        "switches",
        "trims",
        "waiting_records",
        "wants",
    )

    def __init__(self) -> None:
        self.records = 0
        self.deliveries = 0
        self.beats = 0
        self.wants = 0
        self.nudges = 0
        self.trims = 0
        self.refused = 0
        self.switches = 0
        self.subscribers = 0
        self.catching_up = 0
        self.ring_bytes = 0
        self.lag_seconds: float | None = None  # None while nothing is merged, or the clock is unsure
        self.stream_lag_seconds: dict[int, float] = {}
        self.waiting_records: dict[int, int] = {}
        self.sample: Callable[[], None] = _nothing

    def collect(self) -> Iterator[metrics.Family]:
        self.sample()
        counter, gauge = metrics.counter, metrics.gauge
        prefix = "tausql_crossbar_"
        yield counter(prefix + "records_total", "Records merged, once for every feed they were read by.", self.records)
        yield counter(prefix + "deliveries_total", "Deliveries pushed to subscribers.", self.deliveries)
        yield counter(prefix + "beats_total", "Heartbeats heard.", self.beats)
        yield counter(prefix + "wants_total", "Times a storage said that a read waits.", self.wants)
        yield counter(prefix + "nudges_total", "Nudges passed on to holders of streams.", self.nudges)
        yield counter(prefix + "trims_total", "Trim points sent to the journal.", self.trims)
        yield counter(prefix + "refused_total", "Subscriptions refused.", self.refused)
        yield counter(prefix + "switches_total", "Times a tail went over to another journal replica.", self.switches)
        yield gauge(prefix + "subscribers", "Subscribers connected.", self.subscribers)
        yield gauge(prefix + "catching_up_subscribers", "Subscribers on a feed of their own.", self.catching_up)
        yield gauge(prefix + "ring_bytes", "Records kept for subscribers that are a little behind.", self.ring_bytes)
        lag: metrics.Labelled = {} if self.lag_seconds is None else {(): self.lag_seconds}
        yield gauge(prefix + "watermark_lag_seconds", "Now less the watermark of the main feed.", lag)
        by_stream: metrics.Labelled = {(str(stream),): lag for stream, lag in self.stream_lag_seconds.items()}
        text = "Now less the time up to which a stream is closed here; the slowest holds up every read."
        yield gauge(prefix + "stream_lag_seconds", text, by_stream, ("stream",))
        waiting: metrics.Labelled = {(str(stream),): count for stream, count in self.waiting_records.items()}
        text = "Records at hand that are not released, or wait for other streams."
        yield gauge(prefix + "waiting_records", text, waiting, ("stream",))


def _nothing() -> None:
    """Nobody has anything to add."""
