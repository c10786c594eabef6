"""Sessions, and what faults do to them."""

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

ALONE = "a fleet on one machine has no control service"
ROOM = "sum(tausql_processor_sessions{%}) / sum(tausql_processor_sessions_max{%})"
MOVED = rate("tausql_frontend_sessions_moved_total", "reason")

SESSIONS = Board(
    "tausql-sessions",
    "TauSQL / Sessions",
    "Who is connected, where sessions run, how they move, and the pool of processors.",
    (
        Row(
            "Healthy?",
            (
                stat("Clients", "Authenticated PostgreSQL clients.", "sum(tausql_frontend_clients{%})"),
                stat(
                    "Room used", "Sessions, of what all processors take.", ROOM, "percentunit", steps=warned(0.7, 0.9)
                ),
                stat(
                    "Refused",
                    "Sessions turned away, a second: no room, or no processor.",
                    rate("tausql_frontend_refused_full_total")
                    + " + "
                    + rate("tausql_frontend_refused_no_processor_total"),
                    "ops",
                    steps=((None, "green"), (0.001, "red")),
                ),
                stat(
                    "Moved",
                    "Sessions that went to another processor, in the last hour.",
                    "sum(increase(tausql_frontend_sessions_moved_total{%}[1h]))",
                ),
                stat(
                    "Moves failed",
                    "In the last hour: these clients lost their session.",
                    "sum(increase(tausql_frontend_moves_failed_total{%}[1h]))",
                    steps=GOOD_IS_ZERO,
                ),
                stat(
                    "Processors known",
                    "By the frontend that knows least.",
                    "min(tausql_frontend_processors_known{%})",
                    steps=GOOD_IS_ONE,
                ),
            ),
        ),
        Row(
            "Clients",
            (
                graph(
                    "Clients by frontend",
                    "Authenticated PostgreSQL clients.",
                    ("sum by (process) (tausql_frontend_clients{%})", "{{process}}"),
                    stacked=True,
                ),
                graph(
                    "Connections",
                    "Accepted a second, by frontend.",
                    (rate("tausql_frontend_connections_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Room of frontends",
                    "Clients, and how many they take.",
                    ("sum(tausql_frontend_clients{%})", "clients"),
                    ("sum(tausql_frontend_connections_max{%})", "room"),
                ),
                graph(
                    "Not let in",
                    "A second.",
                    (rate("tausql_frontend_authentications_failed_total"), "wrong token"),
                    (rate("tausql_frontend_tls_failures_total"), "TLS failed"),
                    (rate("tausql_frontend_plaintext_refused_total"), "no TLS"),
                    (rate("tausql_frontend_protocol_violations_total"), "no PostgreSQL"),
                    (rate("tausql_frontend_authentication_timeouts_total"), "too slow"),
                    (rate("tausql_frontend_refused_full_total"), "too many"),
                    (rate("tausql_frontend_refused_rate_total"), "too fast"),
                    (rate("tausql_frontend_refused_no_processor_total"), "no processor"),
                    unit="ops",
                    stacked=True,
                ),
                graph(
                    "Relayed bytes",
                    "Through frontends.",
                    (rate("tausql_frontend_received_bytes_total"), "from clients"),
                    (rate("tausql_frontend_sent_bytes_total"), "to clients"),
                    unit="Bps",
                ),
                graph(
                    "SQL over HTTP",
                    "A second; transactions are those open now.",
                    (rate("tausql_frontend_http_statements_total"), "statements"),
                    (rate("tausql_frontend_http_errors_total"), "errors"),
                    ("sum(tausql_frontend_http_transactions{%})", "transactions"),
                ),
                graph(
                    "Beginning",
                    "Sessions begun a second; connections without a token yet.",
                    (rate("tausql_frontend_sessions_total"), "begun"),
                    ("sum(tausql_frontend_startups{%})", "waiting"),
                ),
                graph(
                    "Cancel requests",
                    "Passed on by frontends, and met by a running statement.",
                    (rate("tausql_frontend_cancels_total"), "passed on"),
                    (rate("tausql_processor_cancels_total"), "met"),
                    unit="ops",
                ),
                latency(
                    "Request at the frontend",
                    "A relayed request, the way to the processor included.",
                    "tausql_frontend_answer_seconds",
                ),
            ),
        ),
        Row(
            "Clusters, keys, change streams",
            (
                graph(
                    "Clusters",
                    "By status, as control has them.",
                    ("max by (status) (tausql_control_clusters{%})", "{{status}}"),
                    stacked=True,
                ),
                graph(
                    "Requests to the API",
                    "A second, by service and class of the answer.",
                    (rate("tausql_control_api_requests_total", "service, status"), "{{service}} {{status}}"),
                    unit="ops",
                ),
                latency("Answer of the API", "From a request's head to the end.", "tausql_control_api_request_seconds"),
                graph(
                    "Deleted, not yet removed",
                    "Clusters whose data is being removed; and keys removed a second.",
                    ("max(tausql_control_removals_waiting{%})", "clusters"),
                    (rate("tausql_control_removed_rows_total"), "keys removed"),
                ),
                graph(
                    "Audit log",
                    "Events a second.",
                    (rate("tausql_control_events_total"), "written"),
                    (rate("tausql_control_events_lost_total"), "lost by control"),
                    (rate("tausql_frontend_events_lost_total"), "lost by frontends"),
                    unit="ops",
                ),
                graph(
                    "Change streams",
                    "By status; and records that targets take a second.",
                    ("sum by (status) (tausql_changefeed_streams{%})", "{{status}}"),
                    (rate("tausql_changefeed_records_total"), "records"),
                ),
                graph(
                    "Change streams behind",
                    "The slowest of each process.",
                    ("max by (process) (tausql_changefeed_lag_seconds{%})", "{{process}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Processors",
            (
                graph(
                    "Sessions by processor",
                    "Attached now.",
                    ("sum by (process) (tausql_processor_sessions{%})", "{{process}}"),
                    stacked=True,
                ),
                graph(
                    "Sessions by state",
                    "In the words of pg_stat_activity.",
                    ("sum by (state) (tausql_processor_sessions_by_state{%})", "{{state}}"),
                    stacked=True,
                ),
                graph(
                    "Attached",
                    "A second, moved ones included.",
                    (rate("tausql_processor_sessions_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Pool",
                    "Processors wished for, there, and idle.",
                    ("max(tausql_control_processors_desired{%})", "wished for"),
                    ("max(tausql_control_processors_actual{%})", "there"),
                    ("max(tausql_control_idle_processors{%})", "idle"),
                    elsewhere=ALONE,
                ),
                graph(
                    "Members of the map",
                    "By service.",
                    ("max by (service) (tausql_control_members{%})", "{{service}}"),
                    elsewhere=ALONE,
                ),
                graph(
                    "Age of control's watch",
                    "Since the API server was last heard.",
                    ("max by (process, resource) (tausql_control_watch_age_seconds{%})", "{{process}} {{resource}}"),
                    unit="s",
                    elsewhere=ALONE,
                ),
            ),
        ),
        Row(
            "Moves",
            (
                graph("Moved", "Sessions a second, by reason.", (MOVED, "{{reason}}"), unit="ops"),
                graph(
                    "Lost",
                    "Processors gone: sessions that ended, transactions that were rolled back by it.",
                    (rate("tausql_frontend_processors_lost_total"), "sessions ended"),
                    (rate("tausql_frontend_moves_failed_total"), "moves failed"),
                    (rate("tausql_frontend_transactions_lost_total"), "transactions lost"),
                    unit="ops",
                ),
                graph(
                    "Time of a move",
                    "From the loss to the session being there again, p99.",
                    (quantile(0.99, "tausql_frontend_move_seconds"), "p99"),
                    unit="s",
                ),
                graph(
                    "Outcomes found",
                    "Commits in flight at a loss, by what became of them.",
                    (rate("tausql_frontend_outcomes_total", "outcome"), "{{outcome}}"),
                    unit="ops",
                ),
                graph(
                    "Immovable",
                    "Sessions a second that came to hold too much to be moved.",
                    (rate("tausql_frontend_sessions_immovable_total", "process"), "{{process}}"),
                    unit="ops",
                ),
            ),
        ),
    ),
)

CHAOS = Board(
    "tausql-chaos",
    "TauSQL / Chaos",
    "What faults do: every start of a process and every takeover is a mark on each graph.",
    (
        Row(
            "Healthy?",
            (
                stat(
                    "Processes ready",
                    "Share of all.",
                    "sum(tausql_process_ready{%}) / count(tausql_process_ready{%})",
                    "percentunit",
                    steps=((None, "red"), (0.8, "orange"), (1.0, "green")),
                ),
                stat(
                    "Young processes",
                    "Started in the last hour.",
                    "sum((time() - tausql_process_start_time_seconds{%}) < bool 3600)",
                ),
                stat("Takeovers", "In the last hour.", "sum(increase(tausql_adjudicator_takeovers_total{%}[1h]))"),
                stat(
                    "Errors but 40001",
                    "A second.",
                    rate("tausql_processor_errors_total", labels=',sqlstate!="40001"'),
                    "ops",
                    steps=((None, "green"), (0.001, "orange")),
                ),
                stat(
                    "Unknown outcomes",
                    "40003, in the last hour.",
                    'sum(increase(tausql_processor_errors_total{%,sqlstate="40003"}[1h]))',
                    steps=GOOD_IS_ZERO,
                ),
                stat(
                    "Invariants broken",
                    "Errors that are bugs of ours (XX000), in the last hour.",
                    "sum(increase(tausql_processor_internal_errors_total{%}[1h]))",
                    steps=GOOD_IS_ZERO,
                ),
            ),
        ),
        Row(
            "What clients notice",
            (
                graph(
                    "Transactions",
                    "A second. A gap is an outage.",
                    (rate("tausql_processor_commits_total"), "committed with writes"),
                    (rate("tausql_dsql_read_only_transactions_total"), "read only"),
                    unit="ops",
                    width=12,
                ),
                graph(
                    "Errors",
                    "By SQLSTATE: under faults 40001 and nothing else.",
                    (rate("tausql_processor_errors_total", "sqlstate"), "{{sqlstate}}"),
                    unit="ops",
                    width=12,
                    stacked=True,
                ),
                latency("Commit", "From sending a commit to its verdict.", "tausql_processor_commit_seconds"),
                latency("Read", "From a read's start to its answer.", "tausql_processor_read_seconds"),
                graph("Sessions moved", "A second, by reason.", (MOVED, "{{reason}}"), unit="ops"),
            ),
        ),
        Row(
            "What happens within",
            (
                Panel(
                    "Ready",
                    "What /readyz of each process says.",
                    (Query("max by (process) (tausql_process_ready{%})", "{{process}}"),),
                    kind="state-timeline",
                    width=12,
                    steps=GOOD_IS_ONE,
                ),
                graph(
                    "Age of processes",
                    "It falls to zero where one starts anew.",
                    ("time() - max by (process) (tausql_process_start_time_seconds{%})", "{{process}}"),
                    unit="s",
                    width=12,
                ),
                graph(
                    "Streams without a holder",
                    "Of what each processor knows.",
                    ("max by (process) (tausql_processor_unheld_streams{%})", "{{process}}"),
                ),
                graph(
                    "Read lag",
                    "Of the best replica of each key range.",
                    ("min by (shard) (tausql_storage_watermark_lag_seconds{%})", "{{shard}}"),
                    unit="s",
                ),
                graph(
                    "Journal replicas acknowledging",
                    "By stream.",
                    ("sum by (stream) (tausql_adjudicator_journal_acknowledging{%})", "{{stream}}"),
                ),
                graph(
                    "Connections lost",
                    "Between processes, a second.",
                    (rate("tausql_rpc_losses_total", "process"), "{{process}}"),
                    unit="ops",
                ),
                graph(
                    "Peers not connected",
                    "Addresses that a process tries to reach in vain.",
                    (
                        "sum by (process) (tausql_rpc_connected{%} == bool 0)",
                        "{{process}}",
                    ),
                ),
                graph(
                    "Calls in flight",
                    "Not answered yet, by process.",
                    ("sum by (process) (tausql_rpc_calls_in_flight{%})", "{{process}}"),
                ),
                graph(
                    "Hedged and failed reads",
                    "A second.",
                    (rate("tausql_processor_read_hedges_total"), "hedged"),
                    (rate("tausql_processor_read_failures_total"), "failed"),
                    unit="ops",
                ),
                graph(
                    "Lost answers of commits",
                    "Asked for at the next holder, a second.",
                    (rate("tausql_processor_outcomes_asked_total"), "asked"),
                    (rate("tausql_adjudicator_unresolved_total"), "in flight at a loss"),
                    unit="ops",
                ),
            ),
        ),
    ),
)
