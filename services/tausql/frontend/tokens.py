"""Connect tokens: which cluster, who, and whether that one may.

A token is a signed request that nobody ever sends. Everything it takes to check it is in the frontend's memory (the
clusters and the keys that control streams), so connecting asks nobody, and goes on while control is away.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.access.connect_tokens import Admitted, ConnectTokens, host_in
from tausql.frontend import refusals
from tausql.frontend.choosing import choose
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.gate import Attempt, Guest, Refusal
from tausql.protocol.clusters import CONNECTABLE
from tausql.protocol.errors import SqlError

_ADMIN = "admin"


class TokenDoorkeeper:
    """sni_required: without SNI, and without an identifier, nobody comes in. now: seconds since 1970."""

    __slots__ = ("_database", "_directory", "_now", "_sni_required", "_tokens")

    def __init__(
        self,
        directory: ClusterDirectory,
        tokens: ConnectTokens,
        database: str,
        now: Callable[[], float],
        *,
        sni_required: bool,
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._database = database
        self._now = now
        self._sni_required = sni_required

    def admit(self, attempt: Attempt) -> Guest | Refusal:
        token_host = host_in(attempt.password) or ""
        record = choose(self._directory, attempt.host, attempt.cluster, token_host, sni_required=self._sni_required)
        if isinstance(record, SqlError):
            return Refusal(record)
        found = self._tokens.check(
            attempt.password, record, attempt.user, attempt.client, self._now(), attempt.encrypted
        )
        if not isinstance(found, Admitted):
            return Refusal(found.error, record.identifier, found.principal, found.access_key_id, found.action)
        key = found.key
        error: SqlError | None = None
        if record.status not in CONNECTABLE:
            error = refusals.access_denied(f"The cluster cannot be connected to: it is {record.status}.")
        elif attempt.database != self._database:
            error = refusals.unknown_database(attempt.database)
        if error is not None:
            return Refusal(error, record.identifier, key.principal, key.access_key_id, found.action)
        mapped = "" if attempt.user == _ADMIN else key.mapped or key.principal  # never nobody
        return Guest(record, attempt.user, attempt.client, key.principal, key.access_key_id, found.action, mapped)
