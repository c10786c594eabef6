"""Closing time: telling readers that nothing at or below a tau will follow.

A beat on every tick would be an idle fleet's whole cost; beats only with records would leave readers waiting whenever
nobody writes. So beats come with every majority and every 5 ms while something happens, once a second otherwise, and
a reader that waits nudges. Where nobody has written for a while, time is closed a little further ahead than commits
need: readers then wait (and nudge, and cost) less often, and the first writer after such a calm waits that bit longer.
A beat counts records in flight (`n`): those it closes over are assigned, not yet durable.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.adjudicator.judge import Judge
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.proposer import Proposer
from tausql.protocol.adjudicator import Beat
from tausql.protocol.tau import SHIFT, STREAM_MASK, TAU_MAX
from tausql.runtime.check import I4, I5, check
from tausql.runtime.fault_points import SKIP_A_BEAT, fault
from tausql.runtime.host import ClockUnsure, Host, Timer

BUSY_SECONDS = 0.1  # how long after something happened beats stay frequent
BUSY_INTERVAL_SECONDS = 0.005
IDLE_INTERVAL_SECONDS = 1.0
CALM_SECONDS = 0.1  # without a commit
CALM_LEAD_MICROS = 3_000


class Heartbeat:
    """Beats of one epoch, once `start` is called. `publish` gets each of them."""

    __slots__ = (
        "_busy_until",
        "_calm_from",
        "_host",
        "_judge",
        "_lead",
        "_proposer",
        "_publish",
        "_sent_at",
        "_slow",
        "_stream",
        "_timer",
        "beat",
        "ceiling",
        "closed",
        "running",
        "sent",
        "wanted",
    )

    def __init__(
        self, host: Host, stream: int, judge: Judge, proposer: Proposer, lead: Lead, publish: Callable[[Beat], None]
    ) -> None:
        self._host, self._stream, self._judge, self._proposer = host, stream, judge, proposer
        self._lead, self._publish = lead, publish
        self._timer: Timer | None = None
        self._slow = True  # the armed timer is the idle one
        self._busy_until = 0.0
        self._calm_from = 0.0
        self._sent_at = 0.0
        self.beat: Beat | None = None  # the newest
        self.closed = 0
        self.ceiling = TAU_MAX  # nothing is closed above it: where a planned handover ends
        self.wanted = 0  # somebody waits for this tau
        self.running = False
        self.sent = 0

    def start(self) -> None:
        self.running = True
        self.now()
        self._arm()

    def stop(self) -> None:
        self.running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def busy(self) -> None:
        """Something happens on this stream: beat often for a while."""
        self._busy_until = self._host.monotonic() + BUSY_SECONDS
        if self._slow and self.running:
            self._arm()

    def wrote(self) -> None:
        """A commit was given its tau, or a vote."""
        self._calm_from = self._host.monotonic() + CALM_SECONDS
        self.busy()

    def want(self, tau: int) -> None:
        """Somebody waits for `tau`. Answered at once as far as the limit goes, unless a beat that covers it is out."""
        if not self.running or tau <= self.closed:
            return
        if tau > self.wanted:
            self.wanted = tau
        self.busy()
        self.now()

    def now(self) -> None:
        """Close as much as may be closed now, and say so. Says nothing while the clock does not know the time."""
        if not self.running or fault(self._host, SKIP_A_BEAT):
            return
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            return
        judge, proposer = self._judge, self._proposer
        lead = self._lead.micros
        if lead < CALM_LEAD_MICROS and self._host.monotonic() >= self._calm_from:
            lead = CALM_LEAD_MICROS
        micros = max(latest + lead, judge.highest >> SHIFT, self.wanted >> SHIFT)
        tau = min(micros << SHIFT | STREAM_MASK, judge.limit, self.ceiling)
        if tau < judge.highest:
            return  # something was assigned above what may be closed: EpochStart, before its limit is usable
        beat = Beat(self._stream, proposer.epoch, proposer.log.last_seq, tau, proposer.commit_seq)
        if tau > judge.limit or tau < self.closed:
            check(I4, tau <= judge.limit, "a heartbeat above the limit", tau=tau, limit=judge.limit)
            check(I5, tau >= self.closed, "closed time would fall", tau=tau, closed=self.closed)
        judge.highest = tau
        self.closed = tau
        self.beat = beat
        self.sent += 1
        self._sent_at = self._host.monotonic()
        self._publish(beat)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = self._host.monotonic()
        self._slow = now >= self._busy_until
        interval = IDLE_INTERVAL_SECONDS if self._slow else BUSY_INTERVAL_SECONDS
        self._timer = self._host.later(max(self._sent_at + interval - now, 0.001), self._tick)

    def _tick(self) -> None:
        self._timer = None
        interval = IDLE_INTERVAL_SECONDS if self._slow else BUSY_INTERVAL_SECONDS
        if self._host.monotonic() - self._sent_at >= interval * 0.8:
            self.now()
        self._arm()
