"""Alerts of what serves clients and of processes as such."""

from __future__ import annotations

from helm.observability.alerts import PLACE, Alert, Condition, Group, worst

_TWO_WEEKS = 14 * 86_400
_REFUSED = "tausql_frontend_refused_full_total", "tausql_frontend_refused_no_processor_total"

_ROOM = (
    f"({worst('min', 'tausql_process_disk_free_bytes / tausql_process_disk_size_bytes', 'process')} "
    f'and on ({PLACE}, process) tausql_process_info{{services=~".*(journal|storage).*"}})'
)

SESSIONS = Group(
    "sessions",
    (
        Alert(
            "TausqlSessionsRefused",
            "critical",
            "1m",
            (Condition(" + ".join(worst("sum", f"rate({name}[5m])") for name in _REFUSED), "> 0"),),
            "Clients are turned away",
            "Frontends are at their limit of connections, or find no processor that takes a session.",
        ),
        Alert(
            "TausqlProcessorPoolExhausted",
            "warning",
            "5m",
            (
                Condition(
                    f"{worst('sum', 'tausql_processor_sessions')} / {worst('sum', 'tausql_processor_sessions_max')}",
                    "> 0.9",
                ),
            ),
            "{{ $value | humanizePercentage }} of all session slots are taken",
            "The pool has not grown with demand: new sessions will soon be refused.",
        ),
        Alert(
            "TausqlSessionMovesFail",
            "warning",
            "0s",
            (Condition(worst("sum", "increase(tausql_frontend_moves_failed_total[10m])"), "> 0"),),
            "Sessions could not be moved to another processor",
            "Their clients were disconnected, which they should never have noticed.",
        ),
    ),
)

PROCESSES = Group(
    "processes",
    (
        Alert(
            "TausqlNothingScraped",
            "critical",
            "2m",
            (Condition("(count(tausql_process_info) or vector(0))", "< 1"),),
            "No TauSQL process is scraped at all",
            "Either all is down, or Prometheus does not find it. No other alert can fire meanwhile.",
        ),
        Alert(
            "TausqlProcessNotReady",
            "warning",
            "5m",
            (Condition(worst("min", "tausql_process_ready", "process"), "< 1"),),
            "{{ $labels.process }} is not ready",
            "Its /readyz says why. Nobody sends it work.",
        ),
        Alert(
            "TausqlProcessRestarts",
            "warning",
            "0s",
            (Condition(worst("max", "changes(tausql_process_start_time_seconds[15m])", "process"), "> 2"),),
            "{{ $labels.process }} has started {{ $value }} times in a quarter of an hour",
            "A process leaves at once where an invariant breaks or a disk fails; its last log line says which.",
        ),
        Alert(
            "TausqlEventLoopLag",
            "warning",
            "10m",
            (
                Condition(
                    "histogram_quantile(0.9, sum by (cluster, namespace, process, le) "
                    "(rate(tausql_process_loop_lag_seconds_bucket[10m])))",
                    "> 0.1",
                ),
            ),
            "Timers of {{ $labels.process }} are {{ $value | humanizeDuration }} late",
            "It has more work than a core, or shares one with too many others. Everything it does waits as long.",
        ),
        Alert(
            "TausqlInternalErrors",
            "warning",
            "0s",
            (Condition(worst("sum", "increase(tausql_processor_internal_errors_total[15m])"), "> 0"),),
            "Statements failed for a defect of the server",
            "XX000 was answered {{ $value | humanize }} times. The processors' logs hold the traces.",
        ),
        Alert(
            "TausqlDiskNearlyFull",
            "warning",
            "5m",
            (Condition(_ROOM, "< 0.15"),),
            "{{ $value | humanizePercentage }} of the disk of {{ $labels.process }} is free",
            "A journal replica without room refuses appends; a storage replica stops to apply.",
        ),
        Alert(
            "TausqlFleetCertificateExpires",
            "warning",
            "1h",
            (
                Condition(
                    worst("min", "tausql_tls_certificate_expiry_timestamp_seconds - time()", "process"),
                    f"< {_TWO_WEEKS}",
                ),
            ),
            "The fleet's certificate at {{ $labels.process }} lasts {{ $value | humanizeDuration }} more",
            "It should have been renewed a month before its end. When it ends, processes cannot connect to each other.",
            elsewhere="a fleet on one machine talks without TLS",
        ),
        Alert(
            "TausqlEdgeCertificateExpires",
            "warning",
            "1h",
            (
                Condition(
                    worst("min", "tausql_frontend_certificate_expiry_timestamp_seconds - time()", "process"),
                    f"< {_TWO_WEEKS}",
                ),
            ),
            "The certificate that clients see at {{ $labels.process }} lasts {{ $value | humanizeDuration }} more",
            "When it ends, clients that verify it cannot connect.",
        ),
        Alert(
            "TausqlControlWatchStale",
            "warning",
            "2m",
            (Condition(worst("max", "tausql_control_watch_age_seconds", "process, resource"), "> 180"),),
            "{{ $labels.process }} has not heard of {{ $labels.resource }} for {{ $value | humanizeDuration }}",
            "The fleet goes on with the last map: pods that come are not found, pods that went are tried in vain.",
            elsewhere="a fleet on one machine has no control service",
        ),
        Alert(
            "TausqlRegionUnreachable",
            "warning",
            "5m",
            (Condition(worst("max", "tausql_control_peer_age_seconds", "region"), "> 60"),),
            "Control of region {{ $labels.region }} cannot be reached",
            "What it last said of its members still stands; changes there are not seen here.",
            elsewhere="a fleet on one machine has no control service",
        ),
    ),
)
