"""Commits that touch the keys of several streams: the others vote, one decides, one record holds it all.

Two-phase commit would write twice, and stand still with locks held where its coordinator dies. Here the others only
say within which taus the transaction suits them, and mark its keys; the coordinator, which is the holder of the lowest
stream concerned and of no other, picks a tau within all votes and appends the whole transaction to its own stream. So
it is atomic as any commit is, and a vote whose coordinator is never heard of again ends by itself.

A vote serves one attempt, in one epoch. What comes later than the end of that, for whatever reason, is not looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from tausql.protocol.adjudicator import Aborted, Commit, Reason, Settle, Vote, Voted
from tausql.protocol.journal import Epoch
from tausql.protocol.tau import TAU_MAX
from tausql.rpc.interface import Reply

Told = Callable[[Any], None]


class Colleagues(Protocol):
    """The holders of the other streams, wherever they are."""

    def vote(self, request: Vote, done: Told) -> None:
        """Ask the holder of `request.stream`; `done` gets `Voted`, `Aborted`, or a `Failure`. May call it at once."""
        ...

    def settle(self, verdict: Settle) -> None:
        """Tell it what became of that, if there is somebody to tell."""
        ...


class Round:
    """One transaction whose votes are being collected, or counted."""

    __slots__ = ("asked", "lower", "missing", "reply", "request", "upper")

    def __init__(self, request: Commit, reply: Reply) -> None:
        self.request = request
        self.reply = reply
        self.lower = 0
        self.upper = TAU_MAX
        self.missing = len(request.parts)
        self.asked: list[int] = []  # streams that may hold keys back for it


class Coordinator:
    """The rounds of one epoch of one stream. `decide` is called when all votes of a round are there, `refuse` when one
    of them said no; either ends in `committed` or `aborted` here."""

    __slots__ = ("_colleagues", "_decide", "_epoch", "_refuse", "_rounds", "_rounds_max", "_stream", "_telling")

    def __init__(
        self,
        stream: int,
        epoch: Epoch,
        colleagues: Colleagues,
        decide: Callable[[Round], None],
        refuse: Callable[[Round, Aborted], None],
        rounds_max: int = 4096,
    ) -> None:
        self._stream, self._epoch, self._colleagues = stream, epoch, colleagues
        self._decide, self._refuse = decide, refuse
        self._rounds_max = rounds_max
        self._rounds: dict[bytes, Round] = {}
        self._telling: deque[tuple[int, int, Round]] = deque()  # seq, tau: decided, and not on a majority yet

    def __len__(self) -> int:
        return len(self._rounds)

    def __contains__(self, txn: bytes) -> bool:
        """Is it undecided yet?"""
        return txn in self._rounds

    @property
    def room(self) -> bool:
        return len(self._rounds) < self._rounds_max

    def begin(self, request: Commit, reply: Reply) -> None:
        """Collect the votes of `request.parts`."""
        one = Round(request, reply)
        self._rounds[request.txn] = one
        for part in request.parts:
            one.asked.append(part.stream)
            vote = Vote(
                request.txn,
                request.tau_start,
                part.stream,
                self._stream,
                self._epoch,
                part.writes,
                part.shares,
                request.schema,
                request.changes,
                request.low,
            )
            self._colleagues.vote(vote, partial(self._told, one))
            if request.txn not in self._rounds:
                return  # refused already

    def committed(self, one: Round, seq: int, tau: int) -> None:
        """It has got `tau`, in the record `seq`: tell the others once that is on a majority."""
        self._rounds.pop(one.request.txn, None)
        self._telling.append((seq, tau, one))

    def aborted(self, one: Round) -> None:
        """It never commits: the others need not wait for it."""
        if self._rounds.pop(one.request.txn, None) is not None:
            self._tell(one, 0)

    def durable(self, seq: int) -> None:
        """Everything up to `seq` is on a majority under this epoch."""
        telling = self._telling
        while telling and telling[0][0] <= seq:
            _, tau, one = telling.popleft()
            self._tell(one, tau)

    def abandon(self) -> list[Round]:
        """The epoch is over, or ends: the rounds nobody will decide now, in order. Of those that were decided the next
        epoch knows, and nobody is told a guess."""
        rounds, self._rounds = list(self._rounds.values()), {}
        for one in rounds:
            self._tell(one, 0)
        return rounds

    def _told(self, one: Round, answer: Any) -> None:
        if self._rounds.get(one.request.txn) is not one:
            return
        if isinstance(answer, Voted):
            one.lower = max(one.lower, answer.lower)
            one.upper = min(one.upper, answer.upper)
            one.missing -= 1
            if one.missing == 0:
                self._decide(one)
        else:
            self._refuse(one, answer if isinstance(answer, Aborted) else Aborted(Reason.votes))

    def _tell(self, one: Round, tau: int) -> None:
        for stream in one.asked:
            self._colleagues.settle(Settle(one.request.txn, stream, tau))
