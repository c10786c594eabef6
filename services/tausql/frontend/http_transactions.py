"""Transactions that HTTP clients hold open between requests.

HTTP has no connection to lose, so a client that goes away is only noticed by its silence: every transaction has a
timer that runs while no request uses it. The id is a secret of its own; it is not kept in any log.
"""

from __future__ import annotations

import secrets

from tausql.frontend.http_session import HttpSession
from tausql.frontend.metrics import FrontendMetrics
from tausql.protocol.errors import Code, SqlError
from tausql.runtime.host import Host, Timer


class _Held:
    __slots__ = ("busy", "session", "timer")

    def __init__(self, session: HttpSession) -> None:
        self.session = session
        self.busy = False
        self.timer: Timer | None = None


class Transactions:
    """Open transactions by id."""

    def __init__(self, host: Host, count_max: int, idle_seconds: float, metrics: FrontendMetrics) -> None:
        self._host = host
        self._count_max = count_max
        self._idle_seconds = idle_seconds
        self._metrics = metrics
        self._held: dict[str, _Held] = {}
        self._reserved = 0

    def reserve(self) -> None:
        """Make sure of a place before a session is opened for it; `add` or `release` gives it back. Raises SqlError
        53300."""
        if len(self._held) + self._reserved >= self._count_max:
            raise SqlError(Code.too_many_connections, "too many open transactions over HTTP")
        self._reserved += 1

    def release(self) -> None:
        self._reserved -= 1

    def add(self, session: HttpSession) -> str:
        """Keep a session that has begun its transaction. Returns its id."""
        self._reserved -= 1
        transaction = secrets.token_urlsafe(24)
        held = _Held(session)
        self._held[transaction] = held
        self._rest(transaction, held)
        return transaction

    def take(self, transaction: str) -> HttpSession:
        """The session, for one exchange; `give_back` or `drop` it. Raises SqlError 25P01, and 55000 while another
        request uses it."""
        held = self._held.get(transaction)
        if held is None:
            raise SqlError(
                Code.no_active_sql_transaction,
                "there is no such transaction",
                hint="It may have been committed or rolled back, also for want of use.",
            )
        if held.busy:
            raise SqlError(
                Code.object_not_in_prerequisite_state,
                "the transaction is busy with another request",
                hint="Send one request at a time within a transaction.",
            )
        held.busy = True
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
        return held.session

    def give_back(self, transaction: str) -> None:
        held = self._held.get(transaction)
        if held is not None:
            self._rest(transaction, held)

    def drop(self, transaction: str) -> None:
        """Forget it and end its session; what was not committed is rolled back."""
        held = self._held.pop(transaction, None)
        self._metrics.http_transactions = len(self._held)
        if held is not None:
            if held.timer is not None:
                held.timer.cancel()
            held.session.end()

    def drop_all(self) -> None:
        for transaction in list(self._held):
            self.drop(transaction)

    def __len__(self) -> int:
        return len(self._held)

    def _rest(self, transaction: str, held: _Held) -> None:
        held.busy = False
        held.timer = self._host.later(self._idle_seconds, self.drop, transaction)
        self._metrics.http_transactions = len(self._held)
