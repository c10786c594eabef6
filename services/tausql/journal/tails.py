"""Subscribers of streams: every record as soon as it is synced, and what is cut again.

Pushing only what is committed would cost readers a round of messages: instead they get the tail at once and hold it
back themselves until they hear that it is committed. A subscriber is `live` when it has everything up to the last sync;
then one part, made once, serves all. Others are read to from the store at their own pace, and stop when their sink is
full. Called by the shell: `fresh` and the like while a message is handled, `push` after the sync.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tausql.journal.entries import LogState
from tausql.protocol.journal import Epoch, Record, Tail, TailPart
from tausql.rpc.interface import Cause, Encoded, Failure, Message, Sink

PART_BYTES_MAX = 256 << 10
PARTS_A_TURN_MAX = 8


class TailSource(Protocol):
    def log_state(self, stream: int) -> LogState: ...

    def read(self, stream: int, seq: int, bytes_max: int) -> list[Record]: ...

    def commit_seq(self, stream: int) -> int: ...


class Subscriber:
    """One tail. `cursor` = the last seq its client holds; `placed` once (epoch, cursor) was found in the log."""

    __slots__ = ("cursor", "epoch", "live", "placed", "sink", "stream", "told", "waiting")

    def __init__(self, request: Tail, sink: Sink) -> None:
        self.stream = request.stream
        self.epoch: Epoch = request.epoch
        self.cursor = request.seq
        self.sink = sink
        self.placed = False
        self.live = False
        self.waiting = False  # for room in the sink
        self.told = -1  # the commit_seq it was last told


class Tails:
    """All subscribers of a replica."""

    def __init__(
        self,
        source: TailSource,
        wake: Callable[[], None],
        later: Callable[[], None],
        subscribers_max: int = 256,
    ) -> None:
        """`wake`: have `push` called after the next sync. `later`: have `commits_due` called in a while, once."""
        self._source = source
        self._wake = wake
        self._later = later
        self._subscribers_max = subscribers_max
        self._streams: dict[int, list[Subscriber]] = {}
        self._fresh: dict[int, tuple[int, list[Record]]] = {}
        self._risen: set[int] = set()  # streams whose commit_seq live subscribers have not heard
        self._later_asked = False
        self._commits_due = False
        self._due: dict[Subscriber, None] = {}
        self.count = 0
        self.parts = 0

    # the core's side

    def fresh(self, stream: int, keep_seq: int, records: list[Record]) -> None:
        """The log was cut to `keep_seq` and goes on with `records`."""
        if stream not in self._streams:
            return
        waiting = self._fresh.get(stream)
        if waiting is None or keep_seq <= waiting[0]:
            self._fresh[stream] = (keep_seq, records)
        else:
            self._fresh[stream] = (waiting[0], waiting[1][: keep_seq - waiting[0]] + records)

    def committed(self, stream: int) -> None:
        if stream in self._streams:
            self._risen.add(stream)

    def rebased(self, stream: int) -> None:
        """The log was begun anew behind everything it held: whoever read it must find its place again."""
        self._fresh.pop(stream, None)
        for subscriber in list(self._streams.get(stream, ())):
            self._end(subscriber, Cause.unavailable, "the log of this replica began anew")

    # subscribers

    def add(self, request: Tail, sink: Sink) -> None:
        """A new subscriber; it gets its first part, or its end, with the next `push`."""
        if self.count >= self._subscribers_max:
            sink.end(Failure(Cause.overloaded, f"{self.count} tails already"))
            return
        subscriber = Subscriber(request, sink)
        self._streams.setdefault(request.stream, []).append(subscriber)
        self.count += 1
        sink.when_closed(lambda: self._remove(subscriber))
        self._due[subscriber] = None
        self._wake()

    def _remove(self, subscriber: Subscriber) -> None:
        subscribers = self._streams.get(subscriber.stream)
        if subscribers is None or subscriber not in subscribers:
            return
        subscribers.remove(subscriber)
        self.count -= 1
        self._due.pop(subscriber, None)
        if not subscribers:
            del self._streams[subscriber.stream]
            self._fresh.pop(subscriber.stream, None)
            self._risen.discard(subscriber.stream)

    def _end(self, subscriber: Subscriber, cause: Cause, why: str) -> None:
        self._remove(subscriber)
        subscriber.sink.end(Failure(cause, why))

    def end_one(self) -> None:
        """End a tail, as an overloaded replica might: its reader goes elsewhere, or comes back."""
        for subscribers in self._streams.values():
            self._end(subscribers[0], Cause.unavailable, "the tail is ended")
            return

    # after a sync

    def push(self) -> None:
        """Everything synced goes out."""
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            for stream, (keep_seq, records) in fresh.items():
                self._push_fresh(stream, keep_seq, records)
        if self._risen:
            self._push_commits()
        if self._due:
            due, self._due = self._due, {}
            for subscriber in due:
                self._catch_up(subscriber)

    def commits_due(self) -> None:
        """Live subscribers are to hear of commit_seqs that no record has carried to them: with the next push, since
        a cut that waits for its sync must reach them first."""
        self._later_asked = False
        if self._risen:
            self._commits_due = True
            self._wake()

    def _push_commits(self) -> None:
        if self._commits_due:
            self._commits_due = False
            risen, self._risen = self._risen, set()
            for stream in risen:
                for subscriber in list(self._streams[stream]):
                    self._tell(subscriber)
        else:
            for stream in self._risen:
                for subscriber in self._streams[stream]:
                    if not subscriber.placed:
                        self._due[subscriber] = None
            if not self._later_asked:
                self._later_asked = True
                self._later()

    def _push_fresh(self, stream: int, keep_seq: int, records: list[Record]) -> None:
        commit_seq = self._source.commit_seq(stream)
        item = TailPart(stream, keep_seq, records, commit_seq)
        last = keep_seq + len(records)
        subscribers = self._streams.get(stream, [])
        part: Message = item if len(subscribers) == 1 else Encoded(item)
        self._risen.discard(stream)
        for subscriber in list(subscribers):
            if subscriber.live:
                subscriber.cursor = last
                subscriber.told = commit_seq
                self._send(subscriber, part)
            else:
                if subscriber.placed:
                    subscriber.cursor = min(subscriber.cursor, keep_seq)
                if not subscriber.waiting:
                    self._due[subscriber] = None

    def _send(self, subscriber: Subscriber, part: Message) -> bool:
        self.parts += 1
        if subscriber.sink.push(part):
            return True
        subscriber.live = False
        subscriber.waiting = True
        subscriber.sink.when_ready(lambda: self._resume(subscriber))
        return False

    def _resume(self, subscriber: Subscriber) -> None:
        subscriber.waiting = False
        if subscriber in self._streams.get(subscriber.stream, ()):
            self._due[subscriber] = None
            self._wake()

    def _catch_up(self, subscriber: Subscriber) -> None:
        """Read to a subscriber from the store, until it is live, its sink is full or others deserve a turn."""
        if subscriber.waiting or subscriber.live or not self._place(subscriber):
            return
        stream = subscriber.stream
        for _ in range(PARTS_A_TURN_MAX):
            if subscriber.cursor < self._source.log_state(stream).trim_seq:
                self._place(subscriber)
                return
            records = self._source.read(stream, subscriber.cursor + 1, PART_BYTES_MAX)
            if not records:
                subscriber.live = True
                self._tell(subscriber)
                return
            part = TailPart(stream, subscriber.cursor, records, self._source.commit_seq(stream))
            subscriber.cursor = records[-1].seq
            subscriber.told = part.commit_seq
            if not self._send(subscriber, part):
                return
        self._due[subscriber] = None
        self._wake()

    def _tell(self, subscriber: Subscriber) -> None:
        commit_seq = self._source.commit_seq(subscriber.stream)
        if subscriber.live and commit_seq > subscriber.told:
            subscriber.told = commit_seq
            self._send(subscriber, TailPart(subscriber.stream, subscriber.cursor, [], commit_seq))

    def _place(self, subscriber: Subscriber) -> bool:
        """Whether the subscriber's cursor is in this log. A replica that is behind may get there yet."""
        state = self._source.log_state(subscriber.stream)
        cursor = subscriber.cursor
        if cursor < state.trim_seq:
            self._end(subscriber, Cause.refused, f"trimmed: the log begins after {state.trim_seq}")
            return False
        if subscriber.placed:
            return True
        if cursor > state.last_seq:
            return False
        if state.epoch_at(cursor) == subscriber.epoch:
            subscriber.placed = True
            return True
        if self._source.commit_seq(subscriber.stream) >= cursor:
            self._end(subscriber, Cause.refused, f"diverged: {cursor} was committed in another epoch")
        return False
