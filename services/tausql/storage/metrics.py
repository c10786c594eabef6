"""What storage counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tausql.runtime import metrics


class StorageMetrics:
    """Plain numbers, read at scrape time. `sample` is called before; it sets what is not counted but looked at."""

    __slots__ = (
        "applied",
        "apply_seconds",
        "checkpoints_served",
        "checkpoints_taken",
        "deliveries",
        "differences",
        "dropped",
        "expired",
        "failed",
        "gets",
        "horizon",
        "lag_seconds",
        "parked",
        "read_seconds",
        "read_wait_seconds",
        "reads",
        "reads_waiting",
        "rebuilding",
        "refused",
        "rows",
        "sample",
        "scans",
        "scrubbed",
        "scrubbed_rows",
        "shards",
        "size_bytes",
        "taking",
    )

    def __init__(self) -> None:
        self.reads = 0
        self.gets = 0
        self.scans = 0
        self.rows = 0
        self.parked = 0
        self.expired = 0
        self.refused = 0
        self.deliveries = 0
        self.applied = 0
        self.dropped = 0
        self.checkpoints_served = 0
        self.checkpoints_taken = 0
        self.size_bytes = 0
        self.horizon = 0
        self.lag_seconds: float | None = None  # None while nothing was delivered, or the clock is unsure
        self.shards: dict[str, int] = {}  # label -> about how many bytes
        self.taking = 0
        self.scrubbed = self.scrubbed_rows = self.differences = 0
        self.reads_waiting = 0
        self.rebuilding = False
        self.failed = False
        self.sample: Callable[[], None] = _nothing
        self.read_wait_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.read_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.apply_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)

    def collect(self) -> Iterator[metrics.Family]:
        self.sample()
        counter, gauge, histogram = metrics.counter, metrics.gauge, metrics.histogram
        prefix = "tausql_storage_"
        yield counter(prefix + "reads_total", "Read calls received.", self.reads)
        yield counter(prefix + "gets_total", "Keys asked for by point reads.", self.gets)
        yield counter(prefix + "scans_total", "Pages of scans made.", self.scans)
        yield counter(prefix + "scan_rows_total", "Rows that scans answered with.", self.rows)
        yield counter(prefix + "parked_reads_total", "Reads that waited for the watermark.", self.parked)
        yield counter(prefix + "expired_reads_total", "Reads that waited in vain.", self.expired)
        yield counter(prefix + "refused_reads_total", "Reads answered with anything but rows.", self.refused)
        yield counter(prefix + "deliveries_total", "Deliveries applied.", self.deliveries)
        yield counter(prefix + "applied_rows_total", "Rows and tombstones applied.", self.applied)
        yield counter(prefix + "dropped_versions_total", "Old versions collected.", self.dropped)
        yield counter(prefix + "checkpoints_served_total", "Checkpoints sent to peers.", self.checkpoints_served)
        yield counter(prefix + "checkpoints_taken_total", "Checkpoints taken from peers.", self.checkpoints_taken)
        size: metrics.Labelled = {(label,): size for label, size in self.shards.items()}
        text = "About what a key range takes; the whole disk's use where there is one range."
        yield gauge(prefix + "store_bytes", text, size, ("shard",))
        yield gauge(prefix + "shards", "Key ranges kept.", len(self.shards))
        yield gauge(prefix + "shards_taking", "Key ranges whose rows are being taken from a peer.", self.taking)
        yield counter(prefix + "scrubbed_shards_total", "Shards compared with a peer's, to the end.", self.scrubbed)
        yield counter(prefix + "scrubbed_rows_total", "Rows compared with a peer's.", self.scrubbed_rows)
        text = "Stretches of keys in which a peer had other rows at the same tau. Never to be anything but 0."
        yield counter(prefix + "differences_total", text, self.differences)
        yield gauge(prefix + "horizon_tau", "Reads below this tau are refused.", self.horizon)
        lag: metrics.Labelled = {}
        if self.lag_seconds is not None:
            lag = {(label,): self.lag_seconds for label in self.shards}
        yield gauge(prefix + "watermark_lag_seconds", "Now less the watermark, of a key range.", lag, ("shard",))
        yield gauge(prefix + "reads_waiting", "Reads that wait for the watermark now.", self.reads_waiting)
        text = "1 while it has no position in the log and takes a peer's, with its first rows."
        yield gauge(prefix + "rebuilding", text, int(self.rebuilding))
        yield gauge(prefix + "failed", "1 when nothing is applied any more.", int(self.failed))
        text = "How long reads waited for the watermark; those that did not are not in it."
        yield histogram(prefix + "read_wait_seconds", text, self.read_wait_seconds)
        yield histogram(prefix + "read_seconds", "Making the answer to one read call.", self.read_seconds)
        yield histogram(prefix + "apply_seconds", "One delivery with records into the store.", self.apply_seconds)


def _nothing() -> None:
    """Nobody has anything to add."""
