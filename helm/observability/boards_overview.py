"""Overview: is it healthy, what is asked of it, how fast does it answer. And the same as CloudWatch would show it."""

from __future__ import annotations

from helm.observability.panels import (
    GOOD_IS_ONE,
    GOOD_IS_ZERO,
    Board,
    Panel,
    Query,
    Row,
    graph,
    latency,
    quantile,
    rate,
    stat,
    warned,
)

READ_LAG = "max(min by (shard) (tausql_storage_watermark_lag_seconds{%}))"
REFUSED = rate("tausql_frontend_refused_full_total") + " + " + rate("tausql_frontend_refused_no_processor_total")

HEALTHY = Row(
    "Healthy?",
    (
        stat(
            "Processes ready",
            "Share of all processes whose /readyz says yes.",
            "sum(tausql_process_ready{%}) / count(tausql_process_ready{%})",
            "percentunit",
            steps=((None, "red"), (0.8, "orange"), (1.0, "green")),
        ),
        stat(
            "Streams without a holder",
            "Of what every processor knows: nothing can be written there, and soon nothing read.",
            "min(tausql_processor_unheld_streams{%})",
            steps=GOOD_IS_ZERO,
        ),
        stat(
            "Read lag",
            "How far the best replica of the worst key range is behind now. Negative: ahead, as it should be.",
            READ_LAG,
            "s",
            steps=warned(1, 5),
        ),
        stat(
            "Journal replicas to spare",
            "How many more may fail before commits stop, of the worst stream.",
            "min(sum by (stream) (tausql_adjudicator_journal_acknowledging{%})) - "
            "max(tausql_adjudicator_journal_majority{%} > 0)",
            steps=((None, "red"), (0.0, "orange"), (1.0, "green")),
        ),
        stat(
            "Commit, p99",
            "From sending a commit to its verdict.",
            quantile(0.99, "tausql_processor_commit_seconds"),
            "s",
            steps=warned(0.1, 0.5),
        ),
        stat(
            "Clock bound",
            "The widest of all processes: every commit waits for it.",
            "max(tausql_clock_error_seconds{%} < +Inf)",
            "s",
            steps=warned(0.002, 0.01),
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        graph(
            "Statements",
            "Begun a second, by kind.",
            (rate("tausql_processor_statements_total", "kind"), "{{kind}}"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Transactions",
            "Ended a second, by how. Read-only ones ask nobody to commit.",
            (rate("tausql_processor_commits_total"), "committed with writes"),
            (rate("tausql_dsql_read_only_transactions_total"), "read only"),
            (rate("tausql_processor_rollbacks_total"), "rolled back"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Errors",
            "Statements that ended with an error, by SQLSTATE. 40001 is no fault: the client retries.",
            (rate("tausql_processor_errors_total", "sqlstate"), "{{sqlstate}}"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Sessions",
            "Attached to processors, by what they do.",
            ("sum by (state) (tausql_processor_sessions_by_state{%})", "{{state}}"),
            stacked=True,
        ),
        graph(
            "Refused",
            "Sessions turned away: no room, or no processor.",
            (REFUSED, "refused"),
            unit="ops",
        ),
        graph(
            "Bytes",
            "Between clients and processors.",
            (rate("tausql_processor_received_bytes_total"), "received"),
            (rate("tausql_processor_sent_bytes_total"), "sent"),
            unit="Bps",
        ),
    ),
)

LATENCY = Row(
    "Latency",
    (
        latency("Request", "A client's request inside the processor.", "tausql_processor_answer_seconds"),
        latency("Commit", "From sending a commit to its verdict.", "tausql_processor_commit_seconds"),
        latency("Read", "From a read's start to its answer.", "tausql_processor_read_seconds"),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        graph(
            "CPU", "Cores in use.", (rate("tausql_process_cpu_seconds_total", "process"), "{{process}}"), stacked=True
        ),
        graph(
            "Memory",
            "What the kernel holds for each process.",
            ("sum by (process) (tausql_process_resident_bytes{%})", "{{process}}"),
            unit="bytes",
        ),
        graph(
            "Event loop lag",
            "How late timers ran, p99: whatever else a process does waits as long.",
            (quantile(0.99, "tausql_process_loop_lag_seconds", "process"), "{{process}}"),
            unit="s",
        ),
        graph(
            "Disk free",
            "Share left where processes keep their data.",
            ("tausql_process_disk_free_bytes{%} / tausql_process_disk_size_bytes{%}", "{{process}}"),
            unit="percentunit",
        ),
        Panel(
            "Ready",
            "What /readyz of each process says.",
            (Query("max by (process) (tausql_process_ready{%})", "{{process}}"),),
            kind="state-timeline",
            steps=GOOD_IS_ONE,
        ),
        Panel(
            "What runs",
            "Version and services of each process.",
            (Query("max by (process, zone, services, version) (tausql_process_info{%})"),),
            kind="table",
        ),
    ),
)


def _mirrored(name: str, unit: str, about: str, metric: str) -> Panel:
    return graph(name, about, (rate(metric, "cluster_id"), "{{cluster_id}}"), unit=unit, width=6)


CLOUDWATCH = Row(
    "As CloudWatch shows it",
    (
        _mirrored("TotalTransactions", "ops", "A second.", "tausql_dsql_total_transactions_total"),
        _mirrored("ReadOnlyTransactions", "ops", "A second.", "tausql_dsql_read_only_transactions_total"),
        _mirrored("OccConflicts", "ops", "OC000 and OC001 a second.", "tausql_dsql_occ_conflicts_total"),
        _mirrored("QueryTimeouts", "ops", "Transactions that became too old.", "tausql_dsql_query_timeouts_total"),
        graph(
            "CommitLatency",
            "P50.",
            (quantile(0.5, "tausql_dsql_commit_latency_seconds", "cluster_id"), "{{cluster_id}}"),
            unit="s",
            width=6,
        ),
        _mirrored("BytesRead", "Bps", "A second.", "tausql_dsql_bytes_read_total"),
        _mirrored("BytesWritten", "Bps", "A second.", "tausql_dsql_bytes_written_total"),
        graph(
            "ClusterStorageSize",
            "One copy of every key range, of all clusters.",
            ("sum(max by (shard) (tausql_storage_store_bytes{%}))", "stored"),
            unit="bytes",
            width=6,
        ),
        _mirrored("ComputeTime", "s", "Seconds a second.", "tausql_dsql_compute_seconds_total"),
        graph(
            "DPU",
            "A second, by the published formulas.",
            (rate("tausql_dsql_compute_dpu_total"), "ComputeDPU"),
            (rate("tausql_dsql_read_dpu_total"), "ReadDPU"),
            (rate("tausql_dsql_write_dpu_total"), "WriteDPU"),
            (rate("tausql_dsql_multi_region_write_dpu_total"), "MultiRegionWriteDPU"),
            stacked=True,
            width=6,
        ),
        _mirrored("TotalDPU", "short", "A second.", "tausql_dsql_total_dpu_total"),
    ),
)

OVERVIEW = Board(
    "tausql-overview",
    "TauSQL / Overview",
    "Is the fleet healthy, what is asked of it, how fast does it answer?",
    (HEALTHY, TRAFFIC, LATENCY, PROCESSES, CLOUDWATCH),
)
