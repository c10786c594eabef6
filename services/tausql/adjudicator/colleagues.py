"""Where the holders of the other streams are: in another process, or in this one.

A stream that this very process holds is asked by a plain call: a message to oneself would cost a tenth of a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tausql.adjudicator.docket import Docket
from tausql.adjudicator.within import AnswerWithin
from tausql.protocol.adjudicator import Aborted, AdjudicatorClient, Reason, Settle, Vote

VOTE_SECONDS = 0.5  # a later vote would hardly leave an instant


class Holders(Protocol):
    """Those of other processes."""

    def holder(self, stream: int) -> AdjudicatorClient | None: ...


class Tenured(Protocol):
    @property
    def docket(self) -> Docket: ...


class OtherHolders:
    """`own`: the tenures of this process, by stream."""

    __slots__ = ("_others", "_own")

    def __init__(self, own: Mapping[int, Tenured], others: Holders) -> None:
        self._own, self._others = own, others

    def vote(self, request: Vote, done: Callable[[Any], None]) -> None:
        own = self._own.get(request.stream)
        if own is not None:
            own.docket.vote(request, AnswerWithin(done))
            return
        client = self._others.holder(request.stream)
        if client is None:
            done(Aborted(Reason.not_holder))
        else:
            client.vote(request, VOTE_SECONDS, done)

    def settle(self, verdict: Settle) -> None:
        own = self._own.get(verdict.stream)
        if own is not None:
            own.docket.settle(verdict)
            return
        client = self._others.holder(verdict.stream)
        if client is not None:
            client.settle(verdict)
