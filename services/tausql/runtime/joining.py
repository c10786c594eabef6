"""How a process finds its fleet: it asks control, and goes on listening.

On one machine the members are given at start (`TAUSQL_FLEET`), and control only adds what is wanted of them. On
Kubernetes nobody knows them beforehand: a process is told where control is, says who it is, and waits until the map
lists it; its own zone is in there, learned from the node it runs on. Afterwards every new map replaces the directory's.
While control is away the last map stands: the data plane goes on, only newcomers wait.
"""

from __future__ import annotations

import asyncio

from tausql.protocol.control import SERVICE, ControlClient, FleetMap
from tausql.protocol.fleet import Fleet, Member
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host, Timer

AGAIN_SECONDS = 0.5  # before control is asked again: its connection has a backoff of its own

log = logs.get("fleet")


class FleetWatch:
    """Keeps `directory` as control has it.

    control: RPC address. address: this process's own, as the map will list it.
    """

    def __init__(self, host: Host, network: Network, directory: Directory, control: str, address: str) -> None:
        self._host = host
        self._directory = directory
        self._client = ControlClient(network.connect(control, SERVICE))
        self._address = address
        self._listed = asyncio.Event()
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self._stopped = False
        self.maps = 0  # how many have come

    def start(self) -> None:
        self._timer = None
        self._stream = self._client.watch_fleet(self._host.name, self._on_map, self._on_end)

    def stop(self) -> None:
        self._stopped = True
        if self._stream is not None:
            self._stream.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def joined(self, services: list[str]) -> str:
        """Wait until the map lists this process for all of `services`; returns its zone."""
        log.info("waiting for the fleet's map", address=self._address)
        while True:
            own = [self._own(service) for service in services]
            # A journal replica is listed before its pod has been seen, and then without a zone.
            if own and all(member is not None and member.zone for member in own):
                return next(member.zone for member in own if member is not None)
            self._listed.clear()
            await self._listed.wait()

    def _own(self, service: str) -> Member | None:
        fleet: Fleet = self._directory.fleet
        return next((member for member in fleet.of(service) if member.address == self._address), None)

    def _on_map(self, told: FleetMap) -> None:
        self.maps += 1
        self._directory.replace(told.fleet)
        self._listed.set()

    def _on_end(self, failure: Failure | None) -> None:
        self._stream = None
        if not self._stopped:
            self._timer = self._host.later(AGAIN_SECONDS, self.start)
