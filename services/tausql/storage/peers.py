"""Checkpoints between replicas: served under back-pressure, taken from one peer after another until one is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.protocol.storage import CheckpointPart, StorageClient
from tausql.rpc.interface import Failure, Sink, Stream
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer
from tausql.storage.checkpoint import CheckpointSource, CheckpointTaker
from tausql.storage.engine import Engine, EngineFailed, EngineFull

PART_BYTES = 256 << 10
RETRY_SECONDS = 1.0

log = logs.get("storage")


class CheckpointServer:
    """Sends a checkpoint part by part, other work in between; stops while the receiver is full."""

    __slots__ = ("_ended", "_host", "_on_end", "_sink", "_source", "complete")

    def __init__(
        self, host: Host, source: CheckpointSource, sink: Sink, on_end: Callable[[CheckpointServer], None]
    ) -> None:
        self._host = host
        self._source = source
        self._sink = sink
        self._on_end = on_end
        self._ended = False
        self.complete = False
        sink.when_closed(self._end)
        host.soon(self._send)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(self)

    def abort(self, failure: Failure) -> None:
        """The store is about to change under the checkpoint: what was sent is worth nothing."""
        self._sink.end(failure)
        self._end()

    def _send(self) -> None:
        if self._ended or not self._sink.open:
            self._end()
            return
        room = self._sink.push(self._source.next_part(PART_BYTES))
        if self._source.done:
            self.complete = True
            self._sink.end(None)
            self._end()
        elif room:
            self._host.soon(self._send)
        else:
            self._sink.when_ready(self._send)


class CheckpointFetcher:
    """Takes a checkpoint from the first peer that gives a whole one. `on_part` is told of every part (to hold the
    journal there), `on_done` that the store is whole. A store that cannot take it ends the process. `above`: the
    replica's own watermark; a peer that is no further is of no help, and its checkpoint would take time back (I12)."""

    __slots__ = (
        "_above",
        "_chosen",
        "_engine",
        "_fleet",
        "_generation",
        "_host",
        "_name",
        "_on_done",
        "_on_part",
        "_peers",
        "_silence_seconds",
        "_stream",
        "_taker",
        "_timer",
        "_watch",
    )

    def __init__(
        self,
        host: Host,
        engine: Engine,
        name: str,
        fleet: str,
        peers: Sequence[tuple[str, StorageClient]],
        on_part: Callable[[CheckpointPart], None],
        on_done: Callable[[], None],
        silence_seconds: float,
        above: int = 0,
    ) -> None:
        self._host = host
        self._engine = engine
        self._above = above
        self._name = name
        self._fleet = fleet
        self._peers = peers
        self._on_part = on_part
        self._on_done = on_done
        self._silence_seconds = silence_seconds
        self._chosen = 0
        self._generation = 0
        self._stream: Stream | None = None
        self._taker: CheckpointTaker | None = None
        self._timer: Timer | None = None
        self._watch: Timer | None = None

    @property
    def entries(self) -> int:
        """Entries taken so far."""
        return self._taker.entries if self._taker is not None else 0

    def start(self) -> None:
        """Ask the next peer. Nothing here is touched before its first part has come."""
        self._timer = None
        self._taker = None
        self._generation += 1
        generation = self._generation

        def on_part(part: CheckpointPart) -> None:
            if generation == self._generation:
                self._take(part)

        def on_end(failure: Failure | None) -> None:
            if generation == self._generation:
                self._failed("ended" if failure is None else failure.message)

        name, peer = self._peers[self._chosen]
        log.info("a checkpoint is asked for", peer=name)
        self._rewatch()
        self._stream = peer.take_checkpoint(self._name, on_part, on_end)

    def stop(self) -> None:
        self._generation += 1
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        self._timer = self._watch = None

    def _take(self, part: CheckpointPart) -> None:
        if not part.fleet or (self._fleet and part.fleet != self._fleet):
            self._failed("the peer belongs to another fleet")
            return
        if part.watermark <= self._above:
            self._failed("the peer is no further than this replica")
            return
        self._rewatch()
        try:
            if self._taker is None:
                self._taker = CheckpointTaker(self._engine)
                self._taker.begin()
            done = self._taker.take(part)
        except (EngineFull, EngineFailed) as error:
            self._host.die(f"a checkpoint could not be written: {error}")
        self._on_part(part)
        if done:
            log.info("a checkpoint is complete", entries=self._taker.entries, watermark=part.watermark)
            self.stop()
            self._on_done()

    def _failed(self, why: str) -> None:
        log.warning("a checkpoint was not completed", peer=self._peers[self._chosen][0], why=why)
        self.stop()
        self._chosen = (self._chosen + 1) % len(self._peers)
        self._timer = self._host.later(RETRY_SECONDS, self.start)

    def _rewatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._host.later(self._silence_seconds, self._failed, "silence")
