"""What a processor counts. Plain integers on the hot path, read when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tausql.processor.usage import Usages
from tausql.protocol.errors import Code
from tausql.runtime import metrics

COMMIT_STREAMS = ("1", "2", "3", "more")
STATEMENTS = ("query", "insert", "update", "delete", "explain", "copy", "ddl", "utility")


class ProcessorMetrics:
    """One processor's counters. `sample` is called before a scrape; it sets what is not counted but looked at."""

    __slots__ = (
        "activities",
        "answer_seconds",
        "bytes_in",
        "bytes_out",
        "cancels",
        "commit_resends",
        "commit_seconds",
        "commit_streams",
        "commits",
        "commits_in_flight",
        "conflicts",
        "errors",
        "hedges",
        "held_answers",
        "internal_errors",
        "job_conflicts",
        "job_steps",
        "not_here",
        "outcomes_asked",
        "plan_hits",
        "plan_hits_before",
        "plan_misses",
        "plan_misses_before",
        "plan_seconds",
        "read_failures",
        "read_seconds",
        "reads",
        "reads_in_flight",
        "reads_split",
        "refusals",
        "reloads",
        "replans",
        "rollbacks",
        "rows_elsewhere",
        "sample",
        "schema_conflicts",
        "sessions",
        "sessions_max",
        "sessions_total",
        "statements",
        "tenants",
        "unheld_streams",
        "usages",
    )

    def __init__(self) -> None:
        self.sessions = 0
        self.sessions_total = 0
        self.sessions_max = 0
        self.activities: dict[str, int] = {}  # sessions by what they do, in the words of pg_stat_activity
        self.statements = dict.fromkeys(STATEMENTS, 0)
        # Those that alerts ask for are there from the start: a first one is then seen to be one more.
        awaited = (Code.serialization_failure, Code.statement_completion_unknown, Code.internal_error)
        self.errors = dict.fromkeys(awaited, 0)
        self.internal_errors = 0
        self.job_conflicts = 0
        self.job_steps = 0
        self.cancels = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.reads = 0
        self.hedges = 0
        self.read_failures = 0
        self.reads_split = 0
        self.not_here = 0
        self.rows_elsewhere = 0
        self.held_answers = 0
        self.commits = 0
        self.commit_resends = 0
        self.commit_streams = dict.fromkeys(COMMIT_STREAMS, 0)  # commits by how many streams judged them
        self.rollbacks = 0
        self.conflicts = 0
        self.schema_conflicts = 0
        self.refusals = 0
        self.outcomes_asked = 0
        self.reloads = 0
        self.replans = 0
        self.reads_in_flight = 0
        self.commits_in_flight = 0
        self.unheld_streams = 0
        self.plan_hits = 0
        self.plan_misses = 0
        self.plan_hits_before = 0  # of clusters that have been let go
        self.plan_misses_before = 0
        self.tenants = 0
        self.usages = Usages()
        self.sample: Callable[[], None] = _nothing
        self.answer_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.plan_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.read_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.commit_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)

    def committed(self, streams: int) -> None:
        """A transaction that so many streams judged has committed."""
        self.commits += 1
        self.commit_streams[COMMIT_STREAMS[min(streams, len(COMMIT_STREAMS)) - 1]] += 1

    def collect(self) -> Iterator[metrics.Family]:
        """Read at scrape time."""
        self.sample()
        counter = metrics.counter
        yield metrics.gauge("tausql_processor_sessions", "Sessions attached now.", self.sessions)
        yield counter("tausql_processor_sessions_total", "Sessions ever attached.", self.sessions_total)
        by_kind: metrics.Labelled = {(kind,): count for kind, count in self.statements.items()}
        yield counter("tausql_processor_statements_total", "Statements begun.", by_kind, ("kind",))
        failed: metrics.Labelled = {(code.value.sqlstate,): count for code, count in self.errors.items()}
        yield counter("tausql_processor_errors_total", "Statements that ended with an error.", failed, ("sqlstate",))
        yield counter(
            "tausql_processor_internal_errors_total", "Errors that are bugs of ours (XX000).", self.internal_errors
        )
        yield counter("tausql_processor_cancels_total", "Cancel requests that met a running statement.", self.cancels)
        yield counter("tausql_processor_received_bytes_total", "Bytes from clients.", self.bytes_in)
        yield counter("tausql_processor_sent_bytes_total", "Bytes to clients.", self.bytes_out)
        yield counter("tausql_processor_reads_total", "Reads sent to storage.", self.reads)
        yield counter(
            "tausql_processor_read_hedges_total",
            "Reads asked of a second replica for slowness of the first.",
            self.hedges,
        )
        yield counter(
            "tausql_processor_read_failures_total", "Answers of storage that were failures.", self.read_failures
        )
        yield counter(
            "tausql_processor_reads_split_total", "Reads split over several storage replicas.", self.reads_split
        )
        yield counter(
            "tausql_processor_not_here_total", "Answers of storage that the keys are not served there.", self.not_here
        )
        yield counter(
            "tausql_processor_rows_elsewhere_total",
            "Rows of scanned index entries that another replica had to be asked for.",
            self.rows_elsewhere,
        )
        yield counter(
            "tausql_processor_held_answers_total",
            "Read answers held until every clock had passed them.",
            self.held_answers,
        )
        yield counter("tausql_processor_commits_total", "Transactions committed with writes.", self.commits)
        by_streams: metrics.Labelled = {(streams,): count for streams, count in self.commit_streams.items()}
        yield counter(
            "tausql_processor_commit_streams_total",
            "Transactions committed with writes, by how many streams judged them.",
            by_streams,
            ("streams",),
        )
        yield counter(
            "tausql_processor_commit_resends_total",
            "Commits sent again because they were never judged: their stream or range had moved.",
            self.commit_resends,
        )
        yield counter("tausql_processor_rollbacks_total", "Transactions rolled back.", self.rollbacks)
        yield counter("tausql_processor_conflicts_total", "Commits refused for a conflict (OC000).", self.conflicts)
        yield counter(
            "tausql_processor_schema_conflicts_total",
            "Commits refused for a schema change (OC001).",
            self.schema_conflicts,
        )
        yield counter("tausql_processor_refusals_total", "Commits refused for other reasons.", self.refusals)
        yield counter(
            "tausql_processor_outcomes_asked_total", "Commits whose answer was lost and asked for.", self.outcomes_asked
        )
        yield counter("tausql_processor_catalogue_reloads_total", "Times the catalogue was read anew.", self.reloads)
        yield counter("tausql_processor_replans_total", "Statements planned again for a changed schema.", self.replans)
        yield counter("tausql_processor_job_steps_total", "Batches of background jobs committed.", self.job_steps)
        yield counter(
            "tausql_processor_job_conflicts_total",
            "Batches of background jobs that met a conflict and were halved.",
            self.job_conflicts,
        )
        yield from self._looked_at()
        for name, text, seconds in (
            ("commit", "Time from sending a commit to its verdict.", self.commit_seconds),
            ("answer", "From a client's bytes to the session waiting for the next ones.", self.answer_seconds),
            ("plan", "Finding or making a statement's plan, where the session has none at hand.", self.plan_seconds),
            ("read", "From a read's start to its answer, hedges and waits included.", self.read_seconds),
        ):
            yield metrics.histogram(f"tausql_processor_{name}_seconds", text, seconds)
        yield from self.usages.collect()

    def _looked_at(self) -> Iterator[metrics.Family]:
        gauge, counter = metrics.gauge, metrics.counter
        yield gauge("tausql_processor_sessions_max", "Sessions it takes at most.", self.sessions_max)
        activities: metrics.Labelled = {(name,): count for name, count in self.activities.items()}
        yield gauge("tausql_processor_sessions_by_state", "Sessions by what they do.", activities, ("state",))
        yield gauge("tausql_processor_clusters", "Clusters it has something to do with at present.", self.tenants)
        yield gauge("tausql_processor_reads_in_flight", "Reads not answered yet.", self.reads_in_flight)
        yield gauge("tausql_processor_commits_in_flight", "Commits not answered yet.", self.commits_in_flight)
        yield gauge("tausql_processor_unheld_streams", "Streams without a holder it knows.", self.unheld_streams)
        yield counter("tausql_processor_plan_hits_total", "Plans found in the cache.", self.plan_hits)
        yield counter("tausql_processor_plan_misses_total", "Plans made.", self.plan_misses)


def _nothing() -> None:
    """Nobody has anything to add."""
