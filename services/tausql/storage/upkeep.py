"""What has to be done now and then: flush and report, so that the journal may be trimmed; sweep, so that the store may
shrink. Both in small bites, because reads wait meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.crossbar import CrossbarClient, Durable
from tausql.protocol.storage import CheckpointPart
from tausql.protocol.tau import opening
from tausql.runtime.fault_points import LATE_REPORT, fault
from tausql.runtime.fleet import Neighbours
from tausql.runtime.host import ClockUnsure, Host
from tausql.storage.applier import Applier, State
from tausql.storage.collection import Collector
from tausql.storage.engine import Engine
from tausql.storage.metrics import StorageMetrics
from tausql.storage.reads import Reader
from tausql.storage.settings import StorageSettings


class Upkeep:
    """`guarded` runs what may find the disk full or broken, and sees to that."""

    __slots__ = (
        "_applier",
        "_crossbars",
        "_engine",
        "_guarded",
        "_host",
        "_metrics",
        "_name",
        "_reader",
        "_reported_at",
        "_settings",
        "_swept_at",
        "caught_up",
        "collector",
        "stopped",
    )

    def __init__(
        self,
        host: Host,
        name: str,
        settings: StorageSettings,
        metrics: StorageMetrics,
        engine: Engine,
        applier: Applier,
        collector: Collector,
        reader: Reader,
        crossbars: Neighbours[CrossbarClient],
        guarded: Callable[[Callable[[], object]], None],
    ) -> None:
        self._host, self._name, self._settings, self._metrics = host, name, settings, metrics
        self._engine, self._applier, self.collector, self._reader = engine, applier, collector, reader
        self._crossbars = crossbars
        self._guarded = guarded
        self._reported_at = host.monotonic()
        self._swept_at = host.monotonic() - settings.sweep_seconds
        self.caught_up = False
        self.stopped = False

    def look(self, hold: CheckpointPart | None, lost: bool) -> None:
        """Called every second. A replica that is `lost` leaves the store alone: it has no position, or one of the
        past, until a first checkpoint is whole (`hold`: its last part)."""
        now = self._host.monotonic()
        if now - self._reported_at >= self._settings.report_seconds and not fault(self._host, LATE_REPORT):
            self._reported_at = now
            if not lost:
                self._guarded(self.report)
            elif hold is not None:
                self.report_hold(hold)
        if not lost and not self.stopped:
            self._guarded(self._maybe_sweep)

    def flush(self) -> State:
        """Make everything applied durable; returns what the replica would resume from after losing power."""
        state = self._applier.persist()
        self._reader.written()
        self._engine.flush()
        return state

    def report(self) -> None:
        """Flush, and tell every crossbar."""
        state = self.flush()
        self._metrics.size_bytes = self._engine.size_bytes()
        if state.fleet:
            # One that reads old records back holds the log for itself, and is no reason to slow commits down.
            whole = self._applier.shards.complete(state.watermark) if self.caught_up else ()
            self._tell(Durable(self._name, self._host.zone, whole, state.watermark, state.cursors))

    def report_hold(self, part: CheckpointPart) -> None:
        """While a first checkpoint is taken: nothing is held durably, and the log from its cursors on will be
        needed."""
        self._tell(Durable(self._name, self._host.zone, (), part.watermark, part.cursors))

    def _tell(self, report: Durable) -> None:
        for crossbar in self._crossbars.all:
            crossbar.client.durable(report)

    def _maybe_sweep(self) -> None:
        try:
            earliest = self._host.clock.now().earliest
        except ClockUnsure:
            return
        applier, collector, settings = self._applier, self.collector, self._settings
        if collector.sweeping or self._host.monotonic() - self._swept_at < settings.sweep_seconds:
            return
        horizon = min(opening(earliest - settings.window_seconds * 1_000_000), applier.watermark)
        if horizon <= collector.horizon or collector.horizon >= applier.changed_at:
            return  # the last sweep has seen everything there is
        collector.start(horizon, applier.shards.whole())
        pruned = applier.schema.prune(self._engine, horizon)
        if pruned is not None:
            self._engine.write(pruned)
        self._reader.horizon = self._metrics.horizon = horizon
        self._reader.written()
        self._host.later(settings.sweep_tick_seconds, self._sweep)

    def _sweep(self) -> None:
        if self.stopped or not self.collector.sweeping:
            return
        self._guarded(self._bite)
        if self.collector.sweeping:
            self._host.later(self._settings.sweep_tick_seconds, self._sweep)
        else:
            self._swept_at = self._host.monotonic()

    def _bite(self) -> None:
        dropped = self.collector.sweep(self._settings.sweep_budget)
        if dropped:
            self._reader.written()
            self._metrics.dropped += dropped
