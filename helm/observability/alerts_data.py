"""Alerts of what keeps data: commits, time, journal, storage."""

from __future__ import annotations

from helm.observability.alerts import Alert, Condition, Group, p99, worst

_CONFLICTS = worst("sum", "rate(tausql_dsql_occ_conflicts_total[5m])")
_COMMITS = worst("sum", "rate(tausql_processor_commits_total[5m])")
_SPARE = (
    f"{worst('sum', 'tausql_adjudicator_journal_acknowledging', 'stream')} - on (cluster, namespace) group_left () "
    f"{worst('max', 'tausql_adjudicator_journal_majority')}"
)

COMMITS = Group(
    "commits",
    (
        Alert(
            "TausqlStreamWithoutHolder",
            "critical",
            "15s",
            (Condition(worst("min", "tausql_processor_unheld_streams"), "> 0"),),
            "{{ $value }} streams have no holder",
            "No processor knows of an adjudicator that holds them: nothing can be committed there, and reads at now "
            "wait. A takeover takes 3 s at most.",
        ),
        Alert(
            "TausqlTakeoversKeepHappening",
            "warning",
            "1m",
            (Condition(worst("sum", "increase(tausql_adjudicator_takeovers_total[10m])"), "> 4"),),
            "{{ $value | humanize }} takeovers in ten minutes",
            "Streams change hands again and again. Each time commits pause, and transactions below the floor retry.",
        ),
        Alert(
            "TausqlLimitUsedUp",
            "critical",
            "30s",
            (Condition(worst("min", "tausql_adjudicator_limit_remaining_seconds", "stream"), "< 0.02"),),
            "The limit of stream {{ $labels.stream }} is used up",
            "Its holder cannot get a higher limit onto a majority of the journal: commits wait, and soon it resigns.",
        ),
        Alert(
            "TausqlCommitsSlow",
            "warning",
            "5m",
            (Condition(p99("tausql_processor_commit_seconds", "5m"), "> 0.5"),),
            "One commit of a hundred takes longer than {{ $value | humanizeDuration }}",
            "Measured at the processors, from sending a commit to its verdict.",
        ),
        Alert(
            "TausqlConflictsHigh",
            "warning",
            "10m",
            (Condition(f"{_CONFLICTS} / ({_CONFLICTS} + {_COMMITS})", "> 0.3"), Condition(_COMMITS, "> 1")),
            "{{ $value | humanizePercentage }} of all commits are refused for conflicts",
            "OC000 or OC001: clients that retry spend their time on it. Often a hot row, or schema changes under load.",
        ),
        Alert(
            "TausqlOutcomesUnknown",
            "warning",
            "0s",
            (Condition(worst("sum", 'increase(tausql_processor_errors_total{sqlstate="40003"}[10m])'), "> 0"),),
            "Clients were told that nobody knows whether they committed",
            "40003: a commit's answer was lost and no holder could be asked in time. The application has to look.",
        ),
    ),
)

TIME = Group(
    "time",
    (
        Alert(
            "TausqlClockUnsure",
            "critical",
            "1m",
            (Condition(worst("min", "tausql_clock_ready", "process"), "< 1"),),
            "The clock of {{ $labels.process }} is not known well enough",
            "It gives out no timestamps: a processor takes no snapshots, an adjudicator judges nothing.",
        ),
        Alert(
            "TausqlClockBoundWide",
            "warning",
            "5m",
            (Condition(worst("max", "tausql_clock_error_seconds < +Inf", "process"), "> 0.005"),),
            "The clock of {{ $labels.process }} may be off by {{ $value | humanizeDuration }}",
            "Commits wait for about twice the bound, and above the maximum (20 ms) the process stops giving out time.",
        ),
        Alert(
            "TausqlTimekeeperFalseticker",
            "warning",
            "2m",
            (Condition(worst("sum", "tausql_clock_falseticker", "timekeeper"), "> 0"),),
            "Timekeeper {{ $labels.timekeeper }} disagrees with the majority",
            "{{ $value }} processes leave it out. With one more like it there is no majority, and no time.",
            elsewhere="a fleet on one machine may take the kernel's clock and ask no timekeeper",
        ),
        Alert(
            "TausqlReadsLag",
            "critical",
            "30s",
            (Condition(worst("min", "tausql_storage_watermark_lag_seconds", "shard"), "> 5"),),
            "No replica of key range {{ $labels.shard }} has reached the last {{ $value | humanizeDuration }}",
            "Reads at now wait for the watermark, and fail after their patience.",
        ),
    ),
)

JOURNAL = Group(
    "journal",
    (
        Alert(
            "TausqlJournalReplicaAway",
            "warning",
            "2m",
            (Condition(worst("min", "tausql_adjudicator_journal_acknowledging", "stream, replica"), "< 1"),),
            "Journal replica {{ $labels.replica }} acknowledges nothing",
            "The holder of stream {{ $labels.stream }} gets no answers from it. A majority goes on without it.",
        ),
        Alert(
            "TausqlJournalQuorumAtRisk",
            "critical",
            "5m",
            (Condition(_SPARE, "< 1"),),
            "Stream {{ $labels.stream }} has no journal replica to spare",
            "One more failure and nothing can be committed.",
        ),
        Alert(
            "TausqlJournalQuorumLost",
            "critical",
            "15s",
            (Condition(_SPARE, "< 0"),),
            "Stream {{ $labels.stream }} has no majority of its journal",
            "Nothing can be committed, and reads at now wait. Nothing acknowledged is lost.",
        ),
        Alert(
            "TausqlFsyncSlow",
            "warning",
            "5m",
            (Condition(p99("tausql_journal_flush_seconds", "5m", "process"), "> 0.1"),),
            "The disk of {{ $labels.process }} takes {{ $value | humanizeDuration }} to sync",
            "One slow disk costs nothing while the others are fast; two make every commit slow.",
        ),
        Alert(
            "TausqlJournalDiskFull",
            "critical",
            "0s",
            (Condition(worst("sum", "increase(tausql_journal_full_total[5m])", "process"), "> 0"),),
            "{{ $labels.process }} refuses appends: its disk is full",
            "With a majority of full disks commits fail with 53100.",
        ),
        Alert(
            "TausqlJournalNotTrimmed",
            "warning",
            "30m",
            (
                Condition(worst("max", "delta(tausql_journal_log_bytes[1h])"), "> 536870912"),
                Condition(worst("sum", "increase(tausql_crossbar_trims_total[1h])"), "< 1"),
            ),
            "The journal has grown by {{ $value | humanize1024 }}B in an hour and nothing is trimmed",
            "The log is kept until two zones of every key range have it on disk: some storage does not report.",
        ),
    ),
)

STORAGE = Group(
    "storage",
    (
        Alert(
            "TausqlStorageReplicaBehind",
            "warning",
            "5m",
            (Condition(worst("max", "tausql_storage_watermark_lag_seconds", "process, shard"), "> 30"),),
            "{{ $labels.process }} is {{ $value | humanizeDuration }} behind",
            "Its zone's reads go to other zones, and the journal is kept for it.",
        ),
        Alert(
            "TausqlStorageFailed",
            "critical",
            "0s",
            (Condition(worst("max", "tausql_storage_failed", "process"), "> 0"),),
            "{{ $labels.process }} applies nothing any more",
            "Its disk is full, its journal is another fleet's, or it was trimmed past and has no peer: see /status.",
        ),
        Alert(
            "TausqlStorageRebuilding",
            "warning",
            "15m",
            (Condition(worst("max", "tausql_storage_rebuilding", "process"), "> 0"),),
            "{{ $labels.process }} has been taking a checkpoint for long",
            "Until it is done its key range has one copy less.",
        ),
        Alert(
            "TausqlReadsSlow",
            "warning",
            "5m",
            (Condition(p99("tausql_processor_read_seconds", "5m"), "> 0.25"),),
            "One read of a hundred takes longer than {{ $value | humanizeDuration }}",
            "Measured at the processors, hedges and waits for the watermark included.",
        ),
        Alert(
            "TausqlReadsExpire",
            "critical",
            "1m",
            (Condition(worst("sum", "rate(tausql_storage_expired_reads_total[5m])"), "> 0"),),
            "Reads wait for the watermark in vain",
            "Time is not closed in time anywhere in the selection: statements fail with 57P03.",
        ),
    ),
)
