"""One cluster on this processor: everything of it that is kept between statements.

Whatever could name or show a cluster's things (catalogue, plans, statistics, sequences, jobs) hangs on its tenant and
on nothing else. So there is no place where one cluster's session could look another's up, by mistake or by design.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tausql.processor.catalogue import Catalogue
from tausql.processor.commits import Commits
from tausql.processor.demands import Demands
from tausql.processor.fairness import Share, Turns
from tausql.processor.faults import CommonFaults
from tausql.processor.held_jobs import HeldJobs
from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.processor.jobs import Jobs
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.parameters import Known
from tausql.processor.procedures import SystemProcedures
from tausql.processor.reads import Reads
from tausql.processor.removal import REMOVAL_SWITCH
from tausql.processor.sequences import SequenceStore
from tausql.processor.settings import ProcessorSettings
from tausql.processor.snapshots import Snapshots
from tausql.processor.state import Shared
from tausql.processor.statistics import StatisticsKeeper
from tausql.processor.transaction import Transactions
from tausql.protocol.clusters import SYSTEM_CLUSTER
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.sql.dialect import Dialect
from tausql.sql.plan_room import PlanRooms
from tausql.sql.plans import PlanCache
from tausql.sql.system import SystemRelations

WARM_RETRY_SECONDS: Final = 0.2

log = logs.get("processor")


class Common:
    """What all tenants of a processor stand on; nothing of it knows any cluster's things."""

    __slots__ = ("commits", "host", "knowns", "metrics", "reads", "rooms", "settings", "snapshots", "system", "turns")

    def __init__(
        self,
        host: Host,
        snapshots: Snapshots,
        reads: Reads,
        commits: Commits,
        metrics: ProcessorMetrics,
        settings: ProcessorSettings,
        system: SystemRelations,
    ) -> None:
        self.host = host
        self.snapshots = snapshots
        self.reads = reads
        self.commits = commits
        self.metrics = metrics
        self.settings = settings
        self.system = system
        self.rooms = PlanRooms(settings.plans_max)
        self.turns = Turns(host)
        self.knowns: dict[Dialect, Known] = {}

    def known(self, dialect: Dialect) -> Known:
        """The parameters that clusters of this dialect have."""
        known = self.knowns.get(dialect)
        if known is None:
            known = self.knowns[dialect] = Known(dialect)
        return known


class Tenant:
    """A cluster, from its first session here until it has not been used for a while."""

    __slots__ = (
        "_common",
        "_shared",
        "_stopped",
        "catalogue",
        "internal",
        "jobs",
        "number",
        "sequences",
        "sessions",
        "share",
        "statistics",
        "transactions",
        "used_at",
    )

    def __init__(self, number: int, common: Common) -> None:
        self.number = number
        self._common = common
        host, metrics = common.host, common.metrics
        self.transactions = Transactions(
            host, common.snapshots, common.reads, common.commits, metrics.usages.of(number)
        )
        self.catalogue = Catalogue(number, metrics)
        self.internal = InternalTransactions(host, self.transactions, self.catalogue)
        self.sequences = SequenceStore(self.internal)
        self.share = share = Share(common.turns)
        self.jobs = Jobs(host, self.internal, host.name, metrics, share)
        self.statistics = StatisticsKeeper(
            host, self.internal, self.catalogue, self.transactions, self.jobs_entered, share
        )
        self._shared: dict[tuple[Dialect, bool], Shared] = {}
        self.sessions = 0
        self.used_at = host.monotonic()
        self._stopped = False

    def start(self) -> None:
        """Read the catalogue before the first statement needs it; then look for jobs and statistics."""
        if not self._stopped:
            self.internal.begin(_nothing, self._warmed)

    def stop(self) -> None:
        """Begin nothing more of one's own."""
        self._stopped = True
        self.jobs.stop()
        self.statistics.stop()

    def let_go(self) -> None:
        """It is not needed any more."""
        self.stop()
        metrics = self._common.metrics
        for shared in self._shared.values():
            metrics.plan_hits_before += shared.plans.hits
            metrics.plan_misses_before += shared.plans.misses
            shared.plans.let_go()
        metrics.usages.let_go(self.number)

    def of(self, switches: Iterable[str]) -> Shared:
        """What sessions with these switches stand on."""
        switched = frozenset(switches)
        settings = self._common.settings
        own = self.number == SYSTEM_CLUSTER  # what a fleet's owner lets clients do is not for control's tables
        dialect = Dialect(
            settings.dialect,
            "extensions" in switched or (settings.extensions and not own),
            "lenient" in switched or (settings.lenient and not own),
            "testing" in switched or (settings.testing and not own),
        )
        key = (dialect, REMOVAL_SWITCH in switched)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = self._make(*key)
        return shared

    @property
    def plan_counts(self) -> tuple[int, int]:
        """(plans found, plans made)."""
        caches = [shared.plans for shared in self._shared.values()]
        return sum(one.hits for one in caches), sum(one.misses for one in caches)

    def entered(self) -> None:
        """A session has come."""
        self.sessions += 1

    def left(self) -> None:
        """A session has gone."""
        self.sessions -= 1
        self.used_at = self._common.host.monotonic()

    @property
    def busy(self) -> bool:
        """It has sessions, or works on something of its own."""
        return self.sessions > 0 or self.jobs.working or self.statistics.looking

    def jobs_entered(self) -> None:
        """A transaction that entered background jobs has committed."""
        self._common.host.soon(self.jobs.poke)

    # --- within --------------------------------------------------------------------------------------------------

    def _make(self, dialect: Dialect, removal: bool) -> Shared:
        common = self._common
        host, settings = common.host, common.settings
        plans = PlanCache(settings.plans_max, dialect, common.rooms)
        procedures = SystemProcedures(host, self.internal, removal)
        shared = Shared(self, host, common.metrics, plans, common.known(dialect), common.system, procedures, removal)
        if dialect.testing:
            held = self.jobs.held = self.jobs.held or HeldJobs(self.internal)
            faults = CommonFaults(settings.fail_commits_share, settings.fail_commits_with, host.random.random)
            shared.demands = Demands(held, self.jobs.poke, faults)
        return shared

    def _warmed(self, value: object, error: Exception | None) -> None:
        if self._stopped:
            return
        if error is not None:
            log.info("the catalogue cannot be read yet", cluster=self.number, why=str(error))
            self._common.host.later(WARM_RETRY_SECONDS, self.start)
            return
        self.jobs.start()
        self.statistics.start()


async def _nothing(internal: InternalTransaction) -> None:
    """The catalogue is read on the way here."""
