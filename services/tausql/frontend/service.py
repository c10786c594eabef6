"""The frontend's shell: owns the sockets, the certificate, what is known of clusters, and the order of all that."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tausql.frontend import refusals
from tausql.frontend.clientele import Clientele
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.entrance import House
from tausql.frontend.http_statements import Statements
from tausql.frontend.http_transactions import Transactions
from tausql.frontend.listener import Listener, listening_socket, websocket_socket
from tausql.frontend.lobby import Lobby, waiting_max
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.sessions import Sessions
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.tls import EdgeTls, edge_of, host_names
from tausql.protocol.clusters import ClusterRecord
from tausql.protocol.processor import SessionHost
from tausql.rpc.interface import Network
from tausql.runtime import logs
from tausql.runtime.descriptors import affordable, limit
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.tls import Tls

if TYPE_CHECKING:
    from tausql.runtime.process import Process  # brings uvicorn and the RPC node, which only whole processes need

_FAREWELL_SECONDS = 0.5  # for the last error message to leave

log = logs.get("frontend")


class FrontendService:
    """PostgreSQL and HTTP clients in, processors out.

    directory: where certificates are kept unless settings say otherwise.
    local: the processor of this process, which then gets every session.
    clusters: that are known before control has told of any.
    tls: of the connections to processors.
    """

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: FrontendSettings,
        local: SessionHost | None = None,
        *,
        directory: Path,
        clusters: ClusterDirectory | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._host = host
        self._fleet = fleet
        self._settings = settings
        self._directory = directory
        self.metrics = FrontendMetrics()
        self.metrics.connections_max = settings.connections_max
        self.certificates = Path(settings.certificate_directory or directory / "tls")
        self._clientele = Clientele(host, network, fleet, settings, self.metrics, clusters)
        self._clientele.directory.on_closed = self._closed
        self._house = House(
            settings=settings,
            metrics=self.metrics,
            gate=self._clientele.gate,
            sessions=Sessions(host, network, fleet, settings, self.metrics, local, tls),
            clients=set(),
            on_empty=self._emptied,
            clusters=self._clientele.directory,
            tokens=self._clientele.tokens,
            signatures=self._clientele.signatures,
        )
        self._transactions = Transactions(
            host, settings.http_transactions_max, settings.http_transaction_idle_seconds, self.metrics
        )
        self.statements = Statements(host, self._house, self._transactions)
        self._lobby = Lobby(host, self.metrics, settings.startups_max, waiting_max(settings.startups_max, limit()))
        self._listener: Listener | None = None
        self._web: Listener | None = None
        self.edge: EdgeTls | None = None  # there once it listens
        self._empty: asyncio.Event | None = None

    @property
    def address(self) -> str:
        """`host:port` that PostgreSQL clients connect to. Raises RuntimeError before `start`."""
        if self._listener is None:
            raise RuntimeError("the frontend does not listen yet")
        return self._listener.address

    @property
    def websocket_address(self) -> str | None:
        """`host:port` of WebSocket, if it is served."""
        return self._web.address if self._web is not None else None

    async def start(self) -> None:
        """Listen. Raises OSError where the address or the directory cannot be used."""
        names = host_names(self._fleet.fleet.region, self._settings.certificate_names)
        edge = self.edge = edge_of(self._host, self._settings.tls_dir, self.certificates, names)
        edge.start()
        loop = asyncio.get_running_loop()
        shared = self._host, loop, self._house, self._lobby
        self._listener = Listener(*shared, lambda: edge.context, listening_socket(self._settings))
        web = websocket_socket(self._settings)
        if web is not None:
            from tausql.frontend.http_door import HttpDoor  # brings uvicorn, as `Process` does

            self._house.http = HttpDoor(self.statements)
            self._web = Listener(*shared, lambda: edge.web_context, web, web=True)
        self._house.sessions.start()
        self._clientele.start()
        self._listener.start()
        if self._web is not None:
            self._web.start()
        websocket = self._web.address if self._web is not None else ""
        log.info("listening", address=self._listener.address, tls=self._settings.tls, websocket=websocket)

    async def drain(self) -> None:
        """Take nobody in, end sessions as they become idle, and after the grace all that are left."""
        house = self._house
        if self._listener is None or house.draining:
            return
        house.draining = True
        self._listener.close()
        if self._web is not None:
            self._web.close()
        if house.http is not None:
            house.http.close()
        self._empty = asyncio.Event()
        for client in list(house.clients):
            client.end_when_idle(refusals.shutting_down())
        if house.clients:
            await _wait(self._empty, self._settings.drain_grace_seconds)
        if house.clients:
            log.info("ending sessions", sessions=len(house.clients))
            for client in list(house.clients):
                client.terminate(refusals.shutting_down())
            await _wait(self._empty, _FAREWELL_SECONDS)

    async def stop(self) -> None:
        house = self._house
        house.draining = True
        for listener in (self._listener, self._web):
            if listener is not None:
                listener.close()
        self._lobby.close()
        if self._house.http is not None:
            self._house.http.close()
        if self.edge is not None:
            self.edge.stop()
        self._clientele.stop()
        self.statements.close()
        for client in list(house.clients):
            client.terminate(refusals.shutting_down())
        house.sessions.stop()

    def ready(self) -> tuple[bool, str]:
        if self._house.draining:
            return False, "draining"
        if self._listener is None or not self._listener.open:
            return False, "not listening"
        if not self._house.sessions.available:
            return False, "no processor has room"
        return True, ""

    def status(self) -> dict[str, Any]:
        return {
            "address": self._listener.address if self._listener is not None else None,
            "websocket_address": self.websocket_address,
            "certificate_authority": str(self.edge.files.authority) if self.edge is not None else None,
            "user": self._settings.user,
            "database": self._settings.database,
            "tls": self._settings.tls,
            "draining": self._house.draining,
            "clusters": self._clientele.status(),
            "clients": len(self._house.clients),
            "startups": self.metrics.startups,
            "startups_waiting": self._lobby.waiting,
            "http_transactions": len(self._transactions),
            "processors": self._house.sessions.balance.status(),
        }

    def _closed(self, record: ClusterRecord) -> None:
        """A cluster is being deleted: nobody has any more business there."""
        self.statements.close(record.identifier)
        for client in list(self._house.clients):
            if client.cluster == record.identifier:
                client.terminate(refusals.shutting_down())

    def _emptied(self) -> None:
        if self._empty is not None:
            self._empty.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def build(process: Process) -> FrontendService:
    """The frontend of a process; where a processor was built before it in the same process, sessions go there."""
    local: Any = process.services.get("processor")
    settings = FrontendSettings()
    sockets = 1 if local is not None else 2  # a session: its client, and its processor where that is elsewhere
    room = affordable("connections", settings.connections_max, sockets)
    return FrontendService(
        process.host,
        process.network,
        process.fleet,
        settings.model_copy(update={"connections_max": room}),
        local,
        directory=process.directory("frontend"),
        tls=process.tls,
    )
