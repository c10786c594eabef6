"""What control counts of clusters, keys and its API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tausql.runtime import metrics


class ClusterMetrics:
    """Plain numbers, read at scrape time. `clusters` (by status), `keys`, `removals`, `events` (written, lost) are
    asked then."""

    def __init__(self) -> None:
        self.clusters: Callable[[], Mapping[str, int]] = dict
        self.keys: Callable[[], int] = lambda: 0
        self.removals: Callable[[], int] = lambda: 0
        self.events: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.removed_rows = 0
        self.failures = 0
        self.changes = 0
        self.request_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self._requests: Counter[tuple[str, str]] = Counter()

    def answered(self, service: str, status: int, seconds: float) -> None:
        self._requests[service, f"{status // 100}xx"] += 1
        self.request_seconds.observe(seconds)

    def collect(self) -> Iterator[metrics.Family]:
        counter, gauge = metrics.counter, metrics.gauge
        prefix = "tausql_control_"
        clusters: metrics.Labelled = {(status,): float(count) for status, count in self.clusters().items()}
        written, lost = self.events()
        yield gauge(prefix + "clusters", "Clusters of the fleet, in all regions.", clusters, ("status",))
        yield gauge(prefix + "access_keys", "Keys that may sign, temporary ones too.", self.keys())
        yield counter(
            prefix + "api_requests_total",
            "Requests to the API, by the service that was asked and the class of the answer's status.",
            {labels: float(count) for labels, count in self._requests.items()},
            ("service", "status"),
        )
        yield metrics.histogram(
            prefix + "api_request_seconds", "From a request's head to the end of its answer.", self.request_seconds
        )
        yield counter(prefix + "system_changes_total", "Changes this control has written.", self.changes)
        yield counter(
            prefix + "system_failures_total", "Times the system cluster did not answer, all tries over.", self.failures
        )
        yield gauge(prefix + "removals_waiting", "Deleted clusters whose data is not all removed.", self.removals())
        yield counter(prefix + "removed_rows_total", "Keys of deleted clusters that were removed.", self.removed_rows)
        yield counter(prefix + "events_total", "Events written into the audit log.", written)
        yield counter(prefix + "events_lost_total", "Events that found no room there.", lost)
