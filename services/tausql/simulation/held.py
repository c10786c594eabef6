"""What storage has said that it holds durably, against what it does: the ground on which the log is trimmed."""

from __future__ import annotations

from collections import deque

from tausql.protocol.crossbar import Durable
from tausql.protocol.ranges import Lookup
from tausql.runtime.check import I8, check
from tausql.simulation.fleet import SimulatedFleet
from tausql.storage.applier import decoded_state

REPORTS_KEPT = 64  # of a replica
ZONES = 2


class Held:
    """Hears every report. I8: what is reported was flushed. `in_zones` is for I10."""

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._world = fleet.world
        self._reports: dict[str, deque[Durable]] = {}
        self._cuts: set[bytes] = {b""}
        self._world.links.observers[Durable] = self._hear

    def _hear(self, speaker: str, report: Durable) -> None:
        if not report.ranges:
            return
        engine = self._world.processes[speaker].stores.get("engine")
        flushed = getattr(engine, "flushed_state", None)
        watermark = decoded_state(flushed).watermark if flushed is not None else 0
        check(I8, watermark >= report.watermark, "reported what a crash may take", replica=speaker, flushed=watermark)
        self._reports.setdefault(report.replica, deque(maxlen=REPORTS_KEPT)).append(report)
        self._cuts.update(bound for one in report.ranges for bound in one)

    def in_zones(self, stream: int, seq: int, tau: int) -> bool:
        """Has everything of `stream` up to `seq`, whose tau is given if it is known, been held durably in two zones,
        whatever its key? A disk that was lost since counts: it is the one that may be."""
        holding = [
            (report.zone, Lookup(report.ranges))
            for reports in self._reports.values()
            for report in reports
            if 0 < tau <= report.watermark or any(one.stream == stream and one.seq >= seq for one in report.cursors)
        ]
        return all(len({zone for zone, ranges in holding if ranges.holds(key)}) >= ZONES for key in self._cuts)
