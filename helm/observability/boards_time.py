"""Time and watermarks: how sure the clocks are, how far time is closed, who holds it up."""

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
    rate,
    stat,
    warned,
)

TIME = Board(
    "tausql-time",
    "TauSQL / Time and watermarks",
    "How sure the clocks are, how far time is closed, and which stream or replica holds it up.",
    (
        Row(
            "Healthy?",
            (
                stat(
                    "Clocks that know the time",
                    "Share of all processes.",
                    "sum(tausql_clock_ready{%}) / count(tausql_clock_ready{%})",
                    "percentunit",
                    steps=((None, "red"), (0.9, "orange"), (1.0, "green")),
                ),
                stat(
                    "Widest bound",
                    "Of clocks that know one.",
                    "max(tausql_clock_error_seconds{%} < +Inf)",
                    "s",
                    steps=warned(0.002, 0.01),
                ),
                stat(
                    "Falsetickers",
                    "Timekeepers that somebody finds in disagreement with the majority.",
                    "count(max by (timekeeper) (tausql_clock_falseticker{%}) > 0) or vector(0)",
                    steps=GOOD_IS_ZERO,
                ),
                stat(
                    "Read lag",
                    "The best replica of the worst key range behind now. Negative: ahead.",
                    "max(min by (shard) (tausql_storage_watermark_lag_seconds{%}))",
                    "s",
                    steps=warned(1, 5),
                ),
                stat(
                    "Slowest stream",
                    "How long ago it is closed.",
                    "max(min by (stream) (tausql_crossbar_stream_lag_seconds{%}))",
                    "s",
                    steps=warned(1, 5),
                ),
                stat(
                    "Reads that wait",
                    "For the watermark, now.",
                    "sum(tausql_storage_reads_waiting{%})",
                    steps=warned(100, 1000),
                ),
            ),
        ),
        Row(
            "Watermarks",
            (
                graph(
                    "Lag by key range and zone",
                    "Now less the watermark of each storage replica. Negative: ahead of now.",
                    (
                        "max by (shard, zone, process) (tausql_storage_watermark_lag_seconds{%})",
                        "{{shard}} {{zone}} {{process}}",
                    ),
                    unit="s",
                    width=12,
                ),
                graph(
                    "Slowest streams",
                    "By number: what one of them does not close, nobody can read.",
                    (
                        "topk(5, max by (stream, process) (tausql_crossbar_stream_lag_seconds{%}))",
                        "{{stream}} at {{process}}",
                    ),
                    unit="s",
                    width=12,
                ),
                graph(
                    "Crossbar's watermark lag",
                    "Of the main feed of each crossbar at work.",
                    ("max by (process) (tausql_crossbar_watermark_lag_seconds{%})", "{{process}}"),
                    unit="s",
                ),
                graph(
                    "Closed lag at the holder",
                    "How long ago the time lies that the holder has closed. Negative: ahead.",
                    ("tausql_adjudicator_closed_lag_seconds{%}", "{{stream}}"),
                    unit="s",
                ),
                graph(
                    "Limit remaining",
                    "No tau lies above the limit.",
                    ("tausql_adjudicator_limit_remaining_seconds{%}", "{{stream}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Waiting for time",
            (
                latency(
                    "Read wait", "Reads that waited at storage for the watermark.", "tausql_storage_read_wait_seconds"
                ),
                latency(
                    "Commit wait",
                    "From the majority to the clock having passed tau.",
                    "tausql_adjudicator_commit_wait_seconds",
                ),
                graph(
                    "How many wait",
                    "Reads that waited, answers that were held, a second.",
                    (rate("tausql_storage_parked_reads_total"), "reads that waited"),
                    (rate("tausql_processor_held_answers_total"), "answers held"),
                    (rate("tausql_storage_expired_reads_total"), "reads that waited in vain"),
                    unit="ops",
                ),
                graph(
                    "Nudges",
                    "Who waits says so, up to the holder.",
                    (rate("tausql_crossbar_wants_total"), "wanted by storage"),
                    (rate("tausql_crossbar_nudges_total"), "passed on"),
                    (rate("tausql_adjudicator_nudges_total"), "heard by adjudicators"),
                    unit="ops",
                ),
                graph(
                    "Heartbeats",
                    "Sent by holders, heard by crossbars.",
                    (rate("tausql_adjudicator_beats_total"), "sent"),
                    (rate("tausql_crossbar_beats_total"), "heard"),
                    unit="ops",
                ),
                graph(
                    "Records that wait in crossbars",
                    "Not released, or waiting for other streams.",
                    ("max by (stream, process) (tausql_crossbar_waiting_records{%})", "{{stream}} at {{process}}"),
                ),
            ),
        ),
        Row(
            "Clocks",
            (
                graph(
                    "Bound by process",
                    "Half the width of what now may be.",
                    ("max by (process) (tausql_clock_error_seconds{%} < +Inf)", "{{process}}"),
                    unit="s",
                ),
                graph(
                    "Bound of timekeepers",
                    "What their own clocks vouch for.",
                    ("max by (process) (tausql_timekeeper_error_seconds{%} < +Inf)", "{{process}}"),
                    unit="s",
                ),
                Panel(
                    "Clock ready",
                    "1 while timestamps are given out.",
                    (Query("max by (process) (tausql_clock_ready{%})", "{{process}}"),),
                    kind="state-timeline",
                    steps=GOOD_IS_ONE,
                ),
                graph(
                    "Timekeepers asked",
                    "Answers, and questions left open.",
                    (rate("tausql_clock_samples_total"), "answers"),
                    (rate("tausql_clock_failures_total"), "left open"),
                    (rate("tausql_timekeeper_refusals_total"), "refused"),
                    unit="ops",
                    elsewhere="a fleet on one machine may take the kernel's clock and ask no timekeeper",
                ),
                graph(
                    "Falsetickers",
                    "How many processes find a timekeeper in disagreement with the majority.",
                    ("sum by (timekeeper) (tausql_clock_falseticker{%})", "{{timekeeper}}"),
                    elsewhere="a fleet on one machine may take the kernel's clock and ask no timekeeper",
                ),
                graph(
                    "Held still",
                    "Readings that would have stepped back, a second.",
                    (rate("tausql_clock_holds_total"), "readings"),
                    unit="ops",
                ),
            ),
        ),
    ),
)
