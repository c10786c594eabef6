"""Streams as the journal really has them: holders that come, go and linger, replicas that lag and diverge.

The truth of a stream is the log of its committed records. A reader sees it through one replica at a time, whose log may
end in records that are cut later, and through beats that arrive late, in any order, from holders long fenced.
"""

from __future__ import annotations

from random import Random

import msgspec

from tausql.protocol.adjudicator import Beat
from tausql.protocol.journal import EpochEnd, EpochStart, Kind, Ownership, Record, Registered, TailPart

REPLICAS = 3
_encode = msgspec.msgpack.Encoder().encode


def registered_in(log: list[Record]) -> tuple[Registered, ...]:
    """The registry, as the log of stream 0 has it last."""
    for record in reversed(log):
        if record.kind == Kind.ownership:
            return msgspec.msgpack.decode(record.payload, type=Ownership).streams
        if record.kind == Kind.epoch_start:
            return msgspec.msgpack.decode(record.payload, type=EpochStart).ownership.streams
    return (Registered(0, 0),)


def is_sealed(log: list[Record]) -> bool:
    return bool(log) and log[-1].kind == Kind.epoch_end


class Holder:
    """One epoch of a stream: its log (adopted, then its own), its limit, how far it is committed."""

    def __init__(self, epoch, log: list[Record], limit: int) -> None:
        self.epoch = epoch
        self.log = log
        self.start = len(log)  # seq of its EpochStart
        self.committed = 0  # as far as this holder knows
        self.limit = limit
        self.high = log[-1].tau


class GroundStream:
    def __init__(self, stream: int, chance: Random, start: int = 0) -> None:
        self.stream, self.chance, self.start = stream, chance, start
        self.truth: list[Record] = []
        self.counter = 0
        self.views: list[list[Record]] = [[] for _ in range(REPLICAS)]
        self.view_commits = [0] * REPLICAS
        self.reported = start  # the highest limit in force so far: what every later epoch starts above
        self.holder = self.candidate([])
        self.beats: list[Beat] = []
        self.over: set[int] = set()  # stream 0 only: what it may leave out

    def tau(self, at: int) -> int:
        return at * 8 + self.stream

    def candidate(self, adopted: list[Record]) -> Holder:
        self.counter += 1
        epoch = (self.counter, self.chance.randint(1, 9))
        last = adopted[-1].tau if adopted else 0
        low = max(self.reported, last) // 8 + 1
        # An EpochStart of a candidate that fails may lie far above what its successor starts from.
        tau = self.tau(low + self.chance.choice((0, 1, 30, 60)))
        kind = Kind.epoch_start
        payload = _encode(EpochStart("", 0, Ownership(streams=registered_in(adopted) if self.stream == 0 else ())))
        if is_sealed(adopted):  # it is only said again
            kind, payload = Kind.epoch_end, _encode(EpochEnd(tau, True))
        return Holder(epoch, [*adopted, Record(epoch, len(adopted) + 1, tau, kind, payload)], 0)

    def takeover(self) -> None:
        """A new epoch adopts everything committed and perhaps some of what was not."""
        log = self.holder.log
        logs = [log, *self.views]
        whole = [one for one in logs if one[: len(self.truth)] == self.truth]
        adopted = self.chance.choice(whole)
        adopted = adopted[: self.chance.randint(len(self.truth), len(adopted))]
        # What was cut off for good: only records of a log with the highest (epoch, seq) of a majority may be adopted.
        newest = self.truth[-1].epoch if self.truth else (0, 0)
        if adopted and adopted[-1].epoch < newest:
            adopted = list(self.truth)
        self.zombie_beats()
        self.holder = self.candidate(list(adopted))

    def zombie_beats(self) -> None:
        """A fenced holder keeps to its old limit."""
        if self.holder.committed >= self.holder.start:
            for _ in range(self.chance.randint(0, 2)):
                self.beat()

    def assign(self, kind: Kind = Kind.transaction, payload: bytes = b"") -> None:
        holder = self.holder
        if holder.committed < holder.start or is_sealed(holder.log):
            return
        low = holder.high // 8 + 1
        if self.tau(low) > holder.limit:
            return
        tau = self.tau(min(low + self.chance.randint(0, 4), holder.limit // 8))
        if not holder.high < tau <= holder.limit:
            return
        holder.high = tau
        holder.log.append(Record(holder.epoch, len(holder.log) + 1, tau, kind, payload))

    def register(self, stream: int) -> None:
        """Stream 0 only: the record says its own tau, which is found by trying."""
        holder = self.holder
        before, count = registered_in(holder.log), len(holder.log)
        self.assign(Kind.ownership)
        if len(holder.log) > count:
            last = holder.log[-1]
            streams = (*before, Registered(stream, last.tau))
            holder.log[-1] = Record(last.epoch, last.seq, last.tau, last.kind, _encode(Ownership(streams=streams)))

    def repeat(self) -> None:
        """Stream 0 only: what is registered is written again, without those that have ended perhaps."""
        streams = tuple(one for one in registered_in(self.holder.log) if one.stream not in self.over)
        self.assign(Kind.ownership, _encode(Ownership(streams=streams)))

    def seal(self) -> None:
        self.assign(Kind.epoch_end, _encode(EpochEnd(self.holder.limit, True)))

    def extend(self) -> None:
        holder = self.holder
        if holder.committed >= holder.start:
            holder.limit = max(holder.limit, holder.high + 8 * self.chance.randint(1, 20))
            self.reported = max(self.reported, holder.limit)

    def replicate(self, index: int) -> None:
        """A replica takes a stretch of the holder's log, cutting what differs."""
        log, view = self.holder.log, self.views[index]
        same = 0
        while same < min(len(log), len(view)) and log[same] == view[same]:
            same += 1
        end = self.chance.randint(min(same + 1, len(log)), len(log))
        if end > same:
            self.views[index] = log[:end]
        if self.chance.random() < 0.7:
            matched = max(same, end)
            self.view_commits[index] = max(self.view_commits[index], min(self.holder.committed, matched))

    def commit(self) -> Record | None:
        """The next record of the holder's log is on a majority; a new epoch commits from its EpochStart on."""
        holder = self.holder
        target = max(holder.committed + 1, holder.start)
        if target > len(holder.log):
            return None
        new = holder.log[len(self.truth) : target]
        assert holder.log[: len(self.truth)] == self.truth, "the ground itself is broken"
        self.truth = holder.log[:target]
        holder.committed = target
        self.reported = max(self.reported, new[-1].tau if new else 0)
        return new[-1] if new else None

    def beat(self) -> None:
        holder = self.holder
        if holder.committed < holder.start or holder.limit < holder.high or is_sealed(holder.log):
            return
        tau = self.chance.randint(holder.high, holder.limit)
        holder.high = tau
        self.beats.append(Beat(self.stream, holder.epoch, len(holder.log), tau, holder.committed))

    def step(self) -> None:
        move = self.chance.random()
        if move < 0.07:
            self.takeover()
        elif move < 0.25:
            self.assign()
        elif move < 0.35:
            self.extend()
        elif move < 0.65:
            self.replicate(self.chance.randrange(REPLICAS))
        elif move < 0.85:
            self.commit()
        else:
            self.beat()


class Reader:
    """One tail of one stream: what the consumer has been shown of a replica, and what comes next."""

    def __init__(self, ground: GroundStream) -> None:
        self.ground = ground
        self.restart(0)

    def restart(self, released: int) -> None:
        """Read another replica (or the same) from the released records on."""
        self.index = self.ground.chance.randrange(REPLICAS)
        self.base = list(self.ground.truth[:released])
        self.shown = list(self.base)
        self.told_commit = 0

    def next_part(self, everything: bool = False) -> TailPart | None:
        view, commit = self.ground.views[self.index], self.ground.view_commits[self.index]
        if view[: len(self.base)] != self.base:
            return None  # this replica does not have what was read of another one yet
        same = 0
        while same < min(len(view), len(self.shown)) and view[same] == self.shown[same]:
            same += 1
        if len(view) == same == len(self.shown) and commit == self.told_commit:
            return None
        more = len(view) - same if everything else self.ground.chance.randint(0, len(view) - same)
        records = view[same : same + more]
        self.shown = [*self.shown[:same], *records]
        self.told_commit = commit
        return TailPart(self.ground.stream, same, records, commit)
