"""What a processor counts. Plain integers on the hot path, read when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.runtime import metrics


class ProcessorMetrics:
    """One processor's counters."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "cancels",
        "commit_seconds",
        "commits",
        "conflicts",
        "errors",
        "hedges",
        "held_answers",
        "internal_errors",
        "job_steps",
        "outcomes_asked",
        "read_failures",
        "reads",
        "refusals",
        "reloads",
        "replans",
        "rollbacks",
        "schema_conflicts",
        "sessions",
        "sessions_total",
        "statements",
    )

    def __init__(self) -> None:
        self.sessions = 0
        self.sessions_total = 0
        self.statements = 0
        self.errors = 0
        self.internal_errors = 0
        self.job_steps = 0
        self.cancels = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.reads = 0
        self.hedges = 0
        self.read_failures = 0
        self.held_answers = 0
        self.commits = 0
        self.rollbacks = 0
        self.conflicts = 0
        self.schema_conflicts = 0
        self.refusals = 0
        self.outcomes_asked = 0
        self.reloads = 0
        self.replans = 0
        self.commit_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)

    def collect(self) -> Iterator[metrics.Family]:
        """Read at scrape time."""
        counter = metrics.counter
        yield metrics.gauge("tausql_processor_sessions", "Sessions attached now.", self.sessions)
        yield counter("tausql_processor_sessions_total", "Sessions ever attached.", self.sessions_total)
        yield counter("tausql_processor_statements_total", "Statements begun.", self.statements)
        yield counter("tausql_processor_errors_total", "Statements that ended with an error.", self.errors)
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
            "tausql_processor_held_answers_total",
            "Read answers held until every clock had passed them.",
            self.held_answers,
        )
        yield counter("tausql_processor_commits_total", "Transactions committed with writes.", self.commits)
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
        yield metrics.histogram(
            "tausql_processor_commit_seconds", "Time from sending a commit to its verdict.", self.commit_seconds
        )
