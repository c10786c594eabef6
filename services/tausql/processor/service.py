"""The processor's shell: puts its parts together, listens for sessions, tells frontends its load, and drains."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

from tausql.processor.carrying import NoteOut
from tausql.processor.commits import Commits
from tausql.processor.known_clusters import KnownClusters
from tausql.processor.listener import Listener
from tausql.processor.loading import Loading
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.placement import Placement
from tausql.processor.reads import Reads
from tausql.processor.replicas import Replicas
from tausql.processor.sessions import Sessions
from tausql.processor.settings import ProcessorSettings
from tausql.processor.snapshots import Snapshots
from tausql.processor.tenant import Common
from tausql.processor.tenants import Tenants
from tausql.protocol.backup import LoadPairs
from tausql.protocol.processor import ClientOut, Load, SessionIn, SessionStart, WatchLoad
from tausql.rpc.interface import Network, Routes, Sink
from tausql.runtime import logs
from tausql.runtime.descriptors import affordable
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.process import Process
from tausql.runtime.tls import Tls
from tausql.sql.catalogue.views import CatalogueViews
from tausql.sql.system import SystemRelations

STATUS_RANGES_MAX = 200

log = logs.get("processor")


class ProcessorService:
    """Runs sessions. Implements `protocol.processor.SessionHost`.

    index: this processor's number in the fleet (cancel keys carry it). session_address: where to listen for relayed
    sessions; empty: nowhere. system: what pg_catalog, information_schema and sys are made of. tls: of the session port.
    """

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: ProcessorSettings,
        *,
        index: int = 0,
        session_address: str = "",
        system: SystemRelations | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
        self.metrics = ProcessorMetrics()
        self.metrics.sample = self._sample
        self._host = host
        self._settings = settings
        self._session_address = settings.session_listen or session_address
        self._fleet = fleet
        self.placement = Placement(host, network, fleet)
        snapshots = Snapshots(host.clock)
        self.replicas = Replicas(host, network, fleet)
        self.reads = Reads(host, self.replicas, snapshots, self.metrics, settings.hedge_seconds, settings.read_seconds)
        self._commits = commits = Commits(
            host,
            self.placement,
            snapshots,
            self.metrics,
            settings.commit_seconds,
            settings.holder_seconds,
            settings.outcome_seconds,
        )
        relations = system if system is not None else CatalogueViews()
        self.tenants = Tenants(Common(host, snapshots, self.reads, commits, self.metrics, settings, relations))
        self.sessions = Sessions(
            host,
            self.tenants,
            self.metrics,
            index,
            settings.sessions_max,
            settings.session_seconds_max,
            self._changed,
        )
        self.clusters = KnownClusters(
            host,
            network,
            fleet,
            self.tenants.first.transactions,
            self.tenants.numbers,
            self.tenants.told,
            self._cluster_gone,
            self.tenants.look_at,
        )
        self._watchers: list[Sink] = []
        self._load_scheduled = False
        self._listener = Listener()
        self._emptied: asyncio.Event | None = None
        loading = Loading(self.tenants.internal)
        network.serve("processor", Routes(calls={LoadPairs: loading.load}, streams={WatchLoad: self._watch_load}))

    # --- life ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Everything of `start` that needs no event loop."""
        self.placement.start()
        self.replicas.start()
        self.tenants.start()
        self.clusters.start()

    async def start(self) -> None:
        """Listen for sessions, if there is an address to listen at. Raises OSError."""
        self.begin()
        if self._session_address:
            await self._listener.start(self._session_address, self, self._settings.greeting_seconds, self._tls)
            log.info("listening for sessions", address=self._listener.address)

    async def drain(self) -> None:
        """Have sessions move to other processors, and let open transactions end, for a while."""
        self._listener.close()
        self.sessions.drain()
        self._tell_load()
        if len(self.sessions):
            self._emptied = asyncio.Event()
            try:
                await asyncio.wait_for(self._emptied.wait(), self._settings.drain_seconds)
            except TimeoutError:
                log.warning("sessions left at the end of the drain", sessions=len(self.sessions))

    def stop(self) -> None:
        self.clusters.stop()
        self.tenants.stop()
        self._listener.close()
        self.sessions.stop()
        self.placement.stop()
        self.replicas.stop()
        watchers, self._watchers = self._watchers, []
        for sink in watchers:
            sink.end()
        self._listener.abort()

    def ready(self) -> tuple[bool, str]:
        if self.sessions.draining:
            return False, "draining"
        if not self._host.clock.ready:
            return False, "the clock is not certain enough"
        if self.tenants.first.catalogue.shared is None:
            return False, "the catalogue has not been read yet"
        if not self.placement.holders:
            return False, "no adjudicator holds a stream"
        return True, ""

    def status(self) -> dict[str, Any]:
        metrics = self.metrics
        shared = self.tenants.first.catalogue.shared
        hits, misses = self.tenants.plan_counts()
        return {
            "clusters": len(self.tenants),
            "sessions": len(self.sessions),
            "system_sessions": self.tenants.system_sessions(),
            "sessions_max": self._settings.sessions_max,
            "draining": self.sessions.draining,
            "session_address": self._listener.address,
            "statements": sum(metrics.statements.values()),
            "commits": metrics.commits,
            "conflicts": metrics.conflicts,
            "reads_in_flight": self.reads.in_flight,
            "schema_version": shared.version if shared is not None else None,
            "tables": len(shared.tables) if shared is not None else None,
            "plan_hits": hits,
            "plan_misses": misses,
            "holders": {
                str(stream): {"adjudicator": holder.name, "epoch": holder.epoch[0]}
                for stream, holder in self.placement.holders.items()
            },
            "judged_by": [
                {"low": low.hex(), "high": high.hex(), "stream": holder.stream if holder is not None else None}
                for low, high, holder in islice(self.placement.owners, STATUS_RANGES_MAX)
            ],
            "served_by": [
                {"low": low.hex(), "high": high.hex(), "replicas": [replica.name for replica in replicas]}
                for low, high, replicas in islice(self.replicas.table(), STATUS_RANGES_MAX)
            ],
        }

    def _sample(self) -> None:
        """What is looked at when somebody scrapes."""
        metrics, fleet = self.metrics, self._fleet.fleet
        metrics.sessions_max = self._settings.sessions_max
        metrics.activities = dict(self.sessions.activities())
        metrics.reads_in_flight = self.reads.in_flight
        metrics.commits_in_flight = self._commits.in_flight
        metrics.unheld_streams = len(self.placement.owners.registered - self.placement.holders.keys())
        metrics.plan_hits, metrics.plan_misses = self.tenants.plan_counts()
        metrics.tenants = len(self.tenants)
        metrics.usages.regions = len({member.region or fleet.region for member in fleet.storage})

    # --- sessions ------------------------------------------------------------------------------------------------

    @property
    def session_address(self) -> str:
        """Where it listens for relayed sessions; empty if nowhere."""
        return self._listener.address

    def attach(self, start: SessionStart, out: ClientOut, notes: NoteOut | None = None) -> SessionIn:
        return self.sessions.attach(start, out, notes)

    def cancel(self, process_id: int, secret: int) -> bool:
        return self.sessions.cancel(process_id, secret)

    # --- within --------------------------------------------------------------------------------------------------

    def _cluster_gone(self, cluster: int) -> None:
        self.sessions.end_cluster(cluster)
        self.tenants.gone(cluster)

    def _watch_load(self, request: WatchLoad, sink: Sink) -> None:
        self._watchers.append(sink)
        sink.when_closed(lambda: self._unwatch(sink))
        sink.push(self._load())

    def _unwatch(self, sink: Sink) -> None:
        if sink in self._watchers:
            self._watchers.remove(sink)

    def _load(self) -> Load:
        return Load(len(self.sessions), self._settings.sessions_max, self.sessions.draining)

    def _changed(self) -> None:
        if self._emptied is not None and not len(self.sessions):
            self._emptied.set()
        if self._watchers and not self._load_scheduled:
            self._load_scheduled = True
            self._host.later(self._settings.load_seconds, self._tell_load)

    def _tell_load(self) -> None:
        self._load_scheduled = False
        load = self._load()
        for sink in self._watchers:
            sink.push(load)


def build(process: Process) -> ProcessorService:
    member = process.member("processor")
    settings = ProcessorSettings()
    return ProcessorService(
        process.host,
        process.network,
        process.fleet,
        settings.model_copy(update={"sessions_max": affordable("sessions", settings.sessions_max)}),
        index=member.index,
        session_address=member.session,
        tls=process.tls,
    )
