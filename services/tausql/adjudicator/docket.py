"""What is asked of one epoch of one stream: commits to judge, votes to give, outcomes to tell.

Every request ends in exactly one answer, whatever becomes of the epoch, and nobody is told "aborted" of what may still
be committed. So whatever is judged is remembered by its transaction, whatever waits (for a limit, for votes) is
listed here, and when the epoch ends all of that is refused in one go: it was never enqueued, and no other epoch may
judge it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tausql.adjudicator.answers import Answers
from tausql.adjudicator.bounds import TenureLimits, too_large
from tausql.adjudicator.coordinator import Colleagues, Coordinator, Round
from tausql.adjudicator.heartbeat import Heartbeat
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.load import Load
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.outcomes import Outcomes
from tausql.adjudicator.proposer import Proposer
from tausql.adjudicator.schema import cluster_of
from tausql.adjudicator.settlement import Settlement
from tausql.adjudicator.voting import Votes
from tausql.adjudicator.waiting import Waiting
from tausql.protocol.adjudicator import (
    Aborted,
    Commit,
    Committed,
    Outcome,
    Reason,
    Settle,
    Transaction,
    Undecided,
    Unresolved,
    Vote,
    Voted,
)
from tausql.protocol.journal import Epoch, Kind
from tausql.rpc.interface import Reply
from tausql.runtime.fault_points import LOSE_A_SETTLE, REFUSE_A_VOTE, fault
from tausql.runtime.host import ClockUnsure, Host

_encode = msgspec.msgpack.Encoder().encode


class _Waiting(NamedTuple):
    """Something that needs a higher limit."""

    request: Commit | Vote
    reply: Reply
    round: Round | None = None  # votes are there, and only the decision waits


class Docket:
    """Judges while `open`. `extend(latest)`: a higher limit is needed. `flush()`: something was enqueued. `voters()`:
    every registered stream but this one, as far as this one knows (stream 0 does)."""

    __slots__ = (
        "_answers",
        "_extend",
        "_flush",
        "_heartbeat",
        "_host",
        "_judge",
        "_limits",
        "_metrics",
        "_outcomes",
        "_proposer",
        "_settlement",
        "_voters",
        "_waiting",
        "coordinator",
        "epoch",
        "load",
        "open",
        "stream",
        "votes",
    )

    def __init__(
        self,
        host: Host,
        stream: int,
        epoch: Epoch,
        judge: Judge,
        proposer: Proposer,
        outcomes: Outcomes,
        answers: Answers,
        heartbeat: Heartbeat,
        settlement: Settlement,
        limits: TenureLimits,
        metrics: AdjudicatorMetrics,
        colleagues: Colleagues,
        extend: Callable[[int], None],
        flush: Callable[[], None],
        voters: Callable[[], frozenset[int]],
    ) -> None:
        self._host, self.stream, self.epoch = host, stream, epoch
        self._judge, self._proposer, self._outcomes = judge, proposer, outcomes
        self._answers, self._heartbeat, self._settlement = answers, heartbeat, settlement
        self._limits, self._metrics = limits, metrics
        self._extend, self._flush, self._voters = extend, flush, voters
        self._waiting: Waiting[_Waiting] = Waiting(limits.waiting_max)
        self.open = False
        self.load = Load()
        self.votes = Votes(judge.conflicts, judge.schema, limits.waiting_max)
        self.coordinator = Coordinator(stream, epoch, colleagues, self._decide, self._refuse_round, limits.waiting_max)

    # requests

    def commit(self, request: Commit, reply: Reply) -> None:
        """Judge `request`, sent for this epoch. Check, assign and enqueue happen before this returns, or never did;
        where several streams are concerned, when the last vote is there."""
        if not self.open or request.epoch != self.epoch:
            self._refuse(request, reply, Aborted(Reason.not_holder))
            return
        verdict = self._outcomes.verdicts.get(request.txn)
        if verdict is not None or request.deadline <= self._outcomes.forgotten:
            reply.answer(verdict if isinstance(verdict, Aborted) else Unresolved())
            return
        proposer = self._proposer
        if not proposer.room or too_large(request):
            self._refuse(request, reply, Aborted(Reason.overloaded))
            return
        if proposer.full:
            self._refuse(request, reply, Aborted(Reason.full))
            return
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            self._refuse(request, reply, Aborted(Reason.overloaded))
            return
        if request.parts or request.changes:
            self._coordinate(request, reply)
            return
        monotonic = self._host.monotonic
        began = monotonic()
        tau = self._judge.judge(request, latest)
        self._metrics.judge_seconds.observe(monotonic() - began)
        if tau.__class__ is int:
            self._enqueue(request, tau, reply)
        elif tau is not None:
            self._refuse(request, reply, tau)  # type: ignore[arg-type]  # not an int: an Aborted
        else:
            self._wait(_Waiting(request, reply), latest)

    def vote(self, request: Vote, reply: Reply) -> None:
        """Say what another stream may do with the keys of this one."""
        if not self.open or request.coordinator == self.stream:
            reply.answer(Aborted(Reason.not_holder))
            return
        if not self.votes.room or fault(self._host, REFUSE_A_VOTE):
            reply.answer(Aborted(Reason.overloaded))
            return
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            reply.answer(Aborted(Reason.overloaded))
            return
        verdict = self._judge.vote(request, latest)
        if verdict is None:
            self._wait(_Waiting(request, reply), latest)
            return
        if isinstance(verdict, Voted):
            self._metrics.votes_given += 1
            self.votes.give(request, verdict.upper)
            if request.writes:
                self.load.note(request.writes)
            self._heartbeat.wrote()  # time closed far ahead is what the transaction would have to wait for
        else:
            self._metrics.votes_refused += 1
        reply.answer(verdict)

    def settle(self, verdict: Settle) -> None:
        """A coordinator says what became of a transaction that was voted for."""
        if not fault(self._host, LOSE_A_SETTLE):
            self.votes.settle(verdict.txn, verdict.tau)

    def outcome(self, request: Outcome, floor: int) -> Committed | Aborted | Undecided:
        """The truth about a transaction, as far as it is known here."""
        if request.txn in self.coordinator or any(one.request.txn == request.txn for one in self._waiting):
            return Undecided()
        return self._settlement.settle(request, floor)

    # several streams

    def _coordinate(self, request: Commit, reply: Reply) -> None:
        """The first half: nothing is held back here until all votes are there; what is refused anyway asks nobody."""
        refusal = self._incomplete(request) or self._judge.refusal(request)
        if refusal is None and not self.coordinator.room:
            refusal = Aborted(Reason.overloaded)
        if refusal is not None:
            self._refuse(request, reply, refusal)
        elif request.parts:
            self._metrics.rounds += 1
            self.coordinator.begin(request, reply)
        else:
            self._decide(Round(request, reply))

    def _incomplete(self, request: Commit) -> Aborted | None:
        """A change of schema concerns every stream there is, and only stream 0 knows which."""
        if request.changes and (self.stream or not self._voters() <= {part.stream for part in request.parts}):
            return Aborted(Reason.wrong_shard)
        return None

    def _decide(self, one: Round) -> None:
        """All votes are there: check, assign and enqueue, in one step."""
        request = one.request
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            self._refuse_round(one, Aborted(Reason.overloaded))
            return
        incomplete = self._incomplete(request)
        tau = incomplete if incomplete is not None else self._judge.judge(request, latest, one.lower, one.upper)
        if isinstance(tau, int):
            seq = self._enqueue(request, tau, one.reply)
            self.coordinator.committed(one, seq, tau)
        elif tau is not None:
            self._refuse_round(one, tau)
        else:
            self._wait(_Waiting(request, one.reply, one), latest)

    def _refuse_round(self, one: Round, aborted: Aborted) -> None:
        self.coordinator.aborted(one)
        self._refuse(one.request, one.reply, aborted)

    # what becomes of them

    def _enqueue(self, request: Commit, tau: int, reply: Reply) -> int:
        writes, shares = request.writes, request.shares
        if writes:
            self.load.note(writes)
        for part in request.parts:
            writes, shares = writes + part.writes, shares + part.shares
        payload = _encode(
            Transaction(
                request.txn,
                request.tau_start,
                writes,
                shares,
                request.changes,
                request.low,
                request.high,
                request.body,
            )
        )
        seq = self._proposer.enqueue(tau, Kind.transaction, payload)
        self._outcomes.remember(request.txn, request.deadline, tau)
        self._answers.hold(seq, tau, reply)
        self._metrics.commits += 1
        self._heartbeat.wrote()
        self._flush()
        return seq

    def _refuse(self, request: Commit, reply: Reply, aborted: Aborted) -> None:
        self._metrics.aborts[aborted.reason] += 1
        if self.open and request.epoch == self.epoch and request.txn not in self._outcomes.verdicts:
            self._outcomes.remember(request.txn, request.deadline, aborted)
        reply.answer(aborted)

    def _wait(self, one: _Waiting, latest: int) -> None:
        request = one.request
        keys = request.writes or request.shares
        crowded_out = self._waiting.add(cluster_of(keys[0]) if keys else 0, one)
        if crowded_out is not one:
            self._metrics.waited_for_limit += 1
            self._extend(latest)
        if crowded_out is None:
            return
        if crowded_out.round is not None:
            self._refuse_round(crowded_out.round, Aborted(Reason.overloaded))
        else:
            self._turn_away(crowded_out, Aborted(Reason.overloaded))

    def limit_rose(self) -> None:
        """Judge again what needed a higher limit."""
        if not self._waiting:
            return
        for one in self._waiting.take():
            if one.round is not None:
                if one.request.txn in self.coordinator or not one.round.asked:
                    self._decide(one.round)
            elif isinstance(one.request, Commit):
                self.commit(one.request, one.reply)
            else:
                self.vote(one.request, one.reply)

    def durable(self, seq: int) -> None:
        """Everything up to `seq` is on a majority."""
        self.coordinator.durable(seq)
        self._answers.committed(seq)

    def close(self) -> None:
        """Take nothing more, and refuse whatever was never enqueued."""
        self.open = False
        waiting = self._waiting.take()
        rounds = self.coordinator.abandon()
        for one in rounds:
            self._refuse(one.request, one.reply, Aborted(Reason.not_holder))
        for waiter in waiting:
            if waiter.round is None or not waiter.round.asked:
                self._turn_away(waiter, Aborted(Reason.not_holder))

    def _turn_away(self, one: _Waiting, aborted: Aborted) -> None:
        if isinstance(one.request, Commit):
            self._refuse(one.request, one.reply, aborted)
        else:
            one.reply.answer(aborted)
