"""From what a replica keeps to what the map wants of it, one step at a time and never unsafe, whatever the map says.

A range it lacks comes from a peer. The obvious order, rows first and then the records since, would stop everything else
here until the records have been read back. The other way round nothing stops: the range's records are subscribed to
from now on, then a peer's checkpoint of some moment after brings what was before. Versions carry their tau, so it does
not matter in which order they are written.

A range it is to give up goes only when every replica that is to keep it serves it. Two replicas with different maps
might each rely on the other: so a replica first stops serving the range, *then* asks the others, and takes it back if
one of them does not serve it. Of all that give up the same range, the last to stop finds nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tausql.protocol.ranges import EVERYTHING, Range, RangeSet, common, covers, united, without
from tausql.protocol.storage import CheckpointPart, StorageClient
from tausql.runtime import logs
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.storage.applier import Applier
from tausql.storage.checkpoint import CheckpointTaker
from tausql.storage.collection import Collector
from tausql.storage.engine import Engine
from tausql.storage.peers import CheckpointFetcher
from tausql.storage.serving import Peers
from tausql.storage.wanted import (
    Wanted,
    first_piece,
    missing,
    served_by_all,
    to_leave,
    to_start_with,
    wanted_of,
    zones_needed,
)

ASKING_SECONDS = 0.02  # for the peer to pass the position that the subscription began from
PASSED_SECONDS = 1.0  # a peer that was of no help is not asked for so long
LEAVE_SECONDS = 5.0  # before a range is given up again that others did not serve

log = logs.get("storage")


class Owner(Protocol):
    """The service around it."""

    def guarded(self, work: Callable[[], object]) -> None:
        """Run what may find the disk full or broken."""
        ...

    def laid_out(self) -> None:
        """What is kept, or served, is different now."""
        ...

    def subscribe(self) -> None:
        """Start the subscription, or begin it anew: its ranges have changed."""
        ...

    def giving_up(self, ranges: RangeSet) -> None:
        """The rows of `ranges` are about to go."""
        ...

    def report(self) -> None:
        """Flush, and tell the crossbars."""
        ...

    def report_hold(self, part: CheckpointPart) -> None: ...


class Keeper:
    """Looks at the map and at the peers, and changes what is kept. One thing at a time."""

    __slots__ = (
        "_applier",
        "_begun",
        "_collector",
        "_directory",
        "_engine",
        "_host",
        "_leave_at",
        "_name",
        "_owner",
        "_passed",
        "_peers",
        "_silence_seconds",
        "ceding",
        "fetcher",
        "hold",
        "lost",
        "settled",
        "stopped",
        "taken",
        "why",
    )

    def __init__(
        self,
        host: Host,
        name: str,
        directory: Directory,
        engine: Engine,
        applier: Applier,
        collector: Collector,
        peers: Peers,
        owner: Owner,
        silence_seconds: float,
    ) -> None:
        self._host, self._name, self._directory = host, name, directory
        self._engine, self._applier, self._collector, self._peers = engine, applier, collector, peers
        self._owner = owner
        self._silence_seconds = silence_seconds
        self._begun = False
        self._passed: dict[str, float] = {}  # peers that were of no help, until when
        self._leave_at = 0.0
        self.lost = False  # the journal begins after the position: what is here is of the past
        self.hold: CheckpointPart | None = None  # the last part of a first range that is being taken
        self.fetcher: CheckpointFetcher | None = None
        self.ceding: RangeSet = ()  # whole, but not served any more: the others are asked
        self.settled = False  # everything that was wanted at the start has come
        self.stopped = False
        self.taken = 0  # checkpoints
        self.why = ""  # what it waits for, where that keeps it from being ready

    def begin(self) -> None:
        """At start."""
        self._owner.guarded(self._drop_unfinished)
        self.look()

    def _drop_unfinished(self) -> None:
        unfinished = self._applier.drop_unfinished()
        if unfinished:
            log.warning("ranges whose checkpoints were not completed are taken anew", ranges=len(unfinished))

    def stop(self) -> None:
        self.stopped = True
        if self.fetcher is not None:
            self.fetcher.stop()

    def trimmed(self) -> None:
        """The journal does not go back to the position any more: only peers can help."""
        log.warning("the journal was trimmed past this replica", watermark=self._applier.watermark)
        if self.fetcher is not None:
            self.fetcher.stop()
            self.fetcher = None
        self.lost = True
        self.settled = False
        self.ceding = ()
        self._owner.giving_up(EVERYTHING)
        self._owner.laid_out()
        self._owner.guarded(self._collector.abandon)
        self.look()

    def look(self) -> None:
        """Called every second, and whenever the map or what a peer serves has changed."""
        if self.stopped or self.fetcher is not None or self.ceding:
            return
        wanted = wanted_of(self._directory.fleet, self._name)
        self.why = ""
        if self.lost:
            self._recover(wanted)
            return
        applier = self._applier
        if not self._begun:
            self._begun = True
            if applier.blank:
                self._owner.guarded(lambda: applier.keep(to_start_with(wanted)))
            self._owner.laid_out()
            self._owner.subscribe()
        if not applier.state.fleet:
            return
        self.settled = self.settled or not missing(wanted, applier.shards.whole())
        if not wanted.named:
            return
        self._owner.guarded(lambda: self._align(wanted))
        self._take(wanted)
        if self.fetcher is None:
            self._leave(wanted)

    def _align(self, wanted: Wanted) -> None:
        if self._applier.align(set(wanted.cuts)):
            self._owner.laid_out()

    # taking

    def _recover(self, wanted: Wanted) -> None:
        """Take a first range, in place of all there is."""
        applier = self._applier
        had = applier.shards.whole() if applier.watermark else ()
        wants = wanted.ranges if wanted.named else had or EVERYTHING
        if not wants:
            return
        self.why = "the journal was trimmed past this replica, and no peer serves what it needs"
        if not covers([one for _, _, ranges in self._peers.serving() for one in ranges], had):
            return  # what is here, old as it is, may be the only copy
        found = self._piece(wants, wanted)
        if found is not None:
            piece, peer = found
            self.why = "taking a checkpoint from a peer"
            self._fetch(piece, peer, CheckpointTaker(self._engine), self._first_taken, applier.watermark)

    def _take(self, wanted: Wanted) -> None:
        """Take a range that is wanted and not here."""
        applier = self._applier
        lacking = missing(wanted, applier.shards.whole())
        unfinished = united(one.range for one in applier.shards.all if not one.whole)
        found = self._piece(lacking, wanted) if lacking else None
        useless = without(unfinished, (found[0],) if found is not None else lacking)
        if useless:
            self._owner.guarded(lambda: applier.drop(useless))
            self._owner.laid_out()
        if found is None:
            return
        piece, peer = found
        self._owner.guarded(self._collector.abandon)
        self._owner.guarded(lambda: applier.arm(piece))
        self._owner.laid_out()
        self._owner.subscribe()
        taker = CheckpointTaker(self._engine, applier, piece)
        self._fetch(piece, peer, taker, self._next_taken, applier.watermark - 1)

    def _piece(self, ranges: RangeSet, wanted: Wanted) -> tuple[Range, tuple[str, StorageClient]] | None:
        """A part of `ranges` that a peer serves, and the nearest such peer."""
        now = self._host.monotonic()
        for name, client, serving in self._peers.serving():
            if self._passed.get(name, 0.0) <= now and (both := common(ranges, serving)):
                return first_piece(both, wanted.cuts), (name, client)
        return None

    def _fetch(
        self,
        piece: Range,
        peer: tuple[str, StorageClient],
        taker: CheckpointTaker,
        done: Callable[[], None],
        above: int,
    ) -> None:
        self.fetcher = CheckpointFetcher(
            self._host,
            self._name,
            self._applier.state.fleet,
            piece,
            peer,
            taker,
            self._part,
            done,
            self._failed,
            self._silence_seconds,
            above,
        )
        self._host.later(ASKING_SECONDS, self._start, self.fetcher)

    def _start(self, fetcher: CheckpointFetcher) -> None:
        if self.fetcher is fetcher and not self.stopped:
            fetcher.start()

    def _part(self, part: CheckpointPart) -> None:
        fetcher = self.fetcher
        assert fetcher is not None
        if self.lost:
            first, self.hold = self.hold is None, part
            if first:
                self._owner.report_hold(part)
        elif not fetcher.entries:
            self._applier.hear_base(fetcher.range, part.watermark)

    def _failed(self, _: str) -> None:
        assert self.fetcher is not None
        self._passed = {self.fetcher.peer: self._host.monotonic() + PASSED_SECONDS}
        self.fetcher = None
        self._host.soon(self.look)

    def _first_taken(self) -> None:
        self.lost = False
        self.hold = None
        self._owner.guarded(self._applier.reload)
        self._owner.guarded(self._collector.abandon)
        self._taken()
        self._owner.subscribe()

    def _next_taken(self) -> None:
        self._collector.reload()
        self._taken()

    def _taken(self) -> None:
        self.fetcher = None
        self.taken += 1
        self._passed.clear()
        self._owner.laid_out()
        self._owner.guarded(self._owner.report)
        self._host.soon(self.look)

    # leaving

    def _leave(self, wanted: Wanted) -> None:
        """Stop serving what others are to keep and do serve, and ask them once more."""
        if self._host.monotonic() < self._leave_at:
            return
        fleet = self._directory.fleet
        zones = {one.name: one.zone for one in fleet.storage}
        serving = {name: ranges for name, _, ranges in self._peers.serving()}
        found = to_leave(wanted, self._applier.shards.whole(), serving, zones, zones_needed(fleet))
        if found is None:
            return
        piece, replicas = found
        self.ceding = (piece,)
        self._owner.laid_out()
        answers: dict[str, RangeSet] = {}

        def answered(name: str, ranges: RangeSet) -> None:
            answers[name] = ranges
            if len(answers) == len(set(replicas)) and not self.stopped and self.ceding == (piece,):
                self._ceded(piece, replicas, answers)

        for name in dict.fromkeys(replicas):
            self._peers.ask(name, lambda ranges, name=name: answered(name, ranges))  # type: ignore[misc]

    def _ceded(self, piece: Range, replicas: tuple[str, ...], answers: dict[str, RangeSet]) -> None:
        """Every replica that is to keep `piece` has said what it serves."""
        fleet = self._directory.fleet
        zones = {one.name: one.zone for one in fleet.storage}
        wanted = wanted_of(fleet, self._name)
        needed = zones_needed(fleet)
        if common(wanted.ranges, (piece,)) or not served_by_all((piece,), replicas, answers, zones, needed):
            self.ceding = ()
            self._leave_at = self._host.monotonic() + LEAVE_SECONDS
            self._owner.laid_out()
            return
        log.info("a range is given up", low=piece[0].hex(), high=piece[1].hex(), kept_by=list(replicas))
        self._owner.giving_up((piece,))
        self._owner.guarded(lambda: self._applier.drop((piece,)))
        self.ceding = ()
        self._owner.laid_out()
        self._owner.subscribe()
        self._owner.guarded(self._owner.report)
        self._host.soon(self.look)
