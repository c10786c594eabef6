"""Storage's shell: what the crossbar delivers is applied, what processors ask is answered or waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tausql.protocol.crossbar import CrossbarClient, Delivery, Subscribe
from tausql.protocol.fleet import Member
from tausql.protocol.ranges import EVERYTHING, RangeSet, covers, without
from tausql.protocol.storage import (
    Digest,
    Read,
    ReadSchema,
    StorageClient,
    TakeCheckpoint,
    WatchServing,
)
from tausql.protocol.tau import micros_of
from tausql.rpc.interface import Cause, Failure, Network, Reply, Routes, Sink
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import ClockUnsure, Host
from tausql.runtime.process import Process
from tausql.storage import status
from tausql.storage.adopting import Keeper
from tausql.storage.answering import Answerer, Request
from tausql.storage.applier import Applier, StrangeFleet
from tausql.storage.checkpoint import CheckpointSource, drop_unfinished, state_of
from tausql.storage.collection import Collector
from tausql.storage.engine import Engine, EngineFailed, EngineFull
from tausql.storage.metrics import StorageMetrics
from tausql.storage.peers import CheckpointServer, CheckpointServers
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.scrub import Scrub
from tausql.storage.serving import Announcer, Peers
from tausql.storage.settings import StorageSettings
from tausql.storage.sizing import Sizes
from tausql.storage.store import RocksEngine
from tausql.storage.subscription import Subscription
from tausql.storage.upkeep import Upkeep
from tausql.storage.waiting import Waiting

TICK_SECONDS = 1.0
PARTING_SECONDS = 0.05  # readers that are busy ask some ten times in that time

log = logs.get("storage")


class StorageService:
    """One replica: any number of key ranges. `engine` holds everything that outlives the process."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: StorageSettings,
        engine: Engine,
        member: Member | None = None,
    ) -> None:
        self.host, self.settings, self.engine = host, settings, engine
        self.name = member.name if member is not None else host.name
        self.metrics = StorageMetrics()
        self.metrics.sample = self._sample
        try:
            if drop_unfinished(engine):
                log.warning("a checkpoint was not completed: the store starts empty")
            self.applier = Applier(engine)
            self.collector = Collector(engine)
        except EngineFailed as error:
            host.die(f"the store failed: {error}")
        limits = PageLimits(settings.page_rows_max, settings.page_bytes_max, settings.page_examined_max)
        self.reader = Reader(engine, self.applier.schema, (), self.collector.horizon, limits)
        self._answerer = Answerer(host, engine, self.applier, self.reader, self.metrics)
        self.waiting = Waiting(host, settings, self.metrics, self._want, self._answerer.answer)
        self._crossbars = Neighbours(
            fleet,
            "crossbar",
            host.zone,
            lambda address: CrossbarClient(network.connect(address, "crossbar")),
            left=self._crossbar_left,
        )
        self._neighbours = Neighbours(
            fleet,
            "storage",
            host.zone,
            lambda address: StorageClient(network.connect(address, "storage")),
            own=self.name,
        )
        self.peers = Peers(host, self._peers_changed)
        fleet.watch(self._map_changed)
        self.subscription = Subscription(
            host, self._crossbars, self._request, self._deliver, self._trimmed, settings.silence_seconds
        )
        self._upkeep = Upkeep(
            host,
            self.name,
            settings,
            self.metrics,
            engine,
            self.applier,
            self.collector,
            self.reader,
            self._crossbars,
            self.guarded,
        )
        self.report, self.report_hold = self._upkeep.report, self._upkeep.report_hold
        self.keeper = Keeper(
            host,
            self.name,
            fleet,
            engine,
            self.applier,
            self.collector,
            self.peers,
            self,
            settings.checkpoint_silence_seconds,
        )
        self.scrub = Scrub(
            host, settings, self.metrics, engine, self.applier, self.reader, self.peers, self._engine_failed
        )
        self.sizes = Sizes(engine, lambda: self.applier.shards.all)
        self._announcer = Announcer()
        self._servers = CheckpointServers(host, settings.checkpoints_served_max, self._served)
        self._layout = -1  # of the applier, when what is served was looked at last
        self._caught_up = False  # since when the position was last taken from a store or a peer
        self._failed = ""  # why nothing is applied any more
        self._draining = False
        self._leaving = False
        network.serve(
            "storage",
            Routes(
                calls={Read: self._read, ReadSchema: self._read, Digest: self._read},
                streams={TakeCheckpoint: self._serve_checkpoint, WatchServing: self._watch_serving},
            ),
        )

    # life

    def start(self) -> None:
        self.peers.follow(self._neighbours.all)
        self.keeper.begin()
        self.host.later(TICK_SECONDS, self._tick)
        self.host.later(self.settings.sizing_tick_seconds, self._size)

    async def drain(self) -> None:
        """Send readers to another replica, and leave them the time to hear of it: closing the store takes a while in
        which nobody is answered."""
        self.retire()
        told = asyncio.Event()
        self.host.later(PARTING_SECONDS, told.set)
        await told.wait()

    def retire(self) -> None:
        """Answer no more reads, those that wait included: who reads asks another replica at once."""
        self._draining = self._leaving = True
        self.laid_out()
        self.waiting.fail("the replica is leaving")

    def stop(self) -> None:
        """Leave in good order: what was applied is durable, and reads that wait are told."""
        self._draining = self._leaving = self._upkeep.stopped = self.scrub.stopped = True
        self.subscription.stop()
        self._servers.abort(EVERYTHING, "the replica is leaving")
        self.keeper.stop()
        self.peers.stop()
        self.waiting.fail("the replica is leaving")
        if self._failed:
            return
        if not self.keeper.lost:
            self.guarded(self._upkeep.flush)
        self.guarded(self.engine.close)

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        if self._failed:
            return False, self._failed
        if self.keeper.lost:
            return not self.keeper.why, self.keeper.why
        if not self.applier.watermark:
            return False, "nothing delivered yet"
        if not self.keeper.settled:
            return False, "not all rows that are wanted here have come from the peers"
        lag = self._lag_seconds()
        if lag is None:
            return False, "the clock is unsure"
        if lag > self.settings.ready_lag_seconds:
            return False, "the watermark is too far behind"
        return True, ""

    def _lag_seconds(self) -> float | None:
        """Now less the watermark. None: nobody knows what time it is."""
        try:
            earliest = self.host.clock.now().earliest
        except ClockUnsure:
            return None
        return (earliest - micros_of(self.applier.watermark)) / 1e6

    def status(self) -> dict[str, Any]:
        told = status.of_replica(self.name, self.applier, self.keeper, self.sizes, self.scrub, self._announcer.ranges)
        return told | {
            "horizon": self.reader.horizon,
            "crossbar": self.subscription.crossbar,
            "refusal": self.subscription.refusal,
            "parked_reads": len(self.waiting.parked),
            "sweeping": self.collector.sweeping,
            "failed": self._failed,
        }

    # reads

    def _read(self, request: Request, reply: Reply) -> None:
        self.metrics.reads += 1
        if self._leaving:
            reply.fail(Cause.unavailable, "the replica is leaving")
        elif request.tau > self.applier.watermark:
            self._park(request, reply)
        else:
            self._answerer.answer(request, reply)

    def _park(self, request: Request, reply: Reply) -> None:
        if self._failed or self.keeper.lost:
            reply.fail(Cause.unavailable, self._failed or "the replica is taking a checkpoint")
        else:
            self.waiting.park(request, reply)

    def _want(self, tau: int) -> None:
        self.subscription.want(tau)

    def _crossbar_left(self, gone: Neighbour[CrossbarClient]) -> None:
        self.subscription.left(gone.client)

    def _sample(self) -> None:
        """What is looked at when somebody scrapes."""
        metrics = self.metrics
        metrics.reads_waiting = len(self.waiting.parked)
        metrics.rebuilding = self.keeper.lost
        metrics.taking = sum(not one.whole for one in self.applier.shards.all)
        metrics.checkpoints_taken = self.keeper.taken
        kept = self.applier.shards.all[: status.SHARDS_TOLD_MAX]
        metrics.shards = {status.label_of(one.range): self.sizes.of(one)[0] for one in kept}
        if len(kept) == 1:
            metrics.shards[status.label_of(kept[0].range)] = metrics.size_bytes
        metrics.failed = bool(self._failed)
        metrics.lag_seconds = self._lag_seconds() if self.applier.watermark else None

    # applying

    def _request(self) -> Subscribe:
        state = self.applier.state
        return Subscribe(state.fleet, self.name, self.applier.shards.ranges(), state.watermark, state.cursors)

    def _deliver(self, delivery: Delivery) -> None:
        self.metrics.deliveries += 1
        before = self.applier.changes
        began = self.host.monotonic()
        try:
            if not self.applier.apply(delivery):
                return
        except StrangeFleet as error:
            self._fail(f"the journal belongs to another fleet: {error}")
            return
        except EngineFull as error:
            self._full(error)
            return
        except EngineFailed as error:
            self.host.die(f"the store failed: {error}")
        if delivery.records:
            self.metrics.applied += self.applier.changes - before
            self.metrics.apply_seconds.observe(self.host.monotonic() - began)
            self.reader.written()
        if self.applier.layout != self._layout or not self._caught_up:
            self.laid_out()
        if len(self.waiting.parked):
            self.waiting.serve(self.applier.watermark)

    def _fail(self, why: str) -> None:
        """Apply nothing any more; what is here is still right at its watermark."""
        log.error("storage applies nothing any more", why=why)
        self._failed = why
        self._upkeep.stopped = self.scrub.stopped = True
        self.subscription.stop()
        self.keeper.stop()
        self.waiting.fail(why)

    def _full(self, error: EngineFull) -> None:
        self._fail(f"the disk is full: {error}")
        self.host.later(self.settings.full_seconds, self.host.die, "the disk is full")

    # upkeep

    def _tick(self) -> None:
        if self._leaving or self._failed:
            return
        self.host.later(TICK_SECONDS, self._tick)
        self.subscription.look()
        self.guarded(self.keeper.look)
        self.scrub.look()
        for shard in self.applier.shards.all:
            shard.meter.tick(TICK_SECONDS)
        self._upkeep.look(self.keeper.hold, self.keeper.lost)

    def _size(self) -> None:
        """Count on."""
        if self._leaving or self._failed:
            return
        busy = False
        if not self.keeper.lost:
            try:
                busy = self.sizes.turn()
            except EngineFailed as error:
                self._engine_failed(error)
        self.host.later(self.settings.sizing_tick_seconds if busy else TICK_SECONDS, self._size)

    def _engine_failed(self, error: EngineFailed) -> None:
        self.host.die(f"the store failed: {error}")

    def guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except EngineFull as error:
            self._full(error)
        except EngineFailed as error:
            self.host.die(f"the store failed: {error}")

    # what is kept and served

    def laid_out(self) -> None:
        """What is kept, or served, may be different now."""
        applier = self.applier
        self._layout = applier.layout
        if not self._caught_up and self._is_recent():
            self._caught_up = True
            self.host.soon(self._peers_changed)
        self._upkeep.caught_up = self._caught_up
        self._answerer.usable = not self.keeper.lost
        served: RangeSet = ()
        if self._caught_up and not self._leaving and not self.keeper.lost:
            served = without(applier.shards.complete(applier.watermark), self.keeper.ceding)
        self.reader.serve(served)
        self.reader.horizon = self.metrics.horizon = self.collector.horizon
        self.reader.written()
        self._announcer.publish(served)

    def _is_recent(self) -> bool:
        """Near enough to now to be of use to readers."""
        lag = self._lag_seconds() if self.applier.watermark else None
        return lag is not None and lag <= self.settings.ready_lag_seconds

    def subscribe(self) -> None:
        if self.subscription.running:
            self.subscription.renew()
        else:
            self.subscription.start()

    def giving_up(self, ranges: RangeSet) -> None:
        self._servers.abort(ranges, "the replica gives the range up")

    def _watch_serving(self, _: WatchServing, sink: Sink) -> None:
        self._announcer.add(sink)

    def _map_changed(self) -> None:
        self.peers.follow(self._neighbours.all)
        self.host.soon(self._peers_changed)

    def _peers_changed(self) -> None:
        if not self._leaving and not self._failed:
            self.guarded(self.keeper.look)

    # checkpoints

    def _serve_checkpoint(self, request: TakeCheckpoint, sink: Sink) -> None:
        wanted = (request.low, request.high)
        if self._failed or not covers(self._announcer.ranges, (wanted,)):
            sink.end(Failure(Cause.refused, self._failed or "this replica does not have all of that"))
            return
        log.info("a checkpoint is sent", replica=request.replica, watermark=self.applier.watermark)
        self._servers.serve(CheckpointSource(self.engine, state_of(self.applier, wanted)), sink)

    def _served(self, server: CheckpointServer) -> None:
        self.metrics.checkpoints_served += server.complete

    def _trimmed(self) -> None:
        """The journal begins after the cursors: only a peer can help."""
        self.waiting.fail("the replica is taking a checkpoint")
        self._caught_up = False
        self.guarded(self.keeper.trimmed)


def build(process: Process) -> StorageService:
    """The service of a process, as `runtime.process` starts it."""
    settings = StorageSettings()
    engine = RocksEngine(
        process.directory("storage"), settings.write_buffer_bytes, settings.cache_bytes, settings.files_open_max
    )
    return StorageService(process.host, process.network, process.fleet, settings, engine, process.member("storage"))
