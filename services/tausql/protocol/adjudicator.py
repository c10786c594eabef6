"""The adjudicator's messages: commit, outcome, who holds which stream, heartbeats, nudges."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgspec

from tausql.protocol.journal import Epoch
from tausql.rpc.interface import Channel, Stream


class Transaction(msgspec.Struct, array_like=True, gc=False):
    """Payload of a journal record of kind `transaction`: one commit, whole.

    `writes` and `shares` are conflict keys; `body` is the post images, which only storage opens: MessagePack of
    `list[PostImage]` in key order. `low` and `high` are the first and last key of the body."""

    txn: bytes
    tau_start: int
    writes: list[bytes]
    shares: list[bytes]
    changes: list[int]  # relations whose schema this commit changes
    low: bytes
    high: bytes
    body: bytes


PostImage = tuple[bytes, bytes | None]  # (key, value); None = tombstone


class Part(msgspec.Struct, array_like=True, gc=False):
    """The conflict keys of a transaction that another stream than the coordinator's owns."""

    stream: int
    writes: list[bytes]
    shares: list[bytes]


class Commit(msgspec.Struct, tag="commit", array_like=True, gc=False):
    """Call to the coordinator, the holder of the lowest stream among the owners of its keys (of stream 0 for a schema
    change): judge and commit. `writes` and `shares` are the coordinator's own keys, `parts` those of the others. Sent
    once in the life of a txn id; an answer that does not come is asked for by `Outcome`, never by sending this
    again."""

    txn: bytes  # 16 random bytes
    tau_start: int
    deadline: int  # a tau: committed at or below it, or not at all
    stream: int
    epoch: Epoch  # judged in this epoch only
    writes: list[bytes]
    shares: list[bytes]
    schema: list[int]  # relations whose schema this transaction relied on
    changes: list[int]
    low: bytes
    high: bytes
    body: bytes
    parts: tuple[Part, ...] = ()  # the other streams that must vote, rising; for a schema change every registered one


class Committed(msgspec.Struct, tag="committed", array_like=True, gc=False):
    """It is on a majority of disks, and its tau lies in the past of every clock."""

    tau: int


class Reason(IntEnum):
    conflict = 0  # OC000
    schema = 1  # OC001
    floor = 2  # tau_start at or below the floor: take a snapshot at or above `floor` and try again
    deadline = 3  # could not be given a tau at or below the deadline
    not_holder = 4  # this process does not hold (stream, epoch): never judged
    wrong_shard = 5  # a key lies outside the ranges this stream owns: never judged
    overloaded = 6  # no room: never judged
    full = 7  # the journal's disks are full
    votes = 8  # the votes of the other streams left no instant, or one of them did not vote in time


class Aborted(msgspec.Struct, tag="aborted", array_like=True, gc=False):
    """It has not committed and never will."""

    reason: int
    floor: int = 0
    key: bytes = b""  # the conflict key, for the log


class Unresolved(msgspec.Struct, tag="unresolved", array_like=True, gc=False):
    """It was enqueued, and this process cannot tell what became of it: ask `Outcome` of the next holder."""


class Vote(msgspec.Struct, tag="vote", array_like=True, gc=False):
    """Call of a coordinator to the holder of another owner: may `txn` commit as far as your keys are concerned? Answers
    `Voted`, and the keys are pending until `Settle`, or until the vote's upper has passed; or `Aborted`."""

    txn: bytes
    tau_start: int
    stream: int  # who votes
    coordinator: int  # the stream that decides
    epoch: Epoch  # of the coordinator: the vote serves this epoch only
    writes: list[bytes]
    shares: list[bytes]
    schema: list[int]
    changes: list[int]
    low: bytes  # of the transaction: tells whose schema is meant


class Voted(msgspec.Struct, tag="voted", array_like=True, gc=False):
    """It may commit at a tau from `lower` to `upper`, both included."""

    lower: int
    upper: int


class Settle(msgspec.Struct, tag="settle", array_like=True, gc=False):
    """Cast of a coordinator to the holder of `stream`: `txn` is committed, on a majority, at `tau`; or, `tau` 0, never
    will be."""

    txn: bytes
    stream: int
    tau: int


class Outcome(msgspec.Struct, tag="outcome", array_like=True, gc=False):
    """Call to whoever holds `stream` now: what became of `txn`, sent in `epoch`? Answers `Committed`, `Aborted`, or
    `Undecided` (ask again)."""

    txn: bytes
    tau_start: int
    deadline: int
    stream: int
    epoch: Epoch


class Undecided(msgspec.Struct, tag="undecided", array_like=True, gc=False):
    """Not known yet here: the stream is still being recovered, or another process holds it (`holder`)."""

    holder: str = ""


class WatchHoldings(msgspec.Struct, tag="watch_holdings", array_like=True, gc=False):
    """Stream request: `Holding` for every stream this process holds, now and on every change."""


class Holding(msgspec.Struct, tag="holding", array_like=True, gc=False):
    stream: int
    epoch: Epoch
    held: bool  # False: given up or fenced
    floor: int
    ranges: tuple[tuple[bytes, bytes], ...]  # key ranges judged: a commit outside of them is refused (`wrong_shard`)
    streams: tuple[int, ...] = ()  # stream 0 only: every registered stream, itself included
    starts: tuple[int, ...] = ()  # of each of `streams`: what its taus lie above


class TakeRange(msgspec.Struct, tag="take_range", array_like=True, gc=False):
    """Call of a giver's holder to the taker's: [low, high) is not judged by `giver` any more, which a majority has in
    its log; nothing above `floor` happened there. Answers `RangeTaken`, or `Undecided`: ask again, perhaps another one.
    Repeated until it is taken; a giver's offers to one taker come one by one, in the order of their floors."""

    giver: int
    to: int
    low: bytes
    high: bytes
    floor: int


class RangeTaken(msgspec.Struct, tag="range_taken", array_like=True, gc=False):
    """A majority has it in the taker's log."""


class StreamSealed(msgspec.Struct, tag="stream_sealed", array_like=True, gc=False):
    """Call to the holder of stream 0: a majority has the last record of `stream`, (epoch, seq), in its log. Answers
    `StreamRemoved` once the registry names it no more, or `Undecided`: ask again, perhaps another one."""

    stream: int
    epoch: Epoch
    seq: int
    tau: int


class StreamRemoved(msgspec.Struct, tag="stream_removed", array_like=True, gc=False):
    """It is out of the registry, on a majority."""


class WatchBeats(msgspec.Struct, tag="watch_beats", array_like=True, gc=False):
    """Stream request: `Beat`s of every stream this process holds, now and later."""


class Beat(msgspec.Struct, tag="beat", array_like=True, gc=False):
    """Heartbeat: once you have every record of `epoch` up to `n` (assigned, in flight included), nothing at or below
    `tau` will follow in `stream`. Also says that everything up to `commit_seq` in the log of `epoch` is committed."""

    stream: int
    epoch: Epoch
    n: int
    tau: int
    commit_seq: int


class Nudge(msgspec.Struct, tag="nudge", array_like=True, gc=False):
    """Cast: somebody waits for `tau` to be closed."""

    stream: int
    tau: int


class Lag(msgspec.Struct, tag="lag", array_like=True, gc=False):
    """Cast of a crossbar to every holder: so far behind is what the slowest storage replica holds durably. Said every
    second while it is much: the log can only be trimmed up to there."""

    micros: int


class AdjudicatorClient:
    """Typed calls to one adjudicator process. `done` gets the answer struct or a `Failure`."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def commit(self, request: Commit, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def vote(self, request: Vote, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def settle(self, verdict: Settle) -> None:
        self.channel.cast(verdict)

    def take_range(self, request: TakeRange, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def stream_sealed(self, request: StreamSealed, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def outcome(self, request: Outcome, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def watch_holdings(self, on_item: Callable[[Holding], None], on_end: Callable[[Any], None]) -> Stream:
        return self.channel.stream(WatchHoldings(), on_item, on_end)

    def watch_beats(self, on_item: Callable[[Beat], None], on_end: Callable[[Any], None]) -> Stream:
        return self.channel.stream(WatchBeats(), on_item, on_end)

    def nudge(self, nudge: Nudge) -> None:
        self.channel.cast(nudge)

    def lag(self, lag: Lag) -> None:
        self.channel.cast(lag)


MESSAGES = (
    Commit
    | Committed
    | Aborted
    | Unresolved
    | Vote
    | Voted
    | Settle
    | TakeRange
    | RangeTaken
    | StreamSealed
    | StreamRemoved
    | Outcome
    | Undecided
    | WatchHoldings
    | Holding
    | WatchBeats
    | Beat
    | Nudge
    | Lag
)
