"""Settling what a client could not be told: what became of its transaction.

Two questions hide in one. Of this epoch's transactions the holder knows everything, except whether one it never saw is
still on its way: so asking decides. Of earlier epochs' it knows what the log says, once the log is read that far.
"""

from __future__ import annotations

from tausql.adjudicator.lookback import Lookback
from tausql.adjudicator.outcomes import Outcomes, Verdict
from tausql.adjudicator.proposer import Proposer
from tausql.protocol.adjudicator import Aborted, Committed, Outcome, Reason, Undecided
from tausql.protocol.tau import SHIFT
from tausql.runtime.host import ClockUnsure, Host


class Settlement:
    """Answers outcome calls of one epoch, from the moment its EpochStart is committed."""

    __slots__ = ("_host", "_lookback", "_outcomes", "_proposer")

    def __init__(self, host: Host, proposer: Proposer, outcomes: Outcomes, lookback: Lookback) -> None:
        self._host, self._proposer, self._outcomes, self._lookback = host, proposer, outcomes, lookback

    def settle(self, request: Outcome, floor: int) -> Committed | Aborted | Undecided:
        """Never changes its answer, but from `Undecided`. `floor` goes with an abort, for the next attempt."""
        if request.epoch > self._proposer.epoch:
            return Undecided()  # somebody else's epoch: this one is over and does not know it yet
        if request.epoch == self._proposer.epoch:
            verdict = self._of_this_epoch(request)
        else:
            verdict = self._of_an_earlier_epoch(request, floor)
        if verdict is None:
            return Undecided()
        if isinstance(verdict, Aborted):
            return verdict
        return Committed(verdict) if self._told(verdict) else Undecided()

    def _of_this_epoch(self, request: Outcome) -> Verdict | None:
        verdict = self._outcomes.verdicts.get(request.txn)
        if verdict is None and request.deadline > self._outcomes.forgotten:
            # Should the commit still be on its way, it finds this. Not `not_holder`: this process does hold the epoch.
            verdict = Aborted(Reason.overloaded)
            self._outcomes.remember(request.txn, request.deadline, verdict)
        return verdict

    def _of_an_earlier_epoch(self, request: Outcome, floor: int) -> Verdict | None:
        recovered = self._lookback.recovered
        verdict = recovered.taus.get(request.txn)
        if verdict is None:
            if recovered.covers(request.tau_start):
                return Aborted(Reason.not_holder, floor)
            self._lookback.want(request.tau_start)
        return verdict

    def _told(self, tau: int) -> bool:
        """Is `tau`, assigned in this epoch or adopted by it, on a majority and in the past of every clock?"""
        try:
            earliest = self._host.clock.now().earliest
        except ClockUnsure:
            return False
        return tau <= self._proposer.commit_tau and tau >> SHIFT < earliest
