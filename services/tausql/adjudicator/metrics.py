"""What the adjudicator counts."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.protocol.adjudicator import Reason
from tausql.runtime import metrics


class AdjudicatorMetrics:
    """Plain numbers, read at scrape time."""

    __slots__ = (
        "aborts",
        "answer_seconds",
        "appends",
        "batch_commits",
        "beats",
        "commits",
        "lead_micros",
        "nudges",
        "outcomes",
        "resends",
        "resignations",
        "streams_held",
        "takeover_seconds",
        "takeovers",
        "uncommitted",
        "unresolved",
        "waited_for_limit",
    )

    def __init__(self) -> None:
        self.commits = 0
        self.aborts = [0] * len(Reason)
        self.unresolved = 0
        self.waited_for_limit = 0
        self.outcomes = 0
        self.nudges = 0
        self.beats = 0
        self.appends = 0
        self.resends = 0
        self.takeovers = 0
        self.resignations = 0
        self.streams_held = 0
        self.uncommitted = 0
        self.lead_micros = 0
        self.answer_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.takeover_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.batch_commits = metrics.Histogram(metrics.COUNT)

    def collect(self) -> Iterator[metrics.Family]:
        counter, gauge, histogram = metrics.counter, metrics.gauge, metrics.histogram
        prefix = "tausql_adjudicator_"
        yield counter(prefix + "commits_total", "Commits given a tau and enqueued.", self.commits)
        aborts: dict[tuple[str, ...], float] = {(reason.name,): float(self.aborts[reason]) for reason in Reason}
        yield counter(prefix + "aborts_total", "Commits refused, by reason.", aborts, labels=("reason",))
        yield counter(prefix + "unresolved_total", "Commits in flight when their stream was lost.", self.unresolved)
        yield counter(prefix + "limit_waits_total", "Commits that waited for a higher limit.", self.waited_for_limit)
        yield counter(prefix + "outcomes_total", "Outcome calls answered.", self.outcomes)
        yield counter(prefix + "nudges_total", "Nudges received.", self.nudges)
        yield counter(prefix + "beats_total", "Heartbeats sent.", self.beats)
        yield counter(prefix + "appends_total", "Appends sent, one a replica, of epochs that are over.", self.appends)
        yield counter(prefix + "resends_total", "Times a replica was sent something again, likewise.", self.resends)
        yield counter(prefix + "takeovers_total", "Epochs that began here.", self.takeovers)
        yield counter(prefix + "resignations_total", "Epochs that were lost or given up here.", self.resignations)
        yield gauge(prefix + "streams_held", "Streams this process holds.", self.streams_held)
        yield gauge(prefix + "uncommitted_records", "Records enqueued and not committed yet.", self.uncommitted)
        yield gauge(prefix + "lead_micros", "How far ahead of now taus are given out.", self.lead_micros)
        text = "From the verdict to the answer of a commit."
        yield histogram(prefix + "answer_seconds", text, self.answer_seconds)
        text = "From a granted epoch to its EpochStart on a majority."
        yield histogram(prefix + "takeover_seconds", text, self.takeover_seconds)
        yield histogram(prefix + "batch_commits", "Records that one flush sent.", self.batch_commits)
