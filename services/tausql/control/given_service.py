"""Control where there is no Kubernetes: the members are given at start, and what is wanted of them is planned.

The same planner, the same publisher. There is one such control, so it always leads; while it is away everybody goes on
with the last map, and a process that starts meanwhile with the one it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tausql.control.desk import desk_of
from tausql.control.metrics import ControlMetrics
from tausql.control.planning import Asked, Planning
from tausql.control.publishing import Publisher
from tausql.control.settings import ControlSettings
from tausql.control.survey import Survey, Target
from tausql.control.wanted import with_wanted
from tausql.protocol.control import SERVICE, WatchFleet
from tausql.protocol.fleet import SERVICES, Fleet
from tausql.rpc.interface import Network, Routes
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.process import Process
from tausql.runtime.tls import Tls

PLANNED = ("adjudicator", "storage")  # who is asked


class GivenControlService:
    """One control process. `directory`: this process's own, whose members are the fleet's."""

    def __init__(
        self, host: Host, network: Network, directory: Directory, settings: ControlSettings, tls: Tls | None = None
    ) -> None:
        self.host, self.settings = host, settings
        self.metrics = ControlMetrics()
        self.publisher = Publisher(settings.watchers_max)
        self.survey = Survey(settings.status_seconds, settings.status_concurrency)
        self._network = network
        self._directory = directory
        self._given: Fleet = directory.fleet
        self.planning = Planning(
            host,
            self.survey,
            settings.plan_limits(),
            settings.pauses(),
            self._processes,
            lambda: self._given,
            self._publish,
        )
        self.desk = desk_of(host, directory, settings, directory.fleet.region, tls, None, alone=True)
        self.metrics.followers = lambda: len(self.publisher.followers)
        self.metrics.leading = lambda: True
        self.metrics.planning = self.planning

    async def start(self) -> None:
        told = self.desk.routes() if self.desk is not None else Routes()
        self._network.serve(SERVICE, Routes(told.calls, {WatchFleet: self.publisher.follow, **told.streams}))
        self.publisher.publish(self._given)
        if self.settings.planning:
            self.planning.start()
        if self.desk is not None:
            self.desk.watch_sizes(self.planning)
            await self.desk.start()

    def drain(self) -> None:
        if self.desk is not None:
            self.desk.tenancy.drain()

    async def stop(self) -> None:
        if self.desk is not None:
            await self.desk.stop()
        self.planning.stop()
        self.publisher.end()

    def ready(self) -> tuple[bool, str]:
        return True, ""

    def status(self) -> dict[str, Any]:
        return {
            "region": self._given.region,
            "map_changes": self.metrics.map_changes,
            "members": {service: len(self._given.of(service)) for service in SERVICES},
            "followers": self.publisher.followers,
            "planning": self.planning.status(),
            "clusters": self.desk.status() if self.desk is not None else None,
        }

    def targets(self) -> list[Target]:
        """Whom to ask for their status."""
        return [asked.target for asked in self._processes()]

    def _processes(self) -> Iterator[Asked]:
        """One for each address, whatever runs there."""
        found: dict[str, list[tuple[str, str]]] = {}
        for service in PLANNED:
            for one in self._given.of(service):
                address = self.settings.status_addresses.get(one.name, "")
                found.setdefault(address, []).append((one.name, service))
        for address, members in found.items():
            row = {"name": "+".join(name for name, _ in members)}
            host, _, port = address.rpartition(":")
            missing = "" if address else "its HTTP address is not known"
            yield Asked(Target(row, host.strip("[]"), int(port or 0), missing), tuple(members))

    def _publish(self) -> None:
        wanted = self.planning.wanted
        fleet = self._given if wanted is None else with_wanted(self._given, wanted)
        if self.publisher.publish(fleet):
            self.metrics.map_changes += 1
            self._directory.replace(fleet)


def build(process: Process) -> GivenControlService:
    """The service of a process, as `runtime.process` starts it."""
    return GivenControlService(process.host, process.network, process.fleet, ControlSettings(), process.tls)
