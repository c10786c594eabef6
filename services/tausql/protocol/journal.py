"""The journal's messages: an acceptor a zone, many streams, the adjudicator as the proposer.

Every answer names the sender's incarnation (the identity of its disk) and the newest incarnation it has recorded of
each other replica, so that a proposer can drop what a wiped disk once said. `fleet` is the hash of the genesis list.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgspec

from tausql.rpc.interface import Channel, Message, Stream

Epoch = tuple[int, int]  # (counter, writer id): compared as a pair; a higher one fences every lower one
NO_EPOCH: Epoch = (0, 0)


class Kind(IntEnum):
    """What a record is. Acceptors look only when their disk is full."""

    epoch_start = 1
    epoch_end = 2
    transaction = 3
    ownership = 4


class Record(msgspec.Struct, array_like=True, gc=False):
    """One entry of a stream's log."""

    epoch: Epoch
    seq: int  # from 1, contiguous
    tau: int
    kind: int
    payload: bytes  # MessagePack of `EpochStart`, `EpochEnd`, `adjudicator.Transaction` or `Ownership`


class Owned(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """Conflicts on the keys of [low, high) are judged by this stream; `high` b"" = no end. Transactions with a
    tau_start at or below `floor` are refused: another stream judged until then."""

    low: bytes
    high: bytes
    floor: int = 0


class Given(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """[low, high) is not judged by this stream any more: nothing above `floor` was assigned, closed or voted for its
    keys here. Kept until stream `to` has it in its own log."""

    low: bytes
    high: bytes
    floor: int
    to: int


class Taken(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """Every range that stream `giver` has given to this one with a floor up to this is owned, or was: floors of one
    giver rise, so an offer heard again is known as such."""

    giver: int
    floor: int


class Registered(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A stream of the fleet. All its taus lie above `start`, the tau of the record that registers it (stream 0: 0)."""

    stream: int
    start: int


class Ended(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A stream that is registered no more, and a record of its log that a majority has: it, or one before it, is the
    stream's last for ever. Nobody is left to say that these are committed, but whoever reads this."""

    stream: int
    epoch: Epoch
    seq: int


class Ownership(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a stream owns from a record's tau on, whole: the newest record that carries one says it all. `streams`: the
    registry, in stream 0 only, itself included. `ended`: those that go with this very record; their taus lie below."""

    owned: tuple[Owned, ...] = ()
    given: tuple[Given, ...] = ()
    taken: tuple[Taken, ...] = ()
    streams: tuple[Registered, ...] = ()
    ended: tuple[Ended, ...] = ()


class EpochStart(msgspec.Struct, array_like=True, gc=False):
    """First record of an epoch: only when it is on a majority does anything earlier count as committed."""

    holder: str
    floor: int  # the highest limit the recovery majority reported
    ownership: Ownership


class EpochEnd(msgspec.Struct, array_like=True, gc=False):
    """A planned handover: nothing above `high` was assigned, closed or voted in this epoch. `sealed`: the last record
    of the stream, for ever. Whoever adopts a sealed log may say its end again, to make sure of it, and nothing else."""

    high: int
    sealed: bool = False


class Status(IntEnum):
    ok = 0
    fenced = 1  # a higher epoch is promised
    gap = 2  # previous (epoch, seq) does not match
    reluctant = 3  # the present holder seems alive: ask again later
    learner = 4  # this replica is blank and may not answer yet
    limit_refused = 5  # the limit is too far ahead of this replica's clock; the records were not taken either
    full = 6  # no room on the disk; promises still fit
    trimmed = 7  # below the trim point
    stranger = 8  # another fleet's message


class Describe(msgspec.Struct, tag="journal_describe", array_like=True, gc=False):
    """Call: who are you? The one message that needs no fleet id."""


class Description(msgspec.Struct, tag="journal_description", array_like=True, gc=False):
    fleet: str  # "" until genesis is complete
    replica: str
    incarnation: int
    voter: bool
    replicas: tuple[str, ...]  # names in the order that `known` uses


class Probe(msgspec.Struct, tag="journal_probe", array_like=True, gc=False):
    """Call: would you be reluctant to grant? Changes nothing."""

    fleet: str
    stream: int


class Probed(msgspec.Struct, tag="journal_probed", array_like=True, gc=False):
    status: int  # ok = would grant, reluctant, learner, stranger
    promised: Epoch
    holder: str  # name of the last proposer heard, "" if none


class Open(msgspec.Struct, tag="journal_open", array_like=True, gc=False):
    """Call: promise me this epoch."""

    fleet: str
    stream: int
    epoch: Epoch
    holder: str


class Opened(msgspec.Struct, tag="journal_opened", array_like=True, gc=False):
    status: int  # ok = granted, fenced, reluctant, learner, stranger
    replica: str
    incarnation: int
    known: tuple[int, ...]
    promised: Epoch
    last_epoch: Epoch
    last_seq: int
    history: tuple[tuple[Epoch, int], ...]  # (epoch, first seq) of every epoch in the log, oldest first
    limit: int
    commit_seq: int
    trim_epoch: Epoch  # the log's base: (0, 0), 0 if nothing was trimmed
    trim_seq: int
    last_tau: int = 0  # of the record at last_seq, trimmed or not; 0 = not known
    ownership_seq: int = 0  # of the newest record in the log that carries an `Ownership`; never trimmed; 0 = none


class Append(msgspec.Struct, tag="journal_append", array_like=True, gc=False):
    """Call: these records follow (previous_epoch, previous_seq). `limit` 0 = unchanged. `leaving`: with
    them the log ends in the holder's EpochEnd, so that nobody need wait for it any more."""

    fleet: str
    stream: int
    epoch: Epoch
    previous_epoch: Epoch
    previous_seq: int
    records: list[Record]
    commit_seq: int
    limit: int
    leaving: bool = False


class Appended(msgspec.Struct, tag="journal_appended", array_like=True, gc=False):
    status: int  # ok, fenced, gap, learner, limit_refused, full, stranger
    replica: str
    incarnation: int
    known: tuple[int, ...]
    promised: Epoch
    seq: int  # ok: the last seq this append matched; gap: the replica's last seq, a hint where to go back to
    limit: int  # the highest limit stored
    clock: int = 0  # the replica's clock.latest in microseconds, when it refused a limit
    room: bool = True  # False: its disk is nearly full, send no more transactions


class ReadLog(msgspec.Struct, tag="journal_read", array_like=True, gc=False):
    """Call: records of `seq` and later, uncommitted ones too (for proposers and learners), up to about `bytes_max`."""

    fleet: str
    stream: int
    seq: int
    bytes_max: int


class LogPart(msgspec.Struct, tag="journal_part", array_like=True, gc=False):
    status: int  # ok, trimmed, learner, stranger
    records: list[Record]
    last_epoch: Epoch
    last_seq: int
    commit_seq: int
    trim_epoch: Epoch
    trim_seq: int


class Tail(msgspec.Struct, tag="journal_tail", array_like=True, gc=False):
    """Stream request: everything after (epoch, seq), as it is fsynced, committed or not, and what happens to it.

    Refused with `trimmed` when `seq` is below the trim point, with `stranger` for another fleet."""

    fleet: str
    stream: int
    epoch: Epoch
    seq: int


class TailPart(msgspec.Struct, tag="journal_tail_part", array_like=True, gc=False):
    """An item: first drop everything above `keep_seq` (it was cut), then take `records`. Nothing may be released above
    `commit_seq` on this replica's word."""

    stream: int
    keep_seq: int
    records: list[Record]
    commit_seq: int


class Trim(msgspec.Struct, tag="journal_trim", array_like=True, gc=False):
    """Call: everything up to `seq` (committed, of `epoch`) may go."""

    fleet: str
    stream: int
    epoch: Epoch
    seq: int


class Trimmed(msgspec.Struct, tag="journal_trimmed", array_like=True, gc=False):
    status: int
    seq: int  # the trim point now (whole segments only, so it may be lower than asked)


class Introduce(msgspec.Struct, tag="journal_introduce", array_like=True, gc=False):
    """Call between replicas: my name and incarnation; record it durably before you answer. Carries genesis too."""

    fleet: str  # "" while blank
    replica: str
    incarnation: int
    genesis: tuple[tuple[str, int], ...]  # accepted by the sender (or, blank, proposed), by name; () = none


class Introduced(msgspec.Struct, tag="journal_introduced", array_like=True, gc=False):
    fleet: str
    replica: str
    incarnation: int
    voter: bool
    genesis: tuple[tuple[str, int], ...]  # the one list this replica has durably accepted, () = none yet
    known: tuple[int, ...]
    streams: tuple[StreamState, ...]  # voters only: a learner takes the highest of a majority of all others


class StreamState(msgspec.Struct, array_like=True, gc=False):
    stream: int
    promised: Epoch
    limit: int
    last_epoch: Epoch
    last_seq: int
    trim_epoch: Epoch
    trim_seq: int


class JournalClient:
    """Typed calls to one replica. `done` gets the answer struct or a `Failure`."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def describe(self, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(Describe(), deadline_seconds, done)

    def probe(self, request: Probe, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def open(self, request: Open, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def append(self, request: Message, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        """`request`: an `Append`, or one `Encoded` once for all replicas."""
        self.channel.call(request, deadline_seconds, done)

    def read_log(self, request: ReadLog, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def trim(self, request: Trim, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def introduce(self, request: Introduce, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def tail(
        self, request: Tail, on_part: Callable[[TailPart], None], on_end: Callable[[Any], None]
    ) -> Stream:
        return self.channel.stream(request, on_part, on_end)


MESSAGES = (
    Describe
    | Description
    | Probe
    | Probed
    | Open
    | Opened
    | Append
    | Appended
    | ReadLog
    | LogPart
    | Tail
    | TailPart
    | Trim
    | Trimmed
    | Introduce
    | Introduced
)
