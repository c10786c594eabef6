"""What a changefeed counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tausql.runtime import metrics

STATUSES = ("CREATING", "ACTIVE", "IMPAIRED", "FAILED")


class ChangefeedMetrics:
    """Plain numbers, read at scrape time. `sample` is called before."""

    __slots__ = ("delivering", "lag_seconds", "records", "sample", "statuses")

    def __init__(self) -> None:
        self.records = 0  # of streams that are delivered here no more
        self.delivering = 0  # of those that are
        self.statuses: Counter[str] = Counter()
        self.lag_seconds = 0.0
        self.sample: Callable[[], None] = lambda: None

    def collect(self) -> Iterator[metrics.Family]:
        self.sample()
        taken = self.records + self.delivering
        yield metrics.counter("tausql_changefeed_records_total", "Records that targets have taken.", taken)
        counts: metrics.Labelled = {(status,): float(self.statuses[status]) for status in STATUSES}
        text = "Change streams that this process delivers, by status."
        yield metrics.gauge("tausql_changefeed_streams", text, counts, ("status",))
        text = "How far the slowest of its streams is behind now."
        yield metrics.gauge("tausql_changefeed_lag_seconds", text, self.lag_seconds)
