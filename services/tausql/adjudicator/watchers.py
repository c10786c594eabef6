"""Who watches holdings or beats: each gets the newest of every stream, and never a backlog.

What a watcher needs is the present, not the history: an item supersedes every earlier one of its stream. So a watcher
that cannot keep up costs no memory; when it has room again it gets the newest of each stream and misses nothing.
"""

from __future__ import annotations

from functools import partial

import msgspec

from tausql.rpc.interface import Cause, Encoded, Failure, Sink


class Watchers:
    """The sinks of one kind of stream, and the newest item by stream number."""

    __slots__ = ("_blocked", "_count_max", "_sinks", "latest")

    def __init__(self, count_max: int) -> None:
        self.latest: dict[int, msgspec.Struct] = {}
        self._sinks: dict[int, Sink] = {}  # by id: a sink need not be hashable
        self._blocked: set[int] = set()
        self._count_max = count_max

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, sink: Sink) -> None:
        """Serve `sink` until it closes, beginning with the newest items there are."""
        if len(self._sinks) >= self._count_max:
            sink.end(Failure(Cause.overloaded, f"{self._count_max} watchers are the most that are served"))
            return
        self._sinks[id(sink)] = sink
        sink.when_closed(partial(self._remove, id(sink)))
        self._refresh(id(sink))

    def publish(self, stream: int, item: msgspec.Struct) -> None:
        """`item` is the newest of `stream`."""
        self.latest[stream] = item
        if not self._sinks:
            return
        encoded = Encoded(item)
        for number, sink in list(self._sinks.items()):
            if number not in self._blocked:
                self._push(number, sink, encoded)

    def end(self) -> None:
        """No more items for anybody."""
        sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.end()

    def _push(self, number: int, sink: Sink, item: Encoded) -> None:
        if not sink.push(item) and sink.open:
            self._blocked.add(number)
            sink.when_ready(partial(self._refresh, number))

    def _refresh(self, number: int) -> None:
        self._blocked.discard(number)
        sink = self._sinks.get(number)
        if sink is None:
            return
        for item in self.latest.values():
            if number in self._blocked:
                return  # `when_ready` comes back here
            self._push(number, sink, Encoded(item))

    def _remove(self, number: int) -> None:
        self._sinks.pop(number, None)
        self._blocked.discard(number)
