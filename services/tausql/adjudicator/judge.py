"""The verdict on one commit: may it, and at which tau.

Check, assign and record happen in one synchronous step. With an `await` between them two commits could both pass the
check and both be written; with a lock instead, every commit would wait for the one before it. What is recorded counts
at once, before it is durable: should the append fail, the stream is lost with everything this judge knows.
"""

from __future__ import annotations

from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.schema import SchemaChanges
from tausql.protocol.adjudicator import Aborted, Commit, Reason, Vote, Voted
from tausql.protocol.tau import SHIFT, TAU_MAX
from tausql.runtime.check import I4, I6, I12, check

VOTE_MICROS = 300_000  # how far ahead of now a vote reaches: rounds take milliseconds, and a moved range waits it out
VOTE_MICROS_MIN = 50_000  # what is not worth voting for: wait for a higher limit


class Judge:
    """Judges for one stream under one epoch. `highest`: every tau assigned, closed or started from is at or below it.
    `limit`: the highest tau it may assign, durable on a majority."""

    __slots__ = ("_lead", "_stream", "conflicts", "highest", "limit", "owned", "schema")

    def __init__(
        self, stream: int, highest: int, owned: Owned, lead: Lead, conflicts: Conflicts, schema: SchemaChanges
    ) -> None:
        self._stream = stream
        self._lead = lead
        self.highest = highest
        self.limit = 0
        self.owned = owned
        self.conflicts = conflicts
        self.schema = schema

    @property
    def floor(self) -> int:
        """Transactions that started at or below it are refused."""
        return max(self.conflicts.floor, self.schema.floor)

    def judge(self, request: Commit, latest: int, lower: int = 0, upper: int = TAU_MAX) -> int | Aborted | None:
        """The tau `request` commits at, recorded; or why it does not; or None: judge it again under a higher limit.

        `latest` is the clock's, in microseconds; `lower` and `upper` are what the votes of other streams leave. Nothing
        is recorded unless a tau is given."""
        tau_start = request.tau_start
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        tau = self.next_tau(latest, max(tau_start, lower - 1) if lower else tau_start)
        if tau > request.deadline:
            return Aborted(Reason.deadline)
        if tau > upper:
            return Aborted(Reason.votes)
        if tau > self.limit:
            return None
        if tau <= self.highest or tau <= tau_start:
            check(I12, tau > self.highest, "a tau would fall", tau=tau, highest=self.highest)
            check(I6, tau > tau_start, "a commit at or before its snapshot", tau=tau, tau_start=tau_start)
        self.highest = tau
        self.conflicts.record(tau, request.writes, request.shares)
        if request.changes:
            self.schema.record(tau, request.low, request.changes)
        return tau

    def vote(self, request: Vote, latest: int) -> Voted | Aborted | None:
        """What another stream may do as far as the keys of this one are concerned; None: ask again under a higher
        limit.

        Taus given out here need not lie below it: nobody of that time wrote these keys, and what is closed here is
        this stream only. A change of schema must: whoever relies on the schema was given his tau before the vote, and
        is refused after it. It may get any tau this stream could give."""
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        now = latest << SHIFT
        if request.changes:
            lower, upper = max(self.highest, request.tau_start) + 1, self.limit
        else:
            lower, upper = request.tau_start + 1, min(self.limit, max(now, request.tau_start) + (VOTE_MICROS << SHIFT))
        if upper < max(lower, now) + (VOTE_MICROS_MIN << SHIFT):
            return None
        check(I4, upper <= self.limit, "a vote above the limit", upper=upper, limit=self.limit)
        return Voted(lower, upper)

    def refusal(self, request: Commit | Vote) -> Aborted | None:
        """Why `request` may not commit as far as this stream's keys are concerned; None: it may."""
        tau_start = request.tau_start
        writes, shares = request.writes, request.shares
        conflicts, schema = self.conflicts, self.schema
        stranger = self.owned.stranger(writes) or self.owned.stranger(shares)
        if stranger is not None:
            return Aborted(Reason.wrong_shard, 0, stranger)
        if self.owned.floored:
            floor = max(self.owned.floor(writes), self.owned.floor(shares))
            if tau_start <= floor:
                return Aborted(Reason.floor, max(floor, self.floor))
        if tau_start <= conflicts.floor or tau_start <= schema.floor:
            return Aborted(Reason.floor, self.floor)
        if schema.find(tau_start, request.low, request.schema) is not None:
            return Aborted(Reason.schema)
        key = conflicts.find(request.txn, tau_start, writes, shares)
        return Aborted(Reason.conflict, 0, key) if key is not None else None

    def next_tau(self, latest: int, tau_start: int = 0) -> int:
        """The lowest tau of this stream above everything before it and `tau_start`, and not before now plus lead."""
        micros = latest + self._lead.micros
        above = (self.highest >> SHIFT) + 1
        if micros < above:
            micros = above
        above = (tau_start >> SHIFT) + 1
        if micros < above:
            micros = above
        return micros << SHIFT | self._stream
