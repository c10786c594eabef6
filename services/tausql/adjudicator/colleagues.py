"""Where the holders of the other streams are: in another process, or in this one.

A stream that this very process holds is asked by a plain call: a message to oneself would cost a tenth of a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tausql.adjudicator.docket import Docket
from tausql.protocol.adjudicator import Aborted, AdjudicatorClient, Reason, Settle, Vote
from tausql.rpc.interface import Cause, Failure, Message, Peer

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
            own.docket.vote(request, _Answer(done))
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


class _Here:
    """The caller of a call within the process."""

    __slots__ = ()

    name = ""
    connected = True


_HERE = _Here()


class _Answer:
    """Where the answer to a call within the process goes."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[Any], None]) -> None:
        self._done = done

    @property
    def peer(self) -> Peer:
        return _HERE

    def answer(self, message: Message) -> None:
        self._done(message)

    def fail(self, cause: Cause, message: str = "") -> None:
        self._done(Failure(cause, message))
