"""The frontend's metrics: plain integers that the hot path adds to, read when scraped."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.runtime import metrics


class FrontendMetrics:
    __slots__ = (
        "authentications_failed",
        "cancels",
        "clients",
        "connections",
        "http_errors",
        "http_statements",
        "http_transactions",
        "plaintext_refused",
        "processors_known",
        "processors_lost",
        "protocol_violations",
        "received_bytes",
        "refused_full",
        "refused_no_processor",
        "relays",
        "sent_bytes",
        "sessions",
        "startups",
        "timeouts",
        "tls_failures",
    )

    def __init__(self) -> None:
        self.connections = 0
        self.startups = 0
        self.tls_failures = 0
        self.plaintext_refused = 0
        self.protocol_violations = 0
        self.timeouts = 0
        self.authentications_failed = 0
        self.refused_full = 0
        self.refused_no_processor = 0
        self.sessions = 0
        self.clients = 0
        self.relays = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.processors_known = 0
        self.processors_lost = 0
        self.cancels = 0
        self.http_statements = 0
        self.http_errors = 0
        self.http_transactions = 0

    def collect(self) -> Iterator[metrics.Family]:
        counter, gauge = metrics.counter, metrics.gauge
        yield counter("tausql_frontend_connections_total", "Connections accepted.", self.connections)
        yield gauge("tausql_frontend_startups", "Connections that have not given a password yet.", self.startups)
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
            "Connections closed because no password came in time.",
            self.timeouts,
        )
        yield counter(
            "tausql_frontend_authentications_failed_total",
            "Wrong users, passwords and databases.",
            self.authentications_failed,
        )
        yield counter(
            "tausql_frontend_refused_full_total", "Sessions refused above the limit of connections.", self.refused_full
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
            "Sessions that ended because the connection to their processor broke.",
            self.processors_lost,
        )
        yield counter("tausql_frontend_cancels_total", "Cancel requests passed on.", self.cancels)
        yield counter("tausql_frontend_http_statements_total", "Statements received over HTTP.", self.http_statements)
        yield counter(
            "tausql_frontend_http_errors_total", "HTTP SQL requests answered with an error.", self.http_errors
        )
        yield gauge("tausql_frontend_http_transactions", "HTTP transactions open now.", self.http_transactions)
