"""The schema as this processor knows it: one snapshot for all sessions, replaced when it turns out to be old.

Nobody tells a processor of schema changes. It need not ask before each statement either: every read names the versions
its plan relied on, and storage refuses it where they were not current. So the cached snapshot is believed until it
is contradicted: by storage, by a name that cannot be found, or by a schema change of one of this processor's own
sessions.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.transaction import Transaction
from tausql.sql.catalogue.descriptors import GLOBAL_RELATION, Snapshot
from tausql.sql.catalogue.statistics import NO_STATISTICS, TableStatistics
from tausql.sql.catalogue.store import load


class Catalogue:
    """The cached snapshot of one cluster."""

    __slots__ = ("_metrics", "_version_min", "cluster", "shared", "statistics")

    def __init__(self, cluster: int, metrics: ProcessorMetrics) -> None:
        self.cluster = cluster
        self._metrics = metrics
        self.shared: Snapshot | None = None
        self._version_min = 0  # a schema change known to be committed
        self.statistics: Mapping[int, TableStatistics] = NO_STATISTICS

    def take_statistics(self, statistics: Mapping[int, TableStatistics]) -> None:
        """Plan with these from now on."""
        self.statistics = statistics
        if self.shared is not None:
            self.shared.derived.clear()
            self.shared = msgspec.structs.replace(self.shared, statistics=statistics, derived={})

    def changed(self, tau: int) -> None:
        """A session of this processor changed the schema at `tau`."""
        if tau > self._version_min:
            self._version_min = tau

    def at_hand(self, transaction: Transaction | None) -> Snapshot | None:
        """What to plan with, where that is known without asking storage."""
        found = self._at_hand(transaction)
        if found is not None and transaction is not None and transaction.temporary is not None:
            return transaction.temporary.over(found)
        return found

    def _at_hand(self, transaction: Transaction | None) -> Snapshot | None:
        if transaction is not None and transaction.catalogue is not None:
            return transaction.catalogue
        shared = self.shared
        if shared is not None and shared.version >= self._version_min and not (transaction and transaction.changes):
            return shared
        return None

    async def of(self, transaction: Transaction) -> Snapshot:
        """What to plan with."""
        snapshot = self.at_hand(transaction)
        return snapshot if snapshot is not None else await self.renewed(transaction)

    async def renewed(self, transaction: Transaction) -> Snapshot:
        """The schema at the transaction's snapshot for certain, its own changes included; reads it if it is not the one
        at hand."""
        found = await self._renewed(transaction)
        return found if transaction.temporary is None else transaction.temporary.over(found)

    async def _renewed(self, transaction: Transaction) -> Snapshot:
        tau_start = transaction.take_snapshot()
        answer = await transaction.read_schema(self.cluster, tau_start)
        versions = dict(answer.versions)
        version = versions.get(GLOBAL_RELATION, 0)
        at_hand = transaction.catalogue if transaction.catalogue is not None else self.shared
        if at_hand is not None and at_hand.version == version and not transaction.changes:
            return at_hand
        self._metrics.reloads += 1
        snapshot = await load(transaction.statement((), False), self.cluster, versions)
        snapshot = msgspec.structs.replace(snapshot, statistics=self.statistics)
        if transaction.changes:
            transaction.catalogue = snapshot  # with changes nobody else may see yet
        elif self.shared is None or snapshot.version >= self.shared.version:
            if self.shared is not None:
                self.shared.derived.clear()  # cached plans keep the old one; what was worked out of it need not stay
            self.shared = snapshot
            transaction.catalogue = snapshot
        else:
            transaction.catalogue = snapshot  # this transaction is older than the schema everybody else uses
        return snapshot
