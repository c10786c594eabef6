"""Checkpoints between replicas: served under back-pressure, and taken."""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.ranges import Range, RangeSet, common
from tausql.protocol.storage import CheckpointPart, StorageClient, TakeCheckpoint
from tausql.rpc.interface import Cause, Failure, Sink, Stream
from tausql.runtime import logs
from tausql.runtime.fault_points import SLOW_CHECKPOINT, STOP_A_CHECKPOINT, fault
from tausql.runtime.host import Host, Timer
from tausql.storage.checkpoint import CheckpointSource, CheckpointTaker
from tausql.storage.engine import EngineFailed, EngineFull

PART_BYTES = 256 << 10
SLOW_SECONDS = 2.5  # at a fault point: less than the silence that a taker gives up after

log = logs.get("storage")


class CheckpointServer:
    """Sends a checkpoint part by part, other work in between; stops while the receiver is full."""

    __slots__ = ("_ended", "_host", "_on_end", "_sink", "_source", "complete", "range")

    def __init__(
        self, host: Host, source: CheckpointSource, sink: Sink, on_end: Callable[[CheckpointServer], None]
    ) -> None:
        self._host = host
        self._source = source
        self._sink = sink
        self._on_end = on_end
        self._ended = False
        self.range: Range = (source.state.low, source.state.high)
        self.complete = False
        sink.when_closed(self._end)
        host.soon(self._send)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(self)

    def abort(self, failure: Failure) -> None:
        """The rows are about to go: what was sent is worth nothing."""
        self._sink.end(failure)
        self._end()

    def _send(self) -> None:
        if self._ended or not self._sink.open:
            self._end()
            return
        if fault(self._host, STOP_A_CHECKPOINT):
            self.abort(Failure(Cause.unavailable, "no more"))
            return
        try:
            slow = fault(self._host, SLOW_CHECKPOINT)
            part = self._source.next_part(1 if slow else PART_BYTES)
        except EngineFailed as error:
            self._host.die(f"the store failed: {error}")
        room = self._sink.push(part)
        if self._source.done:
            self.complete = True
            self._sink.end(None)
            self._end()
        elif slow:
            self._host.later(SLOW_SECONDS, self._send)
        elif room:
            self._host.soon(self._send)
        else:
            self._sink.when_ready(self._send)


class CheckpointServers:
    """All that are at work."""

    __slots__ = ("_host", "_on_served", "_served_max", "_servers")

    def __init__(self, host: Host, served_max: int, on_served: Callable[[CheckpointServer], None]) -> None:
        self._host = host
        self._served_max = served_max
        self._on_served = on_served
        self._servers: list[CheckpointServer] = []

    def serve(self, source: CheckpointSource, sink: Sink) -> None:
        if len(self._servers) >= self._served_max:
            sink.end(Failure(Cause.overloaded, "too many checkpoints are being sent"))
            return
        self._servers.append(CheckpointServer(self._host, source, sink, self._ended))

    def abort(self, ranges: RangeSet, why: str) -> None:
        """The rows of `ranges` are about to go."""
        for server in tuple(self._servers):
            if common((server.range,), ranges):
                server.abort(Failure(Cause.unavailable, why))

    def _ended(self, server: CheckpointServer) -> None:
        self._servers.remove(server)
        self._on_served(server)


class CheckpointFetcher:
    """Takes one checkpoint from one peer. `on_part` is told of every part before it is written, `on_done` that the
    range is whole, `on_failed` that it will not be, and why. A store that cannot take it ends the process. `above`: a
    peer that is no further is of no help: its rows would leave a gap, or take time back (I12)."""

    __slots__ = (
        "_above",
        "_client",
        "_fleet",
        "_host",
        "_name",
        "_on_done",
        "_on_failed",
        "_on_part",
        "_silence_seconds",
        "_stopped",
        "_stream",
        "_taker",
        "_watch",
        "peer",
        "range",
    )

    def __init__(
        self,
        host: Host,
        name: str,
        fleet: str,
        wanted: Range,
        peer: tuple[str, StorageClient],
        taker: CheckpointTaker,
        on_part: Callable[[CheckpointPart], None],
        on_done: Callable[[], None],
        on_failed: Callable[[str], None],
        silence_seconds: float,
        above: int = 0,
    ) -> None:
        self._host = host
        self._name = name
        self._fleet = fleet
        self.range = wanted
        self.peer, self._client = peer
        self._taker = taker
        self._on_part = on_part
        self._on_done = on_done
        self._on_failed = on_failed
        self._silence_seconds = silence_seconds
        self._above = above
        self._stopped = False
        self._stream: Stream | None = None
        self._watch: Timer | None = None

    @property
    def entries(self) -> int:
        """Entries taken so far. Nothing here was touched before there is one."""
        return self._taker.entries

    def start(self) -> None:
        low, high = self.range
        log.info("a checkpoint is asked for", peer=self.peer, low=low.hex(), high=high.hex())
        self._rewatch()
        self._stream = self._client.take_checkpoint(TakeCheckpoint(self._name, low, high), self._take, self._ended)

    def stop(self) -> None:
        self._stopped = True
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _ended(self, failure: Failure | None) -> None:
        if not self._stopped:
            self._fail("ended" if failure is None else failure.message)

    def _take(self, part: CheckpointPart) -> None:
        if self._stopped:
            return
        if not part.fleet or (self._fleet and part.fleet != self._fleet):
            self._fail("the peer belongs to another fleet")
            return
        if part.watermark <= self._above:
            self._fail("the peer is no further than this replica")
            return
        self._rewatch()
        try:
            if not self._taker.entries:
                self._taker.begin()
            self._on_part(part)
            done = self._taker.take(part)
        except (EngineFull, EngineFailed) as error:
            self._host.die(f"a checkpoint could not be written: {error}")
        if done:
            log.info("a checkpoint is complete", entries=self._taker.entries, watermark=part.watermark)
            self.stop()
            self._on_done()

    def _fail(self, why: str) -> None:
        log.warning("a checkpoint was not completed", peer=self.peer, why=why)
        self.stop()
        self._on_failed(why)

    def _rewatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._host.later(self._silence_seconds, self._fail, "silence")
