"""Statistics of tables: ANALYZE, noticing what others have analysed, and when a table is due.

Each processor counts the rows that its own sessions have changed; a table of which a tenth has changed since it was
looked at last gets a job. Nobody adds up the counts of several processors: each then asks a little later than it could.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tausql.processor.catalogue import Catalogue
from tausql.processor.coroutines import start
from tausql.processor.fairness import Share
from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.processor.transaction import Transactions, Versions
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.statistics import TableStatistics
from tausql.sql.catalogue.stored_statistics import read_journal, read_statistics
from tausql.sql.catalogue.system import FIRST_USER_OID
from tausql.sql.jobs.analyze import Pause, analyze_table, enter_jobs

LOOK_SECONDS = 30.0
CHANGES_MIN = 1_000
CHANGES_PART = 0.1
DUE_MAX = 50  # tables entered at a time

log = logs.get("processor.statistics")


class StatisticsKeeper:
    """Of one cluster. `jobs_entered` is called when there is work for the jobs."""

    def __init__(
        self,
        host: Host,
        internal: InternalTransactions,
        catalogue: Catalogue,
        transactions: Transactions,
        jobs_entered: Callable[[], None],
        share: Share,
    ) -> None:
        self._share = share
        self._jobs_entered = jobs_entered
        self._host = host
        self._internal = internal
        self._catalogue = catalogue
        self._written = transactions.written
        self.looking = False
        self._stopped = False

    def start(self) -> None:
        """Look now and every 30 s."""
        self.look()
        self._host.later(LOOK_SECONDS * (0.8 + 0.4 * self._host.random.random()), self._again)

    def stop(self) -> None:
        self._stopped = True

    def look(self) -> None:
        """There may be something new, or a table that is due."""
        if not self.looking and not self._stopped:
            self.looking = True
            start(self._look(), self._looked, self._share)

    def _again(self) -> None:
        if not self._stopped:
            self.start()

    def _looked(self, value: object, error: Exception | None) -> None:
        self.looking = False
        if error is not None and not self._stopped:
            log.info("a look at the statistics failed", why=str(error))

    async def _look(self) -> None:
        await self.refresh()
        due = self._due()
        if due:
            await self._internal.run(partial(_enter, due, self._host.random.randbytes))
            for oid in due:
                self._written.pop(oid, None)
            self._jobs_entered()

    async def refresh(self) -> None:
        """Plan with what has been analysed since the last look."""
        known = self._catalogue.statistics
        news = await self._internal.run(partial(_news, known), relies_on=_on_nothing)
        if news:
            self._catalogue.take_statistics({**known, **news})

    async def analyze(self, oid: int, attnums: Sequence[int]) -> None:
        """ANALYZE of one table; `attnums`: of these columns only, () = all. Raises SqlError."""
        await self._internal.run(partial(_analyze, oid, attnums, self._share.turn), relies_on=partial(_on_table, oid))
        self._written.pop(oid, None)

    def _due(self) -> list[int]:
        """Tables of which enough has changed."""
        snapshot, known = self._catalogue.shared, self._catalogue.statistics
        due: list[int] = []
        for oid, changed in list(self._written.items()):
            if oid < FIRST_USER_OID or (snapshot is not None and oid not in snapshot.by_oid):
                self._written.pop(oid)
                continue
            rows = known[oid].rows if oid in known else 0
            if changed >= CHANGES_MIN + CHANGES_PART * rows:
                due.append(oid)
        return due[:DUE_MAX]


def _on_nothing(snapshot: Snapshot) -> Versions:
    return ()


def _on_table(oid: int, snapshot: Snapshot) -> Versions:
    table = snapshot.by_oid.get(oid)
    return () if table is None else ((oid, table.version),)


async def _news(known: Mapping[int, TableStatistics], within: InternalTransaction) -> dict[int, TableStatistics]:
    """Statistics newer than those known."""
    journal = await read_journal(within.transaction, within.snapshot.cluster)
    news: dict[int, TableStatistics] = {}
    for oid, analyzed in journal.tables.items():
        table = within.snapshot.by_oid.get(oid)
        if table is None or (oid in known and known[oid].analyzed >= analyzed):
            continue
        found = await read_statistics(within.transaction, within.snapshot, table)
        if found is not None:
            news[oid] = found
    return news


async def _analyze(oid: int, attnums: Sequence[int], pause: Pause, within: InternalTransaction) -> None:
    table = within.snapshot.by_oid.get(oid)
    if table is not None:
        await analyze_table(within.transaction, within.snapshot, table, attnums, within.now_us, pause)


async def _enter(due: Sequence[int], random_bytes: Callable[[int], bytes], within: InternalTransaction) -> None:
    await enter_jobs(within.transaction, within.snapshot, due, random_bytes, within.now_us)
