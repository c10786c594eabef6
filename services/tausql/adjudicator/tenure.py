"""One epoch of one stream, from the grant to its end: everything that a holder does, put together.

A holder that outlives its epoch would be two holders. So all of an epoch's state lives in one object that is born with
the grant and, once lost or given up, answers what it owes and never speaks again; the next epoch starts from nothing.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from tausql.adjudicator.answers import Answers
from tausql.adjudicator.bounds import TenureLimits
from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.coordinator import Colleagues
from tausql.adjudicator.docket import Docket
from tausql.adjudicator.estate import Estate, EstateLimits, Surroundings
from tausql.adjudicator.heartbeat import Heartbeat
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.lookback import Lookback
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.outcomes import Outcomes, Recovered
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.proposer import Proposer, ProposerLimits
from tausql.adjudicator.roster import Roster
from tausql.adjudicator.schema import SchemaChanges
from tausql.adjudicator.settlement import Settlement
from tausql.adjudicator.takeover import Won
from tausql.protocol.adjudicator import (
    Aborted,
    Beat,
    Committed,
    Holding,
    Outcome,
    StreamSealed,
    Undecided,
)
from tausql.protocol.journal import EpochEnd, EpochStart, Kind
from tausql.protocol.tau import SHIFT, closing, micros_of
from tausql.runtime.fault_points import LATE_FLUSH, RESIGN, SHRINK_A_LIMIT, fault
from tausql.runtime.host import ClockUnsure, Host, Timer

_LOOKBACK_MICROS = 5_000_000  # read back at once: what may have been in flight at the takeover
_START_ROOM_MICROS = 100_000  # limit above EpochStart, where that lies further ahead than a limit usually would
_EXTENSIONS_MAX = 20  # in the time a limit lasts, however many commits and readers ask for a higher one
_SETTLING_SECONDS = 0.005  # how long a planned end waits for votes to settle, so often
_SETTLING_ROUNDS = 6
_OUTCOME_MARGIN_MICROS = 60_000_000  # verdicts outlive their deadline by so much
_encode = msgspec.msgpack.Encoder().encode


class Owner(Protocol):
    """Who is told what a tenure has to say."""

    def held(self, holding: Holding) -> None: ...

    def beaten(self, beat: Beat) -> None: ...

    def ended(self, tenure: Tenure, why: str) -> None:
        """The stream is lost or given up. Called once, last."""
        ...


class Tenure:
    """Holds `stream` under `epoch` from the moment `active` is True until `over` is."""

    __slots__ = (
        "_began",
        "_closable_at",
        "_ending_seq",
        "_flush_asked",
        "_flushed_seq",
        "_host",
        "_judge",
        "_limits",
        "_lookback",
        "_metrics",
        "_name",
        "_outcomes",
        "_owner",
        "_sealing",
        "_settlement",
        "_timer",
        "active",
        "answers",
        "docket",
        "ending",
        "epoch",
        "estate",
        "floor",
        "heartbeat",
        "lead",
        "over",
        "proposer",
        "sealed",
        "stream",
    )

    def __init__(
        self,
        host: Host,
        name: str,
        roster: Roster,
        stream: int,
        won: Won,
        lead: Lead,
        limits: TenureLimits,
        proposing: ProposerLimits,
        metrics: AdjudicatorMetrics,
        owner: Owner,
        colleagues: Colleagues,
        surroundings: Surroundings,
        owning: EstateLimits,
    ) -> None:
        self._host, self._name, self._limits, self._metrics, self._owner = host, name, limits, metrics, owner
        self.stream, self.epoch, self.floor, self.lead = stream, won.epoch, won.floor, lead
        self.active = False
        self.ending = False
        self.over = False
        self.sealed: StreamSealed | None = None  # it ended with the last record of the stream, on a majority
        self._sealing = won.sealed
        self._ending_seq = 0
        self._flush_asked = False
        self._flushed_seq = won.log.last_seq
        self._began = host.monotonic()
        self._closable_at = self._began
        self._timer: Timer | None = None
        recovered = Recovered(won.log.last_seq, won.log.trim_seq, won.last_tau)
        self.answers = Answers(host, metrics.answer_seconds.observe, metrics.commit_wait_seconds.observe)
        self._outcomes = Outcomes(limits.outcomes_max)
        self._judge = Judge(
            stream,
            won.floor,
            Owned(won.ownership.owned),
            lead,
            Conflicts(won.floor, limits.window_micros, limits.history_bytes_max),
            SchemaChanges(won.floor),
        )
        self.proposer = Proposer(
            host,
            roster,
            stream,
            won.epoch,
            won.log,
            won.readback,
            lead,
            proposing,
            self._committed,
            self._limit_rose,
            self.end,
            metrics,
        )
        self._lookback = Lookback(host, won.readback, recovered, self._holders)
        self._settlement = Settlement(host, self.proposer, self._outcomes, self._lookback)
        self.heartbeat = Heartbeat(host, stream, self._judge, self.proposer, lead, owner.beaten)
        self.docket = Docket(
            host,
            stream,
            won.epoch,
            self._judge,
            self.proposer,
            self._outcomes,
            self.answers,
            self.heartbeat,
            self._settlement,
            limits,
            metrics,
            colleagues,
            self._extend,
            self._flush_soon,
            self._voters,
        )
        self.estate = Estate(
            host,
            stream,
            won.ownership,
            self._judge,
            self.proposer,
            surroundings,
            owning,
            lambda: self.serving,
            lambda: self.docket.votes.highest_upper,
            self._changed,
            self._seal,
            self._extend,
            self._flush_soon,
        )

    # the epoch's beginning

    def begin(self) -> None:
        """Append EpochStart, with a limit above it. Ends at once while the clock does not know the time. Where the log
        is sealed only its last record is said again: that makes sure of it, and nothing else may follow."""
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            self.end("the clock is unsure")
            return
        judge, proposer = self._judge, self.proposer
        self._outcomes.horizon = (latest + self._limits.window_micros) << SHIFT
        tau = judge.next_tau(latest)
        judge.highest = tau
        proposer.ask(closing(max(latest + self._limits.limit_ahead_micros, micros_of(tau) + _START_ROOM_MICROS)))
        if self._sealing:
            self.ending = True
            self._ending_seq = proposer.enqueue(tau, Kind.epoch_end, _encode(EpochEnd(tau, True)))
            proposer.leaving = True
        else:
            start = EpochStart(self._name, self.floor, self.estate.current)
            proposer.enqueue(tau, Kind.epoch_start, _encode(start))
        self._flush_soon()
        self._timer = self._host.later(self._limits.limit_seconds_between, self._tick)

    @property
    def history_keys(self) -> int:
        """Conflict keys remembered."""
        return len(self._judge.conflicts)

    @property
    def holding(self) -> Holding:
        registered = self.estate.streams
        return Holding(
            self.stream,
            self.epoch,
            self.serving,
            self._judge.floor,
            self._judge.owned.ranges,
            tuple(one.stream for one in registered),
            tuple(one.start for one in registered),
        )

    @property
    def serving(self) -> bool:
        """May commits be judged here?"""
        return self.active and not self.ending and not self.over

    # requests

    def outcome(self, request: Outcome) -> Committed | Aborted | Undecided:
        """The truth about a transaction, as far as it is known here."""
        if not self.active or self.over:
            return Undecided()
        return self.docket.outcome(request, self._judge.floor)

    def nudge(self, tau: int) -> None:
        """Somebody waits for `tau`. A clock that runs far ahead may not push this stream's time beyond its limit."""
        if not self.serving or tau <= self.heartbeat.closed:
            return
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            return
        wanted = min(tau, closing(latest + self._limits.limit_ahead_micros))
        if wanted > self._judge.limit:
            self._extend(latest)
        self.heartbeat.want(wanted)

    # the journal's side

    def _committed(self, seq: int, tau: int) -> None:
        metrics = self._metrics
        if not self.active and self._sealing:
            self._finish()
            return
        if not self.active:
            self.active = True
            self.docket.open = not self.ending
            metrics.takeover_seconds.observe(self._host.monotonic() - self._began)
            self._owner.held(self.holding)
            self._lookback.want((micros_of(self.floor) - _LOOKBACK_MICROS) << SHIFT)
            self.heartbeat.start()
            self.estate.begin(self.proposer.start_seq)
        else:
            self.heartbeat.now()
        self.docket.durable(seq)
        self.estate.committed(seq)
        if self._ending_seq and seq >= self._ending_seq:
            self._finish()

    def _limit_rose(self, limit: int) -> None:
        self._judge.limit = limit
        self.docket.limit_rose()
        if self.heartbeat.wanted > self.heartbeat.closed:
            self.heartbeat.now()

    def _voters(self) -> frozenset[int]:
        """The other streams that must vote on a change of schema."""
        return frozenset(one.stream for one in self.estate.current.streams) - {self.stream}

    def _changed(self) -> None:
        """Other ranges are judged here, or there are other streams."""
        self._owner.held(self.holding)

    def _seal(self) -> None:
        self._sealing = True
        self.hand_over()

    def _holders(self) -> list[int]:
        start = self.proposer.start_seq
        return [replica.index for replica in self.proposer.replicas if replica.match >= start]

    def _flush_soon(self) -> None:
        if not self._flush_asked:
            self._flush_asked = True
            if fault(self._host, LATE_FLUSH):
                self._host.later(0.003, self._flush)
            else:
                self._host.soon(self._flush)

    def _flush(self) -> None:
        self._flush_asked = False
        last = self.proposer.log.last_seq
        if last > self._flushed_seq:
            self._metrics.batch_commits.observe(last - self._flushed_seq)
            self._flushed_seq = last
        self.proposer.flush()

    def _extend(self, latest: int) -> None:
        """Ask for a limit further ahead, should there be one to ask for."""
        ahead = self._limits.limit_ahead_micros
        if fault(self._host, SHRINK_A_LIMIT):
            ahead //= 10
        limit = closing(latest + ahead)
        if limit - self.proposer.asked > ahead // _EXTENSIONS_MAX << SHIFT:
            self.proposer.ask(limit)
            self._flush_soon()

    def _tick(self) -> None:
        """A few times a second: extend the limit, let go of the past, and resign if time cannot be closed."""
        self._timer = None
        if self.over:
            return
        if fault(self._host, RESIGN):
            self.end("resigned for no reason")
            return
        now = self._host.monotonic()
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            latest = 0
        if latest:
            if not self.ending:
                self._extend(latest)
            if self._judge.limit > closing(latest):
                self._closable_at = now
            self._prune(latest)
        if now - self._closable_at >= self._limits.resign_seconds:
            self.end("time could not be closed")
            return
        self._metrics.uncommitted = self.proposer.log.last_seq - self.proposer.commit_seq if self.active else 0
        self.lead.age(now)
        self._metrics.lead_micros = self.lead.micros
        self.estate.tick()
        if self.over:
            return
        self._timer = self._host.later(self._limits.limit_seconds_between, self._tick)

    def _prune(self, latest: int) -> None:
        self._metrics.votes_expired += self.docket.votes.expire(latest << SHIFT)
        self._judge.conflicts.prune(latest << SHIFT)
        self._judge.schema.forget(self._judge.conflicts.floor)
        self._outcomes.horizon = (latest + self._limits.window_micros) << SHIFT
        self._outcomes.prune(min(self.heartbeat.closed, (latest - _OUTCOME_MARGIN_MICROS) << SHIFT))
        self._lookback.recovered.forget((latest - self._limits.window_micros) << SHIFT)

    # the epoch's end

    def hand_over(self) -> None:
        """Take no more commits, append EpochEnd, and end once everything before it is answered."""
        if self.ending or self.over:
            return
        if not self.active:
            self.end("given up before it began")
            return
        self.ending = True
        self.docket.close()
        self._owner.held(self.holding)
        self._end_epoch(_SETTLING_ROUNDS)

    def _end_epoch(self, rounds: int) -> None:
        """Append EpochEnd; a moment later where that lets votes come to their end, above which the next epoch would
        have to start otherwise."""
        if self.over:
            return
        if rounds and len(self.docket.votes):
            self._host.later(_SETTLING_SECONDS, self._end_epoch, rounds - 1)
            return
        try:
            tau = self._judge.next_tau(self._host.clock.now().latest)
        except ClockUnsure:
            self.end("the clock is unsure")
            return
        if tau > self._judge.limit:
            self.end("given up without room for an end")  # the next epoch starts at the limit instead
            return
        self._judge.highest = tau
        self.heartbeat.ceiling = tau
        high = max(tau, self._judge.limit if self._sealing else self.docket.votes.highest_upper)
        self._ending_seq = self.proposer.enqueue(tau, Kind.epoch_end, _encode(EpochEnd(high, self._sealing)))
        self.proposer.leaving = True
        self._flush_soon()

    def _finish(self) -> None:
        """The end is on a majority: only answers wait for their time. The next holder may be there already; what it
        does to the log concerns these no more."""
        if self.over:
            return
        self.proposer.close()
        if len(self.answers):
            self._host.later(0.001, self._finish)
        else:
            if self._sealing:
                self.sealed = StreamSealed(self.stream, self.epoch, self._ending_seq, self._judge.highest)
            self.end("sealed" if self._sealing else "handed over")

    def end(self, why: str) -> None:
        """The stream is lost or given up: what is in flight becomes unresolved, everything else stops."""
        if self.over:
            return
        was_active = self.active
        self.over = True
        self.proposer.close()
        self.heartbeat.stop()
        self._lookback.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.docket.close()
        self.estate.close()
        self._metrics.unresolved += len(self.answers)
        self.answers.abandon()
        if was_active:
            self._owner.held(self.holding)
        self._owner.ended(self, why)
