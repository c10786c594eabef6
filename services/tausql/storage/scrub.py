"""Do the replicas still hold the same rows? (I11) Asked in the background, a little at a time, for ever.

A disk that gives back something else than was written, or a bug that only one replica met, shows in no watermark. So
now and then each shard is compared with a peer's, stretch by stretch: the peer digests as much as one turn allows and
says how far that was, then the same stretch is digested here at the same tau. A difference is told, loudly; which of
the two is right cannot be known here, and a replica that went away for it would take the other's word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from tausql.protocol.ranges import Range, common
from tausql.protocol.storage import Digest, Digested, StorageClient
from tausql.protocol.tau import micros_of
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.storage.applier import Applier
from tausql.storage.digest import digest
from tausql.storage.engine import Engine, EngineFailed
from tausql.storage.metrics import StorageMetrics
from tausql.storage.reads import Reader
from tausql.storage.serving import Peers
from tausql.storage.settings import StorageSettings

ANSWER_SECONDS = 5.0
DIFFERENCES_KEPT = 16

log = logs.get("storage")


class Difference(NamedTuple):
    """Two replicas have not the same rows in [low, high) at `tau`."""

    low: bytes
    high: bytes
    tau: int
    peer: str


class Compared(NamedTuple):
    """A shard as it was compared to the end, at one tau: its digest here, and with whom it was compared."""

    tau: int
    rows: int
    state_hash: int
    equal: bool
    peer: str


class _Stretch:
    """What a peer has said, and how much of the same was digested here."""

    __slots__ = ("answer", "end", "low", "peer", "reached", "rows", "state_hash", "tau")

    def __init__(self, low: bytes, end: bytes, tau: int, peer: str, answer: Digested) -> None:
        self.low = self.reached = low
        self.end = end
        self.tau = tau
        self.peer = peer
        self.answer = answer
        self.rows = self.state_hash = 0


class Scrub:
    """One comparison at a time. `compared`, the last of each shard, and `differences` are for the status page."""

    __slots__ = (
        "_applier",
        "_at",
        "_begun",
        "_busy",
        "_engine",
        "_failed",
        "_host",
        "_metrics",
        "_peers",
        "_reader",
        "_settings",
        "_so_far",
        "_tau",
        "_turns",
        "compared",
        "differences",
        "stopped",
    )

    def __init__(
        self,
        host: Host,
        settings: StorageSettings,
        metrics: StorageMetrics,
        engine: Engine,
        applier: Applier,
        reader: Reader,
        peers: Peers,
        failed: Callable[[EngineFailed], None],
    ) -> None:
        self._host, self._settings, self._metrics = host, settings, metrics
        self._engine, self._applier, self._reader, self._peers = engine, applier, reader, peers
        self._failed = failed
        self._busy: Range | None = None
        self._at = b""
        self._begun: dict[Range, float] = {}  # when each range was compared last
        self._turns = 0
        self._tau = 0  # of this comparison
        self._so_far: Compared | None = None  # None: not all of it was at one tau
        self.compared: dict[Range, Compared] = {}
        self.differences: deque[Difference] = deque(maxlen=DIFFERENCES_KEPT)
        self.stopped = False

    def look(self) -> None:
        """Called every second: begin with a shard that is due."""
        if self._busy is not None or self.stopped or self._settings.scrub_seconds <= 0:
            return
        now = self._host.monotonic()
        ranges = [one.range for one in self._applier.shards.all if one.whole]
        self._begun = {of: self._begun.get(of, now) for of in ranges}
        self.compared = {of: known for of, known in self.compared.items() if of in self._begun}
        for of in sorted(ranges, key=lambda one: self._begun[one]):
            if now - self._begun[of] < self._settings.scrub_seconds:
                return
            if common((of,), self._reader.served.ranges):
                self._begun[of] = now
                self._busy, self._at = of, of[0]
                self._turns += 1
                self._tau = self._applier.watermark
                self._so_far = Compared(self._tau, 0, 0, True, "")
                self._ask()
                return

    def _ask(self) -> None:
        """Ask a peer for the next stretch."""
        if self._busy is None or self.stopped:
            return
        high = self._busy[1]
        asked = self._peer()
        if asked is None or not self._reader.served.holds(self._at):
            self._busy = None
            return
        name, client = asked
        if self._tau < self._reader.horizon:
            self._tau, self._so_far = self._applier.watermark, None
        low, tau = self._at, self._tau
        client.digest(
            Digest(low, high, tau), ANSWER_SECONDS, lambda answer: self._answered(name, low, high, tau, answer)
        )

    def _peer(self) -> tuple[str, StorageClient] | None:
        """One that serves the place, another one for each comparison."""
        able = [
            (name, client)
            for name, client, ranges in self._peers.serving()
            if any(low <= self._at and (not high or self._at < high) for low, high in ranges)
        ]
        return able[self._turns % len(able)] if able else None

    def _answered(self, peer: str, low: bytes, high: bytes, tau: int, answer: Any) -> None:
        if self._busy is None or self.stopped:
            return
        if type(answer) is not Digested:
            self._busy = None  # it serves something else now, or is not there: another time
            return
        end = high if answer.resume is None else answer.resume
        self._digest(_Stretch(low, end, tau, peer, answer))

    def _digest(self, stretch: _Stretch) -> None:
        """Digest the same stretch here, a turn's worth at a time."""
        if self._busy is None or self.stopped:
            return
        served = self._reader.served
        found = served.around(stretch.reached)
        if found is None or (found[1] and (not stretch.end or stretch.end > found[1])):
            self._busy = None
            return
        if stretch.tau < self._reader.horizon:
            self._busy = None
            return
        try:
            mine = digest(self._engine, stretch.reached, stretch.end, stretch.tau)
        except EngineFailed as error:
            self._failed(error)
            return
        stretch.rows += mine.rows
        stretch.state_hash = (stretch.state_hash + mine.state_hash) & ((1 << 64) - 1)
        pause = self._settings.scrub_tick_seconds
        if mine.resume is not None and (not stretch.end or mine.resume < stretch.end):
            stretch.reached = mine.resume
            self._host.later(pause, self._digest, stretch)
            return
        self._compare(stretch)
        if stretch.answer.resume is None:
            self._metrics.scrubbed += 1
            if self._so_far is not None:
                self.compared[self._busy] = self._so_far
            self._busy = None
        else:
            self._at = stretch.end
            self._host.later(pause, self._ask)

    def _compare(self, stretch: _Stretch) -> None:
        self._metrics.scrubbed_rows += stretch.rows
        answer = stretch.answer
        equal = (stretch.rows, stretch.state_hash) == (answer.rows, answer.state_hash)
        before = self._so_far
        if before is not None:
            state_hash = (before.state_hash + stretch.state_hash) & ((1 << 64) - 1)
            rows = before.rows + stretch.rows
            self._so_far = Compared(before.tau, rows, state_hash, before.equal and equal, stretch.peer)
        if equal:
            return
        self._metrics.differences += 1
        self.differences.append(Difference(stretch.low, stretch.end, stretch.tau, stretch.peer))
        log.error(
            "two replicas do not hold the same rows",
            low=stretch.low.hex(),
            high=stretch.end.hex(),
            at=micros_of(stretch.tau),
            peer=stretch.peer,
            rows=stretch.rows,
            rows_there=answer.rows,
        )
