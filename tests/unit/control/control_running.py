"""Controls that run: on loopback, against an API server of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import NAMESPACE

from tausql.control.kubernetes_api import KubernetesApi
from tausql.control.service import ControlService
from tausql.control.settings import ControlSettings
from tausql.protocol.control import ControlClient, FleetMap
from tausql.protocol.fleet import Fleet
from tausql.protocol.messages import ALL
from tausql.rpc.interface import Failure
from tausql.rpc.node import Node
from tausql.runtime.fleet import Directory
from tausql.runtime.loop import AsyncHost

PATIENCE = 10.0


@asynccontextmanager
async def node_of(host: AsyncHost, address: str = "") -> AsyncIterator[Node]:
    node = Node(host, address or "127.0.0.1:0", ALL)
    await node.start()
    try:
        yield node
    finally:
        await node.close()


@asynccontextmanager
async def control_of(host: AsyncHost, node: Node, server: ApiServer, **settings: Any) -> AsyncIterator[ControlService]:
    told = ControlSettings(namespace=NAMESPACE, kubernetes_url=server.url, **settings)
    cluster = KubernetesApi(told.kubernetes_url, told.namespace, told.release)
    service = ControlService(host, node, Directory(Fleet()), cluster, told)
    await service.start()
    try:
        yield service
    finally:
        await service.drain()
        await service.stop()


class Follower:
    """A process that follows the map."""

    def __init__(self, node: Node, address: str, name: str = "p-1") -> None:
        self.maps: list[Fleet] = []
        self.failures: list[Failure | None] = []
        self._heard = asyncio.Event()
        self.stream = ControlClient(node.connect(address, "control")).watch_fleet(name, self._map, self._end)

    def _map(self, told: FleetMap) -> None:
        self.maps.append(told.fleet)
        self._heard.set()

    def _end(self, failure: Failure | None) -> None:
        self.failures.append(failure)
        self._heard.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._heard.clear()
                await self._heard.wait()

    async def lists(self, service: str, *names: str) -> Fleet:
        """The first map that lists just these."""
        await self.until(lambda: bool(self.maps) and [one.name for one in self.maps[-1].of(service)] == list(names))
        return self.maps[-1]
