"""Metrics that cost the hot path an integer addition.

prometheus_client's own counters take a lock and a label lookup each time. Here a service counts in plain slotted
integers and `Histogram`s, and `collect()` turns them into families when somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

Family = Metric
Labelled = Mapping[tuple[str, ...], float]

LATENCY_SECONDS = (
    *(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01),
    *(0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
SIZE_BYTES = tuple(float(1 << power) for power in range(6, 27, 2))
COUNT = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class Collector(Protocol):
    """What a service's `metrics` attribute is."""

    def collect(self) -> Iterable[Family]: ...


class Histogram:
    """Observations counted in fixed buckets; `bounds` are their upper bounds, ascending, inclusive."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        if not bounds or list(bounds) != sorted(set(bounds)):
            raise ValueError("bounds must rise")
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def quantile(self, share: float) -> float:
        """The upper bound of the bucket that holds the observation at `share` (0 to 1): for status pages."""
        wanted = share * self.count
        seen = 0
        for bound, count in zip(self._bounds, self._counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return float("inf")

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, observations at or below it), the last one `+Inf`."""
        rows: list[tuple[str, float]] = []
        seen = 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            seen += count
            rows.append(("+Inf" if bound is None else repr(bound), seen))
        return rows


def counter(name: str, text: str, value: float | Labelled, labels: Sequence[str] = ()) -> Family:
    """A count that only rises. `value`: one number, or numbers by label values."""
    family = CounterMetricFamily(name.removesuffix("_total"), text, labels=labels)
    for values, number in _rows(value):
        family.add_metric(values, number)
    return family


def gauge(name: str, text: str, value: float | Labelled, labels: Sequence[str] = ()) -> Family:
    """A number that goes up and down."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in _rows(value):
        family.add_metric(values, number)
    return family


def histogram(
    name: str, text: str, value: Histogram | Mapping[tuple[str, ...], Histogram], labels: Sequence[str] = ()
) -> Family:
    """A distribution."""
    family = HistogramMetricFamily(name, text, labels=labels)
    rows = value.items() if isinstance(value, Mapping) else (((), value),)
    for values, one in rows:
        family.add_metric(list(values), one.buckets(), one.sum)
    return family


def exposition(collectors: Iterable[Collector], labels: Mapping[str, str] | None = None) -> bytes:
    """The text that a scrape gets. `labels` are added to every sample: a dashboard can then tell processes and zones
    apart whatever the scraper knows of them.

    Everything else waits while this is made, so it is made here: prometheus_client's own writer takes three times as
    long.
    """
    lines: list[str] = []
    common = _text_of(labels or {})
    for collector in collectors:
        for family in collector.collect():
            name = family.name + "_total" if family.type == "counter" else family.name
            lines.append(f"# HELP {name} {_escaped(family.documentation)}\n# TYPE {name} {family.type}\n")
            for sample in family.samples:
                own = _text_of(sample.labels)
                told = f"{common},{own}" if common and own else common or own
                braced = f"{{{told}}}" if told else ""
                lines.append(f"{sample.name}{braced} {_number(sample.value)}\n")
    return "".join(lines).encode()


def _text_of(labels: Mapping[str, str]) -> str:
    return ",".join([f'{name}="{_quoted(value)}"' for name, value in labels.items()])


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"') if not value.isalnum() else value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if value - value == 0.0:
        return repr(float(value))
    return "NaN" if value != value else "+Inf" if value > 0.0 else "-Inf"


def _rows(value: float | Labelled) -> Iterable[tuple[list[str], float]]:
    if isinstance(value, Mapping):
        return [(list(values), number) for values, number in value.items()]
    return [([], value)]
