"""Journal and storage: what is on the disks."""

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
    mean,
    quantile,
    rate,
    stat,
    warned,
)

JOURNAL = Board(
    "tausql-journal",
    "TauSQL / Journal",
    "The log: who acknowledges, how fast the disks sync, what is kept and trimmed.",
    (
        Row(
            "Healthy?",
            (
                stat("Replicas that vote", "Of this selection.", "sum(tausql_journal_voter{%})", steps=GOOD_IS_ONE),
                stat(
                    "Least acknowledging",
                    "Replicas that answer the holder, of the worst stream.",
                    "min(sum by (stream) (tausql_adjudicator_journal_acknowledging{%}))",
                    steps=((None, "red"), (2.0, "orange"), (3.0, "green")),
                ),
                stat(
                    "Fsync, p99",
                    "A write and its sync.",
                    quantile(0.99, "tausql_journal_flush_seconds"),
                    "s",
                    steps=warned(0.02, 0.1),
                ),
                stat(
                    "Farthest behind",
                    "Records that a replica has not acknowledged.",
                    "max(tausql_adjudicator_journal_behind_records{%})",
                    steps=warned(1000, 100000),
                ),
                stat("Largest log", "On one disk.", "max(tausql_journal_log_bytes{%})", "bytes"),
                stat(
                    "Appends refused for room",
                    "A second.",
                    rate("tausql_journal_full_total"),
                    "ops",
                    steps=GOOD_IS_ZERO,
                ),
            ),
        ),
        Row(
            "Replicas",
            (
                Panel(
                    "Acknowledging",
                    "What the holder of each stream says of each replica.",
                    (
                        Query(
                            "max by (stream, replica) (tausql_adjudicator_journal_acknowledging{%})",
                            "{{stream}}: {{replica}}",
                        ),
                    ),
                    kind="state-timeline",
                    width=12,
                    steps=GOOD_IS_ONE,
                ),
                graph(
                    "Behind",
                    "Records not acknowledged, by replica.",
                    (
                        "max by (stream, replica) (tausql_adjudicator_journal_behind_records{%})",
                        "{{stream}}: {{replica}}",
                    ),
                    width=12,
                ),
                graph(
                    "Appends",
                    "Taken and acknowledged, a second.",
                    (rate("tausql_journal_appends_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Records",
                    "That they carried, a second.",
                    (rate("tausql_journal_append_records_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Refusals",
                    "Fenced: of an earlier epoch. Gap: does not follow on. Limit: too far ahead of the clock.",
                    (rate("tausql_journal_fenced_total"), "fenced"),
                    (rate("tausql_journal_gaps_total"), "gap"),
                    (rate("tausql_journal_limits_refused_total"), "limit"),
                    (rate("tausql_journal_full_total"), "full"),
                    (rate("tausql_journal_overloaded_total"), "overloaded"),
                    unit="ops",
                ),
            ),
        ),
        Row(
            "Disks",
            (
                graph(
                    "Fsync, p50 and p99",
                    "A write and its sync, by replica.",
                    (quantile(0.5, "tausql_journal_flush_seconds", "process"), "p50 {{process}}"),
                    (quantile(0.99, "tausql_journal_flush_seconds", "process"), "p99 {{process}}"),
                    unit="s",
                ),
                graph(
                    "Syncs",
                    "A second: each serves all that waits.",
                    (rate("tausql_journal_flushes_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Bytes a sync",
                    "Mean and p99.",
                    (mean("tausql_journal_flush_bytes"), "mean"),
                    (quantile(0.99, "tausql_journal_flush_bytes"), "p99"),
                    unit="bytes",
                ),
                graph(
                    "Written",
                    "Bytes a second.",
                    (rate("tausql_journal_written_bytes_total", "process"), "{{process}}"),
                    unit="Bps",
                ),
                graph(
                    "Waiting for the next sync",
                    "Answers, and bytes.",
                    ("sum(tausql_journal_waiting_answers{%})", "answers"),
                    ("sum(tausql_journal_waiting_bytes{%})", "bytes"),
                ),
                graph(
                    "Disk free",
                    "Share left.",
                    (
                        "tausql_process_disk_free_bytes{%} / tausql_process_disk_size_bytes{%} and on (process) "
                        "tausql_journal_voter{%}",
                        "{{process}}",
                    ),
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "Kept and trimmed",
            (
                graph(
                    "Size of the log",
                    "By replica.",
                    ("max by (process) (tausql_journal_log_bytes{%})", "{{process}}"),
                    unit="bytes",
                ),
                graph(
                    "Records kept",
                    "Not trimmed yet, by stream.",
                    ("max by (stream) (tausql_journal_kept_records{%})", "{{stream}}"),
                ),
                graph(
                    "Trim points",
                    "Sent by crossbars, a second.",
                    (rate("tausql_crossbar_trims_total"), "sent"),
                    unit="ops",
                ),
                graph(
                    "Segments", "Files of the log.", ("max by (process) (tausql_journal_segments{%})", "{{process}}")
                ),
                graph(
                    "Epochs promised",
                    "By stream: what replicas answer to.",
                    ("max by (stream) (tausql_journal_promised_epoch{%})", "{{stream}}"),
                ),
                graph(
                    "Candidates",
                    "Promised an epoch, or asked to wait for the holder.",
                    (rate("tausql_journal_grants_total"), "promised"),
                    (rate("tausql_journal_reluctant_total"), "asked to wait"),
                    unit="ops",
                ),
                graph(
                    "Streams and segments on disk",
                    "Streams with anything on a replica's disk.",
                    ("max by (process) (tausql_journal_streams{%})", "{{process}}"),
                ),
                graph(
                    "Subscribers",
                    "Tails that follow a replica.",
                    ("sum by (process) (tausql_journal_tails{%})", "{{process}}"),
                ),
                graph(
                    "Parts pushed",
                    "To subscribers, a second.",
                    (rate("tausql_journal_tail_parts_total", "process"), "{{process}}"),
                    unit="ops",
                ),
            ),
        ),
    ),
)

STORAGE = Board(
    "tausql-storage",
    "TauSQL / Storage",
    "Reads served, records applied, what is kept; and the crossbars that deliver.",
    (
        Row(
            "Healthy?",
            (
                stat("Replicas", "Of this selection.", "count(tausql_storage_failed{%})"),
                stat(
                    "Failed",
                    "Replicas that apply nothing any more.",
                    "sum(tausql_storage_failed{%})",
                    steps=GOOD_IS_ZERO,
                ),
                stat(
                    "Rebuilding",
                    "Replicas that take a checkpoint from a peer.",
                    "sum(tausql_storage_rebuilding{%})",
                    steps=warned(1, 2),
                ),
                stat(
                    "Worst lag",
                    "Of any replica.",
                    "max(tausql_storage_watermark_lag_seconds{%})",
                    "s",
                    steps=warned(5, 30),
                ),
                stat(
                    "Read, p99",
                    "Making an answer at storage.",
                    quantile(0.99, "tausql_storage_read_seconds"),
                    "s",
                    steps=warned(0.01, 0.1),
                ),
                stat(
                    "Hedged reads",
                    "Share of reads asked of a second replica.",
                    f"{rate('tausql_processor_read_hedges_total')} / {rate('tausql_processor_reads_total')}",
                    "percentunit",
                    steps=warned(0.01, 0.1),
                ),
            ),
        ),
        Row(
            "Reads",
            (
                graph(
                    "Read calls",
                    "A second, by replica: a zone's processors should ask their own zone.",
                    (rate("tausql_storage_reads_total", "process, zone"), "{{process}} {{zone}}"),
                    unit="ops",
                ),
                graph(
                    "What they ask for",
                    "Keys, pages and rows, a second.",
                    (rate("tausql_storage_gets_total"), "keys"),
                    (rate("tausql_storage_scans_total"), "pages"),
                    (rate("tausql_storage_scan_rows_total"), "rows scanned"),
                    unit="ops",
                ),
                latency("Read at the processor", "From its start to its answer.", "tausql_processor_read_seconds"),
                latency("Read at storage", "Making the answer.", "tausql_storage_read_seconds"),
                latency("Read wait", "Reads that waited for the watermark.", "tausql_storage_read_wait_seconds"),
                graph(
                    "Not served",
                    "A second.",
                    (rate("tausql_storage_refused_reads_total"), "answered with anything but rows"),
                    (rate("tausql_storage_expired_reads_total"), "waited in vain"),
                    (rate("tausql_processor_read_failures_total"), "failures at processors"),
                    (rate("tausql_processor_read_hedges_total"), "hedged"),
                    unit="ops",
                ),
            ),
        ),
        Row(
            "Applying",
            (
                graph(
                    "Rows applied",
                    "A second, by replica.",
                    (rate("tausql_storage_applied_rows_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                latency("Apply", "A delivery with records into the store.", "tausql_storage_apply_seconds"),
                graph(
                    "Lag",
                    "Now less the watermark, by replica.",
                    ("max by (process) (tausql_storage_watermark_lag_seconds{%})", "{{process}}"),
                    unit="s",
                ),
                graph(
                    "Deliveries",
                    "Pushed by crossbars, applied by storage.",
                    (rate("tausql_crossbar_deliveries_total"), "pushed"),
                    (rate("tausql_storage_deliveries_total"), "applied"),
                    unit="ops",
                ),
                graph(
                    "Store",
                    "Disk taken, by replica.",
                    ("max by (process) (tausql_storage_store_bytes{%})", "{{process}}"),
                    unit="bytes",
                ),
                graph(
                    "Old versions dropped",
                    "A second.",
                    (rate("tausql_storage_dropped_versions_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Age of the horizon",
                    "Reads below it are refused; 0 before the first collection.",
                    (
                        "time() - max by (process) (tausql_storage_horizon_tau{%} > 0) / 1024 / 1e6 "
                        "or max by (process) (tausql_storage_horizon_tau{%})",
                        "{{process}}",
                    ),
                    unit="s",
                ),
                graph(
                    "Checkpoints",
                    "Sent to peers and taken from them, in all.",
                    ("sum(tausql_storage_checkpoints_served_total{%})", "sent"),
                    ("sum(tausql_storage_checkpoints_taken_total{%})", "taken"),
                ),
                Panel(
                    "Rebuilding",
                    "While a replica takes a checkpoint.",
                    (Query("max by (process) (tausql_storage_rebuilding{%})", "{{process}}"),),
                    kind="state-timeline",
                    steps=((None, "green"), (1.0, "orange")),
                ),
            ),
        ),
        Row(
            "Crossbars",
            (
                graph(
                    "Records merged",
                    "A second, by crossbar.",
                    (rate("tausql_crossbar_records_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Subscribers",
                    "All, and those that catch up on a feed of their own.",
                    ("sum by (process) (tausql_crossbar_subscribers{%})", "{{process}}"),
                    ("sum by (process) (tausql_crossbar_catching_up_subscribers{%})", "catching up: {{process}}"),
                ),
                graph(
                    "Ring",
                    "Records kept for subscribers that are a little behind.",
                    ("max by (process) (tausql_crossbar_ring_bytes{%})", "{{process}}"),
                    unit="bytes",
                ),
                graph(
                    "Switches",
                    "Tails that went over to another journal replica.",
                    (rate("tausql_crossbar_switches_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Refused",
                    "Subscriptions, a second.",
                    (rate("tausql_crossbar_refused_total"), "refused"),
                    unit="ops",
                ),
            ),
        ),
    ),
)
