"""Hears everything that is said between processes, and holds it against the protocol's invariants.

What a process says is what others act on, so it is judged at the very moment it is sent: a commit that is acknowledged
while one disk holds it is wrong even if a second one gets it a millisecond later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from tausql.protocol.adjudicator import Beat, Commit, Committed, Settle, Vote, Voted
from tausql.protocol.crossbar import Delivery
from tausql.protocol.journal import Append, Appended, Epoch, EpochEnd, Introduced, Kind, Ownership, Record, Status
from tausql.protocol.ranges import RangeSet, covers
from tausql.protocol.storage import Serving
from tausql.protocol.tau import TAU_MAX, micros_of, stream_of
from tausql.runtime.check import I1, I3, I4, I5, I12, check
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.journals import JournalDisks
from tausql.simulation.judges import Judges
from tausql.simulation.truth import Truth

Position = tuple[Epoch, int]  # (epoch, seq)

_decode_end = msgspec.msgpack.Decoder(EpochEnd).decode
_decode_ownership = msgspec.msgpack.Decoder(Ownership).decode
_NOTHING = Ownership()

VOTES_KEPT = 1000
LIMIT_AHEAD_MICROS = 3_000_000  # of a replica's own clock


class _Stream:
    """What was said of one stream."""

    __slots__ = ("acknowledged", "acknowledged_in", "beat", "closed", "committed_seq", "first", "last", "limit",
                 "newest", "starts")  # fmt: skip

    def __init__(self) -> None:
        self.starts: dict[Epoch, tuple[int, int]] = {}  # epoch -> (seq, tau) of its EpochStart
        self.closed: dict[Epoch, int] = {}  # epoch -> highest tau it closed
        self.first: dict[Epoch, int] = {}  # epoch -> seq of what it began with
        self.last: dict[Epoch, int] = {}  # epoch -> highest seq sent
        self.beat: dict[Epoch, Beat] = {}  # the newest
        self.acknowledged: Position = ((0, 0), 0)  # the highest told to a client
        self.acknowledged_in: Epoch = (0, 0)  # the newest epoch that told a client anything
        self.newest: Epoch = (0, 0)  # of all that appended anything
        self.committed_seq = 0  # as far as a beat or a client was told
        self.limit = 0  # known to be on a majority of disks


class Witness:
    """I1, I3, I4 and I5 over messages. `position` tells where a tau is in its stream."""

    def __init__(self, fleet: SimulatedFleet, disks: JournalDisks, truth: Truth) -> None:
        self._fleet = fleet
        self._world = fleet.world
        self._disks = disks
        self._truth = truth
        self._streams: dict[int, _Stream] = defaultdict(_Stream)
        self._positions: dict[int, Position] = {}  # tau -> where
        self._earlier: dict[int, list[Position]] = {}  # starts of epochs at a tau at which a later one began again
        self._owned: dict[int, Ownership] = {}  # by stream, as last written
        self._votes: dict[tuple[bytes, int], tuple[int, Epoch]] = {}  # (txn, voter), not settled -> who asked
        self.judges = Judges()
        self._uppers: dict[tuple[bytes, int], int] = {}
        self._served: dict[str, RangeSet] = {}  # by storage replica
        self._released: dict[tuple[int, int], tuple[Epoch, int]] = {}  # (stream, seq) -> (epoch, tau)
        self._world.links.observers.update(
            {
                Append: self._append,
                Beat: self._beat,
                Committed: self._committed,
                Appended: self._appended,
                Introduced: self._introduced,
                Delivery: self._delivery,
                Commit: self._commit,
                Vote: self._vote,
                Settle: self._settle,
                Voted: self._voted,
                Serving: self._serving,
            }
        )

    def newest(self, stream: int) -> Epoch:
        """The newest epoch of a stream that has appended anything."""
        return self._streams[stream].newest

    def tau_released(self, stream: int, seq: int) -> int:
        """The tau of the committed record at `seq`, 0 if no crossbar has released it."""
        return self._released.get((stream, seq), ((0, 0), 0))[1]

    def released(self, stream: int, epoch: Epoch, seq: int, tau: int) -> None:
        """A crossbar has merged this record. I1: all crossbars agree, for ever, and taus rise with seqs."""
        known = self._released.setdefault((stream, seq), (epoch, tau))
        check(I1, known == (epoch, tau), "crossbars disagree on a record", stream=stream, seq=seq)
        before = self._released.get((stream, seq - 1))
        if before is not None:
            rising = before[1] < tau and before[0] <= epoch
            check(I1, rising, "a released record does not rise above the one before", stream=stream, seq=seq)
        here = (epoch, seq)
        appended = self._positions.get(tau) == here or here in self._earlier.get(tau, ())
        check(I1, appended, "released what nobody appended", stream=stream, tau=tau)

    # what is heard

    def _append(self, speaker: str, append: Append) -> None:
        if not append.records:
            return
        stream = self._streams[append.stream]
        for record in append.records:
            if record.seq > stream.last.get(record.epoch, 0):
                self._fresh(speaker, append.stream, stream, record)

    def _fresh(self, speaker: str, number: int, stream: _Stream, record: Record) -> None:
        epoch, seq, tau = record.epoch, record.seq, record.tau
        if epoch not in stream.last and record.kind in (Kind.epoch_start, Kind.epoch_end):
            stream.first[epoch] = seq
        stream.last[epoch] = seq
        stream.newest = max(stream.newest, epoch)
        known = self._positions.get(tau)
        if known is not None:
            # Two epochs, the first of which nobody took, may begin at the same tau: with an EpochStart or, where the
            # stream is sealed, with another EpochEnd.
            self._earlier.setdefault(tau, []).extend((known, (epoch, seq)))
            begin = stream.first.get(known[0]) == known[1] and stream.first.get(epoch) == seq
            check(I1, begin and known[0] != epoch, "a tau was given twice", stream=number, tau=tau)
        if known is None or known[0] < epoch:
            self._positions[tau] = (epoch, seq)
        beat = stream.beat.get(epoch)
        if beat is not None and seq > beat.n:
            check(I5, tau > beat.tau, "a record at or below closed time", stream=number, seq=seq, tau=tau)
        services = self._world.processes[speaker].services
        self.judges.wrote(number, record, services.tenures.get(number) if services is not None else None)
        if record.kind == Kind.epoch_start:
            self._started(speaker, number, stream, record)
        elif record.kind == Kind.transaction:
            self._truth.appended(tau, record.payload)
        elif record.kind == Kind.ownership:
            self._owns(number, _decode_ownership(record.payload))
        elif record.kind == Kind.epoch_end:
            sealed = _decode_end(record.payload).sealed
            self._world.mark("a stream was sealed" if sealed else "an epoch was handed over")

    def _started(self, speaker: str, number: int, stream: _Stream, start: Record) -> None:
        epoch, seq, tau = start.epoch, start.seq, start.tau
        stream.starts[epoch] = (seq, tau)
        self._world.mark("takeover")
        if seq - 1 > stream.committed_seq:
            self._world.mark("a takeover with an unfinished tail")
        if any(of == number and asked < epoch for of, asked in self._votes.values()):
            self._world.mark("a vote outlived its coordinator")
        for earlier, closed in stream.closed.items():
            if earlier < epoch:
                check(I5, tau > closed, "an epoch starts below what was closed", stream=number, epoch=epoch, tau=tau)
        known_epoch, known_seq = stream.acknowledged
        if stream.acknowledged_in >= epoch:
            return
        check(I3, known_seq < seq, "an acknowledged record is not in a later epoch", stream=number, seq=known_seq)
        services = self._world.processes[speaker].services
        tenure = services.tenures.get(number) if services is not None else None
        if tenure is not None and tenure.epoch == epoch and known_seq > tenure.proposer.log.trim_seq:
            adopted = tenure.proposer.log.epoch_at(known_seq)
            check(I3, adopted == known_epoch, "another record stands where an acknowledged one did", seq=known_seq)

    def _beat(self, speaker: str, beat: Beat) -> None:
        stream = self._streams[beat.stream]
        epoch = beat.epoch
        stream.beat[epoch] = beat
        stream.closed[epoch] = max(stream.closed.get(epoch, 0), beat.tau)
        stream.committed_seq = max(stream.committed_seq, beat.commit_seq)
        for later, (_, start) in stream.starts.items():
            if later > epoch:
                check(I5, beat.tau < start, "a zombie closes time of a later epoch", stream=beat.stream, tau=beat.tau)
        services = self._world.processes[speaker].services
        tenure = services.tenures.get(beat.stream) if services is not None else None
        limit = max(beat.tau, tenure.proposer.limit if tenure is not None else 0)
        if limit > stream.limit:
            held = self._disks.limited(beat.stream, limit)
            check(I4, held >= self._disks.majority, "a limit in use is on no majority of disks", stream=beat.stream)
            stream.limit = limit
            ahead = micros_of(limit) - self._world.micros() - 2 * self._world.clock_bound_micros
            if ahead > LIMIT_AHEAD_MICROS:
                check(I4, self._disks.lying(), "a limit far ahead of every clock", stream=beat.stream, ahead=ahead)

    def _committed(self, speaker: str, committed: Committed) -> None:
        tau = committed.tau
        number = stream_of(tau)
        position = self._positions.get(tau)
        check(I3, position is not None, "a commit was acknowledged that nobody appended", tau=tau)
        assert position is not None
        epoch, seq = position
        held = self._disks.holding(number, epoch, seq)
        check(I3, held >= self._disks.majority, "acknowledged on no majority of disks", stream=number, seq=seq)
        stream = self._streams[number]
        services = self._world.processes[speaker].services
        tenure = services.tenures.get(number) if services is not None else None
        if tenure is not None:  # epochs that failed before this one may have lacked the record
            for later, (start, _) in stream.starts.items():
                if later > tenure.epoch:
                    check(I3, seq < start, "acknowledged, and cut by a later epoch", stream=number, seq=seq)
            stream.acknowledged_in = max(stream.acknowledged_in, tenure.epoch)
        stream.acknowledged = max(stream.acknowledged, position)
        stream.committed_seq = max(stream.committed_seq, seq)

    # marks

    def _owns(self, number: int, now: Ownership) -> None:
        before = self._owned.get(number, _NOTHING)
        self._owned[number] = now
        if len(now.given) > len(before.given):
            self._world.mark("a range was given")
        if now.taken != before.taken and now.taken:
            self._world.mark("a range was taken")
        streams = len(before.streams) or 1
        if len(now.streams) > streams:
            self._world.mark("a stream was added")
        elif 0 < len(now.streams) < streams:
            self._world.mark("a stream was removed")

    def _introduced(self, speaker: str, answer: Introduced) -> None:
        """Genesis is unanimous: whoever votes has learnt that all have accepted the list of all (I12)."""
        if answer.voter and not self._disks.founded:
            accepted = self._disks.accepted(answer.genesis)
            check(I12, accepted, "a replica votes before all have accepted the list of all", replica=speaker)

    def _commit(self, _: str, commit: Commit) -> None:
        self._truth.relies(commit)
        self.judges.asked(commit)
        if commit.parts:
            self._world.mark("a commit over several streams")

    def _vote(self, _: str, vote: Vote) -> None:
        self._world.mark("a vote was asked for")
        self._votes[vote.txn, vote.stream] = vote.coordinator, vote.epoch
        if len(self._votes) > VOTES_KEPT:
            del self._votes[next(iter(self._votes))]
        if len(self._uppers) > VOTES_KEPT:
            del self._uppers[next(iter(self._uppers))]

    def _voted(self, speaker: str, voted: Voted) -> None:
        """The voter has just noted it down."""
        services = self._world.processes[speaker].services
        for stream, tenure in services.tenures.items() if services is not None else ():
            for txn in _with_upper(tenure.docket.votes._pending, voted.upper):
                self._uppers[txn, stream] = voted.upper

    def _settle(self, _: str, verdict: Settle) -> None:
        self._votes.pop((verdict.txn, verdict.stream), None)
        upper = self._uppers.pop((verdict.txn, verdict.stream), TAU_MAX)
        check(I4, verdict.tau <= upper, "a tau above a vote's upper", stream=verdict.stream, tau=verdict.tau)
        if not verdict.tau:
            self._truth.denied(verdict.txn)

    def _serving(self, speaker: str, serving: Serving) -> None:
        before = self._served.get(speaker)
        self._served[speaker] = serving.ranges
        if before is not None and not covers(before, serving.ranges):
            self._world.mark("a shard was taken")
        if before is not None and not covers(serving.ranges, before):
            self._world.mark("a shard was given up")

    def _delivery(self, _: str, delivery: Delivery) -> None:
        for delivered in delivery.records:
            self._truth.released(delivered.tau)

    def _appended(self, _: str, answer: Appended) -> None:
        if answer.status == Status.full or not answer.room:
            self._world.mark("a full disk met")
        elif answer.status == Status.limit_refused:
            self._world.mark("a limit was refused")
        elif answer.status == Status.fenced:
            self._world.mark("a zombie was fenced")


def _with_upper(pending: Mapping[bytes, Any], upper: int) -> list[bytes]:
    return [txn for txn, given in pending.items() if given.upper == upper]
