"""One stream read from one journal replica at a time: the nearest that will do, another when it fails or lags.

A replica that is cut off from the holder keeps answering, with a log that has stopped: no error would ever tell. What
tells is a beat that speaks of records this tail does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.crossbar.merge import StreamTail
from tausql.protocol.journal import JournalClient, Tail, TailPart
from tausql.rpc.interface import Cause, Failure, Stream
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

RETRY_SECONDS = 0.05
RETRY_SECONDS_MAX = 1.0
PATIENCE_SECONDS_MAX = 2.0

log = logs.get("crossbar")


class TailReader:
    """Keeps `tail` fed. `on_part` is called after the tail has taken a part; `on_trimmed` once most replicas
    have said that the position lies below their trim point, and none had anything better to say."""

    __slots__ = (
        "_behind_since",
        "_chosen",
        "_failures",
        "_fleet",
        "_generation",
        "_host",
        "_journal",
        "_lag_seconds",
        "_on_part",
        "_on_trimmed",
        "_patience_seconds",
        "_refused",
        "_retry_seconds",
        "_stream",
        "_timer",
        "_watch",
        "running",
        "switches",
        "tail",
    )

    def __init__(
        self,
        host: Host,
        journal: Sequence[tuple[str, JournalClient]],
        fleet: str,
        tail: StreamTail,
        lag_seconds: float,
        on_part: Callable[[], None],
        on_trimmed: Callable[[], None],
    ) -> None:
        self._host = host
        self._journal = journal
        self._fleet = fleet
        self.tail = tail
        self._lag_seconds = lag_seconds
        self._patience_seconds = lag_seconds  # doubled by each switch in vain, or all slow disks would be raced through
        self._on_part = on_part
        self._on_trimmed = on_trimmed
        self._chosen = 0
        self._generation = 0
        self._failures = 0  # in a row
        self._refused: set[int] = set()  # replicas that said "trimmed" in that row
        self._retry_seconds = RETRY_SECONDS
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self._watch: Timer | None = None
        self._behind_since = 0.0
        self.running = False
        self.switches = 0

    @property
    def replica(self) -> str:
        """The name of the replica read now."""
        return self._journal[self._chosen][0]

    def start(self) -> None:
        """Read from the last released record on."""
        if not self.running:
            self.running = True
            self._open()

    def stop(self) -> None:
        """Read no more (until `start`); what was not released is dropped."""
        self.running = False
        self._close()
        self.tail.restart()

    def heard(self) -> None:
        """The tail has taken a beat: is this replica still up to it?"""
        if not self.tail.behind:
            self._behind_since = 0.0
        elif self._behind_since == 0.0 and self.running:
            self._behind_since = self._host.monotonic()
            if self._watch is None:
                self._watch = self._host.later(self._patience_seconds, self._look)

    def _look(self) -> None:
        self._watch = None
        since = self._behind_since
        if not self.running or since == 0.0 or not self.tail.behind:
            self._behind_since = 0.0
            return
        left = since + self._patience_seconds - self._host.monotonic()
        if left > 0.0:
            self._watch = self._host.later(max(left, 0.001), self._look)  # a timer may fire a little early
            return
        self._behind_since = 0.0
        if len(self._journal) > 1:
            log.info("a journal replica lags, another is read", stream=self.tail.stream, replica=self.replica)
            self._patience_seconds = min(self._patience_seconds * 2, PATIENCE_SECONDS_MAX)
            self._close()
            self._next_replica()
            self._open()

    def _next_replica(self) -> None:
        self._chosen = (self._chosen + 1) % len(self._journal)
        self.switches += 1

    def _open(self) -> None:
        self._timer = None
        tail = self.tail
        tail.restart()
        self._generation += 1
        generation = self._generation

        def on_part(part: TailPart) -> None:
            if generation == self._generation:
                self._failures = 0
                self._refused.clear()
                self._retry_seconds = RETRY_SECONDS
                tail.take(part)
                if not tail.behind:
                    self._behind_since = 0.0
                    self._patience_seconds = self._lag_seconds
                self._on_part()

        def on_end(failure: Failure | None) -> None:
            if generation == self._generation:
                self._ended(failure)

        request = Tail(self._fleet, tail.stream, tail.released_epoch, tail.released_seq)
        self._stream = self._journal[self._chosen][1].tail(request, on_part, on_end)

    def _ended(self, failure: Failure | None) -> None:
        self._close()
        trimmed = failure is not None and failure.cause is Cause.refused and "trimmed" in failure.message
        self._failures += 1
        if trimmed:
            self._refused.add(self._chosen)
        if self._failures >= len(self._journal) and len(self._refused) > len(self._journal) // 2:
            self.running = False
            self._on_trimmed()
            return
        if failure is not None and failure.cause is Cause.refused and "stranger" in failure.message:
            log.error("a journal replica belongs to another fleet", replica=self.replica)
        self._next_replica()
        if trimmed:
            self._open()  # its word stands; waiting would not change it
            return
        self._timer = self._host.later(self._retry_seconds, self._open)
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _close(self) -> None:
        self._generation += 1
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
