"""Storage's shell: what the crossbar delivers is applied, what processors ask is answered or waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tausql.protocol.crossbar import CrossbarClient, Delivery, Subscribe
from tausql.protocol.fleet import Member
from tausql.protocol.storage import CheckpointPart, Read, ReadSchema, Rows, StorageClient, TakeCheckpoint
from tausql.protocol.tau import closing, micros_of
from tausql.rpc.interface import Cause, Failure, Network, Reply, Routes, Sink
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import ClockUnsure, Host, Timer
from tausql.runtime.process import Process
from tausql.storage.applier import Applier, StrangeFleet, WrongRange
from tausql.storage.checkpoint import CheckpointSource, drop_unfinished
from tausql.storage.collection import Collector
from tausql.storage.engine import Engine, EngineFailed, EngineFull
from tausql.storage.metrics import StorageMetrics
from tausql.storage.parked import ParkedReads
from tausql.storage.peers import CheckpointFetcher, CheckpointServer
from tausql.storage.reads import EntryWithoutRow, PageLimits, Reader
from tausql.storage.settings import StorageSettings
from tausql.storage.store import RocksEngine
from tausql.storage.subscription import Subscription
from tausql.storage.upkeep import Upkeep

TICK_SECONDS = 1.0
PARTING_SECONDS = 0.05  # readers that are busy ask some ten times in that time

log = logs.get("storage")


class StorageService:
    """One replica of one key range. `engine` holds everything that outlives the process."""

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
        if settings.low or settings.high:
            self.metrics.shard = f"{settings.low or 'first'}-{settings.high or 'last'}"
        low, high = bytes.fromhex(settings.low), bytes.fromhex(settings.high)
        if drop_unfinished(engine):
            log.warning("a checkpoint was not completed: the store starts empty")
        try:
            self.applier = Applier(engine, low, high)
        except WrongRange as error:
            host.die(f"the store and the settings disagree about the range: {error}")
        self.collector = Collector(engine)
        limits = PageLimits(settings.page_rows_max, settings.page_bytes_max, settings.page_examined_max)
        self.reader = Reader(engine, self.applier.schema, low, high, self.collector.horizon, limits)
        self.parked = ParkedReads(settings.parked_max)
        self._crossbars = Neighbours(
            fleet,
            "crossbar",
            host.zone,
            lambda address: CrossbarClient(network.connect(address, "crossbar")),
            left=self._crossbar_left,
        )
        self._peers = Neighbours(
            fleet,
            "storage",
            host.zone,
            lambda address: StorageClient(network.connect(address, "storage")),
            own=self.name,
        )
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
            self._guarded,
        )
        self._fetcher: CheckpointFetcher | None = None
        self._hold: CheckpointPart | None = None  # of the checkpoint being taken
        self._servers: list[CheckpointServer] = []
        self._wanted = 0
        self._parked_timer: Timer | None = None
        self._failed = ""  # why nothing is applied any more
        self._draining = False
        self._leaving = False
        network.serve(
            "storage",
            Routes(
                calls={Read: self._read, ReadSchema: self._read},
                streams={TakeCheckpoint: self._serve_checkpoint},
            ),
        )

    # life

    def start(self) -> None:
        self.subscription.start()
        self.host.later(TICK_SECONDS, self._tick)

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
        for reply in self.parked.pop_expired(float("inf")):
            reply.fail(Cause.unavailable, "the replica is leaving")

    def stop(self) -> None:
        """Leave in good order: what was applied is durable, and reads that wait are told."""
        self._draining = self._leaving = self._upkeep.stopped = True
        self.subscription.stop()
        self._abort_servers("the replica is leaving")
        if self._fetcher is not None:
            self._fetcher.stop()
        for reply in self.parked.pop_expired(float("inf")):
            reply.fail(Cause.unavailable, "the replica is leaving")
        if self._failed:
            return
        if self._fetcher is None:
            self._guarded(self._upkeep.flush)
        self._guarded(self.engine.close)

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        if self._failed:
            return False, self._failed
        if self._fetcher is not None:
            return False, "taking a checkpoint from a peer"
        try:
            earliest = self.host.clock.now().earliest
        except ClockUnsure:
            return False, "the clock is unsure"
        lag = (earliest - micros_of(self.applier.watermark)) / 1e6
        if lag > self.settings.ready_lag_seconds:
            return False, "the watermark is too far behind" if self.applier.watermark else "nothing delivered yet"
        return True, ""

    def status(self) -> dict[str, Any]:
        state = self.applier.state
        return {
            "name": self.name,
            "fleet": state.fleet,
            "range": [state.low.hex(), state.high.hex()],
            "watermark": state.watermark,
            "state_hash": f"{state.state_hash:016x}",
            "horizon": self.reader.horizon,
            "cursors": {str(one.stream): [list(one.epoch), one.seq] for one in state.cursors},
            "crossbar": self.subscription.crossbar,
            "refusal": self.subscription.refusal,
            "parked_reads": len(self.parked),
            "taking_checkpoint": self._fetcher is not None,
            "sweeping": self.collector.sweeping,
            "failed": self._failed,
        }

    # reads

    def _read(self, request: Read | ReadSchema, reply: Reply) -> None:
        self.metrics.reads += 1
        if self._leaving:
            reply.fail(Cause.unavailable, "the replica is leaving")
        elif request.tau > self.applier.watermark:
            self._park(request, reply)
        else:
            self._answer(request, reply)

    def _answer(self, request: Read | ReadSchema, reply: Reply) -> None:
        if type(request) is ReadSchema:
            reply.answer(self.reader.read_schema(request))
            return
        assert isinstance(request, Read)
        if self._fetcher is not None:
            reply.fail(Cause.unavailable, "the replica is taking a checkpoint")
            return
        began = self.host.monotonic()
        try:
            answer = self.reader.read(request)
        except EntryWithoutRow as error:
            log.error("an index does not equal its table", why=str(error))
            reply.fail(Cause.refused, "an index entry names a row that is not there")
            return
        metrics = self.metrics
        metrics.read_seconds.observe(self.host.monotonic() - began)
        if type(answer) is Rows:
            metrics.gets += len(answer.values)
            if answer.pages:
                metrics.scans += len(answer.pages)
                metrics.rows += sum(len(page.keys) for page in answer.pages)
        else:
            metrics.refused += 1
        reply.answer(answer)

    def _park(self, request: Read | ReadSchema, reply: Reply) -> None:
        tau = request.tau
        if self._failed or self._fetcher is not None:
            reply.fail(Cause.unavailable, self._failed or "the replica is taking a checkpoint")
            return
        now = self.host.monotonic()
        if not self.parked.park(tau, now + self.settings.park_seconds_max, request, reply):
            reply.fail(Cause.overloaded, "too many reads wait for the watermark")
            return
        self.metrics.parked += 1
        if tau > self._wanted:
            self._want(tau)
        if self._parked_timer is None:
            self._parked_timer = self.host.later(self.settings.want_seconds, self._look_at_parked)

    def _want(self, tau: int) -> None:
        """Ask for `tau`, or for what of it is due: time closed far ahead of now would hold up every commit."""
        try:
            latest = self.host.clock.now().latest
        except ClockUnsure:
            return
        self._wanted = min(tau, closing(latest + self.settings.want_ahead_micros))
        self.subscription.want(self._wanted)

    def _look_at_parked(self) -> None:
        self._parked_timer = None
        for reply in self.parked.pop_expired(self.host.monotonic()):
            self.metrics.expired += 1
            reply.fail(Cause.deadline, "the watermark did not reach the read's tau in time")
        if len(self.parked):
            self._want(self.parked.highest)
            self._parked_timer = self.host.later(self.settings.want_seconds, self._look_at_parked)

    def _serve_parked(self) -> None:
        watermark = self.applier.watermark
        now = self.host.monotonic()
        while (due := self.parked.pop_due(watermark)) is not None:
            request, reply, expires = due
            self.metrics.read_wait_seconds.observe(now - expires + self.settings.park_seconds_max)
            self._answer(request, reply)

    def _crossbar_left(self, gone: Neighbour[CrossbarClient]) -> None:
        self.subscription.left(gone.client)

    def _sample(self) -> None:
        """What is looked at when somebody scrapes."""
        metrics = self.metrics
        metrics.reads_waiting = len(self.parked)
        metrics.rebuilding = self._fetcher is not None
        metrics.failed = bool(self._failed)
        metrics.lag_seconds = None
        try:
            earliest = self.host.clock.now().earliest
        except ClockUnsure:
            return
        if self.applier.watermark:
            metrics.lag_seconds = (earliest - micros_of(self.applier.watermark)) / 1e6

    # applying

    def _request(self) -> Subscribe:
        state = self.applier.state
        return Subscribe(state.fleet, self.name, state.low, state.high, state.watermark, state.cursors)

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
        if len(self.parked):
            self._serve_parked()

    def _fail(self, why: str) -> None:
        """Apply nothing any more; what is here is still right at its watermark."""
        log.error("storage applies nothing any more", why=why)
        self._failed = why
        self._upkeep.stopped = True
        self.subscription.stop()
        if self._fetcher is not None:
            self._fetcher.stop()
        for reply in self.parked.pop_expired(float("inf")):
            reply.fail(Cause.unavailable, why)

    def _full(self, error: EngineFull) -> None:
        self._fail(f"the disk is full: {error}")
        self.host.later(self.settings.full_seconds, self.host.die, "the disk is full")

    # upkeep

    def _tick(self) -> None:
        if self._leaving or self._failed:
            return
        self.host.later(TICK_SECONDS, self._tick)
        self.subscription.look()
        self._upkeep.look(self._hold, self._fetcher is not None)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except EngineFull as error:
            self._full(error)
        except EngineFailed as error:
            self.host.die(f"the store failed: {error}")

    # checkpoints

    def _serve_checkpoint(self, request: TakeCheckpoint, sink: Sink) -> None:
        if self._fetcher is not None or self._failed or not self.applier.state.fleet:
            sink.end(Failure(Cause.refused, self._failed or "this replica has nothing whole to give"))
            return
        if len(self._servers) >= self.settings.checkpoints_served_max:
            sink.end(Failure(Cause.overloaded, "too many checkpoints are being sent"))
            return
        log.info("a checkpoint is sent", replica=request.replica, watermark=self.applier.watermark)
        source = CheckpointSource(self.engine, self.applier.state)
        self._servers.append(CheckpointServer(self.host, source, sink, self._served))

    def _served(self, server: CheckpointServer) -> None:
        self._servers.remove(server)
        self.metrics.checkpoints_served += server.complete

    def _abort_servers(self, why: str) -> None:
        for server in tuple(self._servers):
            server.abort(Failure(Cause.unavailable, why))

    def _trimmed(self) -> None:
        """The journal begins after the cursors: only a peer can help."""
        peers = self._peers.named()
        if not peers:
            self._fail("the journal was trimmed past this replica, and there is no peer to take a checkpoint from")
            return
        log.warning("the journal was trimmed past this replica", watermark=self.applier.watermark)
        self._abort_servers("this replica takes a checkpoint itself")
        for reply in self.parked.pop_expired(float("inf")):
            reply.fail(Cause.unavailable, "the replica is taking a checkpoint")
        self._fetcher = CheckpointFetcher(
            self.host,
            self.engine,
            self.name,
            self.applier.state.fleet,
            peers,
            self._part_taken,
            self._checkpoint_taken,
            self.settings.checkpoint_silence_seconds,
            self.applier.state.watermark,
        )
        self.collector.abandon()
        self._fetcher.start()

    def _part_taken(self, part: CheckpointPart) -> None:
        first = self._hold is None
        self._hold = part
        if first:
            self._upkeep.report_hold(part)

    def _checkpoint_taken(self) -> None:
        self._fetcher = self._hold = None
        self.metrics.checkpoints_taken += 1
        try:
            self.applier.reload()
        except WrongRange as error:
            self.host.die(f"the peer serves another range: {error}")
        self.collector.abandon()
        self.reader.horizon = self.metrics.horizon = self.collector.horizon
        self.reader.written()
        self._guarded(self._upkeep.report)
        self.subscription.start()


def build(process: Process) -> StorageService:
    """The service of a process, as `runtime.process` starts it."""
    settings = StorageSettings()
    engine = RocksEngine(
        process.directory("storage"), settings.write_buffer_bytes, settings.cache_bytes, settings.files_open_max
    )
    return StorageService(process.host, process.network, process.fleet, settings, engine, process.member("storage"))
