"""What storage holds durably, told to those who wait for it: the journal may forget up to there, and holders slow down
when that is far behind."""

from __future__ import annotations

from functools import partial
from typing import Any

from tausql.crossbar.metrics import CrossbarMetrics
from tausql.crossbar.settings import CrossbarSettings
from tausql.crossbar.trimming import ZONES_NEEDED_MAX, Trimming
from tausql.protocol.adjudicator import AdjudicatorClient, Lag
from tausql.protocol.crossbar import Durable
from tausql.protocol.fleet import Fleet
from tausql.protocol.journal import JournalClient, Trim
from tausql.rpc.interface import Failure
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import ClockUnsure, Host

log = logs.get("crossbar")


def zones_needed(fleet: Fleet) -> int:
    """How many zones must hold a record before the journal may forget it: two, unless the whole fleet has one. Where
    storage runs just now says nothing: a map seen while a zone's storage is away would let go what one disk holds."""
    zones = {*fleet.zones, *(one.zone for one in (*fleet.storage, *fleet.journal) if one.zone)}
    return max(1, min(ZONES_NEEDED_MAX, len(zones)))


class Durability:
    """Hears every replica's reports, trims the journal, and tells the adjudicators of a lag."""

    __slots__ = ("_adjudicators", "_fleet", "_host", "_journal", "_metrics", "_settings", "trimming")

    def __init__(
        self,
        host: Host,
        fleet: Directory,
        settings: CrossbarSettings,
        metrics: CrossbarMetrics,
        journal: Neighbours[JournalClient],
        adjudicators: Neighbours[AdjudicatorClient],
    ) -> None:
        self._host, self._fleet, self._settings, self._metrics = host, fleet, settings, metrics
        self._journal, self._adjudicators = journal, adjudicators
        self.trimming = Trimming(zones_needed(fleet.fleet), settings.hold_seconds)

    def report(self, report: Durable) -> None:
        try:
            micros: int | None = self._host.clock.now().earliest
        except ClockUnsure:
            micros = None
        self.trimming.report(report, self._host.monotonic(), micros)

    def tell_lag(self, now: float) -> None:
        """Called every second. `now`: monotonic."""
        lag = self.trimming.lag_micros(now)
        if lag > self._settings.lag_told_seconds * 1e6:
            for adjudicator in self._adjudicators.all:
                adjudicator.client.lag(Lag(lag))

    def trim(self, journal_fleet: str, window_start: int, now: float) -> None:
        """Let the journal forget what it may; `journal_fleet` "" = not known yet."""
        if not journal_fleet:
            return
        # Zones that storage has lost for the moment still count: what one disk holds is not safe enough to forget.
        self.trimming.zones_needed = max(self.trimming.zones_needed, zones_needed(self._fleet.fleet))
        for cursor in self.trimming.trim_points(window_start, now):
            self._metrics.trims += 1
            request = Trim(journal_fleet, cursor.stream, cursor.epoch, cursor.seq)
            for name, journal in self._journal.named():
                journal.trim(request, self._settings.trim_deadline_seconds, partial(_answered, name))


def _answered(replica: str, answer: Any) -> None:
    if isinstance(answer, Failure):
        log.debug("a journal replica did not take a trim point", replica=replica, why=answer.message)
