"""Who comes in: one decision for PostgreSQL, WebSocket and HTTP alike, and one place that counts and records it.

`check` looks at who a client is and what it may do; `enter` at whether there is room for one more session of its
cluster. They are two because a request over HTTP is checked every time and opens a session only now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.quotas import Quotas
from tausql.protocol.clusters import ClusterRecord, ConnectEvent
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import SessionStart
from tausql.runtime import logs

_TEXT_MAX = 1_024  # of what a stranger may put into the log of others

log = logs.get("frontend")


class Attempt(msgspec.Struct, frozen=True):
    """What a client says of itself, and how it came."""

    user: str
    database: str
    password: bytes  # its token
    client: str = ""  # address, for logs
    host: str = ""  # the name it connected to (SNI, or HTTP's Host without port); empty: it did not say
    cluster: str = ""  # identifier that it names besides; empty: none
    encrypted: bool = True  # it came under TLS


class Guest(msgspec.Struct, frozen=True):
    """Who may come in."""

    record: ClusterRecord
    user: str
    client: str = ""
    principal: str = ""  # ARN; empty: there was no token
    access_key_id: str = ""
    action: str = ""  # DbConnect or DbConnectAdmin
    mapped: str = ""  # ARN that must be mapped to `user`; empty: nobody asks

    def start(self, database: str, parameters: dict[str, str], encrypted: bool) -> SessionStart:
        """The session it gets."""
        record = self.record
        return SessionStart(
            self.user,
            database,
            parameters,
            self.client,
            encrypted,
            cluster=record.number,
            switches=record.switches,
            mapped=self.mapped,
        )


class Refusal(msgspec.Struct, frozen=True):
    """Who may not, as far as that is known, and what it is told."""

    error: SqlError
    cluster: str = ""
    principal: str = ""
    access_key_id: str = ""
    action: str = ""


class Doorkeeper(Protocol):
    """Knows people."""

    def admit(self, attempt: Attempt) -> Guest | Refusal: ...


class Audit(Protocol):
    """Where connect events go."""

    def record(self, event: ConnectEvent) -> None: ...


class Gate:
    """when_known: calls a function as soon as enough is known to decide. now_us: wall clock, for the audit log."""

    __slots__ = ("_audit", "_doorkeeper", "_metrics", "_now_us", "quotas", "when_known")

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        quotas: Quotas,
        metrics: FrontendMetrics,
        audit: Audit | None = None,
        now_us: Callable[[], int] | None = None,
        when_known: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._doorkeeper = doorkeeper
        self.quotas = quotas
        self._metrics = metrics
        self._audit = audit
        self._now_us = now_us
        self.when_known: Callable[[Callable[[], None]], None] = when_known or _at_once

    def check(self, attempt: Attempt) -> Guest | SqlError:
        """Whom this is, or the FATAL error to tell it."""
        found = self._doorkeeper.admit(attempt)
        if isinstance(found, Guest):
            return found
        return self.turn_away(found, attempt.user, attempt.client)

    def turn_away(self, found: Refusal, user: str, client: str) -> SqlError:
        """Count and record a refusal, also one that was decided elsewhere (a signed request). Returns its error."""
        error = found.error
        reason = error.hint or error.message
        self._metrics.authentications_failed += 1
        log.info(
            "client refused",
            client=client,
            user=user[:_TEXT_MAX],
            cluster=found.cluster,
            principal=found.principal,
            reason=reason[:_TEXT_MAX],
        )
        self._tell(found.cluster, found.principal, found.access_key_id, found.action, user, client, reason)
        return error

    def enter(self, guest: Guest) -> SqlError | None:
        """One more session, or the FATAL error to tell. Who was let in is to `leave` once."""
        error = self.quotas.enter(guest.record)
        if error is not None:
            if error.code is Code.too_many_connections:
                self._metrics.refused_full += 1
            else:
                self._metrics.refused_rate += 1
        self._tell(
            guest.record.identifier,
            guest.principal,
            guest.access_key_id,
            guest.action,
            guest.user,
            guest.client,
            "" if error is None else error.message,
        )
        return error

    def leave(self, guest: Guest) -> None:
        """A session of this guest has ended."""
        self.quotas.leave(guest.record.identifier)

    def _tell(
        self, cluster: str, principal: str, access_key_id: str, action: str, user: str, client: str, error: str
    ) -> None:
        if self._audit is not None and self._now_us is not None:
            now = self._now_us()
            event = (cluster, principal, access_key_id, action, user, client, error)
            self._audit.record(ConnectEvent(now, *(text[:_TEXT_MAX] for text in event)))


def _at_once(function: Callable[[], None]) -> None:
    function()
