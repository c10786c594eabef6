"""For every alert what makes it fire, and what looks alike and must not."""

from __future__ import annotations

from dataclasses import dataclass, field

HERE = 'namespace="n"'


@dataclass(frozen=True, slots=True)
class Example:
    """`series`: values every 15 s by series. `at`: when to look. `labels`: of the alert, namespace and severity
    apart."""

    series: dict[str, str]
    at: str
    labels: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    about: str = ""  # where the description holds a value
    placed: bool = True  # the alert carries the namespace


@dataclass(frozen=True, slots=True)
class Case:
    fires: Example
    quiet: tuple[Example, ...]


def one(name: str, values: str, labels: str = "") -> dict[str, str]:
    """A series of this namespace."""
    return {f"tausql_{name}{{{HERE}{',' + labels if labels else ''}}}": values}


def slow(name: str, labels: str = "") -> dict[str, str]:
    """A histogram whose observations all lie between 0.5 and 1 s."""
    more = f",{labels}" if labels else ""
    bounds = (("0.2", "0+0x80"), ("0.5", "0+0x80"), ("1.0", "0+10x80"), ("+Inf", "0+10x80"))
    return {f'tausql_{name}_bucket{{{HERE}{more},le="{bound}"}}': values for bound, values in bounds}


def quick(name: str, labels: str = "") -> dict[str, str]:
    """A histogram whose observations all lie below 0.02 s."""
    more = f",{labels}" if labels else ""
    return {f'tausql_{name}_bucket{{{HERE}{more},le="{bound}"}}': "0+10x80" for bound in ("0.02", "0.5", "1.0", "+Inf")}


def journals(acknowledging: int, majority: int = 2, count: int = 3) -> dict[str, str]:
    """What the holder of stream 0 says of its journal, and a standby of the majority."""
    series = {
        f'tausql_adjudicator_journal_acknowledging{{{HERE},process="a",stream="0",replica="j{at}"}}': (
            f"{int(at < acknowledging)}+0x80"
        )
        for at in range(count)
    }
    for process in "ab":
        series |= one("adjudicator_journal_majority", f"{majority}+0x80", f'process="{process}"')
    return series


def disk(free: str, services: str) -> dict[str, str]:
    """A process with so much of 100 bytes left."""
    return (
        one("process_disk_free_bytes", f"{free}+0x40", 'process="p"')
        | one("process_disk_size_bytes", "100+0x40", 'process="p"')
        | one("process_info", "1+0x40", f'process="p",services="{services}",version="1"')
    )


STEADY = "0+0x200"
CASES: dict[str, Case] = {
    "TausqlStreamWithoutHolder": Case(
        Example(
            one("processor_unheld_streams", "1+0x80", 'process="a"')
            | one("processor_unheld_streams", "1+0x80", 'process="b"'),
            "1m",
            summary="1 streams have no holder",
        ),
        (
            Example(
                one("processor_unheld_streams", "1+0x80", 'process="a"')
                | one("processor_unheld_streams", "0+0x80", 'process="b"'),
                "1m",
            ),
            Example(one("processor_unheld_streams", "0 1 0 0 0 0 0 0 0"), "1m"),
        ),
    ),
    "TausqlTakeoversKeepHappening": Case(
        Example(one("adjudicator_takeovers_total", "0+1x80"), "15m", summary="40 takeovers in ten minutes"),
        (Example(one("adjudicator_takeovers_total", "0+0x20 1 2 2+0x60"), "12m"),),
    ),
    "TausqlLimitUsedUp": Case(
        Example(
            one("adjudicator_limit_remaining_seconds", "-1+0x20", 'stream="3"'),
            "2m",
            {"stream": "3"},
            "The limit of stream 3 is used up",
        ),
        (Example(one("adjudicator_limit_remaining_seconds", "0.6+0x20", 'stream="3"'), "2m"),),
    ),
    "TausqlCommitsSlow": Case(
        Example(slow("processor_commit_seconds"), "12m", summary="One commit of a hundred takes longer than 995ms"),
        (Example(quick("processor_commit_seconds"), "12m"),),
    ),
    "TausqlConflictsHigh": Case(
        Example(
            one("dsql_occ_conflicts_total", "0+300x80") | one("processor_commits_total", "0+300x80"),
            "18m",
            summary="50% of all commits are refused for conflicts",
        ),
        (
            Example(one("dsql_occ_conflicts_total", "0+3x80") | one("processor_commits_total", "0+300x80"), "18m"),
            Example(one("dsql_occ_conflicts_total", "0+3x80") | one("processor_commits_total", "0+3x80"), "18m"),
        ),
    ),
    "TausqlOutcomesUnknown": Case(
        Example(
            one("processor_errors_total", "0+0x10 1+0x60", 'sqlstate="40003"'),
            "5m",
            summary="Clients were told that nobody knows whether they committed",
        ),
        (
            Example(one("processor_errors_total", "0+5x80", 'sqlstate="40001"'), "5m"),
            Example(one("processor_errors_total", "7+0x80", 'sqlstate="40003"'), "5m"),
        ),
    ),
    "TausqlClockUnsure": Case(
        Example(
            one("clock_ready", "0+0x20", 'process="p"') | one("clock_ready", "1+0x20", 'process="q"'),
            "3m",
            {"process": "p"},
            "The clock of p is not known well enough",
        ),
        (Example(one("clock_ready", "0 0 1+0x20", 'process="p"'), "3m"),),
    ),
    "TausqlClockBoundWide": Case(
        Example(
            one("clock_error_seconds", "0.008+0x80", 'process="p"'),
            "10m",
            {"process": "p"},
            "The clock of p may be off by 8ms",
        ),
        (
            Example(one("clock_error_seconds", "0.0004+0x80", 'process="p"'), "10m"),
            Example(one("clock_error_seconds", "Inf Inf Inf Inf Inf Inf Inf Inf", 'process="p"'), "1m"),
        ),
    ),
    "TausqlTimekeeperFalseticker": Case(
        Example(
            one("clock_falseticker", "1+0x20", 'process="p",timekeeper="t"')
            | one("clock_falseticker", "1+0x20", 'process="q",timekeeper="t"')
            | one("clock_falseticker", "0+0x20", 'process="q",timekeeper="u"'),
            "4m",
            {"timekeeper": "t"},
            "Timekeeper t disagrees with the majority",
            "2 processes leave it out. With one more like it there is no majority, and no time.",
        ),
        (Example(one("clock_falseticker", "0+0x20", 'process="q",timekeeper="u"'), "4m"),),
    ),
    "TausqlReadsLag": Case(
        Example(
            one("storage_watermark_lag_seconds", "7+0x20", 'shard="all",process="s"')
            | one("storage_watermark_lag_seconds", "9+0x20", 'shard="all",process="t"'),
            "2m",
            {"shard": "all"},
            "No replica of key range all has reached the last 7s",
        ),
        (
            Example(
                one("storage_watermark_lag_seconds", "700+0x20", 'shard="all",process="s"')
                | one("storage_watermark_lag_seconds", "-0.001+0x20", 'shard="all",process="t"'),
                "2m",
            ),
        ),
    ),
    "TausqlJournalReplicaAway": Case(
        Example(
            journals(2),
            "4m",
            {"stream": "0", "replica": "j2"},
            "Journal replica j2 acknowledges nothing",
            "The holder of stream 0 gets no answers from it. A majority goes on without it.",
        ),
        (Example(journals(3), "4m"),),
    ),
    "TausqlJournalQuorumAtRisk": Case(
        Example(journals(2), "8m", {"stream": "0"}, "Stream 0 has no journal replica to spare"),
        (Example(journals(3), "8m"), Example(journals(4, majority=3, count=5), "8m")),
    ),
    "TausqlJournalQuorumLost": Case(
        Example(journals(1), "1m", {"stream": "0"}, "Stream 0 has no majority of its journal"),
        (Example(journals(2), "1m"),),
    ),
    "TausqlFsyncSlow": Case(
        Example(
            slow("journal_flush_seconds", 'process="j"'),
            "12m",
            {"process": "j"},
            "The disk of j takes 995ms to sync",
        ),
        (Example(quick("journal_flush_seconds", 'process="j"'), "12m"),),
    ),
    "TausqlJournalDiskFull": Case(
        Example(
            one("journal_full_total", "0+0x10 5+0x40", 'process="j"'),
            "3m",
            {"process": "j"},
            "j refuses appends: its disk is full",
        ),
        (Example(one("journal_full_total", "5+0x40", 'process="j"'), "3m"),),
    ),
    "TausqlJournalNotTrimmed": Case(
        Example(
            one("journal_log_bytes", "0+4473925x500") | one("crossbar_trims_total", "9+0x500"),
            "2h",
            summary="The journal has grown by 1GiB in an hour and nothing is trimmed",
        ),
        (
            Example(one("journal_log_bytes", "0+4473924x500") | one("crossbar_trims_total", "0+1x500"), "2h"),
            Example(one("journal_log_bytes", "900000000+1x500") | one("crossbar_trims_total", "9+0x500"), "2h"),
        ),
    ),
    "TausqlStorageReplicaBehind": Case(
        Example(
            one("storage_watermark_lag_seconds", "90+0x60", 'shard="all",process="s"')
            | one("storage_watermark_lag_seconds", "0+0x60", 'shard="all",process="t"'),
            "8m",
            {"process": "s", "shard": "all"},
            "s is 1m 30s behind",
        ),
        (Example(one("storage_watermark_lag_seconds", "90+0x10 0+0x50", 'shard="all",process="s"'), "8m"),),
    ),
    "TausqlStorageFailed": Case(
        Example(one("storage_failed", "1+0x10", 'process="s"'), "1m", {"process": "s"}, "s applies nothing any more"),
        (Example(one("storage_failed", "0+0x10", 'process="s"'), "1m"),),
    ),
    "TausqlStorageRebuilding": Case(
        Example(
            one("storage_rebuilding", "1+0x100", 'process="s"'),
            "20m",
            {"process": "s"},
            "s has been taking a checkpoint for long",
        ),
        (Example(one("storage_rebuilding", "1+0x20 0+0x80", 'process="s"'), "20m"),),
    ),
    "TausqlReadsSlow": Case(
        Example(slow("processor_read_seconds"), "12m", summary="One read of a hundred takes longer than 995ms"),
        (Example(quick("processor_read_seconds"), "12m"),),
    ),
    "TausqlReadsExpire": Case(
        Example(one("storage_expired_reads_total", "0+1x40"), "8m", summary="Reads wait for the watermark in vain"),
        (Example(one("storage_expired_reads_total", "3+0x40"), "8m"),),
    ),
    "TausqlSessionsRefused": Case(
        Example(
            one("frontend_refused_full_total", STEADY) | one("frontend_refused_no_processor_total", "0+1x40"),
            "8m",
            summary="Clients are turned away",
        ),
        (
            Example(
                one("frontend_refused_full_total", "4+0x40") | one("frontend_refused_no_processor_total", STEADY), "8m"
            ),
        ),
    ),
    "TausqlProcessorPoolExhausted": Case(
        Example(
            one("processor_sessions", "95+0x40") | one("processor_sessions_max", "100+0x40"),
            "8m",
            summary="95% of all session slots are taken",
        ),
        (
            Example(
                one("processor_sessions", "95+0x40", 'process="p"')
                | one("processor_sessions", "0+0x40", 'process="q"')
                | one("processor_sessions_max", "100+0x40", 'process="p"')
                | one("processor_sessions_max", "100+0x40", 'process="q"'),
                "8m",
            ),
        ),
    ),
    "TausqlSessionMovesFail": Case(
        Example(
            one("frontend_moves_failed_total", "0+0x10 1+0x40"),
            "4m",
            summary="Sessions could not be moved to another processor",
        ),
        (Example(one("frontend_moves_failed_total", "2+0x40"), "4m"),),
    ),
    "TausqlNothingScraped": Case(
        Example({}, "5m", summary="No TauSQL process is scraped at all", placed=False),
        (Example(one("process_info", "1+0x40", 'process="p"'), "5m"),),
    ),
    "TausqlProcessNotReady": Case(
        Example(one("process_ready", "0+0x40", 'process="p"'), "8m", {"process": "p"}, "p is not ready"),
        (Example(one("process_ready", "0+0x10 1+0x40", 'process="p"'), "8m"),),
    ),
    "TausqlProcessRestarts": Case(
        Example(
            one("process_start_time_seconds", "1 2 3 4 4+0x40", 'process="p"'),
            "8m",
            {"process": "p"},
            "p has started 3 times in a quarter of an hour",
        ),
        (Example(one("process_start_time_seconds", "1 2 2+0x40", 'process="p"'), "8m"),),
    ),
    "TausqlEventLoopLag": Case(
        Example(
            slow("process_loop_lag_seconds", 'process="p"'),
            "18m",
            {"process": "p"},
            "Timers of p are 950ms late",
        ),
        (Example(quick("process_loop_lag_seconds", 'process="p"'), "18m"),),
    ),
    "TausqlInternalErrors": Case(
        Example(
            one("processor_internal_errors_total", "0+0x30 2+0x40"),
            "15m",
            summary="Statements failed for a defect of the server",
            about="XX000 was answered 2 times. The processors' logs hold the traces.",
        ),
        (Example(one("processor_internal_errors_total", "2+0x80"), "15m"),),
    ),
    "TausqlDiskNearlyFull": Case(
        Example(disk("5", "journal"), "8m", {"process": "p"}, "5% of the disk of p is free"),
        (Example(disk("50", "journal"), "8m"), Example(disk("5", "frontend"), "8m")),
    ),
    "TausqlFleetCertificateExpires": Case(
        Example(
            one("tls_certificate_expiry_timestamp_seconds", "871200+0x500", 'process="p"'),
            "2h",
            {"process": "p"},
            "The fleet's certificate at p lasts 10d 0h 0m 0s more",
        ),
        (Example(one("tls_certificate_expiry_timestamp_seconds", "7776000+0x500", 'process="p"'), "2h"),),
    ),
    "TausqlEdgeCertificateExpires": Case(
        Example(
            one("frontend_certificate_expiry_timestamp_seconds", "871200+0x500", 'process="p"'),
            "2h",
            {"process": "p"},
            "The certificate that clients see at p lasts 10d 0h 0m 0s more",
        ),
        (Example(one("frontend_certificate_expiry_timestamp_seconds", "7776000+0x500", 'process="p"'), "2h"),),
    ),
    "TausqlControlWatchStale": Case(
        Example(
            one("control_watch_age_seconds", "200+15x40", 'process="c",resource="pods"'),
            "4m",
            {"process": "c", "resource": "pods"},
            "c has not heard of pods for 7m 20s",
        ),
        (Example(one("control_watch_age_seconds", "50+0x40", 'process="c",resource="pods"'), "4m"),),
    ),
    "TausqlRegionUnreachable": Case(
        Example(
            one("control_peer_age_seconds", "100+15x40", 'process="c",region="west"'),
            "8m",
            {"region": "west"},
            "Control of region west cannot be reached",
        ),
        (Example(one("control_peer_age_seconds", "0+0x40", 'process="c",region="west"'), "8m"),),
    ),
}
