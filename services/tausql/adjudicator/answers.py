"""Answers that wait: nothing is said before its time.

A commit may be told when it is on a majority *and* its tau has passed on every clock. Told earlier, a client could
begin its next transaction elsewhere with a snapshot below the commit it just saw acknowledged (I9). Commits rise in
tau as in seq, so one queue and one timer, for its head, are enough however many clients wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tausql.protocol.adjudicator import Committed, Unresolved
from tausql.protocol.tau import SHIFT
from tausql.rpc.interface import Reply
from tausql.runtime.check import I9, check
from tausql.runtime.host import ClockUnsure, Host, Timer

_UNSURE_SECONDS = 0.005  # how often to look at a clock that knows nothing
_ERROR_ALLOWANCE = 2e-6


class Answers:
    """Commits of one epoch whose clients wait, in tau order."""

    __slots__ = ("_committed_seq", "_host", "_observe_answer", "_observe_wait", "_queue", "_settled", "_timer", "told")

    def __init__(
        self, host: Host, observe_answer: Callable[[float], None], observe_wait: Callable[[float], None]
    ) -> None:
        """What gets the seconds that each answer was held: since its verdict, and since it was on a majority."""
        self._host = host
        self._observe_answer = observe_answer
        self._observe_wait = observe_wait
        self._queue: deque[tuple[int, int, float, Reply]] = deque()  # seq, tau, since, reply
        self._committed_seq = 0
        self._settled: deque[tuple[int, float]] = deque()  # up to this seq on a majority, since when
        self._timer: Timer | None = None
        self.told = 0

    def __len__(self) -> int:
        return len(self._queue)

    def hold(self, seq: int, tau: int, reply: Reply) -> None:
        """Answer `reply` when `seq`, the highest yet, is committed and `tau` has passed."""
        self._queue.append((seq, tau, self._host.monotonic(), reply))

    def committed(self, seq: int) -> None:
        """Everything up to `seq` is on a majority under this epoch."""
        self._committed_seq = seq
        if self._timer is None:
            self._release()
        if self._queue and self._queue[0][0] <= seq:
            self._settled.append((seq, self._host.monotonic()))

    def abandon(self) -> None:
        """The stream is lost: nobody here can tell any more what becomes of these."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._settled.clear()
        queue, self._queue = self._queue, deque()
        for _, _, _, reply in queue:
            reply.answer(Unresolved())

    def _woken(self) -> None:
        self._timer = None
        self._release()

    def _release(self) -> None:
        queue = self._queue
        if not queue or queue[0][0] > self._committed_seq:
            return
        try:
            earliest = self._host.clock.now().earliest
        except ClockUnsure:
            self._timer = self._host.later(_UNSURE_SECONDS, self._woken)
            return
        now = self._host.monotonic()
        settled = self._settled
        while queue and queue[0][0] <= self._committed_seq:
            seq, tau, since, reply = queue[0]
            early = (tau >> SHIFT) - earliest
            if early >= 0:  # equal is too early: its instant is not over
                self._timer = self._host.later((early + 1) * 1e-6 + _ERROR_ALLOWANCE, self._woken)
                return
            queue.popleft()
            if tau >> SHIFT >= earliest or seq > self._committed_seq:
                check(I9, False, "told before its time", tau=tau, earliest=earliest)
            self.told += 1
            while settled and settled[0][0] < seq:
                settled.popleft()
            self._observe_wait(now - settled[0][1] if settled else 0.0)
            self._observe_answer(now - since)
            reply.answer(Committed(tau))
