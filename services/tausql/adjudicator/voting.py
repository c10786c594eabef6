"""Votes given: transactions that another stream decides, and whose keys are held back until it has.

Asking the others to wait, as a lock would, could deadlock two transactions that cross; so nothing waits. A key of a
pending transaction refuses whoever wants it (they may try again), and a vote binds for a fraction of a second only:
it names the highest tau the transaction may get. Past it the end need not be known any more. Either way out is safe:
what is told is recorded at its tau; what is not, as if it had committed at that highest tau, which refuses everybody
who could not have seen it.
"""

from __future__ import annotations

from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.schema import SchemaChanges
from tausql.protocol.adjudicator import Vote


class _Given:
    """One vote: the request, and the highest tau it allows."""

    __slots__ = ("request", "upper")

    def __init__(self, request: Vote, upper: int) -> None:
        self.request = request
        self.upper = upper


class Votes:
    """The votes of one epoch of one stream that have not come to an end."""

    __slots__ = ("_conflicts", "_count_max", "_pending", "_schema", "_settled")

    def __init__(self, conflicts: Conflicts, schema: SchemaChanges, count_max: int = 4096) -> None:
        self._conflicts = conflicts
        self._schema = schema
        self._count_max = count_max
        self._pending: dict[bytes, _Given] = {}
        self._settled = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, txn: bytes) -> bool:
        return txn in self._pending

    @property
    def room(self) -> bool:
        return len(self._pending) < self._count_max

    @property
    def highest_upper(self) -> int:
        """No transaction voted for here has, or will have, a tau above it. 0 = none was voted for."""
        return max(self._settled, max((one.upper for one in self._pending.values()), default=0))

    def give(self, request: Vote, upper: int) -> None:
        """Hold the keys of `request` back; they have just been found free. A repeated vote keeps the highest upper."""
        known = self._pending.get(request.txn)
        if known is not None:
            known.upper = max(known.upper, upper)
            return
        self._pending[request.txn] = _Given(request, upper)
        self._conflicts.reserve(request.txn, request.writes, request.shares)
        if request.changes:
            self._schema.reserve(request.low, request.changes)

    def settle(self, txn: bytes, tau: int) -> None:
        """The coordinator says that `txn` has committed at `tau`, or, 0, never will. Nothing if that is no news."""
        one = self._pending.pop(txn, None)
        if one is not None:
            self._let_go(one, tau)

    def expire(self, tau: int) -> int:
        """Stop waiting for the end of those whose upper is at or below `tau`; how many they were."""
        over = [txn for txn, one in self._pending.items() if one.upper <= tau]
        for txn in over:
            one = self._pending.pop(txn)
            self._let_go(one, one.upper)
        return len(over)

    def _let_go(self, one: _Given, tau: int) -> None:
        request = one.request
        self._conflicts.release(request.txn)
        if request.changes:
            self._schema.release(request.low, request.changes)
        if tau:
            self._settled = max(self._settled, tau)
            self._conflicts.record_voted(tau, request.writes, request.shares)
            if request.changes:
                self._schema.record(tau, request.low, request.changes)
