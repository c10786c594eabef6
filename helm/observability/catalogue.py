"""Every metric that a process of the fleet can have, asked from the code that counts it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.changefeed.metrics import ChangefeedMetrics
from tausql.control.cluster_metrics import ClusterMetrics
from tausql.control.metrics import ControlMetrics
from tausql.crossbar.metrics import CrossbarMetrics
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.tls import EdgeTls
from tausql.journal.metrics import JournalMetrics
from tausql.processor.metrics import ProcessorMetrics
from tausql.rpc.metrics import NodeMetrics
from tausql.runtime.metrics import Collector
from tausql.runtime.process_metrics import ClockMetrics, ProcessFacts, ProcessMetrics, Readiness
from tausql.runtime.tls import Tls
from tausql.storage.metrics import StorageMetrics
from tausql.timekeeper.metrics import TimekeeperMetrics

NAME = re.compile(r"\btausql_[a-z0-9_]+")
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` as it is written in a query, but for a histogram's suffixes."""

    name: str
    kind: str
    about: str
    where: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that queries may use."""
        stem = self.name.removesuffix("_total") if self.kind == "counter" else self.name
        return tuple(stem + suffix for suffix in _SUFFIXES[self.kind])


def all_metrics() -> list[Metric]:
    """Of every service, in the order of the services."""
    found: list[Metric] = []
    for where, collectors in _collectors().items():
        for collector in collectors:
            for family in collector.collect():
                suffix = "_total" if family.type == "counter" else ""
                labels = tuple(vars(family)["_labelnames"])  # of families without samples nothing else tells
                found.append(Metric(family.name + suffix, family.type, family.documentation, where, labels))
    return found


def series_names(metrics: Iterable[Metric]) -> set[str]:
    return {name for metric in metrics for name in metric.series}


def named_in(expression: str) -> set[str]:
    """The metrics that a query names."""
    return set(NAME.findall(expression))


def _collectors() -> dict[str, list[Collector]]:
    """One of each, as of a process that has just started."""
    host: Any = SimpleNamespace(monotonic=lambda: 0.0)
    clock: Any = SimpleNamespace(error_us=lambda: 0, ready=True, holds=0)
    sampler: Any = SimpleNamespace(answers=0, failures=0, agreeing={"timekeeper-a": True})
    node: Any = SimpleNamespace(callers=[], peers=0)
    tls: Any = SimpleNamespace(expires=0.0, reloads=0, reload_failures=0)
    return {
        "every process": [
            ProcessMetrics(host),
            ProcessFacts((), Path()),
            Readiness(lambda: (True, "")),
            ClockMetrics(clock, sampler),
            NodeMetrics(node),
            _Bound(Tls, tls),
        ],
        "frontend": [FrontendMetrics(), _Bound(EdgeTls, tls)],
        "processor": [ProcessorMetrics()],
        "adjudicator": [AdjudicatorMetrics()],
        "journal": [JournalMetrics(lambda: None)],
        "crossbar": [CrossbarMetrics()],
        "storage": [StorageMetrics()],
        "timekeeper": [TimekeeperMetrics()],
        "control": [ControlMetrics(), ClusterMetrics()],
        "changefeed": [ChangefeedMetrics()],
    }


class _Bound:
    """The collector of a class, on something that only looks like one of it."""

    def __init__(self, of: Any, one: Any) -> None:
        self._of, self._one = of, one

    def collect(self) -> Iterable[Any]:
        found: Iterable[Any] = self._of.collect(self._one)
        return found
