"""Commit path and adjudicators: where a commit's time goes, and who decides."""

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

# In the order of docs/commit-path.md: hop -> histogram.
HOPS = (
    ("frontend", "tausql_frontend_answer_seconds", "A relayed request at the frontend, everything below included."),
    ("request", "tausql_processor_answer_seconds", "A client's request inside the processor, all below included."),
    ("plan", "tausql_processor_plan_seconds", "Finding or making a plan."),
    ("read", "tausql_processor_read_seconds", "A read, from the processor and back."),
    ("read wait", "tausql_storage_read_wait_seconds", "Reads that waited at storage for the watermark."),
    ("storage read", "tausql_storage_read_seconds", "Making the answer to a read at storage."),
    ("commit", "tausql_processor_commit_seconds", "A commit, from the processor and back, all below included."),
    ("adjudicate", "tausql_adjudicator_judge_seconds", "Conflicts, schema, floor, tau."),
    ("append", "tausql_adjudicator_append_seconds", "To one journal replica, its disk and back."),
    ("fsync", "tausql_journal_flush_seconds", "A write and its sync at a journal replica."),
    ("quorum", "tausql_adjudicator_quorum_seconds", "From sending records to a majority that has them."),
    ("commit wait", "tausql_adjudicator_commit_wait_seconds", "From the majority to the clock having passed tau."),
    ("apply", "tausql_storage_apply_seconds", "A delivery with records into the store."),
)

ABORTS = rate("tausql_adjudicator_aborts_total", "reason")

COMMIT_PATH = Board(
    "tausql-commit-path",
    "TauSQL / Commit path",
    "Where a commit's time goes, hop by hop, and why commits are refused.",
    (
        Row(
            "Healthy?",
            (
                stat("Commits", "With writes, a second.", rate("tausql_processor_commits_total"), "ops"),
                stat(
                    "Conflict ratio",
                    "Commits refused with OC000 or OC001, of all that were judged.",
                    f"({rate('tausql_dsql_occ_conflicts_total')}) / "
                    f"({rate('tausql_dsql_occ_conflicts_total')} + {rate('tausql_processor_commits_total')})",
                    "percentunit",
                    steps=warned(0.1, 0.3),
                ),
                stat(
                    "Commit, p50",
                    "From sending a commit to its verdict.",
                    quantile(0.5, "tausql_processor_commit_seconds"),
                    "s",
                    steps=warned(0.05, 0.2),
                ),
                stat(
                    "Commit, p99",
                    "From sending a commit to its verdict.",
                    quantile(0.99, "tausql_processor_commit_seconds"),
                    "s",
                    steps=warned(0.1, 0.5),
                ),
                stat(
                    "Fsync, p99",
                    "A write and its sync at a journal replica.",
                    quantile(0.99, "tausql_journal_flush_seconds"),
                    "s",
                    steps=warned(0.02, 0.1),
                ),
                stat(
                    "Answers lost",
                    "Commits whose answer was lost and asked for, a second.",
                    rate("tausql_processor_outcomes_asked_total"),
                    "ops",
                ),
            ),
        ),
        Row(
            "Where the time goes",
            (
                graph(
                    "Mean of each hop",
                    "Hops overlap: commit contains quorum, quorum contains append, append fsync.",
                    *((mean(metric), hop) for hop, metric, _ in HOPS if hop != "frontend"),
                    unit="s",
                    width=12,
                ),
                graph(
                    "p99 of each hop",
                    "The same for the slowest of a hundred.",
                    *((quantile(0.99, metric), hop) for hop, metric, _ in HOPS if hop != "frontend"),
                    unit="s",
                    width=12,
                ),
            ),
        ),
        Row("Hop by hop", tuple(latency(hop.capitalize(), about, metric, width=6) for hop, metric, about in HOPS)),
        Row(
            "Refusals",
            (
                graph(
                    "Aborts by reason",
                    "At the adjudicators. conflict is OC000, schema is OC001.",
                    (ABORTS, "{{reason}}"),
                    unit="ops",
                    stacked=True,
                ),
                graph(
                    "Conflicts by code",
                    "At the processors, as clients see them.",
                    (rate("tausql_processor_conflicts_total"), "OC000"),
                    (rate("tausql_processor_schema_conflicts_total"), "OC001"),
                    (rate("tausql_processor_refusals_total"), "other reasons"),
                    unit="ops",
                    stacked=True,
                ),
                graph(
                    "Unresolved",
                    "Commits in flight when their stream was lost, and those whose outcome stayed unknown (40003).",
                    (rate("tausql_adjudicator_unresolved_total"), "in flight at a loss"),
                    (rate("tausql_processor_errors_total", labels=',sqlstate="40003"'), "unknown"),
                    unit="ops",
                ),
            ),
        ),
        Row(
            "Batches and queues",
            (
                graph(
                    "Records a batch",
                    "Sent by one flush of an adjudicator.",
                    (mean("tausql_adjudicator_batch_commits"), "mean"),
                    (quantile(0.99, "tausql_adjudicator_batch_commits"), "p99"),
                ),
                graph(
                    "Bytes a sync",
                    "Made durable by one sync of a journal replica.",
                    (mean("tausql_journal_flush_bytes"), "mean"),
                    (quantile(0.99, "tausql_journal_flush_bytes"), "p99"),
                    unit="bytes",
                ),
                graph(
                    "In flight",
                    "Work that waits for somebody else.",
                    ("sum(tausql_processor_commits_in_flight{%})", "commits at processors"),
                    ("sum(tausql_adjudicator_answers_waiting{%})", "answers at adjudicators"),
                    ("sum(tausql_adjudicator_uncommitted_records{%})", "records without a majority"),
                    ("sum(tausql_journal_waiting_answers{%})", "answers that wait for a sync"),
                ),
                graph(
                    "Limit waits",
                    "Commits that waited for a higher limit, a second.",
                    (rate("tausql_adjudicator_limit_waits_total"), "waits"),
                    unit="ops",
                ),
                graph(
                    "Plan cache",
                    "Plans found, of all that were looked for.",
                    (
                        f"{rate('tausql_processor_plan_hits_total')} / ({rate('tausql_processor_plan_hits_total')} + "
                        f"{rate('tausql_processor_plan_misses_total')})",
                        "found",
                    ),
                    unit="percentunit",
                ),
                graph(
                    "Planned again",
                    "For a changed schema: statements planned again, catalogues read anew.",
                    (rate("tausql_processor_replans_total"), "statements"),
                    (rate("tausql_processor_catalogue_reloads_total"), "catalogues"),
                    unit="ops",
                ),
            ),
        ),
    ),
)

ADJUDICATORS = Board(
    "tausql-adjudicators",
    "TauSQL / Adjudicators",
    "Who holds which stream under which epoch, how takeovers went, what is judged.",
    (
        Row(
            "Healthy?",
            (
                stat(
                    "Streams held",
                    "By the adjudicators of this selection.",
                    "sum(tausql_adjudicator_streams_held{%})",
                    steps=GOOD_IS_ONE,
                ),
                stat(
                    "Streams without a holder",
                    "Of what every processor knows.",
                    "min(tausql_processor_unheld_streams{%})",
                    steps=GOOD_IS_ZERO,
                ),
                stat(
                    "Takeovers",
                    "In the last hour.",
                    "sum(increase(tausql_adjudicator_takeovers_total{%}[1h]))",
                    steps=warned(3, 10),
                ),
                stat(
                    "Least limit remaining",
                    "Commits wait when it is used up.",
                    "min(tausql_adjudicator_limit_remaining_seconds{%})",
                    "s",
                    steps=((None, "red"), (0.1, "orange"), (0.2, "green")),
                ),
                stat(
                    "Uncommitted records",
                    "Sent, and not on a majority yet.",
                    "sum(tausql_adjudicator_uncommitted_records{%})",
                    steps=warned(1000, 5000),
                ),
                stat(
                    "Judging, p99",
                    "Conflicts, schema, floor, tau.",
                    quantile(0.99, "tausql_adjudicator_judge_seconds"),
                    "s",
                    steps=warned(0.005, 0.05),
                ),
            ),
        ),
        Row(
            "Streams",
            (
                Panel(
                    "Held by",
                    "1 where a process holds a stream.",
                    (Query("max by (process, stream) (tausql_adjudicator_stream_held{%})", "{{stream}}: {{process}}"),),
                    kind="state-timeline",
                    width=12,
                    steps=((None, "text"), (1.0, "green")),
                ),
                graph(
                    "Epoch",
                    "It rises by a takeover.",
                    ("max by (stream) (tausql_adjudicator_epoch{%})", "{{stream}}"),
                    width=6,
                ),
                graph(
                    "Limit remaining",
                    "How far ahead of now a held stream's limit lies.",
                    ("tausql_adjudicator_limit_remaining_seconds{%}", "{{stream}}"),
                    unit="s",
                    width=6,
                ),
                graph(
                    "Takeovers and losses",
                    "Epochs begun, lost or given up.",
                    (rate("tausql_adjudicator_takeovers_total", "process"), "begun: {{process}}"),
                    (rate("tausql_adjudicator_resignations_total", "process"), "ended: {{process}}"),
                    unit="ops",
                ),
                graph(
                    "Takeover time",
                    "From a granted epoch to its EpochStart on a majority, since the start.",
                    (
                        "sum by (process) (tausql_adjudicator_takeover_seconds_sum{%}) / "
                        "sum by (process) (tausql_adjudicator_takeover_seconds_count{%} > 0)",
                        "{{process}}",
                    ),
                    unit="s",
                ),
                graph(
                    "Lead",
                    "How far ahead of now taus are given out: about one append and the way to storage.",
                    ("max by (process) (tausql_adjudicator_lead_micros{%}) / 1e6", "{{process}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Judging",
            (
                graph(
                    "Commits",
                    "Given a tau, a second.",
                    (rate("tausql_adjudicator_commits_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph("Aborts by reason", "A second.", (ABORTS, "{{reason}}"), unit="ops", stacked=True),
                latency("Judging", "Conflicts, schema, floor, tau.", "tausql_adjudicator_judge_seconds"),
                graph(
                    "Keys remembered",
                    "Of the transaction window, to find conflicts by.",
                    ("sum by (process) (tausql_adjudicator_history_keys{%})", "{{process}}"),
                ),
                graph(
                    "Outcomes asked",
                    "Calls of processors that lost an answer.",
                    (rate("tausql_adjudicator_outcomes_total"), "asked"),
                    unit="ops",
                ),
                latency("Answer", "From the verdict to the answer of a commit.", "tausql_adjudicator_answer_seconds"),
            ),
        ),
        Row(
            "To the journal",
            (
                graph(
                    "Append, p99 by replica",
                    "A slow one costs nothing while a majority is fast.",
                    (quantile(0.99, "tausql_adjudicator_append_seconds", "replica"), "{{replica}}"),
                    unit="s",
                ),
                graph(
                    "Appends",
                    "Sent, one a replica, and sent again.",
                    (rate("tausql_adjudicator_appends_total"), "sent"),
                    (rate("tausql_adjudicator_resends_total"), "sent again"),
                    unit="ops",
                ),
                graph(
                    "Heartbeats and nudges",
                    "Time closed, and asked to be closed.",
                    (rate("tausql_adjudicator_beats_total"), "heartbeats"),
                    (rate("tausql_adjudicator_nudges_total"), "nudges"),
                    unit="ops",
                ),
            ),
        ),
    ),
)
