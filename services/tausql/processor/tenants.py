"""The clusters this processor has something to do with: made when their first session comes, let go when unused.

An idle cluster costs a processor nothing once it has been let go; coming back costs one look at the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tausql.processor.internal import InternalTransactions
from tausql.processor.state import Shared
from tausql.processor.tenant import Common, Tenant
from tausql.protocol.clusters import SYSTEM_CLUSTER, ClusterRecord

SWEEPS: Final = 4  # looks for unused tenants in the time after which one is let go


class Tenants:
    """`first`: the cluster that is there from the start and stays, as readiness needs one to look at."""

    __slots__ = ("_armed", "_common", "_full", "_seconds", "_stopped", "_tenants", "first", "tenants_max")

    def __init__(self, common: Common) -> None:
        settings = common.settings
        self._common = common
        self._seconds = settings.tenant_seconds
        self.tenants_max = settings.tenants_max
        self._tenants: dict[int, Tenant] = {}
        self._armed = False
        self._full: set[int] = set()  # numbers of clusters that may not grow
        self._stopped = False
        self.first = self._tenants[settings.cluster] = Tenant(settings.cluster, common)

    def __len__(self) -> int:
        return len(self._tenants)

    def numbers(self) -> list[int]:
        """Of the clusters that are here."""
        return list(self._tenants)

    def system_sessions(self) -> int:
        """Control's own."""
        system = self._tenants.get(SYSTEM_CLUSTER)
        return system.sessions if system is not None else 0

    def start(self) -> None:
        self.first.start()

    def stop(self) -> None:
        self._stopped = True
        for tenant in self._tenants.values():
            tenant.stop()

    def of(self, cluster: int, switches: Iterable[str]) -> Shared | None:
        """What a session of this cluster stands on. None: there is no room for another cluster."""
        tenant = self._tenants.get(cluster)
        if tenant is None:
            tenant = self._made(cluster)
            if tenant is None:
                return None
        return tenant.of(switches)

    def internal(self, cluster: int) -> InternalTransactions | None:
        """For what is done to a cluster by itself. None: there is no room for another cluster."""
        tenant = self._tenants.get(cluster) or self._made(cluster)
        return tenant.internal if tenant is not None else None

    def look_at(self, record: ClusterRecord) -> None:
        """A cluster that nobody uses here has jobs: they go on, unless there is no room."""
        self.of(record.number, record.switches)

    def told(self, record: ClusterRecord) -> None:
        """Control says this of a cluster."""
        if record.full:
            self._full.add(record.number)
        else:
            self._full.discard(record.number)
        tenant = self._tenants.get(record.number)
        if tenant is not None:
            tenant.transactions.full = record.full

    def gone(self, cluster: int) -> None:
        """It is not to be used any more; its sessions have been told to end."""
        self._full.discard(cluster)
        tenant = self._tenants.get(cluster)
        if tenant is not None and tenant is not self.first and not tenant.busy:
            self._let_go(tenant)

    def plan_counts(self) -> tuple[int, int]:
        """(plans found, plans made) by all, those that are gone included."""
        metrics = self._common.metrics
        counts = [tenant.plan_counts for tenant in self._tenants.values()]
        return (
            metrics.plan_hits_before + sum(hits for hits, _ in counts),
            metrics.plan_misses_before + sum(misses for _, misses in counts),
        )

    # --- within --------------------------------------------------------------------------------------------------

    def _made(self, cluster: int) -> Tenant | None:
        if len(self._tenants) >= self.tenants_max:
            unused = [one for one in self._tenants.values() if not one.busy and one is not self.first]
            if not unused:
                return None
            self._let_go(min(unused, key=lambda one: one.used_at))
        tenant = self._tenants[cluster] = Tenant(cluster, self._common)
        tenant.transactions.full = cluster in self._full
        if not self._stopped:
            tenant.start()
        self._arm()
        return tenant

    def _let_go(self, tenant: Tenant) -> None:
        del self._tenants[tenant.number]
        tenant.let_go()

    def _arm(self) -> None:
        if not self._armed and not self._stopped and len(self._tenants) > 1:
            self._armed = True
            self._common.host.later(self._seconds / SWEEPS, self._sweep)

    def _sweep(self) -> None:
        self._armed = False
        due = self._common.host.monotonic() - self._seconds
        for tenant in list(self._tenants.values()):
            if tenant is not self.first and tenant.used_at <= due and not tenant.busy:
                self._let_go(tenant)
        self._arm()
