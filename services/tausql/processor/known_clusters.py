"""What control says of the fleet's clusters, as far as a processor needs it: which are full, which are gone, and which
there are at all, so that the jobs of one that nobody connects to go on.

A fleet without a control, or one that is away, changes nothing: sessions say which cluster they are of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tausql.processor.coroutines import start
from tausql.processor.transaction import Transaction, Transactions
from tausql.protocol.clusters import CONNECTABLE, ClusterRecord, Clusters, ClustersClient
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import Host
from tausql.sql.jobs.rows import OPEN, all_jobs

AGAIN_SECONDS: Final = 1.0  # before another control is asked
ROUND_SECONDS: Final = 300.0  # in which each cluster is looked at once
LOOK_SECONDS_MIN: Final = 0.05  # between two looks

log = logs.get("processor.clusters")


class KnownClusters:
    """Follows control. on_record: called with each record that is new or has changed; on_gone: with the number of one
    that is to be used no more; on_jobs: with the record of one that nobody uses here and that has jobs to be done.

    used: the clusters whose jobs are looked after here anyway. parts: to look with."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        parts: Transactions,
        used: Callable[[], list[int]],
        on_record: Callable[[ClusterRecord], None],
        on_gone: Callable[[int], None],
        on_jobs: Callable[[ClusterRecord], None],
    ) -> None:
        self._host = host
        self._parts = parts
        self._used = used
        self._on_record = on_record
        self._on_gone = on_gone
        self._on_jobs = on_jobs
        self._controls = Neighbours(
            fleet, "control", host.zone, lambda address: ClustersClient(network.connect(address, "control"))
        )
        self._records: dict[str, ClusterRecord] = {}
        self._turn = 0  # which of the controls is followed
        self._stream: Stream | None = None
        self._round: list[str] = []  # identifiers still to be looked at
        self._stopped = False

    def start(self) -> None:
        self._follow()
        self._pause()

    def stop(self) -> None:
        self._stopped = True
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    # --- following -----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        if self._stopped:
            return
        controls = self._controls.all
        if not controls:
            self._host.later(AGAIN_SECONDS, self._follow)
            return
        client = controls[self._turn % len(controls)].client
        self._stream = client.watch_clusters(self._host.name, self._told, self._ended)

    def _ended(self, failure: Failure | None) -> None:
        self._stream = None
        if not self._stopped:
            self._turn += 1
            self._host.later(AGAIN_SECONDS, self._follow)

    def _told(self, told: Clusters) -> None:
        before = self._records
        if told.full:
            self._records = {}
        for record in told.changed:
            known = before.get(record.identifier)
            self._records[record.identifier] = record
            if record == known:
                continue
            if record.status in CONNECTABLE:
                self._on_record(record)
            elif known is not None and known.status in CONNECTABLE:
                self._on_gone(record.number)
        gone = [one for one in before if one not in self._records] if told.full else told.removed
        for identifier in gone:
            known = before.get(identifier)
            self._records.pop(identifier, None)
            if known is not None:
                self._on_gone(known.number)

    # --- looking round -------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        seconds = max(ROUND_SECONDS / max(len(self._records), 1), LOOK_SECONDS_MIN)
        self._host.later(seconds * (0.8 + 0.4 * self._host.random.random()), self._look)

    def _look(self) -> None:
        if self._stopped:
            return
        if not self._round:
            self._round = list(self._records)
        record = self._records.get(self._round.pop()) if self._round else None
        if record is None or record.status not in CONNECTABLE or record.number in self._used():
            self._pause()
            return
        start(self._has_jobs(record.number), lambda found, error: self._looked(record, found, error))

    async def _has_jobs(self, number: int) -> bool:
        transaction = Transaction(self._parts, False)
        transaction.take_snapshot()
        return any(job.status in OPEN for job in await all_jobs(transaction.statement((), False), number))

    def _looked(self, record: ClusterRecord, found: object, error: Exception | None) -> None:
        if error is not None:
            log.info("a look at a cluster's jobs failed", cluster=record.identifier, why=str(error))
        elif found and not self._stopped:
            self._on_jobs(record)
        self._pause()
