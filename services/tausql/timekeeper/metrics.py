"""What a timekeeper counts."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.runtime import metrics


class TimekeeperMetrics:
    """Plain integers; read at scrape time."""

    __slots__ = ("answers", "error_us", "refusals")

    def __init__(self) -> None:
        self.answers = 0
        self.refusals = 0
        self.error_us: int | None = None

    def collect(self) -> Iterator[metrics.Family]:
        error = float("inf") if self.error_us is None else self.error_us / 1e6
        yield metrics.counter("tausql_timekeeper_answers_total", "Questions answered.", self.answers)
        yield metrics.counter(
            "tausql_timekeeper_refusals_total", "Questions refused because the clock was unsure.", self.refusals
        )
        yield metrics.gauge(
            "tausql_timekeeper_error_seconds", "The error bound of this machine's clock; +Inf where unknown.", error
        )
