"""What the adjudicator counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tausql.protocol.adjudicator import Reason
from tausql.runtime import metrics


class AdjudicatorMetrics:
    """Plain numbers, read at scrape time. `sample` is called before; it sets what is not counted but looked at.

    What is known by stream is kept by the stream's number, what is known by journal replica by (stream, name).
    """

    __slots__ = (
        "aborts",
        "acknowledging",
        "answer_seconds",
        "answers_waiting",
        "append_seconds",
        "appends",
        "batch_commits",
        "beats",
        "behind_records",
        "closed_lag_seconds",
        "commit_wait_seconds",
        "commits",
        "epochs",
        "held",
        "held_back",
        "history_keys",
        "judge_seconds",
        "lead_micros",
        "limit_remaining_seconds",
        "majority",
        "nudges",
        "outcomes",
        "quorum_seconds",
        "ranges",
        "ranges_given",
        "ranges_taken",
        "registered",
        "resends",
        "resignations",
        "rounds",
        "sample",
        "storage_lag_seconds",
        "streams_held",
        "takeover_seconds",
        "takeovers",
        "uncommitted",
        "unresolved",
        "votes_expired",
        "votes_given",
        "votes_pending",
        "votes_refused",
        "waited_for_limit",
    )

    def __init__(self) -> None:
        self.commits = 0
        self.aborts = [0] * len(Reason)
        self.unresolved = 0
        self.rounds = 0
        self.votes_given = 0
        self.votes_refused = 0
        self.votes_expired = 0
        self.votes_pending = 0
        self.waited_for_limit = 0
        self.outcomes = 0
        self.ranges: dict[int, int] = {}
        self.ranges_given = 0
        self.ranges_taken = 0
        self.registered = 0
        self.nudges = 0
        self.beats = 0
        self.appends = 0
        self.resends = 0
        self.takeovers = 0
        self.resignations = 0
        self.streams_held = 0
        self.uncommitted = 0
        self.lead_micros = 0
        self.sample: Callable[[], None] = _nothing
        self.held: dict[int, bool] = {}
        self.epochs: dict[int, int] = {}
        self.limit_remaining_seconds: dict[int, float] = {}
        self.closed_lag_seconds: dict[int, float] = {}
        self.acknowledging: dict[tuple[int, str], bool] = {}
        self.behind_records: dict[tuple[int, str], int] = {}
        self.majority = 0
        self.history_keys = 0
        self.answers_waiting = 0
        self.held_back = 0
        self.storage_lag_seconds = 0.0
        self.append_seconds: dict[str, metrics.Histogram] = {}  # by journal replica
        self.judge_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.quorum_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.commit_wait_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.answer_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.takeover_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.batch_commits = metrics.Histogram(metrics.COUNT)

    def appends_of(self, replica: str) -> metrics.Histogram:
        """The append latencies of one journal replica, over all streams and epochs."""
        found = self.append_seconds.get(replica)
        if found is None:
            found = self.append_seconds[replica] = metrics.Histogram(metrics.LATENCY_SECONDS)
        return found

    def collect(self) -> Iterator[metrics.Family]:
        self.sample()
        counter, gauge, histogram = metrics.counter, metrics.gauge, metrics.histogram
        prefix = "tausql_adjudicator_"
        yield counter(prefix + "commits_total", "Commits given a tau and enqueued.", self.commits)
        aborts: dict[tuple[str, ...], float] = {(reason.name,): float(self.aborts[reason]) for reason in Reason}
        yield counter(prefix + "aborts_total", "Commits refused, by reason.", aborts, labels=("reason",))
        yield counter(prefix + "unresolved_total", "Commits in flight when their stream was lost.", self.unresolved)
        yield counter(prefix + "limit_waits_total", "Commits that waited for a higher limit.", self.waited_for_limit)
        yield counter(prefix + "rounds_total", "Commits over several streams that votes were asked for.", self.rounds)
        yield counter(prefix + "votes_given_total", "Votes given to other streams.", self.votes_given)
        yield counter(prefix + "votes_refused_total", "Votes refused to other streams.", self.votes_refused)
        text = "Votes given whose end was not heard of in time."
        yield counter(prefix + "votes_expired_total", text, self.votes_expired)
        yield counter(prefix + "ranges_given_total", "Key ranges given to another stream.", self.ranges_given)
        yield counter(prefix + "ranges_taken_total", "Key ranges taken from another stream.", self.ranges_taken)
        yield counter(prefix + "outcomes_total", "Outcome calls answered.", self.outcomes)
        yield counter(prefix + "nudges_total", "Nudges received.", self.nudges)
        yield counter(prefix + "beats_total", "Heartbeats sent.", self.beats)
        yield counter(prefix + "appends_total", "Appends sent, one a replica.", self.appends)
        yield counter(prefix + "resends_total", "Times a replica was sent something again.", self.resends)
        yield counter(prefix + "takeovers_total", "Epochs that began here.", self.takeovers)
        yield counter(prefix + "resignations_total", "Epochs that were lost or given up here.", self.resignations)
        yield gauge(prefix + "streams_held", "Streams this process holds.", self.streams_held)
        yield gauge(prefix + "uncommitted_records", "Records enqueued and not committed yet.", self.uncommitted)
        yield gauge(prefix + "lead_micros", "How far ahead of now taus are given out.", self.lead_micros)
        yield from self._streams(prefix)
        text = "Judging a commit: conflicts, schema, floor, tau."
        yield histogram(prefix + "judge_seconds", text, self.judge_seconds)
        appended: dict[tuple[str, ...], metrics.Histogram] = {(name,): one for name, one in self.append_seconds.items()}
        text = "An append's way to a journal replica, its disk and back."
        yield histogram(prefix + "append_seconds", text, appended, labels=("replica",))
        text = "From sending records to a majority that has them."
        yield histogram(prefix + "quorum_seconds", text, self.quorum_seconds)
        text = "How long a commit on a majority was held until its tau had passed on every clock."
        yield histogram(prefix + "commit_wait_seconds", text, self.commit_wait_seconds)
        text = "From the verdict to the answer of a commit."
        yield histogram(prefix + "answer_seconds", text, self.answer_seconds)
        text = "From a granted epoch to its EpochStart on a majority."
        yield histogram(prefix + "takeover_seconds", text, self.takeover_seconds)
        yield histogram(prefix + "batch_commits", "Records that one flush sent.", self.batch_commits)

    def _streams(self, prefix: str) -> Iterator[metrics.Family]:
        gauge = metrics.gauge
        yield gauge(prefix + "stream_held", "1 where this process holds the stream.", _by(self.held), ("stream",))
        yield gauge(prefix + "ranges", "Key ranges that a held stream judges.", _by(self.ranges), ("stream",))
        yield gauge(prefix + "registered_streams", "Streams of the fleet, as far as is known here.", self.registered)
        yield gauge(prefix + "epoch", "Counter of the epoch held.", _by(self.epochs), ("stream",))
        text = "How far ahead of now the limit of a held stream lies; commits wait at 0."
        yield gauge(prefix + "limit_remaining_seconds", text, _by(self.limit_remaining_seconds), ("stream",))
        text = "How long ago the time lies up to which a held stream is closed; negative: ahead of now."
        yield gauge(prefix + "closed_lag_seconds", text, _by(self.closed_lag_seconds), ("stream",))
        labels = ("stream", "replica")
        acknowledging: metrics.Labelled = {(str(at), name): int(up) for (at, name), up in self.acknowledging.items()}
        text = "1 while a journal replica acknowledges what the holder of the stream sends."
        yield gauge(prefix + "journal_acknowledging", text, acknowledging, labels)
        behind: metrics.Labelled = {(str(at), name): count for (at, name), count in self.behind_records.items()}
        text = "Records of a held stream that a journal replica has not acknowledged."
        yield gauge(prefix + "journal_behind_records", text, behind, labels)
        yield gauge(prefix + "journal_majority", "Replicas that a commit needs.", self.majority)
        yield gauge(prefix + "history_keys", "Conflict keys remembered.", self.history_keys)
        text = "Transactions voted for that have not come to an end."
        yield gauge(prefix + "votes_pending", text, self.votes_pending)
        text = "Commits held back now, because storage is far behind."
        yield gauge(prefix + "held_back", text, self.held_back)
        text = "How far storage is behind, where that is so much that commits are held back; else 0."
        yield gauge(prefix + "storage_lag_seconds", text, self.storage_lag_seconds)
        yield gauge(prefix + "answers_waiting", "Commits judged and not answered yet.", self.answers_waiting)


def _by(numbers: Mapping[int, float]) -> metrics.Labelled:
    return {(str(stream),): float(number) for stream, number in numbers.items()}


def _nothing() -> None:
    """Nobody has anything to add."""
