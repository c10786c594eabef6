"""What one epoch of a stream owns, and how that changes: ranges given and taken, streams registered and removed.

A range must never have two judges, nor none for ever, whoever dies when. Asking the other side first and writing
afterwards would leave both in doubt; so the giver writes first, into its own log, and from that moment refuses the
range. Only when that is on a majority does it tell the taker, again and again, over as many epochs of either side as it
takes; the taker writes into its own log before it answers. Whatever is in between is in one log or both, and whoever
comes next reads it there.

One change at a time: the next is made of what the one before it left. What is wanted (`Fleet.placement`,
`Fleet.streams`) is looked at a few times a second, and again after each change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec

from tausql.adjudicator import ownership as changes
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.ownership import STREAM_OF_REGISTRY
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.proposer import Proposer
from tausql.protocol.adjudicator import RangeTaken, StreamRemoved, StreamSealed, TakeRange, Undecided
from tausql.protocol.fleet import Fleet
from tausql.protocol.journal import Ended, Given, Kind, Ownership
from tausql.protocol.tau import STREAM_MAX
from tausql.rpc.interface import Reply
from tausql.runtime.fault_points import FORGET_A_TAKING, LATE_OFFER, LATE_TAKING, fault
from tausql.runtime.host import ClockUnsure, Host

_REPLIES_MAX = 1024
_encode = msgspec.msgpack.Encoder().encode


class NeverTaken:
    """The answer to an offer to a stream that has come to its end without it: what was given may be taken back."""


class Surroundings(Protocol):
    """What the process knows and does for the streams it holds. `done` is never called from within."""

    @property
    def wanted(self) -> Fleet: ...

    @property
    def registered(self) -> Mapping[int, int]:
        """Every registered stream that was heard of, and its start."""
        ...

    def reachable(self, stream: int) -> bool:
        """Does somebody hold `stream` who can be heard?"""
        ...

    def offer(self, request: TakeRange, done: Callable[[Any], None]) -> None:
        """Call the holder of the taker. `done` gets its answer, a failure, or `NeverTaken`."""
        ...

    def unused(self, stream: int, done: Callable[[bool | None], None]) -> None:
        """Was nothing ever written to the log of `stream`? None: that cannot be told now."""
        ...


class EstateLimits(NamedTuple):
    repeat_seconds: float = 60.0  # what is owned is written again after so long, should anything have been appended
    seal_seconds: float = 30.0  # a stream that is to go owns nothing for so long before it is sealed


class Estate:
    """`current` is what the newest record enqueued says. `serving()`: may this epoch still change anything?
    `highest_upper()`: no vote given here reaches above it. `changed()`: ranges or streams are others than before.
    `seal()`: end the stream for ever. `extend(latest)`: a higher limit is needed. `flush()`: something was enqueued."""

    __slots__ = (
        "_changed",
        "_closed",
        "_extend",
        "_flush",
        "_given_floor",
        "_highest_upper",
        "_host",
        "_judge",
        "_limits",
        "_offering",
        "_owned_until",
        "_pending",
        "_proposer",
        "_removing",
        "_replies",
        "_seal",
        "_seq",
        "_serving",
        "_stepping",
        "_stream",
        "_surroundings",
        "_used",
        "_written_at",
        "_written_seq",
        "current",
        "given",
        "streams",
        "taken",
    )

    def __init__(
        self,
        host: Host,
        stream: int,
        current: Ownership,
        judge: Judge,
        proposer: Proposer,
        surroundings: Surroundings,
        limits: EstateLimits,
        serving: Callable[[], bool],
        highest_upper: Callable[[], int],
        changed: Callable[[], None],
        seal: Callable[[], None],
        extend: Callable[[int], None],
        flush: Callable[[], None],
    ) -> None:
        self._host, self._stream, self._judge, self._proposer = host, stream, judge, proposer
        self._surroundings, self._limits = surroundings, limits
        self._serving, self._highest_upper, self._changed, self._seal = serving, highest_upper, changed, seal
        self._extend, self._flush = extend, flush
        self.current = current
        self.streams = current.streams  # registered, on a majority
        self.given = 0  # ranges, in this epoch
        self.taken = 0
        self._seq = 0  # of a change that is on its way to a majority; 0 = none
        self._pending: Given | None = None  # given by that change: nobody may be told yet
        self._replies: list[tuple[Reply, RangeTaken | StreamRemoved]] = []  # once that change is committed
        self._given_floor = max((one.floor for one in current.given), default=0)
        self._offering: set[int] = set()  # streams that have an offer to answer
        self._removing: dict[int, tuple[StreamSealed, list[Reply]]] = {}  # sealed streams, and who wants to know
        self._used: set[int] = set()  # numbers that a stream had which is gone
        self._stepping = False
        self._closed = False
        self._written_seq = 0
        self._written_at = self._owned_until = host.monotonic()

    # the epoch's life

    def begin(self, seq: int) -> None:
        """EpochStart, at `seq`, is on a majority: go on with whatever was begun."""
        self._written_seq = seq
        self._offer()
        self._step_soon()

    def tick(self) -> None:
        """A few times a second, and when something that matters has changed."""
        if not self._serving():
            return
        self._offer()
        if not self._seq:
            self._step()

    def committed(self, seq: int) -> None:
        """Everything up to `seq` is on a majority."""
        if not self._seq or seq < self._seq:
            return
        self._seq = 0
        self._pending = None
        self._judge.owned = Owned(self.current.owned)
        self.streams = self.current.streams
        self._changed()
        replies, self._replies = self._replies, []
        for reply, answer in replies:
            reply.answer(answer)
        for stream in [one for one in self._removing if not self._is_registered(one)]:
            for reply in self._removing.pop(stream)[1]:
                reply.answer(StreamRemoved())
        if self._serving():
            self._offer()
            self._step_soon()

    def close(self) -> None:
        """Change nothing any more."""
        if self._closed:
            return
        self._closed = True
        waiting = [reply for reply, _ in self._replies]
        waiting += [reply for _, asked in self._removing.values() for reply in asked]
        self._replies, self._removing = [], {}
        for reply in waiting:
            reply.answer(Undecided())

    # what others ask

    def take(self, request: TakeRange, reply: Reply) -> None:
        """Own what is offered; answer when a majority has that."""
        if not self._serving() or self._seq or fault(self._host, LATE_TAKING):
            reply.answer(Undecided())  # even if it is known: known is not yet durable
        elif changes.has_taken(self.current, request.giver, request.floor):
            reply.answer(RangeTaken())
        elif changes.overlaps(self.current, request.low, request.high):
            reply.answer(Undecided())  # a later epoch has given it away, and this one does not know yet that it is over
        else:
            tau = self._tau()
            if tau is None:
                reply.answer(Undecided())
                return
            self._replies.append((reply, RangeTaken()))
            self.taken += 1
            taken = changes.with_taken(self.current, request.giver, request.low, request.high, request.floor)
            self._write(taken, tau)

    def remove(self, request: StreamSealed, reply: Reply) -> None:
        """Take a sealed stream out of the registry; answer when a majority has that."""
        stream = request.stream
        if self._stream != STREAM_OF_REGISTRY or not self._serving():
            reply.answer(Undecided())
        elif not self._is_registered(stream) and not self._seq:
            reply.answer(StreamRemoved())
        elif stream == STREAM_OF_REGISTRY or len(self._removing.setdefault(stream, (request, []))[1]) >= _REPLIES_MAX:
            reply.answer(Undecided())
        else:
            self._removing[stream][1].append(reply)
            self._step_soon()

    # what is to be done

    def _step_soon(self) -> None:
        if not self._stepping:
            self._stepping = True
            self._host.soon(self._stepped)

    def _stepped(self) -> None:
        self._stepping = False
        if self._serving() and not self._seq:
            self._step()

    def _step(self) -> None:
        """Begin the next change, if there is one to make."""
        registered = self._registered()
        wanted = self._surroundings.wanted
        streams = wanted.streams or len(registered)
        if self._stream == STREAM_OF_REGISTRY and self._keep_registry(streams):
            return
        now = self._host.monotonic()
        if self.current.owned or self.current.given:
            self._owned_until = now
        moved = changes.misplaced(self.current, self._stream, wanted.placement, registered, streams)
        if moved is not None:
            if self._surroundings.reachable(moved.stream):  # else nobody would judge it for a while
                self._give(moved.low, moved.high, moved.stream)
        elif (
            changes.leaving(self._stream, registered, streams) and now - self._owned_until >= self._limits.seal_seconds
        ):
            if self._tau() is not None:
                self._seal()
        elif (
            now - self._written_at >= self._limits.repeat_seconds
            and self._proposer.log.last_seq > self._written_seq
            and (tau := self._tau()) is not None
        ):
            self._write(changes.repeated(self.current), tau)

    def _registered(self) -> Mapping[int, int]:
        if self._stream == STREAM_OF_REGISTRY:
            return {one.stream: one.start for one in self.streams}
        return self._surroundings.registered

    def _is_registered(self, stream: int) -> bool:
        return any(one.stream == stream for one in self.current.streams)

    # the registry

    def _keep_registry(self, wanted: int) -> bool:
        """Register or remove streams. True when a change is on its way."""
        gone = [one for stream, (one, _) in self._removing.items() if self._is_registered(stream)]
        if gone:  # above all that is theirs: whoever still has to read it, has to read this as well
            tau = self._tau(max(one.tau for one in gone))
            if tau is not None:
                ended = [Ended(one.stream, one.epoch, one.seq) for one in gone]
                self._write(changes.without_streams(self.current, ended), tau)
                return True
        known = {one.stream for one in self.current.streams} | self._used
        if len(self.current.streams) < wanted:
            number = next((one for one in range(1, STREAM_MAX + 1) if one not in known), 0)
            if number:
                self._surroundings.unused(number, partial(self._looked, number))
        return False

    def _looked(self, number: int, unused: bool | None) -> None:
        """A log that was ever used is no fresh stream's: its last record is its last for ever."""
        if unused is None or self._closed:
            return
        if not unused:
            self._used.add(number)
            self._step_soon()
            return
        if self._seq or not self._serving() or self._is_registered(number):
            return
        tau = self._tau()
        if tau is not None and len(self.current.streams) < max(1, self._surroundings.wanted.streams):
            self._write(changes.with_stream(self.current, number, tau), tau)

    # ranges

    def _give(self, low: bytes, high: bytes, to: int) -> None:
        tau = self._tau()
        if tau is None:
            return
        floor = max(tau, self._highest_upper())
        if floor <= self._given_floor:
            return  # a vote reaches as far as it did the last time: by its floor an offer is known
        self._given_floor = floor
        self.given += 1
        following = changes.without(self.current, low, high, to, floor)
        self._write(following, tau)
        self._pending = following.given[-1]
        self._judge.owned = Owned(following.owned)  # from now on, whether or not a majority will have it
        self._changed()

    def _offer(self) -> None:
        """Tell the takers, each of the oldest it has not answered."""
        if not self._serving() or fault(self._host, LATE_OFFER):
            return
        first: dict[int, Given] = {}
        for one in self.current.given:
            if one is not self._pending and (one.to not in first or one.floor < first[one.to].floor):
                first[one.to] = one
        for to, one in first.items():
            if to not in self._offering:
                self._offering.add(to)
                request = TakeRange(self._stream, to, one.low, one.high, one.floor)
                self._surroundings.offer(request, partial(self._offered, one))

    def _offered(self, given: Given, answer: Any) -> None:
        self._offering.discard(given.to)
        if not self._serving() or fault(self._host, FORGET_A_TAKING):
            return
        if isinstance(answer, RangeTaken):
            self.current = changes.without_given(self.current, given)  # written with the next change
            self._offer()
            self._step_soon()
        elif isinstance(answer, NeverTaken) and not self._seq and (tau := self._tau()) is not None:
            self._write(changes.taken_back(self.current, given), tau)

    # the log

    def _tau(self, above: int = 0) -> int | None:
        """For the next record. None: not now."""
        try:
            latest = self._host.clock.now().latest
        except ClockUnsure:
            return None
        tau = self._judge.next_tau(latest, above)
        if tau > self._judge.limit:
            self._extend(latest)
            return None
        return tau

    def _write(self, following: Ownership, tau: int) -> None:
        """A range's floor goes where nobody at or below it is judged any more in any case."""
        self.current = following = changes.begun(following, self._judge.floor)
        self._judge.highest = tau
        self._seq = self._written_seq = self._proposer.enqueue(tau, Kind.ownership, _encode(following))
        self._written_at = self._host.monotonic()
        self._flush()
