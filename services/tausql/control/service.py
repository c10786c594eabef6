"""Control's shell: what Kubernetes and the peers say comes in, maps go out."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Protocol

from tausql.control.asking import Trouble
from tausql.control.cluster import Node, Objects, Pod, Zones
from tausql.control.desk import desk_of
from tausql.control.fleet_map import make_fleet
from tausql.control.following import Following
from tausql.control.identities.web_identity import Reviews
from tausql.control.kubernetes_api import KubernetesApi
from tausql.control.leadership import Leadership, LeaseApi
from tausql.control.loads import Loads
from tausql.control.metrics import ControlMetrics, PoolFigures
from tausql.control.peers import Peers
from tausql.control.planner import planning_region
from tausql.control.planning import Asked, Planning
from tausql.control.publishing import Publisher
from tausql.control.scaling import Scaling, ScalingApi, ScalingNames
from tausql.control.settings import ControlSettings
from tausql.control.survey import Survey, Target, described, target_of
from tausql.control.wanted import Wanted, adopted, with_wanted
from tausql.control.watcher import Changed, Escaped, Failed, Listed, Origin, Report, Watcher
from tausql.protocol.control import SERVICE, WatchFleet
from tausql.protocol.fleet import SERVICES, Fleet
from tausql.rpc.interface import Network, Routes
from tausql.runtime import logs
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.process import Process
from tausql.runtime.tls import Tls

JOIN_SECONDS = 1.0
PLANNED = ("adjudicator", "storage")  # who is asked for the plan

log = logs.get("control")


class Cluster(ScalingApi, LeaseApi, Reviews, Protocol):
    """What control needs of Kubernetes: `KubernetesApi`."""

    @property
    def namespace(self) -> str: ...

    def pods(self, watch_seconds: int) -> Origin[Pod]: ...

    def nodes(self, watch_seconds: int) -> Origin[Node]: ...


class Watch:
    """How the watch over one kind of objects is doing."""

    __slots__ = ("answered_at", "trouble")

    def __init__(self) -> None:
        self.answered_at: float | None = None
        self.trouble = ""


class ControlService:
    """One control process. `directory`: this process's own, kept as the map is."""

    def __init__(
        self,
        host: Host,
        network: Network,
        directory: Directory,
        cluster: Cluster,
        settings: ControlSettings,
        tls: Tls | None = None,
    ) -> None:
        self.host, self.settings = host, settings
        self.metrics = ControlMetrics()
        self.publisher = Publisher(settings.watchers_max)
        self.survey = Survey(settings.status_seconds, settings.status_concurrency)
        self._network = network
        self._directory = directory
        self._cluster = cluster
        self._configuration = settings.configuration(cluster.namespace)
        self._pods: Objects[Pod] = Objects()
        self._nodes: Objects[Node] = Objects()
        self._zones = Zones()
        self._journal_zones: dict[str, str] = {}
        self._watches = {"pods": Watch(), "nodes": Watch()}
        self._watchers: list[Watcher[Any]] = []
        self._peers = Peers(host, network, {one.region: one.address for one in settings.peers}, self._changed)
        self._patient = bool(settings.peers)  # the first map still waits for the peers
        self._conflicts: tuple[str, ...] = ()
        self._scheduled = False
        self._draining = False
        self.planning = Planning(
            host,
            self.survey,
            settings.plan_limits(),
            settings.pauses(),
            self._processes,
            lambda: self.publisher.fleet,
            self._changed,
        )
        self._following = Following(host, network, self._changed)
        lease = settings.lease or f"{settings.release}-control"
        self._leadership = Leadership(host, cluster, lease, settings.lease_seconds, self.metrics)
        self._leadership.watch(self._lead)
        self._loads = Loads(host, network, self._load_changed)
        self._scaling = self._new_scaling() if settings.processor_deployment else None
        self.desk = desk_of(host, directory, settings, settings.region, tls, cluster, alone=False)
        self._watch_figures()

    # life

    async def start(self) -> None:
        """Serve at once; those who ask before there is a map wait for it."""
        if not self.settings.journal:
            log.warning("TAUSQL_CONTROL_JOURNAL names no replica: nothing can be written")
        told = self.desk.routes() if self.desk is not None else Routes()
        self._network.serve(SERVICE, Routes(told.calls, {WatchFleet: self.publisher.follow, **told.streams}))
        if self.desk is not None:
            self.desk.watch_sizes(self.planning)
            await self.desk.start()
        self._peers.start()
        self.host.later(self.settings.peer_wait_seconds, self._lose_patience)
        self._directory.follow("processor", self.host.zone, self._loads.joined, self._loads.left)
        post = asyncio.get_running_loop().call_soon_threadsafe
        seconds = self.settings.watch_seconds
        self._watchers = [
            Watcher("pods", self._cluster.pods(seconds), post, lambda report: self._told("pods", self._pods, report)),
            Watcher(
                "nodes", self._cluster.nodes(seconds), post, lambda report: self._told("nodes", self._nodes, report)
            ),
        ]
        for watcher in self._watchers:
            watcher.start()
        if self._scaling is not None:
            self._scaling.start()
        self._leadership.start()

    async def drain(self) -> None:
        """Let another control lead. Maps are served to the end: whoever follows finds another control by itself."""
        self._draining = True
        if self.desk is not None:
            self.desk.tenancy.drain()
        if self._scaling is not None:
            await self._scaling.close()
        self.planning.stop()
        await self._leadership.close()

    async def stop(self) -> None:
        if self.desk is not None:
            await self.desk.stop()
        if self._scaling is not None:
            await self._scaling.close()
        self.planning.stop()
        await self._leadership.close()
        self._following.follow("")
        self._peers.stop()
        self._loads.stop()
        self.publisher.end()
        for watcher in self._watchers:
            watcher.stop()
        for watcher in self._watchers:
            await asyncio.to_thread(watcher.join, JOIN_SECONDS)
        self._watchers = []

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        if self.publisher.fleet is None:
            return False, f"no map yet: {self._missing()}"
        return True, ""

    def status(self) -> dict[str, Any]:
        fleet = self.publisher.fleet
        return {
            "region": self.settings.region,
            "map_changes": self.metrics.map_changes,
            "members": {} if fleet is None else {service: len(fleet.of(service)) for service in SERVICES},
            "missing": self._missing() if fleet is None else "",
            "followers": self.publisher.followers,
            "watches": {
                name: {"age_seconds": _rounded(age), "trouble": self._watches[name].trouble}
                for name, age in self._watch_ages().items()
            },
            "peers": {region: {"age_seconds": _rounded(age)} for region, age in self._peers.ages().items()},
            "conflicts": list(self._conflicts),
            "strangers": self._strangers(),
            "leader": self._leadership.status(),
            "planning": self.planning.status(),
            "scaling": self._scaling.status() if self._scaling is not None else None,
            "clusters": self.desk.status() if self.desk is not None else None,
            "pods": [described(pod) for _, pod in sorted(self._pods.by_name.items())],
        }

    @property
    def pods(self) -> list[Pod]:
        """The region's pods, as last heard."""
        return list(self._pods.by_name.values())

    def targets(self) -> list[Target]:
        """Whom to ask for their status."""
        return [target_of(pod) for pod in sorted(self.pods, key=lambda pod: (pod.service, pod.name))]

    def _processes(self) -> list[Asked]:
        """Who is asked for the plan: those that are in the map."""
        fleet = self.publisher.fleet
        if fleet is None:
            return []
        listed = {one.name for service in PLANNED for one in fleet.of(service) if not one.region}
        return [Asked(target_of(pod), ((pod.name, pod.service),)) for pod in self.pods if pod.name in listed]

    # Kubernetes

    def _told(self, resource: str, objects: Objects[Any], report: Report[Any]) -> None:
        watch = self._watches[resource]
        if isinstance(report, Escaped):
            log.critical("a watch died", resource=resource, error=report.error)
            self.host.die(f"the watch over {resource} died: {report.error!r}")
        if isinstance(report, Failed):
            self.metrics.api_error(resource)
            self._complain(resource, watch, report.trouble)
            return
        if watch.trouble:
            watch.trouble = ""
            log.info("the API server answers again", resource=resource)
        watch.answered_at = self.host.monotonic()
        changed = False
        if isinstance(report, Listed):
            self.metrics.relisted(resource)
            changed = objects.replace(report.things)
        elif isinstance(report, Changed):
            for event in report.events:
                changed |= objects.drop(event.thing) if event.deleted else objects.put(event.thing)
        if changed:
            self._changed()

    def _complain(self, resource: str, watch: Watch, trouble: Trouble) -> None:
        if watch.trouble != str(trouble):
            watch.trouble = str(trouble)
            say = log.error if trouble.forbidden else log.warning
            say("the API server cannot be followed", resource=resource, why=watch.trouble)

    # the map

    def _changed(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.host.later(self.settings.settle_seconds, self._publish)

    def _lose_patience(self) -> None:
        self._patient = False
        self._changed()

    def _missing(self) -> str:
        missing = [
            f"no complete list of {name}{f' ({watch.trouble})' if watch.trouble else ''}"
            for name, watch, objects in (
                ("pods", self._watches["pods"], self._pods),
                ("nodes", self._watches["nodes"], self._nodes),
            )
            if not objects.complete
        ]
        if self._peers.silent and self._patient:
            missing.append(f"not heard of region {', '.join(self._peers.silent)}")
        return "; ".join(missing)

    def _publish(self) -> None:
        self._scheduled = False
        first = self.publisher.fleet is None
        if first and self._missing():
            return
        made = make_fleet(
            self._pods.by_name.values(),
            self._zones.of(self._nodes.by_name.values()),
            self._configuration,
            self._peers.words,
            self._journal_zones,
        )
        self._journal_zones = {one.name: one.zone for one in made.fleet.journal if one.zone}
        if made.conflicts != self._conflicts:
            self._conflicts = made.conflicts
            self.metrics.conflicts = len(made.conflicts)
            if made.conflicts:
                log.error("other regions use names or addresses of this one", members=list(made.conflicts))
        fleet = self._with_wanted(made.fleet)
        if not self.publisher.publish(fleet):
            return
        self.metrics.map_changes += 1
        self.metrics.members = _counted(made.fleet)
        if first:
            log.info("the first map is out", members=sum(len(made.fleet.of(service)) for service in SERVICES))
        self._directory.replace(fleet)
        self._follow_leader()

    def _with_wanted(self, fleet: Fleet) -> Fleet:
        """The map with what is wanted: by the own plan, else by the control that leads, as it said last."""
        own = self.planning.wanted if self.planning.running else self._following.wanted or self.planning.wanted
        wanted = own if own is not None else Wanted()
        word = self._peers.words.get(planning_region(fleet))
        return with_wanted(fleet, adopted(wanted, word) if word is not None else wanted)

    # who leads

    def _lead(self) -> None:
        """The Lease has been won or lost, or has changed hands."""
        if self._leadership.held and self.settings.planning and not self._draining:
            self.planning.start(self._following.wanted or self.planning.wanted)
        else:
            self.planning.stop()
        self._follow_leader()
        self._changed()

    def _follow_leader(self) -> None:
        fleet, holder = self.publisher.fleet, self._leadership.holder
        other = holder if holder != self.host.name and not self._leadership.held else ""
        leader = next((one for one in fleet.control if one.name == other), None) if fleet is not None else None
        if leader is not None or not other:
            self._following.follow(leader.address if leader is not None else "")

    def _strangers(self) -> list[str]:
        """Journal pods that the configuration does not know: they run, and are no part of the fleet."""
        known = {one.name for one in self._configuration.journal}
        return sorted(pod.name for pod in self.pods if pod.service == "journal" and pod.name not in known)

    # processors

    def _new_scaling(self) -> Scaling:
        settings = self.settings
        names = ScalingNames(
            deployment=settings.processor_deployment,
            autoscaler=settings.processor_hpa,
            reconcile_seconds=settings.reconcile_seconds,
        )
        return Scaling(
            self.host, self._cluster, names, settings.pool_limits(), self._loads, self.metrics, self._leadership
        )

    def _load_changed(self) -> None:
        if self._scaling is not None:
            self._scaling.changed()

    # figures

    def _watch_figures(self) -> None:
        self.metrics.followers = lambda: len(self.publisher.followers)
        self.metrics.watch_ages = self._watch_ages
        self.metrics.peer_ages = self._peers.ages
        self.metrics.leading = lambda: self._leadership.held
        self.metrics.planning = self.planning
        self.metrics.pool = lambda: PoolFigures(
            self._loads.heard,
            self._loads.idle,
            self._loads.sessions or 0,
            self._loads.free(self.settings.target_sessions),
        )

    def _watch_ages(self) -> dict[str, float]:
        now = self.host.monotonic()
        return {
            name: float("inf") if watch.answered_at is None else now - watch.answered_at
            for name, watch in self._watches.items()
        }


def _counted(fleet: Fleet) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {(service, fleet.region): 0.0 for service in SERVICES}
    found |= Counter((service, one.region or fleet.region) for service in SERVICES for one in fleet.of(service))
    return found


def _rounded(seconds: float) -> float | None:
    """For JSON, which has no infinity. None: never."""
    return None if seconds == float("inf") else round(seconds, 1)


def build(process: Process) -> ControlService:
    """The service of a process, as `runtime.process` starts it. Raises LookupError where there is no Kubernetes."""
    settings = ControlSettings()
    cluster = KubernetesApi(settings.kubernetes_url, settings.namespace, settings.release)
    return ControlService(process.host, process.network, process.fleet, cluster, settings, process.tls)
