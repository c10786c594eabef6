"""Transactions that HTTP clients hold open between requests.

HTTP has no connection to lose, so a client that goes away is only noticed by its silence: every transaction has a
timer that runs while no request uses it. The id is a secret of its own; it is not kept in any log.
"""

from __future__ import annotations

import secrets

from tausql.frontend.http_places import Places
from tausql.frontend.http_session import HttpSession
from tausql.frontend.metrics import FrontendMetrics
from tausql.protocol.errors import Code, SqlError
from tausql.runtime.host import Host, Timer

Owner = tuple[str, str, str]  # cluster, user, principal


class _Held:
    __slots__ = ("busy", "owner", "session", "timer")

    def __init__(self, session: HttpSession, owner: Owner) -> None:
        self.session = session
        self.owner = owner
        self.busy = False
        self.timer: Timer | None = None


class Transactions:
    """Open transactions by id."""

    def __init__(self, host: Host, count_max: int, idle_seconds: float, metrics: FrontendMetrics) -> None:
        self._host = host
        self._places = Places(count_max)
        self._idle_seconds = idle_seconds
        self._metrics = metrics
        self._held: dict[str, _Held] = {}

    def reserve(self, owner: Owner) -> None:
        """Make sure of a place before a session is opened for it: for `add`, or to `release`. Raises SqlError 53300."""
        if not self._places.take(owner[0]):
            raise SqlError(Code.too_many_connections, "too many open transactions over HTTP")

    def release(self, owner: Owner) -> None:
        self._places.give_back(owner[0])

    def add(self, session: HttpSession, owner: Owner) -> str:
        """Keep a session that has begun its transaction. Returns its id."""
        transaction = secrets.token_urlsafe(24)
        held = _Held(session, owner)
        self._held[transaction] = held
        self._rest(transaction, held)
        return transaction

    def take(self, transaction: str, owner: Owner) -> HttpSession:
        """The session, for one exchange; `give_back` or `drop` it. Raises SqlError 25P01, also for somebody else's, and
        55000 while another request uses it."""
        held = self._held.get(transaction)
        if held is None or held.owner != owner:
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
            self.release(held.owner)
            if held.timer is not None:
                held.timer.cancel()
            held.session.end()

    def drop_of(self, cluster: str) -> None:
        """Those of a cluster that is being deleted."""
        for transaction in [name for name, held in self._held.items() if held.owner[0] == cluster]:
            self.drop(transaction)

    def drop_all(self) -> None:
        for transaction in list(self._held):
            self.drop(transaction)

    def __len__(self) -> int:
        return len(self._held)

    def _rest(self, transaction: str, held: _Held) -> None:
        held.busy = False
        held.timer = self._host.later(self._idle_seconds, self.drop, transaction)
        self._metrics.http_transactions = len(self._held)
