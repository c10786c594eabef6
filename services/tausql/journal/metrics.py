"""What a replica counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tausql.runtime import metrics


class JournalMetrics:
    """Plain integers on the hot path, read when scraped."""

    __slots__ = (
        "_sample",
        "append_records",
        "appends",
        "fenced",
        "flush_bytes",
        "flush_seconds",
        "flushes",
        "full",
        "gaps",
        "grants",
        "kept_records",
        "limits_refused",
        "log_bytes",
        "members",
        "overloaded",
        "promised_epochs",
        "reluctant",
        "segments",
        "streams",
        "tail_parts",
        "tails",
        "voter",
        "waiting_answers",
        "waiting_bytes",
        "written_bytes",
    )

    def __init__(self, sample: Callable[[], None]) -> None:
        """`sample` sets what is not counted but looked at, before each scrape."""
        self._sample = sample
        self.appends = 0
        self.append_records = 0
        self.fenced = 0
        self.gaps = 0
        self.full = 0
        self.limits_refused = 0
        self.grants = 0
        self.reluctant = 0
        self.overloaded = 0
        self.flushes = 0
        self.flush_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.written_bytes = 0
        self.log_bytes = 0
        self.segments = 0
        self.streams = 0
        self.tails = 0
        self.tail_parts = 0
        self.voter = 0
        self.members = 0
        self.waiting_answers = 0
        self.waiting_bytes = 0
        self.promised_epochs: dict[int, int] = {}  # counters, by stream
        self.kept_records: dict[int, int] = {}  # by stream
        self.flush_bytes = metrics.Histogram(metrics.SIZE_BYTES)

    def collect(self) -> Iterator[metrics.Family]:
        self._sample()
        counter, gauge = metrics.counter, metrics.gauge
        yield counter("tausql_journal_appends_total", "Appends taken and acknowledged.", self.appends)
        yield counter("tausql_journal_append_records_total", "Records they carried.", self.append_records)
        yield counter("tausql_journal_fenced_total", "Appends and opens below the promised epoch.", self.fenced)
        yield counter("tausql_journal_gaps_total", "Appends that did not follow on.", self.gaps)
        yield counter("tausql_journal_full_total", "Appends refused for want of room on the disk.", self.full)
        yield counter("tausql_journal_limits_refused_total", "Limits too far ahead of the clock.", self.limits_refused)
        yield counter("tausql_journal_grants_total", "Epochs promised to a candidate: takeovers.", self.grants)
        yield counter("tausql_journal_reluctant_total", "Candidates asked to wait for the holder.", self.reluctant)
        yield counter("tausql_journal_overloaded_total", "Calls refused for want of memory.", self.overloaded)
        yield counter("tausql_journal_flushes_total", "Syncs; each serves all that waits.", self.flushes)
        yield metrics.histogram("tausql_journal_flush_seconds", "A write and its sync.", self.flush_seconds)
        text = "Bytes that one sync made durable."
        yield metrics.histogram("tausql_journal_flush_bytes", text, self.flush_bytes)
        yield counter("tausql_journal_written_bytes_total", "Bytes written to the log.", self.written_bytes)
        yield gauge("tausql_journal_log_bytes", "Size of the log on the disk, roughly.", self.log_bytes)
        yield gauge("tausql_journal_segments", "Segments of the log.", self.segments)
        yield gauge("tausql_journal_streams", "Streams with anything on this disk.", self.streams)
        yield gauge("tausql_journal_tails", "Subscribers.", self.tails)
        yield counter("tausql_journal_tail_parts_total", "Parts pushed to subscribers.", self.tail_parts)
        yield gauge("tausql_journal_voter", "1 when this replica votes, 0 while it is blank or learns.", self.voter)
        yield gauge("tausql_journal_members", "Replicas that the fleet's journal consists of.", self.members)
        yield gauge("tausql_journal_waiting_answers", "Answers that wait for the next sync.", self.waiting_answers)
        yield gauge("tausql_journal_waiting_bytes", "Bytes that wait for the next sync.", self.waiting_bytes)
        epochs: metrics.Labelled = {(str(stream),): epoch for stream, epoch in self.promised_epochs.items()}
        yield gauge("tausql_journal_promised_epoch", "Counter of the epoch promised.", epochs, ("stream",))
        kept: metrics.Labelled = {(str(stream),): count for stream, count in self.kept_records.items()}
        yield gauge("tausql_journal_kept_records", "Records not trimmed yet.", kept, ("stream",))
