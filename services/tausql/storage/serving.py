"""Who serves what: told to whoever asks, heard from the peers.

Which ranges a replica *should* keep is in the map; what it answers for right now only it can say. Whoever wants to give
up rows has to know that others serve them, from their own mouths: `ask` is for that moment, when what was heard last
may be old.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tausql.protocol.ranges import RangeSet
from tausql.protocol.storage import Serving, StorageClient
from tausql.rpc.interface import Cause, Failure, Sink, Stream
from tausql.runtime.fleet import Neighbour
from tausql.runtime.host import Host, Timer

WATCHERS_MAX = 4096
RETRY_SECONDS = 1.0
ASK_SECONDS = 2.0


class Announcer:
    """Tells every watcher what is served, now and on every change."""

    __slots__ = ("_sinks", "ranges")

    def __init__(self) -> None:
        self.ranges: RangeSet = ()
        self._sinks: list[Sink] = []

    def add(self, sink: Sink) -> None:
        if len(self._sinks) >= WATCHERS_MAX:
            sink.end(Failure(Cause.overloaded, "too many watch what is served"))
            return
        self._sinks.append(sink)
        sink.when_closed(lambda: self._sinks.remove(sink) if sink in self._sinks else None)
        sink.push(Serving(self.ranges))

    def publish(self, ranges: RangeSet) -> bool:
        """True when this is news."""
        if ranges == self.ranges:
            return False
        self.ranges = ranges
        for sink in tuple(self._sinks):
            if sink.open:
                sink.push(Serving(ranges))
        return True


class _Watched:
    __slots__ = ("client", "name", "ranges", "stream", "zone")

    def __init__(self, peer: Neighbour[StorageClient]) -> None:
        self.name = peer.member.name
        self.zone = peer.member.zone
        self.client = peer.client
        self.stream: Stream | None = None
        self.ranges: RangeSet = ()


class Peers:
    """The other replicas, nearest first, and what each serves. `changed` is called when any of that changes."""

    __slots__ = ("_changed", "_host", "_stopped", "_watched")

    def __init__(self, host: Host, changed: Callable[[], None]) -> None:
        self._host = host
        self._changed = changed
        self._watched: dict[str, _Watched] = {}
        self._stopped = False

    def follow(self, peers: tuple[Neighbour[StorageClient], ...]) -> None:
        """These are the peers there are now."""
        before = self._watched
        self._watched = {}
        for peer in peers:
            known = before.get(peer.member.name)
            if known is None or known.client is not peer.client:
                known = _Watched(peer)
            self._watched[known.name] = known
            known.zone = peer.member.zone
            if known.stream is None:
                self._watch(known)
        for gone in before.values():
            if self._watched.get(gone.name) is not gone and gone.stream is not None:
                gone.stream.cancel()

    def stop(self) -> None:
        self._stopped = True
        for one in self._watched.values():
            if one.stream is not None:
                one.stream.cancel()

    def serving(self) -> list[tuple[str, StorageClient, RangeSet]]:
        """Name, client and ranges of those that serve anything, nearest first."""
        return [(one.name, one.client, one.ranges) for one in self._watched.values() if one.ranges]

    def of(self, name: str) -> RangeSet:
        """What the peer of that name serves as far as is known."""
        known = self._watched.get(name)
        return known.ranges if known is not None else ()

    def zone(self, name: str) -> str:
        known = self._watched.get(name)
        return known.zone if known is not None else ""

    def ask(self, name: str, done: Callable[[RangeSet], None]) -> None:
        """What the peer serves at some moment after this call; () when it does not say so soon."""
        known = self._watched.get(name)
        if known is None:
            self._host.soon(done, ())
            return
        _Question(self._host, known.client, done)

    def _watch(self, one: _Watched) -> None:
        if self._stopped or self._watched.get(one.name) is not one or one.stream is not None:
            return
        one.stream = one.client.watch_serving(partial(self._heard, one), partial(self._ended, one))

    def _heard(self, one: _Watched, serving: Serving) -> None:
        if one.ranges != serving.ranges:
            one.ranges = serving.ranges
            self._changed()

    def _ended(self, one: _Watched, _: Failure | None) -> None:
        one.stream = None
        self._host.later(RETRY_SECONDS, self._watch, one)
        if one.ranges:
            one.ranges = ()
            self._changed()


class _Question:
    """A new stream to a peer, for its first item: what is asked after something was done is answered after it."""

    __slots__ = ("_done", "_stream", "_timer")

    def __init__(self, host: Host, client: StorageClient, done: Callable[[RangeSet], None]) -> None:
        self._done: Callable[[RangeSet], None] | None = done
        self._timer: Timer = host.later(ASK_SECONDS, self._answer, ())
        self._stream = client.watch_serving(
            lambda serving: self._answer(serving.ranges), lambda failure: self._answer(())
        )

    def _answer(self, ranges: RangeSet) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._timer.cancel()
            self._stream.cancel()
            done(ranges)
