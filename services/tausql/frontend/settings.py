"""The frontend's settings, from `TAUSQL_FRONTEND_...` in the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class FrontendSettings(ServiceSettings):
    model_config = settings_for("FRONTEND")

    listen: str = Field(
        default="127.0.0.1:5432",
        description="`host:port` for PostgreSQL clients; port 0 takes a free one. Loopback by default: reaching "
        "further is a decision, not a default. 5432 is what clients of Aurora DSQL use.",
    )
    listen_fd: int | None = Field(
        default=None,
        description="An inherited descriptor that already listens, instead of `listen`: lets several frontends share "
        "one socket, or a supervisor hold the port over restarts. None: open our own.",
    )
    reuse_port: bool = Field(
        default=False,
        description="SO_REUSEPORT: several frontends listen on the same port and the kernel spreads connections. Off: "
        "a second one by mistake must fail instead of taking half the clients.",
    )
    websocket_listen: str = Field(
        default="",
        description="`host:port` for PostgreSQL's protocol over WebSocket with TLS; empty: none. 443 is where the "
        "Postgres.js connector of Aurora DSQL looks for it.",
    )
    backlog: int = Field(
        default=4096,
        ge=1,
        description="Connections the kernel holds for us: a burst of clients at start. The kernel's own limit "
        "(net.core.somaxconn) is 4096, too.",
    )
    tls: Literal["required", "optional"] = Field(
        default="required",
        description="`optional` also lets plaintext sessions in, for load generators without TLS on loopback. Aurora "
        "DSQL refuses plaintext, so we do.",
    )
    sni: Literal["required", "optional"] = Field(
        default="required",
        description="`optional` lets clients in that connect to an address and so send no SNI: their cluster is then "
        "the one their token was made for. On one machine; Aurora DSQL requires it, so we do.",
    )
    known_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a connection waits for control's first word on clusters and keys, after our own start. "
        "Below `authentication_seconds`. Then it is refused.",
    )
    tls_dir: str = Field(
        default="",
        description="Folder of a given certificate (a mounted Secret): tls.crt, tls.key and, for the status page, "
        "ca.crt. Used as they are and looked at every 10 s. Empty: one of our own, in `certificate_directory`.",
    )
    certificate_directory: str = Field(
        default="",
        description="Folder of ca.pem, server.pem and their keys, made at first start. Empty: `tls` in the service's "
        "own directory. Frontends that share a name must share this folder, or clients see two authorities.",
    )
    certificate_names: tuple[str, ...] = Field(
        default=(),
        description="More host names or addresses for the certificate, besides localhost and the DSQL names.",
    )
    user: str = Field(default="admin", description="The user of requests that name none: Aurora DSQL's first one.")
    database: str = Field(default="postgres", description="The one database. Aurora DSQL's has this name.")
    connections_max: int = Field(
        default=10_000,
        ge=1,
        description="Client sessions at once, 53300 above. Aurora DSQL's default for a cluster. One takes a file "
        "descriptor, two where its processor is elsewhere: what there are not enough of for is refused, too.",
    )
    startups_max: int = Field(
        default=256,
        ge=1,
        description="Connections not yet authenticated that are talked to at once. Four times as many wait for their "
        "turn, fairly by address, and the kernel's backlog holds the rest: a burst waits instead of failing, and the "
        "event loop is not buried in handshakes.",
    )
    authentication_seconds: float = Field(
        default=30.0,
        gt=0,
        description="From accept to token, then the connection is closed. Below PostgreSQL's minute.",
    )
    write_buffer_bytes: int = Field(
        default=256 * 1024,
        ge=4096,
        description="Answers held for a client that reads slowly before its session is paused. Several socket "
        "buffers: enough to keep a fast client busy, 2.5 GiB at 10,000 stalled clients.",
    )
    processor_connect_seconds: float = Field(
        default=2.0,
        gt=0,
        description="To reach a session port before another is tried; a pod network answers in 1 ms.",
    )
    processor_attempts: int = Field(
        default=3, ge=1, description="Processors tried for a session: one in each of three zones."
    )
    move_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a session that lost its processor may be without one: a pod is scheduled and warm in "
        "less. Then its client is disconnected.",
    )
    moves_max: int = Field(
        default=64,
        ge=1,
        description="Sessions looking for another processor at once; the others wait for their turn. A processor takes "
        "some thousand sessions a second, so 2,000 of them are moved in a second or two.",
    )
    outcome_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long another processor may take to find out what became of a commit before the next is asked. "
        "Above `TAUSQL_PROCESSOR_OUTCOME_SECONDS` and the commit's own 5 s.",
    )
    drain_grace_seconds: float = Field(
        default=5.0,
        ge=0,
        description="How long sessions inside a transaction may go on once we drain. Below `TAUSQL_DRAIN_SECONDS`, so "
        "that what is left is told why it is ended.",
    )
    http_body_bytes_max: int = Field(
        default=10 * 1024 * 1024,
        ge=1024,
        description="Body of an HTTP SQL request, 413 above. A protocol message's limit.",
    )
    http_rows_max: int = Field(
        default=10_000,
        ge=1,
        description="Rows of an HTTP SQL answer, 54000 above: an answer is held in memory as a whole.",
    )
    http_result_bytes_max: int = Field(
        default=16 * 1024 * 1024,
        ge=1024,
        description="Bytes of an HTTP SQL answer's values, 54000 above. For the same reason.",
    )
    http_statement_seconds: float = Field(
        default=60.0, gt=0, description="A statement over HTTP is cancelled after this. Common proxies wait a minute."
    )
    http_statements_max: int = Field(
        default=256, ge=1, description="HTTP SQL requests served at once, 53300 above: 16 MiB of result each at worst."
    )
    http_kept_seconds: float = Field(
        default=5.0,
        ge=0,
        description="How long the session of a statement over HTTP waits for the next one of its owner: opening one is "
        "most of a small statement's time, and counts for the cluster's rate of connections. 0: each opens its own.",
    )
    http_transactions_max: int = Field(
        default=256, ge=1, description="Open HTTP transactions, 53300 above. Each holds a session of a processor."
    )
    http_transaction_idle_seconds: float = Field(
        default=60.0,
        gt=0,
        description="An HTTP transaction without a request for this long is rolled back: HTTP cannot tell that a "
        "client has gone. Well below the 5 minutes any transaction may last.",
    )
