"""What one process knows of all streams, and does for those it holds: who else holds one, which there are, which ended.

Which streams there are is in the log of stream 0, and whoever holds that says so. A stream that is no longer named has
come to its end: its log can be read for ever, and says whether it ever took what somebody still wants to give it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from tausql.adjudicator.estate import Estate, NeverTaken
from tausql.adjudicator.others import Others
from tausql.adjudicator.ownership import STREAM_OF_REGISTRY, has_taken
from tausql.adjudicator.roster import Roster
from tausql.adjudicator.within import AnswerWithin
from tausql.protocol.adjudicator import Holding, RangeTaken, StreamRemoved, StreamSealed, TakeRange, Undecided
from tausql.protocol.fleet import Fleet
from tausql.protocol.journal import NO_EPOCH, Epoch, LogPart, Ownership, ReadLog, Status
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host

OFFER_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_TELL_SECONDS = 0.5  # between two words about a stream that has come to its end


class Held(Protocol):
    @property
    def estate(self) -> Estate: ...

    @property
    def serving(self) -> bool: ...


class Streams:
    """All streams of the fleet. `own`: the tenures of this process. `changed()`: others are registered than before.
    `read_end(stream)`: find out how the log of this stream, which is registered no more, ends (see `ended`)."""

    def __init__(
        self,
        host: Host,
        directory: Directory,
        roster: Roster,
        own: Mapping[int, Held],
        others: Others,
        changed: Callable[[], None],
        read_end: Callable[[int], None],
    ) -> None:
        self._host, self._directory, self._roster, self._own, self._others = host, directory, roster, own, others
        self._changed, self._read_end = changed, read_end
        self._epoch: Epoch = NO_EPOCH  # of whoever told
        self._ends: dict[int, Ownership] = {}  # of streams that have come to their end: what they owned last
        self._sealed: dict[int, StreamSealed] = {}
        self.registered: dict[int, int] = {STREAM_OF_REGISTRY: 0}  # stream -> start

    @property
    def wanted(self) -> Fleet:
        return self._directory.fleet

    def hear(self, holding: Holding) -> None:
        """What a holder, here or elsewhere, says."""
        if holding.stream != STREAM_OF_REGISTRY or not holding.held or holding.epoch < self._epoch:
            return
        self._epoch = holding.epoch
        told = dict(zip(holding.streams, holding.starts, strict=True))
        if told and told != self.registered:
            self.registered = told
            self._changed()

    def reachable(self, stream: int) -> bool:
        own = self._own.get(stream)
        return own.serving if own is not None else self._others.holder(stream) is not None

    # ranges

    def offer(self, request: TakeRange, done: Callable[[Any], None]) -> None:
        own = self._own.get(request.to)
        if own is not None:
            self._host.soon(own.estate.take, request, AnswerWithin(done))
            return
        client = self._others.holder(request.to)
        if client is not None:
            client.take_range(request, OFFER_SECONDS, done)
        else:
            self._host.later(_TELL_SECONDS / 2, self._offer_nobody, request, done)

    def _offer_nobody(self, request: TakeRange, done: Callable[[Any], None]) -> None:
        """Nobody holds the taker. Where it has come to its end nobody ever will."""
        end = self._ends.get(request.to)
        if end is not None and request.to not in self.registered:
            done(RangeTaken() if has_taken(end, request.giver, request.floor) else NeverTaken())
            return
        if request.to not in self.registered and self._epoch != NO_EPOCH:
            self._read_end(request.to)
        done(Undecided())

    # the registry

    def unused(self, stream: int, done: Callable[[bool | None], None]) -> None:
        """Was nothing ever written to the log of `stream`? What is committed is on one of any majority."""
        answers: list[LogPart | None] = []
        request = ReadLog(self._roster.fleet, stream, 1, 0)
        for client in self._roster.clients:
            client.read_log(request, _LOOK_SECONDS, partial(self._looked, answers, done))

    def _looked(self, answers: list[LogPart | None], done: Callable[[bool | None], None], answer: Any) -> None:
        told = isinstance(answer, LogPart) and answer.status in (Status.ok, Status.trimmed)
        answers.append(answer if told else None)
        if len(answers) < len(self._roster.clients):
            return
        parts = [part for part in answers if part is not None]
        if any(part.last_seq or part.trim_seq for part in parts):
            done(False)
        else:
            done(True if len(parts) >= self._roster.majority else None)

    def ended(self, stream: int, end: Ownership, sealed: StreamSealed | None = None) -> None:
        """A majority has the last record of `stream`. `sealed`: it is to be taken out of the registry, should it still
        be there."""
        self._ends[stream] = end
        if sealed is not None:
            self._sealed[stream] = sealed
            self._tell(stream)

    def has_ended(self, stream: int) -> bool:
        return stream in self._ends

    def _tell(self, stream: int) -> None:
        if stream not in self.registered:
            return
        request = self._sealed[stream]
        done = partial(self._told, stream)
        own = self._own.get(STREAM_OF_REGISTRY)
        client = self._others.holder(STREAM_OF_REGISTRY)
        if own is not None:
            self._host.soon(own.estate.remove, request, AnswerWithin(done))
        elif client is not None:
            client.stream_sealed(request, OFFER_SECONDS, done)
        else:
            self._host.later(_TELL_SECONDS, self._tell, stream)

    def _told(self, stream: int, answer: Any) -> None:
        if not isinstance(answer, StreamRemoved):
            self._host.later(_TELL_SECONDS, self._tell, stream)
