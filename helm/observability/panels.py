"""The words that dashboards are written in: boards of rows of panels of queries.

A query's `{%` stands for the labels that the dashboard's variables choose, so that no panel can forget them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SELECTED = 'cluster=~"$cluster",namespace=~"$namespace",zone=~"$zone"'
WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called (`{{label}}`)."""

    expression: str
    legend: str = ""

    @property
    def selected(self) -> str:
        """As Grafana sends it, its variables not filled in."""
        return self.expression.replace("{%", "{" + SELECTED)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `kind`: stat, timeseries, table or state-timeline. `width`: of 24 columns.

    steps: (from this value on, colour), the first one without a value. elsewhere: why its queries have no data in a
    fleet on one machine; empty where they must have.
    """

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    steps: tuple[tuple[float | None, str], ...] = ()
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard; `uid` is part of its address and never changes."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...] = field(default=())


GOOD_IS_ONE = ((None, "red"), (1.0, "green"))
GOOD_IS_ZERO = ((None, "green"), (1.0, "red"))


def warned(warning: float, critical: float) -> tuple[tuple[float | None, str], ...]:
    """Green, orange from `warning` on, red from `critical` on."""
    return ((None, "green"), (warning, "orange"), (critical, "red"))


def stat(title: str, about: str, expression: str, unit: str = "short", **more: object) -> Panel:
    """A number that answers one question."""
    return Panel(title, about, (Query(expression),), unit, "stat", **({"width": 4} | more))  # type: ignore[arg-type]


def graph(title: str, about: str, *queries: tuple[str, str], unit: str = "short", **more: object) -> Panel:
    """Lines: (expression, legend) each."""
    return Panel(title, about, tuple(Query(*query) for query in queries), unit, **more)  # type: ignore[arg-type]


def rate(metric: str, by: str = "", labels: str = "") -> str:
    """Of a counter, a second, summed over processes but for the labels `by`."""
    total = f"sum by ({by}) " if by else "sum"
    return f"{total}(rate({metric}{{%{labels}}}[{WINDOW}]))"


def quantile(share: float, metric: str, by: str = "", labels: str = "") -> str:
    """Of a histogram, over all processes but for the labels `by`."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({grouped}) (rate({metric}_bucket{{%{labels}}}[{WINDOW}])))"


def mean(metric: str) -> str:
    """Of a histogram, over all processes."""
    return f"sum(rate({metric}_sum{{%}}[{WINDOW}])) / sum(rate({metric}_count{{%}}[{WINDOW}]))"


def latency(title: str, about: str, metric: str, **more: object) -> Panel:
    """p50, p95 and p99 of a histogram of seconds."""
    shares = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return graph(title, about, *((quantile(share, metric), name) for share, name in shares), unit="s", **more)
