"""The frontend's metrics: plain integers that the hot path adds to, read when scraped."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.runtime import metrics

MOVES = ("lost", "drained")
OUTCOMES = ("committed", "aborted", "unknown")
MOVE_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class FrontendMetrics:
    __slots__ = (
        "answer_seconds",
        "authentications_failed",
        "cancels",
        "clients",
        "clusters",
        "connections",
        "connections_max",
        "controls_followed",
        "events_lost",
        "http_errors",
        "http_statements",
        "http_transactions",
        "move_seconds",
        "moves",
        "moves_failed",
        "outcomes",
        "plaintext_refused",
        "processors_known",
        "processors_lost",
        "protocol_violations",
        "received_bytes",
        "refused_full",
        "refused_no_processor",
        "refused_rate",
        "refused_unseen",
        "relays",
        "sent_bytes",
        "sessions",
        "sessions_immovable",
        "startups",
        "timeouts",
        "tls_failures",
        "transactions_lost",
    )

    def __init__(self) -> None:
        self.answer_seconds = metrics.Histogram(metrics.LATENCY_SECONDS)
        self.connections = 0
        self.connections_max = 0
        self.startups = 0
        self.tls_failures = 0
        self.plaintext_refused = 0
        self.protocol_violations = 0
        self.timeouts = 0
        self.authentications_failed = 0
        self.refused_full = 0
        self.refused_no_processor = 0
        self.refused_rate = 0
        self.refused_unseen = 0
        self.events_lost = 0
        self.sessions = 0
        self.clients = 0
        self.clusters = 0
        self.controls_followed = 0
        self.relays = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.processors_known = 0
        self.processors_lost = 0
        self.cancels = 0
        self.http_statements = 0
        self.http_errors = 0
        self.http_transactions = 0
        self.moves = dict.fromkeys(MOVES, 0)
        self.moves_failed = dict.fromkeys(MOVES, 0)
        self.move_seconds = metrics.Histogram(MOVE_SECONDS)
        self.sessions_immovable = 0
        self.transactions_lost = 0
        self.outcomes = dict.fromkeys(OUTCOMES, 0)

    def collect(self) -> Iterator[metrics.Family]:
        counter, gauge = metrics.counter, metrics.gauge
        yield counter("tausql_frontend_connections_total", "Connections accepted.", self.connections)
        yield gauge("tausql_frontend_connections_max", "Clients it takes at most.", self.connections_max)
        yield metrics.histogram(
            "tausql_frontend_answer_seconds",
            "From a relayed request to the end of its answer, the way to the processor included.",
            self.answer_seconds,
        )
        yield gauge("tausql_frontend_startups", "Connections that have not shown a token yet.", self.startups)
        yield counter(
            "tausql_frontend_tls_failures_total",
            "Connections lost in the TLS handshake, or with the wrong ALPN protocol.",
            self.tls_failures,
        )
        yield counter(
            "tausql_frontend_plaintext_refused_total",
            "Sessions refused because they asked for no TLS.",
            self.plaintext_refused,
        )
        yield counter(
            "tausql_frontend_protocol_violations_total",
            "Connections that sent bytes which are no PostgreSQL protocol before their session began.",
            self.protocol_violations,
        )
        yield counter(
            "tausql_frontend_authentication_timeouts_total",
            "Connections closed because no token came in time.",
            self.timeouts,
        )
        yield counter(
            "tausql_frontend_authentications_failed_total",
            "Wrong tokens, users, databases and clusters.",
            self.authentications_failed,
        )
        yield counter(
            "tausql_frontend_refused_full_total", "Sessions refused above the limit of connections.", self.refused_full
        )
        yield gauge("tausql_frontend_clusters", "Clusters it knows of.", self.clusters)
        yield gauge(
            "tausql_frontend_controls_followed",
            "1 while a control tells it of changes to clusters and keys, else 0.",
            self.controls_followed,
        )
        yield counter(
            "tausql_frontend_refused_rate_total",
            "Sessions refused because a cluster's came too fast.",
            self.refused_rate,
        )
        yield counter(
            "tausql_frontend_refused_unseen_total",
            "Connections closed before a byte of them was read, because too many strangers were waiting.",
            self.refused_unseen,
        )
        yield counter(
            "tausql_frontend_events_lost_total",
            "Connect events that found no room while control was away, and are missing from its audit log.",
            self.events_lost,
        )
        yield counter(
            "tausql_frontend_refused_no_processor_total",
            "Sessions refused because no processor could take them.",
            self.refused_no_processor,
        )
        yield counter("tausql_frontend_sessions_total", "Sessions begun.", self.sessions)
        yield gauge("tausql_frontend_clients", "Authenticated PostgreSQL clients connected now.", self.clients)
        yield gauge("tausql_frontend_relays", "Sessions relayed to a processor in another process now.", self.relays)
        yield counter(
            "tausql_frontend_received_bytes_total", "Bytes relayed from clients to processors.", self.received_bytes
        )
        yield counter("tausql_frontend_sent_bytes_total", "Bytes relayed from processors to clients.", self.sent_bytes)
        yield gauge("tausql_frontend_processors_known", "Processors whose load is known now.", self.processors_known)
        yield counter(
            "tausql_frontend_processors_lost_total",
            "Sessions whose processor went away without a farewell.",
            self.processors_lost,
        )
        yield counter("tausql_frontend_cancels_total", "Cancel requests passed on.", self.cancels)
        yield counter("tausql_frontend_http_statements_total", "Statements received over HTTP.", self.http_statements)
        yield counter(
            "tausql_frontend_http_errors_total", "HTTP SQL requests answered with an error.", self.http_errors
        )
        yield gauge("tausql_frontend_http_transactions", "HTTP transactions open now.", self.http_transactions)
        yield from self._moved()

    def _moved(self) -> Iterator[metrics.Family]:
        counter = metrics.counter
        for name, text, counts in (
            ("sessions_moved", "Sessions that went on with another processor.", self.moves),
            ("moves_failed", "Sessions that found no other processor in time.", self.moves_failed),
        ):
            by_reason: metrics.Labelled = {(reason,): count for reason, count in counts.items()}
            yield counter(f"tausql_frontend_{name}_total", text, by_reason, ("reason",))
        yield metrics.histogram(
            "tausql_frontend_move_seconds", "How long moved sessions were without a processor.", self.move_seconds
        )
        yield counter(
            "tausql_frontend_sessions_immovable_total",
            "Sessions that hold too much to be opened elsewhere.",
            self.sessions_immovable,
        )
        yield counter(
            "tausql_frontend_transactions_lost_total",
            "Transactions and statements that failed because their processor went away.",
            self.transactions_lost,
        )
        by_outcome: metrics.Labelled = {(outcome,): count for outcome, count in self.outcomes.items()}
        yield counter(
            "tausql_frontend_outcomes_total",
            "Commits under way when their processor went away, by what became of them.",
            by_outcome,
            ("outcome",),
        )
