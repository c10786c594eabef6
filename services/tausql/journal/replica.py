"""A whole replica: every stream's acceptor, one identity, and when it would rather not grant.

The acceptors alone are safe. What lies between them and the wire: whose message it is (fleet, learner), the limit's
bound against this replica's own clock, and reluctance: a replica that has lately heard the holder asks a candidate to
come back later. Reluctance is for calm, never for safety, and so nothing of it is kept.

A pure core: messages go in, an answer comes out, what must happen besides goes to `Effects`. The shell sends answers,
questions and records only after its next sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from tausql.journal.acceptor import Acceptor, Effects
from tausql.journal.entries import Genesis, LogState, MemberEntry
from tausql.journal.membership import Membership
from tausql.journal.rejoin import Rejoin
from tausql.protocol.journal import (
    NO_EPOCH,
    Append,
    Appended,
    Description,
    Ended,
    Epoch,
    Introduce,
    Introduced,
    Kind,
    LogPart,
    Open,
    Opened,
    Ownership,
    Probe,
    Probed,
    ReadLog,
    Record,
    Status,
    StreamState,
    Trim,
    Trimmed,
)
from tausql.protocol.tau import STREAM_MAX, micros_of
from tausql.runtime.host import Clock, ClockUnsure

NEVER = float("-inf")
STREAM_OF_REGISTRY = 0
READ_BYTES_MAX = 4 << 20


class ReplicaEffects(Effects, Protocol):
    def log_state(self, stream: int) -> LogState:
        """The state of a stream's log, blank if there is none. The same object until the log is cleared."""
        ...

    def streams(self) -> Iterable[LogState]: ...

    def read(self, stream: int, seq: int, bytes_max: int) -> list[Record]:
        """Records from `seq` (above the trim point) on, at least one if there is any."""
        ...

    def trim(self, wanted: dict[int, int]) -> None:
        """Let go of what lies at or below `wanted` (stream -> seq), as far as whole segments allow."""
        ...

    def ask(self, replica: str, request: Introduce | ReadLog, round_number: int) -> None:
        """Call another replica after the next sync; `Replica.answered` gets the answer, nobody a failure."""
        ...


class _Holder:
    """The proposer a stream was last heard of from."""

    __slots__ = ("name", "peer", "raised_at")

    def __init__(self) -> None:
        self.name = ""
        self.peer: object = None
        self.raised_at = NEVER  # monotonic seconds of its last append that raised the limit


class Replica:
    """`voter` False: it answers `learner` to everything that could make a difference."""

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        member: MemberEntry | None,
        effects: ReplicaEffects,
        clock: Clock,
        monotonic: Callable[[], float],
        mint: Callable[[], int],
        limit_ahead_micros_max: int = 3_000_000,
        reluctance_seconds: float = 1.5,
    ) -> None:
        self._effects = effects
        self._clock = clock
        self._monotonic = monotonic
        self._limit_ahead_micros_max = limit_ahead_micros_max
        self._reluctance_seconds = reluctance_seconds
        self.name = name
        self.membership = Membership(name, names, member, mint, effects.persist)
        self.rejoin = Rejoin(len(names) - 1, effects, self._rejoined)
        self._acceptors: dict[int, Acceptor] = {}
        self._holders: dict[int, _Holder] = {}
        self._wanted_trims: dict[int, int] = {}
        self._ended: dict[int, Ended] = {}  # streams that are over, and told to go
        self._looked_seq = 0  # ownerships of the registry up to here were looked at for such streams
        self._catching_up: dict[int, float] = {}  # stream -> when others were last asked for their trim point
        self._heard: set[str] = set()

    # what anyone may know

    @property
    def voter(self) -> bool:
        return self.membership.entry.voter

    def describe(self) -> Description:
        entry = self.membership.entry
        return Description(self.membership.fleet, self.name, entry.incarnation, entry.voter, entry.names)

    def commit_seq(self, stream: int) -> int:
        acceptor = self._acceptors.get(stream)
        return acceptor.commit_seq if acceptor is not None else self._effects.log_state(stream).trim_seq

    def refusal(self, fleet: str, stream: int) -> Status | None:
        """Why a message cannot be served at all, None if it can."""
        if not self.membership.entry.voter:
            return Status.learner
        if fleet != self.membership.fleet or not 0 <= stream <= STREAM_MAX:
            return Status.stranger
        return None

    # proposers

    def probe(self, request: Probe) -> Probed:
        refusal = self.refusal(request.fleet, request.stream)
        if refusal is not None:
            return Probed(refusal, NO_EPOCH, "")
        holder = self._holders.get(request.stream)
        status = Status.reluctant if self._reluctant(holder) else Status.ok
        promised = self._effects.log_state(request.stream).promised
        return Probed(status, promised, holder.name if holder is not None else "")

    def open(self, request: Open, peer: object) -> Opened:
        refusal = self.refusal(request.fleet, request.stream)
        if refusal is not None:
            return self._opened(refusal, None)
        acceptor = self._acceptor(request.stream)
        holder = self._holder(request.stream)
        if request.epoch <= acceptor.state.promised:
            return self._opened(Status.fenced, acceptor)
        if self._reluctant(holder):
            return self._opened(Status.reluctant, acceptor)
        status = acceptor.open(request.epoch)
        holder.name, holder.peer = request.holder, peer
        return self._opened(status, acceptor)

    def append(self, request: Append, peer: object) -> Appended:
        refusal = self.refusal(request.fleet, request.stream)
        if refusal is not None:
            return self._appended(refusal, 0, NO_EPOCH, 0)
        acceptor = self._acceptors.get(request.stream) or self._acceptor(request.stream)
        state = acceptor.state
        limit = state.limit
        if request.limit > limit and request.epoch >= state.promised:
            latest = self._latest()
            if micros_of(request.limit) > latest + self._limit_ahead_micros_max:
                return self._appended(Status.limit_refused, 0, state.promised, limit, latest)
        status, seq = acceptor.append(request)
        if status is Status.ok:
            holder = self._holders.get(request.stream) or self._holder(request.stream)
            holder.peer = peer
            if request.leaving:
                holder.raised_at = NEVER
            elif state.limit > limit:
                holder.raised_at = self._monotonic()
        elif status is Status.gap and request.previous_seq > state.last_seq:
            self._ask_for_base(acceptor)
        return self._appended(status, seq, state.promised, state.limit)

    def read_log(self, request: ReadLog) -> LogPart:
        """Uncommitted records too: for proposers and learners."""
        refusal = self.refusal(request.fleet, request.stream)
        if refusal is not None:
            return LogPart(refusal, [], NO_EPOCH, 0, 0, NO_EPOCH, 0)
        state = self._effects.log_state(request.stream)
        status, records = Status.ok, []
        if request.seq <= state.trim_seq:
            status = Status.trimmed
        elif request.bytes_max > 0:
            records = self._effects.read(request.stream, request.seq, min(request.bytes_max, READ_BYTES_MAX))
        commit_seq = self.commit_seq(request.stream)
        return LogPart(status, records, state.last_epoch, state.last_seq, commit_seq, state.trim_epoch, state.trim_seq)

    def trim(self, request: Trim) -> Trimmed:
        refusal = self.refusal(request.fleet, request.stream)
        if refusal is not None:
            return Trimmed(refusal, 0)
        acceptor = self._acceptor(request.stream)
        wanted = acceptor.wanted_trim(request.epoch, request.seq)
        if wanted is None:  # not simply there: others keep the newest ownership, which may lie below
            self._ask_for_base(acceptor)
        elif wanted > self._wanted_trims.get(request.stream, 0):
            self._wanted_trims[request.stream] = wanted
            if request.stream == STREAM_OF_REGISTRY:
                self._trim_ended(acceptor)
            self._effects.trim(self._wanted_trims)
        return Trimmed(Status.ok, acceptor.state.trim_seq)

    def _trim_ended(self, registry: Acceptor) -> None:
        """Nobody asks to trim a stream that is over: readers forget it. Whoever has passed the record that drops it
        from the registry has all of it, because its taus lie below; and that record may go now."""
        wanted = self._wanted_trims[STREAM_OF_REGISTRY]
        for seq in registry.state.ownerships:
            if self._looked_seq < seq <= wanted:
                self._looked_seq = seq
                record = self._effects.read(STREAM_OF_REGISTRY, seq, 1)[0]
                if record.kind == Kind.ownership:
                    for one in msgspec.msgpack.decode(record.payload, type=Ownership).ended:
                        self._ended[one.stream] = one
        for one in self._ended.values():
            acceptor = self._acceptor(one.stream)
            up_to = acceptor.wanted_trim(one.epoch, one.seq)
            if up_to is None:
                self._ask_for_base(acceptor)
            else:
                self._wanted_trims[one.stream] = up_to

    def disconnected(self, peer: object) -> None:
        """A connection is gone: the holder that spoke over it is not worth waiting for."""
        for holder in self._holders.values():
            if holder.peer is peer:
                holder.peer = None
                holder.raised_at = NEVER

    # other replicas

    def introduce(self, request: Introduce) -> Introduced | None:
        """None: a replica that does not belong here."""
        return self.membership.introduce(request, self._stream_states)

    def answered(self, replica: str, request: Introduce | ReadLog, round_number: int, answer: object) -> None:
        """The answer to `Effects.ask`; anything but the expected struct means that it failed."""
        if isinstance(answer, Introduced):
            self._heard.add(replica)
            incarnation = self.membership.entry.incarnation
            recorded = self.membership.introduced(answer)
            if self.membership.entry.incarnation != incarnation:
                self.rejoin.restart()  # what was recorded so far is the incarnation just given up
            elif recorded:
                self.rejoin.heard(answer)
            elif self.membership.propose():
                self.tick()
        elif isinstance(request, ReadLog) and self.voter:
            if isinstance(answer, LogPart) and answer.status == Status.trimmed:
                self._begin_anew(self._acceptor(request.stream), answer.trim_epoch, answer.trim_seq)
        elif isinstance(request, ReadLog) and round_number == self.rejoin.round_number:
            if isinstance(answer, LogPart):
                self.rejoin.part(round_number, answer)
            else:
                self.rejoin.restart()

    def tick(self) -> bool:
        """Present itself to whoever has yet to hear. True while there is a reason to call this again soon."""
        membership = self.membership
        if not membership.voter and not membership.others:
            membership.propose()
        if membership.voter and self._heard.issuperset(membership.others):
            return False
        if not self.rejoin.copying:
            for other in membership.others:
                if not membership.voter or other not in self._heard:
                    self._effects.ask(other, membership.introduction(), 0)
        return True

    def _rejoined(self, genesis: Genesis, known: list[tuple[int, ...]]) -> None:
        self._acceptors.clear()
        merged = tuple(max(column) for column in zip(*known, strict=True))
        self.membership.join(genesis, merged)

    def _stream_states(self) -> tuple[StreamState, ...]:
        return tuple(
            StreamState(
                state.stream,
                state.promised,
                state.limit,
                state.last_epoch,
                state.last_seq,
                state.trim_epoch,
                state.trim_seq,
            )
            for state in self._effects.streams()
        )

    def _ask_for_base(self, acceptor: Acceptor) -> None:
        """What this log lacks may be trimmed everywhere else: then nobody can send it, and it must begin later."""
        state = acceptor.state
        now = self._monotonic()
        if now - self._catching_up.get(state.stream, NEVER) < 1.0:
            return
        self._catching_up[state.stream] = now
        request = ReadLog(self.membership.fleet, state.stream, state.trim_seq + 1, 0)
        for other in self.membership.others:
            self._effects.ask(other, request, 0)

    def _begin_anew(self, acceptor: Acceptor, epoch: Epoch, seq: int) -> None:
        """Begin where another replica does. Its registry may begin above the end of a stream that this replica would
        learn of there, and still has all of: so it asks for the others, too."""
        before = acceptor.state.trim_seq
        wanted = acceptor.wanted_trim(epoch, seq, based=True)
        if wanted is None:
            acceptor.adopt_base(epoch, seq)
        elif wanted > self._wanted_trims.get(acceptor.state.stream, 0):
            self._wanted_trims[acceptor.state.stream] = wanted
            self._effects.trim(self._wanted_trims)
        if acceptor.state.stream == STREAM_OF_REGISTRY and acceptor.state.trim_seq > before:
            for state in list(self._effects.streams()):
                if state.stream != STREAM_OF_REGISTRY:
                    self._ask_for_base(self._acceptor(state.stream))

    # small matters

    def _acceptor(self, stream: int) -> Acceptor:
        acceptor = self._acceptors.get(stream)
        if acceptor is None:
            acceptor = self._acceptors[stream] = Acceptor(self._effects.log_state(stream), self._effects)
        return acceptor

    def _holder(self, stream: int) -> _Holder:
        holder = self._holders.get(stream)
        if holder is None:
            holder = self._holders[stream] = _Holder()
        return holder

    def _reluctant(self, holder: _Holder | None) -> bool:
        return holder is not None and self._monotonic() - holder.raised_at < self._reluctance_seconds

    def _latest(self) -> int:
        """This replica's clock.latest in microseconds; 0 while it is unsure, which refuses every new limit."""
        try:
            return self._clock.now().latest
        except ClockUnsure:
            return 0

    def _opened(self, status: Status, acceptor: Acceptor | None) -> Opened:
        entry = self.membership.entry
        if acceptor is None:
            return Opened(
                status, self.name, entry.incarnation, entry.known, NO_EPOCH, NO_EPOCH, 0, (), 0, 0, NO_EPOCH, 0
            )
        state = acceptor.state
        return Opened(
            status,
            self.name,
            entry.incarnation,
            entry.known,
            state.promised,
            state.last_epoch,
            state.last_seq,
            state.history(),
            state.limit,
            acceptor.commit_seq,
            state.trim_epoch,
            state.trim_seq,
            state.last_tau,
            state.ownership_at(state.last_seq),
        )

    def _appended(self, status: Status, seq: int, promised: Epoch, limit: int, clock: int = 0) -> Appended:
        entry = self.membership.entry
        room = self._effects.has_room(0)
        return Appended(status, self.name, entry.incarnation, entry.known, promised, seq, limit, clock, room)
